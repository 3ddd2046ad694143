"""The gate, as a table: who gets in, and what the others are told."""

import io
import os
import socket
import struct
from typing import Any

import pytest

from sidecar.daemon.gate import BODY_LIMIT, RefusalError, check, peer_uid
from sidecar.paths import Paths
from tests.daemon.conftest import HELLO, Clock, InProcess

ME = 1000
JSON = {"Content-Type": "application/json", "Content-Length": "2"}


@pytest.mark.parametrize(
    ("method", "headers", "peer"),
    [
        ("GET", {"Host": "rate-limit-sidecar"}, ME),
        ("GET", {"Host": "localhost"}, ME),
        ("GET", {"Host": "LocalHost"}, ME),
        ("GET", {"Host": "localhost"}, None),
        ("GET", {"Host": "localhost", "Content-Encoding": "identity"}, ME),
        ("POST", {"Host": "localhost"}, ME),
        ("POST", {"Host": "localhost", "Content-Length": "0"}, ME),
        ("POST", {"Host": "localhost", **JSON}, ME),
        ("POST", {"Host": "localhost", **JSON, "Content-Type": "Application/JSON; charset=utf-8"}, ME),
        ("POST", {"Host": "localhost", **JSON, "Content-Length": str(BODY_LIMIT)}, ME),
    ],
)
def test_let_in(method: str, headers: dict[str, str], peer: int | None) -> None:
    check(method, headers, ME, peer)


@pytest.mark.parametrize(
    ("method", "headers", "peer", "status", "says"),
    [
        ("GET", {"Host": "localhost"}, ME + 1, 403, "user 1001 is not the user"),
        ("GET", {"Host": "localhost"}, 0, 403, "user 0 is not the user"),
        ("GET", {"Host": "localhost", "Origin": "null"}, ME, 403, "Origin is refused"),
        ("GET", {"Host": "localhost", "Origin": "http://localhost"}, ME, 403, "Origin is refused"),
        ("GET", {"Host": "localhost", "Referer": "http://localhost/"}, ME, 403, "Referer is refused"),
        ("GET", {}, ME, 403, "Host '' is refused"),
        ("GET", {"Host": "evil.example"}, ME, 403, "Host 'evil.example' is refused"),
        ("GET", {"Host": "localhost.evil.example"}, ME, 403, "is refused"),
        ("GET", {"Host": "localhost:80"}, ME, 403, "is refused"),
        ("GET", {"Host": "127.0.0.1"}, ME, 403, "is refused"),
        ("POST", {"Host": "localhost", **JSON, "Content-Encoding": "gzip"}, ME, 415, "compressed"),
        ("POST", {"Host": "localhost", "Content-Length": "2"}, ME, 415, "Content-Type '' is refused"),
        ("POST", {"Host": "localhost", **JSON, "Content-Type": "text/plain"}, ME, 415, "'text/plain' is refused"),
        ("POST", {"Host": "localhost", "Transfer-Encoding": "chunked"}, ME, 415, "Content-Type"),
        ("POST", {"Host": "localhost", **JSON, "Content-Length": str(BODY_LIMIT + 1)}, ME, 413, "larger than 1048576"),
        ("POST", {"Host": "localhost", **JSON, "Content-Length": "9" * 5000}, ME, 413, "larger than"),
    ],
)
def test_kept_out(method: str, headers: dict[str, str], peer: int | None, status: int, says: str) -> None:
    with pytest.raises(RefusalError) as raised:
        check(method, headers, ME, peer)
    assert raised.value.status == status
    assert says in raised.value.error
    assert raised.value.fix


def test_the_peer_of_a_real_socket_is_this_user() -> None:
    ours, theirs = socket.socketpair(socket.AF_UNIX)
    with ours, theirs:
        assert peer_uid(ours) == os.geteuid()


class Told:
    """A socket of another system."""

    def __init__(self, answer: bytes | OSError) -> None:
        self.answer = answer

    def getsockopt(self, level: int, option: int, length: int, /) -> bytes:
        assert (level, option, length) == (0, 1, 76)
        if isinstance(self.answer, OSError):
            raise self.answer
        return self.answer


@pytest.mark.parametrize(
    ("answer", "uid"),
    [
        (struct.pack("IIhxx16I", 0, 501, 1, *[20] * 16), 501),
        (b"", None),
        (OSError(22, "Invalid argument"), None),
    ],
)
def test_the_peer_on_a_mac(monkeypatch: pytest.MonkeyPatch, answer: bytes | OSError, uid: int | None) -> None:
    monkeypatch.delattr(socket, "SO_PEERCRED")
    assert peer_uid(Told(answer)) == uid


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"Origin": "http://evil.example"}, 403),
        ({"Referer": "http://evil.example/"}, 403),
        ({"Host": "evil.example"}, 403),
        ({"Content-Type": "text/plain"}, 415),
        ({"Content-Encoding": "gzip"}, 415),
    ],
)
async def test_on_the_real_socket(running: InProcess, headers: dict[str, str], status: int) -> None:
    reply = await running.ask("POST", "/v1/hello", HELLO, headers=headers)
    assert reply.status == status
    assert set(reply.body) == {"error", "fix"}
    assert running.daemon.service.snapshot().providers == ()


async def test_another_user_is_refused_on_the_real_socket(
    paths: Paths, env: dict[str, str], clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sidecar.daemon.gate.peer_uid", lambda _: os.geteuid() + 1)
    async with InProcess(paths, env, clock) as other:
        reply = await other.ask("GET", "/v1/status")
        assert (reply.status, reply.body["fix"]) == (403, "each user runs a daemon of their own")


@pytest.mark.parametrize("chunked", [False, True])
async def test_a_body_over_the_limit_is_413_however_it_is_sent(running: InProcess, chunked: bool) -> None:
    body: Any = b'{"client": "' + b"x" * BODY_LIMIT + b'"}'
    more: dict[str, Any] = {"data": io.BytesIO(body)}
    if chunked:

        async def pieces() -> Any:
            for start in range(0, len(body), 65_536):
                yield body[start : start + 65_536]

        more = {"data": pieces()}
    reply = await running.ask("POST", "/v1/hello", headers={"Content-Type": "application/json"}, **more)
    assert (reply.status, reply.body["error"]) == (413, "the body is larger than 1048576 bytes")
    assert (await running.get("/v1/health"))["state"] == "ok"


@pytest.mark.parametrize("bug", [RuntimeError, ValueError, KeyError, RecursionError])
async def test_a_bug_is_told_without_its_insides_and_logged_without_keys(
    running: InProcess, monkeypatch: pytest.MonkeyPatch, bug: type[Exception]
) -> None:
    def broken(*_: object) -> None:
        raise bug("inside, with sk-ant-api03-abcdefgh")

    monkeypatch.setattr(running.daemon.service.engine, "hello", broken)
    reply = await running.ask("POST", "/v1/hello", HELLO)
    assert reply == type(reply)(
        500, {"error": "the daemon failed at this", "fix": "rate-limit-sidecar logs says why"}, reply.headers
    )
    (event,) = [line for line in running.logged() if line["event"] == "request failed"]
    assert event["route"] == "POST /v1/hello"
    assert f"{bug.__name__}: " in event["exception"]
    assert "abcdefgh" not in running.paths.log.read_text()
    assert (await running.ask("GET", "/v1/health")).status == 200
