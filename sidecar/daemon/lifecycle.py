"""One daemon per socket: the lock it holds for life, and the socket only its own user can reach.

Standard library only and no asyncio: a second instance must find out that it is one before it loads anything heavy, and
the commands look here who is running. The lock comes before the socket, because asyncio would silently replace a socket
that is in use. The lock file is never deleted: whoever deletes one makes room for two holders.
"""

import fcntl
import os
import socket
import stat
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from sidecar.paths import SOCKET_PATH_LIMIT, Paths

EXIT_ALREADY_RUNNING = 3
# When this many wait to be accepted, a connect fails at once instead of waiting (and many clients take that badly).
BACKLOG = 1024
# A command that asks who holds the lock holds it itself for some microseconds; that must not look like a daemon.
_LOCK_TRIES = 6
_LOCK_PAUSE_S = 0.03


class PlaceError(Exception):
    """The daemon cannot live here; the message names the path and the fix."""


class AlreadyRunningError(Exception):
    """Another daemon holds the lock; `pid` is its process, None when it has not yet written it."""

    def __init__(self, pid: int | None, path: Path) -> None:
        who = f"pid {pid}" if pid else "it is just starting"
        super().__init__(
            f"already running ({who}) at {path}; see: rate-limit-sidecar status, or: rate-limit-sidecar stop"
        )
        self.pid = pid


@dataclass(slots=True)
class Place:
    """What a running daemon holds: the lock and the listening socket (not yet accepting)."""

    path: Path
    listener: socket.socket
    lock_fd: int
    identity: tuple[int, int]

    def ours(self) -> bool:
        """Say whether the socket's path still leads to us: not deleted, not replaced. One `lstat`."""
        return _identity(self.path) == self.identity

    def release(self) -> None:
        """Remove the socket if it is still ours, then give the lock back; may be called twice."""
        if self.lock_fd < 0:
            return
        self.listener.close()
        if self.ours():
            with suppress(OSError):
                self.path.unlink()
        with suppress(OSError):
            os.ftruncate(self.lock_fd, 0)
        os.close(self.lock_fd)
        self.lock_fd = -1


def claim(paths: Paths, *, pause: Callable[[float], None] = time.sleep) -> Place:
    """Become the daemon of `paths.socket`: prepare its directory, take the lock, replace a stale socket, listen.

    Raises:
        AlreadyRunningError: somebody else is the daemon.
        PlaceError: the path is too long, not ours or not usable; says how to fix it.
    """
    path = paths.socket
    length = len(os.fsencode(path))
    if length > SOCKET_PATH_LIMIT:
        raise PlaceError(
            f"the socket path {path} has {length} bytes, the system allows {SOCKET_PATH_LIMIT}; "
            "set RATE_LIMIT_SOCKET to a shorter one"
        )
    try:
        _prepare_directory(paths)
        lock_fd = _lock(paths, pause)
    except OSError as error:
        raise PlaceError(
            f"cannot use {paths.runtime}: {error.strerror or error}; fix that or set RATE_LIMIT_SOCKET"
        ) from error
    try:
        listener = _listen(path)
        found = path.lstat()
    except OSError as error:
        os.close(lock_fd)
        raise PlaceError(f"cannot listen at {path}: {error.strerror or error}") from error
    except PlaceError:
        os.close(lock_fd)
        raise
    return Place(path, listener, lock_fd, (found.st_dev, found.st_ino))


def running(paths: Paths, *, pause: Callable[[float], None] = time.sleep) -> int | None:
    """Give the pid of the daemon that holds the lock now; None when nobody does.

    A killed daemon leaves its pid in the file, and the next one writes its own some microseconds after locking: a pid
    counts only when it is read twice while the lock is held. 0 means that somebody holds the lock without a pid.
    """
    seen = None
    for _ in range(_LOCK_TRIES):
        if not _is_locked(paths.lock):
            return None
        pid = _read_pid(paths.lock)
        if pid is not None and pid == seen:
            return pid
        seen = pid
        pause(_LOCK_PAUSE_S)
    return seen or 0


def _prepare_directory(paths: Paths) -> None:
    """Make the 0700 directory of the socket, or see that the one that is there can be trusted.

    A directory that holds nothing but our own files is made 0700 as well. One that is used for other things too (a
    home, `/run`) keeps its mode, as the socket itself is 0600; if others can write in it they could replace the socket.
    """
    directory = paths.runtime
    directory.mkdir(mode=0o700, parents=True, exist_ok=True)
    found = directory.stat()
    mode = stat.S_IMODE(found.st_mode)
    if found.st_uid != os.geteuid():
        raise PlaceError(
            f"{directory} belongs to user {found.st_uid}, not to you ({os.geteuid()}); "
            "set RATE_LIMIT_SOCKET to a path in a directory of your own"
        )
    if mode & 0o077 and {entry.name for entry in directory.iterdir()} <= {paths.socket.name, paths.lock.name}:
        directory.chmod(0o700)
    elif mode & 0o022:
        raise PlaceError(
            f"others can write in {directory} (mode {mode:o}); "
            "set RATE_LIMIT_SOCKET to a path in a directory of your own, or: chmod go-w that directory"
        )


def _lock(paths: Paths, pause: Callable[[float], None]) -> int:
    for _ in range(_LOCK_TRIES):
        fd = os.open(paths.lock, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(fd)
        else:
            if _same_file(fd, paths.lock):
                os.ftruncate(fd, 0)
                os.pwrite(fd, f"{os.getpid()}\n".encode(), 0)
                return fd
            os.close(fd)  # the file was deleted between open and lock: this lock is worth nothing
        pause(_LOCK_PAUSE_S)
    raise AlreadyRunningError(_read_pid(paths.lock), paths.socket)


def _listen(path: Path) -> socket.socket:
    """Bind and listen; the lock is held, so a socket that is there already is stale."""
    with suppress(FileNotFoundError):
        if not stat.S_ISSOCK(path.lstat().st_mode):
            raise PlaceError(f"{path} exists and is not a socket; move it away or set RATE_LIMIT_SOCKET")
        path.unlink()
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    # chmod after bind would leave a moment in which others could connect.
    before = os.umask(0o177)
    try:
        listener.bind(str(path))
    except OSError:
        listener.close()
        raise
    finally:
        os.umask(before)
    listener.listen(BACKLOG)
    listener.setblocking(False)
    return listener


def _identity(path: Path) -> tuple[int, int] | None:
    try:
        found = path.lstat()
    except OSError:
        return None
    return found.st_dev, found.st_ino


def _same_file(fd: int, path: Path) -> bool:
    held = os.fstat(fd)
    return _identity(path) == (held.st_dev, held.st_ino)


def _is_locked(lock: Path) -> bool:
    try:
        fd = os.open(lock, os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return False
    try:
        fcntl.flock(fd, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    else:
        return False
    finally:
        os.close(fd)


def _read_pid(lock: Path) -> int | None:
    try:
        return int(lock.read_bytes()[:20])
    except (OSError, ValueError):
        return None
