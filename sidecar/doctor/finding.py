"""One thing that was looked at, and what a check is. Only data."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Literal

from sidecar.paths import Paths

Level = Literal["ok", "note", "problem"]


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that was looked at; a problem makes the exit code 1, a note does not. `fix` says what to do."""

    level: Level
    text: str
    fix: str = ""


Findings = Iterator[Finding]
Check = Callable[[Paths], Findings]
