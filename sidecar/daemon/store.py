"""The state file: one JSON document, replaced whole, on disk before anybody is told so.

A write is: new file beside it, write, fsync, rename over it, fsync of the directory. There is one write at a time, and
it serves everybody who asked before it began. When the disk refuses, decisions go on and the write is tried again,
later each time. A file that cannot be read is set aside under a name that says why (damaged, or of a newer version),
never overwritten. What the document means is the engine's business. Writes are unbuffered, so there is nothing of our
own to flush.
"""

import asyncio
import errno
import json
import math
import os
import stat
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Protocol

from sidecar.core.memory import NewerStateError

LAZY_S = 1.0
RETRY_S = (1.0, 60.0)
# A disk that takes longer than this must not cost anybody a turn: the editor waits 0.25 s for an answer.
PATIENCE_S = 0.2
# Of each sort: damaged ones, and those of a newer version.
ASIDE_KEPT = 5
SIZE_LIMIT = 64 * 2**20
# Network file systems that cannot do it say so; the rename is all they offer.
_NO_DIRECTORY_FSYNC = (errno.EINVAL, errno.ENOTSUP)
# Down to this depth a mapping has one line per entry; below that a line holds the whole value.
_LINES_DEPTH = 2


@dataclass(frozen=True, slots=True)
class Disk:
    """The calls a write is made of, replaceable one by one by those who want to see them fail."""

    open: Callable[[Path, int, int], int] = os.open
    write: Callable[[int, memoryview], int] = os.write
    fsync: Callable[[int], None] = os.fsync
    replace: Callable[[Path, Path], None] = os.replace
    fsync_directory: Callable[[int], None] = os.fsync


class Log(Protocol):
    """What the store says, in the shape of a structured logger."""

    def info(self, event: str, **fields: Any) -> Any:
        """Record something that went well."""

    def warning(self, event: str, **fields: Any) -> Any:
        """Record something a person should know."""


