"""Counting against a plain list of events; limits, and clocks that jump."""

from collections.abc import Callable
from dataclasses import astuple
from math import inf, nan, nextafter
from typing import Any

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from sidecar.config.models import Limits, PlanWindow
from sidecar.core.usage.ledger import MOST_TOKENS, MOST_USD, Amount, Counts, Usage
from sidecar.core.usage.usage_state import MOST_AGENTS, OTHER

from .usage_world import (
    NONE,
    OPUS,
    ROUTER,
    SONNET,
    T0,
    TARGETS,
    WINDOWS,
    Event,
    events,
    learned,
    limits,
    onward,
    used_in_tests,
)


@given(recorded=events(onward, late=(0.0, 0.0, 0.2, 40.0, 4000.0)))
@settings(max_examples=80, deadline=None)
def test_counts_are_those_of_a_plain_list_within_one_bucket(recorded: list[Event]) -> None:
    usage = Usage()
    stamped: list[tuple[float, Event]] = []
    now = T0
    for event in recorded:
        now += event.advance
        event.record(usage, now)
        stamped.append((now - event.late, event))

    def plain(since: float, keep: Callable[[Event], bool]) -> tuple[int, int, float]:
        kept = [e for when, e in stamped if when > since and keep(e)]
        spent = [e for e in kept if e.tokens is not None]
        nano = sum(round(e.cost * 10**9) for e in spent)
        return len(kept) - len(spent), sum(e.tokens or 0 for e in spent), nano / 10**9

    scopes: list[tuple[Counts, Callable[[Event], bool]]] = [
        (usage.counts("anthropic", now), lambda e: e.target.provider == "anthropic"),
        (usage.counts("anthropic", now, model=OPUS.model), lambda e: e.target == OPUS),
        (
            usage.counts("anthropic", now, agent="plan"),
            lambda e: e.target.provider == "anthropic" and e.agent == "plan",
        ),
        (
            usage.counts("openrouter", now, model=ROUTER.model, agent="build"),
            lambda e: e.target == ROUTER and e.agent == "build",
        ),
    ]
    for counts, keep in scopes:
        for (window, step), got in zip(WINDOWS, (counts.minute, counts.hour, counts.day), strict=True):
            least, most = plain(now - window, keep), plain(now - window - step, keep)
            assert all(a <= b <= c for a, b, c in zip(least, astuple(got), most, strict=True))


@given(recorded=events(onward))
@settings(max_examples=50, deadline=None)
def test_agents_add_up_to_models_and_models_to_providers(recorded: list[Event]) -> None:
    usage = Usage()
    now = T0
    for event in recorded:
        now += event.advance
        event.record(usage, now)

    def total(parts: list[Counts]) -> tuple[Any, ...]:
        rows = [[astuple(window) for window in (c.minute, c.hour, c.day)] for c in parts]
        return tuple(tuple(round(sum(row[w][c] for row in rows), 9) for c in range(3)) for w in range(3))

    for provider in ("anthropic", "openrouter"):
        models = [t.model for t in usage.targets() if t.provider == provider]
        whole = total([usage.counts(provider, now)])
        assert whole == total([usage.counts(provider, now, model=m) for m in models])
        assert whole == total([usage.counts(provider, now, agent=a) for a in usage.agents(provider)])
        assert whole == total(
            [usage.counts(provider, now, model=m, agent=a) for m in models for a in usage.agents(provider, model=m)]
        )


