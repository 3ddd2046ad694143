"""Whatever is at the daemon's socket, OpenCode answers: dead, frozen, slow, garbage, something newer.

The daemon is our own, so here it may be played: an impostor that introduces itself properly and then misbehaves. How
long a request was held back is recorded, and asserted only roughly, because the machine has other things to do; that
no question waits longer than its budget is proven with an injected clock in `plugin-shim/tests/sidecar.test.ts`.
"""

import asyncio
import json
import os
import signal
import time
from collections.abc import Awaitable, Callable
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import pytest

from sidecar.demo.scripted import Reply, limited
from sidecar.demo.served import Served, text_of

from .conftest import House

pytestmark = pytest.mark.e2e

PROMPT = "say something about lighthouses"
Misbehave = Callable[[asyncio.StreamWriter], Awaitable[None]]
FOREVER_S = 60
PROCEED = {"action": "proceed", "reason": {"code": "free", "text": "free to use"}}


def saying(data: Any, status: str = "200 OK") -> bytes:
    body = json.dumps(data).encode()
    return f"HTTP/1.1 {status}\r\nContent-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n".encode() + body


def says(data: Any, status: str = "200 OK") -> Misbehave:
    async def answer(writer: asyncio.StreamWriter) -> None:
        writer.write(saying(data, status))

    return answer


async def silent(_writer: asyncio.StreamWriter) -> None:
    await asyncio.sleep(FOREVER_S)


async def slow(writer: asyncio.StreamWriter) -> None:
    await asyncio.sleep(1.5)
    writer.write(saying(PROCEED))


async def no_http(writer: asyncio.StreamWriter) -> None:
    writer.write(b"\x16\x03\x01\x00\xff\x00 this is no HTTP\r\n\r\n" * 20)
    writer.close()


async def half_then_gone(writer: asyncio.StreamWriter) -> None:
    writer.write(saying(PROCEED)[:-30])
    await writer.drain()
    writer.close()


async def half_then_silent(writer: asyncio.StreamWriter) -> None:
    writer.write(saying(PROCEED)[:-30])
    await asyncio.sleep(FOREVER_S)


