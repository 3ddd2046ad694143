import json
import time
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sidecar.config.models import ErrorPattern
from sidecar.core.failure import Evidence, Failure, Kind, Scope
from sidecar.core.refusals.classify import PATTERN_TEXT, classify
from sidecar.core.refusals.hints import LONGEST_WAIT_S

NOW = 1_800_000_000.0
HOUR, DAY = 3600.0, 86400.0


def read(message: str | None = None, body: object = None, **rest: Any) -> Failure:
    raw = body if isinstance(body, str) or body is None else json.dumps(body)
    return classify(Evidence(message=message, body=raw, **rest), NOW)


@pytest.mark.parametrize(
    ("text", "kind", "why"),
    [
        ("Rate limit: 5 requests per minute", Kind.RATE_LIMIT, "requests or tokens come faster"),
        ("Rate limit: 5 requests / min", Kind.RATE_LIMIT, "requests or tokens come faster"),
        ("Rate limit: 500 requests per day", Kind.QUOTA, "the quota of the day is used up"),
        ("Rate limit: 500 requests per day, 5 per minute, try again in 9h", Kind.QUOTA, "the quota of the day"),
        ("Rate limit: 500 requests per day, 5 per minute, try again in 9s", Kind.RATE_LIMIT, "requests or tokens"),
        ("Rate limit on tokens (TPD)", Kind.QUOTA, "the quota of the day is used up"),
        ("You hit the weekly rate limit", Kind.QUOTA, "the quota of the week is used up"),
        ("Usage limit for this billing cycle", Kind.QUOTA, "the quota of the month is used up"),
        ("5-hour limit reached", Kind.QUOTA, "the plan's usage window is used up"),
        ("Rate limit, try again in 2 hours", Kind.QUOTA, "the account's quota is used up"),
        ("Rate limit, try again in 20 minutes", Kind.RATE_LIMIT, "requests or tokens come faster"),
        ("Quota exceeded, try again in 20 seconds", Kind.RATE_LIMIT, "the plan's usage window"),
        ("Quota exceeded, try again in 20 minutes", Kind.QUOTA, "the plan's usage window is used up"),
        ("每日额度已用尽", Kind.QUOTA, "the quota of the day is used up"),
    ],
)
def test_windows_tell_a_burst_from_a_used_up_quota(text: str, kind: Kind, why: str) -> None:
    failure = read(text, status=429)
    assert failure.kind is kind
    assert failure.why.startswith(why)


def test_a_plans_window_stays_one_however_short_the_rest_of_it() -> None:
    failure = read(body={"error": {"type": "usage_limit_reached", "resets_in_seconds": 20}}, status=429)
    assert (failure.kind, failure.retry_after_s) == (Kind.QUOTA, 20)
    headers = {"anthropic-ratelimit-unified-status": "rejected", "retry-after": "20"}
    failure = read(status=429, headers=headers)
    assert (failure.kind, failure.rule, failure.retry_after_s) == (Kind.QUOTA, "header.plan_window", 20)
    assert read(status=429, headers=headers | {"anthropic-ratelimit-unified-status": "allowed"}).kind is Kind.RATE_LIMIT


def test_a_limit_of_zero_never_opens() -> None:
    failure = read("Quota exceeded for metric: x, limit: 0, model: y. Retry in 9s", status=429, provider="google")
    assert (failure.kind, failure.scope, failure.rule) == (Kind.BILLING, Scope.MODEL, "limit_zero")
    assert failure.retry_after_s is None
    assert read("Quota exceeded for metric: x, limit: 2, model: y", status=429, provider="google").rule != "limit_zero"
    assert read("Rate limit: 0 left", status=429).rule != "limit_zero"


def test_a_request_that_never_fits_says_so() -> None:
    text = "Request too large for model x on tokens per minute (TPM): Limit 6000, Requested 9000, try again in 9s"
    failure = read(text, status=413)
    assert (failure.kind, failure.scope, failure.retry_after_s) == (Kind.RATE_LIMIT, Scope.MODEL, None)
    assert failure.why == "this request alone is larger than what the model's limit allows at once"


@pytest.mark.parametrize(
    ("provider", "text", "scope"),
    [
        ("groq", "Rate limit reached", Scope.MODEL),
        ("openrouter", "Rate limit exceeded", Scope.MODEL),
        ("somebody", "Rate limit reached", Scope.ACCOUNT),
        ("somebody", "Rate limit reached for this model", Scope.MODEL),
        ("vercel", "Rate limit exceeded", Scope.ACCOUNT),
        ("amazon-bedrock", "Throttled: the account quota for requests", Scope.ACCOUNT),
        ("google", "Quota used per day: exhausted your daily quota", Scope.MODEL),
        ("openai", "Requests per day (RPD) used, daily quota", Scope.MODEL),
        ("openai", "The plan usage limit was hit", Scope.ACCOUNT),
        ("somebody", "Daily quota used", Scope.ACCOUNT),
        ("somebody", "Daily quota for the x model used", Scope.MODEL),
    ],
)
def test_how_far_a_limit_reaches(provider: str, text: str, scope: Scope) -> None:
    assert read(text, status=429, provider=provider).scope is scope


