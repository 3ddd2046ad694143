"""What a measurement says: figures, targets, and their form in the report.

Only data and text. A figure is a distribution of one quantity of one run; a target compares a number with what was
promised, and says "missed" where it was missed.
"""

import math
import statistics
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from typing import Any


@dataclass(frozen=True, slots=True)
class Figure:
    """One quantity: its median and 99th percentile over `runs` measurements, in `unit`."""

    what: str
    unit: str
    median: float
    p99: float | None
    runs: int


@dataclass(frozen=True, slots=True)
class Target:
    """A number, and the most it may be."""

    what: str
    value: float
    unit: str
    most: float

    @property
    def met(self) -> bool:
        """Whether the promise is kept."""
        return self.value <= self.most


@dataclass(slots=True)
class Section:
    """One measurement: how it was made, what came out. `name` is what it is called by on the command line."""

    name: str
    title: str
    how: str
    figures: list[Figure] = field(default_factory=list)
    targets: list[Target] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    quick: bool = False
    seconds: float = 0.0
    machine: str = ""

    def add(self, what: str, unit: str, values: Sequence[float]) -> Figure:
        """Take the values of one quantity; gives its figure."""
        figure = Figure(what, unit, statistics.median(values), percentile(values, 99), len(values))
        self.figures.append(figure)
        return figure

    def single(self, what: str, unit: str, value: float) -> None:
        """Take a quantity that is measured once."""
        self.figures.append(Figure(what, unit, value, None, 1))

    def target(self, what: str, value: float, unit: str, most: float) -> None:
        """Hold a number against a promise."""
        self.targets.append(Target(what, value, unit, most))

    def to_json(self) -> dict[str, Any]:
        """Give it as JSON data."""
        return asdict(self)

    @classmethod
    def from_json(cls, data: dict[str, Any]) -> "Section":
        """Read what `to_json` gave."""
        figures = [Figure(**one) for one in data["figures"]]
        targets = [Target(**one) for one in data["targets"]]
        return cls(**{**data, "figures": figures, "targets": targets})


def percentile(values: Sequence[float], per_cent: float) -> float:
    """Give the smallest value that `per_cent` of all values do not exceed."""
    ordered = sorted(values)
    return ordered[max(0, math.ceil(len(ordered) * per_cent / 100) - 1)]


def number(value: float) -> str:
    """Write a number with three digits that count."""
    if value == 0:
        return "0"
    digits = max(0, 2 - math.floor(math.log10(abs(value))))
    return f"{value:,.{min(digits, 3)}f}"


_HEAD = """\
# Performance

Made by `python -m benchmarks`; see [benchmarks](../benchmarks/__main__.py) for how to repeat it. Everything that is
compared was measured side by side in one run, in turns, so that ratios hold where absolute times do not. p99 is the
99th percentile, x is a ratio; a target is met or missed by the number beside it, whatever the reason.
"""


def report(sections: Sequence[Section]) -> str:
    """Write the report."""
    lines = [_HEAD]
    machines = list(dict.fromkeys(section.machine for section in sections))
    lines += [f"Measured on {' / '.join(machines)}.", ""]
    targets = [(section, target) for section in sections for target in section.targets]
    lines += ["| target | measured | at most | |", "|---|---:|---:|---|"]
    lines += [
        f"| {t.what} | {number(t.value)} {t.unit} | {number(t.most)} {t.unit} | {'met' if t.met else '**missed**'} |"
        for _, t in targets
    ]
    for section in sections:
        short = " A short run: its figures are rough." if section.quick else ""
        lines += ["", f"## {section.title}", "", f"`{section.name}`. {section.how}{short}", ""]
        lines += ["| | median | p99 | measurements |", "|---|---:|---:|---:|"]
        for f in section.figures:
            p99 = "" if f.p99 is None else f"{number(f.p99)} {f.unit}"
            lines.append(f"| {f.what} | {number(f.median)} {f.unit} | {p99} | {f.runs:,} |")
        lines += [line for note in section.notes for line in ("", note)]
    return "\n".join(lines) + "\n"
