"""How a report is laid out: lines, gauges with their bars, width, colour, and signs every terminal can show.

Knows no provider and no limit: text and shares in, text out. A line is never longer than the width unless it is one
word, and nothing is cut away.
"""

import textwrap
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

STEP = "  "
GREEN, YELLOW, RED, DIM, BOLD = "32", "33", "31", "2", "1"
_NARROWEST = 40
_BAR_LEAST, _BAR_MOST = 8, 24
_NEARLY_FULL = 0.8
_FULL, _EMPTY = "█", "░"
_ASCII = str.maketrans(
    {"█": "#", "░": ".", "✓": "+", "◐": "~", "✗": "x", "○": "o", "·": "-", "—": "-", "→": "->", "…": "...", "•": "*"}
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Look:
    """What the reader's screen can do. `width` is in characters; `bars` draws how much of each limit is used."""

    width: int = 80
    color: bool = False
    bars: bool = False
    ascii: bool = False


PLAIN = Look()


@dataclass(frozen=True, slots=True)
class Line:
    """A line of text, `depth` steps in; the first occurrence of `marked` is shown in `shade`."""

    depth: int
    text: str
    marked: str = ""
    shade: str = ""


@dataclass(frozen=True, slots=True)
class Gauge:
    """An amount with the used share of its limit (0 and up; None when there is none) and what else is to be said."""

    depth: int
    label: str
    amount: str
    share: float | None = None
    notes: tuple[str, ...] = ()


def lay_out(lines: Sequence[Line | Gauge], look: Look) -> str:
    """Write lines down, gauges in columns; ends with a newline."""
    width = max(look.width, _NARROWEST)
    columns = _Columns(lines, width)
    written: list[str] = []
    for line in lines:
        if isinstance(line, Gauge):
            written += _gauge(line, columns, width, color=look.color)
        else:
            text = _wrapped(line.depth, line.text, width)
            written.append(paint(text, printable(line.marked), line.shade) if look.color else text)
    text = "\n".join(written) + "\n"
    return text.translate(_ASCII) if look.ascii else text


def bar(share: float, width: int) -> str:
    """Draw a used share: full only when nothing is left, empty only when nothing was used."""
    if share <= 0 or width <= 0:
        filled = 0
    elif share >= 1:
        filled = width
    else:
        filled = min(max(round(share * width), 1), width - 1)
    return _FULL * filled + _EMPTY * (width - filled)


def paint(text: str, marked: str, shade: str) -> str:
    """Show the first occurrence of `marked` in `shade` (the number of an ANSI colour)."""
    return text.replace(marked, f"\033[{shade}m{marked}\033[0m", 1) if marked and shade else text


def printable(text: str) -> str:
    """Replace what is no printable character: names come from outside, and must not steer the terminal."""
    return "".join(character if character.isprintable() else "?" for character in text)


def shade_of(share: float) -> str:
    """Give the colour of a used share."""
    return RED if share >= 1 else YELLOW if share >= _NEARLY_FULL else GREEN


def percent_left(share: float) -> str:
    """Say how much is left: `88 % left`; never 0 % while something is left, never 100 % when something was used."""
    left = 1 - min(max(share, 0.0), 1.0)
    rounded = round(left * 100)
    if 0 < left < 1:
        rounded = min(max(rounded, 1), 99)
    return f"{rounded} % left"


class _Columns:
    """Where the bars of all gauges stand, so that they stand below each other; no bars where there is no room."""

    def __init__(self, lines: Iterable[Line | Gauge], width: int) -> None:
        gauges = [line for line in lines if isinstance(line, Gauge)]
        self.label = max((len(gauge.label) for gauge in gauges), default=0)
        measured = [gauge for gauge in gauges if gauge.share is not None]
        self.start = 2 + max((len(self.head(gauge)) for gauge in measured), default=0)
        tail = 2 + max((len(percent_left(gauge.share or 0)) for gauge in measured), default=0)
        room = width - self.start - tail
        self.bar = min(room, _BAR_MOST) if room >= _BAR_LEAST else 0

    def head(self, gauge: Gauge) -> str:
        return f"{STEP * gauge.depth}{gauge.label:{self.label}} {gauge.amount}"


def _gauge(gauge: Gauge, columns: _Columns, width: int, *, color: bool) -> list[str]:
    head = printable(columns.head(gauge))
    if gauge.share is None:
        return [_wrapped(0, head, width, hanging=len(STEP * gauge.depth) + columns.label + 1)]
    left = percent_left(gauge.share)
    drawn = bar(gauge.share, columns.bar)
    line = f"{head:{columns.start}}{drawn}  {left}" if drawn else f"{head} ({left})"
    further: list[str] = []
    for note in gauge.notes:
        if not further and len(line) + 2 + len(note) <= width:
            line += f", {note}"
        else:
            further.append(note)
    rest = []
    if further:
        indent = len(STEP * gauge.depth) + columns.label + 1
        rest = [_wrapped(0, " " * indent + ", ".join(further), width, hanging=indent)]
    if color and drawn:
        line = paint(line, drawn, shade_of(gauge.share))
    return [line, *rest]


def _wrapped(depth: int, text: str, width: int, *, hanging: int | None = None) -> str:
    return textwrap.fill(
        printable(text),
        width,
        initial_indent=STEP * depth,
        subsequent_indent=STEP * (depth + 2) if hanging is None else " " * hanging,
        break_long_words=False,
        break_on_hyphens=False,
    )