def test_a_gateways_refused_key_is_not_the_users() -> None:
    raw = json.dumps({"error": {"code": "authentication_error", "message": "invalid API key"}})
    failure = read(body={"error": {"code": 401, "metadata": {"raw": raw}}}, status=401, provider="openrouter")
    assert (failure.kind, failure.scope) == (Kind.AUTH, Scope.MODEL)
    assert failure.why == "the gateway's own access to this model is refused upstream"
    own = read(body={"error": {"code": 401, "message": "invalid API key"}}, status=401, provider="openrouter")
    assert own.scope is Scope.ACCOUNT


def test_a_firewalls_page_is_not_a_bad_key() -> None:
    failure = read("<!doctype html><title>Blocked</title>", status=403)
    assert (failure.kind, failure.scope, failure.why) == (
        Kind.AUTH, Scope.PROVIDER, "a firewall in front of the provider refuses this machine",
    )  # fmt: skip
    assert read("Blocked", status=403).scope is Scope.ACCOUNT


def test_a_model_the_key_may_not_use() -> None:
    assert read("permission denied for this model", status=403).scope is Scope.MODEL


@pytest.mark.parametrize(
    ("evidence", "kind", "rule"),
    [
        (Evidence(status=200), Kind.SERVER, "empty_answer"),
        (Evidence(status=204, body="", message=" \n"), Kind.SERVER, "empty_answer"),
        (Evidence(status=200, body='{"choices": [{"finish_reason": "stop"}]}'), Kind.SERVER, "empty_answer"),
        (Evidence(status=200, body='{"error": {"code": 429}}'), Kind.RATE_LIMIT, "status.429"),
        (Evidence(status=200, body='{"error": {"message": "odd"}}'), Kind.UNKNOWN, "unknown"),
        (Evidence(status=200, body='data: {"error": {"type": "server_error"}}\n\n'), Kind.SERVER, "code.server"),
        (
            Evidence(status=200, body='{"promptFeedback": {"blockReason": "SAFETY"}}'),
            Kind.CONTENT_FILTER,
            "code.content_filter",
        ),
        (Evidence(), Kind.UNKNOWN, "unknown"),
        (Evidence(message="gizmo"), Kind.UNKNOWN, "unknown"),
    ],
)
def test_empty_answers_and_errors_inside_successes(evidence: Evidence, kind: Kind, rule: str) -> None:
    failure = classify(evidence, NOW)
    assert (failure.kind, failure.rule) == (kind, rule)
    assert failure.scope in {Scope.MODEL, Scope.ACCOUNT, Scope.PROVIDER, Scope.NONE}


def test_a_server_failure_is_not_explained_by_the_words_around_it() -> None:
    for text in ("billing service down", "rate limit database down", "invalid api key cache", "model not found"):
        assert read(text, status=503).kind is Kind.SERVER


def test_politeness_is_no_wait() -> None:
    assert read("Invalid field. Please try again in 5 seconds", status=400).retry_after_s is None
    assert read("No such model, try again in 5 seconds", status=404).retry_after_s is None
    assert read("Insufficient balance, try again in 5 seconds", status=402).retry_after_s == 5


def pattern(match: str, kind: Kind = Kind.QUOTA, **rest: Any) -> ErrorPattern:
    return ErrorPattern(match=match, kind=kind, **rest)


def test_the_users_own_patterns_come_first() -> None:
    evidence = Evidence(provider="acme", status=400, message="The HAMSTER is tired, wait 9s", body='{"code": "x"}')
    patterns = [
        pattern("hamster", provider="other"),
        pattern("hamster", status=429),
        pattern("elephant"),
        pattern(r"hamster is \w+", provider="acme", status=400),
        pattern("hamster", kind=Kind.AUTH),
    ]
    failure = classify(evidence, NOW, patterns)
    assert (failure.rule, failure.kind, failure.scope, failure.switch) == (
        "pattern[3]",
        Kind.QUOTA,
        Scope.ACCOUNT,
        True,
    )
    assert failure.retry_after_s == 9
    assert classify(evidence, NOW, patterns[:3]).rule == "status.4xx"


