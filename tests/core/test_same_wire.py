"""Steps that can go elsewhere only within their wire format: for editors whose turns must not be handed over."""

from typing import Any

import pytest

from sidecar.core.events import Mobility

from .world import RATE_LIMITED, World, model, provider, to

LONG_WAIT: dict[str, Any] = {**RATE_LIMITED, "headers": {"retry-after": "600"}}
SAME: Mobility = "same_wire"


@pytest.fixture
def world() -> World:
    """Alpha and beta speak one format, claude another."""
    return World(provider("alpha", "m1"), provider("claude", model("m1", wire="anthropic")), provider("beta", "m1"))


def refused(world: World, target: str, **facts: Any) -> Any:
    return world.refused(target, mobility=SAME, **(facts or LONG_WAIT))


def answered(world: World, target: str) -> None:
    world.attempt(target, mobility=SAME)
    world.outcome(target, "ok", status=200, mobility=SAME)


def test_it_goes_to_the_next_target_of_its_format_and_says_whose_name_stays_on_the_record(world: World) -> None:
    world.message("alpha/m1")
    decision = refused(world, "alpha/m1")
    assert to(decision) == "beta/m1"
    assert ("claude/m1", "wire") in [(r.target, r.code) for r in decision.rejected]
    assert decision.arrival is not None
    assert decision.arrival.message.endswith("OpenCode's own record names alpha/m1 all the same.")
    answered(world, "beta/m1")
    assert world.engine.snapshot(world.now).current == "beta/m1"


def test_every_step_of_a_long_turn_goes_there_and_only_the_first_is_told(world: World) -> None:
    world.message("alpha/m1")
    refused(world, "alpha/m1")
    answered(world, "beta/m1")
    for _ in range(10):
        decision = world.attempt("alpha/m1", mobility=SAME)
        assert to(decision) == "beta/m1"
        assert decision.arrival is None
        answered(world, "beta/m1")
    assert len(world.heard("switch")) == 1


def test_quick_steps_whose_messages_come_late_are_counted_where_each_was_answered(world: World) -> None:
    world.message("alpha/m1")
    refused(world, "alpha/m1")
    for _ in range(2):
        world.attempt("alpha/m1", mobility=SAME)
        answered(world, "beta/m1")
    for message in ("a1", "a2"):
        info = {"id": message, "sessionID": "s", "providerID": "alpha", "modelID": "m1", "agent": "build"}
        used = {"tokens": {"input": 10, "output": 5}, "time": {"completed": world.now * 1000}}
        world.events(("message.updated", {"info": {**info, **used}}))
    tokens = {p.id: p.counts.tokens_day for p in world.engine.snapshot(world.now).providers}
    assert (tokens["alpha"], tokens["beta"]) == (0, 30)


def test_the_next_message_may_go_anywhere(world: World) -> None:
    world.message("alpha/m1")
    refused(world, "alpha/m1")
    refused(world, "beta/m1")
    assert to(world.message("alpha/m1")) == "claude/m1"


def test_a_turn_only_another_format_could_save_ends_with_a_word_on_how_to_go_on(world: World) -> None:
    world.message("alpha/m1")
    refused(world, "alpha/m1")
    decision = refused(world, "beta/m1")
    assert (decision.action, decision.toast) == ("refuse", None)
    assert decision.reason.text.endswith("; send it again, then claude/m1 answers")


def test_where_nobody_at_all_is_free_the_soonest_is_named() -> None:
    world = World(provider("alpha", "m1"), provider("beta", "m1"))
    world.message("alpha/m1")
    refused(world, "alpha/m1")
    decision = refused(world, "beta/m1")
    assert decision.action == "refuse"
    assert decision.reason.text.endswith("soonest is beta/m1 in 10 min")


def test_a_turn_is_held_for_a_target_that_is_soon_free() -> None:
    world = World(provider("alpha", "m1"), provider("beta", "m1"))
    world.message("alpha/m1")
    refused(world, "alpha/m1")
    decision = refused(world, "beta/m1", **{**RATE_LIMITED, "headers": {"retry-after": "60"}})
    assert (decision.action, decision.reason.code) == ("wait", "resumes")
