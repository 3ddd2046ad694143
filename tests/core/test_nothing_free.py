"""When nobody is free: held while that is short, tried seldom, ended clearly; and the probe everybody waits for."""

import itertools
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sidecar.core.events import TargetCommand
from sidecar.core.memory import TRY_S, Memory
from sidecar.core.stuck import LOOK_S
from sidecar.core.target import Target

from .world import RATE_LIMITED, World, model, provider, to

ALL = ("alpha", "beta", "gamma")


def wait_of(seconds: float) -> dict[str, Any]:
    return {**RATE_LIMITED, "headers": {"retry-after": str(seconds)}}


LONG_WAIT = wait_of(600)


@pytest.fixture
def world() -> World:
    return World(*(provider(name, "m1") for name in ALL))


@pytest.fixture
def alone() -> World:
    return World(provider("alpha", "m1"))


def exhausted(world: World, soonest: float = 500) -> None:
    world.message("alpha/m1")
    world.refused("alpha/m1", **LONG_WAIT)
    world.refused("beta/m1", **wait_of(soonest))
    world.refused("gamma/m1", **LONG_WAIT)


# -- ended clearly -------------------------------------------------------------------------------------------------


def test_a_turn_nobody_can_answer_soon_ends_with_the_users_choice_why_and_the_soonest(world: World) -> None:
    world.message("alpha/m1")
    world.refused("alpha/m1", **LONG_WAIT)
    world.refused("beta/m1", **wait_of(500))
    decision = world.refused("gamma/m1", **LONG_WAIT)
    assert decision.action == "refuse"
    assert decision.until == world.now + 500
    assert decision.reason.text == "alpha/m1: rate limit; no other target is free; soonest is beta/m1 in 8 min 20 s"
    assert decision.toast is None, "the editor shows the refusal"
    (notice,) = world.heard("all_limited")
    assert (notice.source, notice.until) == ("alpha/m1", world.now + 500)
    assert notice.reason.text.startswith("rate limit; no other")


def test_a_message_is_told_nothing_before_its_first_request_is(world: World) -> None:
    exhausted(world)
    decision = world.message("alpha/m1")
    assert (decision.action, decision.reason.code, decision.toast) == ("proceed", "nothing_free", None)
    assert len(world.heard("all_limited")) == 1


def test_all_sessions_together_try_once_a_minute_whether_it_is_free_earlier(world: World) -> None:
    exhausted(world)
    sent = 0
    for number in range(10):
        world.message("alpha/m1", session=f"s{number}")
        decision = world.attempt("alpha/m1", session=f"s{number}")
        assert decision.reason.code == "nothing_free"
        assert decision.toast is None
        sent += decision.action == "proceed"
        assert decision.action in ("proceed", "refuse")
    assert sent == 1
    world.later(TRY_S)
    world.message("alpha/m1", session="later")
    assert world.attempt("alpha/m1", session="later").action == "proceed"
    # It was free, although it had said otherwise.
    world.later(1)
    world.outcome("alpha/m1", "ok", session="later", latency_ms=1_000)
    world.message("alpha/m1", session="next")
    assert world.attempt("alpha/m1", session="next").reason.code == "free"


@given(st.lists(st.floats(0, 200), max_size=20))
def test_whatever_the_times_two_tries_are_a_minute_apart(pauses: list[float]) -> None:
    memory, now, tried = Memory(), 1_000.0, list[float]()
    for pause in pauses:
        now += pause
        if memory.may_try(Target("alpha", "m1"), now):
            tried.append(now)
    assert all(later - sooner >= TRY_S for sooner, later in itertools.pairwise(tried))


@pytest.mark.parametrize(
    ("facts", "action"),
    [
        (LONG_WAIT, "refuse"),
        ({"status": 503, "body": "Service unavailable", "headers": {"retry-after": "600"}}, "refuse"),
        ({"status": 401, "body": "Invalid API key"}, "proceed"),
        ({"status": 402, "body": "Insufficient credits"}, "proceed"),
        ({"error": "connect ECONNREFUSED 127.0.0.1:1"}, "proceed"),
    ],
)
def test_what_an_editor_shows_at_once_is_delivered_and_what_it_waits_for_is_not(
    alone: World, facts: dict[str, Any], action: str
) -> None:
    alone.message("alpha/m1")
    decision = alone.refused("alpha/m1", **facts)
    assert (decision.action, decision.reason.code) == (action, "nothing_free")
    assert (decision.toast is None) == (action == "refuse")


def test_a_stand_ins_own_trouble_does_not_hide_what_ails_the_users_choice(world: World) -> None:
    world.message("alpha/m1")
    world.refused("alpha/m1", **LONG_WAIT)
    world.refused("beta/m1", **LONG_WAIT)
    decision = world.refused("gamma/m1", status=401, body="Invalid API key")
    assert decision.action == "refuse"
    assert decision.reason.text.startswith("alpha/m1: rate limit; ")


