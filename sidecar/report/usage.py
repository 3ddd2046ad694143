"""`usage` as text: what was used in a time, by provider, model, agent or project.

Pure formatting of what `book.py` sums up. A name stands on a line of its own and its numbers under it, so that they
stand in columns whatever the names' length; 80 characters are enough.
"""

from collections.abc import Mapping
from datetime import date

from sidecar.core.spread import percentile
from sidecar.report.book import By, Used
from sidecar.report.numbers import amount, dollars, percent, plain, project, quick

_COLUMNS = (
    ("requests", 10),
    ("errors", 9),
    ("input", 8),
    ("output", 8),
    ("cache", 8),
    ("cost", 9),
    ("latency", 9),
    ("p95", 8),
    ("1st token", 11),
)
PERIODS = {"today": 1, "week": 7, "month": 30}
_WORDS = {"today": "today", "week": "the last 7 days", "month": "the last 30 days"}


def total(groups: Mapping[str, Used]) -> Used:
    """Sum up all groups."""
    whole = Used()
    for used in groups.values():
        whole.absorb(used)
    return whole


def render(groups: Mapping[str, Used], period: str, since: date, by: By, *, home: str = "") -> str:
    """Write the report; `since` is the first day of `period`, `home` the directory written as `~`."""
    words = f"{_WORDS[period]} ({since:%a %Y-%m-%d}{' to now' if PERIODS[period] > 1 else ''})"
    if not groups:
        return f"Nothing was used {words}.\n"
    lines = [f"Used {words}, by {by}", ""]
    lines.append("".join(f"{name:>{width}}" for name, width in _COLUMNS))
    for name, used in groups.items():
        lines += [plain(project(name, home) if by == "project" else name), _numbers(used)]
    if len(groups) > 1:
        lines += ["total", _numbers(total(groups))]
    return "\n".join(lines) + "\n"


def _numbers(used: Used) -> str:
    values = (
        amount(used.requests),
        percent(used.error_rate),
        amount(used.input),
        amount(used.output + used.reasoning),
        amount(used.cache_read + used.cache_write),
        dollars(used.nano_usd),
        quick(used.latency),
        quick(percentile(used.latencies, 0.95)),
        quick(used.first_token),
    )
    return "".join(f"{value:>{width}}" for value, (_, width) in zip(values, _COLUMNS, strict=True))
