"""A failed attempt: of which class it is, and what it costs its target.

The tables that tell the classes apart are `refusals/`, what a class does to a target is `cooldowns/health.py`; here the
one is handed to the other, for attempts reported one by one and for failures only the editor's events tell of.
"""

from collections.abc import Sequence

from sidecar.config.models import Config, ErrorPattern
from sidecar.core.events import Outcome
from sidecar.core.failure import Evidence, Failure, Kind, Scope
from sidecar.core.memory import Memory
from sidecar.core.news import News
from sidecar.core.target import Target

EMPTY_ANSWER = Failure(
    kind=Kind.SERVER, scope=Scope.MODEL, why="answered with success and no content", rule="empty_answer"
)
NO_FIRST_TOKEN = Failure(kind=Kind.TIMEOUT, scope=Scope.MODEL, why="no first token in time", rule="first_token_timeout")


def classify(evidence: Evidence, at: float, patterns: Sequence[ErrorPattern]) -> Failure:
    """See `refusals.classify`, whose tables are loaded when the first refusal needs them, or when there is time."""
    from sidecar.core.refusals.classify import classify as decide  # noqa: PLC0415

    return decide(evidence, at, patterns)


def failure_of(event: Outcome, at: float, patterns: Sequence[ErrorPattern]) -> Failure:
    """Give the class of an attempt that was not answered with content; `patterns` are the user's own."""
    if event.ended == "empty":
        return EMPTY_ANSWER
    if event.status is None and event.error == NO_FIRST_TOKEN.rule:
        return NO_FIRST_TOKEN
    evidence = Evidence(
        provider=event.target.provider,
        status=event.status,
        headers=event.headers,
        message=event.error,
        body=event.body,
    )
    return classify(evidence, at, patterns)


def fail(
    target: Target,
    failure: Failure,
    memory: Memory,
    news: News,
    *,
    config: Config,
    at: float,
    event: Outcome | None = None,
) -> None:
    """Record a failure where it belongs and announce what it costs the target; `event` is the attempt's, if any."""
    latency = None if event is None else event.latency_ms
    started = None if latency is None else at - latency / 1000
    memory.leaves.recall()
    block = memory.health.fail(target, failure, config, at, started=started)
    news.failed(target, failure, None if block is None else block.until, at, event)
