"""The tables of the usage history, and how records become rows: one per attempt, and totals per day that stay.

Only SQL over a connection somebody else opened and whose transaction somebody else ends; no file, no thread, no clock.
A record that was written before changes nothing, so that what is reported twice counts once. Days are the local ones
of the machine, because people ask for "today". What is kept how long stands in `KEPT`.
"""

import json
import sqlite3
from collections.abc import Callable, Iterable
from datetime import datetime, tzinfo
from typing import Any, Final

from sidecar.core.decisions import Notice
from sidecar.core.records import AttemptBegan, AttemptEnded, Decided, Item, StepUsed
from sidecar.core.spread import Spread, class_of, merge
from sidecar.redact import redact_place

VERSION: Final = 1
DAYS_KEPT: Final = 366
# table: (seconds, rows) it keeps at the most
KEPT: Final[dict[str, tuple[float, int]]] = {
    "attempts": (48 * 3600.0, 200_000),
    "decisions": (14 * 86_400.0, 5_000),
    "happened": (90 * 86_400.0, 20_000),
}
SLICE: Final = 500
# More kinds of use than anybody has in a day; what comes after them is counted under `OTHER`.
MOST_GROUPS: Final = 2_000
OTHER: Final = "other"
_NAME, _TEXT = 512, 2_000

AMOUNTS: Final = ("requests", "answered", "failed", "aborted", "input", "output", "reasoning", "cache_read",
                  "cache_write", "nano_usd", "latency_n", "latency_ms", "first_token_n", "first_token_ms")  # fmt: skip
_USED = ("input", "output", "reasoning", "cache_read", "cache_write", "nano_usd")
_GROUP = ("day", "provider", "model", "agent", "project")
_ENDS = {"ok": "answered", "failed": "failed", "empty": "failed", "aborted": "aborted"}

SCHEMA: Final = f"""
CREATE TABLE attempts (
  id INTEGER PRIMARY KEY, at REAL NOT NULL, day TEXT NOT NULL, session TEXT NOT NULL, turn TEXT NOT NULL,
  attempt TEXT NOT NULL DEFAULT '', message TEXT NOT NULL DEFAULT '', agent TEXT NOT NULL, project TEXT NOT NULL,
  provider TEXT NOT NULL, model TEXT NOT NULL, requests INTEGER NOT NULL, ended TEXT NOT NULL DEFAULT '',
  status INTEGER, kind TEXT, rule TEXT NOT NULL DEFAULT '', latency_ms REAL, first_token_ms REAL,
  {", ".join(f"{name} INTEGER NOT NULL DEFAULT 0" for name in _USED)}
);
CREATE UNIQUE INDEX attempts_by_attempt ON attempts (session, attempt) WHERE attempt <> '';
CREATE UNIQUE INDEX attempts_by_message ON attempts (session, message) WHERE message <> '';
CREATE INDEX attempts_without_message ON attempts (session, turn) WHERE attempt <> '' AND message = '';
CREATE INDEX attempts_by_at ON attempts (at);
CREATE TABLE daily (
  day TEXT NOT NULL, provider TEXT NOT NULL, model TEXT NOT NULL, agent TEXT NOT NULL, project TEXT NOT NULL,
  {", ".join(f"{name} NUMERIC NOT NULL DEFAULT 0" for name in AMOUNTS)},
  latency_spread TEXT NOT NULL DEFAULT '{{}}', first_token_spread TEXT NOT NULL DEFAULT '{{}}',
  PRIMARY KEY (day, provider, model, agent, project)
) WITHOUT ROWID;
CREATE TABLE happened (
  id INTEGER PRIMARY KEY, at REAL NOT NULL, event TEXT NOT NULL, session TEXT NOT NULL, agent TEXT NOT NULL,
  project TEXT NOT NULL, source TEXT, target TEXT, code TEXT NOT NULL, text TEXT NOT NULL, kind TEXT, until REAL
);
CREATE INDEX happened_by_at ON happened (at);
CREATE TABLE decisions (
  id INTEGER PRIMARY KEY, at REAL NOT NULL, moment TEXT NOT NULL, session TEXT NOT NULL, turn TEXT NOT NULL,
  agent TEXT NOT NULL, project TEXT NOT NULL, asked TEXT NOT NULL, action TEXT NOT NULL, target TEXT, origin TEXT,
  code TEXT NOT NULL, text TEXT NOT NULL, until REAL, status INTEGER, failure TEXT, rejected TEXT NOT NULL
);
CREATE INDEX decisions_by_at ON decisions (at);
CREATE INDEX decisions_by_session ON decisions (session);
PRAGMA user_version = {VERSION};
"""

_Group = tuple[str, str, str, str, str]
# Rows that are written in one go, in about a millisecond.
_STRETCH = 20


class _Sum:
    """What is added to one group's day."""

    __slots__ = ("amounts", "first_tokens", "latencies")

    def __init__(self) -> None:
        self.amounts = dict.fromkeys(AMOUNTS, 0.0)
        self.latencies: Spread = {}
        self.first_tokens: Spread = {}


