"""The rules of a switch: what happens to one message, one attempt, one failed step.

`Mover` is made for one event and dropped after it. It reads the situation, asks `routing.py` who is next, and notes in
the session's turn what was tried; health and usage are changed by the engine, not here.
"""

from collections.abc import Callable
from dataclasses import replace
from typing import Literal

from sidecar.config.models import Config
from sidecar.core import toasts
from sidecar.core.checks import No, Situation, check, check_here, check_picked
from sidecar.core.decisions import Decision, Notice, Reason, Rejected
from sidecar.core.events import STEPS, Outcome, Route, TargetRef
from sidecar.core.failure import Failure, Kind
from sidecar.core.memory import Memory
from sidecar.core.routing import Candidate, Choice, Origin, candidates, choose, picked, reject, soonest
from sidecar.core.sessions import Session, Turn
from sidecar.core.target import Target
from sidecar.core.words import KIND_WORDS, span

# A named wait is sat out once a turn and target: a provider that names a short wait twice does not mean it.
WAITS = 1
# A turn that every target refused is held for the first to be free this often at the most, without an answer between.
RESUMES = 6
# How long to wait before looking again whether the one attempt that finds out has found out.
LOOK_S = 3.0
_WAITABLE = frozenset({Kind.RATE_LIMIT, Kind.SERVER, Kind.TIMEOUT})
_SLOW_SWITCH = frozenset({Kind.RATE_LIMIT, Kind.SERVER, Kind.MODEL_NOT_FOUND})
# Classes after which an editor tries again by itself, for as long as the provider said: hours, if it said hours.
_RETRIED = _WAITABLE | {Kind.QUOTA, Kind.NETWORK, Kind.UNKNOWN}
# Classes that may be the request's own fault: the same refusal at a second provider proves it.
_PERHAPS_OURS = frozenset({Kind.UNKNOWN, Kind.SERVER})
_RETRY_PAUSE_S = 2.0
_ROUNDING_S = 0.01
# With half of a limit left it does not matter that a few windows send at the same moment.
_AMPLE = 0.5


