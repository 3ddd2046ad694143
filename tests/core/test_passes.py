"""Passes: where nothing is in sight that could change the answer, the next attempt is spared its question."""

from typing import Any

import pytest

from sidecar.config.models import Config
from sidecar.core.engine import PASS_S
from sidecar.core.events import Route
from sidecar.core.fleet import ORDERS, Connected
from sidecar.core.target import Target

from .world import RATE_LIMITED, World, provider, ref, to

PLENTY = [provider("alpha", "m1"), provider("beta", "m1"), provider("gamma", "m1")]
LONG_WAIT: dict[str, Any] = {**RATE_LIMITED, "headers": {"retry-after": "600"}}


@pytest.fixture
def world() -> World:
    return World(*PLENTY)


def requests(world: World, provider_id: str) -> int:
    return next((p.counts.requests_day for p in world.engine.snapshot(world.now).providers if p.id == provider_id), 0)


def passed(world: World, target: str, attempt: str) -> None:
    event = Route(session="s", turn=world.turn, target=ref(target), attempt=attempt, passed=True)
    assert world.engine.route(event, world.now).reason.code == "passed"


def test_a_message_whose_target_is_free_brings_one(world: World) -> None:
    assert world.message("alpha/m1").pass_s == PASS_S


def test_an_answered_step_brings_one_for_the_next(world: World) -> None:
    world.message("alpha/m1")
    assert world.answered("alpha/m1").pass_s == PASS_S


def test_an_attempt_sent_with_one_is_counted_once_whatever_arrives_first(world: World) -> None:
    world.message("alpha/m1")
    passed(world, "alpha/m1", "p1")
    assert requests(world, "alpha") == 1
    world.outcome("alpha/m1", "ok", attempt="p1")
    world.outcome("alpha/m1", "ok", attempt="p2")
    passed(world, "alpha/m1", "p2")
    assert requests(world, "alpha") == 2


def test_being_told_of_one_decides_nothing(world: World) -> None:
    world.message("alpha/m1")
    world.refused("alpha/m1", **LONG_WAIT)
    passed(world, "alpha/m1", "late")
    assert world.engine.drain() == ()


def test_a_switch_brings_one_for_where_it_leads(world: World) -> None:
    world.message("alpha/m1")
    decision = world.refused("alpha/m1", **LONG_WAIT)
    assert (to(decision), decision.pass_s) == ("beta/m1", PASS_S)
    opening = world.message("alpha/m1")
    assert (to(opening), opening.pass_s) == ("beta/m1", PASS_S)


def test_so_does_one_instead_of_an_attempt(world: World) -> None:
    world.message("alpha/m1")
    world.refused("alpha/m1", **LONG_WAIT)
    decision = world.attempt("alpha/m1", session="other")
    assert (to(decision), decision.pass_s) == ("beta/m1", PASS_S)


def test_a_target_that_awaits_its_probe_gets_none(world: World) -> None:
    world.message("alpha/m1")
    world.refused("alpha/m1", **LONG_WAIT)
    world.later(601)
    decision = world.message("alpha/m1")
    assert (decision.action, decision.pass_s) == ("proceed", None)
    assert world.attempt("alpha/m1").action == "proceed"
    assert world.outcome("alpha/m1", "ok").pass_s == PASS_S


def test_half_a_limit_must_be_free() -> None:
    world = World(*PLENTY, config={"providers": {"alpha": {"limits": {"rpm": 4}}}})
    world.message("alpha/m1")
    assert [world.answered("alpha/m1").pass_s for _ in range(3)] == [PASS_S, PASS_S, None]


def test_a_target_that_became_forbidden_gets_none(world: World) -> None:
    world.message("alpha/m1")
    world.attempt("alpha/m1")
    world.engine.configure(Config.model_validate({"providers": {"alpha": {"enabled": False}}}), world.now)
    assert world.outcome("alpha/m1", "ok").pass_s is None


def test_where_switching_is_off_or_the_request_is_no_step_there_is_none(world: World) -> None:
    world.message("alpha/m1")
    world.attempt("alpha/m1", mobility="reroute", agent="title")
    assert world.outcome("alpha/m1", "ok", mobility="reroute", agent="title").pass_s is None
    assert World(*PLENTY, config={"enabled": False}).message("alpha/m1").pass_s is None


def test_a_wait_brings_none(world: World) -> None:
    world.message("alpha/m1")
    decision = world.refused("alpha/m1", **{**RATE_LIMITED, "headers": {"retry-after": "3"}})
    assert (decision.action, decision.pass_s) == ("wait", None)


def test_orders_of_stand_ins_are_remembered_for_one_configuration_and_a_few_targets() -> None:
    connected = Connected([provider(f"p{number}", "m1") for number in range(ORDERS + 1)])
    first, second = Config(), Config()
    wanted = [Target(f"p{number}", "m1") for number in range(ORDERS + 1)]
    found = connected.same_model(wanted[0], first)
    assert connected.same_model(wanted[0], first) is found
    assert connected.same_model(wanted[0], second) == found
    found = connected.same_model(wanted[0], first)
    for target in wanted:
        connected.same_model(target, first)
    again = connected.same_model(wanted[0], first)
    assert again is not found
    assert again == found
