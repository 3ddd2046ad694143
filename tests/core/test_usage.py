"""Counting against a plain list of events; limits, learned limits, clocks that jump, saving and loading."""

import json
from collections.abc import Callable
from dataclasses import astuple, dataclass
from datetime import UTC, datetime, timedelta
from math import inf, nan, nextafter
from typing import Any

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from sidecar.config.models import Limits, PlanWindow
from sidecar.core.limits import LearnedLimit
from sidecar.core.target import Target
from sidecar.core.usage import ledger as module
from sidecar.core.usage.ledger import MOST_TOKENS, MOST_USD, Amount, Counts, Usage
from sidecar.core.usage.usage_state import MOST_AGENTS, MOST_LEARNED, OTHER

T0 = datetime(2026, 7, 1, 12, 0, tzinfo=UTC).timestamp()
SONNET = Target("anthropic", "claude-sonnet-4-5")
OPUS = Target("anthropic", "claude-opus-4-5")
ROUTER = Target("openrouter", "anthropic/claude-sonnet-4.5")
TARGETS = (SONNET, OPUS, ROUTER)
NONE = Limits()
WINDOWS = ((60, 1), (3600, 60), (86400, 900))


@dataclass(frozen=True)
class Event:
    """Something to be counted: `advance` seconds after the one before, reported `late` seconds late."""

    advance: float
    late: float
    target: Target
    agent: str
    tokens: int | None  # None is an attempt
    cost: float

    def record(self, usage: Usage, now: float) -> None:
        if self.tokens is None:
            usage.attempt(self.target, self.agent, now - self.late)
        else:
            usage.spend(self.target, self.agent, tokens=self.tokens, cost=self.cost, at=now - self.late)


def events(advances: st.SearchStrategy[float], late: tuple[float, ...] = (0.0,)) -> st.SearchStrategy[list[Event]]:
    event = st.builds(
        Event,
        advance=advances,
        late=st.sampled_from(late),
        target=st.sampled_from(TARGETS),
        agent=st.sampled_from(["plan", "build", "title"]),
        tokens=st.none() | st.integers(0, 10**6),
        cost=st.integers(0, 10**9).map(lambda nano: nano / 10**9),
    )
    return st.lists(event, max_size=40)


onward = st.sampled_from([0.0, 0.4, 1.0, 30.0, 60.0, 600.0, 3600.0]) | st.floats(0, 20_000)
counts_of_limits = st.just(0) | st.integers(1, 12)
limits = st.builds(
    Limits,
    rpm=counts_of_limits,
    rph=counts_of_limits,
    rpd=counts_of_limits,
    tpm=st.just(0) | st.integers(1, 10**6),
    tph=st.just(0) | st.integers(1, 10**6),
    tpd=st.just(0) | st.integers(1, 10**6),
    usd_per_day=st.just(0.0) | st.floats(0.001, 5.0),
    resets=st.sampled_from([None, "00:00 UTC", "14:15 Europe/Berlin", "14:07 UTC"]),
    plan=st.none()
    | st.builds(
        PlanWindow, length=st.sampled_from([3600.0, 18_000.0]), requests=counts_of_limits, tokens=counts_of_limits
    ),
)


def used_in_tests(*, requests: int = 1, at: float = T0, target: Target = SONNET, agent: str = "build") -> Usage:
    usage = Usage()
    for _ in range(requests):
        usage.attempt(target, agent, at)
    return usage


def learned(**changes: Any) -> LearnedLimit:
    return LearnedLimit(
        **{"unit": "requests", "limit": 50.0, "remaining": 0.0, "per_s": 60.0, "resets_at": T0 + 30, **changes}
    )


def reloaded(usage: Usage, at: float) -> Usage:
    return Usage.from_json(json.loads(json.dumps(usage.to_json(), allow_nan=False)), at)


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
    assert list(usage.daily("anthropic", back)) == ["2026-06-30"]
    assert usage.counts("anthropic", back, agent="build").minute.requests == 4
    assert usage.counts("anthropic", back + 61, agent="build").minute.requests == 0


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
    assert usage.daily("anthropic", T0) == {}
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


