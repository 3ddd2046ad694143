"""Records as the engine writes them, for the tests of history, metrics and reports."""

from typing import Any

from sidecar.core.decisions import Decision, FailureInfo, Notice, Reason, Rejected
from sidecar.core.events import TargetRef
from sidecar.core.failure import Kind, Scope
from sidecar.core.records import AttemptBegan, AttemptEnded, Decided, StepUsed, Tokens
from sidecar.core.target import Target

AT = 1_800_000_000.0  # Friday, 2027-01-15 08:00 UTC
ALPHA, BETA = Target("alpha", "m1"), Target("beta", "m1")


def began(attempt: str = "a1", **more: Any) -> AttemptBegan:
    return AttemptBegan(attempt, "s1", "t1", "build", "/home/me/x", ALPHA, AT)._replace(**more)


def ended(attempt: str = "a1", how: Any = "ok", **more: Any) -> AttemptEnded:
    status = {"ok": 200, "empty": 200, "failed": 429, "aborted": None}[how]
    kind = {"failed": Kind.RATE_LIMIT, "empty": Kind.SERVER}.get(how)
    times = (2_000.0, 500.0) if how == "ok" else (None, None)
    rule = "status.429" if how == "failed" else ""
    return AttemptEnded(
        attempt, "s1", "t1", "build", "/home/me/x", ALPHA, AT + 2, how, status, kind, rule, *times
    )._replace(**more)


def used(message: str = "m1", *, request: bool = False, **more: Any) -> StepUsed:
    tokens = Tokens(100, 20, 5, 1_000, 7)
    where = ("s1", "t1", "build", "/home/me/x", ALPHA, AT + 3, AT + 2.5)
    return StepUsed(message, *where, tokens, 0.25, request, "ok", None, "")._replace(**more)


def decided(**more: Any) -> Decided:
    decision = Decision(
        action="switch",
        target=TargetRef(provider="beta", model="m1"),
        origin="same_model",
        until=AT + 90,
        reason=Reason(code="rate_limit", text="too fast"),
        failure=FailureInfo(
            kind=Kind.RATE_LIMIT, scope=Scope.MODEL, retry_after_s=88.0, why="too fast", rule="status.429"
        ),
        rejected=(
            Rejected(target="alpha/m1", origin="current", code="failed_in_turn", text="already failed", until=AT + 90),
            Rejected(target="gamma/m1", origin="chain", code="not_needed", text="an earlier candidate is free"),
        ),
    )
    return Decided("outcome", "s1", "t1", "build", "/home/me/x", ALPHA, AT + 2, 429, decision)._replace(**more)


def notice(event: Any = "switch", **more: Any) -> Notice:
    plain: dict[str, Any] = {
        "at": AT + 2,
        "session": "s1",
        "agent": "build",
        "directory": "/home/me/x",
        "source": "alpha/m1",
        "target": "beta/m1" if event == "switch" else None,
        "reason": Reason(code="rate_limit", text="too fast"),
        "until": AT + 90,
    }
    return Notice.model_validate({"event": event, **plain, **more})
