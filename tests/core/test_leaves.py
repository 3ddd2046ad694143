"""Leave: a session that is where its user wants it opens its next turn without a question, until the seal is broken."""

from collections.abc import Callable
from copy import deepcopy
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sidecar.config.models import Config
from sidecar.core.engine import Engine
from sidecar.core.events import Route, TargetCommand

from .world import RATE_LIMITED, World, provider, ref, to

PLENTY = [provider("alpha", "m1"), provider("beta", "m1"), provider("gamma", "m1")]
LONG_WAIT: dict[str, Any] = {**RATE_LIMITED, "headers": {"retry-after": "600"}}


@pytest.fixture
def world() -> World:
    return World(*PLENTY)


def leave(world: World, target: str = "alpha/m1", session: str = "s") -> str:
    """Have a turn answered; gives the leave that came with it, "" for none."""
    world.message(target, session=session)
    return world.answered(target, session=session).leave or ""


def opened(world: World, target: str, session: str = "s") -> None:
    """Tell of a turn that was opened with leave."""
    world.turn = f"{world.turn}+"
    event = Route(session=session, turn=world.turn, target=ref(target), at="message", passed=True)
    assert world.engine.route(event, world.now).reason.code == "passed"


def test_an_answer_where_the_user_wants_it_brings_one_under_the_seal_of_the_moment(world: World) -> None:
    assert leave(world) == world.engine.seal != ""


def test_the_next_life_of_the_daemon_has_another_seal() -> None:
    assert Engine(Config(), run="1").seal != Engine(Config(), run="2").seal


def test_it_outlasts_answers_tokens_and_time(world: World) -> None:
    given_ = leave(world)
    world.later(3_600)
    leave(world, "beta/m1", session="other")
    assert world.engine.seal == given_


def test_a_turn_opened_with_it_is_a_turn_like_any_other(world: World) -> None:
    leave(world)
    opened(world, "alpha/m1")
    assert world.answered("alpha/m1").leave == world.engine.seal
    assert to(world.refused("alpha/m1", **LONG_WAIT)) == "beta/m1"
    assert world.heard("switch")[-1].source == "alpha/m1"


def rate_limited(world: World) -> None:
    world.message("beta/m1", session="other")
    world.refused("beta/m1", session="other")


def disabled(world: World) -> None:
    world.engine.control("disable", TargetCommand(provider="alpha"), world.now)


def picked(world: World) -> None:
    world.engine.control("use", TargetCommand(provider="beta"), world.now)


def configured(world: World) -> None:
    world.engine.configure(Config.model_validate({"deny": ["alpha/*"]}), world.now)


def introduced(world: World) -> None:
    world.hello(*PLENTY)


def failed_unseen(world: World) -> None:
    error = {"name": "APIError", "data": {"message": "Rate limit reached", "statusCode": 429}}
    world.message("beta/m1", session="blind")
    world.events(("session.error", {"sessionID": "blind", "error": error}))


@pytest.mark.parametrize("change", [rate_limited, disabled, picked, configured, introduced, failed_unseen])
def test_whatever_could_change_an_answer_breaks_the_seal(world: World, change: Callable[[World], None]) -> None:
    given_ = leave(world)
    change(world)
    assert world.engine.seal != given_


def test_the_seal_stays_where_nobody_has_leave(world: World) -> None:
    before = world.engine.seal
    disabled(world)
    assert world.engine.seal == before


def test_a_limit_with_less_than_half_its_room_ends_it_by_requests() -> None:
    world = World(*PLENTY, config={"providers": {"alpha": {"limits": {"rpm": 4}}}})
    given_ = leave(world)
    assert given_
    world.attempt("alpha/m1", session="other")
    assert world.engine.seal == given_
    world.attempt("alpha/m1", session="other")
    assert world.engine.seal != given_
    assert world.outcome("alpha/m1", "ok", session="other").leave is None


def test_a_limit_with_less_than_half_its_room_ends_it_by_tokens() -> None:
    world = World(*PLENTY, config={"providers": {"alpha": {"limits": {"tpm": 1_000}}}})
    given_ = leave(world)
    info = {
        "id": "msg_1",
        "sessionID": "s",
        "role": "assistant",
        "parentID": world.turn,
        "providerID": "alpha",
        "modelID": "m1",
        "agent": "build",
        "time": {"created": 1, "completed": 2},
        "tokens": {"input": 600, "output": 1, "reasoning": 0, "cache": {"read": 0, "write": 0}},
        "cost": 0,
        "finish": "stop",
    }
    world.events(("message.updated", {"info": info}))
    assert world.engine.seal != given_


def test_a_limit_the_answer_itself_tells_of_ends_it(world: World) -> None:
    given_ = leave(world)
    headers = {"x-ratelimit-limit-requests": "100", "x-ratelimit-remaining-requests": "10"}
    assert world.answered("alpha/m1", headers=headers).leave is None
    assert world.engine.seal != given_


def test_a_session_away_from_its_users_choice_gets_none(world: World) -> None:
    world.message("alpha/m1")
    world.refused("alpha/m1", **LONG_WAIT)
    assert world.answered("beta/m1").leave is None


def test_a_session_nobody_opened_by_a_message_gets_none(world: World) -> None:
    world.turn = "turn0"
    assert world.answered("alpha/m1").leave is None


def test_news_of_a_turn_that_is_over_brings_none(world: World) -> None:
    world.message("alpha/m1")
    world.attempt("alpha/m1")
    late, old = world.last, world.turn
    world.message("alpha/m1")
    world.turn = old
    assert world.outcome("alpha/m1", "ok", attempt=late).leave is None


def test_where_switching_is_off_there_is_none() -> None:
    assert leave(World(*PLENTY, config={"enabled": False})) == ""


STEPS = st.tuples(
    st.sampled_from(["answered", "refused", "broken", "disable", "enable", "use", "clear", "later", "opened"]),
    st.sampled_from(["alpha/m1", "beta/m1"]),
    st.sampled_from(["s", "t"]),
)
BEGIN = ("answered", "alpha/m1", "s")


@given(st.lists(STEPS, max_size=25).map(lambda steps: [BEGIN, *steps]), st.sampled_from([0, 6]))
def test_under_an_unbroken_seal_the_question_would_have_been_answered_with_yes(
    steps: list[tuple[str, str, str]], rpm: int
) -> None:
    world = World(*PLENTY, config={"providers": {"alpha": {"limits": {"rpm": rpm}}}})
    held: dict[str, tuple[str, str]] = {}
    for what, target, session in steps:
        there, seal = held.pop(session, ("", "")) if what in ("answered", "refused", "broken", "opened") else ("", "")
        if what == "opened":
            if seal == world.engine.seal:
                opened(world, there, session)
        elif what == "answered":
            decision = world.message(target, session=session)
            there = target if decision.target is None else str(decision.target.target)
            held[session] = there, world.answered(there, session=session).leave or ""
        else:
            happen(world, what, target, session)
        for holder, (there, seal) in held.items():
            if seal == world.engine.seal:
                asked = deepcopy(world).message(there, session=holder)
                assert (asked.action, asked.target, asked.toast, asked.arrival) == ("proceed", None, None, None)


def happen(world: World, what: str, target: str, session: str) -> None:
    match what:
        case "refused" | "broken":
            world.message(target, session=session)
            world.refused(target, session=session, **(LONG_WAIT if what == "refused" else {"status": 500}))
        case "disable" | "enable" | "use":
            world.engine.control(what, TargetCommand(provider=target.partition("/")[0]), world.now)
        case "clear":
            world.engine.control("clear", TargetCommand(), world.now)
        case _:
            world.later(61)
