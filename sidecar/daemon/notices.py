"""Notices as people and machines read them: one sentence, and the fields of a log line.

Formatting only, shared by log and webhooks; this room, unlike the core, knows which time zone its user lives in.
"""

from datetime import UTC, datetime
from typing import Any

from sidecar.core.decisions import Notice

_HEADLINES = {
    "switch": "switched",
    "back": "back",
    "failure": "failed",
    "all_limited": "everything is limited",
    "cooldown": "cooling down",
    "wait": "waiting",
    "control": "by hand",
    "budget": "budget used up",
}


def sentence(notice: Notice) -> str:
    """Say on one line what happened, from where to where, why and until when (local time)."""
    until = local_time(notice.until, notice.at)
    return f"{route_words(_HEADLINES[notice.event], notice.source, notice.target)}: {notice.reason.text}" + (
        f" (until {until})" if until else ""
    )


def route_words(head: str, source: str | None, target: str | None) -> str:
    """Say `head source → target`, leaving out what is not known."""
    way = " → ".join(filter(None, (source, target)))
    return f"{head} {way}" if way else head


def fields(notice: Notice) -> dict[str, Any]:
    """Give the fields of a notice's log line: from, to, why, until (ISO 8601, UTC) and where it happened."""
    named = {
        "from": notice.source,
        "to": notice.target,
        "why": notice.reason.text,
        "code": notice.reason.code,
        "kind": None if notice.kind is None else notice.kind.value,
        "until": iso(notice.until),
        "agent": notice.agent,
        "session": notice.session,
        "directory": notice.directory,
    }
    always = ("from", "to", "why", "until") if notice.event == "switch" else ()
    return {name: value for name, value in named.items() if value or name in always}


def iso(at: float | None) -> str | None:
    """Write an epoch second as ISO 8601 in UTC; None when it is no moment a calendar knows."""
    moment = _moment(at)
    return None if moment is None else moment.isoformat(timespec="seconds").replace("+00:00", "Z")


def local_time(at: float | None, now: float) -> str:
    """Write an epoch second as `14:32:05` local time, with the date when that is not the day of `now`; "" for none."""
    moment, today = _moment(at), _moment(now)
    if moment is None or today is None:
        return ""
    here = moment.astimezone()
    return here.strftime("%H:%M:%S" if here.date() == today.astimezone().date() else "%Y-%m-%d %H:%M")


def _moment(at: float | None) -> datetime | None:
    try:
        return None if at is None else datetime.fromtimestamp(at, UTC)
    except (ValueError, OverflowError, OSError):
        return None
