"""The rules of a switch: what happens to one message, one attempt, one failed step.

Each rule decides about one `Moment`: it asks `routing.py` who is next and notes in the session's turn what was tried.
What happens when nobody is free is `stuck.py`; health and usage are changed by the engine, not here.
"""

from dataclasses import replace

from sidecar.core import toasts
from sidecar.core.checks import No, Situation, ample, check, check_here, check_picked
from sidecar.core.decisions import Decision, Reason
from sidecar.core.events import Outcome
from sidecar.core.failure import Failure, Kind
from sidecar.core.moment import Moment
from sidecar.core.routing import Candidate, Choice, Origin, candidates, choose, picked, reject
from sidecar.core.stuck import nothing_free
from sidecar.core.target import Target
from sidecar.core.words import KIND_WORDS

# A named wait is sat out once a turn and target: a provider that names a short wait twice does not mean it.
WAITS = 1
_WAITABLE = frozenset({Kind.RATE_LIMIT, Kind.SERVER, Kind.TIMEOUT})
_SLOW_SWITCH = frozenset({Kind.RATE_LIMIT, Kind.SERVER, Kind.MODEL_NOT_FOUND})
# Classes that may be the request's own fault: the same refusal at a second provider proves it.
_PERHAPS_OURS = frozenset({Kind.UNKNOWN, Kind.SERVER})
_RETRY_PAUSE_S = 2.0
_ROUNDING_S = 0.01


# -- the moments -------------------------------------------------------------------------------------------------------


def message(m: Moment) -> Decision:
    """Say which target a turn opens with: the preferred one when it is free, else where the session already is."""
    if not m.config.enabled:
        return _proceed("off", "switching is off in the configuration")
    s = m.situation()
    preferred = _preferred(m, s)
    m.memory.turns += 1
    m.session.settled = True
    mine = _picked(s)
    if mine is not None:
        return _open_with(m, mine, s)
    no = check(preferred, s, stand_in=preferred != m.wanted)
    if no is None or _passing(m, preferred, no):
        return _open_with(m, preferred, s)
    options = list(candidates(s))
    here = m.session.current.target
    staying = [c for c in options if c.target == here != preferred]
    choice = choose([*staying, *(c for c in options if c.target != here or not staying)], s)
    if choice.candidate is None:
        return nothing_free(m, no, choice)
    return _switch(m, choice.candidate, choice, Reason(code=no.code, text=no.text), no.until)


def attempt(m: Moment) -> Decision:
    """Say whether one request may be sent to the target it is meant for."""
    if not m.config.enabled:
        return _proceed("off", "switching is off in the configuration")
    s = m.situation()
    no = check_here(m.target, s)
    waited = m.turn.retry == m.target
    m.turn.retry = None if waited else m.turn.retry
    if no is None and m.in_step and _picked(s) not in (None, m.target):
        return _go(m, toasts.PICKED, None, s)
    if no is None:
        m.memory.health.claim_probe(m.target, m.config, m.now)
        probe = m.memory.health.probes(m.target, m.config)
        return _proceed("free", "free to use", probe=probe)
    # Of all who sat out the same wait, one finds out whether it is over.
    if waited and no.code != "probing":
        return _proceed("retry", "the wait is over")
    if _passing(m, m.target, no) and m.turn.waits.get(m.target, 0) < WAITS:
        return m.wait(max(0.0, (no.until or m.now) - m.now), Reason(code=no.code, text=no.text))
    return _go(m, Reason(code=no.code, text=no.text), no.until, s)


def failed(m: Moment, failure: Failure) -> Decision:
    """Say what happens to the step whose attempt failed: it stays, waits, or goes."""
    target = m.target
    reason = Reason(code=failure.kind.value, text=failure.why or KIND_WORDS[failure.kind])
    if not failure.switch and not _only_here(m, failure):
        return Decision(reason=reason)
    staying = _stays(m, failure)
    if staying is not None:
        return staying
    pause = _patience(m, failure)
    if pause is not None:
        # After a named wait the cooldown is over, unless somebody was refused anew meanwhile; patience ignores it.
        m.turn.retry = None if pause == failure.retry_after_s else target
        m.memory.wait_for(target, m.now, m.now + pause)
        return m.wait(pause, reason)
    m.turn.failed[target] = KIND_WORDS[failure.kind]
    block = m.memory.health.blocked(target, m.config, m.now)
    return _go(m, reason, None if block is None else block.until, m.situation(), failure)


