"""Who can reach the daemon's files: their modes from the first moment on, and what another user is told.

A thread looks at everything below the home without pause while daemons start with umask 0, as careless as a start can
be. Another user is a child process that has given root away, so that part needs root.
"""

import os
import stat
import threading
from collections.abc import Callable
from pathlib import Path

from benchmarks.reliability.findings import Finding
from benchmarks.reliability.process import Home, ended
from sidecar.client import DaemonAnswerError, DaemonUnavailableError

NOBODY = 65_534


def measure(rounds: int = 20) -> list[Finding]:
    """Start `rounds` daemons under watch, and knock as somebody else where that is possible."""
    found = [modes(rounds)]
    if os.geteuid() == 0:
        found.append(strangers())
    return found


def modes(rounds: int) -> Finding:
    """Watch the modes of everything a daemon makes, from before it starts until it has saved and gone."""
    looks = 0
    kinds: set[str] = set()
    open_: set[str] = set()
    for _ in range(rounds):
        with Home() as home:
            watch = _Watch(home.path)
            watch.start()
            child = home.serve(umask=0)
            for number in range(20):
                home.ask("POST", "/v1/outcome", ended(f"a{number}"))
            child.terminate()
            child.wait(10)
            watch.stop()
            looks += watch.looks
            kinds |= {name for name, _ in watch.seen}
            open_ |= {f"{name} {mode:o}" for name, mode in watch.seen if mode & 0o077}
    return Finding(
        "Socket, lock, state, log and their directories are nobody else's from the moment they exist",
        "a thread lists the home without pause while daemons start, save and stop under umask 0",
        f"{rounds} daemons, {looks} looks at {', '.join(sorted(kinds))}: {len(open_)} open to others "
        f"{', '.join(sorted(open_))}".strip(),
        not open_ and {"run", "sidecar.sock", "sidecar.lock", "state.json", "sidecar.log"} <= kinds,
    )


class _Watch(threading.Thread):
    """Notes every mode of everything below a directory, until stopped."""

    def __init__(self, top: Path) -> None:
        super().__init__()
        self._top, self._over = top, threading.Event()
        self.seen: set[tuple[str, int]] = set()
        self.looks = 0

    def run(self) -> None:
        while not self._over.is_set():
            self.looks += 1
            self._look(str(self._top))

    def _look(self, directory: str) -> None:
        try:
            with os.scandir(directory) as entries:
                for entry in entries:
                    mode = entry.stat(follow_symlinks=False).st_mode
                    kinds = {".tmp": "a temporary file", ".journal": "a journal"}
                    name = kinds.get(Path(entry.name).suffix, entry.name)
                    self.seen.add((name, stat.S_IMODE(mode)))
                    if stat.S_ISDIR(mode):
                        self._look(entry.path)
        except FileNotFoundError:
            return

    def stop(self) -> None:
        """End and wait."""
        self._over.set()
        self.join()


def strangers() -> Finding:
    """Knock as another user: at the closed door, and at one that was opened on purpose; and as root at a user's."""
    with Home() as home:
        home.serve()
        closed = _as(NOBODY, lambda: home.ask("GET", "/v1/status"))
        home.path.chmod(0o755)
        for place in (*home.paths.runtime.relative_to(home.path).parents, Path(home.paths.runtime)):
            (home.path / place).chmod(0o755)
        home.paths.socket.chmod(0o666)
        opened = _as(NOBODY, lambda: home.ask("GET", "/v1/status"))
        own = _as(os.geteuid(), lambda: home.ask("GET", "/v1/status"))
    return Finding(
        "Another user is refused, by the modes and again by the user id of the process at the other end",
        "a process of another user asks for the status: as it is, and with every mode opened by hand",
        f"as it is: {closed}; with modes opened: {opened}; the daemon's own user: {own}",
        (closed, opened, own) == ("not reached", "refused with 403", "answered"),
    )


def _as(user: int, ask: Callable[[], object]) -> str:
    """Ask in a child of another user; gives in a few words what came of it."""
    read, write = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            if user != os.geteuid():
                os.setgroups([])
                os.setresgid(user, user, user)
                os.setresuid(user, user, user)
            os.write(write, _outcome(ask).encode())
        finally:
            os._exit(0)
    os.close(write)
    with os.fdopen(read) as said:
        answer = said.read()
    os.waitpid(child, 0)
    return answer


def _outcome(ask: Callable[[], object]) -> str:
    try:
        ask()
    except DaemonUnavailableError:
        return "not reached"
    except DaemonAnswerError as error:
        return f"refused with {error.status}"
    return "answered"
