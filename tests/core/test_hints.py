import json
from datetime import UTC, datetime

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sidecar.core.failure import Evidence
from sidecar.core.limits import LearnedLimit
from sidecar.core.refusals.hints import LONGEST_WAIT_S, learn_limits, named_wait

NOW = datetime(2026, 3, 11, 14, 30, tzinfo=UTC).timestamp()
MINUTE, HOUR, DAY = 60.0, 3600.0, 86400.0


def wait(
    body: object = None, *, message: str | None = None, provider: str | None = None, **headers: str
) -> float | None:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    raw = None if body is None else json.dumps(body)
    return named_wait(Evidence(provider=provider, status=429, headers=named, message=message, body=raw), NOW)


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({"retry_after": "30"}, 30),
        ({"retry_after": "1.5"}, 1.5),
        ({"retry_after": "2m"}, 120),
        ({"retry_after": "Wed, 11 Mar 2026 14:31:30 GMT"}, 90),
        ({"retry_after": "Wed, 11 Mar 2026 14:00:00 GMT"}, 0),
        ({"retry_after": "-3"}, 0),
        ({"retry_after": "0"}, 0),
        ({"retry_after": str(10**9 * 3)}, LONGEST_WAIT_S),
        ({"retry_after_ms": "1500"}, 1.5),
        ({"retry_after_ms": "1500", "retry_after": "2"}, 1.5),
        ({"retry_after_ms": str(14 * 86_400_000)}, 14 * DAY),
        ({"retry_after_ms": "-1"}, 0),
        ({"retry_after_ms": "x", "retry_after": "x"}, None),
        ({"retry_after": "nan"}, None),
        ({"x_ratelimit_timeremaining": "5631"}, 5631),
        ({}, None),
    ],
)
def test_headers_that_name_a_wait(headers: dict[str, str], seconds: float | None) -> None:
    assert wait(**headers) == seconds


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({"x_ratelimit_remaining_tokens": "0", "x_ratelimit_reset_tokens": "4.5s"}, 4.5),
        ({"x_ratelimit_remaining_tokens": "12", "x_ratelimit_reset_tokens": "4.5s"}, None),
        ({"x_ratelimit_reset_requests": "6m0s"}, None),
        (
            {
                "x_ratelimit_remaining_requests": "0",
                "x_ratelimit_reset_requests": "2s",
                "x_ratelimit_remaining_tokens": "0",
                "x_ratelimit_reset_tokens": "9s",
            },
            9,
        ),
        ({"x_ratelimit_remaining_requests_day": "0", "x_ratelimit_reset_requests_day": "3600.5"}, 3600.5),
        ({"x_ratelimit_limit": "20", "x_ratelimit_remaining": "0", "x_ratelimit_reset": str(int(NOW + 40) * 1000)}, 40),
        ({"x_ratelimit_reset": str(int(NOW - 40))}, 0),
        ({"ratelimitbysize_reset": "3"}, 3),
        ({"x_ratelimit_limit": "0", "x_ratelimit_remaining": "0", "x_ratelimit_reset": "9"}, None),
        (
            {
                "anthropic_ratelimit_requests_remaining": "0",
                "anthropic_ratelimit_requests_reset": "2026-03-11T14:31:00Z",
            },
            60,
        ),
        ({"ratelimit": '"default";r=0;t=30'}, 30),
        ({"ratelimit": '"default";r=5;t=30'}, None),
        ({"ratelimit": "limit=100, remaining=0, reset=50"}, 50),
        ({"ratelimit": '"default";r=0'}, None),
        ({"x_ratelimit_remaining": "0", "x_ratelimit_reset": "whenever"}, None),
    ],
)
def test_resets_of_limits_that_are_exhausted(headers: dict[str, str], seconds: float | None) -> None:
    assert wait(**headers) == seconds


@pytest.mark.parametrize(
    ("claim", "seconds"), [("five_hour", 2 * HOUR), ("seven_day", 3 * DAY), ("seven_day_opus", 3 * HOUR)]
)
def test_a_subscriptions_rejected_window_names_its_reset(claim: str, seconds: float) -> None:
    headers = {
        "anthropic_ratelimit_unified_status": "rejected",
        "anthropic_ratelimit_unified_representative_claim": claim,
        "anthropic_ratelimit_unified_5h_reset": str(int(NOW + 2 * HOUR)),
        "anthropic_ratelimit_unified_7d_reset": str(int(NOW + 3 * DAY)),
        "anthropic_ratelimit_unified_reset": str(int(NOW + 3 * HOUR)),
    }
    assert wait(**headers) == seconds
    assert wait(**(headers | {"retry_after": "77"})) == 77
    assert wait(**(headers | {"anthropic_ratelimit_unified_status": "allowed"})) is None
    assert wait(anthropic_ratelimit_unified_status="rejected") is None


