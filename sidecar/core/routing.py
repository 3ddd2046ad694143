"""Who is next: the ordered candidates for a wanted target, and which of them is taken.

Pure: `candidates` says what could be used, in order and with its origin; `choose` takes the first that `checks.py`
has nothing against and keeps the reasons of the others. Nothing here changes any memory.
"""

import itertools
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from enum import StrEnum

from sidecar.config.catalogue import tier_models
from sidecar.config.models import Tier
from sidecar.core.checks import No, Situation, check, check_picked
from sidecar.core.decisions import Rejected
from sidecar.core.events import ModelInfo
from sidecar.core.fleet import priority, tier
from sidecar.core.target import Target

_TIERS = list(Tier)
# Models of one provider that may stand in by tier: enough to pass over some that do not fit, too few to be a storm.
PER_PROVIDER = 3


class Origin(StrEnum):
    """Why a target is a candidate; the order of definition is the order in which they are tried."""

    PICKED = "picked"
    CHOSEN = "chosen"
    SAME_MODEL = "same_model"
    CHAIN = "chain"
    TIER = "tier"
    LAST_RESORT = "last_resort"


@dataclass(frozen=True, slots=True)
class Candidate:
    """A target that could be used, and why it is one."""

    target: Target
    origin: Origin


@dataclass(frozen=True, slots=True)
class Choice:
    """What was chosen and why the others were not; `candidate` is None when nothing may be used now."""

    candidate: Candidate | None
    rejected: tuple[Rejected, ...]


def candidates(s: Situation) -> Iterator[Candidate]:
    """Give what could be used, in order: the wanted target, the same model elsewhere, the chain, tiers, last resort.

    One by one, because the first of them mostly will do, and there can be thousands.

    What the user picked for all sessions comes before everything.
    Tiers are only for those who wrote no chain for the agent: an explicit chain is an explicit no to everything outside
    it. A strategy other than priority orders the wanted target and its like; the
    chain counts as its like when the wanted target stands in it.
    """
    return _unique(_in_order(s))


def _in_order(s: Situation) -> Iterator[Candidate]:
    mine = picked(s)
    if mine is not None:
        yield Candidate(mine, Origin.PICKED)
    chain = [Candidate(Target.parse(text), Origin.CHAIN) for text in s.config.chain_for(s.agent)]
    same = (Candidate(target, Origin.SAME_MODEL) for target in s.connected.same_model(s.wanted, s.config))
    chosen = Candidate(s.wanted, Origin.CHOSEN)
    if s.config.strategy != "priority" and any(c.target == s.wanted for c in chain):
        yield from _by_strategy(_unique((chosen, *same, *chain)), s)
    elif s.config.same_model_first:
        yield from _by_strategy(itertools.chain((chosen,), same), s)
        yield from _by_strategy(chain, s)
    else:
        yield chosen
        yield from _by_strategy(chain, s)
        yield from _by_strategy(same, s)
    if not chain:
        yield from (Candidate(target, Origin.TIER) for target in _of_tier(s))
    if s.config.last_resort:
        yield Candidate(Target.parse(s.config.last_resort), Origin.LAST_RESORT)


def picked(s: Situation) -> Target | None:
    """Give the target the user picked for all sessions, as far as it means one here."""
    if s.pin is None:
        return None
    return s.pin.target(s.wanted, itertools.chain(s.connected.same_model(s.wanted, s.config), _of_tier(s)))


def _unique(found: Iterable[Candidate]) -> Iterator[Candidate]:
    seen: set[Target] = set()
    for candidate in found:
        if candidate.target not in seen:
            seen.add(candidate.target)
            yield candidate


