"""`logs`: the log file as people read it. Needs no daemon."""

import argparse
import io
import json
import os
import sys
import time
from collections.abc import Callable, Iterator
from datetime import datetime
from pathlib import Path
from typing import Any

from sidecar.commands.files import log_file
from sidecar.daemon.log import terminal_line
from sidecar.paths import from_environment

HELP = "Show what happened, newest last: switches, failures, cooldowns and why."
EXAMPLE = """
  rate-limit-sidecar logs           the last 50 lines
  rate-limit-sidecar logs -n 500    more of them, rotated files included
  rate-limit-sidecar logs -f        and whatever happens from now on
"""

_PAUSE_S = 0.25


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    parser.add_argument("-f", "--follow", action="store_true", help="go on with what happens from now on")
    parser.add_argument("-n", "--lines", type=_count, default=50, metavar="N", help="how many lines (default: 50)")


def run(args: argparse.Namespace) -> int:
    """Print the lines; with --follow until interrupted."""
    path = log_file(from_environment())
    if not path.exists() and not args.follow:
        print(f"there is no log yet at {path}; the daemon writes it: rate-limit-sidecar start", file=sys.stderr)
        return 1
    # What is added while the last lines are being printed belongs to what follows.
    size = path.stat().st_size if path.exists() else 0
    readable = _Readable()
    for line in last_lines(path, args.lines, size):
        print(readable(line))
    sys.stdout.flush()
    if args.follow:
        for line in follow(path, size, time.sleep):
            print(readable(line), flush=True)
    return 0


def last_lines(path: Path, count: int, size: int) -> list[str]:
    """Give the last `count` lines of the first `size` bytes, continued in the rotated files when they are too few."""
    found: list[str] = []
    files = [path, *(path.with_name(f"{path.name}.{number}") for number in range(1, 101))]
    for file in files:
        if len(found) >= count or not file.exists():
            break
        with file.open("rb") as stream:
            content = stream.read(size if file == path else -1)
        found = content.decode("utf-8", "replace").splitlines() + found
    return found[len(found) - min(count, len(found)) :]


def follow(path: Path, position: int, pause: Callable[[float], None]) -> Iterator[str]:
    """Give every line added after `position` bytes, across rotation and truncation; waits for a missing file.

    Never ends by itself; `pause` is called with seconds whenever there is nothing new.
    """
    while True:
        while not path.exists():
            pause(_PAUSE_S)
        with path.open("rb") as stream:
            stream.seek(min(position, os.fstat(stream.fileno()).st_size))
            part = b""
            while True:
                part += (raw := stream.readline())
                if part.endswith(b"\n"):
                    yield part.decode("utf-8", "replace").rstrip("\n")
                    part = b""
                elif not raw:
                    if _replaced(stream, path):
                        break
                    pause(_PAUSE_S)
        position = 0


def _replaced(stream: io.BufferedReader, path: Path) -> bool:
    """Say whether another file stands at `path` by now, or the same one was cut."""
    here = os.fstat(stream.fileno())
    try:
        there = path.stat()
    except FileNotFoundError:
        return False
    return (there.st_dev, there.st_ino) != (here.st_dev, here.st_ino) or there.st_size < stream.tell()


class _Readable:
    """Turns log lines into lines for people, and says when another day begins."""

    def __init__(self) -> None:
        self._day = ""

    def __call__(self, line: str) -> str:
        try:
            event: dict[str, Any] = json.loads(line)
            day = f"{datetime.fromisoformat(event['time']).astimezone():%A, %Y-%m-%d}"
            text = terminal_line(event)
        except (ValueError, TypeError, KeyError):
            return "".join(character if character.isprintable() else "?" for character in line)
        heading = "" if day == self._day else f"--- {day} ---\n"
        self._day = day
        return heading + text


def _count(text: str) -> int:
    if not text.isdigit():
        raise argparse.ArgumentTypeError(f"{text!r} is not a number of lines")
    return int(text)
