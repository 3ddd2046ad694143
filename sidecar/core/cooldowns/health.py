"""Who may be used now: cooldowns, the one probe after each, and what the user disabled by hand.

Remembers per *place* (a model at a provider, a whole provider, an account that several providers share) what failed and
what rests until when. Pure: how long a rest is and what ends it is `cooldown.py`, whether the user's own link is down
is `link.py`, what the configuration disables is routing's business. Queries (`blocked`, `errors`, …) change nothing.

Rules of the room:
- `now` is the reading of one clock. One below the last means that the clock was stepped back: every remembered time
  moves with it, so that what was left of a cooldown is what is left of it. Only `observe` and `claim_probe` read the
  clock; the caller does so at least once per event, before it reports or asks anything.
- `at` is when a reported attempt ended, `now` or earlier; `started` when it was let go (that of its `claim_probe`, or
  later), None when nobody knows.
- A place whose cooldown has ended is *half-open*: one attempt at a time may go there until one succeeds.
"""

import math
from dataclasses import dataclass, replace
from typing import Any, Literal, Self

from sidecar.config.catalogue import settings_for
from sidecar.config.models import Config
from sidecar.core.cooldowns.cooldown import DEFAULTS, JITTER_S, WHY_CHARS, Cooldown, rule_for
from sidecar.core.cooldowns.health_state import Saved
from sidecar.core.cooldowns.link import Link
from sidecar.core.failure import Failure, Kind, Scope
from sidecar.core.marks import Marks
from sidecar.core.target import Target

PROBE_LEASE_S = 60.0
"""A probe that has not reported for this long has lost its place to the next one."""

MOST_PLACES = 1000
"""Bound of everything kept by place; healthy and old goes first."""

_REQUESTS_OWN = frozenset(Kind) - frozenset(DEFAULTS)
_SILENT = frozenset({Kind.NETWORK, Kind.TIMEOUT, Kind.ABORTED, Kind.UNKNOWN})
_MANUAL = "disabled by hand"
_PROBED = "one attempt is finding out whether it is back"

Code = Literal["cooling", "probing", "disabled"]
_WEIGHT: dict[Code, int] = {"probing": 0, "cooling": 1, "disabled": 2}

# A plain tuple of strings, because `blocked` builds and hashes three of them per question: the scope's value, then the
# provider (or the account's name), then the model (or nothing).
_Place = tuple[str, str, str]


@dataclass(frozen=True, slots=True)
class Block:
    """Why a target may not be used: `until` an epoch second (None: until somebody changes it), `why` in our own words.

    `scope` is what is blocked (the model, its provider, its account), `kind` the failure class that did it.
    """

    code: Code
    until: float | None
    scope: Scope
    kind: Kind | None
    why: str


@dataclass(frozen=True, slots=True)
class Errors:
    """The errors of a target or provider since the state began: how many, and the last one (`at` epoch seconds)."""

    count: int
    kind: Kind
    at: float
    why: str


def _own_place(provider: str, model: str | None) -> _Place:
    return ("provider", provider, "") if model is None else ("model", provider, model)


def _provider_places(provider: str, config: Config) -> tuple[_Place, ...]:
    settings = config.providers.get(provider)
    if settings is None or not settings.account:
        return (("provider", provider, ""),)
    return ("provider", provider, ""), ("account", settings.account, "")


def _places(target: Target, config: Config) -> tuple[_Place, ...]:
    return (_own_place(*target), *_provider_places(target.provider, config))


def _place_of(target: Target, scope: Scope, config: Config) -> _Place:
    """Give what a failure of `scope` (not NONE) speaks about; a provider without an account is its own."""
    if scope is Scope.MODEL:
        return _own_place(*target)
    return _provider_places(target.provider, config)[0 if scope is Scope.PROVIDER else -1]


def _local(target: Target, config: Config) -> bool:
    return bool(settings_for(target.provider, config.providers.get(target.provider)).local)


def _weight(block: Block) -> tuple[int, float]:
    return _WEIGHT[block.code], math.inf if block.until is None else block.until


