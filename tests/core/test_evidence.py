import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sidecar.core.failure import Evidence
from sidecar.core.refusals.evidence import LOOKED_AT, Findings, dig, normalise


def body(value: object, **rest: object) -> Findings:
    return dig(Evidence(body=json.dumps(value), **rest))  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("code", "normal"),
    [
        ("ThrottlingException", "throttling_exception"),
        ("Throttling.RateQuota", "throttling_rate_quota"),
        ("RESOURCE_EXHAUSTED", "resource_exhausted"),
        ("APIError", "api_error"),
        ("rate-limited:pro", "rate_limited_pro"),
        ("余额", ""),
    ],
)
def test_codes_are_written_one_way(code: str, normal: str) -> None:
    assert normalise(code) == normal


@pytest.mark.parametrize(
    "value",
    [
        {"error": {"code": "quota_gone", "message": "nothing left"}},
        {"type": "error", "error": {"type": "quota_gone", "message": "nothing left"}},
        {"errors": [{"code": "quota_gone", "message": "nothing left"}]},
        [{"error": {"code": "quota_gone", "message": "nothing left"}}],
        {"detail": [{"type": "quota_gone", "msg": "nothing left"}]},
        {"name": "quota_gone", "data": {"message": "nothing left"}},
        {"error": {"metadata": {"raw": json.dumps({"error": {"code": "quota_gone", "message": "nothing left"}})}}},
        {"data": {"responseBody": json.dumps({"code": "quota_gone", "detail": "nothing left"})}},
        {"error": "nothing left", "code": "quota_gone"},
        {"errors": ["nothing left"], "code": "quota_gone"},
        {"base_resp": {"status_msg": "nothing left", "reason": "quota_gone"}},
    ],
)
def test_every_wrapping_comes_off(value: object) -> None:
    findings = body(value)
    assert "quota_gone" in findings.codes
    assert "nothing left" in findings.text.splitlines()


def test_json_and_words_of_a_message_are_both_read() -> None:
    findings = dig(Evidence(message="Upstream said: {'code': 'quota_gone', 'message': 'nothing left'} (second try)"))
    assert findings.codes == ("quota_gone",)
    assert findings.text.splitlines() == ["nothing left", "upstream said: (second try)"]


@pytest.mark.parametrize(
    ("text", "codes"),
    [
        ("user_limited:free", ("user_limited_free",)),
        ("litellm.BadThing: no", ("bad_thing",)),
        ("litellm.RateLimitError: no", ("rate_limit_error",)),
        ("ThrottlingException: no", ("throttling_exception",)),
        ("AI_NoSuchModelError: no", ("no_such_model_error", "ai_no_such_model_error")),
        ("some_code: no", ("some_code",)),
        ("no. Error Code: some_code", ("some_code",)),
        ('no, quota_id: "PerDayThing-Free"', ("per_day_thing_free",)),
        ("The Error was in the Exception of mine", ()),
        ("code: word", ()),
    ],
)
def test_codes_written_inside_text(text: str, codes: tuple[str, ...]) -> None:
    assert tuple(dict.fromkeys(dig(Evidence(message=text)).codes)) == codes


@pytest.mark.parametrize(
    ("text", "numbers"),
    [
        ("[1308][used up][20260101]", (1308,)),
        ("rejected (429) · [1113][no balance]", (1113,)),
        ("usage exceeded (2056)", (2056,)),
        ("error 1310: over", (1310,)),
        ("error code: 33650", (33650,)),
        ("prompt has 1308 words of 2056 (2056 max)", ()),
    ],
)
def test_business_numbers_written_inside_text(text: str, numbers: tuple[int, ...]) -> None:
    assert dig(Evidence(message=text)).numbers == numbers


def test_numbers_in_code_fields() -> None:
    findings = body({"error": {"code": 1302}, "base_resp": {"status_code": "-2056"}, "status": 200})
    assert findings.numbers == (1302, 2056)
    assert findings.status is None
    assert body({"code": "-" * 20 + "7" * 30}).numbers == (777777777777,)


@pytest.mark.parametrize(
    ("message", "status", "counts"),
    [
        ("503 Service Unavailable", None, 503),
        ('429 {"error": {}}', None, 429),
        ("429: slow", None, 429),
        ("[400] Bad thing", None, 400),
        ("HTTP 404 on that", None, 404),
        ("request failed with status code 502", None, 502),
        ("Error code: 401 - no", None, 401),
        ("Error from provider(somebody, model: 429): full", None, 429),
        ("429 status code (no body)", None, 429),
        ("503 Service Unavailable", 200, 503),
        ("503 Service Unavailable", 401, 401),
        ("500 tokens are too many", None, None),
        ("model x-0429 is gone", None, None),
        ("width 503 is odd", None, None),
        ("code 42.429", None, None),
        ("nothing", 200, 200),
    ],
)
def test_a_status_stated_in_text_counts_where_nobody_knows_better(
    message: str, status: int | None, counts: int | None
) -> None:
    assert dig(Evidence(message=message, status=status)).status == counts


def test_the_innermost_status_counts() -> None:
    inner = json.dumps({"error": {"code": 429, "message": "x"}})
    assert body({"error": {"code": 502, "metadata": {"raw": inner}}}, status=502).status == 429


