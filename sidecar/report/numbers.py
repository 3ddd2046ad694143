"""Numbers, times and names as the history's reports write them: short, in the reader's own time zone.

Pure formatting; nothing here knows what a number counts.
"""

from datetime import datetime, tzinfo
from pathlib import PurePath

_SIZES = ((1_000_000_000, "G"), (1_000_000, "M"), (1_000, "k"))
_EXACT_BELOW = 10_000
_SECOND_MS, _TEN_SECONDS_MS, _TWO_MINUTES_MS = 1_000, 10_000, 120_000
NOTHING = "-"


def amount(number: float) -> str:
    """Write a count: exact below ten thousand, else in k, M or G."""
    if number < _EXACT_BELOW:
        return f"{number:.0f}"
    # By what is written, not by what is meant: 999 960 is not "1000k".
    size, letter = next(((s, letter) for s, letter in _SIZES if round(number / s, 1) >= 1), _SIZES[-1])
    return f"{number / size:.1f}".removesuffix(".0") + letter


def dollars(nano: float) -> str:
    """Write billionths of a US dollar."""
    return f"${nano / 1e9:.2f}"


def percent(share: float | None) -> str:
    """Write a share of one."""
    return NOTHING if share is None else f"{share * 100:.1f}".removesuffix(".0") + " %"


def quick(milliseconds: float | None) -> str:
    """Write a short time in the unit that suits it."""
    if milliseconds is None:
        return NOTHING
    if milliseconds < _SECOND_MS:
        return f"{milliseconds:.0f} ms"
    seconds = milliseconds / 1000
    if milliseconds < _TEN_SECONDS_MS:
        return f"{seconds:.1f} s"
    return f"{seconds:.0f} s" if milliseconds < _TWO_MINUTES_MS else f"{seconds / 60:.0f} min"


def local(at: float, zone: tzinfo | None) -> datetime:
    """Give an epoch second as the reader's clock shows it; `zone` None is where this process runs."""
    return datetime.fromtimestamp(at, zone).astimezone(zone)


def until(end: float | None, at: float, zone: tzinfo | None) -> str:
    """Write ` (until 14:32:05)`, with the date where that is another day; nothing for no end."""
    if end is None or end <= at:
        return ""
    there = local(end, zone)
    shape = "%H:%M:%S" if there.date() == local(at, zone).date() else "%Y-%m-%d %H:%M"
    return f" (until {there:{shape}})"


def project(directory: str, home: str) -> str:
    """Write a directory, short below `home`."""
    path = PurePath(directory)
    if home and path.is_relative_to(home):
        return str("~" / path.relative_to(home))
    return directory or "(no project)"


def plain(text: str) -> str:
    """Replace control characters: names come from outside, and a terminal believes escapes."""
    return "".join(character if character.isprintable() else "?" for character in text)
