"""Reset, saving and loading: no answer changes, and the state stays bounded."""

import json
from math import nan

import pytest
from hypothesis import given, settings

from sidecar.config.models import Limits, PlanWindow
from sidecar.core.target import Target
from sidecar.core.usage import ledger as module
from sidecar.core.usage.ledger import Usage

from .usage_world import (
    NONE,
    OPUS,
    ROUTER,
    SONNET,
    T0,
    TARGETS,
    Event,
    events,
    learned,
    limits,
    onward,
    reloaded,
    used_in_tests,
)


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
def test_reset_counts_from_zero(arguments: tuple[str, ...], left: tuple[Target, ...]) -> None:
    usage = everything_used()
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
    assert list(saved["anthropic"]["models"][OPUS.model]) == ["plan"]
    assert list(saved["openrouter"]["models"][ROUTER.model]["agents"]) == ["build"]
    assert Usage().to_json() == {"providers": {}}
    used = used_in_tests()
    used.reset()
    assert used.to_json() == {"providers": {"anthropic": {}}}


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
        (
            {"providers": {"p": {"models": {"m": {"agents": {"a": {"quarters": [[1, 2, 3]]}}}}}}},
            "m.agents.a.quarters.0",
        ),
        (
            {"providers": {"p": {"models": {"m": {"agents": {"a": {"quarters": [[1, -2, 3, 0]]}}}}}}},
            "m.agents.a.quarters.0.1",
        ),
        (
            {"providers": {"p": {"models": {"m": {"agents": {"a": {"quarters": [[1, 2, 3, nan]]}}}}}}},
            "m.agents.a.quarters.0.3",
        ),
        (
            {"providers": {"p": {"models": {"m": {"agents": {"a": {"quarters": [[10**31, 2, 3, 0]]}}}}}}},
            "m.agents.a.quarters.0.0",
        ),
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
