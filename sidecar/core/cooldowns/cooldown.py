"""One cooldown: how long it lasts, when it grows, what proves it over; and the table of defaults per failure class.

Arithmetic only: whose cooldown it is and who may probe is `health.py`; what a refusal means is `classify.py`.

A *period* is one stretch of rest, `[start, start + length)`. At most one failure counts per period: a failure counts
only when its attempt began after the last period had ended. Any other (the nine sessions that hit the same 429 a moment
later, attempts under way when the period began) belongs to that period: it may push the end out by naming a later time,
but never makes the next period longer. A failure below the threshold opens a period of length 0 and so follows suit.
"""

import math
from dataclasses import dataclass

from sidecar.config.models import Config, CooldownRule
from sidecar.core.failure import Failure, Kind
from sidecar.core.target import Target

_MINUTE, _HOUR, _DAY = 60.0, 3600.0, 86400.0

LONGEST_NAMED_S = 31 * _DAY
"""No provider is believed to mean longer than this (a month's quota is the longest there is)."""

BRIEF_S = 5.0
"""A named wait shorter than this (`retry-after: 0`) is believed once; when it proves wrong, growth sets a floor."""

JITTER_S = 0.02
"""When an attempt began is reckoned back from its report in whole milliseconds; it may come out this much early."""

WHY_CHARS = 300
"""What is kept of a reason."""

TRANSIENT = frozenset({Kind.RATE_LIMIT, Kind.SERVER, Kind.TIMEOUT, Kind.NETWORK, Kind.UNKNOWN})
"""Classes that any later success in their scope proves over for the scope, though not for the model refused."""

_LASTING = frozenset({Kind.BILLING, Kind.AUTH, Kind.MODEL_NOT_FOUND})
_FIXABLE = frozenset({Kind.RATE_LIMIT, Kind.QUOTA})


@dataclass(frozen=True, slots=True)
class Rule:
    """A complete `CooldownRule`: seconds, growth factor, failures before it cools at all.

    `reset_after` counts from the end of the last period: while a target rests, silence is no sign of health. `fixed` is
    the provider's own `cooldown`, which replaces growth.
    """

    initial: float
    multiplier: float
    maximum: float
    threshold: int
    reset_after: float
    fixed: float | None = None


DEFAULTS = {
    Kind.RATE_LIMIT: Rule(5, 2, 5 * _MINUTE, 1, 15 * _MINUTE),
    Kind.QUOTA: Rule(_HOUR, 2, _DAY, 1, _DAY),
    # Only a person mends these, and `forgive` hears of it; the rare try is for a bill paid on the provider's site.
    Kind.BILLING: Rule(30 * _MINUTE, 2, _DAY, 1, 7 * _DAY),
    Kind.AUTH: Rule(30 * _MINUTE, 2, _DAY, 1, 7 * _DAY),
    Kind.SERVER: Rule(5, 2, 5 * _MINUTE, 1, 15 * _MINUTE),
    Kind.TIMEOUT: Rule(10, 2, 2 * _MINUTE, 1, 15 * _MINUTE),
    Kind.NETWORK: Rule(5, 2, _MINUTE, 2, 15 * _MINUTE),
    Kind.MODEL_NOT_FOUND: Rule(6 * _HOUR, 1, 6 * _HOUR, 1, _DAY),
    Kind.UNKNOWN: Rule(5, 2, 2 * _MINUTE, 1, 15 * _MINUTE),
}
"""The classes that cool. What is missing here speaks about the request and cools nothing, whatever is configured."""


def rule_for(kind: Kind, provider: str, config: Config) -> Rule:
    """Give the rule of a class that cools: what the user wrote, completed from `DEFAULTS`.

    A configured `initial` above the default maximum raises it; a configured `maximum` caps growth.
    """
    own, default = config.cooldowns.get(kind, CooldownRule()), DEFAULTS[kind]
    settings = config.providers.get(provider)
    initial = default.initial if own.initial is None else own.initial
    return Rule(
        initial,
        default.multiplier if own.multiplier is None else own.multiplier,
        max(initial, default.maximum) if own.maximum is None else own.maximum,
        default.threshold if own.threshold is None else own.threshold,
        default.reset_after if own.reset_after is None else own.reset_after,
        settings.cooldown if settings is not None and kind in _FIXABLE else None,
    )