class Tables:
    """Writes records; to be used within a transaction, and thrown away with it when it fails."""

    def __init__(self, db: sqlite3.Connection, zone: tzinfo | None = None) -> None:
        self._db, self._zone = db, zone
        self._sums: dict[_Group, _Sum] = {}

    def write(self, items: Iterable[Item], rest: Callable[[], None] = lambda: None) -> None:
        """Write down what happened, oldest first; `rest` is called after each millisecond's work or so."""
        for number, item in enumerate(items, 1):
            if number % _STRETCH == 0:
                rest()
            match item:
                case AttemptBegan():
                    self._began(item)
                case AttemptEnded():
                    self._ended(item)
                case StepUsed():
                    self._used(item)
                case Decided():
                    self._decided(item)
                case Notice():
                    self._happened(item)
        for number, (group, new) in enumerate(self._sums.items(), 1):
            if number % _STRETCH == 0:
                rest()
            self._add(group, new)
        self._sums = {}

    def prune(self, now: float) -> bool:
        """Delete a bounded part of what is too old or too much; False when more of it is left."""
        done = True
        for table, (seconds, rows) in KEPT.items():
            much = f"id <= (SELECT max(id) FROM {table}) - ?"  # noqa: S608 - names of our own, here and below
            for old, bound in (("at < ?", now - seconds), (much, rows)):
                done &= self._delete(table, old, bound)
        oldest = self._day(now - DAYS_KEPT * 86_400)
        self._db.execute("DELETE FROM daily WHERE day < ?", (oldest,))
        return done

    def _delete(self, table: str, old: str, bound: float) -> bool:
        query = f"DELETE FROM {table} WHERE id IN (SELECT id FROM {table} WHERE {old} LIMIT {SLICE})"  # noqa: S608
        return self._db.execute(query, (bound,)).rowcount < SLICE

    # -- attempts --------------------------------------------------------------------------------------------------

    def _began(self, record: AttemptBegan) -> None:
        if self._find(record.session, record.attempt) is None:
            self._insert(record, attempt=record.attempt)

    def _ended(self, record: AttemptEnded) -> None:
        found = self._find(record.session, record.attempt)
        if found is None:
            sent = record.at - (record.latency_ms or 0.0) / 1000
            row, group = self._insert(record._replace(at=sent), attempt=record.attempt)
        else:
            row, group, known = found
            if known:
                return
        self._db.execute(
            "UPDATE attempts SET ended = ?, status = ?, kind = ?, rule = ?, latency_ms = ?, first_token_ms = ?"
            " WHERE id = ?",
            (record.ended, record.status, record.kind, record.rule, record.latency_ms, record.first_token_ms, row),
        )
        self._count(group, _ENDS[record.ended])
        if record.ended == "ok":
            new = self._sum(group)
            if record.latency_ms is not None:
                _measure(new, "latency", new.latencies, record.latency_ms)
            if record.first_token_ms is not None:
                _measure(new, "first_token", new.first_tokens, record.first_token_ms)

    def _used(self, record: StepUsed) -> None:
        """Add what a step used to the attempt that answered it; where there is none to be found, it gets its own row.

        That row counts as a request only where messages are all that is reported.
        """
        session, message = record.session[:_NAME], record.message[:_NAME]
        if self._db.execute(
            "SELECT 1 FROM attempts WHERE session = ? AND message = ? AND message <> ''", (session, message)
        ).fetchone():
            return
        found = None if record.request else self._answering(record)
        if found is None:
            row, group = self._insert(record, message=message, requests=int(record.request))
            if record.request:
                self._count(group, _ENDS[record.ended])
                self._db.execute(
                    "UPDATE attempts SET ended = ?, kind = ?, rule = ? WHERE id = ?",
                    (record.ended, record.kind, record.rule, row),
                )
        else:
            row, group = found
        used = dict(zip(_USED, (*record.tokens, round(record.cost * 1e9)), strict=True))
        named = ", ".join(f"{name} = {name} + ?" for name in used)
        self._db.execute(f"UPDATE attempts SET message = ?, {named} WHERE id = ?", (message, *used.values(), row))  # noqa: S608
        for name, amount in used.items():
            self._count(group, name, amount)

    def _answering(self, record: StepUsed) -> tuple[int, _Group] | None:
        """Find the attempt a message came from: of its session, target and agent the last before it was complete."""
        query = (
            "SELECT id, day, provider, model, agent, project, at FROM attempts WHERE session = ?{} AND attempt <> ''"
            " AND message = '' AND provider = ? AND model = ? AND agent = ? AND project = ?"
            " AND ended IN ('', 'ok', 'empty', 'aborted') ORDER BY id DESC LIMIT 20"
        )
        session, turn = record.session[:_NAME], record.turn[:_NAME]
        group = (*record.target, record.agent[:_NAME], record.directory)
        rows = self._db.execute(query.format(" AND turn = ?"), (session, turn, *group)).fetchall()
        if not rows:
            rows = self._db.execute(query.format(""), (session, *group)).fetchall()
        # Editor and daemon read one clock; the request of the next step is sent after this one's message is complete.
        latest = float("inf") if record.completed is None else record.completed
        best = next((row for row in rows if row[-1] <= latest), next(iter(rows), None))
        return None if best is None else (best[0], tuple(best[1:6]))

    def _find(self, session: str, attempt: str) -> tuple[int, _Group, str] | None:
        row = self._db.execute(
            "SELECT id, day, provider, model, agent, project, ended FROM attempts"
            " WHERE session = ? AND attempt = ? AND attempt <> ''",
            (session, attempt),
        ).fetchone()
        return None if row is None else (row[0], tuple(row[1:6]), row[6])

    def _insert(
        self, record: AttemptBegan | AttemptEnded | StepUsed, *, attempt: str = "", message: str = "", requests: int = 1
    ) -> tuple[int, _Group]:
        group = (self._day(record.at), *record.target, record.agent[:_NAME], record.directory)
        values = (record.at, record.session[:_NAME], record.turn[:_NAME], attempt, message, *group, requests)
        row = self._db.execute(
            "INSERT INTO attempts (at, session, turn, attempt, message, day, provider, model, agent, project, requests)"
            " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
            values,
        ).lastrowid
        self._count(group, "requests", requests)
        return row or 0, group

    # -- totals ----------------------------------------------------------------------------------------------------

    def _sum(self, group: _Group) -> _Sum:
        found = self._sums.get(group)
        if found is None:
            found = self._sums[group] = _Sum()
        return found

    def _count(self, group: _Group, name: str, amount: float = 1) -> None:
        self._sum(group).amounts[name] += amount

    def _add(self, group: _Group, new: _Sum) -> None:
        """Add to a group's day."""
        where = " AND ".join(f"{name} = ?" for name in _GROUP)
        query = f"SELECT latency_spread, first_token_spread FROM daily WHERE {where}"  # noqa: S608
        old = self._db.execute(query, group).fetchone()
        if old is None and self._crowded(group[0]):
            group = (group[0], OTHER, OTHER, OTHER, OTHER)
            old = self._db.execute(query, group).fetchone()
        for spread, text in zip((new.latencies, new.first_tokens), old or ("{}", "{}"), strict=True):
            merge(spread, {int(number): count for number, count in json.loads(text).items()})
        values = (*new.amounts.values(), json.dumps(new.latencies), json.dumps(new.first_tokens))
        names = (*AMOUNTS, "latency_spread", "first_token_spread")
        if old is None:
            marks = ", ".join("?" * (len(group) + len(values)))
            self._db.execute(f"INSERT INTO daily ({', '.join((*_GROUP, *names))}) VALUES ({marks})", (*group, *values))  # noqa: S608
        else:
            added = ", ".join(f"{name} = {name} + ?" if name in new.amounts else f"{name} = ?" for name in names)
            self._db.execute(f"UPDATE daily SET {added} WHERE {where}", (*values, *group))  # noqa: S608

    def _crowded(self, day: str) -> bool:
        (groups,) = self._db.execute("SELECT count(*) FROM daily WHERE day = ?", (day,)).fetchone()
        return bool(groups >= MOST_GROUPS)

    # -- what happened, and why ------------------------------------------------------------------------------------

    def _decided(self, record: Decided) -> None:
        decision = record.decision
        failure = None if decision.failure is None else decision.failure.model_dump_json()
        rejected = [candidate.model_dump() for candidate in decision.rejected]
        self._row(
            "decisions",
            at=record.at,
            moment=record.moment,
            session=record.session,
            turn=record.turn,
            agent=record.agent,
            project=record.directory,
            asked=str(record.asked),
            action=decision.action,
            target=None if decision.target is None else str(decision.target.target),
            origin=decision.origin,
            code=decision.reason.code,
            text=decision.reason.text[:_TEXT],
            until=decision.until,
            status=record.status,
            failure=failure,
            rejected=json.dumps(rejected),
        )

    def _happened(self, notice: Notice) -> None:
        self._row(
            "happened",
            at=notice.at,
            event=notice.event,
            session=notice.session,
            agent=notice.agent,
            project=redact_place(notice.directory),
            source=notice.source,
            target=notice.target,
            code=notice.reason.code,
            text=notice.reason.text[:_TEXT],
            kind=notice.kind,
            until=notice.until,
        )

    def _row(self, table: str, **values: Any) -> None:
        marks = ", ".join("?" * len(values))
        self._db.execute(f"INSERT INTO {table} ({', '.join(values)}) VALUES ({marks})", tuple(values.values()))  # noqa: S608

    def _day(self, at: float) -> str:
        return datetime.fromtimestamp(at, self._zone).astimezone(self._zone).date().isoformat()


def _measure(new: _Sum, what: str, spread: Spread, milliseconds: float) -> None:
    new.amounts[f"{what}_n"] += 1
    new.amounts[f"{what}_ms"] += milliseconds
    merge(spread, {class_of(milliseconds): 1})
