"""Why a target may not be used now: one small rule each, in two tables.

Pure: a rule looks at the situation and says `No` or nothing; none changes any memory. `EVERY` holds for every target,
`STAND_IN` only for targets that stand in for the one the user chose: nobody is kept from their own choice by a price,
a list or a size.
"""

from collections.abc import Callable
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import NamedTuple

from sidecar.config.catalogue import settings_for
from sidecar.config.models import Billing, Config, Limits, ModelSettings, ProviderSettings
from sidecar.core.cooldowns.health import Health
from sidecar.core.events import Needs, Wire
from sidecar.core.fleet import Connected
from sidecar.core.pace import Pace
from sidecar.core.pin import Pin
from sidecar.core.target import Target
from sidecar.core.usage.ledger import Usage
from sidecar.core.words import price

# A model is taken to hold a conversation when it leaves this share of its context for the answer.
CONTEXT_SHARE = 0.9
# With half of a limit left it does not matter that a few windows send at the same moment.
_AMPLE = 0.5
_NO_LIMITS = Limits()
_DEFAULT_MODEL = ModelSettings()


class No(NamedTuple):
    """A reason not to use a target, for machines and people; `until` is the epoch second at which it ends, if ever."""

    code: str
    text: str
    until: float | None = None


def limits_of(target: Target, config: Config) -> tuple[Limits, Limits]:
    """Give the configured limits of a target's provider and of its model."""
    mine = config.providers.get(target.provider)
    if mine is None:
        return _NO_LIMITS, _NO_LIMITS
    model = mine.models.get(target.model)
    return mine.limits, model.limits if model else _NO_LIMITS


def ample(target: Target, usage: Usage, config: Config, now: float) -> bool:
    """Whether much is left of every limit of a target, configured or learned."""
    return usage.headroom(target, *limits_of(target, config), now) >= _AMPLE


def settings_of(provider: str, config: Config, connected: Connected) -> ProviderSettings:
    """Give a provider's settings: the user's, over the catalogue's and what its address tells."""
    user, reported = config.providers.get(provider), connected.providers.get(provider)
    if reported is None:
        return settings_for(provider, user)
    return settings_for(provider, user, reported_url=reported.base_url, has_key=reported.has_key)


@dataclass(frozen=True, slots=True, kw_only=True)
class Situation:
    """Everything a decision looks at: what was asked for, and read-only views of what is remembered.

    `failed` are the targets that failed in this turn with the words for why; `only_wire` restricts to one wire format
    (a request that cannot leave its step); `spent` is what switches to metered targets cost today (US dollars), and
    `permitted` the providers the user allowed in answer to the cost guard. `pin` is what the user picked for all
    sessions.
    """

    wanted: Target
    agent: str
    config: Config
    connected: Connected
    usage: Usage
    health: Health
    pace: Pace
    now: float
    needs: Needs
    failed: dict[Target, str]
    only_wire: Wire | None = None
    turns: int = 0
    spent: float = 0
    permitted: frozenset[str] = frozenset()
    pin: Pin | None = None

    def settings(self, provider: str) -> ProviderSettings:
        """Give the provider's settings, see `settings_of`."""
        return settings_of(provider, self.config, self.connected)

    def limits(self, target: Target) -> tuple[Limits, Limits]:
        """Give the limits of the provider and of the model."""
        return limits_of(target, self.config)


def _failed_in_turn(target: Target, s: Situation) -> No | None:
    words = s.failed.get(target)
    if words is None:
        return None
    block = s.health.blocked(target, s.config, s.now)
    return No("failed_in_turn", f"already failed in this turn: {words}", None if block is None else block.until)


def _unhealthy(target: Target, s: Situation) -> No | None:
    block = s.health.blocked(target, s.config, s.now)
    return None if block is None else No(block.code, block.why, block.until)


def _over_limit(target: Target, s: Situation) -> No | None:
    full = s.usage.full(target, *s.limits(target), s.now, switch_at=s.config.switch_at)
    if full is None:
        return None
    whose = "the provider's own" if full.learned else "the configured"
    return No("over_limit", f"{whose} limit {full.name} is used up ({full.used:g}/{full.limit:g})", full.frees_at)


def _disabled(target: Target, s: Situation) -> No | None:
    mine = s.config.providers.get(target.provider)
    if mine is None or (mine.enabled and mine.models.get(target.model, _DEFAULT_MODEL).enabled):
        return None
    return No("disabled", "disabled in the configuration")


def _not_connected(target: Target, s: Situation) -> No | None:
    if not s.connected.known or target in s.connected.models or target == s.wanted:
        return None
    return No("not_connected", "the editor is not connected to it")