@given(recorded=events(onward), mine=limits, models=limits, switch_at=st.sampled_from([100.0, 90.0, 50.0]))
@settings(max_examples=80, deadline=None)
def test_a_full_window_frees_at_the_moment_it_names(
    recorded: list[Event], mine: Limits, models: Limits, switch_at: float
) -> None:
    usage = Usage()
    now = T0
    usage.attempt(SONNET, "build", now)
    usage.full(SONNET, mine, models, now)
    for event in recorded:
        now += event.advance
        event.record(usage, now)

    def readings(at: float) -> dict[tuple[str, str | None], Any]:
        both = (
            *usage.readings("anthropic", mine, at, switch_at=switch_at),
            *usage.readings("anthropic", models, at, model=SONNET.model, switch_at=switch_at),
        )
        return {(r.name, r.model): r for r in both}

    present = readings(now)
    blocked = {key: r for key, r in present.items() if r.full}
    worst = usage.full(SONNET, mine, models, now, switch_at=switch_at)
    assert (worst is None) == (not blocked)
    assert worst is None or worst.frees_at == max(r.frees_at for r in blocked.values())
    for reading in present.values():
        threshold = reading.limit * switch_at / 100
        assert reading.full == (reading.used >= threshold) or reading.used == pytest.approx(threshold)
        assert (reading.frees_at is None) == (not reading.full)
    for key, reading in blocked.items():
        assert reading.frees_at > now
        assert readings(nextafter(reading.frees_at, -inf))[key].full
        assert not readings(reading.frees_at)[key].full
    shares = [r.share for r in readings(now).values()]
    assert usage.headroom(SONNET, mine, models, now) == pytest.approx(max(0.0, 1 - max(shares, default=0)))


@given(recorded=events(st.floats(-200_000, 200_000) | st.sampled_from([-0.5, -1.0, -3600.0, 1e8, -1e8])), mine=limits)
@settings(max_examples=80, deadline=None)
def test_clock_jumps_are_harmless(recorded: list[Event], mine: Limits) -> None:
    usage = Usage()
    now = T0
    for event in recorded:
        now += event.advance
        assume(now > 0)
        event.record(usage, now)
        blocked = usage.full(event.target, mine, mine, now)
        assert blocked is None or blocked.frees_at is None or now < blocked.frees_at <= now + 26 * 3600
        counts = usage.counts(event.target.provider, now)
        whole = (counts.minute, counts.hour, counts.day)
        assert all(number >= 0 for window in whole for number in astuple(window))
        assert counts.minute.requests + counts.minute.tokens >= (event.tokens or 0)
        assert counts.minute.requests <= counts.hour.requests <= counts.day.requests
    for target in TARGETS:
        for reading in usage.readings(target.provider, mine, now, model=target.model):
            window = {"m": 60 + 1, "h": 3600 + 60, "d": 86400 + 900}.get(reading.name[2], 26 * 3600)
            longest = (mine.plan.length if mine.plan else 0) if reading.name.startswith("plan") else window
            longest = 26 * 3600 if mine.resets and reading.name[2] == "d" else longest
            assert reading.frees_at is None or reading.frees_at <= now + longest + 1
        assert usage.full(target, mine, mine, now + 27 * 3600) is None


def test_after_the_clock_went_back_what_lies_ahead_counts_as_of_now_and_only_for_its_own_window() -> None:
    usage = used_in_tests(requests=3, at=T0)
    mine = Limits(rpm=3, plan=PlanWindow(length=3600.0, requests=3))
    usage.full(SONNET, mine, NONE, T0)
    usage.attempt(SONNET, "build", T0)
    back = T0 - 86400
    found = {r.name: r.frees_at for r in usage.readings("anthropic", mine, back)}
    assert found == {"rpm": back + 61, "plan_requests": back + 3600}
    assert usage.full(SONNET, mine, NONE, back + 3600) is None
    assert usage.counts("anthropic", back, agent="build").minute.requests == 4
    assert usage.counts("anthropic", back + 61, agent="build").minute.requests == 0


def test_a_learned_limit_older_than_the_step_back_of_the_clock_keeps_its_time() -> None:
    usage = Usage()
    usage.learn(SONNET, [learned()], T0)
    usage.attempt(SONNET, "build", T0 + 20)
    (reading,) = usage.readings("anthropic", NONE, T0 + 10, model=SONNET.model)
    assert reading.frees_at == T0 + 30