def _stays(m: Moment, failure: Failure) -> Decision | None:
    if not m.config.enabled:
        return _proceed("off", "switching is off in the configuration")
    if m.content_sent:
        return _proceed("content_sent", "part of the answer had already arrived")
    if _repeats(m, failure):
        return _proceed("request_at_fault", "a second provider refused it in the same way: it is the request")
    return None


def _only_here(m: Moment, failure: Failure) -> bool:
    """Whether a stand-in alone may dislike the request: the next target is asked, once a step."""
    if failure.kind is not Kind.BAD_REQUEST or m.target == m.wanted or m.turn.excused:
        return False
    m.turn.excused = True
    return True


def _patience(m: Moment, failure: Failure) -> float | None:
    """Give the seconds to wait before the same target is tried again; None when it is time to go."""
    named, waits = failure.retry_after_s, m.turn.waits.get(m.target, 0)
    if named is not None and named <= m.config.tolerate_wait and failure.kind in _WAITABLE and waits < WAITS:
        return named
    began = m.turn.first_failure_at.setdefault(m.target, m.now)
    left = m.config.switch_after - (m.now - began)
    if left > 0 and failure.kind in _SLOW_SWITCH:
        # A tenth of what is left at least, so that a long patience is not a long hammering.
        return min(left, max(_RETRY_PAUSE_S, left / 10, named or 0.0))
    return None


def at_ease(m: Moment, target: Target) -> bool:
    """Whether the step may be at a target that is free, was not just in trouble, and has ample room."""
    if not m.config.enabled or m.event.mobility != "handover":
        return False
    s = m.situation()
    if s.pin is not None:
        return False
    if check_here(target, s) is not None or s.health.resting(target, s.config):
        return False
    return ample(target, s.usage, s.config, s.now)


def at_home(m: Moment) -> bool:
    """Whether the session's next turn opens where this one was answered, and the user wants it, whenever that is."""
    if m.memory.sessions.find(m.event.session) is not m.session or not m.session.settled:
        return False
    here = m.session.current.target == m.wanted == m.target
    return here and m.session.redirected is None and at_ease(m, m.target)


def opened(m: Moment) -> Decision:
    """Take note of a turn that was opened with leave."""
    m.memory.turns += 1
    m.session.settled = True
    m.session.move(m.ref(m.target), message=True)
    return sent()


def sent() -> Decision:
    """Take note of what was done without a question."""
    return _proceed("passed", "sent with an earlier answer's leave")


def may_continue(m: Moment) -> bool:
    """Whether an answer without content is tried again at the same target."""
    return m.config.enabled and m.turn.empties.get(m.target, 0) < m.config.continue_attempts


def again(m: Moment) -> Decision:
    """Try the same target again after an answer without content."""
    m.turn.empties[m.target] = m.turn.empties.get(m.target, 0) + 1
    m.turn.retry = m.target
    reason = Reason(code="empty_answer", text="the answer had no content; trying again")
    return Decision(action="wait", wait_s=0.0, until=m.now, reason=reason)


def explain(m: Moment) -> Decision:
    """Give the decision a new turn would get, with a reason for every candidate; announces nothing."""
    if not m.config.enabled:
        return _proceed("off", "switching is off in the configuration")
    s = m.situation()
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
        target=m.ref(chosen.target),
        reason=Reason(code=chosen.origin.value, text=f"first free candidate ({chosen.origin.value})"),
        rejected=choice.rejected,
    )


# -- how they are carried out ------------------------------------------------------------------------------------------


def _preferred(m: Moment, s: Situation) -> Target:
    """Give what a turn should open with: the user's choice; under a balancing strategy, where the session is."""
    if m.config.strategy == "priority":
        return m.wanted
    if m.session.settled:
        return m.session.current.target
    return next(c.target for c in candidates(s) if c.origin is not Origin.PICKED or c.target == m.wanted)


