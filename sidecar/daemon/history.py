"""Writes the usage history, never in the way of a decision: a bounded queue, and one thread that empties it.

`put` is all that the event loop does. What the database refuses stays queued and is tried again; what does not fit into
the queue is lost and counted. Which rows come of a record is `history_tables.py`, the file's own troubles are
`history_file.py`; that is loaded by the thread, so that even a Python without SQLite has a daemon.
"""

import asyncio
import threading
import time
from collections import deque
from collections.abc import Callable
from datetime import tzinfo
from pathlib import Path
from typing import TYPE_CHECKING, Final

from sidecar.core.records import Item
from sidecar.daemon.store import Log

if TYPE_CHECKING:
    from sidecar.daemon.history_file import HistoryFile

QUEUE: Final = 20_000
BATCH: Final = 500
GATHER_S: Final = 0.5
REST_S: Final = 0.003
RETRY_S: Final = (1.0, 60.0)
PRUNE_S: Final = 600.0
PATIENCE_S: Final = 2.0


class TroubleError(Exception):
    """The file cannot be written now; `kind` is what it is kept as when it must be set aside, None when it may pass."""

    def __init__(self, why: str, kind: str | None = None) -> None:
        super().__init__(why)
        self.kind = kind


class History:
    """The history in the database at `path`; `clock` gives epoch seconds, `zone` is where its days are (None: here)."""

    def __init__(
        self,
        path: Path,
        log: Log,
        *,
        clock: Callable[[], float],
        zone: tzinfo | None = None,
        file: "HistoryFile | None" = None,
        gather_s: float = GATHER_S,
        retry_s: tuple[float, float] = RETRY_S,
        queue: int = QUEUE,
    ) -> None:
        self.path = path
        self.problem: str | None = None
        self.dropped = 0
        self.written = 0
        self._log, self._clock = log, clock
        self._file, self._zone = file, zone
        self._gather_s, self._retry_s, self._most = gather_s, retry_s, queue
        self._queue: deque[Item] = deque()
        self._wake = threading.Event()
        self._asleep = False
        self._stopping = threading.Event()
        self._failures = 0
        self._prune_at = 0.0  # monotonic seconds
        self._thread: threading.Thread | None = None

    def __len__(self) -> int:
        """Give how many records wait to be written."""
        return len(self._queue)

    def put(self, item: Item) -> None:
        """Have something written down; lost when too much waits already. Costs no I/O and never raises."""
        if len(self._queue) >= self._most:
            self.dropped += 1
            return
        self._queue.append(item)
        if self._asleep:
            self._asleep = False
            self._wake.set()

    def start(self) -> None:
        """Begin to write."""
        # A daemon thread, because a disk that hangs must not keep the process from ending.
        self._thread = threading.Thread(target=self._run, name="history", daemon=True)
        self._thread.start()

    async def close(self, patience_s: float = PATIENCE_S) -> None:
        """Write what waits, if that is done within `patience_s` seconds, and stop."""
        self._stopping.set()
        self._wake.set()
        if self._thread is not None:
            await asyncio.to_thread(self._thread.join, patience_s)
        if self._queue:
            self._log.warning("usage history is not complete", lost=len(self._queue), why=self.problem)

    def work(self) -> float | None:
        """Write a batch and delete a little of what is old; gives the seconds until there is more to do, if any.

        Never raises. For the thread alone, or for tests without one.
        """
        batch = [self._queue.popleft() for _ in range(min(len(self._queue), BATCH))]
        try:
            if batch:
                self._database().write(batch, self._rest)
                self._succeeded(len(batch))
            more = self._prune()
        except (TroubleError, OSError, ImportError) as error:
            # What could not be written goes first again; a batch is written as a whole or not at all.
            self._queue.extendleft(reversed(batch))
            return self._failed(error)
        except Exception as error:  # noqa: BLE001 - a record at fault costs those that came with it, and not the thread
            return self._lose(batch, error)
        if self._queue:
            return 0.0
        # What is old can wait: deleting it all at once would keep the disk from what is new.
        return self._gather_s if more else None

    def _lose(self, batch: list[Item], error: Exception) -> float:
        self.dropped += len(batch)
        self._log.warning("usage records are lost", count=len(batch), why=f"{type(error).__name__}: {error}")
        return 0.0

    def _succeeded(self, count: int) -> None:
        self.written += count
        if self.problem is not None:
            self._log.info("usage history is written again", file=str(self.path), failed_writes=self._failures)
        self.problem, self._failures = None, 0

    def _failed(self, error: Exception) -> float:
        """Do what can be done about it; gives the seconds to wait before the next try."""
        self._failures += 1
        aside: Path | None = None
        why = str(error)
        if isinstance(error, TroubleError) and error.kind is not None:
            try:
                aside = self._database().set_aside(error.kind)
            except OSError as trouble:
                why = f"{why}, and it cannot be moved: {trouble.strerror}"
        if self.problem is None:
            kept = {} if aside is None else {"kept_as": aside.name}
            self._log.warning(
                "usage history cannot be used, reports suffer and nothing else", file=str(self.path), why=why, **kept
            )
        self.problem = f"usage history is not written: {why}"
        if aside is not None and self._failures == 1:
            return 0.0
        first, longest = self._retry_s
        return min(first * 2.0 ** min(self._failures - 1, 30), longest)

    def _prune(self) -> bool:
        """Delete a slice of what is old where it is time to; True when more of it waits."""
        if time.monotonic() < self._prune_at:
            return False
        if self._database().prune(self._clock()):
            self._prune_at = time.monotonic() + PRUNE_S
            return False
        return True

    def _rest(self) -> None:
        """Leave the interpreter to the event loop for a moment: Python runs one thread at a time, and answers go first.

        Not when so much waits that some of it would be lost.
        """
        if len(self._queue) < self._most // 2:
            self._stopping.wait(REST_S)

    def _run(self) -> None:
        pause: float | None = None
        while not self._stopping.is_set():
            if pause is None:
                self._sleep()
                # Whatever comes within a moment shares a transaction.
                pause = self._gather_s
            self._stopping.wait(pause)
            pause = self.work()
        self.work()
        while self._queue and self.problem is None:
            self.work()
        if self._file is not None:
            self._file.close()

    def _database(self) -> "HistoryFile":
        if self._file is None:
            from sidecar.daemon.history_file import HistoryFile  # noqa: PLC0415

            self._file = HistoryFile(self.path, zone=self._zone)
        return self._file

    def _sleep(self) -> None:
        self._wake.clear()
        self._asleep = True
        # What was put before `_asleep` was seen is in the queue by now; what comes after it wakes.
        if not self._queue and not self._stopping.is_set():
            self._wake.wait()
        self._asleep = False
