"""The small client the commands use: HTTP/JSON over the daemon's unix socket, one exchange or the stream of pushes.

Standard library only and synchronous, and not `http.client`: importing that (it brings TLS and mail parsing along)
takes longer than `status` may. HTTP/1.0 is all that is needed: one request, and the answer ends with the connection.
"""

import json
import os
import socket
from pathlib import Path
from typing import Any

from sidecar.paths import SOCKET_PATH_LIMIT

HOST = "rate-limit-sidecar"
_CHUNK = 65_536
# Nothing the daemon answers is nearly as long.
_LONGEST = 64 * 1024 * 1024


class DaemonUnavailableError(Exception):
    """Nobody serves at the socket; the message names the socket and the fix."""


class DaemonAnswerError(Exception):
    """The daemon refused or failed; `status` is its HTTP status, the message what it said, with its fix."""

    def __init__(self, status: int, message: str, fix: str = "") -> None:
        super().__init__(f"{message}\n  {fix}" if fix else message)
        self.status = status
        self.fix = fix


def call(path: Path, method: str, route: str, body: object = None, *, timeout: float = 5.0) -> Any:
    """Ask the daemon at socket `path`; gives the decoded JSON answer. `timeout` is in seconds, for each step.

    Raises:
        DaemonUnavailableError: nobody listens, or no answer in time.
        DaemonAnswerError: the answer's status is not 2xx.
    """
    payload = b"" if body is None else json.dumps(body).encode()
    more = f"Content-Type: application/json\r\nContent-Length: {len(payload)}\r\n" if payload else ""
    try:
        with _connect(path, timeout) as connection:
            connection.sendall(_request(method, route, more) + payload)
            status, text = _read(connection)
    except (OSError, ValueError) as error:
        raise _unavailable(path, error) from error
    try:
        data = json.loads(text) if text else None
    except ValueError:
        data = {"error": text[:200].decode("utf-8", "replace")}
    if not 200 <= status < 300:  # noqa: PLR2004 - the HTTP success range
        said = data if isinstance(data, dict) else {"error": data}
        raise DaemonAnswerError(status, str(said.get("error", said)), str(said.get("fix") or ""))
    return data


class Stream:
    """What the daemon pushes, for a program that waits for other things too: `fileno` can be given to `select`.

    Raises:
        DaemonUnavailableError: nobody listens.
    """

    def __init__(self, path: Path, *, timeout: float = 5.0) -> None:
        self._path = path
        try:
            self._connection = _connect(path, timeout)
            self._connection.sendall(_request("GET", "/v1/stream", ""))
        except OSError as error:
            raise _unavailable(path, error) from error
        self._connection.setblocking(False)
        self._part = b""

    def fileno(self) -> int:
        """Give the descriptor that becomes readable when something was pushed, or the daemon has gone."""
        return self._connection.fileno()

    def read(self) -> list[str]:
        """Give the names of the events (`notice`, `toast`) that have arrived since the last call; does not wait.

        Raises:
            DaemonUnavailableError: the daemon has ended the stream.
        """
        try:
            got = self._connection.recv(_CHUNK)
        except BlockingIOError:
            return []
        except OSError as error:
            raise _unavailable(self._path, error) from error
        if not got:
            raise _unavailable(self._path, "it has ended the stream")
        *lines, self._part = (self._part + got).split(b"\n")
        marked = (line.removeprefix(b"event: ") for line in lines if line.startswith(b"event: "))
        return [name.decode("utf-8", "replace").strip() for name in marked]

    def close(self) -> None:
        """Stop listening."""
        self._connection.close()


def _connect(path: Path, timeout: float) -> socket.socket:
    if len(os.fsencode(path)) > SOCKET_PATH_LIMIT:
        raise DaemonUnavailableError(
            f"{path} is too long for a socket ({SOCKET_PATH_LIMIT} bytes at most); "
            "set RATE_LIMIT_SOCKET to a shorter path"
        )
    connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    connection.settimeout(timeout)
    try:
        connection.connect(str(path))
    except OSError:
        connection.close()
        raise
    return connection


def _request(method: str, route: str, headers: str) -> bytes:
    return f"{method} {route} HTTP/1.0\r\nHost: {HOST}\r\n{headers}\r\n".encode()


def _read(connection: socket.socket) -> tuple[int, bytes]:
    """Read an answer to its end; gives its status and body.

    Raises:
        ValueError: it is not HTTP, or cut off.
    """
    raw = b""
    while len(raw) < _LONGEST and (got := connection.recv(_CHUNK)):
        raw += got
    head, end, body = raw.partition(b"\r\n\r\n")
    version, _, rest = head.partition(b" ")
    if not (end and version.startswith(b"HTTP/1.")):
        raise ValueError("it does not speak HTTP")
    for line in head.lower().split(b"\r\n"):
        if line.startswith(b"content-length:") and len(body) < int(line.partition(b":")[2]):
            raise ValueError("its answer was cut off")
    return int(rest[:3]), body


def _unavailable(path: Path, why: object) -> DaemonUnavailableError:
    return DaemonUnavailableError(
        f"the daemon does not answer at {path} ({why}); start it with: rate-limit-sidecar start"
    )