def test_daily_totals_are_utc_dates_newest_first_for_a_year() -> None:
    usage = Usage()
    midnight = datetime(2026, 7, 1, tzinfo=UTC)
    for days in range(400, -1, -1):
        usage.attempt(SONNET if days % 2 else OPUS, "build", (midnight - timedelta(days)).timestamp())
    usage.spend(OPUS, "plan", tokens=7, cost=0.25, at=midnight.timestamp() + 86399.9)
    found = usage.daily("anthropic", midnight.timestamp() + 86399.9)
    assert list(found) == [(midnight - timedelta(days)).date().isoformat() for days in range(366)]
    assert found["2026-07-01"] == Amount(1, 7, 0.25)
    assert found["2026-06-30"] == Amount(1, 0, 0.0)
    assert len(usage.daily("anthropic", T0, model=OPUS.model)) == 183
    assert list(usage.daily("anthropic", midnight.timestamp() + 366 * 86400)) == []


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


@pytest.mark.parametrize(
    ("told", "asked_at", "name", "used", "full"),
    [
        (learned(), T0, "learned_requests", 50, True),
        (learned(), nextafter(T0 + 30, -inf), "learned_requests", 50, True),
        (learned(remaining=20.0), T0, "learned_requests", 30, False),
        (learned(remaining=80.0), T0, "learned_requests", 0, False),
        (learned(unit="tokens"), T0, "learned_tokens", 50, True),
        (learned(resets_at=None), T0 + 59, "learned_requests", 50, False),
        (learned(resets_at=None, per_s=None), T0 + 3599, "learned_requests", 50, False),
    ],
)
def test_a_learned_limit_in_force(told: LearnedLimit, asked_at: float, name: str, used: float, *, full: bool) -> None:
    usage = Usage()
    usage.learn(SONNET, [told], T0)
    (reading,) = usage.readings("anthropic", NONE, asked_at, model=SONNET.model)
    assert (reading.name, reading.model, reading.used, reading.full) == (name, SONNET.model, used, full)
    assert reading.learned
    assert reading.frees_at == (told.resets_at if full else None)
    assert usage.full(SONNET, NONE, NONE, asked_at) == (reading if full else None)
    assert usage.headroom(SONNET, NONE, NONE, asked_at) == pytest.approx(1 - used / 50)
    assert usage.readings("anthropic", NONE, asked_at) == ()
    assert usage.full(OPUS, NONE, NONE, asked_at) is None


@pytest.mark.parametrize(
    ("told", "asked_at"),
    [
        (learned(), T0 + 30),
        (learned(resets_at=None), T0 + 60),
        (learned(resets_at=None, per_s=None), T0 + 3600),
        (learned(remaining=None), T0),
        (learned(resets_at=T0), T0),
        (learned(resets_at=nan), T0),
        (learned(limit=inf), T0),
        (learned(remaining=-1.0), T0),
        (learned(per_s=nan), T0),
        (learned(resets_at=inf), T0 + 366 * 86400),
    ],
)
def test_a_learned_limit_not_in_force(told: LearnedLimit, asked_at: float) -> None:
    usage = Usage()
    usage.learn(SONNET, [told], T0)
    assert usage.readings("anthropic", NONE, asked_at, model=SONNET.model) == ()
    assert usage.full(SONNET, NONE, NONE, asked_at) is None
    assert usage.headroom(SONNET, NONE, NONE, asked_at) == 1.0


def test_what_a_later_response_says_replaces_what_an_earlier_one_said_of_the_same_window() -> None:
    usage = Usage()
    usage.learn(SONNET, [learned(), learned(unit="tokens", limit=1000.0, remaining=1.0)], T0)
    usage.learn(SONNET, [learned(remaining=49.0, resets_at=T0 + 60)], T0 + 1)
    usage.learn(SONNET, [learned(remaining=0.0, resets_at=T0 + 9999)], T0 - 600)  # reported late
    found = usage.readings("anthropic", NONE, T0 + 1, model=SONNET.model)
    assert [(r.name, r.used) for r in found] == [("learned_tokens", 999), ("learned_requests", 1)]
    usage.learn(SONNET, [], T0 + 2)
    assert usage.readings("anthropic", NONE, T0 + 2, model=SONNET.model) == found


def test_limits_one_response_names_for_the_same_window_are_kept_side_by_side() -> None:
    usage = Usage()
    usage.learn(SONNET, [learned(unit="tokens", remaining=r) for r in (50.0, 0.0)], T0)
    assert [r.full for r in usage.readings("anthropic", NONE, T0, model=SONNET.model)] == [False, True]


def test_learned_limits_that_are_over_make_room() -> None:
    usage = Usage()
    usage.learn(SONNET, [learned(per_s=None, resets_at=T0 + 9000)], T0)
    usage.learn(SONNET, [learned(per_s=float(n)) for n in range(1, MOST_LEARNED)], T0)
    usage.learn(SONNET, [learned(unit="tokens", resets_at=T0 + 60)], T0 + 31)
    assert [r.name for r in usage.readings("anthropic", NONE, T0 + 31, model=SONNET.model)] == [
        "learned_requests",
        "learned_tokens",
    ]