def _picked(s: Situation) -> Target | None:
    """Give what the user picked for all sessions, when it is free."""
    mine = picked(s)
    return mine if mine is not None and check_picked(mine, s) is None else None


def _passing(m: Moment, target: Target, no: No) -> bool:
    """Whether a reason is over so soon that the wait is tolerated.

    That is a limit with room again in a moment, or a short named wait which another session sits out already. A
    cooldown nobody named is not: its end is a guess.
    """
    if no.until is None:
        return False
    if no.code == "over_limit":
        return no.until - m.now <= m.config.tolerate_wait
    return no.until <= m.memory.waited_for.get(target, 0.0) + _ROUNDING_S


def _open_with(m: Moment, target: Target, s: Situation) -> Decision:
    ref = m.ref(target)
    source = m.session.current.target
    moved = m.session.move(ref, message=True)
    if not moved and target == m.target:
        return _proceed("free", "free to use")
    if target == picked(s):
        reason = toasts.PICKED
    elif target == m.wanted:
        reason = Reason(code="back", text="the user's own choice is free again")
    else:
        reason = Reason(code=s.config.strategy, text=f"strategy {s.config.strategy}")
    if moved:
        m.note("switch", reason, source, to=target)
    back = reason.code == "back"
    toast = toasts.back(source, target) if back else toasts.switched(source, target, reason, None, s)
    return Decision(
        action="proceed" if target == m.target else "switch",
        target=ref,
        reason=reason,
        arrival=toast if moved and m.heard else None,
    )


def _go(m: Moment, reason: Reason, until: float | None, s: Situation, failure: Failure | None = None) -> Decision:
    """Leave the target: to the next one, or nowhere when the rules end here."""
    if m.event.mobility == "fixed":
        return _proceed("fixed", f"this request cannot be moved ({reason.text})")
    choice = choose((c for c in candidates(s) if c.target != m.target), s)
    if choice.candidate is not None and m.turn.hops >= m.config.max_hops:
        spared = No("max_hops", f"max_hops {m.config.max_hops} is reached")
        choice = Choice(None, (reject(choice.candidate.target, choice.candidate.origin, spared), *choice.rejected))
    own = check_here(m.target, s)
    mine = () if own is None else (reject(m.target, "current", own),)
    choice = replace(choice, rejected=(*mine, *choice.rejected))
    if choice.candidate is None:
        return nothing_free(m, No(reason.code, reason.text, until), choice, failure)
    return _switch(m, choice.candidate, choice, reason, until)


def _switch(m: Moment, to: Candidate, choice: Choice, reason: Reason, until: float | None) -> Decision:
    ref = m.ref(to.target)
    moved = m.session.move(ref, message=m.opens)
    if not m.opens:
        m.turn.hops += 1
    elif to.target == m.target:
        return _proceed("here", f"the editor asks for where the session is already ({reason.text})")
    source = m.wanted if m.opens else m.target
    if moved:
        m.note("switch", reason, source, to=to.target, until=until)
    loud = moved and m.heard and m.in_step
    return Decision(
        action="switch",
        target=ref,
        until=until,
        reason=reason,
        origin=to.origin.value,
        arrival=toasts.switched(source, to.target, reason, until, m.situation()) if loud else None,
        rejected=choice.rejected,
    )


def _repeats(m: Moment, failure: Failure) -> bool:
    """Whether another provider already refused this turn's request identically (same class, status and text)."""
    if failure.kind not in _PERHAPS_OURS or not isinstance(m.event, Outcome) or not m.event.body:
        return False
    if failure.kind is Kind.SERVER and m.event.status != 500:  # noqa: PLR2004 - 502-529 are outages, not bugs
        return False
    mark = f"{m.event.status} {' '.join(m.event.body.split())[:2000]}"
    seen = m.turn.fingerprints.setdefault(mark, m.target.provider)
    return seen != m.target.provider


def _proceed(code: str, text: str, *, probe: bool = False) -> Decision:
    return Decision(reason=Reason(code=code, text=text), probe=probe)
