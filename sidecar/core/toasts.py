"""What a person at an editor is told: the words of a switch, a return, a turn that is held, a turn nobody can answer.

Pure wording, no rules: when something is said is `switching.py` and `stuck.py`. Each toast also has a one-line form
for terminals and logs, and a key by which a window recognises the same news of another session.
"""

from sidecar.core.checks import Situation, metered
from sidecar.core.decisions import Reason, Toast
from sidecar.core.failure import Kind
from sidecar.core.routing import blended
from sidecar.core.target import Target
from sidecar.core.words import KIND_WORDS, price, span

PICKED = Reason(code="picked", text="picked by hand")
_KINDS = frozenset(kind.value for kind in Kind)
# Classes that are over when somebody has mended them, not when their time is.
_MENDED = frozenset({Kind.AUTH.value, Kind.BILLING.value})


def switched(source: Target, to: Target, reason: Reason, until: float | None, s: Situation) -> Toast:
    """Say a switch: from, to, why, until when (epoch seconds), and the price when that is new."""
    if reason == PICKED:
        return by_hand(source, to, s)
    why = KIND_WORDS[Kind(reason.code)] if reason.code in _KINDS else reason.text
    when = "tried" if reason.code in _MENDED else "free"
    rest = f", {when} again in {span(until - s.now)}" if until is not None and until > s.now else ""
    cost = _cost(source, to, s)
    if s.only_wire is not None:
        # Only the editor itself could write down who really answered.
        cost += f" OpenCode's own record names {source} all the same."
    return Toast(
        title=f"Switched to {to}",
        message=f"{source}: {why}{rest}.{cost}",
        variant="warning",
        key=f"switch {source} {to}",
        line=f"{source} -> {to}: {why}{rest}.{cost}",
    )


def by_hand(source: Target, to: Target, s: Situation) -> Toast:
    """Say that a session is where a person sent all of them."""
    cost = _cost(source, to, s)
    return Toast(
        title=f"Now on {to}",
        message=f"Picked by hand.{cost}",
        key=f"switch {source} {to}",
        line=f"{source} -> {to}: picked by hand.{cost}",
    )


def back(source: Target, to: Target) -> Toast:
    """Say that a session is where its user wants it again."""
    return Toast(
        title=f"Back on {to}",
        message="It is free again.",
        variant="success",
        key=f"back {source} {to}",
        line=f"{source} -> {to}: it is free again.",
    )


def held(target: Target, why: str, seconds: float | None) -> Toast:
    """Say that a turn nobody can answer now goes on by itself, in so many seconds when that is known."""
    when = "as soon as one is" if seconds is None else f"in {span(seconds)}"
    message = f"{target}: {why}. The turn goes on by itself {when}."
    return Toast(title="No target is free", message=message, variant="warning", key="held", line=message)


def stuck(text: str) -> Toast:
    """Say that no target is free, where the error the editor shows does not say it."""
    return Toast(
        title="No target is free", message=f"{text}.", variant="error", duration_ms=12_000, key="stuck", line=f"{text}."
    )


def _cost(source: Target, to: Target, s: Situation) -> str:
    """Say what the new target costs where that is more than what the old one does."""
    new, old = s.connected.models.get(to), s.connected.models.get(source)
    if new is None or not metered(to, s.config, s.connected):
        return ""
    if old is None or not metered(source, s.config, s.connected):
        return f" {to.provider} costs {price(new.cost_input, new.cost_output)}."
    if blended(new) <= blended(old):
        return ""
    return f" It costs {price(new.cost_input, new.cost_output)} instead of ${old.cost_input:g}/${old.cost_output:g}."
