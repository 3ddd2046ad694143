"""How amounts are counted over time: sparse buckets, days with a fixed beginning, plan windows.

Only counting: nothing in here knows a provider, a model or an agent (that is `ledger.py`), and nothing decides.

The invariant of a sliding window. Time is cut into buckets of `step` whole seconds on the epoch's grid, and a bucket
counts for as long as any part of it lies in the window. With `W = span * step` an answer therefore lies between the
true amount of the last `W` seconds (it never counts too little) and that of the last `W + step` (it counts too much by
one bucket at most). A bucket leaves at a whole second known beforehand: `frees_at` is that second, not an estimate.

The steps: 1 s for the minute, 60 s for the hour, 900 s for the day. A day that begins at a fixed time counts whole
buckets too: exact where the reset lies on a quarter hour of UTC (so does every quarter hour of every present time
zone, clock changes included); elsewhere the quarter hour that holds the reset counts for both days. Plan windows are
not made of buckets and are exact from the first time a rule asks for them (see `Tally.follow`).

Amounts are integers throughout (money is nano-dollars), so that sums which are added to and taken from all day stay
exact. Rows are `[requests, tokens, nano-dollars]`.
"""

from abc import ABC, abstractmethod
from bisect import bisect_left, bisect_right
from collections.abc import Iterator
from datetime import datetime, time, timedelta
from math import inf
from typing import Final

from sidecar.config.models import Limits, parse_reset
from sidecar.core.limits import Reading, Unit

NANO: Final = 1_000_000_000
UNITS: Final[tuple[Unit, ...]] = ("requests", "tokens", "usd")  # in the order of a row
MINUTE, HOUR, DAY = range(3)

# (name, step, span, rows kept) of each tier. The quarters go back 49 hours, so that two whole days of detail are there
# at any time.
TIERS: Final = (("seconds", 1, 60, 62), ("minutes", 60, 60, 62), ("quarters", 900, 96, 196))

_TABLE: Final[tuple[tuple[str, Unit, int], ...]] = (
    ("rpm", "requests", MINUTE),
    ("rph", "requests", HOUR),
    ("rpd", "requests", DAY),
    ("tpm", "tokens", MINUTE),
    ("tph", "tokens", HOUR),
    ("tpd", "tokens", DAY),
    ("usd_per_day", "usd", DAY),
)


def dollars(nano: int) -> float:
    """Give nano-dollars as US dollars."""
    return round(nano / NANO, 9)