def test_a_stand_in_that_fails_later_is_told_with_what_ails_the_users_choice(world: World) -> None:
    exhausted(world, soonest=200)
    world.later(201)
    assert to(world.message("alpha/m1")) == "beta/m1"
    decision = world.refused("beta/m1", **LONG_WAIT)
    assert decision.action == "refuse"
    assert decision.reason.text == (
        "alpha/m1: requests or tokens come faster than the provider allows; no other target is free; "
        "soonest is alpha/m1 in 6 min 39 s"
    )


def test_where_the_users_choice_could_be_used_the_stand_in_is_to_blame() -> None:
    world = World(*(provider(name, "m1") for name in ALL), config={"max_hops": 0})
    world.message("alpha/m1")
    assert world.refused("alpha/m1", **wait_of(200)).action == "refuse"
    assert to(world.message("alpha/m1")) == "beta/m1"
    world.later(201)
    decision = world.refused("beta/m1", **LONG_WAIT)
    assert decision.reason.text.startswith("beta/m1: ")
    assert "max_hops 0 is reached; soonest is beta/m1 in 10 min" in decision.reason.text


def test_what_the_user_closed_by_hand_is_still_theirs_to_ask(alone: World) -> None:
    alone.engine.control("disable", TargetCommand(provider="alpha"), alone.now)
    for _ in range(2):
        alone.message("alpha/m1")
        decision = alone.attempt("alpha/m1")
        assert (decision.action, decision.reason.code) == ("proceed", "nothing_free")
        assert decision.toast is not None
        assert decision.toast.key == "stuck"
        assert alone.attempt("alpha/m1").toast is None


# -- held ----------------------------------------------------------------------------------------------------------


def test_a_turn_nobody_can_answer_is_held_until_the_first_target_is_free() -> None:
    world = World(provider("alpha", "m1"), provider("beta", "m1"))
    world.message("alpha/m1")
    world.refused("alpha/m1", **LONG_WAIT)
    decision = world.refused("beta/m1", **wait_of(40))
    assert (decision.action, decision.wait_s, decision.reason.code) == ("wait", 40, "resumes")
    assert decision.toast is not None
    assert "The turn goes on by itself in 40 s." in decision.toast.message
    world.later(40)
    assert world.answered("beta/m1").reason.code == "ok"


def test_all_waits_of_a_turn_together_end_with_resume_within_and_are_told_once(alone: World) -> None:
    alone.message("alpha/m1")
    began, told = alone.now, 0
    decision = alone.refused("alpha/m1")
    while decision.action == "wait":
        told += decision.toast is not None
        alone.later(decision.wait_s or 0)
        decision = alone.refused("alpha/m1")
    assert (told, decision.action) == (1, "refuse")
    assert 60 <= alone.now - began <= 120


def test_a_turn_is_not_held_for_ever_by_short_waits() -> None:
    world = World(provider("alpha", "m1"), config={"tolerate_wait": 0})
    world.message("alpha/m1")
    held = 0
    while world.refused("alpha/m1", **wait_of(6)).action == "wait":
        held += 1
        world.later(6)
    assert held == 6


def test_a_compaction_is_held_and_a_title_is_not(alone: World) -> None:
    alone.message("alpha/m1")
    decision = alone.refused("alpha/m1", agent="compaction", mobility="reroute", **wait_of(30))
    assert (decision.action, decision.wait_s, decision.toast) == ("wait", 30, None)
    assert alone.refused("alpha/m1", agent="title", mobility="reroute", **wait_of(30)).action == "refuse"


def test_a_compaction_nobody_writes_soon_ends(alone: World) -> None:
    alone.message("alpha/m1")
    decision = alone.refused("alpha/m1", agent="compaction", mobility="reroute", **LONG_WAIT)
    assert (decision.action, decision.toast) == ("refuse", None)


# -- the probe -----------------------------------------------------------------------------------------------------


def probing(world: World) -> str:
    """Let one session find out whether alpha is back; gives its attempt."""
    world.message("alpha/m1", session="one")
    world.refused("alpha/m1", session="one", **wait_of(200))
    world.later(201)
    world.message("alpha/m1", session="one")
    decision = world.attempt("alpha/m1", session="one")
    assert decision.probe
    return world.last


def test_who_waits_for_the_probe_looks_again_soon(alone: World) -> None:
    probe, turn = probing(alone), alone.turn
    alone.message("alpha/m1", session="two")
    for look in range(5):
        decision = alone.attempt("alpha/m1", session="two")
        assert (decision.action, decision.wait_s) == ("wait", LOOK_S)
        assert "is being tried" in decision.reason.text
        assert (decision.toast is not None) == (look == 0)
        alone.later(LOOK_S)
    waiting, alone.turn = alone.turn, turn
    alone.outcome("alpha/m1", "ok", session="one", attempt=probe)
    alone.turn = waiting
    assert alone.attempt("alpha/m1", session="two").reason.code == "free"


