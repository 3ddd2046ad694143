"""What is no step of the running turn: titles and compactions, probes, reports that come late or twice."""

from typing import Any

import pytest

from sidecar.core.events import Needs

from .world import RATE_LIMITED, World, model, provider, to

PLENTY = [provider("alpha", "m1", "small"), provider("beta", "m1", "small"), provider("gamma", "m1", "small")]
SHORT_WAIT: dict[str, Any] = {**RATE_LIMITED, "headers": {"retry-after": "3"}}
LONG_WAIT: dict[str, Any] = {**RATE_LIMITED, "headers": {"retry-after": "600"}}


@pytest.fixture
def world() -> World:
    return World(*PLENTY)


def test_a_title_goes_to_a_target_of_its_own_wire_and_moves_nothing_else() -> None:
    world = World(
        provider("alpha", "m1", "mini-1b"),
        provider("claude", model("mini-1b", wire="anthropic")),
        provider("beta", "m1", "mini-1b"),
    )
    world.message("alpha/m1")
    of_the_model = {
        "status": 429,
        "body": '{"error":{"message":"Rate limit reached for model `mini-1b`, retry in 600s"}}',
    }
    world.refused("alpha/mini-1b", agent="title", mobility="reroute", **of_the_model)
    decision = world.attempt("alpha/mini-1b", agent="title", mobility="reroute")
    assert to(decision) == "beta/mini-1b"
    assert ("claude/mini-1b", "wire") in [(r.target, r.code) for r in decision.rejected]
    assert decision.arrival is None
    assert world.attempt("alpha/m1").action == "proceed"
    assert world.message("alpha/m1").action == "proceed"


def test_a_key_that_was_refused_is_not_said_to_heal_by_itself(world: World) -> None:
    world.message("alpha/m1")
    decision = world.refused("alpha/m1", status=401, body="Invalid API key")
    assert decision.arrival is not None
    assert decision.arrival.message == "alpha/m1: key refused, tried again in 30 min."


def test_titles_do_not_use_up_the_hops_of_their_turn() -> None:
    world = World(*PLENTY, config={"max_hops": 1})
    world.message("alpha/m1")
    assert world.refused("alpha/m1", agent="title", mobility="reroute", **LONG_WAIT).action == "switch"
    assert world.attempt("alpha/m1").action == "switch"


def test_a_title_nobody_can_answer_is_not_sent() -> None:
    world = World(provider("alpha", "m1", "small"), provider("beta", "other"))
    world.engine.configure(world.engine.config("").model_copy(update={"allow": ["nothing/*"]}), world.now)
    world.message("alpha/m1")
    decision = world.refused("alpha/small", agent="title", mobility="reroute", **LONG_WAIT)
    assert decision.action == "refuse"
    assert world.attempt("alpha/small", agent="title", mobility="reroute").action == "refuse"
    assert decision.toast is None


def test_a_request_that_cannot_be_moved_is_sent(world: World) -> None:
    world.message("alpha/m1")
    decision = world.refused("alpha/m1", mobility="fixed", **LONG_WAIT)
    assert (decision.action, decision.reason.code) == ("proceed", "fixed")
    assert world.attempt("alpha/m1", mobility="fixed").action == "proceed"


# -- the probe ---------------------------------------------------------------------------------------------------


def test_after_a_cooldown_one_session_probes_and_the_others_stay_away(world: World) -> None:
    for session in ("one", "two"):
        world.message("alpha/m1", session=session)
    world.refused("alpha/m1", session="one", **LONG_WAIT)
    world.later(601)
    world.message("alpha/m1", session="one")
    world.message("alpha/m1", session="two")
    assert world.attempt("alpha/m1", session="one").action == "proceed"
    assert to(world.attempt("alpha/m1", session="two")) == "beta/m1"


def test_a_probe_the_user_stopped_can_be_made_by_another(world: World) -> None:
    for session in ("one", "two"):
        world.message("alpha/m1", session=session)
    world.refused("alpha/m1", session="one", **LONG_WAIT)
    world.later(601)
    world.attempt("alpha/m1", session="one")
    world.outcome("alpha/m1", "aborted", session="one")
    assert world.attempt("alpha/m1", session="two").action == "proceed"


# -- reports that come late or twice -------------------------------------------------------------------------------


def test_a_report_is_taken_once(world: World) -> None:
    world.message("alpha/m1")
    world.refused("alpha/m1")
    again = world.outcome("alpha/m1", "failed", **RATE_LIMITED)
    assert (again.action, again.reason.code) == ("proceed", "known")
    assert world.engine.snapshot(world.now).providers[0].error_count == 1


def test_a_late_report_counts_and_cools_but_moves_nothing(world: World) -> None:
    world.message("alpha/m1")
    world.attempt("alpha/m1")
    decision = world.outcome("alpha/m1", "failed", age_s=30.0, **LONG_WAIT)
    assert (decision.action, decision.reason.code) == ("proceed", "late")
    assert to(world.message("alpha/m1", session="other")) == "beta/m1"


def test_needs_of_the_conversation_are_respected() -> None:
    world = World(
        provider("alpha", model("m1", context=200_000)),
        provider("beta", model("m1", context=32_000)),
        provider("gamma", model("m1", context=200_000)),
    )
    world.message("alpha/m1")
    world.refused("alpha/m1", **LONG_WAIT)
    decision = world.attempt("alpha/m1", needs=Needs(context=100_000))
    assert to(decision) == "gamma/m1"
    assert ("beta/m1", "context") in [(r.target, r.code) for r in decision.rejected]
