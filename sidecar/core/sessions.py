"""What is remembered of each session: what its user chose, where it is now, and what its running turn has tried.

Bounded (the least recently used session goes first) and serialisable except for the running turn: a turn that outlives
the daemon starts its bookkeeping anew, while the cooldowns, which matter, are kept in `cooldowns/health.py`.
"""

from dataclasses import dataclass, field
from itertools import islice
from typing import Any

from sidecar.core.events import TargetRef
from sidecar.core.marks import Marks
from sidecar.core.target import Target

SESSIONS = 500
PROVIDERS = 100
"""Of one session; far more than anybody connects."""


@dataclass(slots=True)
class Turn:
    """What one user message has cost so far."""

    id: str
    failed: dict[Target, str] = field(default_factory=dict)
    fingerprints: dict[str, str] = field(default_factory=dict)
    hops: int = 0
    waits: dict[Target, int] = field(default_factory=dict)
    empties: dict[Target, int] = field(default_factory=dict)
    first_failure_at: dict[Target, float] = field(default_factory=dict)
    retry: Target | None = None
    excused: bool = False
    told: bool = False
    held_at: float | None = None
    resumes: int = 0

    def progressed(self) -> None:
        """Forget what was tried: a step was answered, and what failed before it says nothing about the next."""
        fresh = Turn(self.id)
        for name in fresh.__slots__:
            setattr(self, name, getattr(fresh, name))


@dataclass(slots=True)
class Session:
    """`wanted` is what the user chose, `current` where the session is, `redirected` what a message was rewritten to.

    `reporting` holds the providers whose attempts are reported one by one, so that messages need not be counted.
    `turns` counts its turns, `settled` says that one was opened by a message, `asked` holds the providers the cost
    guard has asked about in it. `own` says that the user picked a model in the editor since a provider was last picked
    for all sessions.
    """

    wanted: TargetRef
    current: TargetRef
    redirected: Target | None = None
    turns: int = 1
    settled: bool = False
    own: bool = False
    reporting: set[str] = field(default_factory=set)
    asked: set[str] = field(default_factory=set)
    turn: Turn = field(default_factory=lambda: Turn(""))

    def begin(self, turn: str, asked: TargetRef, *, message: bool) -> None:
        """Start a turn in which the editor asks for `asked`.

        An editor may copy the model a message was rewritten to, or to which a conversation's first turn was moved,
        into its own selection, so being asked for exactly that is not the user's choice; any other target is. An
        attempt without a message of its own (an automatic continuation) goes on with the session's current target,
        which is no choice either.
        """
        self.turn = Turn(turn)
        self.turns += 1
        ours = {self.redirected} if message else {self.redirected, self.current.target}
        if asked.target == self.wanted.target:
            self.wanted = asked
        elif asked.target not in ours:
            self.wanted = self.current = asked
            self.redirected = None
            self.own = True

    def move(self, to: TargetRef, *, message: bool) -> bool:
        """Go to another target; True when the session was not there already."""
        moved = self.current.target != to.target
        self.current = to
        if message or self.turns == 1:
            self.redirected = None if to.target == self.wanted.target else to.target
        return moved


class Sessions:
    """All sessions, the most recently used last."""

    def __init__(self) -> None:
        self._sessions: dict[str, Session] = {}
        self.marks: Marks[str] = Marks()
        """Sessions that were handed out, and so may have been changed, or dropped."""

    def find(self, session: str) -> Session | None:
        """Give a session that is known, and mark it used."""
        found = self._sessions.pop(session, None)
        if found is not None:
            self._sessions[session] = found
            self.marks.add(session)
        return found

    def at(
        self, session: str, turn: str, asked: TargetRef, *, message: bool = False, parent: str | None = None
    ) -> Session:
        """Give the session in the given turn, beginning either where it is new.

        A subagent that starts at its parent's stand-in wants what the parent wants.
        """
        found = self.find(session)
        if found is None:
            above = self._sessions.get(parent) if parent is not None else None
            wanted = above.wanted if above is not None and above.current.target == asked.target else asked
            found = self._sessions[session] = Session(wanted=wanted, current=asked, turn=Turn(turn))
            self.marks.add(session)
            while len(self._sessions) > SESSIONS:
                self.forget(next(iter(self._sessions)))
        elif found.turn.id != turn:
            found.begin(turn, asked, message=message)
        return found

    def may_be_at(self, session: str, turn: str) -> bool:
        """Whether news of a turn is of the one that runs, as far as is known."""
        found = self._sessions.get(session)
        return found is None or found.turn.id in ("", turn)

    def saw_attempt(self, session: str, provider: str) -> None:
        """Note that a session's attempts at a provider are reported, so that messages are not counted as requests."""
        found = self._sessions.get(session)
        if found is not None and len(found.reporting) < PROVIDERS:
            found.reporting.add(provider)
            self.marks.add(session)

    def latest(self, count: int) -> dict[str, Session]:
        """Give the sessions used last, the latest first."""
        return dict(islice(reversed(self._sessions.items()), count))

    def follow(self) -> None:
        """Let every session follow what is picked for all of them."""
        for session in self._sessions.values():
            session.own = False

    def forget(self, session: str) -> None:
        """Drop a session its editor deleted."""
        if self._sessions.pop(session, None) is not None:
            self.marks.add(session)

    def dump(self) -> dict[str, Any]:
        """Give the sessions that are away from what their user chose; the others need no memory."""
        return {key: saved for key, session in self._sessions.items() if (saved := _saved(session)) is not None}

    def changes(self) -> dict[str, Any] | None:
        """Give what `dump` says now of each session that was marked, None where that is nothing; None for all."""
        marked = self.marks.take()
        if marked is None:
            return None
        known = ((key, self._sessions.get(key)) for key in marked)
        return {key: None if session is None else _saved(session) for key, session in known}

    @classmethod
    def load(cls, data: object) -> "Sessions":
        """Read what `dump` gave.

        Raises:
            ValueError: not of that shape; the message names the session.
        """
        if not isinstance(data, dict):
            raise ValueError("sessions: not an object")
        made = cls()
        for key, entry in data.items():
            try:
                redirected = entry["redirected"]
                made._sessions[str(key)] = Session(
                    wanted=TargetRef.model_validate(entry["wanted"]),
                    current=TargetRef.model_validate(entry["current"]),
                    redirected=None if redirected is None else Target.parse(redirected),
                    reporting=set(map(str, entry.get("reporting", ()))),
                )
            except (KeyError, TypeError, AttributeError, ValueError) as error:
                raise ValueError(f"sessions.{key}: {error}") from None
        return made


def _saved(session: Session) -> dict[str, Any] | None:
    """Give a session that is away from what its user chose, as it is saved; None for any other."""
    if session.redirected is None and session.current.target == session.wanted.target:
        return None
    return {
        "wanted": session.wanted.model_dump(exclude_none=True),
        "current": session.current.model_dump(exclude_none=True),
        "redirected": None if session.redirected is None else str(session.redirected),
        "reporting": sorted(session.reporting),
    }
