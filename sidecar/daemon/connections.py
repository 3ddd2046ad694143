"""Connections nobody uses: closed after a while, so that whoever holds many open cannot keep others out.

Knows neither requests nor answers: the gate says which connections have asked something, and every few seconds those
that have not, and are old enough, are cut. One that asked before is closed by the server itself (`IDLE_S`).
"""

import resource
import time
from collections.abc import Callable

from aiohttp import web

FIRST_REQUEST_S = 10.0
# Longer than clients keep an idle connection, so that none asks on one that is just being closed.
IDLE_S = 75.0
_FILES = 65_536


class Connections:
    """The connections of `server`; `clock` gives monotonic seconds."""

    def __init__(self, server: Callable[[], web.Server | None], *, clock: Callable[[], float] = time.monotonic) -> None:
        self._server, self._clock = server, clock
        self._asked: set[web.RequestHandler] = set()
        self._silent: dict[web.RequestHandler, float] = {}

    def asks(self, request: web.BaseRequest) -> None:
        """Take note of a complete request."""
        self._asked.add(request.protocol)

    def tick(self) -> int:
        """Cut the connections that have been silent for too long; gives how many those were."""
        server = self._server()
        held = set() if server is None else set(server.connections)
        self._asked &= held
        now = self._clock()
        self._silent = {one: self._silent.get(one, now) for one in held - self._asked}
        late = [one for one, since in self._silent.items() if now - since >= FIRST_REQUEST_S]
        for one in late:
            if one.transport is not None:
                one.transport.abort()
        return len(late)


def raise_file_limit() -> None:
    """Allow this process as many open files as the system lets it have; each connection is one."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = _FILES if hard == resource.RLIM_INFINITY else min(hard, _FILES)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        try:
            resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
        except (OSError, ValueError):
            return  # macOS allows less than it says; what there is must do
