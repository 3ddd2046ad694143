"""However many names come in, what is counted by name is bounded, and nothing that matters goes uncounted."""

import json

import pytest

from sidecar.config.models import Limits, PlanWindow
from sidecar.core.target import Target
from sidecar.core.usage import ledger as module
from sidecar.core.usage.ledger import Usage
from sidecar.core.usage.usage_state import OTHER

from .usage_world import NONE, SONNET, T0, learned, reloaded


@pytest.fixture(autouse=True)
def _narrow(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MOST_TARGETS", 3)
    monkeypatch.setattr(module, "MOST_TALLIES", 4)


def full(at: float = T0) -> Usage:
    usage = Usage()
    for name in ("one", "two", "three"):
        usage.attempt(Target("a", name), "build", at)
    return usage


def test_further_models_are_counted_together_and_for_their_provider() -> None:
    usage = full()
    for name in ("four", "five"):
        usage.attempt(Target("a", name), "build", T0)
        usage.spend(Target("a", name), "build", tokens=7, cost=0.5, at=T0)
    assert usage.counts("a", T0).day.requests == 5
    assert usage.counts("a", T0, model=OTHER).day == module.Amount(2, 14, 1.0)
    assert Target("a", "four") not in usage.targets()
    assert usage.full(Target("a", "four"), Limits(rpd=5), NONE, T0) is not None
    assert reloaded(usage, T0).counts("a", T0).day.requests == 5


def test_further_providers_are_counted_as_one() -> None:
    usage = full()
    for name in ("x", "y"):
        usage.attempt(Target(name, "m"), "build", T0)
    assert usage.targets()[-1] == Target(OTHER, OTHER)
    assert usage.counts(OTHER, T0).day.requests == 2


def test_limits_a_header_teaches_are_not_mixed_up_there() -> None:
    usage = full()
    usage.learn(Target("a", "four"), [learned()], T0)
    assert usage.full(Target("a", "four"), NONE, NONE, T0) is None
    assert usage.readings("a", NONE, T0, model=OTHER) == ()


def test_what_no_longer_matters_makes_room() -> None:
    usage = full()
    later = T0 + 3 * 86_400
    usage.attempt(Target("a", "two"), "build", later - 60)
    usage.learn(Target("a", "three"), [learned(resets_at=later + 60)], T0)
    usage.attempt(Target("b", "new"), "build", later)
    assert set(usage.targets()) == {Target("a", "two"), Target("a", "three"), Target("b", "new")}
    usage.attempt(Target("b", "newer"), "build", later)
    assert usage.counts("b", later, model=OTHER).day.requests == 1
    assert usage.counts("b", later).day.requests == 2


def test_a_provider_without_models_goes_unless_its_plan_window_runs() -> None:
    usage = full()
    usage.attempt(SONNET, "build", T0)
    week = Limits(plan=PlanWindow(length=7 * 86_400, requests=1))
    for known in ("a", OTHER):
        assert usage.counts(known, T0).day.requests > 0
    assert usage.full(Target("a", "one"), week, NONE, T0) is not None
    later = T0 + 3 * 86_400
    usage.attempt(Target("b", "m"), "build", later)
    assert usage.targets() == (Target("b", "m"),)
    assert usage.full(Target("a", "one"), week, NONE, later) is not None
    assert usage.counts(OTHER, later).day.requests == 0


def test_further_agents_are_counted_together() -> None:
    usage = full()
    for agent in ("plan", "explore", "review"):
        usage.attempt(Target("a", "one"), agent, T0)
    assert usage.agents("a") == ("build", OTHER, "plan")
    assert usage.counts("a", T0, agent=OTHER).day.requests == 2
    usage.attempt(Target("a", "one"), "plan", T0)
    assert usage.counts("a", T0, agent="plan").day.requests == 2


def test_a_reset_and_a_restart_know_how_much_room_there_is() -> None:
    usage = reloaded(full(), T0)
    usage.attempt(Target("a", "one"), "plan", T0)
    usage.attempt(Target("a", "one"), "explore", T0)
    usage.attempt(Target("a", "four"), "build", T0)
    assert usage.agents("a") == ("build", OTHER, "plan")
    assert OTHER in {target.model for target in usage.targets()}
    usage.reset()
    usage.attempt(Target("a", "one"), "explore", T0)
    assert usage.agents("a") == ("explore",)


def test_whatever_comes_in_the_state_stays_small() -> None:
    usage = Usage()
    for number in range(2_000):
        usage.attempt(Target(f"p{number % 50}", f"m{number}"), f"agent{number}", T0 + number)
    assert len(usage.targets()) <= 3 + 3 + 1
    assert len(json.dumps(usage.to_json())) < 60_000
    assert sum(usage.counts(name, T0 + 2_000).day.requests for name in {t.provider for t in usage.targets()}) == 2_000
