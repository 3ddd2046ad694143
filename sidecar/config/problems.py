"""What is wrong with what the user wrote: problems with file, line, reason and fix.

Only data. Standard library only, so that a command can report a bad configuration without loading the models.
"""

from typing import NamedTuple


class Problem(NamedTuple):
    """One thing to put right. `line` counts from 1; 0 when there is none (an environment variable, a whole file)."""

    file: str
    line: int
    reason: str
    fix: str = ""

    def __str__(self) -> str:
        """Give `FILE:LINE: reason (fix)`."""
        place = f"{self.file}:{self.line}" if self.line else self.file
        return f"{place}: {self.reason}" + (f" ({self.fix})" if self.fix else "")


class ConfigError(ValueError):
    """A layer of the configuration cannot be used; `problems` names everything wrong with it, never empty."""

    def __init__(self, *problems: Problem) -> None:
        self.problems = problems
        super().__init__(str(problems[0]))

    @property
    def file(self) -> str:
        """The file (or variable) of the first problem."""
        return self.problems[0].file

    @property
    def line(self) -> int:
        """The line of the first problem."""
        return self.problems[0].line

    @property
    def reason(self) -> str:
        """What is wrong first."""
        return self.problems[0].reason
