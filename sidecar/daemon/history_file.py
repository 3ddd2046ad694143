"""The database of the usage history: opened private, written in one transaction a batch, mended by itself.

Synchronous; used by one thread alone (`history.py`). Losing history costs reports only, so whatever is wrong with the
file, it is set aside or waited for, and nothing that can happen here reaches a decision.
"""

import os
import sqlite3
from collections.abc import Callable, Sequence
from contextlib import closing, suppress
from datetime import UTC, datetime, tzinfo
from pathlib import Path
from typing import Final, TypeVar

from sidecar.core.records import Item
from sidecar.daemon.history import TroubleError
from sidecar.daemon.history_tables import SCHEMA, VERSION, Tables

T = TypeVar("T")

BUSY_S: Final = 1.0
KEPT_ASIDE: Final = 3
_WAL_BYTES = 4 * 2**20
_PAGES_GIVEN_BACK = 200
# SQLITE_ERROR comes of tables that are not the ones expected, the others of pages that are no database.
_DAMAGED = frozenset(
    {
        sqlite3.SQLITE_ERROR,
        sqlite3.SQLITE_CORRUPT,
        sqlite3.SQLITE_NOTADB,
        sqlite3.SQLITE_SCHEMA,
        sqlite3.SQLITE_FORMAT,
    }
)
_PRIMARY = 0xFF
_OF_ITEMS = (sqlite3.IntegrityError, sqlite3.ProgrammingError, sqlite3.InterfaceError, sqlite3.DataError)
_BESIDE = ("-wal", "-shm")


class HistoryFile:
    """The database at `path`; the connection lives as long as the file it was opened on stays where it is."""

    def __init__(
        self,
        path: Path,
        *,
        zone: tzinfo | None = None,
        busy_s: float = BUSY_S,
        opened: Callable[[sqlite3.Connection], None] = lambda _db: None,
        utcnow: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self.path = path
        self._zone, self._busy_s, self._opened, self._utcnow = zone, busy_s, opened, utcnow
        self._db: sqlite3.Connection | None = None
        self._identity: tuple[int, int] | None = None

    def write(self, items: Sequence[Item], rest: Callable[[], None] = lambda: None) -> None:
        """Write all of them or none; `rest` is called in between, as often as others should have their turn.

        Raises:
            UnusableError: what is there is damaged or of a newer version; it is in the way until it is set aside.
            sqlite3.Error, OSError: not now, for a reason that may pass: locked, a full disk, no permission.
        sqlite3.IntegrityError, sqlite3.ProgrammingError, TypeError and so on: never; the items are at fault.
        """
        self._run(lambda tables: tables.write(items, rest))

    def prune(self, now: float) -> bool:
        """Delete a bounded part of what is too old; False when there is more. Raises like `write`."""
        done = self._run(lambda tables: tables.prune(now))
        if self._db is not None:
            self._db.execute(f"PRAGMA incremental_vacuum({_PAGES_GIVEN_BACK})").fetchall()
        return done

    def set_aside(self, kind: str) -> Path | None:
        """Move what is there out of the way, keeping the newest few; gives its new place, None when it was gone."""
        self.close()
        base = f"{self.path.name}.{kind}-{self._utcnow():%Y%m%dT%H%M%SZ}"
        name, count = base, 0
        while os.path.lexists(self.path.with_name(name)):
            count += 1
            name = f"{base}.{count}"
        for suffix in ("", *_BESIDE):
            with suppress(FileNotFoundError):
                self.path.with_name(self.path.name + suffix).rename(self.path.with_name(name + suffix))
        self._forget_old()
        new = self.path.with_name(name)
        return new if os.path.lexists(new) else None

    def close(self) -> None:
        """Let go of the file; the next call opens it again."""
        if self._db is not None:
            with suppress(sqlite3.Error):
                self._db.close()
            self._db = None

    def _run(self, work: Callable[[Tables], T]) -> T:
        try:
            db = self._connected()
            db.execute("BEGIN IMMEDIATE")
            try:
                result = work(Tables(db, self._zone))
                db.execute("COMMIT")
            except BaseException:
                with suppress(sqlite3.Error):
                    db.execute("ROLLBACK")
                raise
        except _OF_ITEMS:
            raise
        except sqlite3.Error as error:
            damaged = getattr(error, "sqlite_errorcode", 0) & _PRIMARY in _DAMAGED
            raise TroubleError(str(error), "damaged" if damaged else None) from error
        return result

    def _connected(self) -> sqlite3.Connection:
        """Give the connection; opened anew when the file was deleted or replaced."""
        if self._db is not None and self._identity == _identity(self.path):
            return self._db
        self.close()
        self.path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        # Made here and not by SQLite, so that it is private from the first moment; what lies beside it takes its mode.
        fd = os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            os.fchmod(fd, 0o600)
        finally:
            os.close(fd)
        db = sqlite3.connect(self.path, timeout=self._busy_s, isolation_level=None)
        try:
            self._prepare(db)
        except BaseException:
            db.close()
            raise
        self._db, self._identity = db, _identity(self.path)
        return db

    def _prepare(self, db: sqlite3.Connection) -> None:
        (version,) = db.execute("PRAGMA user_version").fetchone()
        if version > VERSION:
            raise TroubleError(f"it was written by a newer version ({version}; this one reads {VERSION})", "newer")
        if version == 0:
            if db.execute("SELECT count(*) FROM sqlite_master").fetchone() != (0,):
                raise TroubleError("it is not a usage history", "damaged")
            db.execute("PRAGMA auto_vacuum = INCREMENTAL")
        # Readers never wait for the writer, and a commit costs no flush of the disk; where files cannot be shared in
        # memory (some network file systems) SQLite stays with its usual journal.
        with closing(db.execute("PRAGMA journal_mode = WAL")):
            pass
        db.execute("PRAGMA synchronous = NORMAL")
        db.execute(f"PRAGMA journal_size_limit = {_WAL_BYTES}").fetchall()
        if version == 0:
            db.executescript(f"BEGIN IMMEDIATE; {SCHEMA} COMMIT;")
        self._opened(db)

    def _forget_old(self) -> None:
        kept = [file for file in self.path.parent.glob(f"{self.path.name}.*-*Z*") if not file.name.endswith(_BESIDE)]
        for old in sorted(kept, key=lambda file: file.lstat().st_ctime_ns)[:-KEPT_ASIDE]:
            for suffix in ("", *_BESIDE):
                with suppress(OSError):
                    old.with_name(old.name + suffix).unlink()


def _identity(path: Path) -> tuple[int, int] | None:
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_dev, found.st_ino
