"""What happens to a message, an attempt, a failed step: the rules of a switch, driven through the engine."""

from typing import Any

import pytest

from sidecar.core.events import Needs, ProviderInfo, Route
from sidecar.core.failure import Kind

from .world import RATE_LIMITED, World, model, provider, ref, to

PLENTY = [provider("alpha", "m1", "small"), provider("beta", "m1", "small"), provider("gamma", "m1", "small")]
SHORT_WAIT: dict[str, Any] = {**RATE_LIMITED, "headers": {"retry-after": "3"}}
LONG_WAIT: dict[str, Any] = {**RATE_LIMITED, "headers": {"retry-after": "600"}}


@pytest.fixture
def world() -> World:
    return World(*PLENTY)


def test_a_free_target_is_used(world: World) -> None:
    assert world.message("alpha/m1").action == "proceed"
    decision = world.attempt("alpha/m1")
    assert (decision.action, decision.reason.code) == ("proceed", "free")


def test_a_refused_attempt_moves_to_the_same_model_elsewhere(world: World) -> None:
    world.message("alpha/m1")
    decision = world.refused("alpha/m1", **LONG_WAIT)
    assert to(decision) == "beta/m1"
    assert decision.until == world.now + 600
    assert decision.reason.code == "rate_limit"
    assert decision.failure is not None
    assert decision.failure.kind is Kind.RATE_LIMIT
    assert decision.arrival is not None
    assert decision.arrival.title == "Switched to beta/m1"
    assert decision.arrival.message == "alpha/m1: rate limit, free again in 10 min."
    assert [r.code for r in decision.rejected] == ["failed_in_turn"]


def test_every_switch_is_announced_once_with_from_to_why_and_until(world: World) -> None:
    world.message("alpha/m1")
    world.refused("alpha/m1", **LONG_WAIT)
    world.answered("beta/m1")
    (notice,) = world.heard("switch")
    assert (notice.source, notice.target) == ("alpha/m1", "beta/m1")
    assert notice.until == world.now + 600
    assert notice.reason.code == "rate_limit"


@pytest.mark.parametrize(
    ("facts", "kind"),
    [
        ({"status": 402, "body": '{"error":{"message":"Insufficient credits"}}'}, "billing"),
        ({"status": 401, "body": '{"error":{"message":"Invalid API key"}}'}, "auth"),
        ({"status": 503, "body": '{"error":{"message":"Service unavailable"}}'}, "server"),
        ({"error": "connect ECONNREFUSED 127.0.0.1:1"}, "network"),
        ({"error": "first_token_timeout"}, "timeout"),
    ],
)
def test_every_class_that_another_target_mends_switches(world: World, facts: dict[str, Any], kind: str) -> None:
    world.message("alpha/m1")
    decision = world.refused("alpha/m1", **facts)
    assert to(decision) == "beta/m1"
    assert decision.reason.code == kind


@pytest.mark.parametrize(
    ("status", "text"),
    [
        (400, "Invalid value for 'temperature'"),
        (400, "This model's maximum context length is 8192 tokens, however you requested 9000 tokens"),
    ],
)
def test_a_fault_of_the_request_is_delivered(world: World, status: int, text: str) -> None:
    world.message("alpha/m1")
    decision = world.refused("alpha/m1", status=status, body=f'{{"error":{{"message":"{text}"}}}}')
    assert decision.action == "proceed"
    assert decision.toast is decision.arrival is None
    assert world.attempt("alpha/m1").action == "proceed"


def test_a_second_failure_goes_to_the_third_target_and_never_back() -> None:
    world = World(*(provider(n, "m1") for n in ("alpha", "beta", "gamma")))
    world.message("alpha/m1")
    assert to(world.refused("alpha/m1", **LONG_WAIT)) == "beta/m1"
    assert to(world.refused("beta/m1", status=402, body="Insufficient credits")) == "gamma/m1"
    decision = world.refused("gamma/m1", **LONG_WAIT)
    assert (decision.action, decision.reason.code) == ("refuse", "nothing_free")


def test_an_answered_step_forgives_what_failed_before_it_in_the_turn() -> None:
    world = World(*(provider(n, "m1") for n in ("alpha", "beta")), config={"max_hops": 1})
    world.message("alpha/m1")
    assert to(world.refused("alpha/m1", **LONG_WAIT)) == "beta/m1"
    world.answered("beta/m1")
    world.later(601)
    assert to(world.refused("beta/m1", **LONG_WAIT)) == "alpha/m1"


