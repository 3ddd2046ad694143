"""What is written down for the reports: each attempt's begin and end once, each message's use once, each why."""

from typing import Any

from sidecar.core.failure import Kind
from sidecar.core.records import AttemptBegan, AttemptEnded, Decided, StepUsed, Tokens
from sidecar.core.target import Target

from .world import RATE_LIMITED, World, provider

ALPHA = Target("alpha", "m1")
USED = {"input": 100, "output": 20, "reasoning": 5, "cache": {"read": 1000, "write": 7}}


def two() -> World:
    return World(provider("alpha", "m1"), provider("beta", "m1"))


def completed(message: str = "msg", **more: Any) -> tuple[str, dict[str, Any]]:
    info = {
        "id": message,
        "sessionID": "s",
        "parentID": "turn1",
        "role": "assistant",
        "agent": "build",
        "providerID": "alpha",
        "modelID": "m1",
        "cost": 0.25,
        "tokens": USED,
        "time": {"created": 1_800_000_000_000, "completed": 1_800_000_004_500},
    }
    return "message.updated", {"info": info | more}


def test_an_answered_attempt_is_written_down_as_begun_and_as_ended() -> None:
    world = two()
    world.message("alpha/m1")
    world.answered("alpha/m1", latency_ms=1_200, first_token_ms=300)
    began, ended = world.wrote
    assert began == AttemptBegan("a2", "s", "turn1", "build", "", ALPHA, world.now)
    assert ended == AttemptEnded("a2", "s", "turn1", "build", "", ALPHA, world.now, "ok", 200, None, "", 1_200, 300)


def test_a_refusal_is_written_down_with_its_class_its_rule_and_the_decision_that_followed() -> None:
    world = two()
    world.message("alpha/m1")
    world.refused("alpha/m1")
    _, ended, decided = world.wrote
    assert isinstance(ended, AttemptEnded)
    assert (ended.ended, ended.status, ended.kind) == ("failed", 429, Kind.RATE_LIMIT)
    assert isinstance(decided, Decided)
    assert (decided.moment, decided.asked, decided.status) == ("outcome", ALPHA, 429)
    assert decided.decision.action == "switch"
    assert decided.decision.origin == "same_model"
    assert decided.decision.failure is not None
    assert decided.decision.failure.rule == ended.rule != ""


def test_a_report_sent_twice_is_written_down_once() -> None:
    world = two()
    world.message("alpha/m1")
    world.refused("alpha/m1")
    before = list(world.wrote)
    world.outcome("alpha/m1", "failed", **RATE_LIMITED)
    assert world.wrote == before


def test_an_empty_answer_that_is_tried_again_is_a_failure_of_its_own() -> None:
    world = two()
    world.message("alpha/m1")
    world.attempt("alpha/m1")
    world.outcome("alpha/m1", "empty", status=200)
    _, ended, decided = world.wrote
    assert isinstance(ended, AttemptEnded)
    assert (ended.ended, ended.rule) == ("empty", "empty_answer")
    assert isinstance(decided, Decided)
    assert decided.decision.action == "wait"


def test_an_attempt_the_user_stopped_ends_once_and_one_never_sent_not_at_all() -> None:
    world = two()
    world.message("alpha/m1")
    world.outcome("alpha/m1", "aborted", attempt="never")
    world.attempt("alpha/m1")
    world.outcome("alpha/m1", "aborted")
    world.outcome("alpha/m1", "aborted")
    assert [type(record) for record in world.wrote] == [AttemptBegan, AttemptEnded]
    assert world.wrote[1].ended == "aborted"  # type: ignore[union-attr]


def test_what_a_message_used_is_no_request_where_attempts_are_reported() -> None:
    world = two()
    world.message("alpha/m1")
    world.answered("alpha/m1")
    world.wrote.clear()
    world.events(completed(), completed())
    (used,) = world.wrote
    assert isinstance(used, StepUsed)
    assert (used.message, used.turn, used.request, used.cost) == ("msg", "turn1", False, 0.25)
    assert used.tokens == Tokens(100, 20, 5, 1000, 7)
    assert used.completed == 1_800_000_004.5


def test_a_message_of_an_agent_that_reports_no_attempts_is_a_request() -> None:
    world = two()
    world.events(completed("one"), completed("two", error={"name": "APIError", "data": {"statusCode": 429}}))
    world.events(completed("three", error={"name": "MessageAbortedError"}, tokens={}, cost=0, time={"completed": True}))
    found = [(r.request, r.ended, r.kind) for r in world.wrote if isinstance(r, StepUsed)]
    assert found == [(True, "ok", None), (True, "failed", Kind.RATE_LIMIT), (True, "aborted", None)]
    assert world.wrote[-1].completed is None  # type: ignore[union-attr]


def test_a_step_that_used_nothing_is_not_written_down_where_attempts_are_reported() -> None:
    world = two()
    world.message("alpha/m1")
    world.refused("alpha/m1")
    world.wrote.clear()
    world.events(completed(tokens={}, cost=0))
    assert world.wrote == []


def test_what_went_where_it_was_asked_to_go_needs_no_explaining() -> None:
    world = two()
    world.message("alpha/m1")
    world.answered("alpha/m1")
    assert not [record for record in world.wrote if isinstance(record, Decided)]
    world.refused("alpha/m1")
    world.wrote.clear()
    world.message("alpha/m1")
    world.attempt("alpha/m1")
    assert [r.moment for r in world.wrote if isinstance(r, Decided)] == ["message", "attempt"]
