"""A long life of random events, and what must hold in it whatever happens."""

import json

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from sidecar.core.cooldowns.health import PROBE_LEASE_S, Block, Health
from sidecar.core.failure import Failure, Kind, Scope
from sidecar.core.target import Target
from tests.core.test_health import CONFIG, EVERYONE, NOW

targets = st.builds(Target, st.sampled_from(["a", "work", "home", "ollama"]), st.sampled_from(["m", "n"]))
failures = st.builds(
    Failure,
    kind=st.sampled_from(Kind),
    scope=st.sampled_from(Scope),
    retry_after_s=st.none() | st.floats(allow_nan=True, allow_infinity=True),
    why=st.text(max_size=5),
)
late = st.sampled_from([0, 0, 2, 400])
ago = st.none() | st.floats(-100, 1000)


class Life(RuleBasedStateMachine):
    """Deadlines are monotone, a probe is alone, queries change nothing, a restart loses nothing."""

    def __init__(self) -> None:
        super().__init__()
        self.health = Health()
        self.now = NOW
        self.health.observe(NOW)
        self.probes: dict[Target, float] = {}

    def code(self, target: Target) -> str | None:
        block = self.health.blocked(target, CONFIG, self.now)
        return None if block is None else block.code

    def begun(self, since: float | None) -> float | None:
        return None if since is None else self.now - since

    @rule(seconds=st.sampled_from([0.5, 5, 30, 300, 4000, 90000]))
    def wait(self, seconds: float) -> None:
        self.now += seconds
        self.health.observe(self.now)

    @rule(who=targets, failure=failures, since=ago, late=late)
    def fail(self, who: Target, failure: Failure, since: float | None, late: float) -> None:
        before = {t: block for t in EVERYONE if (block := self.cooling(t)) is not None}
        block = self.health.fail(who, failure, CONFIG, self.now - late, started=self.begun(since))
        self.probes.pop(who, None)
        for t, earlier in before.items():
            after = self.cooling(t)
            assert after is not None
            assert earlier.until is not None
            assert after.until is not None
            assert after.until >= earlier.until, "a failure frees nobody early"
        if block is not None:
            assert block.until is not None
            assert self.now < block.until <= self.now + 32 * 86400
            assert self.code(who) in {"cooling", "disabled"}

    @rule(who=targets, since=ago, late=late)
    def succeed(self, who: Target, since: float | None, late: float) -> None:
        before = self.code(who)
        back = self.health.succeed(who, CONFIG, self.now - late, started=self.begun(since))
        self.probes.pop(who, None)
        if back:
            assert self.code(who) is None
        if before == "cooling" and since is None:
            assert self.code(who) == "cooling", "it may have been under way"

    @rule(who=targets)
    def stop(self, who: Target) -> None:
        self.health.stopped(who, CONFIG, self.now)
        self.probes.pop(who, None)

    @rule(who=targets)
    def probe(self, who: Target) -> None:
        free = self.code(who) is None
        assert self.health.claim_probe(who, CONFIG, self.now) is free
        if free and self.code(who) == "probing":
            running = self.probes.get(who)
            assert running is None or self.now >= running + PROBE_LEASE_S
            self.probes[who] = self.now

    @rule(who=targets, whole=st.booleans(), seconds=st.none() | st.floats(0, 1000))
    def disable(self, who: Target, whole: bool, seconds: float | None) -> None:
        self.health.disable(who.provider, None if whole else who.model, None if seconds is None else self.now + seconds)

    @rule(who=targets, whole=st.booleans())
    def enable(self, who: Target, whole: bool) -> None:
        self.health.enable(who.provider, None if whole else who.model)

    @rule(who=targets)
    def clear(self, who: Target) -> None:
        self.health.clear(CONFIG, *who)
        self.probes.clear()

    @rule(who=targets)
    def forgive(self, who: Target) -> None:
        self.health.forgive(who.provider, CONFIG)
        self.probes.clear()
        assert not any(
            (block := self.health.blocked(t, CONFIG, self.now)) is not None and block.kind in {Kind.AUTH, Kind.BILLING}
            for t in [Target(who.provider, "m"), Target(who.provider, "n")]
        )

    @rule(step=st.floats(-1e6, 1e6))
    def set_clock(self, step: float) -> None:
        left = {t: block.until - self.now for t in EVERYONE if (block := self.cooling(t)) and block.until is not None}
        self.now += step
        self.health.observe(self.now)
        self.probes.clear()
        for target in EVERYONE:
            block = self.cooling(target)
            if target in left and block is not None and block.until is not None:
                assert block.until - self.now <= left[target] + 0.001

    def cooling(self, target: Target) -> Block | None:
        block = self.health.blocked(target, CONFIG, self.now)
        return block if block is not None and block.code == "cooling" else None

    @precondition(lambda self: not self.probes)
    @rule()
    def restart(self) -> None:
        data = self.health.to_json()
        again = Health.from_json(json.loads(json.dumps(data, allow_nan=False)), self.now)
        assert {**again.to_json(), "clock": 0} == {**data, "clock": 0}
        for target in EVERYONE:
            old, new = self.health.blocked(target, CONFIG, self.now), again.blocked(target, CONFIG, self.now)
            assert old == new or (old is not None and old.code == "probing")
        self.health = again

    @invariant()
    def asking_changes_nothing(self) -> None:
        before = self.health.to_json()
        for target in EVERYONE:
            block = self.health.blocked(target, CONFIG, self.now)
            assert block is None or block.until is None or block.until > self.now
            self.health.provider_blocked(target.provider, CONFIG, self.now)
        assert self.health.to_json() == before


Life.TestCase.settings = settings(max_examples=150, stateful_step_count=40, deadline=None)
TestLife = Life.TestCase