def test_learned_limits_are_bounded() -> None:
    usage = Usage()
    usage.learn(SONNET, [learned(per_s=float(n)) for n in range(1, 100)], T0)
    assert len(usage.readings("anthropic", NONE, T0, model=SONNET.model)) == MOST_LEARNED


def test_a_configured_limit_hides_the_learned_one_of_its_window_unless_that_forbids_the_request() -> None:
    usage = Usage()
    mine = Limits(rpm=100)
    usage.learn(SONNET, [learned(remaining=10.0), learned(unit="tokens", remaining=25.0)], T0)
    assert [r.name for r in usage.readings("anthropic", mine, T0, model=SONNET.model)] == ["rpm", "learned_tokens"]
    assert usage.headroom(SONNET, NONE, mine, T0) == 0.5
    usage.learn(SONNET, [learned()], T0)
    found = usage.readings("anthropic", mine, T0, model=SONNET.model)
    assert [(r.name, r.full) for r in found] == [("rpm", False), ("learned_tokens", False), ("learned_requests", True)]
    assert usage.full(SONNET, NONE, mine, T0) == found[-1]


def test_the_window_that_stays_full_longest_is_named_whoever_set_it() -> None:
    usage = used_in_tests(requests=1)
    usage.learn(SONNET, [learned(resets_at=T0 + 30)], T0)
    for mine, models, name in [
        (Limits(rpm=1), NONE, "rpm"),
        (Limits(rpm=1), Limits(rph=1), "rph"),
        (Limits(rpd=1), Limits(rph=1), "rpd"),
        (NONE, NONE, "learned_requests"),
    ]:
        worst = usage.full(SONNET, mine, models, T0)
        assert worst is not None
        assert worst.name == name


def everything_used() -> Usage:
    usage = Usage()
    for target in TARGETS:
        usage.attempt(target, "build", T0 - 9000)
    for target in TARGETS:
        usage.attempt(target, "plan", T0 - 30)
        usage.spend(target, "plan", tokens=100, cost=0.5, at=T0 - 10)
        usage.learn(target, [learned()], T0 - 10)
    return usage


@pytest.mark.parametrize(
    ("arguments", "left"),
    [
        ((), ()),
        (("anthropic",), (ROUTER,)),
        (("anthropic", OPUS.model), (SONNET, ROUTER)),
        (("nobody",), TARGETS),
        (("anthropic", "nothing"), TARGETS),
    ],
)
def test_reset_counts_from_zero_but_keeps_the_record(arguments: tuple[str, ...], left: tuple[Target, ...]) -> None:
    usage = everything_used()
    before = usage.daily("anthropic", T0)
    usage.reset(*arguments)
    plan = Limits(plan=PlanWindow(requests=50))
    for target in TARGETS:
        kept = target in left
        assert usage.counts(target.provider, T0, model=target.model).day.requests == (2 if kept else 0)
        assert (usage.full(target, NONE, NONE, T0) is not None) == kept
        assert bool(usage.agents(target.provider, model=target.model)) == kept
    of_provider = sum(2 for target in left if target.provider == "anthropic")
    assert usage.counts("anthropic", T0).day.requests == of_provider
    (reading,) = usage.readings("anthropic", plan, T0)
    assert reading.used == (4 if of_provider else 0), "a plan window does not tell its models apart"
    assert usage.daily("anthropic", T0) == before


@given(recorded=events(onward, late=(0.0, 500.0)), mine=limits, rest=onward)
@settings(max_examples=60, deadline=None)
def test_saving_and_loading_changes_no_answer(recorded: list[Event], mine: Limits, rest: float) -> None:
    usage = Usage()
    now = T0
    for event in recorded:
        now += event.advance
        usage.full(event.target, mine, mine, now)
        event.record(usage, now)
        usage.learn(event.target, [learned(remaining=float(len(event.agent)), resets_at=now + 100)], now)
    now += rest
    again = reloaded(usage, now)
    for target in TARGETS:
        for model in (None, target.model):
            assert again.readings(target.provider, mine, now, model=model) == usage.readings(
                target.provider, mine, now, model=model
            )
            assert again.daily(target.provider, now, model=model) == usage.daily(target.provider, now, model=model)
            for agent in (None, "plan"):
                assert again.counts(target.provider, now, model=model, agent=agent) == usage.counts(
                    target.provider, now, model=model, agent=agent
                )
    assert again.to_json() == reloaded(again, now).to_json()