async def endless(writer: asyncio.StreamWriter) -> None:
    writer.write(b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n")
    while True:
        writer.write(b"10000\r\n" + b"[" * 0x10000 + b"\r\n")
        await writer.drain()


TROUBLES: dict[str, Misbehave] = {
    "silent": silent,
    "slow": slow,
    "no-http": no_http,
    "half-then-gone": half_then_gone,
    "half-then-silent": half_then_silent,
    "endless": endless,
    "no-json": says("<html>proxy error</html>"),
    "error": says({"error": "the daemon failed at this"}, "500 Internal Server Error"),
    "no-reason": says({"action": "wait", "wait_s": "long", "toast": 5}),
    "newer": says({**PROCEED, "action": "teleport", "target": {"provider": "mars", "model": "m9"}, "v": [1]}),
}


class Impostor:
    """Something that listens at the daemon's socket: it greets unless told not to, and misbehaves at the rest."""

    def __init__(self, socket: Path, misbehave: Misbehave, *, greets: bool = True, protocol: int = 1) -> None:
        self._socket, self._misbehave, self._greets, self._protocol = socket, misbehave, greets, protocol
        self.asked: list[tuple[float, str]] = []
        self.waited: list[float] = []
        """How long OpenCode waited for each answer to `/v1/route` that did not come, in seconds."""

    async def __aenter__(self) -> Self:
        self._socket.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._socket.unlink(missing_ok=True)
        self._connections: set[asyncio.Task[None]] = set()
        self._writers: list[asyncio.StreamWriter] = []
        self._server = await asyncio.start_unix_server(self._meet, str(self._socket))
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._server.close()
        self._socket.unlink(missing_ok=True)
        for connection in self._connections:
            connection.cancel()
        await asyncio.gather(*self._connections, return_exceptions=True)
        for writer in self._writers:
            writer.transport.abort()
        await asyncio.sleep(0.01)  # the event loop closes what was aborted a moment later

    async def _meet(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._connections.add(task)
        self._writers.append(writer)
        with suppress(OSError, asyncio.IncompleteReadError, asyncio.CancelledError):
            while True:
                await self._one(reader, writer)
                await writer.drain()
        writer.close()

    async def _one(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = (await reader.readuntil(b"\r\n\r\n")).decode()
        fields = {k.lower(): v for k, _, v in (line.partition(": ") for line in head.split("\r\n"))}
        await reader.readexactly(int(fields.get("content-length", "0")))
        path = head.split()[1]
        self.asked.append((time.time(), path))
        if path == "/v1/hello" and self._greets:
            writer.write(saying({"protocol": self._protocol, "version": "99.0", "novelty": {"a": 1}}))
        elif path == "/v1/route":
            began = time.monotonic()
            answering = asyncio.ensure_future(self._misbehave(writer))
            leaving = asyncio.ensure_future(reader.read(1))
            await asyncio.wait((answering, leaving), return_when=asyncio.FIRST_COMPLETED)
            if leaving.done():
                self.waited.append(time.monotonic() - began)
            for task in (answering, leaving):
                task.cancel()
            await asyncio.gather(answering, leaving, return_exceptions=True)
        else:
            await self._misbehave(writer)

    def first(self, path: str) -> float:
        """When it was first asked that, in epoch seconds."""
        return next(at for at, asked in self.asked if asked == path)


@pytest.fixture
def lonely(house: House, short_path: Path) -> House:
    """A house in which no real daemon can be started."""
    house.home.environment["RATE_LIMIT_SIDECAR_COMMAND"] = str(short_path / "nothing-here")
    return house


async def ask(house: House) -> str:
    """Send a prompt; gives what was answered."""
    ran = await house.home.run("run", "--title", "Lighthouses", PROMPT)
    assert ran.code == 0, ran.err
    return ran.out


@pytest.mark.parametrize("trouble", TROUBLES)
async def test_a_request_goes_out_whatever_the_daemon_answers(
    lonely: House, trouble: str, record_property: Callable[[str, object], None]
) -> None:
    async with Impostor(lonely.socket, TROUBLES[trouble]) as impostor:
        assert "answer from alpha/m1" in await ask(lonely)
    assert lonely.asked("alpha/m1") == 1
    record_property("waited_ms", f"{max(impostor.waited, default=0.0) * 1e3:.0f}")
    # Two questions of a quarter of a second each, with room for a machine that has more to do than it can.
    assert 0 < lonely.providers.asked("alpha/m1")[0].at - impostor.first("/v1/route") < 5


@pytest.mark.parametrize("trouble", ["silent", "no-reason", "endless"])
async def test_a_failed_attempt_is_opencodes_own_to_retry_when_the_daemon_cannot_say_more(
    lonely: House, trouble: str, record_property: Callable[[str, object], None]
) -> None:
    lonely.providers.script("alpha/m1", limited(503, message="overloaded"), Reply(text="answer from alpha/m1"))
    async with Impostor(lonely.socket, TROUBLES[trouble]) as impostor:
        assert "answer from alpha/m1" in await ask(lonely)
    failed, again = lonely.providers.asked("alpha/m1")
    assert impostor.first("/v1/route") <= failed.at
    record_property("retried_after_ms", f"{(again.at - failed.at) * 1e3:.0f}")
    assert lonely.asked("beta/m1") == 0


@pytest.mark.parametrize("trouble", ["silent", "no-http", "no-json"])
async def test_something_else_at_the_socket_costs_no_turn(lonely: House, trouble: str) -> None:
    async with Impostor(lonely.socket, TROUBLES[trouble], greets=False) as impostor:
        assert "answer from alpha/m1" in await ask(lonely)
    assert {path for _, path in impostor.asked} == {"/v1/hello"}


async def test_a_daemon_that_is_stopped_between_two_turns_holds_the_next_for_a_moment_only(
    house: House, record_property: Callable[[str, object], None]
) -> None:
    async with Served(house.home) as served:
        session = await served.session("Lighthouses")
        assert text_of(await served.prompt(session, PROMPT)) == "answer from alpha/m1"
        pid = house.health()["pid"]
        took = []
        os.kill(pid, signal.SIGSTOP)
        try:
            for _ in range(3):
                began = time.time()
                assert text_of(await served.prompt(session, PROMPT)) == "answer from alpha/m1"
                took.append(house.providers.asked("alpha/m1")[-1].at - began)
        finally:
            os.kill(pid, signal.SIGCONT)
    # A message and its request are a question each; OpenCode's own work is in here too.
    record_property("until_sent_ms", f"{max(took) * 1e3:.0f}")
    assert max(took) < 30


async def test_a_daemon_upgraded_underneath_costs_no_turn_and_is_used_again_when_it_is_back(house: House) -> None:
    async with Served(house.home) as served:
        session = await served.session("Lighthouses")
        assert text_of(await served.prompt(session, PROMPT)) == "answer from alpha/m1"
        assert house.sidecar("stop").returncode == 0
        async with Impostor(house.socket, TROUBLES["newer"], protocol=2) as newer:
            # What was reported while nobody was there makes the window leave the socket alone for a moment.
            async with asyncio.timeout(45):
                while "/v1/hello" not in {path for _, path in newer.asked}:
                    assert text_of(await served.prompt(session, PROMPT)) == "answer from alpha/m1"
        assert house.sidecar("start").returncode == 0
        # It may be left alone for a moment after its absence; then the window introduces itself with its next turn.
        async with asyncio.timeout(45):
            while house.status()["hello_at"] is None:
                assert text_of(await served.prompt(session, PROMPT)) == "answer from alpha/m1"
                await asyncio.sleep(0.5)
        house.providers.script("alpha/m1", limited(429, retry_after="600"))
        assert text_of(await served.prompt(session, PROMPT)) == "answer from beta/m1"