@pytest.mark.parametrize(
    ("given_pattern", "expected"),
    [
        (pattern('"code": "x"', retry_after="2m"), (Kind.QUOTA, Scope.ACCOUNT, 120, True)),
        (pattern("tired", scope=Scope.MODEL), (Kind.QUOTA, Scope.MODEL, 9, True)),
        (pattern("tired", kind=Kind.BAD_REQUEST), (Kind.BAD_REQUEST, Scope.NONE, None, False)),
        (pattern("tired", kind=Kind.BAD_REQUEST, retry_after=7), (Kind.BAD_REQUEST, Scope.NONE, 7, False)),
        (pattern("tired", kind=Kind.AUTH), (Kind.AUTH, Scope.ACCOUNT, None, True)),
    ],
)
def test_what_a_pattern_decides(given_pattern: ErrorPattern, expected: tuple[Kind, Scope, float | None, bool]) -> None:
    failure = classify(Evidence(message="The hamster is tired, wait 9s", body='{"code": "x"}'), NOW, [given_pattern])
    assert (failure.kind, failure.scope, failure.retry_after_s, failure.switch) == expected


def test_patterns_see_a_bounded_text() -> None:
    evidence = Evidence(message="x" * PATTERN_TEXT + "hamster")
    assert classify(evidence, NOW, [pattern("hamster")]).rule == "unknown"
    assert classify(Evidence(), NOW, [pattern("^$")]).rule == "pattern[0]"


SECRET = "sk-1234567890-my-own-words"


@pytest.mark.parametrize("status", [None, 200, 400, 401, 402, 403, 404, 413, 429, 500, 503])
def test_why_never_repeats_the_provider(status: int | None) -> None:
    for text in (SECRET, f"rate limit {SECRET} per day", f"{SECRET} model not found", f"invalid api key {SECRET}"):
        failure = read(text, {"error": {"code": SECRET, "message": text}}, status=status)
        assert "sk-" not in failure.why
        assert "own-words" not in failure.rule
        assert failure.why


HOSTILE = {
    "brackets": "[" * 1_000_000,
    "objects": '{"a":' * 200_000,
    "lists of quotes": '["' * 500_000,
    "digits": "9" * 1_000_000,
    "a long number": '{"code": ' + "9" * 900_000 + "}",
    "quotes": "{'" * 500_000,
    "escapes": "{'" + "\\'" * 500_000,
    "tags": "<html>" + "<" * 1_000_000,
    "cues": "try again in " * 80_000,
    "durations": "again in 1h 2m 3s " * 60_000,
    "dates": "resets 2026-01-01 3pm " * 50_000,
    "model": "model " * 160_000,
    "exceeds": "exceeds the " * 80_000,
    "credits": "insufficient a a a " * 50_000,
    "fields": '"aaa":"b' * 120_000,
    "events": 'data: {"a": 1}\n' * 70_000,
    "many errors": json.dumps({"errors": [{"code": f"c{n}", "message": f"text number {n}"} for n in range(20_000)]}),
    "limits": "limit: 1,000 requested: 1,000 " * 30_000,
    "quoted": "'a' " * 250_000,
    "surrogates": "\ud800" * 1_000_000,
}


@pytest.mark.parametrize("name", HOSTILE)
def test_a_megabyte_of_hostile_text_takes_no_time(name: str) -> None:
    evidence = Evidence(provider="google", message=HOSTILE[name], body=HOSTILE[name])
    started = time.process_time()
    classify(evidence, NOW)
    assert time.process_time() - started < 1.0


TEXT = st.text(max_size=60) | st.sampled_from(
    [
        "rate limit",
        "insufficient_quota",
        "try again in 5h",
        "[1308][x]",
        "{'a': 1",
        '{"error": {"code": 429',
        "limit: 0",
    ]
)


EVIDENCE = st.builds(
    Evidence,
    provider=st.sampled_from([None, "google", "zai", "openrouter", "minimax", "x"]),
    status=st.integers(-5, 700) | st.none(),
    headers=st.dictionaries(st.sampled_from(["retry-after", "x-ratelimit-reset", "x-amzn-errortype"]), st.text()),
    message=TEXT | st.none(),
    body=TEXT | st.none(),
)


@given(EVIDENCE, st.floats(0, 4e9))
@settings(max_examples=200, deadline=None)
def test_every_answer_is_whole(evidence: Evidence, now: float) -> None:
    failure = classify(evidence, now)
    assert failure.why
    assert failure.rule
    assert failure.retry_after_s is None or 0 <= failure.retry_after_s <= LONGEST_WAIT_S
    assert failure.switch == (
        failure.kind not in {Kind.CONTEXT_OVERFLOW, Kind.BAD_REQUEST, Kind.CONTENT_FILTER, Kind.ABORTED}
    )