def test_the_first_content_of_the_probe_is_enough(alone: World) -> None:
    probe = probing(alone)
    alone.later(2)
    decision = alone.outcome("alpha/m1", "began", session="one", attempt=probe, first_token_ms=1_900)
    assert (decision.action, decision.reason.code) == ("proceed", "began")
    assert len(alone.heard("back")) == 1
    turn = alone.turn
    alone.message("alpha/m1", session="two")
    decision = alone.attempt("alpha/m1", session="two")
    assert (decision.reason.code, decision.probe) == ("free", False)
    # Its end is taken as ever: once, with what it cost, and a break in the middle is a failure.
    alone.turn = turn
    decision = alone.outcome("alpha/m1", "failed", session="one", attempt=probe, error="reset", content_sent=True)
    assert decision.reason.code == "content_sent"
    assert len(alone.heard("back")) == 1


def test_first_content_told_too_late_brings_nobody_back(alone: World) -> None:
    probe = probing(alone)
    alone.later(1)
    alone.outcome("alpha/m1", "failed", session="one", attempt=probe, latency_ms=1_000, **LONG_WAIT)
    alone.outcome("alpha/m1", "began", session="one", attempt=probe, first_token_ms=500)
    alone.message("alpha/m1", session="two")
    assert alone.attempt("alpha/m1", session="two").reason.code == "nothing_free"


def test_of_all_who_sat_out_the_same_wait_one_finds_out(world: World) -> None:
    turns: dict[str, str] = {}
    for session in "abcd":
        world.message("alpha/m1", session=session)
        world.attempt("alpha/m1", session=session)
        turns[session] = world.last
    opened = {session: f"turn{number}" for number, session in enumerate("abcd")}
    for session, attempt in turns.items():
        world.turn = opened[session]
        decision = world.outcome("alpha/m1", "failed", session=session, attempt=attempt, **wait_of(3))
        assert decision.action == "wait"
    world.later(3)
    sent = 0
    for session in turns:
        world.turn = opened[session]
        decision = world.attempt("alpha/m1", session=session)
        sent += decision.action == "proceed"
        if decision.action == "switch":
            assert to(decision) == "beta/m1"
    assert sent == 1


# -- who answered beside the turn ------------------------------------------------------------------------------------


def summary(tokens: dict[str, Any], name: str = "m") -> tuple[str, dict[str, Any]]:
    info = {"role": "assistant", "providerID": "alpha", "modelID": "m1", "agent": "compaction", "sessionID": "s"}
    return "message.updated", {"info": {**info, "id": name, "time": {"completed": 1}, "tokens": tokens, "cost": 9.0}}


@pytest.mark.parametrize(("known", "cost"), [(True, 0.0105), (False, 9.0)])
def test_a_rerouted_compaction_is_counted_where_it_was_written(*, known: bool, cost: float) -> None:
    beta = model("m1", cost_input=3.0, cost_output=15.0)
    world = World(provider("alpha", "m1"), provider("beta", beta), config={"cost_guard": {"mode": "allow"}})
    world.message("alpha/m1")
    assert to(world.refused("alpha/m1", agent="compaction", mobility="reroute", **LONG_WAIT)) == "beta/m1"
    world.attempt("beta/m1", agent="compaction", mobility="reroute")
    world.outcome("beta/m1", "ok", agent="compaction", mobility="reroute", status=200)
    if not known:
        world.hello(provider("alpha", "m1"))
    tokens = {"input": 900, "output": 400, "reasoning": 100, "cache": {"read": 50, "write": 50}}
    world.events(summary(tokens), summary(tokens))
    providers = {p.id: p for p in world.engine.snapshot(world.now).providers}
    assert providers["alpha"].counts.tokens_day == 0
    assert providers["beta"].counts.tokens_day == 1_450
    assert providers["beta"].counts.cost_day == pytest.approx(cost)
    # The next one is written where the editor says.
    world.events(summary(tokens, "n"))
    providers = {p.id: p for p in world.engine.snapshot(world.now).providers}
    assert providers["alpha"].counts.tokens_day == 1_450


def test_who_answered_beside_the_turn_is_remembered_for_so_many() -> None:
    memory, beta = Memory(), Target("beta", "m1")
    for number in range(300):
        memory.answered_beside(f"s{number}", "compaction", beta)
    asked = Target("alpha", "m1")
    assert memory.who_answered("s0", "compaction", asked) == asked
    assert memory.who_answered("s299", "compaction", asked) == beta
    assert memory.who_answered("s299", "compaction", asked) == asked
