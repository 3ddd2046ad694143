"""What `route` says: the decision, and every candidate in the order in which they are looked at.

Pure formatting of a decision as JSON; standard library only, so that commands start fast.
"""

from collections.abc import Iterator
from datetime import datetime, tzinfo
from typing import Any

_Row = tuple[str, str, str, str]
"""Sign, target, origin, reason."""

_TAKEN, _NOT, _UNNEEDED = "✓", "✗", "·"
# Candidates after the one that is taken were not looked at.
_NOT_NEEDED = "not_needed"
_ORIGINS = {
    "chosen": "asked for",
    "same_model": "the same model elsewhere",
    "chain": "from the chain",
    "tier": "as strong",
    "last_resort": "last resort",
}


def headline(asked: str, decision: dict[str, Any]) -> str:
    """Say in one line what is used for what was asked for, and why."""
    return f"{_name(decision['target']) or asked}: {decision['reason']['text']}"


def explain(asked: str, decision: dict[str, Any], now: float, *, width: int = 80, zone: tzinfo | None = None) -> str:
    """Write the headline and every candidate: its sign, name, origin, reason code, words, and until when.

    `now` is epoch seconds, `width` in characters, `zone` where the reader lives (None: where this process runs).
    """
    taken = _name(decision["target"])
    rejected = decision["rejected"]
    before = [one for one in rejected if one["code"] != _NOT_NEEDED]
    rows = [_row(_NOT, one, now, zone) for one in before]
    if taken is not None:
        origin = decision["reason"]["code"]
        rows.append((_TAKEN, taken, _ORIGINS.get(origin, origin), "free: this one is taken"))
    rows += [_row(_UNNEEDED, one, now, zone) for one in rejected[len(before) :]]
    lines = [headline(asked, decision), *_lines(rows, width)]
    if taken is None and rows:
        lines.append(_soonest(rejected, now, zone))
    return "\n".join(lines)


def _lines(rows: list[_Row], width: int) -> Iterator[str]:
    """Write the candidates in columns; the reasons below them where they do not fit beside them."""
    names, origins = (max((len(row[column]) for row in rows), default=0) for column in (1, 2))
    start = len("  1. ✗ ") + names + 2 + origins + 2
    beside = all(start + len(row[3]) <= width for row in rows)
    for number, (sign, target, origin, reason) in enumerate(rows, 1):
        head = f"{number:3}. {sign} "
        if beside:
            yield f"{head}{target:{names}}  {origin:{origins}}  {reason}"
        else:
            yield f"{head}{target}, {origin}"
            yield " " * len(head) + "  " + reason


def _row(sign: str, one: dict[str, Any], now: float, zone: tzinfo | None) -> _Row:
    until = "" if one["until"] is None else f" (until {_clock(one['until'], now, zone)})"
    return sign, one["target"], _ORIGINS.get(one["origin"], one["origin"]), f"{one['code']}: {one['text']}{until}"


def _soonest(rejected: list[dict[str, Any]], now: float, zone: tzinfo | None) -> str:
    ends = [(one["until"], one["target"]) for one in rejected if one["until"] is not None]
    if not ends:
        return "None of them becomes free by itself."
    until, target = min(ends)
    return f"The first to be free again: {target}, at {_clock(until, now, zone)}."


def _name(target: dict[str, Any] | None) -> str | None:
    return None if target is None else f"{target['provider']}/{target['model']}"


def _clock(at: float, now: float, zone: tzinfo | None) -> str:
    there, here = (datetime.fromtimestamp(moment, zone).astimezone(zone) for moment in (at, now))
    return f"{there:%H:%M:%S}" if there.date() == here.date() else f"{there:%Y-%m-%d %H:%M}"
