"""A real daemon process in a home of its own, on a real socket, for everything that is measured from outside."""

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from sidecar.client import DaemonAnswerError, DaemonUnavailableError, call
from sidecar.core.changes import merge
from sidecar.daemon.journal import changes_after, found
from sidecar.paths import from_environment

ROOT = Path(__file__).resolve().parents[2]
# Older logs, and the journal of a daemon that runs or was killed.
_COMES_AND_GOES = r"sidecar\.log\.\d|\.state\.json\.[0-9a-f]{16}\.journal"


class Home:
    """A home directory under `parent`, and the daemons that live in it; a context manager.

    `wrapper` is the command that starts them, with other rights for example.
    """

    def __init__(self, parent: Path | None = None, *, wrapper: tuple[str, ...] = ()) -> None:
        self.path = Path(tempfile.mkdtemp(prefix="rls-", dir=parent))
        self.wrapper = wrapper
        self.env = {"HOME": str(self.path), "PATH": os.environ["PATH"], "PYTHONPATH": str(ROOT)}
        self.paths = from_environment(self.env)
        self.children: list[subprocess.Popen[str]] = []

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for child in self.children:
            if child.poll() is None:
                child.kill()
            child.communicate()
        shutil.rmtree(self.path, ignore_errors=True)

    def spawn(self, **more: Any) -> subprocess.Popen[str]:
        """Start `serve` and do not wait."""
        child = subprocess.Popen(  # noqa: S603 - our own interpreter, our own code
            [*self.wrapper, sys.executable, "-m", "sidecar", "serve", "--quiet"],
            env=self.env,
            cwd="/",
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            **more,
        )
        self.children.append(child)
        return child

    def serve(self, **more: Any) -> subprocess.Popen[str]:
        """Start `serve` and wait until it answers."""
        child = self.spawn(**more)
        eventually(lambda: self.health() is not None or child.poll() is not None, "the daemon answers", 30)
        assert child.poll() is None, child.communicate()
        return child

    def kill(self, child: subprocess.Popen[str]) -> None:
        """End it as `kill -9` does."""
        child.send_signal(signal.SIGKILL)
        child.communicate()
        self.children.remove(child)

    def health(self) -> dict[str, Any] | None:
        """Give what the daemon says of itself; None when nobody answers."""
        try:
            health: dict[str, Any] = self.ask("GET", "/v1/health")
        except (DaemonUnavailableError, DaemonAnswerError):
            return None
        return health

    def ask(self, method: str, route: str, body: Any = None, *, timeout: float = 10.0) -> Any:
        """Ask the daemon."""
        return call(self.paths.socket, method, route, body, timeout=timeout)

    def state(self) -> Any:
        """Give what the next daemon would read: the state file, and what has been written down since."""
        document = json.loads(self.paths.state.read_text())
        merge(document, changes_after(document["journal"], found(self.paths.state)))
        return document

    def logged(self) -> list[dict[str, Any]]:
        """Give what is in the log."""
        return [json.loads(line) for line in self.paths.log.read_text().splitlines()]

    def litter(self) -> set[str]:
        """Give the names of files that should not be there."""
        own = self.paths.state.parent
        known = {"state.json", "sidecar.log", "run", "run/sidecar.sock", "run/sidecar.sock.seal", "run/sidecar.lock"}
        known |= {"history.db", "history.db-wal", "history.db-shm"}
        there = {str(one.relative_to(own)) for one in own.rglob("*")}
        return {
            name
            for name in there - known
            if not re.fullmatch(r"sidecar\.log\.\d|\.state\.json\.[0-9a-f]{16}\.journal", name)
        }


HELLO = {
    "client": "opencode",
    "providers": [{"id": name, "name": name.title(), "models": [{"id": "m1"}]} for name in ("alpha", "beta")],
}


def eventually(done: Callable[[], bool], what: str, seconds: float = 10) -> None:
    """Wait for another process."""
    deadline = time.monotonic() + seconds
    while not done():
        assert time.monotonic() < deadline, f"did not happen: {what}"
        time.sleep(0.01)


def about(attempt: str, provider: str = "alpha", model: str = "m1", session: str = "s1") -> dict[str, Any]:
    """Give the body of a route question."""
    return {
        "session": session,
        "turn": "t1",
        "attempt": attempt,
        "target": {"provider": provider, "model": model},
        "wire": "openai-chat",
    }


def ended(attempt: str, how: str = "ok", **more: Any) -> dict[str, Any]:
    """Give the body of an outcome."""
    where = {name: more.pop(name) for name in ("provider", "model", "session") if name in more}
    return {**about(attempt, **where), "ended": how, **more}


def limited(attempt: str, **more: Any) -> dict[str, Any]:
    """Give the body of an outcome that says 429."""
    refusal = {"status": 429, "headers": {"retry-after": "600"}, "body": "rate limit reached"}
    return ended(attempt, "failed", **refusal, **more)
