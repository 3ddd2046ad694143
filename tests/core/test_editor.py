from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sidecar.core.editor import SessionDeleted, SessionFailed, StepBegan, StepEnded, read
from sidecar.core.events import EditorEvent
from sidecar.core.target import Target

STEP: dict[str, Any] = {
    "id": "msg_2",
    "sessionID": "ses_1",
    "parentID": "msg_1",
    "role": "assistant",
    "agent": "plan",
    "providerID": "alpha",
    "modelID": "m1",
    "cost": 0.25,
    "tokens": {"input": 100, "output": 20, "reasoning": 5, "cache": {"read": 1000, "write": 7}},
    "time": {"created": 1, "completed": 2},
}


def step(**changes: Any) -> Any:
    return read(EditorEvent(type="message.updated", properties={"sessionID": "ses_1", "info": {**STEP, **changes}}))


def test_a_completed_step_tells_what_it_used() -> None:
    meaning = step()
    assert isinstance(meaning, StepEnded)
    assert (meaning.message, meaning.session, meaning.target) == ("msg_2", "ses_1", Target("alpha", "m1"))
    assert (meaning.agent, meaning.tokens, meaning.cost) == ("plan", 132, 0.25)  # cache reads do not count
    assert meaning.failure is None
    assert not meaning.aborted


def test_a_step_without_an_agent_is_its_mode_or_the_building_agent() -> None:
    assert step(agent=None, mode="plan").agent == "plan"
    assert step(agent=None).agent == "build"


def test_a_step_that_is_still_running_tells_where_its_session_is() -> None:
    began = step(time={"created": 1})
    assert isinstance(began, StepBegan)
    assert (began.session, began.turn, began.target.target) == ("ses_1", "msg_1", Target("alpha", "m1"))
    assert step(time={"created": 1}, parentID=None).turn == "msg_2"


@pytest.mark.parametrize("changes", [{"role": "user"}, {"id": ""}, {"providerID": None}, {"modelID": 7}])
def test_messages_that_are_no_steps_mean_nothing(changes: dict[str, Any]) -> None:
    assert step(**changes) is None


@pytest.mark.parametrize("field", ["id", "sessionID", "providerID", "modelID"])
@pytest.mark.parametrize("completed", [None, 2])
def test_names_longer_than_the_protocol_allows_mean_nothing(field: str, completed: int | None) -> None:
    assert step(time={"created": 1, "completed": completed}, **{field: "x" * 257}) is None
    assert step(time={"created": 1, "completed": completed}, **{field: "x" * 256}) is not None


def test_a_key_in_the_place_of_a_name_is_not_kept() -> None:
    key = "sk-ant-api03-abcdefgh12345678"
    meaning = step(**dict.fromkeys(("id", "sessionID", "providerID", "modelID", "agent"), key))
    assert key not in repr(meaning)
    assert meaning.target.provider.startswith("redacted-")


def test_a_failed_step_carries_the_evidence() -> None:
    data = {"message": "slow down", "statusCode": 429, "responseHeaders": {"Retry-After": "7"}, "responseBody": "{}"}
    meaning = step(error={"name": "APIError", "data": data})
    assert meaning.failure.status == 429
    assert meaning.failure.headers == {"retry-after": "7"}
    assert (meaning.failure.provider, meaning.failure.message, meaning.failure.body) == ("alpha", "slow down", "{}")


def test_an_aborted_step_is_no_failure() -> None:
    meaning = step(error={"name": "MessageAbortedError", "data": {"message": "aborted"}})
    assert meaning.aborted
    assert meaning.failure is None


def test_a_missing_key_is_an_authentication_failure() -> None:
    error = {"name": "ProviderAuthError", "data": {"providerID": "beta", "message": "no key"}}
    meaning = read(EditorEvent(type="session.error", properties={"sessionID": "s", "error": error}))
    assert isinstance(meaning, SessionFailed)
    assert (meaning.evidence.status, meaning.evidence.provider) == (401, "beta")


def test_an_error_without_a_message_is_known_by_its_name() -> None:
    meaning = read(EditorEvent(type="session.error", properties={"sessionID": "s", "error": {"name": "UnknownError"}}))
    assert isinstance(meaning, SessionFailed)
    assert meaning.evidence.message == "UnknownError"


def test_a_retry_tells_the_text_of_the_refusal() -> None:
    status = {"type": "retry", "attempt": 1, "message": "Rate limit reached", "next": 5}
    meaning = read(EditorEvent(type="session.status", properties={"sessionID": "s", "status": status}))
    assert isinstance(meaning, SessionFailed)
    assert meaning.evidence.message == "Rate limit reached"


@pytest.mark.parametrize(
    ("kind", "properties"),
    [
        ("session.status", {"sessionID": "s", "status": {"type": "busy"}}),
        ("session.error", {"sessionID": "s"}),
        ("session.error", {"error": {"name": "X"}}),
        ("session.deleted", {}),
        ("lsp.updated", {}),
    ],
)
def test_noise_means_nothing(kind: str, properties: dict[str, Any]) -> None:
    assert read(EditorEvent(type=kind, properties=properties)) is None


def test_a_deleted_session_is_named_either_way() -> None:
    by_id = read(EditorEvent(type="session.deleted", properties={"sessionID": "s"}))
    by_info = read(EditorEvent(type="session.deleted", properties={"info": {"id": "s"}}))
    assert by_id == by_info == SessionDeleted(session="s")


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=10), inner, max_size=3),
    max_leaves=10,
)
FIELDS = st.sampled_from([*STEP, "error", "status", "info", "data", "cache", "completed"])


@given(
    kind=st.sampled_from(["message.updated", "session.error", "session.status", "session.deleted"]),
    properties=st.dictionaries(
        FIELDS, st.recursive(JSON, lambda inner: st.dictionaries(FIELDS, inner, max_size=6), max_leaves=20), max_size=6
    ),
)
def test_no_event_of_any_form_is_an_error(kind: str, properties: dict[str, Any]) -> None:
    meaning = read(EditorEvent(type=kind, properties=properties))
    if isinstance(meaning, StepEnded):
        assert meaning.tokens >= 0
        assert meaning.cost >= 0
