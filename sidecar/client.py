"""The small client the commands use: one HTTP/JSON exchange over the daemon's unix socket.

Standard library only and synchronous: `status` must answer fast, and importing an HTTP framework would take longer
than the answer.
"""

import http.client
import json
import os
import socket
from pathlib import Path
from typing import Any

from sidecar.paths import SOCKET_PATH_LIMIT

HOST = "rate-limit-sidecar"


class DaemonUnavailableError(Exception):
    """Nobody serves at the socket; the message names the socket and the fix."""


class DaemonAnswerError(Exception):
    """The daemon refused or failed; `status` is its HTTP status, the message what it said."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status


class _UnixConnection(http.client.HTTPConnection):
    def __init__(self, path: Path, timeout: float) -> None:
        super().__init__(HOST, timeout=timeout)
        self._path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(self.timeout)
        self.sock.connect(str(self._path))


def call(path: Path, method: str, route: str, body: object = None, *, timeout: float = 5.0) -> Any:
    """Ask the daemon at socket `path`; gives the decoded JSON answer. `timeout` is in seconds.

    Raises:
        DaemonUnavailableError: nobody listens, or no answer in time.
        DaemonAnswerError: the answer's status is not 2xx.
    """
    if len(os.fsencode(path)) > SOCKET_PATH_LIMIT:
        raise DaemonUnavailableError(
            f"{path} is too long for a socket ({SOCKET_PATH_LIMIT} bytes at most); "
            "set RATE_LIMIT_SOCKET to a shorter path"
        )
    connection = _UnixConnection(path, timeout)
    try:
        payload = None if body is None else json.dumps(body).encode()
        connection.request(method, route, payload, {"Content-Type": "application/json"} if payload else {})
        answer = connection.getresponse()
        text = answer.read().decode("utf-8", "replace")
    except (OSError, http.client.HTTPException) as error:
        raise DaemonUnavailableError(
            f"the daemon does not answer at {path} ({error}); start it with: rate-limit-sidecar start"
        ) from error
    finally:
        connection.close()
    try:
        data = json.loads(text) if text else None
    except ValueError:
        data = {"error": text[:200]}
    if not 200 <= answer.status < 300:  # noqa: PLR2004 - the HTTP success range
        raise DaemonAnswerError(answer.status, str(data.get("error", data)) if isinstance(data, dict) else str(data))
    return data
