"""The snapshot of the engine: every number status shows, taken from the rooms that hold it.

Pure reading; changes nothing.
"""

from sidecar.config.catalogue import CATALOGUE
from sidecar.config.models import Config, ModelSettings, ProviderSettings
from sidecar.core.cooldowns.health import Block
from sidecar.core.limits import Reading
from sidecar.core.memory import Memory
from sidecar.core.snapshot import CountsInfo, ModelStatus, Picked, ProviderStatus, ReadingInfo, Snapshot, State
from sidecar.core.target import Target
from sidecar.core.usage.ledger import Counts
from sidecar.core.words import KIND_WORDS, span

_NOT_COUNTED = CountsInfo()
_PLAIN_MODEL = ModelSettings()
_PLAIN_PROVIDER = ProviderSettings()
_STATE_OF_BLOCK: dict[str, State] = {"disabled": "disabled", "cooling": "unavailable", "probing": "unavailable"}

_Verdict = tuple[State, str, float | None]


def picture(memory: Memory, config: Config, now: float, *, brief: bool = False) -> Snapshot:
    """Give what status shows; a `brief` one says of providers what the state file tells other readers."""
    pin = memory.pinned(now)
    return Snapshot(
        at=now,
        current=None if memory.current is None else str(memory.current),
        picked=None if pin is None else Picked(provider=pin.provider, model=pin.model, until=pin.until),
        hello_at=memory.said_hello_at,
        providers=picture_of(memory, config, now, brief=brief),
    )


def picture_of(memory: Memory, config: Config, now: float, *, brief: bool = False) -> tuple[ProviderStatus, ...]:
    """Give the providers: what is configured first, then what was used, then what is only connected.

    With `brief` no models and agents are counted.
    """
    known = memory.providers() | set(config.providers)
    used = memory.used_models()
    order = sorted(known, key=lambda p: (p not in config.providers, p not in used, p))
    return tuple(_provider(p, used.get(p, []), memory, config, now, brief=brief) for p in order)


def _provider(
    provider: str, used: list[str], memory: Memory, config: Config, now: float, *, brief: bool
) -> ProviderStatus:
    settings = config.providers.get(provider, _PLAIN_PROVIDER)
    models = tuple(
        _model(Target(provider, m), settings.models.get(m, _PLAIN_MODEL), memory, config, now, brief=brief)
        for m in sorted({*used, *settings.models})
    )
    readings = memory.usage.readings(provider, settings.limits, now, switch_at=config.switch_at)
    verdict = _verdict(settings.enabled, memory.health.provider_blocked(provider, config, now), readings)
    if verdict[0] == "available":
        verdict = _from_models(models)
    count, last = _errors(memory, provider, None, now)
    agents = () if brief else memory.usage.agents(provider)
    return ProviderStatus(
        id=provider,
        name=memory.fleet.name_of(provider),
        connected=memory.fleet.may_have(provider),
        documented=_documented(provider),
        documented_for=CATALOGUE[provider].documented_for if provider in CATALOGUE else "",
        state=verdict[0],
        why=verdict[1],
        until=verdict[2],
        error_count=count,
        last_failure=last,
        readings=tuple(map(_reading, readings)),
        counts=_counts(memory.usage.counts(provider, now)),
        models=models,
        agents={a: _counts(memory.usage.counts(provider, now, agent=a)) for a in agents},
    )


def _documented(provider: str) -> dict[str, int]:
    entry = CATALOGUE.get(provider)
    if entry is None or entry.documented_limits is None:
        return {}
    limits = entry.documented_limits.model_dump(exclude_defaults=True)
    return {name: value for name, value in limits.items() if isinstance(value, int)}


def _model(
    target: Target, settings: ModelSettings, memory: Memory, config: Config, now: float, *, brief: bool
) -> ModelStatus:
    readings = memory.usage.readings(
        target.provider, settings.limits, now, model=target.model, switch_at=config.switch_at
    )
    state, why, until = _verdict(settings.enabled, memory.health.blocked(target, config, now), readings)
    count, last = _errors(memory, target.provider, target.model, now)
    return ModelStatus(
        id=target.model,
        state=state,
        why=why,
        until=until,
        error_count=count,
        last_failure=last,
        readings=tuple(map(_reading, readings)),
        counts=_NOT_COUNTED if brief else _counts(memory.usage.counts(target.provider, now, model=target.model)),
        first_token_ms=memory.pace.first_token_ms(target),
    )


def _verdict(enabled: bool, block: Block | None, readings: tuple[Reading, ...]) -> _Verdict:
    if not enabled:
        return "disabled", "disabled in the configuration", None
    if block is not None:
        words = KIND_WORDS[block.kind] if block.kind is not None and block.code == "cooling" else block.why
        return _STATE_OF_BLOCK[block.code], words, block.until
    full = [r for r in readings if r.full]
    if full:
        last = max(full, key=lambda r: r.frees_at or 0)
        return "unavailable", f"limit {last.name} is used up", last.frees_at
    return "available", "", None


def _from_models(models: tuple[ModelStatus, ...]) -> _Verdict:
    """Say what the models make of a provider that nothing itself is wrong with."""
    ailing = [m for m in models if m.state != "available"]
    if not ailing:
        return "available", "", None
    first = min(ailing, key=lambda m: (m.until is None, m.until or 0))
    if len(ailing) == len(models):
        return ("disabled" if first.state == "disabled" else "unavailable"), first.why, first.until
    return "limited", first.why, first.until


def _errors(memory: Memory, provider: str, model: str | None, now: float) -> tuple[int, str]:
    errors = memory.health.errors(provider, model)
    if errors is None:
        return 0, ""
    return errors.count, f"{KIND_WORDS[errors.kind]}, {span(max(0.0, now - errors.at))} ago"


def _reading(reading: Reading) -> ReadingInfo:
    return ReadingInfo(
        name=reading.name,
        unit=reading.unit,
        limit=reading.limit,
        used=reading.used,
        full=reading.full,
        frees_at=reading.frees_at,
        learned=reading.learned,
    )


def _counts(counts: Counts) -> CountsInfo:
    return CountsInfo(
        requests_minute=counts.minute.requests,
        requests_hour=counts.hour.requests,
        requests_day=counts.day.requests,
        tokens_minute=counts.minute.tokens,
        tokens_hour=counts.hour.tokens,
        tokens_day=counts.day.tokens,
        cost_minute=counts.minute.cost,
        cost_hour=counts.hour.cost,
        cost_day=counts.day.cost,
    )
