"""Which budgets of money are used up after something was spent, so that people hear of it once.

Pure reading of counters; the rules that keep to a budget are in `checks.py`, and who was told is in `memory.py`.
"""

from collections.abc import Iterator
from typing import NamedTuple

from sidecar.config.models import Config, Limits
from sidecar.core.limits import Reading
from sidecar.core.memory import Memory
from sidecar.core.target import Target

GUARD = "cost_guard"


class Reached(NamedTuple):
    """A budget that is used up: whose (a provider, a target, or the cost guard), in words, and when there is room."""

    subject: str
    text: str
    until: float | None = None


def reached(target: Target, memory: Memory, config: Config, at: float) -> Iterator[Reached]:
    """Give the budgets of dollars a day that `target` has used up: its provider's and its own."""
    provider = config.providers.get(target.provider)
    if provider is None:
        return
    model = provider.models.get(target.model)
    levels: list[tuple[str, str | None, Limits]] = [(target.provider, None, provider.limits)]
    if model is not None:
        levels.append((str(target), target.model, model.limits))
    for subject, name, limits in levels:
        if limits.usd_per_day:
            readings = memory.usage.readings(target.provider, limits, at, model=name, switch_at=config.switch_at)
            yield from (_said(subject, r) for r in readings if r.name == "usd_per_day" and r.full)


def guard_reached(memory: Memory, config: Config, at: float) -> Iterator[Reached]:
    """Give the cost guard's cap when today's switches to metered targets have used it up."""
    guard = config.cost_guard
    if guard.mode == "cap" and 0 < guard.usd_per_day <= memory.guard_spent(at):
        yield Reached(GUARD, f"today's ${guard.usd_per_day:g} for switches to metered targets are spent")


def _said(subject: str, reading: Reading) -> Reached:
    return Reached(subject, f"${reading.used:.2f} of ${reading.limit:g} a day are spent", reading.frees_at)
