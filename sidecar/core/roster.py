"""What there is to use: every provider with what is known of it, who is connected to it, and its models.

Beside the snapshot, which says how much of it is used. Pure reading; changes nothing. Times are epoch seconds, costs US
dollars per million tokens, sizes tokens.
"""

from pydantic import Field

from sidecar.config.models import Billing, Config, Limits, ModelSettings, ProviderSettings, Tier
from sidecar.core.checks import settings_of
from sidecar.core.decisions import Answer
from sidecar.core.events import ModelInfo, Wire
from sidecar.core.fleet import Connected, tier
from sidecar.core.memory import Memory
from sidecar.core.picture import picture_of
from sidecar.core.snapshot import ModelStatus, ProviderStatus, ReadingInfo, State
from sidecar.core.target import Target
from sidecar.redact import redact_place

_PLAIN = ProviderSettings()
_PLAIN_MODEL = ModelSettings()
_NO_MODEL = ModelInfo(id="unknown")


class WindowFacts(Answer):
    """An editor window that introduced itself: where, which version, with which plugin, when last."""

    directory: str
    client: str
    client_version: str
    shim_version: str
    at: float


class LearnedInfo(ReadingInfo):
    """A limit the provider's own headers taught, of one `model` or (None) of all of them."""

    model: str | None


class ModelFacts(Answer):
    """One model of a provider; `connected` says that an editor has it, `configured` that the user wrote of it."""

    id: str
    name: str
    tier: Tier
    connected: bool
    configured: bool
    context: int
    output: int
    cost_input: float
    cost_output: float
    tools: bool
    images: bool
    reasoning: bool
    wire: Wire
    state: State
    why: str
    until: float | None
    limits: dict[str, float | str]
    learned: tuple[LearnedInfo, ...]
    requests_day: int


class ProviderFacts(Answer):
    """One provider.

    `connected` are the directories of the windows that are connected to it. `limits` is what the user wrote, `learned`
    what its own headers taught, `documented` what its documents state for `documented_for` (never enforced). `billing`
    is None when nobody knows it, and counts as metered then. `tiers` counts its models by strength; `models` is filled
    for the provider that was asked for only.
    """

    id: str
    name: str
    state: State
    why: str
    until: float | None
    configured: bool
    connected: tuple[str, ...]
    uninvited: bool
    has_key: bool | None
    billing: Billing | None
    local: bool
    priority: int
    account: str | None
    base_url: str
    key_env: tuple[str, ...]
    default_model: str
    limits: dict[str, float | str]
    learned: tuple[LearnedInfo, ...]
    documented: dict[str, int]
    documented_for: str
    models_count: int
    tiers: dict[Tier, int]
    requests_day: int
    models: tuple[ModelFacts, ...] = ()


class Roster(Answer):
    """Everything there is to use, in the order of status, and the windows that are connected."""

    at: float
    providers: tuple[ProviderFacts, ...] = ()
    windows: tuple[WindowFacts, ...] = Field((), description="the one that introduced itself last comes last")


def roster(memory: Memory, config: Config, now: float, *, models_of: str | None = None) -> Roster:
    """Give the roster, with the models of `models_of`."""
    together = memory.fleet.together()
    at = {
        id_: [redact_place(d) for d, c in memory.fleet.by_directory().items() if id_ in c.providers]
        for id_ in together.providers
    }
    providers = (
        _provider(status, config, together, at.get(status.id, []), with_models=status.id == models_of)
        for status in picture_of(memory, config, now)
    )
    return Roster(at=now, providers=tuple(providers), windows=windows(memory))


def windows(memory: Memory) -> tuple[WindowFacts, ...]:
    """Give the windows that introduced themselves, the last one last."""
    return tuple(
        WindowFacts(
            directory=redact_place(directory),
            client=connected.window.client,
            client_version=connected.window.client_version,
            shim_version=connected.window.shim_version,
            at=connected.window.at,
        )
        for directory, connected in memory.fleet.by_directory().items()
    )


def _provider(
    status: ProviderStatus, config: Config, together: Connected, directories: list[str], *, with_models: bool
) -> ProviderFacts:
    id_ = status.id
    mine = config.providers.get(id_, _PLAIN)
    laid = settings_of(id_, config, together)
    reported = together.providers.get(id_)
    listed = [] if reported is None else [model.id for model in reported.models]
    # As the editor lists them, then what else is known of it.
    known = {m: tier(Target(id_, m), config, together) for m in [*listed, *(m.id for m in status.models)]}
    tiers = list(known.values())
    return ProviderFacts(
        id=id_,
        name=status.name,
        state=status.state,
        why=status.why,
        until=status.until,
        configured=id_ in config.providers,
        connected=tuple(directories),
        uninvited=reported is not None and reported.uninvited,
        has_key=None if reported is None else reported.has_key,
        billing=laid.billing,
        local=bool(laid.local),
        priority=mine.priority,
        account=mine.account,
        base_url=mine.base_url or (reported.base_url if reported else "") or laid.base_url or "",
        key_env=tuple(laid.key_env or ()),
        default_model=reported.default_model if reported else "",
        limits=_written(mine.limits),
        learned=(*_learned(status, None), *(one for m in status.models for one in _learned(m, m.id))),
        documented=status.documented,
        documented_for=status.documented_for,
        models_count=len(known),
        tiers={one: tiers.count(one) for one in Tier if one in tiers},
        requests_day=status.counts.requests_day,
        models=tuple(_model(Target(id_, m), t, mine, together, status) for m, t in known.items())
        if with_models
        else (),
    )


def _model(
    target: Target, strength: Tier, mine: ProviderSettings, together: Connected, provider: ProviderStatus
) -> ModelFacts:
    info = together.models.get(target, _NO_MODEL)
    status = next((m for m in provider.models if m.id == target.model), _unused(target.model, provider))
    return ModelFacts(
        id=target.model,
        name=info.name,
        tier=strength,
        connected=target in together.models,
        configured=target.model in mine.models,
        context=info.context,
        output=info.output,
        cost_input=info.cost_input,
        cost_output=info.cost_output,
        tools=info.tools,
        images=info.images,
        reasoning=info.reasoning,
        wire=info.wire,
        state=status.state,
        why=status.why,
        until=status.until,
        limits=_written(mine.models.get(target.model, _PLAIN_MODEL).limits),
        learned=_learned(status, target.model),
        requests_day=status.counts.requests_day,
    )


def _learned(status: ProviderStatus | ModelStatus, model: str | None) -> tuple[LearnedInfo, ...]:
    return tuple(LearnedInfo(**dict(reading), model=model) for reading in status.readings if reading.learned)


def _unused(model: str, provider: ProviderStatus) -> ModelStatus:
    """Give the status of a model nobody used and nobody limited: it has none of its own and shares its provider's."""
    if provider.state == "limited":
        return ModelStatus(id=model, state="available")
    return ModelStatus(id=model, state=provider.state, why=provider.why, until=provider.until)


def _written(limits: Limits) -> dict[str, float | str]:
    """Give the limits somebody wrote, flat: those of a plan's window as `plan_requests` and so on (length in s)."""
    written = limits.model_dump(mode="json", exclude_defaults=True)
    plan = {} if limits.plan is None else {f"plan_{k}": v for k, v in limits.plan.model_dump().items() if v}
    return {**{name: value for name, value in written.items() if name != "plan"}, **plan}
