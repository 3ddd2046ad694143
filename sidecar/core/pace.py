"""How fast targets answer: a rolling time to first token per target.

Exponentially weighted, so that one slow answer does not move a target and a slow hour does. Bounded; not serialised:
yesterday's speed says nothing about today's.
"""

from sidecar.core.target import Target

_WEIGHT = 0.25
_TARGETS = 2_000


class Pace:
    """Rolling times to first token, in milliseconds."""

    def __init__(self) -> None:
        self._first_token_ms: dict[Target, float] = {}

    def record(self, target: Target, first_token_ms: float) -> None:
        """Take one measurement."""
        old = self._first_token_ms.pop(target, first_token_ms)
        self._first_token_ms[target] = old + _WEIGHT * (first_token_ms - old)
        if len(self._first_token_ms) > _TARGETS:
            del self._first_token_ms[next(iter(self._first_token_ms))]

    def first_token_ms(self, target: Target) -> float | None:
        """Give the rolling time of a target; None before its first answer."""
        return self._first_token_ms.get(target)
