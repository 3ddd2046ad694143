"""The state file: one JSON document, replaced whole, and beside it what has changed since.

The document is written a second after the first change: new file beside it, write, fsync, rename over it, fsync of the
directory. Who reports something waits only until the kernel has the change, as a line of the journal (`journal.py`):
that outlives the process, and the document makes it outlive the machine. A change that a line cannot say is answered
when the document is on disk. There is one write of each kind at a time, and it serves everybody who asked before it
began. When the disk refuses, decisions go on and the document is tried again, later each time. A file that cannot be
read is set aside under a name that says why (damaged, or of a newer version), never overwritten. What the document and
the changes mean is the engine's business. Writes are unbuffered, so there is nothing of our own to flush.
"""

import asyncio
import math
import os
import time
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Protocol

from sidecar.core.memory import NewerStateError
from sidecar.daemon.disk import Disk, replace_file
from sidecar.daemon.document import document_of, parse
from sidecar.daemon.journal import Journal, changes_after, found, remove

LAZY_S = 1.0
RETRY_S = (1.0, 60.0)
# A disk that takes longer than this must not cost anybody a turn: the editor waits 0.25 s for an answer.
PATIENCE_S = 0.2
# Of each sort: damaged ones, and those of a newer version.
ASIDE_KEPT = 5
# Where a document names the journal that continues it.
_JOURNAL = "journal"


class Log(Protocol):
    """What the store says, in the shape of a structured logger."""

    def info(self, event: str, **fields: Any) -> Any:
        """Record something that went well."""

    def warning(self, event: str, **fields: Any) -> Any:
        """Record something a person should know."""