class Mover:
    """Decides about one event; see the methods, one for each moment."""

    def __init__(
        self,
        memory: Memory,
        event: Route | Outcome,
        config: Config,
        now: float,
        announce: Callable[[Notice], None],
        *,
        peek: bool = False,
    ) -> None:
        self._memory = memory
        self._event = event
        self._config = config
        self._now = now
        self._announce = announce
        self._target = event.target.target
        opening = isinstance(event, Route) and event.at == "message"
        self._message = opening
        self._failure: Failure | None = None
        if peek:
            self._session = Session(wanted=event.target, current=event.target, turn=Turn(event.turn))
        elif event.mobility in STEPS and (
            isinstance(event, Route) or memory.sessions.may_be_at(event.session, event.turn)
        ):
            self._session = memory.sessions.at(
                event.session, event.turn, event.target, message=opening, parent=event.parent
            )
        else:
            # A title, a compaction, or news of a turn that is over: it must not change what the session wants or does.
            beside = memory.side_turn(event.session, event.agent, event.turn)
            self._session = Session(wanted=event.target, current=event.target, turn=beside)
        self._turn = self._session.turn
        if not opening and not peek:
            memory.sessions.saw_attempt(event.session, self._target.provider)

    @property
    def _wanted(self) -> Target:
        return self._session.wanted.target

    def _situation(self) -> Situation:
        event = self._event
        return Situation(
            wanted=self._wanted,
            agent=event.agent,
            config=self._config,
            connected=self._memory.fleet.at(event.directory),
            usage=self._memory.usage,
            health=self._memory.health,
            pace=self._memory.pace,
            now=self._now,
            needs=event.needs,
            failed=self._turn.failed,
            only_wire=event.wire if event.mobility in ("reroute", "same_wire") else None,
            turns=self._memory.turns,
            spent=self._memory.guard_spent(self._now),
            permitted=self._memory.permitted_today(self._now),
            pin=None if self._session.own else self._memory.pinned(self._now),
        )

    # -- the moments ---------------------------------------------------------------------------------------------

    def message(self) -> Decision:
        """Say which target a turn opens with: the preferred one when it is free, else where the session already is."""
        if not self._config.enabled:
            return _proceed("off", "switching is off in the configuration")
        s = self._situation()
        preferred = self._preferred(s)
        self._memory.turns += 1
        self._session.settled = True
        mine = self._picked(s)
        if mine is not None:
            return self._open_with(mine, s)
        no = check(preferred, s, stand_in=preferred != self._wanted)
        if no is None or self._passing(preferred, no):
            return self._open_with(preferred, s)
        options = list(candidates(s))
        here = self._session.current.target
        staying = [c for c in options if c.target == here != preferred]
        choice = choose([*staying, *(c for c in options if c.target != here or not staying)], s)
        if choice.candidate is None:
            return self._nothing_free(no, choice)
        return self._switch(choice.candidate, choice, Reason(code=no.code, text=no.text), no.until)

    def attempt(self) -> Decision:
        """Say whether one request may be sent to the target it is meant for."""
        if not self._config.enabled:
            return _proceed("off", "switching is off in the configuration")
        s = self._situation()
        no = check_here(self._target, s)
        waited = self._turn.retry == self._target
        self._turn.retry = None if waited else self._turn.retry
        if no is None and self._event.mobility in STEPS and self._picked(s) not in (None, self._target):
            return self._go(toasts.PICKED, None, s)
        if no is None:
            self._memory.health.claim_probe(self._target, self._config, self._now)
            probe = self._memory.health.probes(self._target, self._config)
            return _proceed("free", "free to use").model_copy(update={"probe": probe})
        # Of all who sat out the same wait, one finds out whether it is over.
        if waited and no.code != "probing":
            return _proceed("retry", "the wait is over")
        if self._passing(self._target, no) and self._turn.waits.get(self._target, 0) < WAITS:
            return self._wait(max(0.0, (no.until or self._now) - self._now), Reason(code=no.code, text=no.text))
        return self._go(Reason(code=no.code, text=no.text), no.until, s)

    def failed(self, failure: Failure) -> Decision:
        """Say what happens to the step whose attempt failed: it stays, waits, or goes."""
        target = self._target
        reason = Reason(code=failure.kind.value, text=failure.why or KIND_WORDS[failure.kind])
        self._failure = failure
        if not failure.switch and not self._only_here(failure):
            return Decision(reason=reason)
        staying = self._stays(failure)
        if staying is not None:
            return staying
        pause = self._patience(failure)
        if pause is not None:
            # After a named wait the cooldown is over, unless somebody was refused anew meanwhile; patience ignores it.
            self._turn.retry = None if pause == failure.retry_after_s else target
            self._memory.wait_for(target, self._now, self._now + pause)
            return self._wait(pause, reason)
        self._turn.failed[target] = KIND_WORDS[failure.kind]
        block = self._memory.health.blocked(target, self._config, self._now)
        return self._go(reason, None if block is None else block.until, self._situation())

    def _stays(self, failure: Failure) -> Decision | None:
        if not self._config.enabled:
            return _proceed("off", "switching is off in the configuration")
        if self._content_sent:
            return _proceed("content_sent", "part of the answer had already arrived")
        if self._repeats(failure):
            return _proceed("request_at_fault", "a second provider refused it in the same way: it is the request")
        return None

    def _only_here(self, failure: Failure) -> bool:
        """Whether a stand-in alone may dislike the request: the next target is asked, once a step."""
        if failure.kind is not Kind.BAD_REQUEST or self._target == self._wanted or self._turn.excused:
            return False
        self._turn.excused = True
        return True

    def _patience(self, failure: Failure) -> float | None:
        """Give the seconds to wait before the same target is tried again; None when it is time to go."""
        named, waits = failure.retry_after_s, self._turn.waits.get(self._target, 0)
        if named is not None and named <= self._config.tolerate_wait and failure.kind in _WAITABLE and waits < WAITS:
            return named
        began = self._turn.first_failure_at.setdefault(self._target, self._now)
        left = self._config.switch_after - (self._now - began)
        if left > 0 and failure.kind in _SLOW_SWITCH:
            # A tenth of what is left at least, so that a long patience is not a long hammering.
            return min(left, max(_RETRY_PAUSE_S, left / 10, named or 0.0))
        return None

    def answered(self) -> None:
        """Note that a step was answered."""
        self._turn.progressed()

    @property
    def target(self) -> Target:
        """Give the target the event is about."""
        return self._target

    def at_ease(self, target: Target) -> bool:
        """Whether the step may be at a target that is free, was not just in trouble, and has ample room."""
        if not self._config.enabled or self._event.mobility != "handover":
            return False
        s = self._situation()
        if s.pin is not None:
            return False
        if check_here(target, s) is not None or s.health.resting(target, s.config):
            return False
        return s.usage.headroom(target, *s.limits(target), s.now) >= _AMPLE

    def may_continue(self) -> bool:
        """Whether an answer without content is tried again at the same target."""
        return self._config.enabled and self._turn.empties.get(self._target, 0) < self._config.continue_attempts

    def again(self) -> Decision:
        """Try the same target again after an answer without content."""
        self._turn.empties[self._target] = self._turn.empties.get(self._target, 0) + 1
        self._turn.retry = self._target
        return self._wait(0.0, Reason(code="empty_answer", text="the answer had no content; trying again"), note=False)

    def explain(self) -> Decision:
        """Give the decision a new turn would get, with a reason for every candidate; announces nothing."""
        if not self._config.enabled:
            return _proceed("off", "switching is off in the configuration")
        s = self._situation()
        if s.connected.known and s.wanted not in s.connected.models:
            return _proceed("not_connected", "the editor is not connected to it")
        choice = choose(candidates(s), s, every=True)
        if choice.candidate is None:
            return Decision(
                action="proceed", reason=Reason(code="nothing_free", text="no target is free"), rejected=choice.rejected
            )
        chosen = choice.candidate
        return Decision(
            action="proceed" if chosen.target == s.wanted else "switch",
            target=self._ref(chosen.target),
            reason=Reason(code=chosen.origin.value, text=f"first free candidate ({chosen.origin.value})"),
            rejected=choice.rejected,
        )

    # -- how they are carried out --------------------------------------------------------------------------------

    def _preferred(self, s: Situation) -> Target:
        """Give what a turn should open with: the user's choice; under a balancing strategy, where the session is."""
        if self._config.strategy == "priority":
            return self._wanted
        if self._session.settled:
            return self._session.current.target
        return next(c.target for c in candidates(s) if c.origin is not Origin.PICKED or c.target == self._wanted)

    def _picked(self, s: Situation) -> Target | None:
        """Give what the user picked for all sessions, when it is free."""
        mine = picked(s)
        return mine if mine is not None and check_picked(mine, s) is None else None

    def _passing(self, target: Target, no: No) -> bool:
        """Whether a reason is over so soon that the wait is tolerated.

        That is a limit with room again in a moment, or a short named wait which another session sits out already. A
        cooldown nobody named is not: its end is a guess.
        """
        if no.until is None:
            return False
        if no.code == "over_limit":
            return no.until - self._now <= self._config.tolerate_wait
        return no.until <= self._memory.waited_for.get(target, 0.0) + _ROUNDING_S

    def _open_with(self, target: Target, s: Situation) -> Decision:
        ref = self._ref(target)
        source = self._session.current.target
        moved = self._session.move(ref, message=True)
        if not moved and target == self._target:
            return _proceed("free", "free to use")
        if target == picked(s):
            reason = toasts.PICKED
        elif target == self._wanted:
            reason = Reason(code="back", text="the user's own choice is free again")
        else:
            reason = Reason(code=s.config.strategy, text=f"strategy {s.config.strategy}")
        if moved:
            self._note("switch", reason, str(source), str(target))
        back = reason.code == "back"
        toast = toasts.back(source, target) if back else toasts.switched(source, target, reason, None, s)
        return Decision(
            action="proceed" if target == self._target else "switch",
            target=ref,
            reason=reason,
            arrival=toast if moved and self._heard else None,
        )

    def _go(self, reason: Reason, until: float | None, s: Situation) -> Decision:
        """Leave the target: to the next one, or nowhere when the rules end here."""
        if self._event.mobility == "fixed":
            return _proceed("fixed", f"this request cannot be moved ({reason.text})")
        choice = choose((c for c in candidates(s) if c.target != self._target), s)
        if choice.candidate is not None and self._turn.hops >= self._config.max_hops:
            spared = No("max_hops", f"max_hops {self._config.max_hops} is reached")
            choice = Choice(None, (reject(choice.candidate.target, choice.candidate.origin, spared), *choice.rejected))
        own = check_here(self._target, s)
        mine = () if own is None else (reject(self._target, "current", own),)
        choice = replace(choice, rejected=(*mine, *choice.rejected))
        if choice.candidate is None:
            return self._nothing_free(No(reason.code, reason.text, until), choice)
        return self._switch(choice.candidate, choice, reason, until)

    def _switch(self, to: Candidate, choice: Choice, reason: Reason, until: float | None) -> Decision:
        ref = self._ref(to.target)
        moved = self._session.move(ref, message=self._message)
        if not self._message:
            self._turn.hops += 1
        elif to.target == self._target:
            return _proceed("here", f"the editor asks for where the session is already ({reason.text})")
        source = self._wanted if self._message else self._target
        if moved:
            self._note("switch", reason, str(source), str(to.target), until)
        loud = moved and self._heard and self._event.mobility in STEPS
        return Decision(
            action="switch",
            target=ref,
            until=until,
            reason=reason,
            origin=to.origin.value,
            arrival=toasts.switched(source, to.target, reason, until, self._situation()) if loud else None,
            rejected=choice.rejected,
        )

    def _nothing_free(self, no: No, choice: Choice) -> Decision:
        """Hold it, send it all the same, or end it and name the soonest: never leave the editor to wait blindly."""
        first = soonest(choice.rejected)
        if self._message:
            # Nothing can be refused or held here; the turn's first request will be.
            return self._end("proceed", Reason(code="nothing_free", text=no.text), first, choice)
        if first is not None and self._resumes(first):
            return self._resume(first, no).model_copy(update={"rejected": choice.rejected})
        when = f"; soonest is {first.target} in {span((first.until or 0) - self._now)}" if first is not None else ""
        when = self._after_this() or when
        others = "no other target is free"
        if any(r.code == "max_hops" for r in choice.rejected):
            others = f"max_hops {self._config.max_hops} is reached"
        blamed, why = self._blamed(no, choice)
        text = f"{why}; {others}{when}{self._ask(choice)}"
        last = self._last(no, first)
        reason = Reason(code="nothing_free", text=f"{blamed}: {text}")
        told, beside = self._turn.told, self._event.mobility not in STEPS
        if last == "try" or told or beside:
            return self._end("proceed" if last == "try" else last, reason, first, choice)
        self._turn.told = True
        said = Reason(code="nothing_free", text=text)
        self._note("all_limited", said, str(blamed), None, first.until if first else None)
        decision = self._end(last, reason, first, choice)
        # A refusal is shown by the editor; said twice it would be a puzzle.
        loud = last == "proceed" and self._heard
        return decision.model_copy(update={"toast": toasts.stuck(reason.text)}) if loud else decision

    def _blamed(self, no: No, choice: Choice) -> tuple[Target, str]:
        """Give the target a person must hear about, and why: their own choice, where it cannot be used either."""
        if self._target == self._wanted or no.code == "cost_guard":
            return self._target, no.text
        own = next((r.text for r in choice.rejected if r.target == str(self._wanted) and r.code != "max_hops"), None)
        why = self._turn.failed.get(self._wanted) or own
        return (self._target, no.text) if why is None else (self._wanted, why)

    @staticmethod
    def _end(action: Literal["proceed", "refuse"], reason: Reason, first: Rejected | None, choice: Choice) -> Decision:
        until = first.until if first else None
        return Decision(action=action, until=until, reason=reason, rejected=choice.rejected)

    def _last(self, no: No, first: Rejected | None) -> Literal["try", "proceed", "refuse"]:
        """Say how a request that has nowhere to go ends.

        Before it is sent: a provider may be free earlier than it said, so one request a minute, of all sessions
        together, finds out (`try`). After a failure: where the editor would wait and try again by itself, for hours if
        the provider said so, the clear word is ours; what it shows at once is delivered as it came.
        """
        if self._needless or no.code == "cost_guard":
            return "refuse"
        failure = self._failure
        if failure is not None:
            waits = failure.kind in _RETRIED or (failure.switch and self._target != self._wanted)
            return "refuse" if waits and first is not None else "proceed"
        block = self._memory.health.blocked(self._target, self._config, self._now)
        if block is None or block.code == "disabled":
            return "proceed"
        return "try" if self._memory.may_try(self._target, self._now) else "refuse"

    @property
    def _needless(self) -> bool:
        """A conversation does without a title; it does not do without its compaction."""
        return self._event.mobility == "reroute" and self._event.agent == "title"

    def _after_this(self) -> str:
        """Say where a new turn would go when only its wire format keeps this one where it is."""
        if self._event.mobility != "same_wire":
            return ""
        free = replace(self._situation(), only_wire=None)
        candidate = choose([c for c in candidates(free) if c.target != self._target], free).candidate
        return "" if candidate is None else f"; send it again, then {candidate.target} answers"

    def _resumes(self, first: Rejected) -> bool:
        """Whether the turn is worth holding until the first target is free; all its waits together have one limit."""
        since = self._now if self._turn.held_at is None else self._turn.held_at
        holds = (first.until or 0.0) - since <= self._config.resume_within and self._turn.resumes < RESUMES
        return holds and not self._needless and not self._content_sent

    def _resume(self, first: Rejected, no: No) -> Decision:
        """Hold the turn until the first target is free, then let it try everything again."""
        left = max(0.0, (first.until or self._now) - self._now)
        block = self._memory.health.blocked(Target.parse(first.target), self._config, self._now)
        looks = block is not None and block.code == "probing"
        when = "is being tried" if looks else f"is in {span(left)}"
        reason = Reason(code="resumes", text=f"{no.text}; no target is free, {first.target} {when}")
        held_at, resumes, told = self._turn.held_at, self._turn.resumes, self._turn.told
        self._turn.progressed()
        self._turn.held_at = self._now if held_at is None else held_at
        self._turn.resumes, self._turn.told = resumes + (not looks), told
        decision = self._wait(min(left, LOOK_S) if looks else left, reason)
        if held_at is not None or not self._heard or self._event.mobility not in STEPS:
            return decision
        toast = toasts.held(self._target, no.text, None if looks else left)
        return decision.model_copy(update={"toast": toast})

    @property
    def _heard(self) -> bool:
        """Whether anybody wants to be told."""
        return self._config.toasts or self._config.stderr != "never"

    @property
    def _content_sent(self) -> bool:
        return isinstance(self._event, Outcome) and self._event.content_sent

    def _ask(self, choice: Choice) -> str:
        """Give the cost guard's question: once per provider and session."""
        questions = {
            Target.parse(r.target).provider: f"; {r.target} {r.text}" for r in choice.rejected if r.code == "cost_ask"
        }
        new = {p: text for p, text in questions.items() if p not in self._session.asked}
        self._session.asked.update(new)
        return "".join(new.values())

    def _wait(self, seconds: float, reason: Reason, *, note: bool = True) -> Decision:
        if note:
            self._turn.waits[self._target] = self._turn.waits.get(self._target, 0) + 1
            self._note("wait", reason, str(self._target), None, self._now + seconds)
        return Decision(action="wait", wait_s=seconds, until=self._now + seconds, reason=reason)

    def _repeats(self, failure: Failure) -> bool:
        """Whether another provider already refused this turn's request identically (same class, status and text)."""
        if failure.kind not in _PERHAPS_OURS or not isinstance(self._event, Outcome) or not self._event.body:
            return False
        if failure.kind is Kind.SERVER and self._event.status != 500:  # noqa: PLR2004 - 502-529 are outages, not bugs
            return False
        mark = f"{self._event.status} {' '.join(self._event.body.split())[:2000]}"
        seen = self._turn.fingerprints.setdefault(mark, self._target.provider)
        return seen != self._target.provider

    def _ref(self, target: Target) -> TargetRef:
        """Give the target with the user's variant where the target knows it."""
        if target == self._wanted:
            return self._session.wanted
        model = self._memory.fleet.at(self._event.directory).models.get(target)
        variant = self._session.wanted.variant
        kept = variant if model is not None and variant in model.variants else None
        return TargetRef(provider=target.provider, model=target.model, variant=kept)

    def _note(
        self, what: str, reason: Reason, source: str | None, target: str | None, until: float | None = None
    ) -> None:
        event = self._event
        self._announce(
            Notice.model_validate(
                {
                    "event": what,
                    "at": self._now,
                    "session": event.session,
                    "agent": event.agent,
                    "directory": event.directory,
                    "source": source,
                    "target": target,
                    "reason": reason,
                    "until": until,
                }
            )
        )


def _proceed(code: str, text: str) -> Decision:
    return Decision(reason=Reason(code=code, text=text))
