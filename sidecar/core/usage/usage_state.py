"""What `ledger.py` remembers, per provider, model and agent, and its shape in the state file.

Only memory: it is filled and read here, compared with limits there. Every amount is held three times, for the agent at
its model, for the model and for the provider, but only the agents' are saved: the others are their sums, so they cannot
disagree. Times are epoch seconds, durations seconds, saved money is US dollars. Unknown keys are left alone, so that
an older version can read what a newer one wrote.
"""

from dataclasses import asdict, dataclass
from math import inf, isfinite
from typing import Annotated, Any, Final, Self

from pydantic import BaseModel, ConfigDict, Field

from sidecar.core.limits import LearnedLimit, Reading, Unit
from sidecar.core.usage.windows import NANO, TIERS, Series, Tally, dollars

MOST_AGENTS: Final = 32
MOST_LEARNED: Final = 16
OTHER: Final = "other"
"""The name under which further agents are counted once a model has `MOST_AGENTS`, and further targets likewise."""

_YEAR_S = 366 * 86_400.0
_LARGEST = 10**30  # far above anything that can be counted, and far below what floats cannot hold
_UNNAMED_WAIT = 3600.0

Number = Annotated[float, Field(ge=0, le=_LARGEST)]
Whole = Annotated[int, Field(ge=0, le=_LARGEST)]
Row = tuple[Whole, Whole, Whole, Number]
"""`[bucket, requests, tokens, US dollars]`; the bucket is the distance from the row before, the first one's from the
epoch, in bucket widths."""

PlanState = tuple[Number, Number, Whole, Whole]
"""`[length, opened, requests, tokens]` of a plan window; a length of 0 when none was asked for yet."""


class _Entry(BaseModel):
    model_config = ConfigDict(allow_inf_nan=False, frozen=True)


class SavedLearned(_Entry):
    """See `Learned`."""

    unit: Unit
    limit: Number
    remaining: Number
    per_s: Number | None
    at: Number
    until: Number
    named: bool


class SavedAgent(_Entry):
    """What one agent used of a model, in buckets of 1, 60 and 900 seconds."""

    seconds: list[Row] = []
    minutes: list[Row] = []
    quarters: list[Row] = []


class SavedModel(_Entry):
    """One model."""

    plan: PlanState | None = None
    learned: list[SavedLearned] = []
    agents: dict[str, SavedAgent] = {}


class SavedProvider(_Entry):
    """One provider."""

    plan: PlanState | None = None
    models: dict[str, SavedModel] = {}


class Saved(_Entry):
    """Everything."""

    providers: dict[str, SavedProvider] = {}


@dataclass(slots=True)
class Learned:
    """A learned limit as it is remembered: what was told at `at` holds until `until`.

    `named` says that the provider named the reset itself; only then may the limit forbid anything.
    """

    unit: Unit
    limit: float
    remaining: float
    per_s: float | None
    at: float
    until: float
    named: bool

    @classmethod
    def of(cls, told: LearnedLimit, at: float) -> Self | None:
        """Take what a response at `at` said; None when it says nothing of the room left, or no longer.

        Without a reset it holds for its window, and without that for an hour; for a year at most.
        """
        if told.remaining is None:
            return None
        if not all(0 <= number <= _LARGEST for number in (told.limit, told.remaining, told.per_s or 0)):
            return None
        named = told.resets_at is not None
        until = at + (told.per_s or _UNNAMED_WAIT) if told.resets_at is None else told.resets_at
        until = min(until, at + _YEAR_S)
        return cls(told.unit, told.limit, told.remaining, told.per_s, at, until, named) if until > at else None

    @property
    def window(self) -> tuple[Unit, float | None]:
        """Give what the limit is about: the unit and the window in seconds."""
        return self.unit, self.per_s

    def exhausted(self, at: float) -> bool:
        """Say whether it forbids a request: nothing remains and the named reset lies ahead."""
        return self.named and self.remaining <= 0 and at < self.until

    def clamp(self, at: float) -> None:
        """Take it as told at `at`, not later; the wait it named starts then."""
        if self.at > at:
            self.at, self.until = at, at + (self.until - self.at)

    def reading(self, model: str | None, at: float) -> Reading:
        """Give the state of the limit's window."""
        full = self.exhausted(at)
        return Reading(
            name=f"learned_{self.unit}",
            unit=self.unit,
            model=model,
            limit=self.limit,
            used=max(self.limit - self.remaining, 0),
            full=full,
            frees_at=self.until if full else None,
            learned=True,
        )


