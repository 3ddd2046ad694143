"""What the usage tests share: events at random, limits at random, and short ways to make a ledger."""

import json
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from hypothesis import strategies as st

from sidecar.config.models import Limits, PlanWindow
from sidecar.core.limits import LearnedLimit
from sidecar.core.target import Target
from sidecar.core.usage.ledger import Usage

T0 = datetime(2026, 7, 1, 12, 0, tzinfo=UTC).timestamp()
SONNET = Target("anthropic", "claude-sonnet-4-5")
OPUS = Target("anthropic", "claude-opus-4-5")
ROUTER = Target("openrouter", "anthropic/claude-sonnet-4.5")
TARGETS = (SONNET, OPUS, ROUTER)
NONE = Limits()
WINDOWS = ((60, 1), (3600, 60), (86400, 900))


@dataclass(frozen=True)
class Event:
    """Something to be counted: `advance` seconds after the one before, reported `late` seconds late."""

    advance: float
    late: float
    target: Target
    agent: str
    tokens: int | None  # None is an attempt
    cost: float

    def record(self, usage: Usage, now: float) -> None:
        if self.tokens is None:
            usage.attempt(self.target, self.agent, now - self.late)
        else:
            usage.spend(self.target, self.agent, tokens=self.tokens, cost=self.cost, at=now - self.late)


def events(advances: st.SearchStrategy[float], late: tuple[float, ...] = (0.0,)) -> st.SearchStrategy[list[Event]]:
    event = st.builds(
        Event,
        advance=advances,
        late=st.sampled_from(late),
        target=st.sampled_from(TARGETS),
        agent=st.sampled_from(["plan", "build", "title"]),
        tokens=st.none() | st.integers(0, 10**6),
        cost=st.integers(0, 10**9).map(lambda nano: nano / 10**9),
    )
    return st.lists(event, max_size=40)


onward = st.sampled_from([0.0, 0.4, 1.0, 30.0, 60.0, 600.0, 3600.0]) | st.floats(0, 20_000)
counts_of_limits = st.just(0) | st.integers(1, 12)
limits = st.builds(
    Limits,
    rpm=counts_of_limits,
    rph=counts_of_limits,
    rpd=counts_of_limits,
    tpm=st.just(0) | st.integers(1, 10**6),
    tph=st.just(0) | st.integers(1, 10**6),
    tpd=st.just(0) | st.integers(1, 10**6),
    usd_per_day=st.just(0.0) | st.floats(0.001, 5.0),
    resets=st.sampled_from([None, "00:00 UTC", "14:15 Europe/Berlin", "14:07 UTC"]),
    plan=st.none()
    | st.builds(
        PlanWindow, length=st.sampled_from([3600.0, 18_000.0]), requests=counts_of_limits, tokens=counts_of_limits
    ),
)


def used_in_tests(*, requests: int = 1, at: float = T0, target: Target = SONNET, agent: str = "build") -> Usage:
    usage = Usage()
    for _ in range(requests):
        usage.attempt(target, agent, at)
    return usage


def learned(**changes: Any) -> LearnedLimit:
    return LearnedLimit(
        **{"unit": "requests", "limit": 50.0, "remaining": 0.0, "per_s": 60.0, "resets_at": T0 + 30, **changes}
    )


def reloaded(usage: Usage, at: float) -> Usage:
    return Usage.from_json(json.loads(json.dumps(usage.to_json(), allow_nan=False)), at)