def _wrong_place(target: Target, s: Situation) -> No | None:
    if s.config.mode == "auto" or bool(s.settings(target.provider).local) == (s.config.mode == "local"):
        return None
    return No("mode", f"mode is {s.config.mode}")


def _listed(target: Target, s: Situation) -> No | None:
    name = str(target)
    if any(fnmatchcase(name, pattern) for pattern in s.config.deny):
        return No("denied", "on the deny list")
    if s.config.allow and not any(fnmatchcase(name, pattern) for pattern in s.config.allow):
        return No("not_allowed", "not on the allow list")
    return None


def _other_wire(target: Target, s: Situation) -> No | None:
    model = s.connected.models.get(target)
    if s.only_wire is None:
        return None
    if model is None or model.wire != s.only_wire:
        return No("wire", f"this request cannot leave the {s.only_wire} format")
    if not s.connected.providers[target.provider].has_key:
        return No("no_key", "this request needs a key, and the provider is used through a login or without one")
    return None


def _unfit(target: Target, s: Situation) -> No | None:
    model = s.connected.models.get(target)
    if model is None:
        return None
    wanted = s.connected.models.get(s.wanted)
    # What is as large as the user's own choice holds whatever that one holds; too much is compacted there as here.
    smaller = wanted is None or not 0 < wanted.context <= model.context
    if smaller and model.context and s.needs.context > model.context * CONTEXT_SHARE:
        return No("context", f"the conversation ({s.needs.context} tokens) does not fit {model.context}")
    for need, has, what in (
        (s.needs.tools, model.tools, "tools"),
        (s.needs.images, model.images, "images"),
        (s.needs.reasoning, model.reasoning, "reasoning"),
    ):
        if need and not has:
            return No("capability", f"the model has no {what}")
    return None


def metered(target: Target, config: Config, connected: Connected) -> bool:
    """Whether using a target costs money per token, as far as configuration and the editor's prices tell."""
    model = connected.models.get(target)
    priced = model is not None and bool(model.cost_input or model.cost_output)
    billing = settings_of(target.provider, config, connected).billing
    return priced and billing not in (Billing.SUBSCRIPTION, Billing.FREE)


def _guarded(target: Target, s: Situation) -> No | None:
    """Apply the cost guard: leaving a subscription or free target for a metered one needs an allowance."""
    guard = s.config.cost_guard
    model = s.connected.models.get(target)
    if model is None or guard.mode == "allow":
        return None
    if metered(s.wanted, s.config, s.connected) or not metered(target, s.config, s.connected):
        return None
    cost = price(model.cost_input, model.cost_output)
    if guard.mode == "never":
        return No("cost_guard", f"costs {cost}, and the cost guard says never")
    if guard.mode == "ask" and target.provider not in s.permitted:
        return No("cost_ask", f"costs {cost}; permit it with: rate-limit-sidecar allow {target.provider}")
    if guard.mode == "cap" and s.spent >= guard.usd_per_day:
        return No("cost_guard", f"costs {cost}, and today's ${guard.usd_per_day:g} for such switches are spent")
    return None


def _spent(target: Target, s: Situation) -> No | None:
    """Apply the cost guard to a stand-in in use: what was permitted once stays so within its turn, a cap holds."""
    no = _guarded(target, s)
    return no if no is not None and no.code == "cost_guard" else None


Rule = Callable[[Target, Situation], No | None]
EVERY: tuple[Rule, ...] = (_failed_in_turn, _disabled, _not_connected, _wrong_place, _unhealthy, _over_limit)
STAND_IN: tuple[Rule, ...] = (_listed, _other_wire, _unfit, _guarded)


def check(target: Target, s: Situation, *, stand_in: bool) -> No | None:
    """Say why a target may not be used now; None when it may. `stand_in`: it would replace what the user chose."""
    return _first((*EVERY, *STAND_IN) if stand_in else EVERY, target, s)


def check_here(target: Target, s: Situation) -> No | None:
    """Say why the target a turn is at may not be used now.

    A stand-in must still fit what the conversation became, and the allowance for such switches must not be spent.
    """
    return _first(EVERY if target == s.wanted else (*EVERY, _unfit, _spent), target, s)


def check_picked(target: Target, s: Situation) -> No | None:
    """Say why a target picked by hand may not be used now: it must fit, but what it costs the user knows."""
    return _first((*EVERY, _other_wire, _unfit), target, s)


def _first(rules: tuple[Rule, ...], target: Target, s: Situation) -> No | None:
    for rule in rules:
        reason = rule(target, s)
        if reason is not None:
            return reason
    return None