class ModelUsage:
    """What one model used, altogether and per agent, and what its provider said of its limits."""

    __slots__ = ("agents", "learned", "tally")

    def __init__(self) -> None:
        self.tally = Tally()
        self.agents: dict[str, Tally] = {}
        self.learned: list[Learned] = []

    def agent(self, name: str, second: int) -> tuple[str, Tally]:
        """Find or make an agent's tally, and its name here; agents idle for over a day make room for new ones."""
        if name not in self.agents:
            if len(self.agents) >= MOST_AGENTS:
                self.agents = {known: tally for known, tally in self.agents.items() if tally.busy(second)}
            name = name if len(self.agents) < MOST_AGENTS else OTHER
        return name, self.agents.setdefault(name, Tally())

    def learned_state(self, second: int) -> list[dict[str, Any]]:
        """Give the learned limits that matter at `second` or later, as they are saved."""
        return [asdict(limit) for limit in self.learned if limit.until > second]

    def busy(self, second: int) -> bool:
        """Say whether anything counted, or told by the provider, may still matter at `second`."""
        return self.tally.busy(second) or any(limit.until > second for limit in self.learned)

    def clamp(self, at: float) -> None:
        """Take what is stamped later than `at` as having happened then."""
        parts: list[Tally | Learned] = [self.tally, *self.agents.values(), *self.learned]
        for part in parts:
            part.clamp(at)

    def reset(self) -> None:
        """Forget everything."""
        self.tally, self.agents, self.learned = Tally(), {}, []

    def to_json(self, second: int) -> dict[str, Any]:
        """Give what matters at `second` or later, in the shape of `SavedModel`."""
        agents = {name: _tiers(tally, second) for name, tally in self.agents.items()}
        return _present(
            plan=plan_state(self.tally),
            learned=self.learned_state(second),
            agents=_present(**agents),
        )

    @classmethod
    def from_saved(cls, saved: SavedModel) -> Self:
        """Read what `to_json` gave."""
        model = cls()
        for name, agent in saved.agents.items():
            tally = model.agents[name] = Tally()
            for (tier, *_), series in zip(TIERS, tally.series, strict=True):
                _fill(series, getattr(agent, tier))
            model.tally.absorb(tally)
        _take_plan(model.tally, saved.plan)
        model.learned = [Learned(**dict(limit)) for limit in saved.learned]
        return model


class ProviderUsage:
    """What one provider used, altogether and per model."""

    __slots__ = ("models", "tally")

    def __init__(self) -> None:
        self.tally = Tally()
        self.models: dict[str, ModelUsage] = {}

    def recount(self) -> None:
        """Make the counts the sum of the models' again; the plan window stays."""
        self.tally.series = Tally().series
        for model in self.models.values():
            self.tally.absorb(model.tally)

    def clamp(self, at: float) -> None:
        """Take what is stamped later than `at` as having happened then."""
        self.tally.clamp(at)
        for model in self.models.values():
            model.clamp(at)

    def to_json(self, second: int) -> dict[str, Any]:
        """Give what matters at `second` or later, in the shape of `SavedProvider`."""
        models = {name: model.to_json(second) for name, model in self.models.items()}
        return _present(plan=plan_state(self.tally), models=_present(**models))

    @classmethod
    def from_saved(cls, saved: SavedProvider) -> Self:
        """Read what `to_json` gave."""
        provider = cls()
        provider.models = {name: ModelUsage.from_saved(model) for name, model in saved.models.items()}
        provider.recount()
        _take_plan(provider.tally, saved.plan)
        return provider


def _present(**parts: Any) -> dict[str, Any]:
    return {name: part for name, part in parts.items() if part}


def plan_state(tally: Tally) -> list[float] | None:
    """Give a tally's plan window as it is saved; None before the first request."""
    length = tally.plan_length if isfinite(tally.plan_length) else 0.0
    return [length, tally.opened, *tally.plan] if tally.opened >= 0 else None


def _take_plan(tally: Tally, saved: PlanState | None) -> None:
    if saved is not None:
        length, tally.opened, *tally.plan = saved
        tally.plan_length = length or inf


def _tiers(tally: Tally, second: int) -> dict[str, Any]:
    tiers = zip(TIERS, tally.series, strict=True)
    return _present(**{tier: _rows(series, second) for (tier, *_), series in tiers})


def add_rows(saved: dict[str, Any], tally: Tally, second: int) -> None:
    """Add what a tally has in the buckets of one second, tier by tier, to `{tier: {bucket: row}}`."""
    for (tier, *_), series in zip(TIERS, tally.series, strict=True):
        key, row = series.at(second)
        if row is not None:
            saved.setdefault(tier, {})[str(key)] = [row[0], row[1], dollars(row[2])]


def merge_rows(rows: list[list[float]], changed: dict[str, list[float]]) -> list[list[float]]:
    """Put rows that changed, by bucket, into saved ones, of which each names its distance from the one before."""
    merged: dict[int, list[float]] = {}
    key = 0
    for distance, *amounts in rows:
        key += int(distance)
        merged[key] = amounts
    merged.update((int(key), amounts) for key, amounts in changed.items())
    keys = sorted(merged)
    return [[key - before, *merged[key]] for before, key in zip([0, *keys], keys, strict=False)]


def _rows(series: Series, second: int) -> list[list[float]]:
    rows: list[list[float]] = []
    before = 0
    for key, (requests, tokens, nano) in series.rows(second):
        rows.append([key - before, requests, tokens, dollars(nano)])
        before = key
    return rows


def _fill(series: Series, rows: list[Row]) -> None:
    key = 0
    for distance, requests, tokens, cost in rows:
        key += distance
        series.add(key * series.step, requests, tokens, round(cost * NANO))
