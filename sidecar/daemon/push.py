"""Tells whoever listens what happens: one queue per subscriber, none of them able to hold up a decision.

Who asks for it also gets the status, whenever it is another one, at most twice a second.
A subscriber that does not keep up loses its stream, not single messages: it can connect again and ask for the status.
Nothing here knows HTTP; the server turns messages into server-sent events.
"""

import asyncio
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from sidecar.core.decisions import Answer, Notice, Toast
from sidecar.core.glance import Glance
from sidecar.redact import redact

QUEUE = 256
SUBSCRIBERS = 64
STATUS_PAUSE_S = 0.5

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

    def __init__(self, abort: Callable[[], None], *, status: bool = False) -> None:
        self.abort = abort
        self.status = status
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
    """Hands every notice and toast to every subscriber, and the status to those who asked for it.

    `picture` gives the status; what in it is called `at` is only the moment it was made.
    """

    def __init__(self) -> None:
        self.picture: Callable[[], Glance] | None = None
        self._subscribers: set[Subscriber] = set()
        self._closed = False
        self._shown: Glance | None = None
        self._shown_at = float("-inf")
        self._due: asyncio.TimerHandle | None = None

    def __len__(self) -> int:
        """Give the number of subscribers."""
        return len(self._subscribers)

    @contextmanager
    def subscribe(self, abort: Callable[[], None] = lambda: None, *, status: bool = False) -> Iterator[Subscriber]:
        """Listen for as long as the context lasts; with `status` the first message is the status as it is.

        Raises:
            TooManyError: there are too many subscribers already.
        """
        if len(self._subscribers) >= SUBSCRIBERS:
            raise TooManyError
        subscriber = Subscriber(abort, status=status)
        self._subscribers.add(subscriber)
        if status and self.picture is not None:
            subscriber.offer(("status", self.picture().model_dump_json()))
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

    def changed(self) -> None:
        """Push the status to those who asked for it, soon, if it is another one."""
        if self._due is not None or not any(subscriber.status for subscriber in self._subscribers):
            return
        loop = asyncio.get_running_loop()
        self._due = loop.call_at(max(loop.time(), self._shown_at + STATUS_PAUSE_S), self._show)

    def _show(self) -> None:
        self._due = None
        if self.picture is None:
            return
        now, self._shown_at = self.picture(), asyncio.get_running_loop().time()
        if self._shown is not None and now == self._shown.model_copy(update={"at": now.at}):
            return
        self._shown = now
        self._publish("status", now)

    def close(self) -> None:
        """End every stream, now and from now on."""
        self._closed = True
        if self._due is not None:
            self._due.cancel()
        for subscriber in self._subscribers:
            subscriber.ended.set()

    def _publish(self, name: str, data: Answer) -> None:
        listening = [s for s in self._subscribers if s.status or name != "status"]
        if not listening:
            return
        message = (name, data.model_dump_json())
        for subscriber in listening:
            if not subscriber.offer(message):
                self._subscribers.discard(subscriber)
                subscriber.ended.set()
                subscriber.abort()