class Series:
    """Rows in buckets of one width, at most `kept` of them, and a running sum of the newest.

    Sparse: a bucket in which nothing happened takes no room. The sum covers every row from a floor on; the floor may
    move both ways, at the price of the rows in between, so asking again at the same time is free.
    """

    __slots__ = ("_first", "_floor", "_kept", "_keys", "_rows", "_sum", "span", "step")

    def __init__(self, step: int, span: int, kept: int) -> None:
        self.step = step
        self.span = span
        self._kept = kept
        self._keys: list[int] = []  # ascending; a key is the bucket's number since the epoch
        self._rows: list[list[int]] = []
        self._floor = 0
        self._first = 0  # index of the first row at or above the floor
        self._sum = [0, 0, 0]

    def add(self, second: int, requests: int, tokens: int, nano: int) -> None:
        """Count an amount in the bucket of `second`, which may be older than the newest."""
        key = second // self.step
        keys = self._keys
        row = self._rows[-1] if keys and keys[-1] == key else self._row(key)
        row[0] += requests
        row[1] += tokens
        row[2] += nano
        if key >= self._floor:
            total = self._sum
            total[0] += requests
            total[1] += tokens
            total[2] += nano

    def total(self, floor: int) -> list[int]:
        """Give the sum of all rows from key `floor` on. To be read at once, not to be kept or changed."""
        if floor != self._floor:
            self._move(floor)
        return self._sum

    def sliding(self, second: int) -> list[int]:
        """Give the sum of the last `span * step` seconds, as `total` does."""
        return self.total(second // self.step - self.span)

    def leaving(self, floor: int, column: int, threshold: float) -> int:
        """Give the key of the bucket whose leaving brings the sum from `floor` on below `threshold`.

        The sum must not be below it already, and `threshold` must be above 0.
        """
        left: float = self.total(floor)[column]
        index = self._first
        while left >= threshold:
            left -= self._rows[index][column]
            index += 1
        return self._keys[index - 1]

    def clamp(self, second: int) -> None:
        """Count what lies after the bucket of `second` as if it had happened in it: the clock went back."""
        cut = bisect_right(self._keys, second // self.step)
        ahead = self._rows[cut:]
        if ahead:
            self._move(self._keys[-1] + 1)
            del self._keys[cut:], self._rows[cut:]
            self._first = cut
            requests, tokens, nano = map(sum, zip(*ahead, strict=True))
            self.add(second, requests, tokens, nano)

    def rows(self, second: int = 0) -> Iterator[tuple[int, list[int]]]:
        """Give (key, row), oldest first, without those which are too old to matter at `second`."""
        first = bisect_left(self._keys, second // self.step - self._kept + 1)
        return zip(self._keys[first:], self._rows[first:], strict=True)

    def at(self, second: int) -> tuple[int, list[int] | None]:
        """Give the key of the bucket of `second`, and its row if it has one."""
        key = second // self.step
        index = bisect_left(self._keys, key)
        return key, self._rows[index] if index < len(self._keys) and self._keys[index] == key else None

    def absorb(self, other: "Series") -> None:
        """Count everything which `other`, a series of the same step, has counted."""
        for key, (requests, tokens, nano) in other.rows():
            self.add(key * self.step, requests, tokens, nano)

    def _row(self, key: int) -> list[int]:
        """Find or make the row of a bucket; the oldest goes when there are too many."""
        keys = self._keys
        index = bisect_left(keys, key)
        if index < len(keys) and keys[index] == key:
            return self._rows[index]
        row = [0, 0, 0]
        keys.insert(index, key)
        self._rows.insert(index, row)
        if key < self._floor:
            self._first += 1
        if len(keys) > self._kept:
            if not self._first:  # the sum must not speak of a row that is no longer there
                self._move(keys[0] + 1)
            del keys[0], self._rows[0]
            self._first -= 1
        return row

    def _move(self, floor: int) -> None:
        first = bisect_left(self._keys, floor)
        sign = -1 if first > self._first else 1
        total = self._sum
        for requests, tokens, nano in self._rows[min(first, self._first) : max(first, self._first)]:
            total[0] += sign * requests
            total[1] += sign * tokens
            total[2] += sign * nano
        self._first, self._floor = first, floor


class Tally:
    """What one subject (a provider, a model, an agent at a model) has used: a series per tier and its plan window.

    `plan_length` is the length of the plan window in seconds, inf before a rule asked for one; `opened` is when the
    last one opened (epoch seconds, -inf before the first request) and `plan` is `[requests, tokens]` since then.
    """

    __slots__ = ("opened", "plan", "plan_length", "series")

    def __init__(self) -> None:
        self.series = tuple(Series(step, span, kept) for _, step, span, kept in TIERS)
        self.plan_length = inf
        self.opened = -inf
        self.plan = [0, 0]

    def add(self, second: int, requests: int, tokens: int, nano: int) -> None:
        """Count an amount in every tier."""
        for series in self.series:
            series.add(second, requests, tokens, nano)

    def request(self, at: float) -> None:
        """Count a request in the plan window; the first after a window's end opens the next.

        A request stamped before the opening (it was reported late) counts in the window that is open.
        """
        if self.opened < 0 or at >= self.opened + self.plan_length:
            self.opened, self.plan = at, [0, 0]
        self.plan[0] += 1

    def follow(self, length: float, at: float) -> None:
        """Keep plan windows of `length` seconds from now on.

        When requests go back further than `length`, the window that is open at `at` is not known: it is taken to have
        opened with the first quarter hour since in which there was a request.
        """
        if self.plan_length == inf and self.opened <= at - length:
            series = self.series[DAY]
            for key, row in series.rows():
                if row[0] and key * series.step > at - length:
                    self.opened, self.plan = float(key * series.step), series.total(key)[:2]
                    break
        self.plan_length = length

    def busy(self, second: int) -> bool:
        """Say whether anything counted may still matter at `second`, in a bucket or in a plan window that runs."""
        running = self.plan_length < inf and second < self.opened + self.plan_length
        return running or any(True for _ in self.series[DAY].rows(second))

    def clamp(self, at: float) -> None:
        """Count what lies after `at` as if it had happened then: the clock went back."""
        for series in self.series:
            series.clamp(int(at))
        self.opened = min(self.opened, at)

    def absorb(self, other: "Tally") -> None:
        """Count in the series what `other` has counted in its own; plan windows are not added."""
        for mine, theirs in zip(self.series, other.series, strict=True):
            mine.absorb(theirs)


class FixedDay:
    """Days that begin at one local time of day.

    Every local date has one beginning: in a gap of the clock it is as long after midnight as on other days, in a
    repeated hour it is the first of the two. Days of 23 and 25 hours follow from that.
    """

    __slots__ = ("_end", "_start", "_time", "_zone")

    def __init__(self, resets: str) -> None:
        hour, minute, self._zone = parse_reset(resets)
        self._time = time(hour, minute)
        self._start = self._end = 0.0

    def bounds(self, at: float) -> tuple[float, float]:
        """Give the last beginning at or before `at` and the next one after it, in epoch seconds."""
        if not self._start <= at < self._end:
            today = datetime.fromtimestamp(at, self._zone).date()
            resets = [  # two days back, because the date line can move and leave a whole date out
                datetime.combine(today + timedelta(days), self._time, self._zone).timestamp() for days in (-2, -1, 0, 1)
            ]
            self._start = max(reset for reset in resets if reset <= at)
            self._end = min(reset for reset in resets if reset > at)
        return self._start, self._end


class Rule(ABC):
    """One configured limit: what it counts, over which window, and how a tally stands against it.

    `scaled` is the limit in the unit of the rows (nano-dollars for money), `per_s` the window in seconds.
    """

    __slots__ = ("column", "limit", "name", "per_s", "scaled", "unit")

    def __init__(self, name: str, unit: Unit, limit: float, per_s: float) -> None:
        self.name = name
        self.unit = unit
        self.limit = limit
        self.per_s = per_s
        self.column = UNITS.index(unit)
        self.scaled = limit * NANO if unit == "usd" else limit

    @abstractmethod
    def used(self, tally: Tally, at: float) -> int:
        """Give what is used of the window, in the unit of the rows."""

    def full(self, tally: Tally, at: float, switch_at: float) -> bool:
        """Say whether `switch_at` per cent of the limit are used."""
        return self.used(tally, at) >= self.scaled * switch_at / 100.0

    def share(self, tally: Tally, at: float) -> float:
        """Give the used share of the limit, 0 and up."""
        return self.used(tally, at) / self.scaled

    @abstractmethod
    def frees_at(self, tally: Tally, at: float, threshold: float) -> float:
        """Give the first moment at which less than `threshold` (> 0) is used, if nothing more is; now it is not."""

    def reading(self, tally: Tally, model: str | None, at: float, switch_at: float) -> Reading:
        """Give the window's state; it is full at `switch_at` per cent of the limit."""
        used = self.used(tally, at)
        threshold = self.scaled * switch_at / 100.0
        full = used >= threshold
        return Reading(
            name=self.name,
            unit=self.unit,
            model=model,
            limit=self.limit,
            used=dollars(used) if self.unit == "usd" else used,
            full=full,
            frees_at=self.frees_at(tally, at, threshold) if full else None,
        )


class SlidingRule(Rule):
    """A limit over the last minute, hour or 24 hours."""

    __slots__ = ("_tier",)

    def __init__(self, name: str, unit: Unit, limit: float, tier: int) -> None:
        _, step, span, _ = TIERS[tier]
        super().__init__(name, unit, limit, span * step)
        self._tier = tier

    def used(self, tally: Tally, at: float) -> int:
        """See `Rule.used`."""
        series = tally.series[self._tier]
        return series.total(int(at) // series.step - series.span)[self.column]

    def frees_at(self, tally: Tally, at: float, threshold: float) -> float:
        """See `Rule.frees_at`: the moment at which the deciding bucket has left the window entirely."""
        series = tally.series[self._tier]
        key = series.leaving(int(at) // series.step - series.span, self.column, threshold)
        return float((key + series.span + 1) * series.step)


class FixedRule(Rule):
    """A limit per day, from one fixed reset to the next."""

    __slots__ = ("_day",)

    def __init__(self, name: str, unit: Unit, limit: float, day: FixedDay) -> None:
        super().__init__(name, unit, limit, 86400.0)
        self._day = day

    def used(self, tally: Tally, at: float) -> int:
        """See `Rule.used`."""
        series = tally.series[DAY]
        return series.total(int(self._day.bounds(at)[0]) // series.step)[self.column]

    def frees_at(self, tally: Tally, at: float, threshold: float) -> float:
        """See `Rule.frees_at`: the next reset, unless the bucket around it alone fills the day after it too."""
        series = tally.series[DAY]
        end = self._day.bounds(at)[1]
        while series.total(int(end) // series.step)[self.column] >= threshold:
            end = self._day.bounds(end)[1]
        return end


class PlanRule(Rule):
    """A limit of a plan window: opened by a request, closed `per_s` later."""

    __slots__ = ()

    def used(self, tally: Tally, at: float) -> int:
        """See `Rule.used`; between two windows nothing is used."""
        if tally.plan_length != self.per_s:
            tally.follow(self.per_s, at)
        return tally.plan[self.column] if at < tally.opened + self.per_s else 0

    def frees_at(self, tally: Tally, at: float, threshold: float) -> float:  # noqa: ARG002 - it closes all at once
        """See `Rule.frees_at`: the moment the window closes."""
        return tally.opened + self.per_s


def rules_of(limits: Limits) -> tuple[Rule, ...]:
    """Turn limits as the user wrote them into rules; a limit of 0 makes none."""
    day = FixedDay(limits.resets) if limits.resets is not None else None
    rules: list[Rule] = []
    for name, unit, tier in _TABLE:
        limit = getattr(limits, name)
        if not limit:
            continue
        if day is not None and tier == DAY:
            rules.append(FixedRule(name, unit, limit, day))
        else:
            rules.append(SlidingRule(name, unit, limit, tier))
    plan = limits.plan
    if plan is not None and plan.requests:
        rules.append(PlanRule("plan_requests", "requests", plan.requests, plan.length))
    if plan is not None and plan.tokens:
        rules.append(PlanRule("plan_tokens", "tokens", plan.tokens, plan.length))
    return tuple(rules)
