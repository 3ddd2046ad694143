"""The short picture an editor keeps on the screen: where sessions are, what is used up and what is cooling down.

Only data and its making from the full snapshot; holds no number the snapshot does not hold. It changes only when
something happens or a window moves, never because time passes, so that it is pushed seldom: ages are left out, moments
are epoch seconds to be counted down by whoever shows them.
"""

from collections.abc import Mapping

from sidecar.core.decisions import Answer
from sidecar.core.sessions import Session
from sidecar.core.snapshot import ModelStatus, Picked, ProviderStatus, ReadingInfo, Snapshot, State


class Where(Answer):
    """What the user chose in a session, and where it is now."""

    wanted: str
    current: str


class ModelGlance(Answer):
    """A model that cannot be used now or has limits of its own."""

    id: str
    state: State
    why: str
    until: float | None
    readings: tuple[ReadingInfo, ...]


class ProviderGlance(Answer):
    """One provider; requests, tokens and cost (US dollars) are those of the last day."""

    id: str
    name: str
    state: State
    why: str
    until: float | None
    readings: tuple[ReadingInfo, ...]
    requests: int
    tokens: int
    cost: float
    errors: int
    models: tuple[ModelGlance, ...]


class Glance(Answer):
    """What `GET /v1/stream?status=1` pushes as `status`; `sessions` are those used last."""

    at: float
    current: str | None
    picked: Picked | None
    sessions: dict[str, Where]
    providers: tuple[ProviderGlance, ...]


def glance(snapshot: Snapshot, sessions: Mapping[str, Session]) -> Glance:
    """Shorten a snapshot; what is only connected and was never used keeps nothing but its state."""
    return Glance(
        at=snapshot.at,
        current=snapshot.current,
        picked=snapshot.picked,
        sessions={
            key: Where(wanted=str(s.wanted.target), current=str(s.current.target)) for key, s in sessions.items()
        },
        providers=tuple(map(_provider, snapshot.providers)),
    )


def _provider(provider: ProviderStatus) -> ProviderGlance:
    counts = provider.counts
    return ProviderGlance(
        id=provider.id,
        name=provider.name,
        state=provider.state,
        why=provider.why,
        until=provider.until,
        readings=provider.readings,
        requests=counts.requests_day,
        tokens=counts.tokens_day,
        cost=counts.cost_day,
        errors=provider.error_count,
        models=tuple(_model(m) for m in provider.models if m.state != "available" or m.readings),
    )


def _model(model: ModelStatus) -> ModelGlance:
    return ModelGlance(id=model.id, state=model.state, why=model.why, until=model.until, readings=model.readings)