def test_a_compaction_waits_once_and_then_goes_elsewhere(world: World) -> None:
    world.message("alpha/m1")
    world.turn = "a message of the compaction's own"
    facts: dict[str, Any] = {"agent": "compaction", "mobility": "reroute", **SHORT_WAIT}
    assert world.refused("alpha/m1", **facts).action == "wait"
    world.later(3)
    assert to(world.refused("alpha/m1", **facts)) == "beta/m1"


def test_a_reroute_never_goes_where_only_a_login_gets_in() -> None:
    world = World(provider("alpha", "m1"), provider("login", "m1", has_key=False), provider("beta", "m1"))
    world.message("alpha/m1")
    decision = world.refused("alpha/m1", agent="compaction", mobility="reroute", **LONG_WAIT)
    assert to(decision) == "beta/m1"
    assert ("login/m1", "no_key") in [(r.target, r.code) for r in decision.rejected]


def test_a_subagent_that_starts_at_the_stand_in_wants_what_its_parent_wants(world: World) -> None:
    world.message("alpha/m1", session="parent")
    world.refused("alpha/m1", session="parent", **LONG_WAIT)
    event = Route(session="child", parent="parent", turn="c1", target=ref("beta/m1"), at="message")
    assert world.engine.route(event, world.now).action == "proceed"
    world.later(601)
    again = Route(session="child", parent="parent", turn="c2", target=ref("beta/m1"), at="message")
    assert to(world.engine.route(again, world.now)) == "alpha/m1"


def test_news_of_an_old_turn_does_not_touch_the_running_one(world: World) -> None:
    world.message("alpha/m1", turn="old")
    world.attempt("alpha/m1")
    old = world.last
    world.message("gamma/m1", turn="new")
    world.turn = "old"
    world.outcome("alpha/m1", "failed", attempt=old, **LONG_WAIT)
    world.turn = "new"
    assert world.attempt("gamma/m1").action == "proceed"
    assert world.message("gamma/m1").action == "proceed"


def test_a_stand_in_must_still_fit_what_the_conversation_became() -> None:
    blind = ProviderInfo(id="beta", models=[model("m1", images=False)])
    world = World(provider("alpha", "m1"), blind, provider("gamma", "m1"))
    world.message("alpha/m1")
    assert to(world.refused("alpha/m1", **LONG_WAIT)) == "beta/m1"
    assert to(world.attempt("beta/m1", needs=Needs(images=True))) == "gamma/m1"


def test_a_stand_in_as_large_as_the_users_choice_holds_what_that_one_holds() -> None:
    world = World(
        provider("alpha", model("m1", context=100_000)),
        provider("beta", model("m1", context=90_000)),
        provider("gamma", model("m1", context=100_000)),
    )
    world.message("alpha/m1")
    world.attempt("alpha/m1")
    decision = world.outcome("alpha/m1", "failed", needs=Needs(context=99_000), **LONG_WAIT)
    assert to(decision) == "gamma/m1"


def test_a_limit_with_room_again_in_a_moment_is_waited_for(world: World) -> None:
    world.message("alpha/m1")
    headers = {
        "x-ratelimit-limit-requests": "60",
        "x-ratelimit-remaining-requests": "0",
        "x-ratelimit-reset-requests": "2s",
    }
    world.answered("alpha/m1", headers=headers)
    decision = world.attempt("alpha/m1")
    assert (decision.action, decision.reason.code) == ("wait", "over_limit")
    assert decision.wait_s == pytest.approx(2)


def test_the_hops_of_a_turn_are_bounded_and_a_new_turn_starts_anew() -> None:
    world = World(*PLENTY, config={"max_hops": 1})
    world.message("alpha/m1")
    assert to(world.refused("alpha/m1", **LONG_WAIT)) == "beta/m1"
    decision = world.refused("beta/m1", **LONG_WAIT)
    assert (decision.action, decision.reason.code) == ("refuse", "nothing_free")
    assert "max_hops 1 is reached; soonest is" in decision.reason.text
    assert ("gamma/m1", "max_hops") in [(r.target, r.code) for r in decision.rejected]
    assert to(world.message("alpha/m1")) == "gamma/m1"


def test_the_next_message_goes_straight_to_where_the_session_is(world: World) -> None:
    world.message("alpha/m1")
    world.refused("alpha/m1", **LONG_WAIT)
    world.refused("beta/m1", status=503, body="Service unavailable")
    world.later(20)  # beta is free again, but the session works at gamma and its cache is there
    decision = world.message("alpha/m1")
    assert to(decision) == "gamma/m1"
    assert decision.arrival is None
    assert len(world.heard("switch")) == 2


