"""Reading an editor's raw bus events: which step was completed, what it cost, what failed.

Pure translation of `EditorEvent` to what the engine understands; the only file of the core that knows the fields of
OpenCode's events (payloads of 1.18.33). An event that is not of a known form is nothing, never an error: editors add
events with every release. Ids and names hold to the bounds of `events.py`.
"""

from dataclasses import dataclass
from typing import Any

from sidecar.core.events import ID_LIMIT, EditorEvent, TargetRef
from sidecar.core.failure import Evidence
from sidecar.core.records import Tokens
from sidecar.core.target import Target
from sidecar.redact import redact_id, redact_name

_TEXT_LIMIT = 65_536
# Of one step; anything larger is a broken report, and counts as nothing rather than poison a year of sums.
_MOST_TOKENS = 10**11
_MOST_USD = 10**5
# The year 9000: what a calendar can still hold.
_LATEST_MS = 2.2e14


@dataclass(frozen=True, slots=True, kw_only=True)
class StepBegan:
    """An assistant message was opened: its session is now at this target, answering this user message."""

    session: str
    turn: str
    target: TargetRef


@dataclass(frozen=True, slots=True, kw_only=True)
class StepEnded:
    """One assistant message was completed: what it used, and the evidence when it failed.

    `tokens` is what counts against limits, `used` all of it; `completed` is an epoch second.
    """

    message: str
    session: str
    turn: str
    target: Target
    agent: str
    tokens: int
    used: Tokens
    cost: float
    completed: float | None = None
    failure: Evidence | None = None
    aborted: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class SessionFailed:
    """A session reported an error or a retry, without saying at which target."""

    session: str
    evidence: Evidence
    aborted: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class SessionDeleted:
    """A session is gone."""

    session: str


Meaning = StepBegan | StepEnded | SessionFailed | SessionDeleted


def read(event: EditorEvent) -> Meaning | None:
    """Give what an event means, None when it means nothing here."""
    properties = event.properties
    match event.type:
        case "message.updated":
            return _step(_dict(properties.get("info")))
        case "session.error":
            error = _dict(properties.get("error"))
            session = _id(properties.get("sessionID"))
            if not (session and error):
                return None
            return SessionFailed(session=session, evidence=_evidence(error), aborted=_aborted(error))
        case "session.status":
            return _retrying(properties)
        case "session.deleted":
            session = _id(properties.get("sessionID")) or _id(_dict(properties.get("info")).get("id"))
            return SessionDeleted(session=session) if session else None
        case _:
            return None


def _step(info: dict[str, Any]) -> StepBegan | StepEnded | None:
    message, session = _id(info.get("id")), _id(info.get("sessionID"))
    provider, model = _name(info.get("providerID")), _name(info.get("modelID"))
    if info.get("role", "assistant") != "assistant" or not (message and session and provider and model):
        return None
    turn = _id(info.get("parentID")) or message
    completed = _dict(info.get("time")).get("completed")
    if not completed:
        return StepBegan(session=session, turn=turn, target=TargetRef(provider=provider, model=model))
    tokens = _dict(info.get("tokens"))
    cache = _dict(tokens.get("cache"))
    amounts = (*map(tokens.get, ("input", "output", "reasoning")), *map(cache.get, ("read", "write")))
    used = Tokens(*(int(_amount(amount)) for amount in amounts))
    error = _dict(info.get("error"))
    aborted = _aborted(error)
    return StepEnded(
        message=message,
        session=session,
        turn=turn,
        target=Target(provider, model),
        agent=_name(info.get("agent")) or _name(info.get("mode")) or "build",
        # Cache reads are left out: providers do not count them against token limits.
        tokens=used.input + used.output + used.reasoning + used.cache_write,
        used=used,
        cost=float(_amount(info.get("cost"), _MOST_USD)),
        completed=_amount(completed, _LATEST_MS) / 1000 or None,
        failure=_evidence(error, provider) if error and not aborted else None,
        aborted=aborted,
    )


def _retrying(properties: dict[str, Any]) -> SessionFailed | None:
    status = _dict(properties.get("status"))
    session, message = _id(properties.get("sessionID")), _text(status.get("message"))
    if status.get("type") != "retry" or not (session and message):
        return None
    return SessionFailed(session=session, evidence=Evidence(message=message))


def _aborted(error: dict[str, Any]) -> bool:
    return error.get("name") == "MessageAbortedError"


def _evidence(error: dict[str, Any], provider: str | None = None) -> Evidence:
    data = _dict(error.get("data"))
    status = data.get("statusCode")
    headers = _dict(data.get("responseHeaders"))
    name = _text(error.get("name"))
    message = _text(data.get("message")) or name
    return Evidence(
        provider=_text(data.get("providerID")) or provider,
        status=401 if name == "ProviderAuthError" else status if isinstance(status, int) else None,
        headers={k.lower(): v for k, v in headers.items() if isinstance(v, str)},
        message=message or None,
        body=_text(data.get("responseBody")) or None,
    )


def _dict(value: object) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}


def _text(value: object) -> str:
    return value[:_TEXT_LIMIT] if isinstance(value, str) else ""


def _id(value: object) -> str:
    """Give an id; nothing when it is longer than the protocol allows, because no attempt can carry such a one."""
    return redact_id(value) if isinstance(value, str) and len(value) <= ID_LIMIT else ""


def _name(value: object) -> str:
    return redact_name(value) if isinstance(value, str) and len(value) <= ID_LIMIT else ""


def _amount(value: object, most: float = _MOST_TOKENS) -> float:
    known = isinstance(value, int | float) and not isinstance(value, bool)
    return value if known and isinstance(value, int | float) and 0 <= value <= most else 0