class Health:
    """What failed, what rests, what is disabled; answers whether a target may be used."""

    def __init__(self) -> None:
        self._clock = -math.inf
        self._cooldowns: dict[_Place, dict[Kind, Cooldown]] = {}
        self._leases: dict[_Place, tuple[Target, float]] = {}
        self._disabled: dict[_Place, float | None] = {}
        self._errors: dict[_Place, Errors] = {}
        self._link = Link()
        self._marks: Marks[_Place] = Marks()
        self._erred: Marks[_Place] = Marks()

    # ------------------------------------------------------------------------------------------------------- queries

    def blocked(self, target: Target, config: Config, now: float) -> Block | None:
        """Say why a target may not be used now; None when it may.

        Of several reasons the strongest: disabled before cooling before probing, then the one that lasts longest.
        """
        blocks = self._blocks(_places(target, config), now)
        return max(blocks, key=_weight) if blocks else None

    def provider_blocked(self, provider: str, config: Config, now: float) -> Block | None:
        """Say why no model of a provider may be used now; None when the provider itself is fine."""
        blocks = self._blocks(_provider_places(provider, config), now)
        return max(blocks, key=_weight) if blocks else None

    def resting(self, target: Target, config: Config) -> bool:
        """Whether a target has a cooldown that no answer has ended yet: one that runs, or one that awaits its probe."""
        return any(rest.open for place in _places(target, config) for rest in self._cooldowns.get(place, {}).values())

    def errors(self, provider: str, model: str | None = None) -> Errors | None:
        """Give the errors of a provider (all its models) or of one model; None when there were none.

        Refusals that are the request's own fault, and aborted attempts, are nobody's errors.
        """
        return self._errors.get(_own_place(provider, model))

    def targets(self) -> set[Target]:
        """Give every model that has failed, rests or is disabled."""
        places = {*self._cooldowns, *self._disabled, *self._errors}
        return {Target(name, model) for scope, name, model in places if scope == "model"}

    def _blocks(self, places: tuple[_Place, ...], now: float) -> list[Block]:
        found: list[Block] = []
        if not self._cooldowns and not self._disabled:
            return found
        # Between a step back of the clock and the next `observe` time stands still.
        lag = self._clock - now if now < self._clock else 0.0
        time = now + lag
        for place in places:
            for kind, rest in self._cooldowns.get(place, {}).items():
                if not rest.open:
                    continue
                until = rest.start + rest.length
                if time < until:
                    found.append(Block("cooling", until - lag, Scope(place[0]), kind, rest.why))
                    continue
                lease = self._leases.get(place)
                if lease is not None and time < lease[1] + PROBE_LEASE_S:
                    found.append(Block("probing", lease[1] + PROBE_LEASE_S - lag, Scope(place[0]), kind, _PROBED))
            if place in self._disabled:
                until_hand = self._disabled[place]
                if until_hand is None or now < until_hand:
                    found.append(Block("disabled", until_hand, Scope(place[0]), None, _MANUAL))
        return found

    # ---------------------------------------------------------------------------------------------------- what happens

    def observe(self, now: float) -> None:
        """Read the clock. After a step back every remembered time moves by the same step.

        Times the user gave (`disable(until=…)`) are wall-clock times and stay.
        """
        step = now - self._clock
        if step < 0:
            self._marks.everything()
            for rests in self._cooldowns.values():
                for rest in rests.values():
                    rest.start += step
            self._leases = {place: (target, at + step) for place, (target, at) in self._leases.items()}
            self._errors = {place: replace(errors, at=errors.at + step) for place, errors in self._errors.items()}
            self._link.shift(step)
        self._clock = now

    def claim_probe(self, target: Target, config: Config, now: float) -> bool:
        """Ask to send an attempt now; True when it may go.

        Where a cooldown has ended it goes as the one probe: until it reports, or for `PROBE_LEASE_S`, nobody else may.
        """
        self.observe(now)
        places = _places(target, config)
        if self._blocks(places, now):
            return False
        if not self._cooldowns:
            return True
        for place in places:
            if any(rest.open for rest in self._cooldowns.get(place, {}).values()):
                self._leases[place] = target, now
        return True

    def probes(self, target: Target, config: Config) -> bool:
        """Whether an attempt at this target is the probe of some place."""
        if not self._leases:
            return False
        return any(self._leases[place][0] == target for place in _places(target, config) if place in self._leases)

    def fail(
        self, target: Target, failure: Failure, config: Config, at: float, *, started: float | None = None
    ) -> Block | None:
        """Take note of a failed attempt; give the cooldown it belongs to, None when nothing cools for it.

        A network failure cools nothing yet: it counts once another provider has answered (see `link.py`), except at a
        local provider, which is not behind the user's link.
        """
        self._clock = max(self._clock, at)
        self._report(target, config, at if started is None else started)
        if failure.kind not in _SILENT:
            self._answered(target, config, at, started)
        if failure.kind in _REQUESTS_OWN:
            return None
        self._count(_own_place(*target), failure, at)
        self._count(_own_place(target.provider, None), failure, at)
        if failure.scope is Scope.NONE:
            return None
        place = _place_of(target, failure.scope, config)
        if failure.kind is Kind.NETWORK and not _local(target, config):
            self._link.unreachable(target, failure, at, started)
        else:
            self._refuse(place, target, failure, config, at, started=started)
        rest = self._cooldowns.get(place, {}).get(failure.kind)
        if rest is None or not rest.open or self._clock >= rest.until:
            return None
        return Block("cooling", rest.until, Scope(place[0]), failure.kind, rest.why)

    def succeed(self, target: Target, config: Config, at: float, *, started: float | None = None) -> bool:
        """Take note of a served attempt; True when it brought the target back from a cooldown or probe.

        Without `started` it says nothing about a cooldown still running: it may have been under way before. A provider
        that serves one model while it rests for another refused only that other one, which goes on resting alone.
        """
        self._clock = max(self._clock, at)
        self._report(target, config, at if started is None else started)
        self._answered(target, config, at, started)
        back = False
        refused: list[tuple[Kind, Cooldown]] = []
        for place in _places(target, config):
            for kind, rest in self._cooldowns.get(place, {}).items():
                before = replace(rest)
                brought = rest.served(kind, target, at, started=started)
                self._marks.add(place)
                back |= brought
                if brought and at < before.until and target != rest.cause:
                    refused.append((kind, before))
        for kind, rest in refused:
            self._marks.add(_own_place(*rest.cause))
            rests = self._cooldowns.setdefault(_own_place(*rest.cause), {})
            rests[kind] = max(rest, rests.get(kind, rest), key=lambda one: one.until)
        return back and self.blocked(target, config, self._clock) is None

    def stopped(self, target: Target, config: Config, at: float) -> None:
        """Take note that an attempt ended without telling anything (the user stopped it): its probe is free again."""
        self._report(target, config, at)

    def _report(self, target: Target, config: Config, started: float) -> None:
        """End the target's probe, however it went; a straggler from before the probe does not end it."""
        for place in _places(target, config):
            lease = self._leases.get(place)
            if lease is not None and lease[0] == target and started >= lease[1] - JITTER_S:
                del self._leases[place]

    def _answered(self, target: Target, config: Config, at: float, started: float | None) -> None:
        if not self._link.suspects or _local(target, config):
            return
        for s in self._link.answered(target.provider, at, started):
            place = _place_of(s.target, s.failure.scope, config)
            self._refuse(place, s.target, s.failure, config, at, started=s.started, times=s.times)

    def _refuse(
        self,
        place: _Place,
        target: Target,
        failure: Failure,
        config: Config,
        at: float,
        *,
        started: float | None,
        times: int = 1,
    ) -> None:
        if place not in self._cooldowns and len(self._cooldowns) >= MOST_PLACES:
            self._prune()
        rest = self._cooldowns.setdefault(place, {}).setdefault(failure.kind, Cooldown(target))
        rule = rule_for(failure.kind, target.provider, config)
        rest.refused(target, failure, rule, at, started=started, times=times)
        self._marks.add(place)

    def _count(self, place: _Place, failure: Failure, at: float) -> None:
        before = self._errors.pop(place, None)
        self._errors[place] = Errors((before.count if before else 0) + 1, failure.kind, at, failure.why[:WHY_CHARS])
        self._erred.add(place)
        if len(self._errors) > MOST_PLACES:
            oldest = next(iter(self._errors))
            del self._errors[oldest]
            self._erred.add(oldest)

    def _prune(self) -> None:
        """Make room: what is back goes before what waits for a probe or cools, what ends early before the rest."""
        order = sorted(
            self._cooldowns,
            key=lambda place: max((rest.open, rest.until) for rest in self._cooldowns[place].values()),
        )
        for place in order[: MOST_PLACES // 10]:
            self._marks.add(place)
            del self._cooldowns[place]
            self._leases.pop(place, None)

    # ------------------------------------------------------------------------------------------------ what people do

    def disable(self, provider: str, model: str | None = None, until: float | None = None) -> None:
        """Use a provider or model no more: until an epoch second, or (None) until it is enabled again."""
        place = _own_place(provider, model)
        self._marks.everything()
        self._disabled.pop(place, None)
        self._disabled[place] = until
        if len(self._disabled) > MOST_PLACES:
            del self._disabled[next(iter(self._disabled))]

    def enable(self, provider: str, model: str | None = None) -> bool:
        """Undo exactly one `disable`; True when there was one."""
        place = _own_place(provider, model)
        self._marks.everything()
        found = place in self._disabled
        self._disabled.pop(place, None)
        return found

    def clear(self, config: Config, provider: str | None = None, model: str | None = None) -> None:
        """Forget cooldowns and their growth: of one model, of a provider with its models and account, or all.

        Keeps what is disabled by hand, and the error counts.
        """
        self._link.forget(provider)
        for place in self._of(provider, model, config):
            del self._cooldowns[place]
            self._leases.pop(place, None)

    def forgive(self, provider: str, config: Config) -> None:
        """Forget what only a person mends (billing, auth) of a provider whose key or settings changed."""
        for place in self._of(provider, None, config):
            rests = self._cooldowns[place]
            for kind in (Kind.BILLING, Kind.AUTH):
                rests.pop(kind, None)
            if not rests:
                del self._cooldowns[place]
                self._leases.pop(place, None)

    def _of(self, provider: str | None, model: str | None, config: Config) -> list[_Place]:
        """List the places with cooldowns that belong to a model, a provider or (None) anybody, to forget of them."""
        self._marks.everything()
        if provider is None:
            return list(self._cooldowns)
        if model is not None:
            return [place for place in self._cooldowns if place == ("model", provider, model)]
        wide = _provider_places(provider, config)
        return [place for place in self._cooldowns if place in wide or place[:2] == ("model", provider)]

    # -------------------------------------------------------------------------------------------------------- restarts

    def to_json(self) -> dict[str, Any]:
        """Give what outlives a restart as JSON data (see `health_state.py`): running probes and suspicions do not."""
        return {
            "clock": self._saved_clock(),
            "cooldowns": [entry for place in self._cooldowns for entry in self._rests_at(place)],
            "disabled": [
                {"provider": provider, "model": model if scope == "model" else None, "until": until}
                for (scope, provider, model), until in self._disabled.items()
            ],
            "errors": [entry for place in self._errors for entry in self._errors_at(place)],
        }

    def changes(self) -> dict[str, Any] | None:
        """Give what `to_json` says now of each place at which something happened since the last call; None for all."""
        rested, erred = self._marks.take(), self._erred.take()
        if rested is None or erred is None:
            return None
        return {
            "clock": self._saved_clock(),
            "cooldowns": [[place, self._rests_at(place)] for place in rested],
            "errors": [[place, self._errors_at(place)] for place in erred],
        }

    def _saved_clock(self) -> float:
        return self._clock if math.isfinite(self._clock) else 0.0

    def _rests_at(self, place: _Place) -> list[dict[str, Any]]:
        scope, name, _ = place
        return [
            {
                "scope": scope,
                **({"account": name} if scope == "account" else {}),
                "provider": rest.cause.provider,
                "model": rest.cause.model,
                "kind": kind.value,
                "start": rest.start,
                "length": rest.length,
                "failures": rest.failures,
                "open": rest.open,
                "why": rest.why,
            }
            for kind, rest in self._cooldowns.get(place, {}).items()
            if rest.open or rest.failures
        ]

    def _errors_at(self, place: _Place) -> list[dict[str, Any]]:
        scope, provider, model = place
        errors = self._errors.get(place)
        if errors is None:
            return []
        about = {"provider": provider, "model": model if scope == "model" else None, "count": errors.count}
        return [{**about, "kind": errors.kind.value, "at": errors.at, "why": errors.why}]

    @classmethod
    def from_json(cls, data: object, now: float) -> Self:
        """Read what `to_json` gave.

        Raises:
            ValueError: something is missing, of the wrong type or out of range; the message names where.
        """
        saved = Saved.model_validate(data)
        health = cls()
        for entry in saved.cooldowns:
            health._cooldowns.setdefault(entry.place, {})[entry.kind] = Cooldown(
                Target(entry.provider, entry.model),
                entry.why,
                min(entry.start, saved.clock),
                entry.length,
                entry.failures,
                entry.open,
            )
        while len(health._cooldowns) > MOST_PLACES:
            health._prune()
        for disabled in saved.disabled[-MOST_PLACES:]:
            health.disable(disabled.provider, disabled.model, disabled.until)
        for errors in saved.errors[-MOST_PLACES:]:
            last = Errors(errors.count, errors.kind, min(errors.at, saved.clock), errors.why)
            health._errors[_own_place(errors.provider, errors.model)] = last
        health._clock = saved.clock
        health.observe(now)
        return health
