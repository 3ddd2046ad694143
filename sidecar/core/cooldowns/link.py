"""Is it the provider that cannot be reached, or the user's own link? Network failures wait here until that is known.

When the link is down every provider fails at once, and cooling them would only delay the moment the link is back. One
failure cannot tell the two apart, but the next answer can, so a network failure is a mere suspicion until then:

- another provider answers, having had no network failure itself since the last answer: the suspicion is confirmed;
- a provider that was under suspicion answers: the link was down and is back, every suspicion is dropped;
- nobody answers within `SPAN_S`, or there is only one provider to ask: it cannot be told, nobody cools.

Any answer counts, a refusal too. Knows nothing of cooldowns: what a confirmed suspicion costs is `health.py`.
"""

from dataclasses import dataclass

from sidecar.core.failure import Failure
from sidecar.core.target import Target

SPAN_S = 60.0
"""A suspicion older than this when the answering attempt began says nothing about the same moment."""

MOST = 500
"""Providers held under suspicion; the oldest goes first."""


@dataclass(slots=True)
class Suspicion:
    """`times` failures of one provider in a row: the last at `at`, its attempt begun at `started` (None: unknown)."""

    target: Target
    failure: Failure
    at: float
    started: float | None
    times: int = 1


class Link:
    """The suspicions since the last answer, by provider; bounded, never saved (they hold for minutes at most)."""

    def __init__(self) -> None:
        self._suspicions: dict[str, Suspicion] = {}

    @property
    def suspects(self) -> bool:
        """Whether an answer would settle anything."""
        return bool(self._suspicions)

    def unreachable(self, target: Target, failure: Failure, at: float, started: float | None) -> None:
        """Take note of a network failure; those of attempts begun before the last one are the same event."""
        held = self._suspicions.pop(target.provider, None)
        if held is None:
            held = Suspicion(target, failure, at, started)
        elif started is None or started >= held.at:
            held = Suspicion(target, failure, at, started, held.times + 1)
        self._suspicions[target.provider] = held
        if len(self._suspicions) > MOST:
            del self._suspicions[next(iter(self._suspicions))]

    def answered(self, provider: str, at: float, started: float | None) -> list[Suspicion]:
        """Take note that a provider answered an attempt begun at `started`; give the suspicions this confirms."""
        held, self._suspicions = self._suspicions, {}
        if provider in held:
            return []
        oldest = (at if started is None else min(started, at)) - SPAN_S
        return [suspicion for suspicion in held.values() if suspicion.at >= oldest]

    def shift(self, by: float) -> None:
        """Move every time by `by` seconds: the clock was stepped."""
        for suspicion in self._suspicions.values():
            suspicion.at += by

    def forget(self, provider: str | None) -> None:
        """Drop the suspicion against a provider, or (None) all."""
        if provider is None:
            self._suspicions.clear()
        else:
            self._suspicions.pop(provider, None)
