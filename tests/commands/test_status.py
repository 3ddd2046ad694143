"""`status` in a terminal: the report with bars, kept up to date, and the terminal put back whatever ends it."""

import contextlib
import fcntl
import json
import os
import pty
import re
import select
import signal
import struct
import subprocess
import sys
import termios
import time
from collections.abc import Iterator

import pytest

from tests.commands.conftest import Home

ENTER, LEAVE = "\033[?1049h", "\033[?1049l"
SHOWN_S = 15.0


class Terminal:
    """A command on a pseudo terminal."""

    def __init__(self, home: Home, *arguments: str, columns: int = 100, lines: int = 40, **environment: str) -> None:
        self.master, self.slave = pty.openpty()
        self.size(columns, lines)
        self.before = termios.tcgetattr(self.slave)
        self.process = subprocess.Popen(
            [sys.executable, "-m", "sidecar", *arguments],
            cwd=home.project,
            env=home.environment | {"TERM": "xterm-256color"} | environment,
            stdin=self.slave,
            stdout=self.slave,
            stderr=self.slave,
            start_new_session=True,
        )
        self.text = ""

    def size(self, columns: int, lines: int) -> None:
        fcntl.ioctl(self.slave, termios.TIOCSWINSZ, struct.pack("HHHH", lines, columns, 0, 0))

    def type(self, keys: str) -> None:
        os.write(self.master, keys.encode())

    def read(self, seconds: float) -> bool:
        if not select.select([self.master], [], [], seconds)[0]:
            return False
        self.text += os.read(self.master, 65_536).decode("utf-8", "replace")
        return True

    def shows(self, pattern: str) -> str:
        """Wait until the screen has shown this since the last call; gives what was written until then."""
        deadline = time.monotonic() + SHOWN_S
        while (found := re.search(pattern, self.text)) is None:
            assert time.monotonic() < deadline, f"{pattern!r} was never shown:\n{self.text}"
            self.read(0.1)
        until, self.text = self.text[: found.end()], self.text[found.end() :]
        return until

    def ended(self) -> int:
        """Wait for the end; gives the exit code, with everything written read."""
        deadline = time.monotonic() + SHOWN_S
        while self.process.poll() is None:
            assert time.monotonic() < deadline, self.text
            self.read(0.05)
        while self.read(0.05):
            pass
        return self.process.returncode

    def close(self) -> None:
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()
        os.close(self.master)
        os.close(self.slave)


@contextlib.contextmanager
def terminal(home: Home, *arguments: str, columns: int = 100, lines: int = 40, **more: str) -> Iterator[Terminal]:
    made = Terminal(home, *arguments, columns=columns, lines=lines, **more)
    try:
        yield made
    finally:
        made.close()


def limited_to(home: Home, rpd: int) -> None:
    home.configure(f'{{"providers": {{"anthropic": {{"limits": {{"rpd": {rpd}}}}}}}}}')


@pytest.fixture
def watched(home: Home) -> Home:
    """A daemon of this test's own, with a limit and a cooldown."""
    limited_to(home, 4)
    home.run("start")
    home.refused_once()
    return home


def test_limits_have_bars_and_the_terminal_has_colour(watched: Home) -> None:
    with terminal(watched, "status") as shown:
        assert shown.ended() == 0
    assert "anthropic: \033[31m✗ Unavailable\033[0m" in shown.text
    assert "1/4 today  \033[32m██████░░░░░░░░░░░░░░░░░░\033[0m  75 % left" in shown.text


@pytest.mark.parametrize("environment", [{"NO_COLOR": "1"}, {"TERM": "dumb"}])
def test_who_wants_no_colour_gets_none(watched: Home, environment: dict[str, str]) -> None:
    with terminal(watched, "status", **environment) as shown:  # type: ignore[arg-type]
        assert shown.ended() == 0
    assert "✗ Unavailable" in shown.text
    assert "\033" not in shown.text


def test_where_it_is_no_terminal_there_is_no_colour_and_where_signs_are_unknown_there_are_letters(
    watched: Home,
) -> None:
    assert "\033" not in watched.run("status").stdout
    for shown in (watched.run("status", "--ascii").stdout, watched.run("status", PYTHONIOENCODING="ascii").stdout):
        assert shown.isascii()
        assert "anthropic: x Unavailable" in shown
        assert "1/4 today  ######..................  75 % left" in shown