def grown(rule: Rule, level: int) -> float:
    """Give the length of period number `level` (from 0), in seconds; growth saturates at the maximum."""
    if not rule.initial:
        return 0.0
    try:
        # As a float it overflows at once; as an integer (the table's are) it would fill the memory first.
        return min(rule.initial * float(rule.multiplier) ** level, rule.maximum)
    except OverflowError:
        return rule.maximum


def named_wait(failure: Failure) -> float | None:
    """Give the wait the provider named, in seconds between 0 and `LONGEST_NAMED_S`, None when it named none."""
    wait = failure.retry_after_s
    return None if wait is None or math.isnan(wait) else min(max(wait, 0.0), LONGEST_NAMED_S)


def wait_for(failure: Failure, rule: Rule, level: int) -> float:
    """Give the length of the period that a counted failure deserves, in seconds.

    A named wait decides, with two exceptions: where only a person helps, it can lengthen the rest but not shorten it;
    and a brief one that has already proved wrong (`level` > 0) gets the growth of a plain rate limit as its floor.
    """
    named = named_wait(failure)
    if named is None:
        return grown(rule, level) if rule.fixed is None else rule.fixed
    if failure.kind in _LASTING:
        return max(named, grown(rule, level))
    if level and named < BRIEF_S:
        return max(named, min(grown(rule, level), grown(DEFAULTS[Kind.RATE_LIMIT], level)))
    return named


@dataclass(slots=True)
class Cooldown:
    """The rest that one place owes to one failure class.

    `open` means that the place must still prove itself: before `until` it is cooling, from then on it waits for a
    probe. `failures` counts towards the threshold and, beyond it, the growth. `cause` is the target whose failure set
    the last period, `why` the reason in our own words.
    """

    cause: Target
    why: str = ""
    start: float = -math.inf
    length: float = 0.0
    failures: int = 0
    open: bool = False

    @property
    def until(self) -> float:
        """Give the epoch second at which the last period ends or ended."""
        return self.start + self.length

    def over(self, at: float, started: float | None) -> bool:
        """Say whether an attempt begun at `started` (None: unknown, taken as `at`) began after the last period."""
        return at >= self.until and (started is None or started >= self.until - JITTER_S)

    def refused(
        self, target: Target, failure: Failure, rule: Rule, at: float, *, started: float | None, times: int = 1
    ) -> None:
        """Take note of a failure; `times` > 1 when it repeated before it could be believed.

        The deadline never moves closer: a counted failure begins a period that ends later than the last one did, any
        other one only extends the running period to the time it names.
        """
        if self.over(at, started):
            before = 0 if at - self.until >= rule.reset_after else self.failures
            self.failures = before + 1 if before >= rule.threshold else min(before + times, rule.threshold)
            level = self.failures - rule.threshold
            wait = wait_for(failure, rule, level) if level >= 0 else 0.0
        else:
            seen = max(self.failures, 1)
            wait = named_wait(failure) or 0.0
            if not wait or seen < rule.threshold or at + wait <= self.until:
                return
            self.failures = seen
        self.start, self.length, self.open = at, wait, wait > 0
        self.cause, self.why = target, failure.why[:WHY_CHARS]

    def served(self, kind: Kind, target: Target, at: float, *, started: float | None) -> bool:
        """Take note of a success in this place; True when it brought the place back.

        It proves something only when its attempt began after the refusal. Begun after the whole period it was the
        probe, and the place is back whichever model it was. Begun earlier (the engine tried it all the same) it ends a
        transient class, and a lasting one when it is the very target that was refused. Growth is forgotten unless
        another model's success says nothing about the one refused for good: a free model works without credit.
        """
        same = kind in TRANSIENT or target == self.cause
        if not (self.over(at, started) or (same and started is not None and started > self.start)):
            return False
        back, self.open = self.open, False
        if at < self.until:
            self.length = max(0.0, at - self.start)
        if same:
            self.failures = 0
        return back
