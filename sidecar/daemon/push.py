"""Tells whoever listens what happens: one queue per subscriber, none of them able to hold up a decision.

A subscriber that does not keep up loses its stream, not single messages: it can connect again and ask for the status.
Nothing here knows HTTP; the server turns messages into server-sent events.
"""

import asyncio
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from sidecar.core.decisions import Answer, Notice, Toast
from sidecar.redact import redact

QUEUE = 256
SUBSCRIBERS = 64

Message = tuple[str, str]
"""The name of a server-sent event and its data, one line of JSON."""


class PushedToast(Answer):
    """A toast of the daemon's own; `directory` is the project it is about, "" for all."""

    directory: str = ""
    toast: Toast


class TooManyError(Exception):
    """There are as many subscribers as are allowed."""


class Subscriber:
    """One stream: `next()` gives its messages, None once it has ended (shutdown, or it did not keep up).

    `abort` cuts its connection: a sender that waits for a reader who does not read hears of nothing else.
    """

    def __init__(self, abort: Callable[[], None]) -> None:
        self.abort = abort
        self._queue: asyncio.Queue[Message] = asyncio.Queue(QUEUE)
        self.ended = asyncio.Event()

    async def next(self, timeout_s: float) -> Message | None:
        """Wait for a message.

        Raises:
            TimeoutError: nothing happened for `timeout_s` seconds.
        """
        if self.ended.is_set():
            return None
        got = asyncio.ensure_future(self._queue.get())
        ended = asyncio.ensure_future(self.ended.wait())
        try:
            await asyncio.wait((got, ended), timeout=timeout_s, return_when=asyncio.FIRST_COMPLETED)
            if got.done():
                return got.result()
            if ended.done():
                return None
            raise TimeoutError
        finally:
            got.cancel()
            ended.cancel()

    def offer(self, message: Message) -> bool:
        """Queue a message; False when the subscriber is too far behind."""
        try:
            self._queue.put_nowait(message)
        except asyncio.QueueFull:
            return False
        return True


class Broadcaster:
    """Hands every notice and toast to every subscriber."""

    def __init__(self) -> None:
        self._subscribers: set[Subscriber] = set()
        self._closed = False

    def __len__(self) -> int:
        """Give the number of subscribers."""
        return len(self._subscribers)

    @contextmanager
    def subscribe(self, abort: Callable[[], None] = lambda: None) -> Iterator[Subscriber]:
        """Listen for as long as the context lasts.

        Raises:
            TooManyError: there are too many subscribers already.
        """
        if len(self._subscribers) >= SUBSCRIBERS:
            raise TooManyError
        subscriber = Subscriber(abort)
        self._subscribers.add(subscriber)
        if self._closed:
            subscriber.ended.set()
        try:
            yield subscriber
        finally:
            self._subscribers.discard(subscriber)

    def notice(self, notice: Notice) -> None:
        """Push what the engine announced."""
        # A directory is the one name that is kept as it came, because projects are found by it.
        self._publish("notice", notice.model_copy(update={"directory": redact(notice.directory)}))

    def toast(self, toast: Toast, directory: str = "") -> None:
        """Push a short message for the people at the editors."""
        self._publish("toast", PushedToast(directory=redact(directory), toast=toast))

    def close(self) -> None:
        """End every stream, now and from now on."""
        self._closed = True
        for subscriber in self._subscribers:
            subscriber.ended.set()

    def _publish(self, name: str, data: Answer) -> None:
        if not self._subscribers:
            return
        message = (name, data.model_dump_json())
        for subscriber in list(self._subscribers):
            if not subscriber.offer(message):
                self._subscribers.discard(subscriber)
                subscriber.ended.set()
                subscriber.abort()