@pytest.mark.parametrize(
    ("body", "seconds"),
    [
        ({"error": {"type": "usage_limit_reached", "resets_in_seconds": 3000}}, 3000),
        ({"error": {"resets_at": int(NOW + 4000)}}, 4000),
        ({"error": {"resetsAt": "2026-03-11T15:30:00Z"}}, HOUR),
        ({"error": {"retry_after_ms": 2500}}, 2.5),
        ({"error": {"retryInMs": "3s"}}, 3),
        ({"error": {"retry_after": "soon"}}, None),
        ({"error": {"details": [{"@type": "x.RetryInfo", "retryDelay": "46.5s"}]}}, 46.5),
        ({"error": {"details": [{"metadata": {"quotaResetDelay": "3h21m5s"}}, {"retryDelay": "60s"}]}}, 12065),
        ({"error": {"metadata": {"headers": {"X-RateLimit-Remaining": "0", "X-RateLimit-Reset": "17"}}}}, 17),
        ({"error": {"metadata": {"headers": {"Retry-After": "18"}}}}, 18),
        ({"error": {"message": "headers: retry-after: 19"}}, 19),
        ({"error": {"message": "Try again in 2h."}}, 2 * HOUR),
    ],
)
def test_fields_of_the_body_that_name_a_wait(body: object, seconds: float | None) -> None:
    assert wait(body) == seconds


def test_the_longer_of_header_and_field_decides_and_both_beat_the_text() -> None:
    assert wait({"resets_in_seconds": 90}, retry_after="5") == 90
    assert wait({"resets_in_seconds": 5}, retry_after="90", message="try again in 3 days") == 90


def test_the_text_beats_the_time_until_a_limit_is_full_again() -> None:
    exhausted = {"x_ratelimit_remaining_requests": "0", "x_ratelimit_reset_requests": "6m0s"}
    assert wait(message="Please try again in 20s.", **exhausted) == 20
    assert wait(message="Please slow down.", **exhausted) == 360


@pytest.mark.parametrize(
    ("message", "provider"),
    [
        ("Quota exceeded for metric: x, limit: 0, model: y. Please retry in 22s.", "google"),
        ("Tokens per minute: Limit 6,000, Requested 12,089. Please try again in 64s.", "groq"),
        ("Tokens per minute: limit: 6000, requested: ~12089. Try again in 64s.", "groq"),
        ("You exceeded it. quota_id: 'RequestsPerDayPerProject-Free'. Please retry in 22s.", "google"),
    ],
)
def test_waits_that_would_not_help_are_not_believed(message: str, provider: str) -> None:
    assert wait(message=message, provider=provider) is None
    assert wait(message=message, provider=provider, retry_after="64") is None


@pytest.mark.parametrize(
    ("message", "provider", "seconds"),
    [
        ("Quota exceeded for metric: x, limit: 0.5. Please retry in 22s.", "google", 22),
        ("Tokens per minute: Limit 6000, Used 5990, Requested 500. Please try again in 64s.", "groq", 64),
        ("Tokens per day: Limit 6000, Used 6000. Please try again in 64s.", "groq", 64),
        ("You exceeded it. quota_id: 'RequestsPerDayPerProject-Free'. Please retry in 5h.", "google", 5 * HOUR),
        ("Quota per minute. Please retry in 22s.", "google", 22),
    ],
)
def test_waits_that_look_alike_are_believed(message: str, provider: str, seconds: float) -> None:
    assert wait(message=message, provider=provider) == seconds


def test_dates_without_a_zone_are_those_of_the_provider() -> None:
    message = "Your limit will reset at 2026-03-11 22:45:00"
    assert wait(message=message, provider="zai-coding-plan") == 15 * MINUTE
    assert wait(message=message, provider="somebody") == 8 * HOUR + 15 * MINUTE


def learned(provider: str | None = None, **headers: str) -> tuple[LearnedLimit, ...]:
    return learn_limits(provider, {name.replace("_", "-"): value for name, value in headers.items()}, NOW)


OPENAI = {
    "x_ratelimit_limit_requests": "500",
    "x_ratelimit_remaining_requests": "499",
    "x_ratelimit_reset_requests": "120ms",
    "x_ratelimit_limit_tokens": "30000",
    "x_ratelimit_remaining_tokens": "0",
    "x_ratelimit_reset_tokens": "6m0s",
}


@pytest.mark.parametrize(
    ("provider", "per_request", "per_token"), [("openai", None, None), ("groq", DAY, MINUTE), ("azure", None, MINUTE)]
)
def test_learns_limits_with_durations(provider: str, per_request: float | None, per_token: float | None) -> None:
    assert learned(provider, **OPENAI) == (
        LearnedLimit(unit="requests", limit=500, remaining=499, per_s=per_request, resets_at=NOW + 0.12),
        LearnedLimit(unit="tokens", limit=30000, remaining=0, per_s=per_token, resets_at=NOW + 360),
    )


@pytest.mark.parametrize("part", ["requests", "tokens", "input-tokens", "output-tokens"])
def test_learns_anthropics_limits_per_minute(part: str) -> None:
    headers = {
        f"anthropic-ratelimit-{part}-limit": "4000",
        f"anthropic-ratelimit-{part}-remaining": "3990",
        f"anthropic-ratelimit-{part}-reset": "2026-03-11T14:30:05Z",
    }
    unit = "requests" if part == "requests" else "tokens"
    assert learn_limits(None, headers, NOW) == (
        LearnedLimit(unit=unit, limit=4000, remaining=3990, per_s=60, resets_at=NOW + 5),  # type: ignore[arg-type]
    )


