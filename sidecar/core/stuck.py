"""What happens when no target is free: hold the turn, try all the same once a minute, or end it and name the soonest.

Never is the editor left to wait blindly for as long as a provider said. Only that end of a decision is here: what
could be used instead was looked for before, in `switching.py`.
"""

from dataclasses import replace
from typing import Literal

from sidecar.core import toasts
from sidecar.core.checks import No
from sidecar.core.decisions import Decision, Reason, Rejected
from sidecar.core.failure import Failure, Kind
from sidecar.core.moment import Moment
from sidecar.core.routing import Choice, candidates, choose, soonest
from sidecar.core.target import Target
from sidecar.core.words import span

# A turn that every target refused is held for the first to be free this often at the most, without an answer between.
RESUMES = 6
# How long to wait before looking again whether the one attempt that finds out has found out.
LOOK_S = 3.0
# Classes after which an editor tries again by itself, for as long as the provider said: hours, if it said hours.
_RETRIED = frozenset({Kind.RATE_LIMIT, Kind.SERVER, Kind.TIMEOUT, Kind.QUOTA, Kind.NETWORK, Kind.UNKNOWN})


def nothing_free(m: Moment, no: No, choice: Choice, failure: Failure | None = None) -> Decision:
    """Hold it, send it all the same, or end it and name the soonest.

    `no` is why the target cannot be used, `choice` why every other one cannot, `failure` how the attempt ended, where
    there was one.
    """
    first = soonest(choice.rejected)
    if m.opens:
        # Nothing can be refused or held here; the turn's first request will be.
        return _end("proceed", Reason(code="nothing_free", text=no.text), first, choice)
    if first is not None and _is_held(m, first):
        return _hold(m, first, no).model_copy(update={"rejected": choice.rejected})
    when = f"; soonest is {first.target} in {span((first.until or 0) - m.now)}" if first is not None else ""
    when = _after_this(m) or when
    others = "no other target is free"
    if any(r.code == "max_hops" for r in choice.rejected):
        others = f"max_hops {m.config.max_hops} is reached"
    blamed, why = _blamed(m, no, choice)
    text = f"{why}; {others}{when}{_ask(m, choice)}"
    last = _last(m, no, first, failure)
    reason = Reason(code="nothing_free", text=f"{blamed}: {text}")
    if last == "try" or m.turn.told or not m.in_step:
        return _end("proceed" if last == "try" else last, reason, first, choice)
    m.turn.told = True
    said = Reason(code="nothing_free", text=text)
    m.note("all_limited", said, blamed, until=first.until if first else None)
    decision = _end(last, reason, first, choice)
    # A refusal is shown by the editor; said twice it would be a puzzle.
    loud = last == "proceed" and m.heard
    return decision.model_copy(update={"toast": toasts.stuck(reason.text)}) if loud else decision


# -- holding a turn ----------------------------------------------------------------------------------------------------


def _is_held(m: Moment, first: Rejected) -> bool:
    """Whether the turn is worth holding until the first target is free; all its waits together have one limit."""
    since = m.now if m.turn.held_at is None else m.turn.held_at
    holds = (first.until or 0.0) - since <= m.config.resume_within and m.turn.resumes < RESUMES
    return holds and not _needless(m) and not m.content_sent


def _hold(m: Moment, first: Rejected, no: No) -> Decision:
    """Hold the turn until the first target is free, then let it try everything again."""
    left = max(0.0, (first.until or m.now) - m.now)
    block = m.memory.health.blocked(Target.parse(first.target), m.config, m.now)
    looks = block is not None and block.code == "probing"
    when = "is being tried" if looks else f"is in {span(left)}"
    reason = Reason(code="resumes", text=f"{no.text}; no target is free, {first.target} {when}")
    held_at, resumes, told = m.turn.held_at, m.turn.resumes, m.turn.told
    m.turn.progressed()
    m.turn.held_at = m.now if held_at is None else held_at
    m.turn.resumes, m.turn.told = resumes + (not looks), told
    decision = m.wait(min(left, LOOK_S) if looks else left, reason)
    if held_at is not None or not m.heard or not m.in_step:
        return decision
    toast = toasts.held(m.target, no.text, None if looks else left)
    return decision.model_copy(update={"toast": toast})


def _needless(m: Moment) -> bool:
    """A conversation does without a title; it does not do without its compaction."""
    return m.event.mobility == "reroute" and m.event.agent == "title"


# -- ending it ---------------------------------------------------------------------------------------------------------


def _last(m: Moment, no: No, first: Rejected | None, failure: Failure | None) -> Literal["try", "proceed", "refuse"]:
    """Say how a request that has nowhere to go ends.

    Before it is sent: a provider may be free earlier than it said, so one request a minute, of all sessions together,
    finds out (`try`). After a failure: where the editor would wait and try again by itself, for hours if the provider
    said so, the clear word is ours; what it shows at once is delivered as it came.
    """
    if _needless(m) or no.code == "cost_guard":
        return "refuse"
    if failure is not None:
        waits = failure.kind in _RETRIED or (failure.switch and m.target != m.wanted)
        return "refuse" if waits and first is not None else "proceed"
    block = m.memory.health.blocked(m.target, m.config, m.now)
    if block is None or block.code == "disabled":
        return "proceed"
    return "try" if m.memory.may_try(m.target, m.now) else "refuse"


def _end(action: Literal["proceed", "refuse"], reason: Reason, first: Rejected | None, choice: Choice) -> Decision:
    until = first.until if first else None
    return Decision(action=action, until=until, reason=reason, rejected=choice.rejected)


# -- what a person is told of it ---------------------------------------------------------------------------------------


def _blamed(m: Moment, no: No, choice: Choice) -> tuple[Target, str]:
    """Give the target a person must hear about, and why: their own choice, where it cannot be used either."""
    if m.target == m.wanted or no.code == "cost_guard":
        return m.target, no.text
    own = next((r.text for r in choice.rejected if r.target == str(m.wanted) and r.code != "max_hops"), None)
    why = m.turn.failed.get(m.wanted) or own
    return (m.target, no.text) if why is None else (m.wanted, why)


def _after_this(m: Moment) -> str:
    """Say where a new turn would go when only its wire format keeps this one where it is."""
    if m.event.mobility != "same_wire":
        return ""
    free = replace(m.situation(), only_wire=None)
    candidate = choose([c for c in candidates(free) if c.target != m.target], free).candidate
    return "" if candidate is None else f"; send it again, then {candidate.target} answers"


def _ask(m: Moment, choice: Choice) -> str:
    """Give the cost guard's question: once per provider and session."""
    questions = {
        Target.parse(r.target).provider: f"; {r.target} {r.text}" for r in choice.rejected if r.code == "cost_ask"
    }
    new = {p: text for p, text in questions.items() if p not in m.session.asked}
    m.session.asked.update(new)
    return "".join(new.values())