class Store:
    """The file at `path`, holding what `dump` gives; to be used on one event loop.

    `lost` is called when somebody deleted the file, before it would be written again: that is how people reset it.
    """

    def __init__(
        self,
        path: Path,
        dump: Callable[[], dict[str, Any]],
        log: Log,
        *,
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
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="state")
        self._waiters: list[asyncio.Future[bool]] = []
        self._dirty = False
        self._there = False
        self._set_aside_first = ""
        """Why the file in our place has to be set aside before the first write: `damaged`, `newer`, or not at all."""
        self._writing: asyncio.Task[None] | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._failures = 0
        self._began = math.inf
        """When the write under way reached the disk (monotonic seconds)."""

    def read(self, accept: Callable[[object], None]) -> None:
        """Hand the document to `accept`; what is damaged, or what `accept` cannot take, is set aside with one warning.

        Also removes temporary files an earlier daemon left behind. Blocking; for the start only.
        """
        for leftover in self.path.parent.glob(f".{self.path.name}.*.tmp"):
            with suppress(OSError):
                leftover.unlink()
        try:
            accept(_parse(self.path))
            self._there = True
        except FileNotFoundError:
            return
        except Exception as error:  # noqa: BLE001 - whatever is wrong with a file, a daemon that cannot start is worse
            self._set_aside_first = "newer" if isinstance(error, NewerStateError) else "damaged"
            name = None
            with suppress(OSError):
                name = self._set_aside()
            self._log.warning(
                "state file cannot be used, starting afresh", file=str(self.path), why=str(error), kept_as=name
            )

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
        done: asyncio.Future[bool] = asyncio.get_running_loop().create_future()
        self._waiters.append(done)
        self._start()
        while not done.done():
            await asyncio.wait((done,), timeout=self._patience_s)
            # Only the disk's own time counts: a busy event loop is no reason to answer before the write.
            if not done.done() and time.monotonic() - self._began > self._patience_s:
                self._trouble(f"the disk takes longer than {self._patience_s:g} s")
                return False
        return done.result()

    def notice_deletion(self) -> None:
        """Look whether somebody deleted the file, and tell `lost` if so. One `stat`."""
        if not self._there:
            return
        try:
            self.path.stat()
        except FileNotFoundError:
            self._there = False
            self._log.info("state file was deleted, counters start anew", file=str(self.path))
            self._lost()
            self.touch()
        except OSError:
            return  # not readable now is not deleted; the next write says what is wrong

    async def close(self, *, flush: bool = True) -> None:
        """Write what is not yet written (if `flush`), then stop; a write under way is finished first."""
        self._dirty = self._dirty and flush
        if self._dirty:
            self._start()
        if self._writing is not None:
            await self._writing
        if self._timer is not None:
            self._timer.cancel()
        self._thread.shutdown(wait=False)

    def _later(self, delay: float) -> None:
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
                if self.problem is not None:
                    break
        finally:
            self._writing = None
            if self.problem is not None:
                self._dirty = True
                first, longest = self._retry_s
                self._later(min(first * 2.0 ** min(self._failures - 1, 30), longest))

    async def _write_once(self) -> None:
        """Write what the engine holds at this moment; whoever asked before it is answered after it."""
        self.notice_deletion()
        self._dirty = False
        waiters, self._waiters = self._waiters, []
        try:
            document = _document(self._dump())
            await asyncio.get_running_loop().run_in_executor(self._thread, self._timed_replace, document)
        except Exception as error:  # noqa: BLE001 - a failed write must answer those who wait, whatever failed
            self._failures += 1
            self._trouble(str(error))
            waiters += self._waiters
            self._waiters = []
        else:
            self.writes += 1
            self._there = True
            if self.problem is not None:
                self._log.info("state is saved again", file=str(self.path), failed_writes=self._failures)
            self.problem, self._failures = None, 0
        for waiter in waiters:
            waiter.set_result(self.problem is None)

    def _trouble(self, why: str) -> None:
        if self.problem is None:
            self._log.warning("state cannot be saved, going on without", file=str(self.path), why=why)
        self.problem = f"state is not saved: {why}"

    def _timed_replace(self, document: bytes) -> None:
        self._began = time.monotonic()
        try:
            self._replace(document)
            self.save_s += time.monotonic() - self._began
        finally:
            self._began = math.inf

    def _replace(self, document: bytes) -> None:
        """Put `document` in the file's place or raise, leaving no temporary file."""
        if self._set_aside_first:
            self._set_aside()
        directory = self.path.parent
        temporary = directory / f".{self.path.name}.{os.getpid()}.tmp"
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC | os.O_NOFOLLOW
        try:
            directory.mkdir(mode=0o700, parents=True, exist_ok=True)
            fd = self._disk.open(temporary, flags, 0o600)
            try:
                left = memoryview(document)
                while left:
                    left = left[self._disk.write(fd, left) :]
                self._disk.fsync(fd)
            finally:
                os.close(fd)
            self._disk.replace(temporary, self.path)
        except BaseException:
            with suppress(OSError):
                temporary.unlink()
            raise
        fd = os.open(directory, os.O_RDONLY | os.O_CLOEXEC)
        try:
            self._disk.fsync_directory(fd)
        except OSError as error:
            if error.errno not in _NO_DIRECTORY_FSYNC:
                raise
        finally:
            os.close(fd)

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


def _parse(path: Path) -> object:
    """Read JSON strictly: a regular file of sane size, UTF-8, no NaN, no infinity."""
    found = path.stat()
    if not stat.S_ISREG(found.st_mode):
        raise ValueError("it is not a regular file")
    if found.st_size > SIZE_LIMIT:
        raise ValueError(f"it has {found.st_size} bytes")
    return json.loads(path.read_bytes().decode(), parse_constant=_refuse, parse_float=_finite)


def _refuse(constant: str) -> float:
    raise ValueError(f"{constant} is not a number")


def _finite(text: str) -> float:
    value = float(text)
    return value if abs(value) != float("inf") else _refuse(text)


def _document(value: dict[str, Any]) -> bytes:
    return (_lines(value, _LINES_DEPTH, "\n") + "\n").encode()


def _lines(value: Any, depth: int, newline: str) -> str:
    """Write JSON for people and tail: the upper levels one entry a line, the rest compact (and by the C encoder)."""
    if depth and isinstance(value, dict) and value:
        inner = newline + " "
        rows = (f"{json.dumps(str(name))}: {_lines(item, depth - 1, inner)}" for name, item in value.items())
        return f"{{{inner}{f',{inner}'.join(rows)}{newline}}}"
    return json.dumps(value, allow_nan=False)
