import math
from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sidecar.core.refusals.waits import duration_s, moment_s, text_wait_s

NOW = datetime(2026, 3, 11, 14, 30, tzinfo=UTC).timestamp()  # a Wednesday
BEIJING = timezone(timedelta(hours=8))
MINUTE, HOUR, DAY = 60.0, 3600.0, 86400.0


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("12ms", 0.012),
        ("1.5s", 1.5),
        ("6m11.52s", 371.52),
        ("2m 5s", 125),
        ("125h58m", 125 * HOUR + 58 * MINUTE),
        ("3 days 4 hours", 3 * DAY + 4 * HOUR),
        ("1 hour, 2 minutes and 3 seconds", HOUR + 2 * MINUTE + 3),
        ("2 weeks", 14 * DAY),
        ("6hr 29min", 6 * HOUR + 29 * MINUTE),
        ("12:30:15", 12 * HOUR + 30 * MINUTE + 15),
        ("5 分钟", 300),
        ("2小时", 2 * HOUR),
        ("", None),
        ("12", None),
        ("5 apples", None),
        ("12:30", None),
        ("later 5s", None),
        ("5metres", None),
    ],
)
def test_durations(text: str, seconds: float | None) -> None:
    assert duration_s(text) == pytest.approx(seconds) if seconds is not None else duration_s(text) is None


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        ("30", 30),
        (" 1.5 ", 1.5),
        ("-5", -5),
        ("46s", 46),
        (str(NOW + 90), 90),
        (str(int((NOW + 90) * 1000)), 90),
        ("2026-03-11T14:31:00Z", 60),
        ("2026-03-11T15:31:00.250+01:00", 60),
        ("2026-03-11T10:31:00-0400", 60),
        ("2026-03-11 14:31", 60),
        ("2026-03-12", 9.5 * HOUR),
        ("Wed, 11 Mar 2026 14:31:00 GMT", 60),
        ("Wed, 11 Mar 2026 14:29:00 GMT", -60),
        ("Wed, 11 Mar 2026 14:31:00 -0000", 60),
        ("0001-01-01T00:00:00+08:00", -62135625600 - NOW),
        ("nan", None),
        ("inf", None),
        ("1e999", None),
        ("soon", None),
        ("", None),
        ("2026-13-45T99:00:00Z", None),
        ("Wed, 99 Mar 2026 14:31:00 GMT", None),
    ],
)
def test_values(value: str, seconds: float | None) -> None:
    assert moment_s(value, NOW) == pytest.approx(seconds) if seconds is not None else moment_s(value, NOW) is None


def test_a_date_without_a_zone_is_read_in_the_providers() -> None:
    assert moment_s("2026-03-11 22:31:00", NOW, BEIJING) == 60
    assert moment_s("2026-03-11 22:31:00 UTC", NOW, BEIJING) == 8 * HOUR + 60
    assert text_wait_s("resets at 22:31", NOW, BEIJING) == 60


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("please try again in 7m12.5s.", 432.5),
        ("retry after 7 seconds", 7),
        ("retry-after: 2 hours", 2 * HOUR),
        ("retry after 40", 40),
        ("retry_after_ms=1500", 1.5),
        ("wait about 20 minutes, then go on", 20 * MINUTE),
        ("your quota resets in 3 days 4 hours", 3 * DAY + 4 * HOUR),
        ("quota will be replenished in 12:30:15.", 12 * HOUR + 30 * MINUTE + 15),
        ("(reset after 4m 51s)", 291),
        ("5 minutes later it works again", 300),
        ("6h 2m until reset", 6 * HOUR + 2 * MINUTE),
        ("请在 30 秒后重试", 30),
        (f"limit reached|{int(NOW) + 300}", 300),
        (f"resets at {int(NOW) + 300}", 300),
        (f"reset: {(int(NOW) + 300) * 1000}", 300),
        ("resets 3pm", 30 * MINUTE),
        ("resets 3:15 p.m. (utc)", 45 * MINUTE),
        ("resets 12am", 9.5 * HOUR),
        ("resets 12pm", 21.5 * HOUR),
        ("resets at 14:45", 15 * MINUTE),
        ("resets at 14:00", 23.5 * HOUR),
        ("resets 8am (america/los_angeles)", 30 * MINUTE),
        ("resets 11:30 pm (asia/seoul)", DAY),
        ("resets 10:31am est", 61 * MINUTE),
        ("back at midnight pacific", 16.5 * HOUR),
        ("resets 4pm utc+1", 30 * MINUTE),
        ("resets 4pm gmt-1", 2.5 * HOUR),
        ("available again at 17:00 +02:00", 30 * MINUTE),
        ("resets at 10:00 -0500", 30 * MINUTE),
        ("resets 3pm (mars/olympus_mons)", 30 * MINUTE),
        ("resets thursday", 9.5 * HOUR),
        ("resets on fri at 9:00 am", 42.5 * HOUR),
        ("resets wed 9am", 7 * DAY - 5.5 * HOUR),
        ("try again at mar 12th, 2026 2:30 pm.", DAY),
        ("resets march 13", 33.5 * HOUR),
        ("resets jan 5, 3pm", 300 * DAY + 0.5 * HOUR),
        ("you regain access on 2026-03-11 at 15:30 utc", HOUR),
        ("your limit will reset at 2026-03-11 14:31:00", 60),
        ("reset at 2026-03-11 14:00:00", -30 * MINUTE),
        ("try again in 5s. the weekly limit resets in 2 days", 2 * DAY),
    ],
)
def test_waits_in_text(text: str, seconds: float) -> None:
    assert text_wait_s(text, NOW) == pytest.approx(seconds)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "rate limit reached",
        "please try again later",
        "resets monthly",
        "the model gpt-4o-2024-08-06 is busy, wait a moment",
        "released 2019-01-01; try again",
        "wait. exceeded your 5 hour limits",
        "5 seconds of audio",
        "retry after 12 requests",
        "wait for version 2.5",
        "resets at 25:99",
        "resets feb 31",
        "at 3pm",
        "resets 2026-99-99",
    ],
)
def test_text_that_names_no_wait(text: str) -> None:
    assert text_wait_s(text, NOW) is None


def test_a_moment_no_calendar_holds_is_no_wait() -> None:
    assert text_wait_s("resets 3pm", 1e18) is None
    assert text_wait_s("resets mon 3pm", datetime(9999, 12, 31, tzinfo=UTC).timestamp()) is None


@given(st.floats(0.001, 1e6))
@settings(max_examples=100, deadline=None)
def test_a_duration_in_text_is_read_as_it_was_written(seconds: float) -> None:
    written = f"{int(seconds // 3600)}h{int(seconds % 3600 // 60)}m{seconds % 60:.3f}s"
    assert text_wait_s(f"please try again in {written}.", NOW) == pytest.approx(seconds, abs=0.002)


@given(st.text(st.sampled_from("resets tryagain 0123456789:-/.|apmhsd\nmonfri()utc+z后\u0663"), max_size=120))
@settings(max_examples=200, deadline=None)
def test_never_raises_and_never_gives_nonsense(text: str) -> None:
    for wait in (text_wait_s(text, NOW), moment_s(text, NOW), duration_s(text)):
        assert wait is None or math.isfinite(wait)