def _by_strategy(likes: Iterable[Candidate], s: Situation) -> Iterable[Candidate]:
    strategy = s.config.strategy
    if strategy == "priority":
        return likes
    group = list(likes)
    if strategy == "round_robin":
        start = s.turns % max(1, len(group))
        return group[start:] + group[:start]
    if strategy == "least_used":
        return sorted(group, key=lambda c: -s.usage.headroom(c.target, *s.limits(c.target), s.now))
    if strategy == "latency":
        # A target that was never measured goes first: that is how it gets measured.
        return sorted(group, key=lambda c: s.pace.first_token_ms(c.target) or 0.0)
    models = s.connected.models
    return sorted(group, key=lambda c: blended(models[c.target]) if c.target in models else float("inf"))


def blended(model: ModelInfo) -> float:
    """Give one price for input and output: coding agents send about three times what they receive."""
    return (3 * model.cost_input + model.cost_output) / 4


def _of_tier(s: Situation) -> list[Target]:
    """Give the targets of `_ranked`, once per report of a window and configuration: neither changes in between."""
    return s.connected.recall("tier", s.wanted, s.config, lambda: _ranked(s))


def _ranked(s: Situation) -> list[Target]:
    """Give the best few models of each connected provider: the wanted tier, then higher ones, then lower ones.

    Within a tier the wanted model's own provider comes last: what ails one of its models often ails all of them. Only
    providers somebody connected count, or wrote into the configuration: a gateway that came connected by itself was
    never chosen to see this conversation.
    """
    wanted = tier_of(s.wanted, s)
    ranked: list[tuple[int, bool, int, int, int, Target]] = []
    for position, provider in enumerate(s.connected.providers.values()):
        asked = provider.id in s.config.providers or (s.pin is not None and s.pin.provider == provider.id)
        if provider.uninvited and not asked:
            continue
        listed = tier_models(provider.id)
        models = sorted(
            (
                _distance(wanted, tier_of(Target(provider.id, m.id), s)),
                m.id not in listed,
                m.id != provider.default_model,
                _age(m),
                m.id,
            )
            for m in provider.models
            if m.tools and m.id != s.wanted.model
        )
        for order, (distance, *_, model) in enumerate(models[:PER_PROVIDER]):
            target = Target(provider.id, model)
            own = provider.id == s.wanted.provider
            ranked.append((distance, own, priority(target, s.config), position, order, target))
    return [target for *_, target in sorted(ranked)]


def _age(model: ModelInfo) -> int:
    digits = model.released.replace("-", "")
    return -int(digits) if digits.isdecimal() else 0


def _distance(wanted: Tier, other: Tier) -> int:
    """Order tiers from the wanted one upwards; every lower one comes after every higher one."""
    step = _TIERS.index(other) - _TIERS.index(wanted)
    return step if step >= 0 else len(_TIERS) - step


def tier_of(target: Target, s: Situation) -> Tier:
    """Give the tier of a target in a situation, see `fleet.tier`."""
    return tier(target, s.config, s.connected)


def choose(options: Iterable[Candidate], s: Situation, *, every: bool = False) -> Choice:
    """Take the first candidate that may be used now; those before it (all others, if `every`) get their reason."""
    taken: Candidate | None = None
    rejected: list[Rejected] = []
    for candidate in options:
        no = _NOT_NEEDED if taken else _check(candidate, s)
        if no is None:
            taken = candidate
            if every:
                continue
            break
        rejected.append(reject(candidate.target, candidate.origin, no))
    return Choice(taken, tuple(rejected))


def _check(candidate: Candidate, s: Situation) -> No | None:
    if candidate.origin is Origin.PICKED:
        return check_picked(candidate.target, s)
    return check(candidate.target, s, stand_in=candidate.target != s.wanted)


_NOT_NEEDED = No("not_needed", "an earlier candidate is free")


def reject(target: Target, origin: str, no: No) -> Rejected:
    """Write a reason down for the wire."""
    return Rejected(target=str(target), origin=origin, code=no.code, text=no.text, until=no.until)


def soonest(rejected: Iterable[Rejected]) -> Rejected | None:
    """Give the candidate that becomes free first; None when none ever does by itself."""
    return min((r for r in rejected if r.until is not None), key=lambda r: r.until or 0.0, default=None)
