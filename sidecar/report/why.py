"""`why` as text: each decision with the error it answers, the rule that read it, and every candidate's reason.

Pure formatting of what `book.py` reads. Candidates stand in the order in which they were looked at.
"""

from collections import Counter
from collections.abc import Iterator, Sequence
from datetime import tzinfo
from typing import Any

from sidecar.core.words import KIND_WORDS, span
from sidecar.report.book import Row
from sidecar.report.numbers import local, plain, project, until

_ORIGINS = {
    "chosen": "your own choice",
    "current": "where the turn was",
    "same_model": "the same model elsewhere",
    "chain": "your chain",
    "tier": "a model of the same strength",
    "last_resort": "your last resort",
}
_MOMENTS = {
    "message": "a turn opens at",
    "attempt": "before a request to",
    "outcome": "after a request to",
}
_SCOPES = {
    "model": "the model",
    "provider": "the provider",
    "account": "the account",
    "none": "the request alone",
}
_NOT_NEEDED = "not_needed"
_KINDS = {kind.value: words for kind, words in KIND_WORDS.items()}


def render(rows: Sequence[Row], zone: tzinfo | None = None, *, home: str = "") -> str:
    """Write decisions, oldest first, under a heading for each session."""
    lines: list[str] = []
    shown = ""
    for row in rows:
        heading = f"Session {row['session']} ({row['agent']}, {project(row['project'], home)})"
        if heading != shown:
            lines += ["", heading] if lines else [heading]
            shown = heading
        lines += ["", *_decision(row, zone)]
    return "\n".join(map(plain, lines)) + "\n"


def render_plain(session: str, attempts: Sequence[Row]) -> str:
    """Say of a session in which nothing had to be decided where its requests went."""
    count = Counter(f"{row['provider']}/{row['model']}" for row in attempts if row["requests"])
    if not count:
        return f"Nothing is kept of session {plain(session)} any more.\n"
    where = ", ".join(f"{number} to {target}" for target, number in count.items())
    return (
        plain(f"Session {session}: nothing had to be decided; every request went where it was asked to ({where}).")
        + "\n"
    )


def _decision(row: Row, zone: tzinfo | None) -> Iterator[str]:
    moment = local(row["at"], zone)
    yield f"{moment:%Y-%m-%d %H:%M:%S}, {_MOMENTS.get(row['moment'], row['moment'])} {row['asked']}"
    if row["failure"] is not None:
        yield from _failure(row)
    yield f"  decided: {_verdict(row, zone)}"
    for candidate in _candidates(row):
        yield "    " + candidate_line(candidate, row["at"], zone)


def _failure(row: Row) -> Iterator[str]:
    failure = row["failure"]
    status = "" if row["status"] is None else f"status {row['status']}, "
    yield f"  it failed: {status}{_KINDS.get(failure['kind'], failure['kind'])}: {failure['why']}"
    wait = failure["retry_after_s"]
    named = "no wait was named" if wait is None else f"the provider named {span(wait)}"
    yield f"  read by rule {failure['rule']}: it is about {_SCOPES.get(failure['scope'], failure['scope'])}; {named}"


def _verdict(row: Row, zone: tzinfo | None) -> str:
    end = until(row["until"], row["at"], zone)
    match row["action"]:
        case "switch" if row["target"] == row["asked"]:
            return f"go on with {row['target']}: {row['text']}{end}"
        case "switch":
            return f"switch to {row['target']}: {row['text']}{end}"
        case "wait":
            return f"wait: {row['text']}{end}"
        case "refuse":
            return f"do not send it: {row['text']}{end}"
        case _:
            return f"no switch: {row['text']}{end}"


def _candidates(row: Row) -> list[dict[str, Any]]:
    """Give the candidates in the order they were looked at; the taken one stands before those nobody needed."""
    rejected = list(row["rejected"])
    if row["action"] != "switch":
        return rejected
    place = next((i for i, c in enumerate(rejected) if c["code"] == _NOT_NEEDED), len(rejected))
    return [*rejected[:place], {"target": row["target"], "origin": row["origin"], "taken": True}, *rejected[place:]]


def candidate_line(candidate: dict[str, Any], at: float, zone: tzinfo | None) -> str:
    """Say one candidate: taken or not, what made it one, why not and until when."""
    origin = candidate["origin"]
    what = f"{candidate['target']} ({_ORIGINS.get(origin, origin)})" if origin else candidate["target"]
    if candidate.get("taken"):
        return f"✓ {what}: taken"
    if candidate["code"] == _NOT_NEEDED:
        return f"· {what}: {candidate['text']}"
    return f"✗ {what}: {candidate['text']}{until(candidate['until'], at, zone)}"