def test_a_plan_window_counts_tokens_of_the_provider_and_of_the_model() -> None:
    plan = Limits(plan=PlanWindow(tokens=100))
    usage = used_in_tests()
    for target, tokens in ((SONNET, 30), (OPUS, 20)):
        usage.spend(target, "build", tokens=tokens, cost=0.0, at=T0)
    assert [r.used for r in usage.readings("anthropic", plan, T0)] == [50]
    assert [r.used for r in usage.readings("anthropic", plan, T0, model=SONNET.model)] == [30]


def test_a_plan_window_stays_open_across_a_restart() -> None:
    mine = Limits(plan=PlanWindow(length=18_000.0, requests=2))
    usage = Usage()
    usage.full(SONNET, mine, NONE, T0)
    usage.attempt(SONNET, "build", T0 + 0.25)
    again = reloaded(usage, T0 + 60)
    again.attempt(SONNET, "build", T0 + 120)
    blocked = again.full(SONNET, mine, NONE, T0 + 120)
    assert blocked is not None
    assert blocked.frees_at == T0 + 18_000.25


def test_what_has_left_every_window_is_not_saved() -> None:
    usage = everything_used()
    usage.attempt(ROUTER, "build", T0 + 3 * 86400)
    saved = usage.to_json()["providers"]
    assert list(saved["anthropic"]["models"][OPUS.model]) == ["plan", "days"]
    assert list(saved["openrouter"]["models"][ROUTER.model]["agents"]) == ["build"]
    assert Usage().to_json() == {"providers": {}}
    used = used_in_tests()
    used.reset()
    assert list(used.to_json()["providers"]["anthropic"]["models"][SONNET.model]) == ["days"]


def test_a_state_saved_before_the_clock_went_back_counts_as_of_now() -> None:
    again = reloaded(used_in_tests(requests=2), T0 - 86400)
    assert again.counts("anthropic", T0 - 86400).minute.requests == 2
    assert again.full(SONNET, Limits(rpm=1), NONE, T0 - 86400 + 61) is None


def test_the_state_is_bounded_however_much_is_counted() -> None:
    usage = Usage()
    sizes = []
    for n in range(6000):
        usage.attempt(SONNET, "build", T0 + n * 45)
        usage.spend(SONNET, "build", tokens=5000, cost=0.0125, at=T0 + n * 45 + 20)
        if n % 1000 == 999:
            sizes.append(len(json.dumps(usage.to_json())))
    assert max(sizes) < 8000
    assert max(sizes[3:]) < 1.1 * min(sizes[3:])


@pytest.mark.parametrize(
    ("data", "place"),
    [
        ([], "Saved"),
        ({"providers": []}, "providers"),
        ({"providers": {"p": 1}}, "providers.p"),
        ({"providers": {"p": {"plan": [1.0, 2.0, 3]}}}, "providers.p.plan"),
        ({"providers": {"p": {"models": {"m": {"days": [[1, 2, 3]]}}}}}, "providers.p.models.m.days.0"),
        ({"providers": {"p": {"models": {"m": {"days": [[1, -2, 3, 0]]}}}}}, "providers.p.models.m.days.0.1"),
        ({"providers": {"p": {"models": {"m": {"days": [[1, 2, 3, nan]]}}}}}, "providers.p.models.m.days.0.3"),
        ({"providers": {"p": {"models": {"m": {"days": [[10**31, 2, 3, 0]]}}}}}, "providers.p.models.m.days.0.0"),
        (
            {"providers": {"p": {"models": {"m": {"agents": {"a": {"minutes": [[1.5, 1, 1, 0]]}}}}}}},
            "m.agents.a.minutes.0.0",
        ),
        ({"providers": {"p": {"models": {"m": {"learned": [{"unit": "requests"}]}}}}}, "m.learned.0.limit"),
    ],
)
def test_a_damaged_state_is_refused_with_its_place(data: object, place: str) -> None:
    with pytest.raises(ValueError, match="(?s)" + place.replace(".", r"\.")):
        Usage.from_json(data, T0)


def test_what_a_newer_version_added_is_left_alone() -> None:
    usage = Usage.from_json({"more": 1, "providers": {"p": {"models": {"m": {"more": []}}}}}, T0)
    assert usage.targets() == (Target("p", "m"),)


def test_rules_are_kept_for_a_bounded_number_of_limits(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_MOST_COMPILED", 3)
    usage = used_in_tests(requests=5)
    for limit in range(1, 20):
        assert (usage.full(SONNET, Limits(rpm=limit), NONE, T0) is not None) == (limit <= 5)
        assert len(usage._rules) <= 3
