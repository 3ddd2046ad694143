"""A small world for engine tests: an engine, a clock set by hand, and two or three connected providers."""

from collections.abc import Sequence
from itertools import count
from typing import Any, Literal, TypeVar

from sidecar.config.models import Config
from sidecar.core.decisions import Decision, Notice
from sidecar.core.engine import Engine
from sidecar.core.events import (
    EditorEvent,
    EditorEvents,
    Hello,
    Mobility,
    ModelInfo,
    Needs,
    Outcome,
    ProviderInfo,
    Route,
    TargetRef,
    Wire,
)
from sidecar.core.records import Record
from sidecar.core.target import Target

D = TypeVar("D")
START = 1_800_000_000.0
RATE_LIMITED: dict[str, Any] = {"status": 429, "body": '{"error":{"message":"Rate limit reached"}}'}


def ref(text: str, variant: str | None = None) -> TargetRef:
    target = Target.parse(text)
    return TargetRef(provider=target.provider, model=target.model, variant=variant)


def model(id_: str, **facts: Any) -> ModelInfo:
    return ModelInfo.model_validate({"id": id_, "wire": "openai-chat", **facts})


def provider(id_: str, *models: str | ModelInfo, **facts: Any) -> ProviderInfo:
    return ProviderInfo(id=id_, models=[model(m) if isinstance(m, str) else m for m in models], **facts)


class World:
    """Drives one engine as an editor would."""

    def __init__(self, *providers: ProviderInfo, config: dict[str, Any] | None = None) -> None:
        self.now = START
        self.engine = Engine(Config.model_validate(config or {}), version="test")
        self.said: list[Notice] = []
        self.wrote: list[Record] = []
        self._ids = count(1)
        if providers:
            self.hello(*providers)

    def hello(self, *providers: ProviderInfo) -> tuple[str, ...]:
        return self.engine.hello(Hello(providers=list(providers)), self.now).warnings

    def later(self, seconds: float) -> None:
        self.now += seconds

    def message(self, target: str, *, session: str = "s", agent: str = "build", turn: str | None = None) -> Decision:
        self.turn = turn or f"turn{next(self._ids)}"
        event = Route(session=session, agent=agent, turn=self.turn, target=ref(target), at="message")
        return self._drained(self.engine.route(event, self.now))

    def attempt(
        self,
        target: str,
        *,
        session: str = "s",
        agent: str = "build",
        mobility: Mobility = "handover",
        wire: Wire = "openai-chat",
        needs: Needs | None = None,
    ) -> Decision:
        self.last = f"a{next(self._ids)}"
        event = Route(
            session=session,
            agent=agent,
            turn=self.turn,
            target=ref(target),
            attempt=self.last,
            mobility=mobility,
            wire=wire,
            needs=needs or Needs(),
        )
        return self._drained(self.engine.route(event, self.now))

    def outcome(
        self,
        target: str,
        ended: Literal["began", "ok", "empty", "failed", "aborted"],
        *,
        session: str = "s",
        agent: str = "build",
        attempt: str | None = None,
        mobility: Mobility = "handover",
        **facts: Any,
    ) -> Decision:
        event = Outcome(
            session=session,
            agent=agent,
            turn=self.turn,
            target=ref(target),
            attempt=attempt or self.last,
            ended=ended,
            mobility=mobility,
            wire="openai-chat",
            **facts,
        )
        return self._drained(self.engine.outcome(event, self.now))

    def refused(self, target: str, **facts: Any) -> Decision:
        """Send one attempt that is refused, with a plain 429 unless said otherwise."""
        session = facts.pop("session", "s")
        agent = facts.pop("agent", "build")
        mobility = facts.pop("mobility", "handover")
        self.attempt(target, session=session, agent=agent, mobility=mobility)
        given = facts or RATE_LIMITED
        return self.outcome(target, "failed", session=session, agent=agent, mobility=mobility, **given)

    def answered(self, target: str, *, session: str = "s", **facts: Any) -> Decision:
        self.attempt(target, session=session)
        return self.outcome(target, "ok", session=session, status=200, **facts)

    def events(self, *events: tuple[str, dict[str, Any]]) -> None:
        batch = EditorEvents(events=[EditorEvent(type=t, properties=p) for t, p in events])
        self.engine.events(batch, self.now)
        self._drained(None)

    def restart(self) -> None:
        """Save, start a new engine, load: what a restart of the daemon does."""
        self.restart_from(self.engine.dump(self.now))

    def restart_from(self, saved: dict[str, Any]) -> None:
        """Start a new engine on what was saved."""
        self.engine = Engine(self.engine.config(""), version="test")
        self.engine.load(saved, self.now)

    def heard(self, what: str) -> list[Notice]:
        return [n for n in self.said if n.event == what]

    def _drained(self, decision: D) -> D:
        self.said += self.engine.drain()
        self.wrote += self.engine.drain_records()
        return decision


def targets(decisions: Sequence[Decision]) -> list[str | None]:
    return [None if d.target is None else str(d.target.target) for d in decisions]


def to(decision: Decision) -> str:
    """Give the target a decision switches to; fails the test when it does not switch."""
    assert decision.action == "switch", decision
    assert decision.target is not None
    return str(decision.target.target)
