"""How measured times are spread: a histogram that merges, for a percentile over days nobody keeps in detail.

Pure. Each class is a tenth wider than the one before, so that a percentile read from it is off by a twentieth at the
most, whatever the size of what was measured, and a year of days adds up to the same as one.
"""

import math
from collections.abc import Mapping

_GROWTH = math.log(1.1)
Spread = dict[int, int]
"""How many were measured per class; classes nothing was measured in are left out."""


def class_of(milliseconds: float) -> int:
    """Give the class of a time; everything up to a millisecond is one."""
    return 0 if milliseconds <= 1 else math.ceil(math.log(milliseconds) / _GROWTH)


def merge(into: Spread, more: Mapping[int, int]) -> None:
    """Add what was measured elsewhere."""
    for number, count in more.items():
        into[number] = into.get(number, 0) + count


def percentile(spread: Mapping[int, int], share: float) -> float | None:
    """Give the time in milliseconds that `share` (0 to 1) of all measured ones do not exceed; None for no times."""
    wanted = max(1, math.ceil(sum(spread.values()) * share))
    seen = 0
    for number in sorted(spread):
        seen += spread[number]
        if seen >= wanted:
            return math.exp((number - 0.5) * _GROWTH) if number else 1.0
    return None
