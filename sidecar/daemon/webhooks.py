"""Posts what happens to the user's own URLs, without ever holding up a decision.

One queue and one worker per URL; what a dead receiver cannot take is dropped and logged once per burst. URLs often
carry their secret in the path, so no more than scheme and host of one is ever logged.
"""

import asyncio
import json
import random
import ssl
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from typing import Protocol
from urllib.parse import urlsplit
from urllib.request import getproxies, proxy_bypass

import aiohttp

from sidecar.config.models import Webhook
from sidecar.core.decisions import Notice
from sidecar.daemon.log import Logger
from sidecar.daemon.notices import iso, sentence
from sidecar.redact import redact

QUEUE = 100
TRIES = 3
TIMEOUT_S = 5.0
FIRST_PAUSE_S = 1.0
_EVENT_NAMES = {"failure": "error"}
_WORTH_RETRYING = (408, 425, 429)


class Post(Protocol):
    """Sends `body` (JSON) to `url` and gives the HTTP status; raises OSError or TimeoutError when there is none."""

    async def __call__(self, url: str, body: bytes) -> int:
        """Send it."""


class HttpPost:
    """The real thing: one session, made at first use; redirects are not followed, a user's proxies are used.

    The certificates to trust are read here, at first use: the daemon keeps aiohttp from reading them (`lean.py`).
    The proxies are asked for here, because aiohttp's `trust_env` would also send what `~/.netrc` says to any receiver.
    """

    def __init__(self) -> None:
        self._session: aiohttp.ClientSession | None = None

    async def __call__(self, url: str, body: bytes) -> int:
        """Send it."""
        session = await self._opened()
        headers = {"Content-Type": "application/json"}
        try:
            proxy = _proxy_for(url)
            async with session.post(url, data=body, headers=headers, allow_redirects=False, proxy=proxy) as answer:
                return answer.status
        except (aiohttp.ClientError, ValueError) as error:
            raise OSError(type(error).__name__) from None

    async def _opened(self) -> aiohttp.ClientSession:
        if self._session is None:
            # In a thread, because it reads a file of hundreds; meanwhile another receiver's worker may do the same.
            trusted = await asyncio.to_thread(_certificates)
            if self._session is None:
                self._session = aiohttp.ClientSession(
                    timeout=aiohttp.ClientTimeout(total=TIMEOUT_S), connector=aiohttp.TCPConnector(ssl=trusted)
                )
        return self._session

    async def close(self) -> None:
        """Close the session."""
        if self._session is not None:
            await self._session.close()


class Webhooks:
    """The configured receivers; `notice` returns at once."""

    def __init__(
        self,
        post: Post,
        log: Logger,
        *,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
        jitter: Callable[[], float] = random.random,
    ) -> None:
        self._post, self._log, self._sleep, self._jitter = post, log, sleep, jitter
        self._receivers: list[_Receiver] = []

    def configure(self, hooks: Sequence[Webhook]) -> None:
        """Take the receivers of a (new) configuration; what waits for one that stays is still sent.

        A URL that is there more than once is one receiver of everything asked for it, and hears of each event once.
        """
        wanted: dict[str, set[str]] = {}
        for hook in hooks:
            wanted.setdefault(hook.url, set()).update(hook.events)
        for receiver in self._receivers:
            if receiver.url not in wanted:
                receiver.worker.cancel()
        stay = {receiver.url: receiver for receiver in self._receivers if receiver.url in wanted}
        for url, events in wanted.items():
            if url not in stay:
                stay[url] = _Receiver(url, self)
            stay[url].events = frozenset(events)
        self._receivers = list(stay.values())

    def notice(self, notice: Notice) -> None:
        """Queue what the engine announced for everybody who wants to know."""
        name = _EVENT_NAMES.get(notice.event, notice.event)
        body: bytes | None = None
        for receiver in self._receivers:
            if name in receiver.events:
                body = body or _body(notice, name)
                receiver.offer(body)

    async def close(self, patience_s: float = 1.0) -> None:
        """Give what is queued `patience_s` seconds to leave, then stop."""
        waiting = [asyncio.ensure_future(receiver.queue.join()) for receiver in self._receivers]
        if waiting:
            _, late = await asyncio.wait(waiting, timeout=patience_s)
            for join in late:
                join.cancel()
        for receiver in self._receivers:
            receiver.worker.cancel()
            with suppress(asyncio.CancelledError):
                await receiver.worker
        self._receivers = []

    async def deliver(self, url: str, body: bytes) -> str | None:
        """Post with a few tries; gives what went wrong, None when it arrived."""
        why = ""
        for attempt in range(TRIES):
            if attempt:
                await self._sleep(FIRST_PAUSE_S * 2 ** (attempt - 1) * (0.5 + self._jitter()))
            try:
                status = await self._post(url, body)
            except (OSError, TimeoutError) as error:
                why = str(error) or type(error).__name__
                continue
            if 200 <= status < 300:  # noqa: PLR2004 - the HTTP success range
                return None
            why = f"status {status}"
            if status < 500 and status not in _WORTH_RETRYING:  # noqa: PLR2004 - the HTTP server error range
                break
        return why

    def failed(self, url: str, why: str) -> None:
        """Log the first failure of a burst."""
        parts = urlsplit(url)
        self._log.warning("webhook failed", receiver=f"{parts.scheme}://{parts.hostname}", why=why)


class _Receiver:
    """One URL with its queue and the task that empties it."""

    def __init__(self, url: str, owner: Webhooks) -> None:
        self.url = url
        self.events: frozenset[str] = frozenset()
        self.queue: asyncio.Queue[bytes] = asyncio.Queue(QUEUE)
        self._owner = owner
        self._failing = False
        self.worker = asyncio.get_running_loop().create_task(self._work())

    def offer(self, body: bytes) -> None:
        """Queue it; when the receiver is that far behind, it is lost."""
        try:
            self.queue.put_nowait(body)
        except asyncio.QueueFull:
            self._note("too many messages wait for it, the newest are dropped")

    async def _work(self) -> None:
        while True:
            body = await self.queue.get()
            why = await self._owner.deliver(self.url, body)
            self.queue.task_done()
            if why is None:
                self._failing = False
            else:
                self._note(why)

    def _note(self, why: str) -> None:
        if not self._failing:
            self._owner.failed(self.url, why)
        self._failing = True


def _certificates() -> ssl.SSLContext:
    context = ssl.create_default_context()
    context.set_alpn_protocols(["http/1.1"])
    return context


def _proxy_for(url: str) -> str | None:
    parts = urlsplit(url)
    return None if proxy_bypass(parts.hostname or "") else getproxies().get(parts.scheme)


def _body(notice: Notice, name: str) -> bytes:
    return json.dumps(
        {
            "text": _for_slack(redact(sentence(notice))),
            "event": name,
            "source": notice.source,
            "target": notice.target,
            "reason": redact(notice.reason.text),
            "code": notice.reason.code,
            "until": iso(notice.until),
            "at": iso(notice.at),
        }
    ).encode()


def _for_slack(text: str) -> str:
    """Write text as Slack wants it, where a name in angle brackets would call everybody in the channel."""
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
