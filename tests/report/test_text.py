"""The report as people read it: whole pictures, and what must hold for any snapshot."""

from datetime import UTC, timedelta, timezone
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sidecar.core.snapshot import CountsInfo, ModelStatus, ProviderStatus, ReadingInfo, Snapshot
from sidecar.report.look import Look
from sidecar.report.text import render

NOW = 1_760_000_000.0  # Thursday, 2025-10-09 08:53:20 UTC


def reading(name: str, used: float, limit: float, **more: Any) -> ReadingInfo:
    unit: Any = "usd" if "usd" in name else "tokens" if name.startswith("tp") or "tokens" in name else "requests"
    defaults = {"full": used >= limit, "frees_at": None, "learned": name.startswith("learned")}
    return ReadingInfo(name=name, unit=unit, used=used, limit=limit, **(defaults | more))


def shown(*providers: ProviderStatus, current: str | None = None, **options: Any) -> str:
    look = Look(**{name: options.pop(name) for name in ("width", "color", "bars", "ascii") if name in options})
    return render(Snapshot(at=NOW, current=current, providers=providers), look, **({"zone": UTC} | options))


BUSY = ProviderStatus(
    id="anthropic",
    state="limited",
    why="rate limit",
    until=NOW + 250,
    error_count=3,
    last_failure="rate limit, 10 s ago",
    readings=(reading("rpd", 120, 1000), reading("learned_tokens", 12_345, 30_000)),
    counts=CountsInfo(
        requests_minute=50,
        requests_hour=70,
        requests_day=120,
        tokens_hour=5000,
        tokens_day=1_234_567,
        cost_hour=0.5,
        cost_day=1.5,
    ),
    models=(
        ModelStatus(
            id="claude-sonnet-4-5",
            state="unavailable",
            why="rate limit",
            until=NOW + 250,
            error_count=3,
            last_failure="rate limit, 10 s ago",
            readings=(reading("rpm", 50, 50, frees_at=NOW + 20),),
            counts=CountsInfo(requests_day=100, requests_hour=50),
            first_token_ms=812.0,
        ),
        ModelStatus(id="claude-haiku-4-5", state="available", counts=CountsInfo(requests_day=20, requests_hour=20)),
        ModelStatus(id="claude-never-used", state="available"),
    ),
    agents={"build": CountsInfo(requests_day=100), "plan": CountsInfo(requests_day=20), "idle": CountsInfo()},
)

PICTURE = """\
anthropic: ◐ Limited
  Requests: 120/1000 today, 70 this hour
  Tokens: 12.3k/30k (the provider's own limit), 5000 this hour, 1.2M today
  Cost: $0.50 this hour, $1.50 today
  By agent: build 100, plan 20 today
  Models:
    claude-sonnet-4-5: cooling down, first token after 812 ms
      Cooldown until 08:57:30 (in 4 min 10 s) — rate limit
      Requests: 50/50 this minute (room at 08:53:40), 50 this hour, 100 today
      Last error: rate limit, 10 s ago (3 errors)
    claude-haiku-4-5: available
      Requests: 20 today
openrouter: ✓ Available
  Requests: 12 today
Current Provider: openrouter (anthropic/claude-sonnet-4.5)
"""


def test_a_limited_provider_and_its_stand_in() -> None:
    stand_in = ProviderStatus(
        id="openrouter", state="available", counts=CountsInfo(requests_day=12, requests_hour=12, requests_minute=12)
    )
    assert shown(BUSY, stand_in, current="openrouter/anthropic/claude-sonnet-4.5") == PICTURE


def test_what_blocks_the_provider_is_said_once() -> None:
    counts = CountsInfo(requests_day=3, requests_hour=3)
    same: dict[str, Any] = {"state": "unavailable", "why": "payment needed", "until": NOW + 3600, "counts": counts}
    model = ModelStatus(id="m", **same)
    other = ModelStatus(id="n", state="unavailable", why="quota used up", until=NOW + 86_400)
    assert shown(ProviderStatus(id="a", models=(model, other), **same)) == (
        "a: ✗ Unavailable\n"
        "  Cooldown until 09:53:20 (in 1 h) — payment needed\n"
        "  Requests: 3 today\n"
        "  Models:\n"
        "    m: cooling down\n"
        "    n: cooling down\n"
        "      Cooldown until Fri 08:53 (in 1 d) — quota used up\n"
        "Current Provider: none used yet\n"
    )