@pytest.mark.parametrize(
    ("headers", "limit"),
    [
        (
            {"x_ratelimit_limit_requests_day": "14400", "x_ratelimit_remaining_requests_day": "14000"},
            LearnedLimit(unit="requests", limit=14400, remaining=14000, per_s=DAY),
        ),
        (
            {"x_ratelimit_limit_tokens_minute": "60000", "x_ratelimit_reset_tokens_minute": "12.5"},
            LearnedLimit(unit="tokens", limit=60000, per_s=MINUTE, resets_at=NOW + 12.5),
        ),
        (
            {"x_ratelimit_limit_req_minute": "720", "x_ratelimit_remaining_req_minute": "717"},
            LearnedLimit(unit="requests", limit=720, remaining=717, per_s=MINUTE),
        ),
        (
            {"ratelimitbysize_limit": "500000", "ratelimitbysize_remaining": "1", "ratelimitbysize_reset": "3"},
            LearnedLimit(unit="tokens", limit=500000, remaining=1, resets_at=NOW + 3),
        ),
        (
            {"x_tokenlimit_limit": "900", "x_tokenlimit_remaining": "800"},
            LearnedLimit(unit="tokens", limit=900, remaining=800),
        ),
        (
            {"x_ratelimit_limit_tokens_prompt": "900", "x_ratelimit_remaining_tokens_prompt": "80"},
            LearnedLimit(unit="tokens", limit=900, remaining=80),
        ),
        (
            {"x_ratelimit_limit": "20", "x_ratelimit_remaining": "0", "x_ratelimit_reset": str(int(NOW + 9) * 1000)},
            LearnedLimit(unit="requests", limit=20, remaining=0, resets_at=NOW + 9),
        ),
        (
            {"ratelimit_limit": "100, 100;w=60", "ratelimit_remaining": "40", "ratelimit_reset": "30"},
            LearnedLimit(unit="requests", limit=100, remaining=40, resets_at=NOW + 30),
        ),
        (
            {"ratelimit_policy": '"default";q=100;w=60', "ratelimit": '"default";r=40;t=30'},
            LearnedLimit(unit="requests", limit=100, remaining=40, per_s=60, resets_at=NOW + 30),
        ),
        (
            {"ratelimit": "limit=100, remaining=40, reset=30"},
            LearnedLimit(unit="requests", limit=100, remaining=40, resets_at=NOW + 30),
        ),
        (
            {"x_ratelimit_limit_requests": "5", "x_ratelimit_remaining_requests": "-1"},
            LearnedLimit(unit="requests", limit=5),
        ),
        (
            {"x_ratelimit_limit_requests": "5", "x_ratelimit_reset_requests": "900h"},
            LearnedLimit(unit="requests", limit=5, resets_at=NOW + LONGEST_WAIT_S),
        ),
    ],
)
def test_learns_other_headers(headers: dict[str, str], limit: LearnedLimit) -> None:
    assert learned(**headers) == (limit,)


@pytest.mark.parametrize(
    "headers",
    [
        {"x_ratelimit_limit_requests": "-1", "x_ratelimit_remaining_requests": "-1"},
        {"x_ratelimit_limit_tokens": "0", "x_ratelimit_remaining_tokens": "0"},
        {"x_ratelimit_remaining_tokens": "5"},
        {"x_ratelimit_limit_tokens": "lots"},
        {"x_ratelimit_limit_tokens": "inf"},
        {"x_ratelimit_limit_images": "5"},
        {"ratelimit_policy": '"bytes";q=100;w=60;qu="content-bytes"'},
        {"ratelimit": "nonsense"},
        {"content_length": "5"},
    ],
)
def test_learns_nothing_from_placeholders_and_strangers(headers: dict[str, str]) -> None:
    assert learned(**headers) == ()


NAMES = st.sampled_from(
    ["retry-after", "retry-after-ms", "x-ratelimit-limit-tokens", "x-ratelimit-remaining-tokens", "ratelimit",
     "x-ratelimit-reset-tokens", "ratelimit-policy", "anthropic-ratelimit-requests-reset", "x-ratelimit-reset"]
)  # fmt: skip
VALUES = (
    st.text(max_size=30)
    | st.floats().map(str)
    | st.sampled_from(['"a";r=0;t=9', "6m0s", "0", "-1", "limit=1, remaining=0"])
)


@given(st.dictionaries(NAMES, VALUES), st.text(max_size=80), st.floats(0, 4e9))
@settings(max_examples=200, deadline=None)
def test_waits_are_never_negative_and_never_unbounded(headers: dict[str, str], text: str, now: float) -> None:
    named = named_wait(Evidence(headers=headers, message=text, body=text), now)
    assert named is None or 0 <= named <= LONGEST_WAIT_S
    for limit in learn_limits("groq", headers, now):
        assert limit.limit > 0
        assert limit.resets_at is None or now <= limit.resets_at <= now + LONGEST_WAIT_S
        assert limit.remaining is None or limit.remaining >= 0
