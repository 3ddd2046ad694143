"""The one gate in front of every route: who may ask, how much, and in which words an error is told.

The socket belongs to one user and speaks JSON to programs, so whatever looks like a browser, another host or another
user is refused before anything is read. Every error is JSON: what is wrong, and how to put it right. No input makes a
5xx.
"""

import asyncio
import socket
import struct
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import NoReturn, Protocol

from aiohttp import web

from sidecar.client import HOST
from sidecar.daemon.log import Logger
from sidecar.redact import redact

BODY_LIMIT = 2**20
# A body is one write of a program on this machine; who needs longer is holding a connection open.
BODY_S = 10.0
# `localhost` so that people can look with curl --unix-socket.
HOSTS = (HOST, "localhost")
_UCRED = struct.Struct("3i")
# struct xucred of macOS and the BSDs: version, uid, number of groups, 16 groups.
_XUCRED = struct.Struct("IIhxx16I")
_LOCAL_PEERCRED = 1
_SOL_LOCAL = 0

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


class Credentials(Protocol):
    """The part of a socket that knows who is at the other end."""

    def getsockopt(self, level: int, option: int, length: int, /) -> bytes:
        """Read a socket option."""


@dataclass
class RefusalError(Exception):
    """The request is refused: the HTTP status, what is wrong, how to put it right."""

    status: int
    error: str
    fix: str = ""
    allow: tuple[str, ...] = ()


def make_gate(
    uid: int,
    log: Logger,
    *,
    peer: Callable[[Credentials], int | None] | None = None,
    asked: Callable[[web.Request], None] = lambda _request: None,
) -> Callable[..., object]:
    """Make the middleware: only processes of user `uid` pass.

    `peer` finds the user at the other end of a socket, `asked` is told of every complete request.
    """
    whose = peer or peer_uid

    @web.middleware
    async def gate(request: web.Request, handler: Handler) -> web.StreamResponse:
        try:
            asked(request)
            end = request.get_extra_info("socket")
            check(request.method, request.headers, uid, None if end is None else whose(end))
            return await handler(request)
        except RefusalError as refusal:
            return _error(refusal)
        except web.HTTPRequestEntityTooLarge:
            return _error(_too_large())
        except web.HTTPException as error:
            return _error(RefusalError(error.status, error.reason))
        except (ConnectionError, web.RequestPayloadError):
            return _error(RefusalError(400, "the request was cut off or garbled", "send it again"))
        except Exception:
            log.exception("request failed", route=f"{request.method} {request.path}")
            return _error(RefusalError(500, "the daemon failed at this", "rate-limit-sidecar logs says why"))

    return gate


def check(method: str, headers: Mapping[str, str], uid: int, peer: int | None) -> None:
    """Look at everything but the body. `peer` is the asker's user, None where the system does not tell.

    Raises:
        RefusalError: not allowed in; says why.
    """
    if peer is not None and peer != uid:
        raise RefusalError(403, f"user {peer} is not the user of this daemon", "each user runs a daemon of their own")
    for name in ("Origin", "Referer"):
        if name in headers:
            raise RefusalError(403, f"{name} is refused: this is not for browsers", f"leave {name} away")
    host = headers.get("Host", "")
    if host.lower() not in HOSTS:
        raise RefusalError(403, f"Host {redact(host)!r} is refused", f"say Host: {HOST}")
    if headers.get("Content-Encoding", "identity").lower() != "identity":
        raise RefusalError(415, "a compressed body is refused", "leave Content-Encoding away")
    if method != "POST":
        return
    length = headers.get("Content-Length", "")
    if length.isdecimal() and int(length[:20]) > BODY_LIMIT:
        raise _too_large()
    has_body = length != "0" and ("Content-Length" in headers or "Transfer-Encoding" in headers)
    kind = headers.get("Content-Type", "").partition(";")[0].strip().lower()
    if has_body and kind != "application/json":
        raise RefusalError(415, f"Content-Type {redact(kind)!r} is refused", "say Content-Type: application/json")


async def body_of(request: web.Request) -> bytes:
    """Read the body.

    Raises:
        RefusalError: 408, it did not come within `BODY_S` seconds.
    """
    try:
        async with asyncio.timeout(BODY_S):
            return await request.read()
    except TimeoutError:
        raise RefusalError(408, f"the body did not come within {BODY_S:g} s", "send it at once") from None


def peer_uid(end: Credentials) -> int | None:
    """Give the user of the process at the other end; None when the system cannot tell (the directory guards then)."""
    try:
        if hasattr(socket, "SO_PEERCRED"):
            return int(_UCRED.unpack(end.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _UCRED.size))[1])
        return int(_XUCRED.unpack(end.getsockopt(_SOL_LOCAL, _LOCAL_PEERCRED, _XUCRED.size))[1])
    except (OSError, struct.error):
        return None


def refuse_unknown(path: str, method: str, routes: Mapping[str, tuple[str, ...]]) -> NoReturn:
    """Answer a path or method that is not there; `routes` maps each path to its methods.

    Raises:
        RefusalError: always; 405 when the path exists, else 404 naming what does.
    """
    if path in routes:
        allowed = ", ".join(routes[path])
        raise RefusalError(405, f"{path} does not take {method}", f"use {allowed}", routes[path])
    raise RefusalError(404, "there is no such route", f"there are: {', '.join(sorted(routes))}")


def _too_large() -> RefusalError:
    return RefusalError(413, f"the body is larger than {BODY_LIMIT} bytes", "send less at a time")


def _error(refusal: RefusalError) -> web.Response:
    headers = {"Allow": ", ".join(refusal.allow)} if refusal.allow else None
    body = {"error": refusal.error, "fix": refusal.fix}
    return web.json_response(body, status=refusal.status, headers=headers)
