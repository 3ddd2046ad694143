"""Connections that hold on without asking are let go, and keep nobody out meanwhile."""

import asyncio
import resource
from collections.abc import AsyncIterator
from typing import Any

import pytest

from sidecar.daemon import gate
from sidecar.daemon.connections import FIRST_REQUEST_S, Connections, raise_file_limit
from tests.daemon.conftest import HELLO, Clock, InProcess, until

Stream = tuple[asyncio.StreamReader, asyncio.StreamWriter]


@pytest.fixture
async def open_streams(running: InProcess) -> AsyncIterator[Any]:
    made: list[Stream] = []

    async def connect(said: bytes = b"") -> Stream:
        stream = await asyncio.open_unix_connection(str(running.paths.socket))
        stream[1].write(said)
        await stream[1].drain()
        made.append(stream)
        return stream

    yield connect
    for _, writer in made:
        writer.close()


def watched(running: InProcess, time: Clock) -> Connections:
    """Give the daemon's own watch over connections, on a clock set by hand."""
    watch = running.daemon._connections
    watch._clock = time
    return watch


@pytest.mark.parametrize("said", [b"", b"GET /v1/he", b"GET /v1/health HTTP/1.1\r\nHost: localhost\r\nX-Slow: 1\r\n"])
async def test_a_connection_that_asks_nothing_is_cut_in_time(
    running: InProcess, open_streams: Any, said: bytes
) -> None:
    time = Clock(0.0)
    watch = watched(running, time)
    reader, _ = await open_streams(said)
    await until(lambda: watch.tick() == 0 and len(watch._silent) >= 1, "it is seen")
    time.now = FIRST_REQUEST_S - 1
    assert watch.tick() == 0
    time.now = FIRST_REQUEST_S
    assert watch.tick() >= 1
    assert await asyncio.wait_for(reader.read(), 5) == b""
    assert (await running.get("/v1/health"))["state"] == "ok"


async def test_a_connection_that_has_asked_is_kept(running: InProcess, open_streams: Any) -> None:
    time = Clock(0.0)
    watch = watched(running, time)
    reader, writer = await open_streams(b"GET /v1/health HTTP/1.1\r\nHost: localhost\r\n\r\n")
    await asyncio.wait_for(reader.readuntil(b"}"), 5)
    watch.tick()
    time.now = FIRST_REQUEST_S * 5
    watch.tick()
    writer.write(b"GET /v1/health HTTP/1.1\r\nHost: localhost\r\n\r\n")
    assert (await asyncio.wait_for(reader.readuntil(b"\r\n"), 5)).startswith(b"HTTP/1.1 200")


async def test_a_body_that_does_not_come_is_408(
    running: InProcess, open_streams: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(gate, "BODY_S", 0.05)
    head = "POST /v1/hello HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: 9\r\n\r\n"
    reader, _ = await open_streams(head.encode() + b"{")
    assert (await asyncio.wait_for(reader.readuntil(b"\r\n"), 5)).startswith(b"HTTP/1.1 408")
    assert (await running.ask("POST", "/v1/hello", HELLO)).status == 200


async def test_a_thousand_idle_connections_keep_nobody_out(running: InProcess, open_streams: Any) -> None:
    raise_file_limit()
    for _ in range(1_000):
        await open_streams()
    for _ in range(20):
        assert (await running.ask("GET", "/v1/health")).status == 200


def test_without_a_server_there_is_nothing_to_watch() -> None:
    assert Connections(lambda: None).tick() == 0


@pytest.mark.parametrize(
    ("soft", "hard", "asked"),
    [
        (1024, 8192, (8192, 8192)),
        (1024, resource.RLIM_INFINITY, (65_536, resource.RLIM_INFINITY)),
        (65_536, 1_000_000, None),
        (8192, 8192, None),
        (resource.RLIM_INFINITY, resource.RLIM_INFINITY, None),
    ],
)
def test_the_limit_of_open_files_is_raised_where_that_is_allowed(
    monkeypatch: pytest.MonkeyPatch, soft: int, hard: int, asked: tuple[int, int] | None
) -> None:
    set_to: list[tuple[int, int]] = []

    def refuse(_which: int, limits: tuple[int, int]) -> None:
        set_to.append(limits)
        raise ValueError("not allowed to raise maximum limit")

    monkeypatch.setattr(resource, "getrlimit", lambda _: (soft, hard))
    monkeypatch.setattr(resource, "setrlimit", refuse)
    raise_file_limit()
    assert set_to == ([] if asked is None else [asked])