def test_another_session_learns_from_the_first(world: World) -> None:
    world.message("alpha/m1", session="one")
    world.refused("alpha/m1", session="one", **LONG_WAIT)
    assert to(world.message("alpha/m1", session="two")) == "beta/m1"


def test_an_attempt_is_moved_before_it_is_sent_when_the_target_is_cooling(world: World) -> None:
    world.message("alpha/m1", session="one")
    world.message("alpha/m1", session="two")
    world.refused("alpha/m1", session="one", **LONG_WAIT)
    assert to(world.attempt("alpha/m1", session="two")) == "beta/m1"
    assert world.engine.snapshot(world.now).providers[0].counts.requests_day == 1


def test_the_users_own_choice_is_taken_up_again_at_the_turn_boundary_not_before(world: World) -> None:
    world.message("alpha/m1")
    world.refused("alpha/m1", **LONG_WAIT)
    world.answered("beta/m1")
    world.later(601)
    assert world.attempt("beta/m1").action == "proceed"  # the same turn goes on where it is
    decision = world.message("alpha/m1")
    assert (decision.action, decision.reason.code) == ("proceed", "back")
    assert decision.arrival is not None
    assert decision.arrival.line == "beta/m1 -> alpha/m1: it is free again."
    assert world.answered("alpha/m1").reason.code == "ok"
    assert world.message("alpha/m1").arrival is None
    assert [n.source for n in world.heard("back")] == ["alpha/m1"]


def test_an_editor_that_copied_the_redirected_model_is_brought_back(world: World) -> None:
    world.message("alpha/m1", session="one")
    world.refused("alpha/m1", session="one", **LONG_WAIT)
    assert to(world.message("alpha/m1", session="two")) == "beta/m1"
    assert world.message("beta/m1", session="two").action == "proceed"
    world.later(601)
    decision = world.message("beta/m1", session="two")
    assert to(decision) == "alpha/m1"
    assert decision.reason.code == "back"
    assert decision.arrival is not None
    assert decision.arrival.title == "Back on alpha/m1"


def test_an_editor_that_copied_where_the_first_turn_was_moved_is_brought_back(world: World) -> None:
    world.message("alpha/m1")
    world.refused("alpha/m1", **LONG_WAIT)
    assert world.message("beta/m1").reason.code == "here"
    world.later(601)
    assert to(world.message("beta/m1")) == "alpha/m1"


def test_where_a_later_turn_was_moved_is_picked_by_hand_when_asked_for(world: World) -> None:
    world.message("alpha/m1")
    world.answered("alpha/m1")
    world.message("alpha/m1")
    world.refused("alpha/m1", **LONG_WAIT)
    assert world.message("beta/m1").reason.code == "free"
    world.later(601)
    assert world.message("beta/m1").action == "proceed"


def test_a_model_picked_by_hand_wins_at_once(world: World) -> None:
    world.message("alpha/m1")
    world.refused("alpha/m1", **LONG_WAIT)
    assert world.message("gamma/m1").action == "proceed"
    world.later(601)
    assert world.message("gamma/m1").action == "proceed"


def test_a_short_named_wait_is_waited_out_once(world: World) -> None:
    world.message("alpha/m1")
    decision = world.refused("alpha/m1", **SHORT_WAIT)
    assert (decision.action, decision.wait_s) == ("wait", 3)
    world.later(3)
    assert to(world.refused("alpha/m1", **SHORT_WAIT)) == "beta/m1"


def test_the_wait_of_one_session_is_shared_by_the_others(world: World) -> None:
    world.message("alpha/m1", session="one")
    world.message("alpha/m1", session="two")
    world.refused("alpha/m1", session="one", **SHORT_WAIT)
    decision = world.attempt("alpha/m1", session="two")
    assert decision.action == "wait"
    assert decision.wait_s == pytest.approx(3)


def test_a_wait_longer_than_tolerated_switches() -> None:
    world = World(*PLENTY, config={"tolerate_wait": 2})
    world.message("alpha/m1")
    assert to(world.refused("alpha/m1", **SHORT_WAIT)) == "beta/m1"


def test_switch_after_keeps_trying_the_same_target_for_that_long() -> None:
    world = World(*PLENTY, config={"switch_after": "30s", "tolerate_wait": 0})
    world.message("alpha/m1")
    waited = 0.0
    decision = world.refused("alpha/m1", status=503, body="unavailable")
    while decision.action == "wait":
        assert decision.wait_s is not None
        world.later(decision.wait_s)
        waited += decision.wait_s
        decision = world.refused("alpha/m1", status=503, body="unavailable")
    assert to(decision) == "beta/m1"
    assert waited == pytest.approx(30)


