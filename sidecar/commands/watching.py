"""`status --watch`: the report stays on the screen, redrawn when the daemon pushes something and once a second.

The push is what brings news at once; the second is for what counts down. A daemon that goes away is waited for, and the
last report stays visible meanwhile. Where there is no terminal, every change is printed one after the other.
"""

import json
import os
import select
import signal
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import TextIO

from sidecar.client import DaemonAnswerError, DaemonUnavailableError, Stream, call
from sidecar.commands.screen import Screen

TICK_S = 1.0
# A busy moment pushes many things at once; they are drawn together.
_GATHER_S = 0.05
_QUIT = ("q", "Q", "\x03", "\x04")
_SCROLL = {"j": 1, "\033[B": 1, "k": -1, "\033[A": -1, " ": 10, "\033[6~": 10, "b": -10, "\033[5~": -10}


class _Feed:
    """The daemon's pushes across its restarts; `problem` says why there are none just now, "" when there are."""

    def __init__(self, socket: Path) -> None:
        self._socket = socket
        self._stream: Stream | None = None
        self.problem = ""

    def stream(self) -> Stream | None:
        """Give the stream, opening it anew when it has ended; None while nobody serves."""
        if self._stream is None:
            try:
                self._stream = Stream(self._socket)
            except DaemonUnavailableError as error:
                self.problem = str(error)
            else:
                self.problem = ""
        return self._stream

    def take(self) -> bool:
        """Read what has arrived; says whether that is news (the end of the stream is)."""
        try:
            return bool(self._stream is not None and self._stream.read())
        except DaemonUnavailableError as error:
            self.problem = str(error)
            self.close()
            return True

    def close(self) -> None:
        if self._stream is not None:
            self._stream.close()
            self._stream = None


def watch(socket: Path, keyboard: TextIO, out: TextIO, query: Callable[[], str]) -> int:
    """Show the report on the terminal until Ctrl-C or q; `query` says how it is to be rendered now."""
    resized_read, resized = os.pipe()
    os.set_blocking(resized, False)
    before = signal.set_wakeup_fd(resized, warn_on_full_buffer=False)
    resizing = signal.signal(signal.SIGWINCH, lambda _number, _frame: None)
    ending = signal.signal(signal.SIGTERM, _end)
    feed = _Feed(socket)
    try:
        with Screen(keyboard, out) as screen, suppress(KeyboardInterrupt):
            _run(socket, screen, feed, resized_read, query)
    finally:
        signal.signal(signal.SIGWINCH, resizing)
        signal.signal(signal.SIGTERM, ending)
        signal.set_wakeup_fd(before)
        os.close(resized_read)
        os.close(resized)
        feed.close()
    return 0


def _end(number: int, _frame: object) -> None:
    # As an exception, so that the terminal is put back.
    sys.exit(128 + number)


def _run(socket: Path, screen: Screen, feed: _Feed, resized: int, query: Callable[[], str]) -> None:
    report = "\n"
    while True:
        tick = time.monotonic() + TICK_S
        stream = feed.stream()
        report, problem = _report(socket, query(), report)
        why = problem or feed.problem
        screen.show(f"! {why}; waiting for it\n\n{report}" if why else report)
        while (left := tick - time.monotonic()) > 0:
            waiting: list[Screen | Stream | int] = [resized]
            waiting += [screen] if screen.has_keys else []
            waiting += [stream] if stream else []
            ready = select.select(waiting, [], [], left)[0]
            if screen in ready:
                typed = screen.keys()
                if typed.startswith(_QUIT):
                    return
                screen.scroll(_SCROLL.get(typed, 0))
            if resized in ready:
                os.read(resized, 64)
                break
            if stream in ready and feed.take():
                time.sleep(_GATHER_S)
                break


def _report(socket: Path, query: str, last: str) -> tuple[str, str]:
    """Ask for the report; the last one, and why, when there is no new one."""
    try:
        return call(socket, "GET", f"/v1/status?{query}")["text"], ""
    except (DaemonUnavailableError, DaemonAnswerError) as error:
        return last, str(error)


def follow(socket: Path, out: TextIO, query: str | None) -> int:
    """Print the report now and after everything the daemon pushes, for ever; as one line of JSON when `query` is None.

    Ends with the daemon: whoever reads this is a program, and should know.

    Raises:
        DaemonUnavailableError: nobody serves, or not any more.
    """
    stream = Stream(socket)
    try:
        while True:
            if query is None:
                text = json.dumps(call(socket, "GET", "/v1/status"), ensure_ascii=False) + "\n"
            else:
                text = call(socket, "GET", f"/v1/status?{query}")["text"] + "\n"
            out.write(text)
            out.flush()
            while not _pushed(stream):
                pass
            time.sleep(_GATHER_S)
    finally:
        stream.close()


def _pushed(stream: Stream) -> bool:
    select.select([stream], [], [])
    return bool(stream.read())