class Store:
    """The file at `path`, holding what `dump` gives; to be used on one event loop.

    `changes` gives what `dump` would say otherwise since the last call of it, None where only `dump` can say it, and
    `merge` puts such changes into a document; without `changes` there is no journal. `lost` is called when somebody
    deleted the file, before it would be written again: that is how people reset it.
    """

    def __init__(
        self,
        path: Path,
        dump: Callable[[], dict[str, Any]],
        log: Log,
        *,
        changes: Callable[[], dict[str, Any] | None] | None = None,
        merge: Callable[[dict[str, Any], Iterable[dict[str, Any]]], None] = lambda _document, _changes: None,
        lost: Callable[[], None] = lambda: None,
        disk: Disk | None = None,
        lazy_s: float = LAZY_S,
        retry_s: tuple[float, float] = RETRY_S,
        patience_s: float = PATIENCE_S,
        utcnow: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        # A link (people keep such files elsewhere) is followed once, so that a rename does not replace it.
        self.path = Path(os.path.realpath(path))
        self.problem: str | None = None
        self.writes = 0
        self.save_s = 0.0
        """Seconds the writes took altogether."""
        self._dump, self._log, self._lost, self._utcnow = dump, log, lost, utcnow
        self._disk = disk or Disk()
        self._lazy_s, self._retry_s, self._patience_s = lazy_s, retry_s, patience_s
        self._journaled = changes is not None
        self._changes, self._merge = changes or (lambda: None), merge
        # Two, because a line must not wait for the fsync of a document.
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="state")
        self._line_thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="journal")
        self._waiters: list[asyncio.Future[bool]] = []
        """Those whose change is not yet on its way; `_asked` has also those who wait for one that is."""
        self._asked: set[asyncio.Future[bool]] = set()
        self._journal: Journal | None = None
        """Where lines go; None while the next thing to be saved has to be a whole document."""
        self._old: list[Journal] = []
        self._left: list[Path] = []
        """Journals an earlier daemon left; they go once a document of ours holds what they say."""
        self._lines: set[asyncio.Future[None]] = set()
        self._dirty = False
        self._there = False
        self._set_aside_first = ""
        """Why the file in our place has to be set aside before the first write: `damaged`, `newer`, or not at all."""
        self._writing: asyncio.Task[None] | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._patience: asyncio.TimerHandle | None = None
        self._failures = 0
        self._began = self._line_began = math.inf
        """When the write under way, of a document or of a line, reached the disk (monotonic seconds)."""

    def read(self, accept: Callable[[object], None]) -> None:
        """Hand the document to `accept`; what is damaged, or what `accept` cannot take, is set aside with one warning.

        Also removes temporary files an earlier daemon left behind. What its journal says is taken with the document.
        Blocking; for the start only.
        """
        for leftover in self.path.parent.glob(f".{self.path.name}.*.tmp"):
            with suppress(OSError):
                leftover.unlink()
        self._left = found(self.path)
        try:
            self._accept(accept)
            self._there = True
        except FileNotFoundError:
            remove(self._left)
            return
        except Exception as error:  # noqa: BLE001 - whatever is wrong with a file, a daemon that cannot start is worse
            remove(self._left)
            self._set_aside_first = "newer" if isinstance(error, NewerStateError) else "damaged"
            name = None
            with suppress(OSError):
                name = self._set_aside()
            self._log.warning(
                "state file cannot be used, starting afresh", file=str(self.path), why=str(error), kept_as=name
            )

    def _accept(self, accept: Callable[[object], None]) -> None:
        """Hand over the document with what its journal says; or as it is, should they not go together."""
        document: Any = parse(self.path)
        changes = _changes_of(document, self._left)
        if not changes:
            accept(document)
            return
        self._dirty = True
        try:
            self._merge(document, changes)
            accept(document)
        except Exception as error:  # noqa: BLE001 - as in `read`; should it be the document, it is found again there
            document = parse(self.path)
            _changes_of(document, [])
            accept(document)
            self._log.warning("journal cannot be used, going on without", file=str(self.path), why=str(error))

    def touch(self) -> None:
        """Have the state written within `lazy_s` seconds; nobody waits for it."""
        self._dirty = True
        if self._timer is None and self._writing is None:
            self._later(self._lazy_s)

    async def commit(self) -> bool:
        """Wait for a write that began after this call; False when the disk refuses or is too slow to wait for."""
        self._dirty = True
        if self.problem is not None:
            return False
        loop = asyncio.get_running_loop()
        done: asyncio.Future[bool] = loop.create_future()
        self._waiters.append(done)
        self._asked.add(done)
        if self._patience is None:
            self._patience = loop.call_later(self._patience_s, self._look)
        self._save()
        return await done

    def notice_deletion(self) -> None:
        """Look whether somebody deleted the file, and tell `lost` if so. One `stat`."""
        if not self._there:
            return
        try:
            self.path.stat()
        except FileNotFoundError:
            self._there = False
            self._drop_journal()
            self._log.info("state file was deleted, counters start anew", file=str(self.path))
            self._lost()
            self.touch()
        except OSError:
            return  # not readable now is not deleted; the next write says what is wrong

    async def close(self, *, flush: bool = True) -> None:
        """Write what is not yet written (if `flush`), then stop; a write under way is finished first."""
        while self._lines:
            await asyncio.wait(self._lines)
        if self._writing is not None:
            await self._writing
        self._dirty = self._dirty and flush
        if self._dirty:
            self._start()
        if self._writing is not None:
            await self._writing
        for timer in (self._timer, self._patience):
            if timer is not None:
                timer.cancel()
        self._thread.shutdown(wait=False)
        if flush and self.problem is None:
            self._drop_journal()
            self._remove(self._old)
        while self._lines:
            await asyncio.wait(self._lines)
        self._line_thread.shutdown(wait=False)

    def _save(self) -> None:
        """Do for those who wait what can be done now: a line, else a document."""
        if not self._waiters or self._lines:
            return
        self.notice_deletion()
        change = None if self._journal is None else self._changes()
        if self._journal is None or change is None:
            self._drop_journal()
            self._start()
        else:
            self._write_line(self._journal, change)
            self.touch()

    def _write_line(self, journal: Journal, change: dict[str, Any]) -> None:
        """Write a change down; those who wait are answered when the kernel has it."""
        waiters, self._waiters = self._waiters, []
        try:
            lines = journal.lines(change)
        except ValueError as error:
            self._fail(error, waiters)
            return
        self._in_order(lambda: journal.write(lines, self._disk), waiters)

    def _in_order(self, act: Callable[[], None], waiters: list[asyncio.Future[bool]]) -> None:
        """Have something done to journals, in the order in which it is asked for."""
        line = asyncio.get_running_loop().run_in_executor(self._line_thread, self._timed_line, act)
        self._lines.add(line)
        line.add_done_callback(lambda line: self._line_written(line, waiters))

    def _line_written(self, line: asyncio.Future[None], waiters: list[asyncio.Future[bool]]) -> None:
        self._lines.discard(line)
        error = line.exception()
        if error is None:
            self._answer(waiters, saved=True)
            self._save()
            return
        self._fail(error, waiters)

    def _fail(self, error: BaseException, waiters: list[asyncio.Future[bool]]) -> None:
        """Take note that something could not be saved: only a whole document can mend that."""
        self._failures += 1
        self._drop_journal()
        self._dirty = True
        self._trouble(str(error))
        self._answer(waiters + self._waiters, saved=False)
        self._waiters = []
        self._retry_soon()

    def _retry_soon(self) -> None:
        if self._writing is None:
            self._later(self._retry_s[0])

    def _answer(self, waiters: Iterable[asyncio.Future[bool]], *, saved: bool) -> None:
        for waiter in waiters:
            self._asked.discard(waiter)
            if not waiter.done():
                waiter.set_result(saved)

    def _look(self) -> None:
        """See whether the disk keeps somebody waiting for too long."""
        self._patience = None
        if not self._asked:
            return
        # Only the disk's own time counts: a busy event loop is no reason to answer before the write. Nor does the
        # writing of a document, as long as there are lines.
        began = min(self._line_began, self._began if self._journal is None else math.inf)
        if time.monotonic() - began <= self._patience_s:
            self._patience = asyncio.get_running_loop().call_later(self._patience_s, self._look)
            return
        self._drop_journal()
        self._trouble(f"the disk takes longer than {self._patience_s:g} s")
        self._answer(list(self._asked), saved=False)
        self._waiters = []
        self._retry_soon()

    def _drop_journal(self) -> None:
        """Write no more lines; those that were written stay until a document holds what they say."""
        if self._journal is not None and self._journal.count:
            self._old.append(self._journal)
        self._journal = None

    def _remove(self, old: list[Journal]) -> None:
        """Remove journals of which a document holds all they say, and those of an earlier daemon."""
        self._old = [journal for journal in self._old if journal not in old]
        left, self._left = self._left, []

        def discard() -> None:
            for journal in old:
                journal.discard()
            remove(left)

        if old or left:
            self._in_order(discard, [])

    def _later(self, delay: float) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._timer = asyncio.get_running_loop().call_later(delay, self._start)

    def _start(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if self._writing is None:
            self._writing = asyncio.get_running_loop().create_task(self._write_all())

    async def _write_all(self) -> None:
        try:
            while self._dirty:
                await self._write_once()
                self._save()
                if self.problem is not None or self._journal is not None:
                    break
        finally:
            self._writing = None
            if self.problem is not None:
                self._dirty = True
                first, longest = self._retry_s
                self._later(min(first * 2.0 ** min(max(self._failures - 1, 0), 30), longest))
            elif self._dirty:
                self._later(self._lazy_s)

    async def _write_once(self) -> None:
        """Write what the engine holds at this moment; whoever asked before it is answered after it.

        As long as lines are written nobody has to wait: the last line of the old journal brings it to the same moment,
        and what happens from then on goes to the next, which continues both the old journal and the new document.
        """
        self.notice_deletion()
        self._dirty = False
        # Asked for in any case: what the document says, no line need say again.
        change = self._changes()
        if self._journal is not None and change is not None:
            self._write_line(self._journal, change)
        before = self._journal if change is not None else None
        waiters, self._waiters = self._waiters, []
        self._drop_journal()
        journal = Journal(self.path, None if before is None else (before.id, before.count))
        if before is not None:
            self._journal = journal
        old = list(self._old)
        try:
            document = document_of({**self._dump(), _JOURNAL: journal.id} if self._journaled else self._dump())
            await asyncio.get_running_loop().run_in_executor(self._thread, self._timed_replace, document)
        except Exception as error:  # noqa: BLE001 - a failed write must answer those who wait, whatever failed
            self._fail(error, waiters)
            return
        self.writes += 1
        self._there = True
        self._remove(old)
        if (before is None or self._journal is journal) and not self._line_is_stuck():
            self._journal = journal if self._journaled else None
            if self.problem is not None:
                self._log.info("state is saved again", file=str(self.path), failed_writes=self._failures)
            self.problem, self._failures = None, 0
        self._answer(waiters, saved=self.problem is None)

    def _line_is_stuck(self) -> bool:
        return time.monotonic() - self._line_began > self._patience_s

    def _trouble(self, why: str) -> None:
        if self.problem is None:
            self._log.warning("state cannot be saved, going on without", file=str(self.path), why=why)
        self.problem = f"state is not saved: {why}"

    def _timed_line(self, act: Callable[[], None]) -> None:
        self._line_began = time.monotonic()
        try:
            act()
        finally:
            self._line_began = math.inf

    def _timed_replace(self, document: bytes) -> None:
        self._began = time.monotonic()
        try:
            if self._set_aside_first:
                self._set_aside()
            replace_file(self._disk, self.path, document)
            self.save_s += time.monotonic() - self._began
        finally:
            self._began = math.inf

    def _set_aside(self) -> str | None:
        """Rename the unusable file, keeping the newest few; gives the new name, None when it is gone already."""
        directory, prefix = self.path.parent, f"{self.path.name}.{self._set_aside_first}-"
        name = base = f"{prefix}{self._utcnow().strftime('%Y%m%dT%H%M%SZ')}"
        count = 0
        while os.path.lexists(directory / name):
            count += 1
            name = f"{base}.{count}"
        with suppress(FileNotFoundError):
            self.path.rename(directory / name)
        self._set_aside_first = ""
        for old in sorted(directory.glob(f"{prefix}*"), key=lambda kept: kept.lstat().st_ctime_ns)[:-ASIDE_KEPT]:
            with suppress(OSError):
                old.unlink()
        return name if os.path.lexists(directory / name) else None


def _changes_of(document: object, journals: list[Path]) -> list[dict[str, Any]]:
    """Take the id of its journal out of a document; gives what was written down after it."""
    journal = document.pop(_JOURNAL, None) if isinstance(document, dict) else None
    return changes_after(journal, journals) if isinstance(journal, str) else []