def ailing(**more: Any) -> dict[str, Any]:
    return {"state": "unavailable", **more}


def used(*readings: ReadingInfo) -> dict[str, Any]:
    return {"state": "available", "readings": readings}


@pytest.mark.parametrize(
    ("status", "line"),
    [
        ({"state": "disabled", "why": "by hand"}, "Not used — by hand"),
        (
            {"state": "disabled", "why": "by hand", "until": NOW + 90},
            "Disabled until 08:54:50 (in 1 min 30 s) — by hand",
        ),
        (ailing(until=NOW + 60), "Cooldown until 08:54:20 (in 1 min)"),
        (ailing(until=NOW, why="x"), "Not used — x"),
        (ailing(until=NOW + 86_400 * 30, why="x"), "Cooldown until 2025-11-08 08:53 (in 30 d) — x"),
        (ailing(error_count=1, last_failure="rate limit, 2 h ago"), "Last error: rate limit, 2 h ago"),
        (used(reading("rpm", 50, 50)), "Requests: 50/50 this minute"),
        (used(reading("rph", 7, 9)), "Requests: 7/9 this hour"),
        (used(reading("tpm", 9_999, 10_000)), "Tokens: 9999/10k this minute"),
        (used(reading("tpd", 2_500_000, 1e9)), "Tokens: 2.5M/1G today"),
        (used(reading("usd_per_day", 1.234, 5)), "Cost: $1.23/$5.00 today"),
        (used(reading("plan_requests", 3, 40)), "Requests: 3/40 in the plan's window"),
        (used(reading("learned_requests", 3, 40)), "Requests: 3/40 (the provider's own limit)"),
    ],
)
def test_a_line_of_its_own(status: dict[str, Any], line: str) -> None:
    assert shown(ProviderStatus(id="a", **status)).splitlines()[1:-1] == [f"  {line}"]


def test_without_a_reason_nothing_is_made_up() -> None:
    assert shown(ProviderStatus(id="a", state="unavailable")).splitlines()[1:-1] == []


def test_limits_of_one_window_hide_its_bare_count() -> None:
    counts = CountsInfo(requests_hour=5, requests_day=9, tokens_hour=5, tokens_day=9, cost_hour=5, cost_day=9)
    readings = (reading("rph", 5, 10), reading("tpd", 9, 10), reading("usd_per_day", 9, 10))
    lines = shown(ProviderStatus(id="a", state="available", counts=counts, readings=readings)).splitlines()
    assert lines[1:-1] == [
        "  Requests: 5/10 this hour, 9 today",
        "  Tokens: 9/10 today, 5 this hour",
        "  Cost: $9.00/$10.00 today, $5.00 this hour",
    ]


def test_a_slow_first_token_is_given_in_seconds() -> None:
    model = ModelStatus(id="m", state="available", counts=CountsInfo(requests_day=1), first_token_ms=2_345)
    assert "    m: available, first token after 2.3 s\n" in shown(
        ProviderStatus(id="a", state="available", models=(model,))
    )


def test_nothing_known_yet() -> None:
    assert shown().startswith("Nothing is known yet")
    assert shown().endswith("Current Provider: none used yet\n")


def test_times_are_the_readers_own() -> None:
    cooling = ProviderStatus(id="a", state="unavailable", until=NOW + 60)
    assert "until 04:54:20" in shown(cooling, zone=timezone(timedelta(hours=-4)))
    # Late in the evening a minute later may be another day.
    assert "until Fri 00:00 (in 1 min)" in shown(cooling, zone=timezone(timedelta(hours=15, minutes=6)))


def test_colour_marks_the_verdict_and_nothing_else() -> None:
    text = shown(BUSY, color=True)
    assert text.startswith("anthropic: \033[33m◐ Limited\033[0m\n")
    assert text.replace("\033[33m", "").replace("\033[0m", "") == shown(BUSY)
    assert "Current Provider: \033[1ma (b)\033[0m\n" in shown(BUSY, current="a/b", color=True)


def test_control_characters_in_names_do_not_reach_the_terminal() -> None:
    text = shown(ProviderStatus(id="a\033[2J\n", state="available"), current="a\r/b")
    assert text == "a?[2J?: ✓ Available\nCurrent Provider: a? (b)\n"


