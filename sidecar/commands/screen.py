"""What the commands that show reports share: what this terminal can do, and a report that stays on it and is redrawn.

Standard library only, because `status` must answer fast. The daemon renders; nothing here knows what a report says.
"""

import os
import shutil
from collections.abc import Mapping
from contextlib import suppress
from typing import Self, TextIO

# Longer lines are harder to read, and the daemon refuses widths that make no sense.
_NARROWEST, _WIDEST = 40, 120


def wants_color(out: TextIO, env: Mapping[str, str] = os.environ) -> bool:
    """Whether to write in colour: on a terminal that has it, unless NO_COLOR (https://no-color.org) says otherwise."""
    return out.isatty() and not env.get("NO_COLOR") and env.get("TERM") != "dumb"


def shows_signs(out: TextIO) -> bool:
    """Whether `out` can show what is not ASCII."""
    try:
        "█░✓◐✗○→".encode(getattr(out, "encoding", None) or "utf-8")
    except (UnicodeEncodeError, LookupError):
        return False
    return True


def look(out: TextIO, *, ascii_only: bool = False) -> str:
    """Give the query by which the daemon renders for `out`: width, colour, and whether signs can be shown."""
    width = min(max(shutil.get_terminal_size().columns, _NARROWEST), _WIDEST)
    plain = ascii_only or not shows_signs(out)
    return f"width={width}&color={int(wants_color(out))}&ascii={int(plain)}"


class Screen:
    """A terminal in its second screen, redrawn in place: the lines that changed are overwritten, nothing is cleared.

    A context manager: the terminal is put back as it was, whatever ends it. `keys` gives what was typed, where
    `has_keys` says that there is a keyboard.
    """

    def __init__(self, keyboard: TextIO, out: TextIO) -> None:
        self._keyboard, self._out = keyboard, out
        self.has_keys = keyboard.isatty()
        self._top = 0
        self._lines: list[str] = []

    def __enter__(self) -> Self:
        """Switch to the second screen, hide the cursor, take keys one by one and unseen."""
        import termios  # noqa: PLC0415 - only where there is a terminal, and only when it is watched
        import tty  # noqa: PLC0415 - likewise

        self._before = None
        with suppress(termios.error, OSError, ValueError):
            self._before = termios.tcgetattr(self._keyboard)
            tty.setcbreak(self._keyboard)
        # A very narrow terminal cuts what is too long: wrapped lines would push the others out of their places.
        self._write("\033[?1049h\033[?25l\033[?7l\033[H\033[2J")
        return self

    def __exit__(self, *_: object) -> None:
        """Put everything back."""
        import termios  # noqa: PLC0415 - see above

        with suppress(OSError):
            self._write("\033[?7h\033[?25h\033[?1049l")
        if self._before is not None:
            with suppress(termios.error, OSError):
                termios.tcsetattr(self._keyboard, termios.TCSADRAIN, self._before)

    def fileno(self) -> int:
        """Give the descriptor that becomes readable when something was typed."""
        return self._keyboard.fileno()

    def keys(self) -> str:
        """Give what was typed; "q" at the end of the input as well, since nobody can type it any more."""
        return os.read(self.fileno(), 64).decode("utf-8", "replace") or "q"

    def show(self, text: str) -> None:
        """Draw `text`."""
        self._lines = text.rstrip("\n").split("\n")
        self.scroll(0)

    def scroll(self, lines: int) -> None:
        """Draw again, `lines` further down."""
        height = shutil.get_terminal_size().lines
        hidden = max(0, len(self._lines) - height)
        # One line less is left for the report when the last one says that there is more.
        room = height - 1 if hidden else height
        self._top = min(max(0, self._top + lines), max(0, len(self._lines) - room))
        shown = self._lines[self._top : self._top + room]
        if hidden:
            below = len(self._lines) - self._top - len(shown)
            shown.append(f"-- {self._top} lines above, {below} below: arrows or j, k --")
        # Each line is written over the old one and only the rest of it erased: nothing is ever blank in between.
        self._write("\033[H" + "\r\n".join(f"{line}\033[K" for line in shown) + "\033[J")

    def _write(self, text: str) -> None:
        self._out.write(text)
        self._out.flush()