def test_switch_after_does_not_hold_back_what_no_wait_mends() -> None:
    world = World(*PLENTY, config={"switch_after": "30s"})
    world.message("alpha/m1")
    assert to(world.refused("alpha/m1", status=401, body="Invalid API key")) == "beta/m1"


def test_an_answer_without_content_is_tried_again_then_moved(world: World) -> None:
    world.message("alpha/m1")
    for _ in range(3):
        world.attempt("alpha/m1")
        decision = world.outcome("alpha/m1", "empty", status=200)
        assert (decision.action, decision.wait_s, decision.reason.code) == ("wait", 0, "empty_answer")
    world.attempt("alpha/m1")
    decision = world.outcome("alpha/m1", "empty", status=200)
    assert to(decision) == "beta/m1"
    assert decision.failure is not None
    assert decision.failure.kind is Kind.SERVER


def test_content_that_has_already_arrived_is_not_repeated(world: World) -> None:
    world.message("alpha/m1")
    world.attempt("alpha/m1")
    decision = world.outcome("alpha/m1", "failed", error="socket hang up", content_sent=True)
    assert (decision.action, decision.reason.code) == ("proceed", "content_sent")


def test_the_same_refusal_at_a_second_provider_is_the_requests_fault(world: World) -> None:
    body = '{"error":{"message":"tool schema could not be compiled"}}'
    world.message("alpha/m1")
    assert to(world.refused("alpha/m1", status=500, body=body)) == "beta/m1"
    decision = world.refused("beta/m1", status=500, body=body)
    assert (decision.action, decision.reason.code) == ("proceed", "request_at_fault")


def test_the_same_outage_at_a_second_provider_is_an_outage(world: World) -> None:
    world.message("alpha/m1")
    assert to(world.refused("alpha/m1", status=503, body="Service unavailable")) == "beta/m1"
    assert to(world.refused("beta/m1", status=503, body="Service unavailable")) == "gamma/m1"


def test_a_request_only_a_stand_in_dislikes_goes_to_the_next_one_once(world: World) -> None:
    bad = {"status": 400, "body": '{"error":{"message":"Unsupported parameter: seed"}}'}
    world.message("alpha/m1")
    assert to(world.refused("alpha/m1", **LONG_WAIT)) == "beta/m1"
    assert to(world.refused("beta/m1", **bad)) == "gamma/m1"
    decision = world.refused("gamma/m1", **bad)
    assert (decision.action, decision.reason.code) == ("proceed", "bad_request")
    # Not the request's fault at the user's own choice: it is theirs to mend.
    world.later(601)
    world.message("alpha/m1")
    assert world.refused("alpha/m1", **bad).action == "proceed"


def test_a_request_only_the_last_stand_in_dislikes_is_delivered_as_it_was_refused() -> None:
    world = World(provider("alpha", "m1"), provider("beta", "m1"))
    world.message("alpha/m1")
    world.refused("alpha/m1", **LONG_WAIT)
    decision = world.refused("beta/m1", status=400, body='{"error":{"message":"Unsupported parameter: seed"}}')
    assert (decision.action, decision.reason.code) == ("proceed", "nothing_free")


def test_an_aborted_attempt_is_nobodys_failure(world: World) -> None:
    world.message("alpha/m1")
    world.attempt("alpha/m1")
    decision = world.outcome("alpha/m1", "aborted")
    assert (decision.action, decision.reason.code) == ("proceed", "aborted")
    assert world.attempt("alpha/m1").action == "proceed"
    assert world.heard("failure") == []


def test_switching_can_be_turned_off_while_counting_goes_on() -> None:
    world = World(*PLENTY, config={"enabled": False})
    assert world.message("alpha/m1").reason.code == "off"
    assert world.refused("alpha/m1").action == "proceed"
    assert world.attempt("alpha/m1").action == "proceed"
    world.attempt("alpha/m1")
    assert world.outcome("alpha/m1", "empty").action == "proceed"
    assert world.engine.snapshot(world.now).providers[0].counts.requests_day == 3


def test_toasts_can_be_turned_off() -> None:
    world = World(*PLENTY[:1], config={"toasts": False, "stderr": "never"})
    world.message("alpha/m1")
    decision = world.refused("alpha/m1", status=401, body="Invalid API key")
    assert decision.toast is decision.arrival is None
