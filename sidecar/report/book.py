"""Reads the usage history for the reports: read-only, with or without a daemon, standard library only.

Nothing in here formats or decides; every number is a sum of rows the daemon wrote, one per counted attempt. Days are
local dates (`2026-01-31`), times epoch seconds.
"""

import json
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any, Final, Literal

from sidecar.core.spread import Spread, merge, percentile

VERSION: Final = 1
BUSY_S: Final = 2.0
By = Literal["provider", "model", "agent", "project"]

Row = dict[str, Any]


class HistoryError(OSError):
    """The history cannot be read now; the message says why and what to do."""


@dataclass(slots=True)
class Used:
    """What was used, counted by attempts; `nano_usd` in billionths of a US dollar, times in milliseconds.

    Latencies and times to first token are those of answered attempts. Attempts without an end yet are in `requests`
    only.
    """

    requests: int = 0
    answered: int = 0
    failed: int = 0
    aborted: int = 0
    input: int = 0
    output: int = 0
    reasoning: int = 0
    cache_read: int = 0
    cache_write: int = 0
    nano_usd: int = 0
    latency_n: int = 0
    latency_ms: float = 0.0
    first_token_n: int = 0
    first_token_ms: float = 0.0
    latencies: Spread = field(default_factory=dict)
    first_tokens: Spread = field(default_factory=dict)

    def add(self, row: Row) -> None:
        """Add a row of the daily totals."""
        for name in AMOUNTS:
            setattr(self, name, getattr(self, name) + row[name])
        for spread, text in ((self.latencies, "latency_spread"), (self.first_tokens, "first_token_spread")):
            merge(spread, {int(number): count for number, count in json.loads(row[text]).items()})

    def absorb(self, other: "Used") -> None:
        """Add what another group used."""
        for name in AMOUNTS:
            setattr(self, name, getattr(self, name) + getattr(other, name))
        merge(self.latencies, other.latencies)
        merge(self.first_tokens, other.first_tokens)

    @property
    def error_rate(self) -> float | None:
        """Give the share of requests that failed or were answered with nothing; None without any."""
        return self.failed / self.requests if self.requests else None

    @property
    def latency(self) -> float | None:
        """Give the average time from sending to the end of the answer."""
        return self.latency_ms / self.latency_n if self.latency_n else None

    @property
    def first_token(self) -> float | None:
        """Give the average time from sending to the first content."""
        return self.first_token_ms / self.first_token_n if self.first_token_n else None

    def to_json(self) -> Row:
        """Give every number by its name, for programs."""
        return {
            "requests": self.requests,
            "answered": self.answered,
            "failed": self.failed,
            "aborted": self.aborted,
            "error_rate": self.error_rate,
            "tokens": {
                "input": self.input,
                "output": self.output,
                "reasoning": self.reasoning,
                "cache_read": self.cache_read,
                "cache_write": self.cache_write,
            },
            "cost_usd": self.nano_usd / 1e9,
            "latency_ms": _times(self.latency, self.latencies, self.latency_n),
            "first_token_ms": _times(self.first_token, self.first_tokens, self.first_token_n),
        }


AMOUNTS: Final = tuple(f.name for f in fields(Used) if f.name not in ("latencies", "first_tokens"))