def test_a_learned_limit_does_not_outlive_its_wait_after_the_clock_went_back() -> None:
    usage = Usage()
    usage.learn(SONNET, [learned(resets_at=T0 + 30)], T0)
    blocked = usage.full(SONNET, NONE, NONE, T0 - 5000)
    assert blocked is not None
    assert blocked.frees_at == T0 - 4970
    assert usage.full(SONNET, NONE, NONE, T0 - 4970) is None


def test_nothing_is_full_before_anything_was_sent() -> None:
    usage = Usage()
    everything = Limits(rpm=1, tpd=1, usd_per_day=0.01, resets="00:00 UTC", plan=PlanWindow(requests=1))
    assert usage.full(SONNET, everything, everything, T0) is None
    assert usage.headroom(SONNET, everything, everything, T0) == 1.0
    assert [(r.name, r.used, r.full) for r in usage.readings("anthropic", everything, T0)] == [
        ("rpm", 0, False),
        ("tpd", 0, False),
        ("usd_per_day", 0, False),
        ("plan_requests", 0, False),
    ]
    assert usage.counts("anthropic", T0) == Counts(Amount(), Amount(), Amount())
    assert usage.targets() == ()
    assert usage.agents("anthropic") == ()


def test_another_model_feels_only_the_providers_limit() -> None:
    usage = used_in_tests(requests=2)
    assert usage.full(OPUS, NONE, Limits(rpm=1), T0) is None
    assert usage.headroom(OPUS, Limits(rpm=4), Limits(rpm=1), T0) == 0.5
    blocked = usage.full(OPUS, Limits(rpm=2), Limits(rpm=1), T0)
    assert blocked is not None
    assert (blocked.name, blocked.model) == ("rpm", None)


def test_an_attempt_over_the_limit_is_counted_and_headroom_ends_at_zero() -> None:
    usage = used_in_tests(requests=5)
    (reading,) = usage.readings("anthropic", Limits(rpm=2), T0)
    assert (reading.used, reading.limit, reading.full) == (5, 2, True)
    assert isinstance(reading.used, int)
    assert usage.headroom(SONNET, Limits(rpm=2), NONE, T0) == 0.0


@pytest.mark.parametrize(
    ("tokens", "cost"),
    [(-1, 0.0), (0, -0.01), (0, nan), (0, inf), (MOST_TOKENS + 1, 0.0), (0, MOST_USD * 1.01)],
)
def test_what_cannot_have_been_spent_is_refused(tokens: int, cost: float) -> None:
    usage = Usage()
    with pytest.raises(ValueError, match="cannot be counted"):
        usage.spend(SONNET, "build", tokens=tokens, cost=cost, at=T0)
    assert usage.targets() == ()


def test_cost_adds_up_without_drift() -> None:
    usage = Usage()
    for _ in range(10_000):
        usage.spend(SONNET, "build", tokens=1, cost=0.1, at=T0)
    assert usage.counts("anthropic", T0).day == Amount(0, 10_000, 1000.0)
    assert usage.counts("anthropic", T0 + 100_000).day == Amount(0, 0, 0.0)


def test_agents_beyond_the_most_are_counted_together_until_others_were_idle_for_more_than_two_days() -> None:
    usage = Usage()
    for n in range(MOST_AGENTS + 10):
        usage.attempt(SONNET, f"agent-{n:03}", T0)
        usage.attempt(SONNET, f"agent-{n:03}", T0)
    assert usage.agents("anthropic") == (*(f"agent-{n:03}" for n in range(MOST_AGENTS)), OTHER)
    assert usage.counts("anthropic", T0, agent=OTHER).day.requests == 20
    assert usage.counts("anthropic", T0).day.requests == 2 * (MOST_AGENTS + 10)
    usage.attempt(SONNET, "agent-000", T0 + 2 * 86400)
    usage.attempt(SONNET, "new", T0 + 3 * 86400)
    assert usage.agents("anthropic") == ("agent-000", "new")
