"""Limits as data: what a provider's headers teach, and how full one window is.

Only data: headers become `LearnedLimit` in `refusals/hints.py`, counts become `Reading` in `usage/ledger.py`.
"""

from dataclasses import dataclass
from typing import Literal

Unit = Literal["requests", "tokens", "usd"]


@dataclass(frozen=True, slots=True, kw_only=True)
class LearnedLimit:
    """One limit a provider's headers stated.

    `per_s` is the window in seconds when the provider documents it, else None. `resets_at` is an epoch second;
    `remaining` is what was left when the headers were sent.
    """

    unit: Unit
    limit: float
    remaining: float | None = None
    per_s: float | None = None
    resets_at: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Reading:
    """How full one window is.

    `name` is rpm…tpd, usd_per_day, plan_requests, plan_tokens, or learned_requests/learned_tokens; `model` is None for
    a provider's own limit; `frees_at` is the epoch second at which the window has room again (None when it has room
    now); `full` says that nothing more may be sent before that.
    """

    name: str
    unit: Unit
    model: str | None
    limit: float
    used: float
    full: bool = False
    frees_at: float | None = None
    learned: bool = False

    @property
    def share(self) -> float:
        """Give the used share of the limit, 0 and up; a limit of 0 is full."""
        return self.used / self.limit if self.limit else 1.0