class Book:
    """The history, open for reading; see `opened`."""

    def __init__(self, db: sqlite3.Connection | None) -> None:
        self._db = db

    def usage(self, since: str, by: By) -> dict[str, Used]:
        """Give what was used from the local date `since` on, the busiest first; a model is named with its provider."""
        found: dict[str, Used] = {}
        for row in self._rows("SELECT * FROM daily WHERE day >= ?", since):
            name = f"{row['provider']}/{row['model']}" if by == "model" else row[by]
            found.setdefault(name, Used()).add(row)
        return dict(sorted(found.items(), key=lambda item: (-item[1].requests, item[0])))

    def happened(
        self, count: int, *, since: float | None = None, session: str | None = None, target: str | None = None
    ) -> list[Row]:
        """Give the last `count` events, oldest first: at or after `since`, of a session, about a provider or target."""
        where, values = _where(since, session)
        if target is not None:
            names = ("source", "target")
            where += [f"({' OR '.join(f'{n} = ? OR substr({n}, 1, ?) = ?' for n in names)})"]
            values += [target, len(target) + 1, f"{target}/"] * 2
        return self._last("happened", where, values, count)

    def decisions(self, count: int, *, session: str | None = None, at: float | None = None) -> list[Row]:
        """Give the last `count` decisions, oldest first: of a session, or taken at exactly that moment."""
        where, values = _where(None, session)
        if at is not None:
            where.append("at = ?")
            values.append(at)
        rows = self._last("decisions", where, values, count)
        for row in rows:
            row["failure"] = None if row["failure"] is None else json.loads(row["failure"])
            row["rejected"] = json.loads(row["rejected"])
        return rows

    def last_switch(self) -> Row | None:
        """Give the last event that was a switch."""
        rows = self._last("happened", ["event = 'switch'"], [], 1)
        return rows[0] if rows else None

    def sessions(self, beginning: str) -> list[str]:
        """Give the sessions whose id begins so (an id that is known whole stands for itself), the newest first."""
        found: dict[str, float] = {}
        for table in ("attempts", "decisions", "happened"):
            query = f"SELECT session, max(at) AS at FROM {table} WHERE substr(session, 1, ?) = ? GROUP BY session"  # noqa: S608 - names of our own, here and below
            for row in self._rows(query, len(beginning), beginning):
                found[row["session"]] = max(row["at"], found.get(row["session"], row["at"]))
        return [beginning] if beginning in found else sorted(found, key=lambda session: -found[session])

    def attempts(self, session: str) -> list[Row]:
        """Give the attempts of a session that are kept in detail (48 hours), oldest first."""
        return self._rows("SELECT * FROM attempts WHERE session = ? ORDER BY id", session)

    def _last(self, table: str, where: list[str], values: list[Any], count: int) -> list[Row]:
        condition = f" WHERE {' AND '.join(where)}" if where else ""
        rows = self._rows(f"SELECT * FROM {table}{condition} ORDER BY id DESC LIMIT ?", *values, count)  # noqa: S608
        return rows[::-1]

    def _rows(self, query: str, *values: Any) -> list[Row]:
        return [] if self._db is None else [dict(row) for row in self._db.execute(query, values)]


@contextmanager
def opened(path: Path, *, busy_s: float = BUSY_S) -> Iterator[Book]:
    """Open the history at `path` for as long as the context lasts; where there is none yet, it is empty.

    Raises:
        HistoryError: damaged, of another version, locked for longer than `busy_s`, or not to be read.
    """
    if not path.exists():
        yield Book(None)
        return
    try:
        db = _connect(path, busy_s)
        try:
            yield Book(db)
        finally:
            if db is not None:
                db.close()
    except sqlite3.Error as error:
        raise HistoryError(
            f"the usage history {path} cannot be read: {error}; the daemon sets a damaged one aside by itself"
        ) from error


def _connect(path: Path, busy_s: float) -> sqlite3.Connection | None:
    try:
        return _try(path, "mode=ro", busy_s)
    except sqlite3.OperationalError as error:
        if error.sqlite_errorcode & 0xFF not in (sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_READONLY):
            raise
        # Where nothing may be written beside the file, as on a read-only disk, there is no writer either.
        return _try(path, "mode=ro&immutable=1", busy_s)


def _try(path: Path, how: str, busy_s: float) -> sqlite3.Connection | None:
    db = sqlite3.connect(f"{path.resolve().as_uri()}?{how}", uri=True, timeout=busy_s, isolation_level=None)
    try:
        db.row_factory = sqlite3.Row
        # One picture for everything that is asked, whatever is written meanwhile.
        db.execute("BEGIN")
        (tables,) = db.execute("SELECT count(*) FROM sqlite_master").fetchone()
        (version,) = db.execute("PRAGMA user_version").fetchone()
    except BaseException:
        db.close()
        raise
    if not tables:  # the daemon is just making it
        db.close()
        return None
    if version != VERSION:
        db.close()
        raise HistoryError(
            f"the usage history {path} is of version {version}, this command reads {VERSION}; "
            "restart the daemon with this version: rate-limit-sidecar restart"
        )
    return db


def _where(since: float | None, session: str | None) -> tuple[list[str], list[Any]]:
    given = (("at >= ?", since), ("session = ?", session))
    return [name for name, value in given if value is not None], [value for _, value in given if value is not None]


def _times(average: float | None, spread: Spread, count: int) -> Row:
    return {"average": average, "p95": percentile(spread, 0.95), "count": count}
