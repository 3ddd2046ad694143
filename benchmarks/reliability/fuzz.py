"""Every endpoint under bodies, headers and bytes made to break it: never a 5xx, never a task that dies.

Bodies come from the protocol's own models (so that they get past validation and into the engine), damaged and not;
bytes are whole HTTP requests with pieces cut out, doubled and replaced. One daemon takes them all and must still be
whole afterwards.
"""

import copy
import json
import random
import selectors
import socket
from contextlib import suppress
from pathlib import Path
from typing import Any, cast

from benchmarks.reliability.findings import Finding
from benchmarks.reliability.process import HELLO, Home, ended, limited
from sidecar.daemon.server import POSTS, ROUTES

_ODD: tuple[Any, ...] = (
    *(None, True, False, 0, -1, 1, 429, 1e308, -1e308, 2**63, 2**200, 0.1),
    *("", " ", "x", "x" * 256, "x" * 257, "x" * 70_000, "\0", "\ud83d\ude00", "\u202e", "*", "/", "a/b/c", "%s%n"),
    *("{}", "[]", "NaN", "Infinity", "1e999", "2999-01-01", "alpha", "m1", "../../etc/passwd"),
    *([], {}, [[]], [None], {"": None}, {"a": {"b": {}}}, ["x"] * 50),
)
_HEADERS = ("retry-after", "retry-after-ms", "x-ratelimit-reset", "x-ratelimit-remaining-requests")
_CODES = (
    *("rate_limit_exceeded", "insufficient_quota", "overloaded_error", "RESOURCE_EXHAUSTED", "ThrottlingException"),
    *("context_length_exceeded", "invalid_api_key", "model_not_found", "content_filter", "billing_hard_limit", 1302),
)
_BATCH = 100
_SETTLE_S = 0.5
_ENDS = b"\r\n\r\n"


def measure(bodies: int = 20_000, requests: int = 10_000, seed: int = 6) -> list[Finding]:
    """Send `bodies` odd bodies and `requests` damaged requests to one daemon."""
    with Home() as home:
        home.serve()
        home.ask("POST", "/v1/hello", HELLO)
        statuses = Fuzz(home.paths.socket, seed).bodies(bodies)
        answers = Fuzz(home.paths.socket, seed + 1).damaged(requests)
        health = home.health() or {}
        status = home.ask("GET", "/v1/status")
        bad = [
            line for line in home.logged() if line["level"] in ("error", "critical") or line.get("logger") == "asyncio"
        ]
        alive = home.children[0].poll() is None
    fivehundreds = sum(count for code, count in statuses.items() if code >= 500)
    whole = alive and health.get("state") == "ok" and bool(status["providers"]) and not bad
    codes = ", ".join(f"{code}: {count}" for code, count in sorted(statuses.items()))
    return [
        Finding(
            "No body makes a 5xx, and none ends a task of the daemon",
            f"{len(POSTS)} POST routes; fields of the models, replaced, left out, added, of every wrong type",
            f"{bodies} bodies, answers {codes}; {len(bad)} errors logged {_first(bad)}".strip(),
            fivehundreds == 0 and whole,
        ),
        Finding(
            "No bytes on the socket make a 5xx, end the daemon or are cut off without an answer",
            "whole HTTP requests with pieces cut out, doubled, swapped and overwritten; several on one connection",
            f"{requests} requests, {answers['5xx']} answered 5xx, {answers['4xx']} 4xx, {answers['2xx']} 2xx, "
            f"{answers['waiting']} cut short and waited for, {answers['closed']} cut off without an answer",
            answers["5xx"] == answers["closed"] == 0 and whole,
        ),
    ]


def _first(bad: list[dict[str, Any]]) -> str:
    return f"(first: {bad[0]['event']}, {bad[0].get('why', '')})" if bad else ""


