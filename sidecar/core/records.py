"""What is written down of each event for the reports: attempts begun and ended, what steps used, decisions with why.

Only data, drained from the engine as notices are; nothing in the core reads one back, and losing one costs a report
only. Tuples, because one is made for every request and must cost nothing. Nothing here holds a provider's text.
"""

from typing import Literal, NamedTuple

from sidecar.core.decisions import Decision, Notice
from sidecar.core.events import Outcome, Route
from sidecar.core.failure import Failure, Kind
from sidecar.core.target import Target
from sidecar.redact import redact_place

Ended = Literal["ok", "empty", "failed", "aborted"]
# Decisions nobody will ask about: it went where it was asked to go.
_PLAIN = frozenset({"free", "here", "ok", "known", "off", "aborted"})


class Tokens(NamedTuple):
    """What one step used; `input` is without the cache, `output` without the reasoning."""

    input: int = 0
    output: int = 0
    reasoning: int = 0
    cache_read: int = 0
    cache_write: int = 0


class AttemptBegan(NamedTuple):
    """An attempt was counted and may be sent; `at` is epoch seconds."""

    attempt: str
    session: str
    turn: str
    agent: str
    directory: str
    target: Target
    at: float


class AttemptEnded(NamedTuple):
    """An attempt's one end; `kind` and `rule` say how a refusal was read, times are milliseconds."""

    attempt: str
    session: str
    turn: str
    agent: str
    directory: str
    target: Target
    at: float
    ended: Ended
    status: int | None
    kind: Kind | None
    rule: str
    latency_ms: float | None
    first_token_ms: float | None


class StepUsed(NamedTuple):
    """What one completed message used; `cost` is in US dollars.

    `request` says that it is also counted as a request, because its sender reports no attempts; then `ended`, `kind`
    and `rule` say how that went. `completed` is the epoch second the editor says it was completed at.
    """

    message: str
    session: str
    turn: str
    agent: str
    directory: str
    target: Target
    at: float
    completed: float | None
    tokens: Tokens
    cost: float
    request: bool
    ended: Ended
    kind: Kind | None
    rule: str


class Decided(NamedTuple):
    """A decision somebody may ask about; `moment` is where in a turn it was taken, `status` the HTTP status before it.

    `retry_after_s` is the wait the provider named, in seconds.
    """

    moment: Literal["message", "attempt", "outcome"]
    session: str
    turn: str
    agent: str
    directory: str
    asked: Target
    at: float
    status: int | None
    decision: Decision


Record = AttemptBegan | AttemptEnded | StepUsed | Decided
Item = Record | Notice
"""Everything the history takes."""


def began(event: Route, attempt: str, now: float) -> AttemptBegan:
    """Write down an attempt that may be sent."""
    return AttemptBegan(
        attempt, event.session, event.turn, event.agent, redact_place(event.directory), event.target.target, now
    )


def ended(event: Outcome, at: float, failure: Failure | None = None) -> AttemptEnded:
    """Write down how an attempt ended, at `at`."""
    return AttemptEnded(
        event.attempt,
        event.session,
        event.turn,
        event.agent,
        redact_place(event.directory),
        event.target.target,
        at,
        "ok" if event.ended == "began" else event.ended,
        event.status,
        None if failure is None else failure.kind,
        "" if failure is None else failure.rule,
        event.latency_ms,
        event.first_token_ms,
    )


def decided(event: Route | Outcome, decision: Decision, now: float) -> Decided | None:
    """Write down a decision; None for one that needs no explaining."""
    if decision.action == "proceed" and decision.failure is None and decision.reason.code in _PLAIN:
        return None
    return Decided(
        "outcome" if isinstance(event, Outcome) else event.at,
        event.session,
        event.turn,
        event.agent,
        redact_place(event.directory),
        event.target.target,
        now,
        event.status if isinstance(event, Outcome) else None,
        decision,
    )
