"""A daemon in this process on a real socket, in a home of its own under a short path (socket paths are limited)."""

import asyncio
import json
import os
import shutil
import tempfile
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self

import aiohttp
import pytest

from sidecar.client import HOST
from sidecar.daemon import watch
from sidecar.daemon.lifecycle import Place, claim
from sidecar.daemon.main import Daemon
from sidecar.paths import Paths, from_environment


@pytest.fixture
def home() -> Iterator[Path]:
    """A short-lived home directory."""
    path = Path(tempfile.mkdtemp(prefix="rls-"))
    yield path
    shutil.rmtree(path, ignore_errors=True)


@pytest.fixture
def env(home: Path) -> dict[str, str]:
    """The environment of that home."""
    return {"HOME": str(home), "PATH": os.environ["PATH"]}


@pytest.fixture
def paths(env: dict[str, str]) -> Paths:
    return from_environment(env)


class Clock:
    """Time as the test says."""

    def __init__(self, now: float = 1_700_000_000.0) -> None:
        self.now = now

    def __call__(self) -> float:
        return self.now


class Recorder:
    """A logger that remembers."""

    def __init__(self) -> None:
        self.lines: list[tuple[str, str, dict[str, Any]]] = []

    def info(self, event: str, **fields: Any) -> None:
        self.lines.append(("info", event, fields))

    def warning(self, event: str, **fields: Any) -> None:
        self.lines.append(("warning", event, fields))

    def warnings(self) -> list[str]:
        return [event for level, event, _ in self.lines if level == "warning"]


@dataclass
class Reply:
    """An answer, read."""

    status: int
    body: Any
    headers: dict[str, str] = field(default_factory=dict)


class InProcess:
    """The whole daemon in this event loop, and a client connected to its socket."""

    def __init__(self, paths: Paths, env: dict[str, str], clock: Clock) -> None:
        self.paths, self.env, self.clock = paths, env, clock

    async def __aenter__(self) -> Self:
        self.place: Place = claim(self.paths)
        self.daemon = Daemon(self.place, self.paths, self.env, None, self.clock)
        await self.daemon.open()
        self.http = aiohttp.ClientSession(f"http://{HOST}", connector=aiohttp.UnixConnector(str(self.paths.socket)))
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.http.close()
        await self.daemon.close()
        self.place.release()

    async def ask(self, method: str, path: str, body: Any = None, **more: Any) -> Reply:
        if body is not None:
            more["data"] = body if isinstance(body, bytes) else json.dumps(body).encode()
            more["headers"] = {"Content-Type": "application/json", **more.get("headers", {})}
        async with self.http.request(method, path, **more) as answer:
            return Reply(answer.status, await answer.json(content_type=None), dict(answer.headers))

    async def get(self, path: str) -> Any:
        reply = await self.ask("GET", path)
        assert reply.status == 200, reply
        return reply.body

    async def post(self, path: str, body: Any) -> Any:
        reply = await self.ask("POST", path, body)
        assert reply.status == 200, reply
        return reply.body

    def saved(self) -> Any:
        return json.loads(self.paths.state.read_text())

    def logged(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self.paths.log.read_text().splitlines()]


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture(autouse=True)
def _impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Have the watching thread wake often, so that nothing waits for it to end."""
    monkeypatch.setattr(watch, "STEP_MS", 10)


@pytest.fixture
async def running(paths: Paths, env: dict[str, str], clock: Clock) -> AsyncIterator[InProcess]:
    async with InProcess(paths, env, clock) as daemon:
        yield daemon


async def until(done: Callable[[], bool | Awaitable[bool]], what: str, seconds: float = 5.0) -> None:
    """Wait for something another process or thread does, in short steps and not for long."""
    for _ in range(int(seconds / 0.01)):
        result = done()
        if result if isinstance(result, bool) else await result:
            return
        await asyncio.sleep(0.01)
    raise AssertionError(f"did not happen within {seconds} s: {what}")


HELLO = {
    "client": "opencode",
    "directory": "",
    "providers": [
        {"id": "alpha", "name": "Alpha", "models": [{"id": "m1", "name": "M1"}]},
        {"id": "beta", "name": "Beta", "models": [{"id": "m1", "name": "M1"}]},
    ],
}


def request(attempt: str = "a1", **more: Any) -> dict[str, Any]:
    """A route request of session s1 for alpha/m1."""
    return {
        "session": "s1",
        "turn": "t1",
        "attempt": attempt,
        "target": {"provider": "alpha", "model": "m1"},
        "wire": "openai-chat",
        **more,
    }


def outcome(attempt: str = "a1", ended: str = "ok", **more: Any) -> dict[str, Any]:
    """How an attempt of session s1 at alpha/m1 ended."""
    return {**request(attempt), "ended": ended, **more}


def limited(attempt: str = "a1", **more: Any) -> dict[str, Any]:
    """An outcome: alpha says 429."""
    return outcome(attempt, "failed", status=429, headers={"retry-after": "600"}, body="rate limit reached", **more)