@settings(max_examples=60, deadline=None)
@given(st.integers(40, 120), st.text("abc-/. ", min_size=1, max_size=30), st.floats(0, 1e7))
def test_every_line_fits_and_no_word_is_lost(width: int, name: str, ahead: float) -> None:
    provider = BUSY.model_copy(update={"id": "p" + name.strip(), "state": "unavailable", "until": NOW + ahead})
    text = shown(provider, width=width)
    assert all(len(line) <= width or " " not in line.strip() for line in text.splitlines())
    assert text.split() == shown(provider, width=10_000).split()


def test_documented_limits_are_shown_only_where_nothing_better_is_known() -> None:
    used = CountsInfo(requests_day=1)
    groq = ProviderStatus(
        id="groq", state="available", counts=used, documented={"rpm": 30}, documented_for="the free plan"
    )
    assert "  Documented, not enforced: rpm 30 for the free plan\n" in shown(groq)
    assert "Documented" not in shown(groq.model_copy(update={"readings": (reading("rpm", 1, 100),)}))
    assert "Documented" not in shown(groq.model_copy(update={"counts": CountsInfo()}))


WITH_BARS = """\
anthropic: ◐ Limited
  Requests: 120/1000 today         ███░░░░░░░░░░░░░░░░░░░░░  88 % left
            70 this hour
  Tokens:   12.3k/30k              ██████████░░░░░░░░░░░░░░  59 % left, the provider's own limit
            5000 this hour, 1.2M today
  Cost:     $0.50 this hour, $1.50 today
  By agent: build 100, plan 20 today
  Models:
    claude-sonnet-4-5: cooling down, first token after 812 ms
      Cooldown until 08:57:30 (in 4 min 10 s) — rate limit
      Requests: 50/50 this minute  ████████████████████████  0 % left, room at 08:53:40
                50 this hour, 100 today
      Last error: rate limit, 10 s ago (3 errors)
    claude-haiku-4-5: available
      Requests: 20 today
Current Provider: none used yet
"""


def test_with_bars_the_amounts_stand_in_columns() -> None:
    assert shown(BUSY, bars=True, width=100) == WITH_BARS


NARROW = """\
anthropic: ~ Limited
  Requests: 120/1000 today (88 % left)
            70 this hour
  Tokens:   12.3k/30k (59 % left)
            the provider's own limit
            5000 this hour, 1.2M today
  Cost:     $0.50 this hour, $1.50 today
  By agent: build 100, plan 20 today
  Models:
    claude-sonnet-4-5: cooling down,
        first token after 812 ms
      Cooldown until 08:57:30 (in 4 min
          10 s) - rate limit
      Requests: 50/50 this minute (0 % left)
                room at 08:53:40
                50 this hour, 100 today
      Last error: rate limit, 10 s ago
          (3 errors)
    claude-haiku-4-5: available
      Requests: 20 today
Current Provider: none used yet
"""


def test_a_narrow_terminal_without_signs_has_the_same_numbers() -> None:
    assert shown(BUSY, bars=True, width=40, ascii=True) == NARROW


def test_bars_are_green_then_yellow_then_red() -> None:
    readings = (reading("rpm", 1, 10), reading("rph", 8, 10), reading("rpd", 10, 10))
    text = shown(ProviderStatus(id="a", state="available", readings=readings), bars=True, color=True)
    assert [line.partition("\033[")[2][:2] for line in text.splitlines()[1:4]] == ["32", "33", "31"]


def test_a_limit_of_nothing_is_used_up() -> None:
    status = ProviderStatus(id="a", state="available", readings=(reading("rpm", 0, 0),))
    assert "0 % left" in shown(status, bars=True)


def test_problems_come_first_and_warnings_last() -> None:
    text = shown(problems=("the disk is full",), warnings=("providers.x: no connected provider 'x'",))
    assert text.startswith("! the disk is full\n")
    assert text.endswith("Warnings:\n  • providers.x: no connected provider 'x'\n")


def test_what_nobody_is_connected_to_is_not_called_available() -> None:
    assert shown(ProviderStatus(id="a", state="available", connected=False)).startswith("a: ○ Not connected\n")
    assert shown(ProviderStatus(id="a", state="disabled", connected=False)).startswith("a: ○ Disabled\n")
