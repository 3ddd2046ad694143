"""One event where it happens: its session, what is remembered and configured, and the clock.

`Moment` is made for one event and dropped after it; the rules in `switching.py` and `stuck.py` are told everything by
it. It finds and looks; nothing here decides. What changes by a rule changes in the session, its turn, or the memory it
points to.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from sidecar.config.models import Config
from sidecar.core.checks import Situation
from sidecar.core.decisions import Decision, Notice, Reason
from sidecar.core.events import STEPS, Outcome, Route, TargetRef
from sidecar.core.memory import Memory
from sidecar.core.sessions import Session, Turn
from sidecar.core.target import Target


@dataclass(frozen=True, slots=True)
class Moment:
    """An event, the session it is of, and what there is to decide by; `now` is epoch seconds."""

    memory: Memory
    event: Route | Outcome
    config: Config
    now: float
    session: Session
    announce: Callable[[Notice], None]

    @classmethod
    def of(
        cls,
        memory: Memory,
        event: Route | Outcome,
        config: Config,
        now: float,
        announce: Callable[[Notice], None],
    ) -> "Moment":
        """Find or begin the session and turn of an event, and note that its session reports its attempts."""
        opening = isinstance(event, Route) and event.at == "message"
        if event.mobility in STEPS and (
            isinstance(event, Route) or memory.sessions.may_be_at(event.session, event.turn)
        ):
            session = memory.sessions.at(event.session, event.turn, event.target, message=opening, parent=event.parent)
        else:
            # A title, a compaction, or news of a turn that is over: it must not change what the session wants or does.
            beside = memory.side_turn(event.session, event.agent, event.turn)
            session = Session(wanted=event.target, current=event.target, turn=beside)
        if not opening:
            memory.sessions.saw_attempt(event.session, event.target.provider)
        return cls(memory, event, config, now, session, announce)

    @classmethod
    def imagined(
        cls, memory: Memory, event: Route, config: Config, now: float, announce: Callable[[Notice], None]
    ) -> "Moment":
        """Give the moment of an event that only might happen: in a session nobody remembers, so nothing changes."""
        session = Session(wanted=event.target, current=event.target, turn=Turn(event.turn))
        return cls(memory, event, config, now, session, announce)

    @property
    def target(self) -> Target:
        """Give the target the event is about."""
        return self.event.target.target

    @property
    def wanted(self) -> Target:
        """Give the target the user chose."""
        return self.session.wanted.target

    @property
    def turn(self) -> Turn:
        """Give what the running turn has tried."""
        return self.session.turn

    @property
    def opens(self) -> bool:
        """Whether a turn is opened: by a message, not by an attempt."""
        return isinstance(self.event, Route) and self.event.at == "message"

    @property
    def in_step(self) -> bool:
        """Whether it is about a step of the conversation, not about a title or the like."""
        return self.event.mobility in STEPS

    @property
    def heard(self) -> bool:
        """Whether anybody wants to be told."""
        return self.config.toasts or self.config.stderr != "never"

    @property
    def content_sent(self) -> bool:
        """Whether part of the answer has already arrived."""
        return isinstance(self.event, Outcome) and self.event.content_sent

    def situation(self) -> Situation:
        """Give what the checks look at."""
        event, memory = self.event, self.memory
        return Situation(
            wanted=self.wanted,
            agent=event.agent,
            config=self.config,
            connected=memory.fleet.at(event.directory),
            usage=memory.usage,
            health=memory.health,
            pace=memory.pace,
            now=self.now,
            needs=event.needs,
            failed=self.turn.failed,
            only_wire=event.wire if event.mobility in ("reroute", "same_wire") else None,
            turns=memory.turns,
            spent=memory.guard_spent(self.now),
            permitted=memory.permitted_today(self.now),
            pin=None if self.session.own else memory.pinned(self.now),
        )

    def ref(self, target: Target) -> TargetRef:
        """Give the target with the user's variant where the target knows it."""
        if target == self.wanted:
            return self.session.wanted
        model = self.memory.fleet.at(self.event.directory).models.get(target)
        variant = self.session.wanted.variant
        kept = variant if model is not None and variant in model.variants else None
        return TargetRef(provider=target.provider, model=target.model, variant=kept)

    def wait(self, seconds: float, reason: Reason) -> Decision:
        """Give the answer to wait and ask again; counted against the target's waits in this turn, and announced."""
        self.turn.waits[self.target] = self.turn.waits.get(self.target, 0) + 1
        self.note("wait", reason, self.target, until=self.now + seconds)
        return Decision(action="wait", wait_s=seconds, until=self.now + seconds, reason=reason)

    def note(
        self,
        what: Literal["switch", "wait", "all_limited"],
        reason: Reason,
        source: Target,
        *,
        to: Target | None = None,
        until: float | None = None,
    ) -> None:
        """Announce what was decided."""
        event = self.event
        self.announce(
            Notice(
                event=what,
                at=self.now,
                session=event.session,
                agent=event.agent,
                directory=event.directory,
                source=str(source),
                target=None if to is None else str(to),
                reason=reason,
                until=until,
            )
        )
