"""`history` as text: what happened, a line each, with the reasons.

Pure formatting of what `book.py` reads.
"""

from collections.abc import Iterable
from datetime import tzinfo

from sidecar.report.book import Row
from sidecar.report.numbers import local, plain, until

_WORDS = {
    "switch": "switched",
    "back": "back",
    "failure": "failed",
    "all_limited": "nothing is free",
    "wait": "waiting",
    "control": "by hand",
    "budget": "budget used up",
}
# What is not done by hand though a person's doing is behind it.
_CODES = {"configured": "configuration"}


def render(rows: Iterable[Row], zone: tzinfo | None = None) -> str:
    """Write the report, oldest first, with a heading where another day begins."""
    lines: list[str] = []
    day = ""
    for row in rows:
        moment = local(row["at"], zone)
        heading = f"{moment:%A, %Y-%m-%d}"
        if heading != day:
            lines.append(f"--- {heading} ---")
            day = heading
        lines.append(plain(f"{moment:%H:%M:%S} {line(row, zone)}"))
    return "\n".join(lines or ["Nothing happened: no switch, no failure."]) + "\n"


def line(row: Row, zone: tzinfo | None = None) -> str:
    """Say one event: what, from where to where, why, until when, in which session."""
    way = " → ".join(filter(None, (row["source"], row["target"])))
    head = _CODES.get(row["code"]) or _WORDS.get(row["event"], row["event"])
    where = ", ".join(filter(None, (row["agent"], row["session"])))
    text = f"{head} {way}: {row['text']}" if way else f"{head}: {row['text']}"
    return text + until(row["until"], row["at"], zone) + (f"  [{where}]" if where else "")