class Fuzz:
    """Makes requests at random, repeatably, and sends them over one connection after another."""

    def __init__(self, path: Path, seed: int) -> None:
        self._path = path
        self._choose = random.Random(seed)  # noqa: S311 - repeatable

    def bodies(self, count: int) -> dict[int, int]:
        """Post `count` bodies; gives how often each status was answered."""
        statuses: dict[int, int] = {}
        connection = self._connect()
        for number in range(count):
            path = self._choose.choice(POSTS).path
            body = json.dumps(self._body(path, number)).encode(errors="surrogatepass")
            if self._choose.random() < 0.05:
                body = self._damaged(body)
            connection.sendall(_request(path, body))
            status, more = _answer(connection)
            statuses[status] = statuses.get(status, 0) + 1
            if not more:
                connection.close()
                connection = self._connect()
        connection.close()
        return statuses

    def damaged(self, count: int) -> dict[str, int]:
        """Send `count` damaged requests; gives how often each kind of answer came."""
        answers = dict.fromkeys(("2xx", "4xx", "5xx", "waiting", "closed"), 0)
        for start in range(0, count, _BATCH):
            batch = [self._connect() for _ in range(min(_BATCH, count - start))]
            for number, connection in enumerate(batch, start):
                path = self._choose.choice([path for path in ROUTES if path != "/v1/stream"])
                whole = _request(path, json.dumps(ended(f"b{number}")).encode(), self._choose.choice(("POST", "GET")))
                with suppress(OSError):
                    connection.sendall(self._damaged(whole) + (whole if self._choose.random() < 0.2 else b""))
            for said, closed in _heard(batch):
                kind = {b"2": "2xx", b"4": "4xx", b"5": "5xx"}.get(said[9:10], "closed" if closed else "waiting")
                answers["5xx" if b"HTTP/1.1 5" in said else kind] += 1
        return answers

    def _body(self, path: str, number: int) -> Any:
        whole: dict[str, Any]
        if path == "/v1/hello":
            whole = json.loads(json.dumps(HELLO))
        elif path == "/v1/events":
            whole = {"reports_attempts": self._choose.random() < 0.5, "events": [self._event(number)]}
        elif path in ("/v1/route", "/v1/explain", "/v1/outcome"):
            whole = self._choose.choice((ended, limited))(f"f{number}")
            headers = {name: str(self._odd()) for name in self._choose.sample(_HEADERS, 2)}
            whole |= {"headers": headers, "body": self._text(), "error": self._choose.choice((None, self._text()))}
            whole["status"] = self._choose.choice((None, 400, 401, 402, 404, 413, 429, 500, 503, 529))
        else:
            whole = {
                "provider": self._choose.choice(("alpha", "beta", "x")),
                "model": self._choose.choice(("m1", None)),
            }
        for _ in range(self._choose.choice((0, 0, 1, 1, 2, 5))):
            self._spoil(whole)
        return whole

    def _event(self, number: int) -> dict[str, Any]:
        error = {"name": self._choose.choice(("APIError", "UnknownError")), "data": {"message": self._text()}}
        kind = self._choose.choice(("message.updated", "session.error", "session.status", "session.deleted", "x"))
        step = {"id": f"m{number}", "sessionID": "s1", "providerID": "alpha", "modelID": "m1", "cost": 0.1}
        info = {**step, "tokens": {"input": 5, "output": 2}, "time": {"created": 1, "completed": 2}, "error": error}
        status = {"type": "retry", "message": self._text()}
        return {"type": kind, "properties": {"sessionID": "s1", "info": info, "error": error, "status": status}}

    def _text(self) -> str:
        """Give a refusal's text: a real code among odd values, as JSON or not."""
        code = self._choose.choice(_CODES)
        body = {"error": {"code": code, "message": str(self._odd()), "retry_after": self._odd(), "x": self._odd()}}
        return self._choose.choice((json.dumps(body), str(code), str(self._odd()), json.dumps([body, body])[:60]))

    def _odd(self) -> Any:
        return copy.deepcopy(self._choose.choice(_ODD))

    def _spoil(self, value: Any) -> None:
        """Change one thing somewhere inside."""
        while True:
            keys = list(value) if isinstance(value, dict) else list(range(len(value)))
            if not keys:
                return
            key = self._choose.choice(keys)
            if isinstance(value[key], dict | list) and self._choose.random() < 0.7:
                value = value[key]
                continue
            way = self._choose.randrange(4)
            if way == 0 and isinstance(value, dict):
                del value[key]
            elif way == 1 and isinstance(value, dict):
                value[str(self._odd())[:80]] = value[key]
            else:
                value[key] = self._odd()
            return

    def _damaged(self, whole: bytes) -> bytes:
        """Cut, double, swap or overwrite pieces."""
        pieces = bytearray(whole)
        for _ in range(self._choose.randrange(1, 6)):
            at, length = self._choose.randrange(len(pieces) + 1), self._choose.randrange(1, 20)
            match self._choose.randrange(4):
                case 0:
                    del pieces[at : at + length]
                case 1:
                    pieces[at:at] = pieces[at : at + length] * self._choose.randrange(1, 5)
                case 2:
                    pieces[at : at + length] = self._choose.randbytes(length)
                case _:
                    pieces[at:at] = self._choose.choice((b"\r\n", b"\n", b"\0", b":", b" ", b"chunked", b"\xff", _ENDS))
        return bytes(pieces)

    def _connect(self) -> socket.socket:
        connection = socket.socket(socket.AF_UNIX)
        connection.settimeout(30)
        connection.connect(str(self._path))
        return connection


def _request(path: str, body: bytes, method: str = "POST") -> bytes:
    head = f"{method} {path} HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
    return f"{head}Content-Length: {len(body)}\r\n\r\n".encode() + body


def _heard(batch: list[socket.socket]) -> list[tuple[bytes, bool]]:
    """Give what was said on each connection, and whether the daemon closed it; close them all.

    A request that was made incomplete is never answered: the rest of it is waited for. So it is listened until nothing
    has come for a while.
    """
    said = dict.fromkeys(batch, b"")
    closed: set[socket.socket] = set()
    with selectors.DefaultSelector() as selector:
        for connection in batch:
            selector.register(connection, selectors.EVENT_READ)
        while selector.get_map() and (ready := selector.select(_SETTLE_S)):
            for key, _ in ready:
                connection = cast("socket.socket", key.fileobj)
                try:
                    piece = connection.recv(65_536)
                except ConnectionResetError:
                    piece = b""
                said[connection] += piece
                if not piece:
                    selector.unregister(connection)
                    closed.add(connection)
    for connection in batch:
        connection.close()
    return [(said[connection], connection in closed) for connection in batch]


def _answer(connection: socket.socket) -> tuple[int, bool]:
    """Read one answer; gives its status and whether the connection stays open."""
    said = b""
    while _ENDS not in said:
        piece = connection.recv(65_536)
        if not piece:
            return 0, False
        said += piece
    head, _, rest = said.partition(_ENDS)
    lines = head.decode("latin-1").split("\r\n")
    fields = {name.lower(): value for name, _, value in (line.partition(": ") for line in lines[1:])}
    left = int(fields.get("content-length", "0")) - len(rest)
    while left > 0:
        left -= len(connection.recv(min(left, 65_536)))
    return int(lines[0].split()[1]), fields.get("connection", "").lower() != "close"
