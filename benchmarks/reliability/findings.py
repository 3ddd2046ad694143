"""What an item gives: a claim, how it was measured, the figure. Only data."""

from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Finding:
    """One line of the page; `holds` is whether the claim came out true."""

    claim: str
    how: str
    figure: str
    holds: bool


@dataclass(frozen=True, slots=True)
class Item:
    """One measurement, run by `python -m benchmarks.reliability NAME`."""

    name: str
    room: str
    measure: Callable[[], list[Finding]]
