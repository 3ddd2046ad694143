"""What the engine answers and announces: decisions for the editor, notices for log, stream and webhooks.

Only data; the answers of the wire protocol `/v1`. A reason always has a code for machines and words for people, and the
words are our own: a provider's text never gets in here.
"""

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

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
    """A short message for the person at the editor.

    `line` says the same on one line, for terminals and logs (empty: title and message). Toasts of the same `key` bring
    the same news: a window shows it once while it is news, however many of its sessions bring it.
    """

    title: str
    message: str
    variant: Literal["info", "success", "warning", "error"] = "info"
    duration_ms: int = 8_000
    key: str = ""
    line: str = ""


class FailureInfo(Answer):
    """The class a refused attempt was given; `rule` names what decided that."""

    kind: Kind
    scope: Scope
    retry_after_s: float | None
    why: str
    rule: str = ""


class Decision(Answer):
    """What to do now.

    `proceed`: send it (after an outcome: deliver what came). `switch`: use `target` instead. `wait`: wait `wait_s`
    seconds, then ask again. `refuse`: do not send it, nothing can answer. `until` is the epoch second at which the
    reason ends, `origin` why `target` was a candidate. `toast` is to be shown now; `arrival` once the first token of
    `target` (or, with `proceed`, of the target asked for) has arrived. `probe`: others wait for what this attempt finds
    out, so its first content is worth a report (`began`). With `pass_s` the turn's next attempt, at `target` or else
    where it is, may be sent within that many seconds without asking, and is told afterwards (`passed`), unless
    something failed at its provider meanwhile. With `leave` the session's next turn may open at the target this is
    about without asking, and is told afterwards (`passed`), for as long as the file beside the socket whose name ends
    in `.seal` holds exactly that text.
    """

    action: Literal["proceed", "switch", "wait", "refuse"] = "proceed"
    target: TargetRef | None = None
    wait_s: float | None = None
    until: float | None = None
    reason: Reason
    origin: str | None = None
    failure: FailureInfo | None = None
    toast: Toast | None = None
    arrival: Toast | None = None
    probe: bool = False
    rejected: tuple[Rejected, ...] = ()
    pass_s: float | None = None
    leave: str | None = None


class HelloReply(Answer):
    """The answer to `hello`: who serves, and what the person should know about the configuration."""

    protocol: int
    version: str
    warnings: tuple[str, ...] = ()
    toasts: bool = True
    stderr: Literal["auto", "always", "never"] = "auto"
    first_token_timeout_s: dict[str, float] = {}
    handover: bool = Field(True, description="whether running turns may be moved with this version of the editor")
    handover_why: str = Field("", description="why not, in words for a person")


class EventsReply(Answer):
    """The answer to `events`."""

    accepted: int
    toasts: tuple[Toast, ...] = ()


class Notice(Answer):
    """Something that happened, for log, stream, history and webhooks."""

    event: Literal["switch", "back", "failure", "all_limited", "cooldown", "wait", "control", "budget"]
    at: float
    session: str = ""
    agent: str = ""
    directory: str = ""
    source: str | None = None
    target: str | None = None
    reason: Reason
    kind: Kind | None = None
    until: float | None = None