def test_watching_shows_what_is_pushed_and_counts_down(watched: Home) -> None:
    with terminal(watched, "status", "--watch") as shown:
        shown.shows(re.escape(ENTER))
        first = shown.shows(r"\(in (\d) min(?: (\d+) s)?\)")
        shown.shows(r"\(in 1 min \d+ s\)")
        assert "anthropic: " in first
        watched.post("targets/disable", provider="openrouter")
        shown.shows("openrouter: .{0,10}○ Disabled")
        # Nothing is blanked in between: every drawing begins at the top, and only ends of lines are erased.
        assert "\033[2J" not in shown.text
        shown.type("q")
        assert shown.ended() == 0
        assert shown.text.endswith(LEAVE)
        assert termios.tcgetattr(shown.slave) == shown.before


@pytest.mark.parametrize(
    ("end", "code"), [(signal.SIGINT, 0), (signal.SIGTERM, 128 + signal.SIGTERM)], ids=["ctrl-c", "term"]
)
def test_whatever_ends_it_puts_the_terminal_back(watched: Home, end: signal.Signals, code: int) -> None:
    with terminal(watched, "status", "--watch") as shown:
        shown.shows("Current Provider")
        shown.process.send_signal(end)
        assert shown.ended() == code
        assert LEAVE in shown.text
        assert "Traceback" not in shown.text
        assert termios.tcgetattr(shown.slave) == shown.before


def test_a_daemon_that_goes_is_waited_for(watched: Home) -> None:
    with terminal(watched, "status", "--watch", columns=200) as shown:
        shown.shows("Current Provider")
        watched.run("stop")
        shown.shows("! the daemon does not answer at .*start it with: rate-limit-sidecar start; waiting for it")
        shown.shows("anthropic: ")  # the last report stays
        watched.run("start")
        shown.shows(r"\033\[Hanthropic: ")
        shown.type("q")
        assert shown.ended() == 0


def test_it_can_be_watched_before_there_is_a_daemon(home: Home) -> None:
    with terminal(home, "status", "--watch", columns=200) as shown:
        shown.shows("waiting for it")
        home.run("start")
        shown.shows("Nothing is known yet")
        shown.type("q")
        assert shown.ended() == 0


def test_what_does_not_fit_can_be_scrolled_to_and_a_new_size_is_used_at_once(watched: Home) -> None:
    with terminal(watched, "status", "--watch", columns=60, lines=5) as shown:
        first = shown.shows(r"-- 0 lines above, \d+ below: arrows or j, k --")
        assert "anthropic: " in first
        assert "Current Provider" not in first
        shown.type("\033[B")
        shown.shows("-- 1 lines above")
        shown.type(" ")
        shown.shows("Current Provider")
        shown.type("b")
        shown.shows("-- 0 lines above")
        shown.size(60, 50)
        shown.process.send_signal(signal.SIGWINCH)
        shown.shows(r"\033\[Hanthropic: (?:(?! lines above)[\s\S])*Current Provider")
        shown.type("q")
        assert shown.ended() == 0


def test_without_a_terminal_each_change_is_printed(watched: Home) -> None:
    with subprocess.Popen(
        [sys.executable, "-m", "sidecar", "status", "--watch", "--json"],
        env=watched.environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout is not None
        states = {one["id"]: one["state"] for one in json.loads(process.stdout.readline())["providers"]}
        assert states["openrouter"] == "available"
        watched.post("targets/disable", provider="openrouter")
        states = {one["id"]: one["state"] for one in json.loads(process.stdout.readline())["providers"]}
        assert states["openrouter"] == "disabled"
        watched.run("stop")
        _, told = process.communicate(timeout=SHOWN_S)
    assert process.returncode == 1
    assert "the daemon does not answer" in told


def test_text_is_printed_anew_too(watched: Home) -> None:
    with subprocess.Popen(
        [sys.executable, "-m", "sidecar", "status", "--watch"],
        env=watched.environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout is not None
        while not process.stdout.readline().startswith("Current Provider"):
            pass
        watched.post("targets/clear", provider="anthropic")
        assert process.stdout.readline() == "\n"
        assert process.stdout.readline() == "anthropic: ✓ Available\n"
        process.send_signal(signal.SIGINT)
        process.communicate(timeout=SHOWN_S)
    assert process.returncode == 130
