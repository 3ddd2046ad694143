"""What has been used: requests, tokens and US dollars per provider, model and agent, held against the limits.

Only counting and comparing: nothing in here decides what to use next, and nothing forbids an attempt (one over the
limit is recorded like any other). How amounts become windows is `windows.py`; what its answers are worth is said there.

Memory and state are bounded however much is counted: by `MOST_TARGETS` targets and `MOST_TALLIES` agents at them (what
comes in further names is counted together, under `OTHER`, and so still counts for its provider); per model by the
buckets of at most `MOST_AGENTS` agents and `MOST_LEARNED` learned limits.

Time. `at` is epoch seconds, finite, between 1970 and 9000. Whoever asks (`full`, `readings`, `headroom`, `counts`)
passes the present; what is recorded may be stamped earlier, in any order. When the present is an earlier
second than something recorded, the clock went back, and everything that lies ahead is from then on treated as if it
had happened at that moment: it counts, but for no longer than its own window. When the clock jumps ahead, what is old
has simply left its windows.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final, Self

from sidecar.config.models import Limits
from sidecar.core.limits import LearnedLimit, Reading
from sidecar.core.marks import Marks
from sidecar.core.target import Target
from sidecar.core.usage.usage_state import (
    MOST_LEARNED,
    OTHER,
    Learned,
    ModelUsage,
    ProviderUsage,
    Saved,
    add_rows,
    plan_state,
)
from sidecar.core.usage.windows import DAY, NANO, TIERS, Rule, Tally, dollars, rules_of

MOST_TOKENS: Final = 10**12
"""The most one report may name; far above anything real, it keeps a broken one from poisoning a year of sums."""

MOST_USD: Final = 10**6

MOST_TARGETS: Final = 2_000
"""Targets counted by name: twice fifty providers of twenty models each."""

MOST_TALLIES: Final = 4_000
"""Agents counted by name, over all targets."""
_MOST_COMPILED = 4096

Mark = tuple[str, str, str | None, int]
"""A provider, a model, an agent (None: what was learned of the model's limits), and the second it happened in."""


@dataclass(frozen=True, slots=True)
class Amount:
    """How much was used; `cost` in US dollars."""

    requests: int = 0
    tokens: int = 0
    cost: float = 0.0


@dataclass(frozen=True, slots=True)
class Counts:
    """What was used in the last minute, hour and 24 hours."""

    minute: Amount
    hour: Amount
    day: Amount


def _unreplaced(learned: Iterable[Learned], rules: Iterable[Rule], at: float) -> Iterator[Learned]:
    configured = {(rule.unit, rule.per_s) for rule in rules}
    for limit in learned:
        if limit.exhausted(at) or (at < limit.until and limit.window not in configured):
            yield limit


def _longer(one: Reading | None, other: Reading) -> Reading:
    return other if one is None or (other.frees_at or 0.0) > (one.frees_at or 0.0) else one


def _sum(rows: Iterable[Sequence[int]]) -> Amount:
    requests, tokens, nano = map(sum, zip(*rows, (0, 0, 0), strict=True))
    return Amount(requests, tokens, dollars(nano))


class Usage:
    """All counters of one user.

    `limits` are always those of the subject asked about; `switch_at` is per cent, above 0 and up to 100: at that share
    of a configured limit its window counts as full.
    """

    def __init__(self) -> None:
        self._providers: dict[str, ProviderUsage] = {}
        self._latest = 0  # the newest second anything is stamped with
        # By identity, because hashing limits by their fields costs more than a whole decision may. The limits are held
        # beside their rules, so an id cannot pass to another object while it is a key.
        self._rules: dict[int, tuple[Limits, tuple[Rule, ...]]] = {}
        self._targets = self._tallies = 0  # how many targets, and agents at them, are counted by name
        self._tidied = -1  # the quarter hour in which room was last made
        self._marks: Marks[Mark] = Marks()

    def attempt(self, target: Target, agent: str, at: float) -> None:
        """Count one HTTP request, whatever the limits say."""
        second = self._stamp(at)
        name, provider, model = self._subjects(target, second)
        provider.tally.add(second, 1, 0, 0)
        provider.tally.request(at)
        model.tally.add(second, 1, 0, 0)
        model.tally.request(at)
        self._agent(name, model, agent, second).add(second, 1, 0, 0)

    def spend(self, target: Target, agent: str, *, tokens: int, cost: float, at: float) -> None:
        """Count tokens and cost (US dollars), learned at `at`, of requests that were counted before.

        Raises:
            ValueError: negative, not a number, or beyond 10^12 tokens or 10^6 dollars in one report.
        """
        if not (0 <= tokens <= MOST_TOKENS and 0 <= cost <= MOST_USD):
            raise ValueError(f"{tokens!r} tokens for {cost!r} US dollars cannot be counted")
        nano = round(cost * NANO)
        second = self._stamp(at)
        name, provider, model = self._subjects(target, second)
        provider.tally.add(second, 0, tokens, nano)
        provider.tally.plan[1] += tokens
        model.tally.add(second, 0, tokens, nano)
        model.tally.plan[1] += tokens
        self._agent(name, model, agent, second).add(second, 0, tokens, nano)

    def learn(self, target: Target, limits: Sequence[LearnedLimit], at: float) -> None:
        """Remember what the headers of a response at `at` said, in place of what was said before of the same windows.

        A limit is forgotten at its reset; without one after its window, and without that after an hour. One that does
        not say what remains is not kept: it tells nothing about the room left; nor is one of a target beyond those
        counted by name.
        """
        second = self._stamp(at)
        name, _, model = self._subjects(target, second)
        if name != target:
            return
        if limits:
            self._marks.add((*name, None, second))
        newer = {known.window for known in model.learned if known.at > at}
        told = [limit for limit in limits if (limit.unit, limit.per_s) not in newer]
        replaced = {(limit.unit, limit.per_s) for limit in told}
        kept = [known for known in model.learned if at < known.until and known.window not in replaced]
        new = [learned for learned in (Learned.of(limit, at) for limit in told) if learned is not None]
        model.learned = [*kept, *new][-MOST_LEARNED:]

    def full(
        self, target: Target, provider_limits: Limits, model_limits: Limits, at: float, *, switch_at: float = 100.0
    ) -> Reading | None:
        """Give the window which forbids another request now and stays so longest; None when nothing forbids it.

        A learned limit is full when nothing remains of it and the reset its provider named lies ahead.
        """
        self._notice(at)
        provider = self._providers.get(target.provider)
        if provider is None:
            return None
        worst = None
        for rule in self._rules_of(provider_limits):
            if rule.full(provider.tally, at, switch_at):
                worst = _longer(worst, rule.reading(provider.tally, None, at, switch_at))
        model = provider.models.get(target.model)
        if model is None:
            return worst
        for rule in self._rules_of(model_limits):
            if rule.full(model.tally, at, switch_at):
                worst = _longer(worst, rule.reading(model.tally, target.model, at, switch_at))
        for limit in model.learned:
            if limit.exhausted(at):
                worst = _longer(worst, limit.reading(target.model, at))
        return worst

    def headroom(self, target: Target, provider_limits: Limits, model_limits: Limits, at: float) -> float:
        """Give the room left in the tightest window of `readings`: 1.0 is empty (or unlimited), 0.0 is full."""
        self._notice(at)
        provider = self._providers.get(target.provider)
        if provider is None:
            return 1.0
        shares = [0.0, *(rule.share(provider.tally, at) for rule in self._rules_of(provider_limits))]
        model = provider.models.get(target.model)
        if model is not None:
            rules = self._rules_of(model_limits)
            shares += [rule.share(model.tally, at) for rule in rules]
            shares += [limit.reading(target.model, at).share for limit in _unreplaced(model.learned, rules, at)]
        return max(0.0, 1.0 - max(shares))

    def readings(
        self, provider: str, limits: Limits, at: float, *, model: str | None = None, switch_at: float = 100.0
    ) -> tuple[Reading, ...]:
        """Give the state of every limit that is set, of the provider or of one of its models.

        A model's learned limits follow, without those for whose unit and window a limit is set, unless nothing remains
        of them: what forbids a request is never hidden.
        """
        self._notice(at)
        rules = self._rules_of(limits)
        tally = next(iter(self._tallies_of(provider, model, None)), None) or Tally()
        learned = [limit for known in self._models(provider, model) for limit in known.learned if model is not None]
        return (
            *(rule.reading(tally, model, at, switch_at) for rule in rules),
            *(limit.reading(model, at) for limit in _unreplaced(learned, rules, at)),
        )

    def counts(self, provider: str, at: float, *, model: str | None = None, agent: str | None = None) -> Counts:
        """Give what a provider, or one of its models, or an agent at either, used; nothing for unknown names."""
        self._notice(at)
        tallies = self._tallies_of(provider, model, agent)
        return Counts(*(_sum(tally.series[tier].sliding(int(at)) for tally in tallies) for tier in range(len(TIERS))))

    def targets(self) -> tuple[Target, ...]:
        """Give every target of which anything is known, in the order in which they were met."""
        return tuple(Target(name, model) for name, provider in self._providers.items() for model in provider.models)

    def agents(self, provider: str, *, model: str | None = None) -> tuple[str, ...]:
        """Give the agents that used a provider or one of its models, by name."""
        return tuple(sorted({agent for known in self._models(provider, model) for agent in known.agents}))

    def reset(self, provider: str | None = None, model: str | None = None) -> None:
        """Count from zero again and forget learned limits: of everything, a provider, or a model (None is every one).

        A model's part leaves its provider's counts too, except in the provider's plan window, which does not tell its
        models apart.
        """
        for name, known in self._providers.items():
            if provider in (None, name):
                for used in self._models(name, model):
                    used.reset()
                if model is None:
                    known.tally = Tally()
                known.recount()
        self._take_stock()
        self._marks.everything()

    def to_json(self) -> dict[str, Any]:
        """Give what has to be remembered, in the shape of `usage_state.Saved`, without what has left every window."""
        return {"providers": {name: known.to_json(self._latest) for name, known in self._providers.items()}}

    def changes(self) -> dict[str, Any] | None:
        """Give what `to_json` says now of everything that was counted since the last call; None for all.

        Of an agent it has the rows that changed, by the number of their bucket.
        """
        marked = self._marks.take()
        if marked is None:
            return None
        providers: dict[str, Any] = {}
        for provider_name, model_name, agent, second in marked:
            provider = self._providers[provider_name]
            model = provider.models[model_name]
            about = providers.setdefault(provider_name, {"plan": plan_state(provider.tally), "models": {}})
            saved = about["models"].setdefault(model_name, {"plan": plan_state(model.tally), "agents": {}})
            if agent is None:
                saved["learned"] = model.learned_state(self._latest)
            else:
                add_rows(saved["agents"].setdefault(agent, {}), model.agents[agent], second)
        return providers

    @classmethod
    def from_json(cls, data: object, at: float) -> Self:
        """Read what `to_json` gave; `at` is the present.

        Raises:
            ValueError: something is of the wrong type or out of range; the message names where.
        """
        usage = cls()
        saved = Saved.model_validate(data)
        usage._providers = {name: ProviderUsage.from_saved(known) for name, known in saved.providers.items()}
        usage._take_stock()
        usage._clamp(at)
        return usage

    def _stamp(self, at: float) -> int:
        """Give the second of something that is to be recorded."""
        second = int(at)
        self._latest = max(self._latest, second)
        return second

    def _notice(self, at: float) -> None:
        """Take `at` as the present."""
        if at < self._latest:
            self._clamp(at)

    def _clamp(self, at: float) -> None:
        """Take what is stamped later than `at` as having happened then."""
        self._marks.everything()
        self._latest = int(at)
        for provider in self._providers.values():
            provider.clamp(at)

    def _subjects(self, target: Target, second: int) -> tuple[Target, ProviderUsage, ModelUsage]:
        """Find or make what is counted for a target; gives the name it is counted under, too."""
        provider = self._providers.get(target.provider)
        model = None if provider is None else provider.models.get(target.model)
        if provider is None or model is None:
            target = self._room_for(target, second)
            provider = self._providers.setdefault(target.provider, ProviderUsage())
            self._targets += target.model not in provider.models
            model = provider.models.setdefault(target.model, ModelUsage())
        return target, provider, model

    def _room_for(self, target: Target, second: int) -> Target:
        """Give the name under which a new target is counted: its own while there is room."""
        if self._targets >= MOST_TARGETS:
            self._tidy(second)
        if self._targets < MOST_TARGETS:
            return target
        return Target(target.provider if target.provider in self._providers else OTHER, OTHER)

    def _tidy(self, second: int) -> None:
        """Drop targets of which nothing matters any more; every quarter hour at most, as that is when windows move."""
        if self._tidied == second // TIERS[DAY][1]:
            return
        self._tidied = second // TIERS[DAY][1]
        for provider in self._providers.values():
            provider.models = {name: model for name, model in provider.models.items() if model.busy(second)}
        kept = {name: known for name, known in self._providers.items() if known.models or known.tally.busy(second)}
        self._providers = kept
        self._take_stock()
        self._marks.everything()

    def _agent(self, target: Target, model: ModelUsage, name: str, second: int) -> Tally:
        """Find or make the tally of an agent, under its own name or that of all others, and mark it."""
        known = model.agents.get(name)
        if known is None:
            before = set(model.agents)
            name, known = model.agent(name if self._tallies < MOST_TALLIES else OTHER, second)
            self._tallies += len(model.agents) - len(before)
            if not before <= model.agents.keys():
                self._marks.everything()
        self._marks.add((*target, name, second))
        return known

    def _take_stock(self) -> None:
        models = [model for provider in self._providers.values() for model in provider.models.values()]
        self._targets, self._tallies = len(models), sum(len(model.agents) for model in models)

    def _models(self, provider: str, model: str | None) -> list[ModelUsage]:
        """Give a model, or with None every model, of a provider, as far as known."""
        known = self._providers.get(provider)
        return [] if known is None else [used for name, used in known.models.items() if model in (None, name)]

    def _tallies_of(self, provider: str, model: str | None, agent: str | None) -> list[Tally]:
        """Give the tallies that together are what was used."""
        models = self._models(provider, model)
        if agent is not None:
            return [used.agents[agent] for used in models if agent in used.agents]
        if model is not None:
            return [used.tally for used in models]
        return [self._providers[provider].tally] if provider in self._providers else []

    def _rules_of(self, limits: Limits) -> tuple[Rule, ...]:
        found = self._rules.get(id(limits))
        if found is None:
            if len(self._rules) >= _MOST_COMPILED:
                self._rules.clear()
            found = self._rules[id(limits)] = (limits, rules_of(limits))
        return found[1]
