"""What the engine answers and announces: decisions for the editor, notices for log, stream and webhooks.

Only data; the answers of the wire protocol `/v1`. A reason always has a code for machines and words for people, and the
words are our own: a provider's text never gets in here.
"""

from typing import Literal

from pydantic import BaseModel, ConfigDict

from sidecar.core.events import TargetRef
from sidecar.core.failure import Kind, Scope


class Answer(BaseModel):
    """The base of every answer: immutable."""

    model_config = ConfigDict(frozen=True)


class Reason(Answer):
    """Why, for machines (`code`) and people (`text`)."""

    code: str
    text: str


class Rejected(Answer):
    """A candidate that was not taken; `until` is the epoch second at which the reason ends, None when it does not."""

    target: str
    origin: str
    code: str
    text: str
    until: float | None = None


class Toast(Answer):
    """A short message for the person at the editor."""

    title: str
    message: str
    variant: Literal["info", "success", "warning", "error"] = "info"
    duration_ms: int = 8_000


class FailureInfo(Answer):
    """The class a refused attempt was given."""

    kind: Kind
    scope: Scope
    retry_after_s: float | None
    why: str


class Decision(Answer):
    """What to do now.

    `proceed`: send it (after an outcome: deliver what came). `switch`: use `target` instead. `wait`: wait `wait_s`
    seconds, then ask again. `refuse`: do not send it, nothing can answer. `until` is the epoch second at which the
    reason ends. `toast` is to be shown now; `arrival` once the first token of `target` has arrived. With `pass_s` the
    turn's next attempt, at `target` or else where it is, may be sent within that many seconds without asking, and is
    told afterwards (`passed`), unless something failed at its provider meanwhile.
    """

    action: Literal["proceed", "switch", "wait", "refuse"] = "proceed"
    target: TargetRef | None = None
    wait_s: float | None = None
    until: float | None = None
    reason: Reason
    failure: FailureInfo | None = None
    toast: Toast | None = None
    arrival: Toast | None = None
    rejected: tuple[Rejected, ...] = ()
    pass_s: float | None = None


class HelloReply(Answer):
    """The answer to `hello`: who serves, and what the person should know about the configuration."""

    protocol: int
    version: str
    warnings: tuple[str, ...] = ()
    toasts: bool = True
    first_token_timeout_s: dict[str, float] = {}


class EventsReply(Answer):
    """The answer to `events`."""

    accepted: int
    toasts: tuple[Toast, ...] = ()


class Notice(Answer):
    """Something that happened, for log, stream, history and webhooks."""

    event: Literal["switch", "back", "failure", "all_limited", "cooldown", "wait", "control"]
    at: float
    session: str = ""
    agent: str = ""
    directory: str = ""
    source: str | None = None
    target: str | None = None
    reason: Reason
    kind: Kind | None = None
    until: float | None = None
