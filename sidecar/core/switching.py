"""The rules of a switch: what happens to one message, one attempt, one failed step.

`Mover` is made for one event and dropped after it. It reads the situation, asks `routing.py` who is next, and notes in
the session's turn what was tried; health and usage are changed by the engine, not here.
"""

from collections.abc import Callable
from dataclasses import replace

from sidecar.config.models import Config
from sidecar.core.checks import No, Situation, check, check_here, metered
from sidecar.core.decisions import Decision, Notice, Reason, Rejected, Toast
from sidecar.core.events import Outcome, Route, TargetRef
from sidecar.core.failure import Failure, Kind
from sidecar.core.memory import Memory
from sidecar.core.routing import Candidate, Choice, blended, candidates, choose, reject, soonest
from sidecar.core.sessions import Session, Turn
from sidecar.core.target import Target
from sidecar.core.words import KIND_WORDS, price, span

# A named wait is sat out once a turn and target: a provider that names a short wait twice does not mean it.
WAITS = 1
# A turn that every target refused is held for the first to be free this often at the most, without an answer between.
RESUMES = 3
_WAITABLE = frozenset({Kind.RATE_LIMIT, Kind.SERVER, Kind.TIMEOUT})
_SLOW_SWITCH = frozenset({Kind.RATE_LIMIT, Kind.SERVER, Kind.MODEL_NOT_FOUND})
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
        if peek:
            self._session = Session(wanted=event.target, current=event.target, turn=Turn(event.turn))
        elif event.mobility == "handover" and (
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
            only_wire=event.wire if event.mobility == "reroute" else None,
            turns=self._memory.turns,
            spent=self._memory.guard_spent(self._now),
            permitted=self._memory.permitted_today(self._now),
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
        if self._turn.retry == self._target:
            self._turn.retry = None
            return _proceed("retry", "the wait is over")
        s = self._situation()
        no = check_here(self._target, s)
        if no is None:
            self._memory.health.claim_probe(self._target, self._config, self._now)
            return _proceed("free", "free to use")
        if self._passing(self._target, no) and self._turn.waits.get(self._target, 0) < WAITS:
            return self._wait(max(0.0, (no.until or self._now) - self._now), Reason(code=no.code, text=no.text))
        return self._go(Reason(code=no.code, text=no.text), no.until, s)

    def failed(self, failure: Failure) -> Decision:
        """Say what happens to the step whose attempt failed: it stays, waits, or goes."""
        target = self._target
        reason = Reason(code=failure.kind.value, text=failure.why or KIND_WORDS[failure.kind])
        if not failure.switch:
            return Decision(reason=reason)
        staying = self._stays(failure)
        if staying is not None:
            return staying
        pause = self._patience(failure)
        if pause is not None:
            self._turn.retry = target
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
        return self._session.current.target if self._session.settled else next(candidates(s)).target

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
        moved = self._session.move(ref, message=True)
        if target == self._target:
            return _proceed("free", "free to use")
        back = target == self._wanted
        reason = Reason(
            code="back" if back else s.config.strategy,
            text="the user's own choice is free again" if back else f"strategy {s.config.strategy}",
        )
        if moved:
            self._note("switch", reason, str(self._target), str(target))
        toast = Toast(title=f"Back on {target}", message="It is free again.", variant="success") if moved else None
        return Decision(action="switch", target=ref, reason=reason, arrival=toast if self._config.toasts else None)

    def _go(self, reason: Reason, until: float | None, s: Situation) -> Decision:
        """Leave the target: to the next one, or nowhere when the rules end here."""
        if self._event.mobility == "fixed":
            return _proceed("fixed", f"this request cannot be moved ({reason.text})")
        if self._turn.hops >= self._config.max_hops:
            return _proceed("max_hops", f"moved {self._turn.hops} times in this turn already ({reason.text})")
        choice = choose((c for c in candidates(s) if c.target != self._target), s)
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
        loud = moved and self._config.toasts and self._event.mobility == "handover"
        return Decision(
            action="switch",
            target=ref,
            until=until,
            reason=reason,
            arrival=self._arrival(source, to.target, reason, until) if loud else None,
            rejected=choice.rejected,
        )

    def _nothing_free(self, no: No, choice: Choice) -> Decision:
        """Send it all the same: a provider may be free earlier than it said, and only the user can decide to wait."""
        first = soonest(choice.rejected)
        if first is not None and self._resumes(first):
            return self._resume(first, no)
        when = f"; soonest is {first.target} in {span((first.until or 0) - self._now)}" if first is not None else ""
        ask = self._ask(choice)
        reason = Reason(code="nothing_free", text=f"{no.text}; no other target is free{when}{ask}")
        toast = None
        if not self._turn.told and self._event.mobility == "handover":
            self._turn.told = True
            self._note("all_limited", reason, str(self._target), None, first.until if first else None)
            if self._config.toasts:
                message = f"{self._target}: {no.text}{when}{ask}."
                toast = Toast(title="No target is free", message=message, variant="error", duration_ms=12_000)
        # A conversation does without a title; it does not do without its compaction.
        needless = self._event.mobility == "reroute" and self._event.agent == "title"
        return Decision(
            action="refuse" if needless else "proceed",
            until=first.until if first else None,
            reason=reason,
            toast=toast,
            rejected=choice.rejected,
        )

    def _resumes(self, first: Rejected) -> bool:
        """Whether the turn is worth holding until the first target is free."""
        left = (first.until or 0.0) - self._now
        moves = not self._message and self._event.mobility == "handover" and not self._content_sent
        return moves and left <= self._config.resume_within and self._turn.resumes < RESUMES

    def _resume(self, first: Rejected, no: No) -> Decision:
        """Hold the turn until the first target is free, then let it try everything again."""
        until = first.until or self._now
        reason = Reason(
            code="resumes", text=f"{no.text}; no target is free, {first.target} is in {span(until - self._now)}"
        )
        resumes, told = self._turn.resumes + 1, self._turn.told
        self._turn.progressed()
        self._turn.resumes, self._turn.told = resumes, True
        decision = self._wait(max(0.0, until - self._now), reason)
        if told or not self._config.toasts:
            return decision
        message = f"{self._target}: {no.text}. The turn goes on by itself in {span(until - self._now)}."
        return decision.model_copy(
            update={"toast": Toast(title="No target is free", message=message, variant="warning")}
        )

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

    def _arrival(self, source: Target, to: Target, reason: Reason, until: float | None) -> Toast:
        """Say the switch to a person: from, to, why, until when, and the price when that is new."""
        why = KIND_WORDS[Kind(reason.code)] if reason.code in set(Kind) else reason.text
        when = "tried" if reason.code in (Kind.AUTH, Kind.BILLING) else "free"
        rest = f", {when} again in {span(until - self._now)}" if until is not None and until > self._now else ""
        cost = self._price(source, to)
        return Toast(title=f"Switched to {to}", message=f"{source}: {why}{rest}.{cost}", variant="warning")

    def _price(self, source: Target, to: Target) -> str:
        """Say what the new target costs where that is more than what the old one does."""
        connected = self._memory.fleet.at(self._event.directory)
        new, old = connected.models.get(to), connected.models.get(source)
        if new is None or not metered(to, self._config, connected):
            return ""
        if old is None or not metered(source, self._config, connected):
            return f" {to.provider} costs {price(new.cost_input, new.cost_output)}."
        if blended(new) <= blended(old):
            return ""
        return (
            f" It costs {price(new.cost_input, new.cost_output)} instead of ${old.cost_input:g}/${old.cost_output:g}."
        )

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