def test_echoed_prompts_are_not_read() -> None:
    findings = body(
        {
            "error": {"message": "bad input", "failed_generation": "code: insufficient_quota", "flagged_input": "429:"},
            "detail": [{"msg": "bad field", "input": {"error": {"code": "rate_limited"}}}],
            "choices": [{"message": {"content": "quota", "tool_calls": [{"function": {"name": "get_billing"}}]}}],
            "requestBodyValues": {"message": "rate limit"},
        }
    )
    assert findings.text.splitlines() == ["bad input", "bad field"]
    assert findings.codes == ()
    assert findings.status is None


@pytest.mark.parametrize(
    ("message", "text"),
    [
        ("Cannot use. 'failed_generation': 'rate limit'", "cannot use."),
        ("1 error for body [type=x, input_value='rate limit', input_type=str]", "1 error for body [type=x,"),
        ("Unknown tool 'rate_limit_checker'", "unknown tool ''"),
        ("Invalid value: 'rate limit exceeded'. Use `a`", "invalid value: ''. use ''"),
        ("keep 'quoted words' and it's fine", "keep 'quoted words' and it's fine"),
    ],
)
def test_quoted_names_and_values_are_not_the_errors_words(message: str, text: str) -> None:
    assert dig(Evidence(message=message)).text == text


def test_html_is_read_as_text() -> None:
    page = "<!DOCTYPE html><html><head><title>Bad day</title></head><body>&nbsp;<p>Try&bull;later</p></body></html>"
    findings = dig(Evidence(message=page))
    assert findings.markup
    assert findings.text == "bad day try later"


def test_headers_of_the_response_win_over_those_quoted_in_the_body() -> None:
    value = {"metadata": {"headers": {"X-RateLimit-Reset": 5, "Retry-After": "9", "list": ["a", "b"], "none": None}}}
    findings = body(value, headers={"retry-after": "1"})
    assert dict(findings.headers) == {"retry-after": "1", "x-ratelimit-reset": "5", "list": "a"}


def test_amazon_names_the_exception_in_a_header() -> None:
    assert dig(Evidence(headers={"x-amzn-errortype": "SomeException:http://x/"})).codes == ("some_exception",)


def test_fields_that_speak_of_time() -> None:
    value = {
        "resets_at": 5,
        "retryDelay": "7s",
        "reset": "8",
        "retry": "9",
        "wait": 1,
        "quotaResetDelay": "2h",
        "reset_id": 3,
    }
    assert body(value).resets == (("resetsat", "5"), ("retrydelay", "7s"), ("reset", "8"), ("quotaresetdelay", "2h"))


def test_families_of_the_provider_and_of_those_it_relays() -> None:
    value = {"error": {"metadata": {"provider_name": "Z.AI", "raw": "see https://ai.google.dev/limits"}}}
    findings = body(value, provider="openrouter")
    assert findings.families == ("openrouter", "zai", "google")
    assert findings.relayed


def test_a_quota_of_zero_is_written_out() -> None:
    assert body({"violations": [{"quotaValue": "0"}]}).text == "limit: 0"


def test_prose_in_a_codes_place_is_text() -> None:
    findings = body({"code": "The caller may not do any of this"})
    assert findings.codes == ()
    assert findings.text == "the caller may not do any of this"


def test_lists_may_hold_anything_between_what_is_said() -> None:
    assert body({"errors": [7, None, True, "nothing left"]}).text == "nothing left"


def test_repetitions_are_said_once() -> None:
    assert dig(Evidence(message="Full", body='{"error": {"message": "Full"}}')).text == "full"


def test_the_tail_of_a_long_body_is_seen() -> None:
    findings = dig(Evidence(body="x" * LOOKED_AT + ' {"code": "at_the_end"} (reset after 4m)'))
    assert findings.codes == ("at_the_end",)


def test_depth_is_bounded() -> None:
    value: object = {"code": "too_deep"}
    for _ in range(40):
        value = {"error": value}
    assert body(value).codes == ()
    quoted = json.dumps({"code": "quoted_too_deep"})
    for _ in range(7):
        quoted = json.dumps({"error": quoted})
    assert "quoted_too_deep" not in dig(Evidence(body=quoted)).codes


def test_the_number_of_fields_is_bounded() -> None:
    many = {f"k{index}": index for index in range(4_000)}
    assert body({**many, "code": "after_many"}).codes == ()
    assert body([""] * 4_000 + [{"code": "after_many"}]).codes == ()


JSON = st.recursive(
    st.none() | st.booleans() | st.floats() | st.integers() | st.text(max_size=20),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(["error", "code", "message", "status", "raw", "headers", "reset", "x"]), inner, max_size=4
        )
    ),
    max_leaves=20,
)


@given(JSON, st.text(max_size=50), st.integers() | st.none(), st.dictionaries(st.text(max_size=5), st.text(max_size=9)))
@settings(max_examples=150, deadline=None)
def test_never_raises(value: object, message: str, status: int | None, headers: dict[str, str]) -> None:
    findings = dig(Evidence(message=message, body=json.dumps(value), status=status, headers=headers))
    assert all(code == normalise(code) for code in findings.codes)
    assert findings.text == findings.text.lower()
