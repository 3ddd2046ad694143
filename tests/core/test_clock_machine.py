"""A machine that steps the clock, suspends and restarts at random: no rest outlives its length, no count is negative.

`elapsed` is time as it really passes; the wall clock, which is all the engine sees, jumps about. A step back between
two looks at the clock cannot be told from time that did not pass, so that much it may cost, and no more: two seconds
while the daemon runs, as it looks that often, and the length of a sleep or a pause in which the clock was set back.
"""

from math import isfinite

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from .world import START, World, provider

NAMES = ("alpha", "beta")
TICK_S = 60.0
WAITS = (30, 600, 3_600, 86_400)
STEPS = (-86_400.0, -3_600.0, -90.0, -1.0, 1.0, 3_600.0, 86_400.0)
PROVIDERS = st.sampled_from(NAMES)


class Clocks(RuleBasedStateMachine):
    """Two providers that name waits, and a clock nobody should trust."""

    def __init__(self) -> None:
        super().__init__()
        self.world = World(*(provider(n, "m1") for n in NAMES))
        self.elapsed = 0.0
        self.offset = START
        self.looked = 0.0, START
        """Elapsed and wall time of the engine's last look at the clock."""
        self.rests: dict[str, float] = {}
        """Until when, in elapsed time, each provider may rest at the most."""
        self.stepped_back = 0.0
        self.sent = dict.fromkeys(NAMES, 0)

    def look(self) -> None:
        """Note what a clock that was set back since the last look may cost."""
        self.world.now = wall = self.offset + self.elapsed
        cost = min(self.elapsed - self.looked[0], self.stepped_back)
        self.rests = {name: end + cost for name, end in self.rests.items() if end > self.looked[0]}
        self.stepped_back = 0.0
        self.looked = self.elapsed, wall

    def set_clock(self, by: float) -> None:
        self.offset += by
        self.stepped_back += max(0.0, -by)

    def tick(self) -> None:
        self.look()
        self.world.engine.observe(self.world.now)

    @rule(name=PROVIDERS, wait=st.sampled_from(WAITS))
    def refused(self, name: str, wait: int) -> None:
        self.tick()
        self.world.message(f"{name}/m1")
        if self.world.attempt(f"{name}/m1").action != "proceed":
            return
        self.sent[name] += 1
        headers = {"retry-after": str(wait)}
        self.world.outcome(f"{name}/m1", "failed", status=429, body="rate limit reached", headers=headers)
        self.rests[name] = max(self.rests.get(name, 0.0), self.elapsed + wait)

    @rule(name=PROVIDERS)
    def answered(self, name: str) -> None:
        self.tick()
        self.world.message(f"{name}/m1")
        if self.world.attempt(f"{name}/m1").action == "proceed":
            self.sent[name] += 1
            self.world.outcome(f"{name}/m1", "ok", status=200)

    @rule(seconds=st.sampled_from([1, 31, 601, 1_801]))
    def time_passes(self, seconds: int) -> None:
        end = self.elapsed + seconds
        while self.elapsed < end:
            self.elapsed = min(end, self.elapsed + TICK_S)
            self.tick()

    @rule(by=st.sampled_from(STEPS))
    def the_clock_is_set(self, by: float) -> None:
        self.set_clock(by)

    @rule(seconds=st.sampled_from([600.0, 30_000.0]))
    def the_machine_sleeps(self, seconds: float) -> None:
        self.elapsed += seconds

    @rule(down=st.sampled_from([0.0, 5.0, 3_700.0]), by=st.sampled_from([0.0, *STEPS]))
    def the_daemon_is_restarted(self, down: float, by: float) -> None:
        self.tick()
        saved = self.world.engine.dump(self.world.now)
        self.elapsed += down
        self.set_clock(by)
        self.look()
        self.world.restart_from(saved)

    @invariant()
    def nothing_rests_longer_than_it_was_told_to(self) -> None:
        self.tick()
        now = self.world.now
        for status in self.world.engine.snapshot(now).providers:
            resting = status.until is not None and status.until > now and status.why != PROBING
            if resting and status.until is not None:
                assert status.until - now <= max(WAITS) + 1e-6
                assert self.elapsed < self.rests.get(status.id, 0.0) + 1e-3

    @invariant()
    def no_count_is_negative_or_more_than_was_sent(self) -> None:
        for status in self.world.engine.snapshot(self.world.now).providers:
            counts = status.counts
            for requests in (counts.requests_minute, counts.requests_hour, counts.requests_day):
                assert 0 <= requests <= self.sent[status.id]
            for amount in (counts.tokens_day, counts.cost_minute, counts.cost_hour, counts.cost_day):
                assert isfinite(amount)
                assert amount >= 0
            assert status.error_count >= 0


PROBING = "one attempt is finding out whether it is back"

Clocks.TestCase.settings = settings(max_examples=30, stateful_step_count=20, deadline=None)
TestClocks = Clocks.TestCase


def test_a_step_back_while_nothing_happens_does_not_stretch_a_rest() -> None:
    world = World(provider("alpha", "m1"), provider("beta", "m1"))
    world.message("alpha/m1")
    world.refused("alpha/m1", status=429, headers={"retry-after": "3600"}, body="rate limit reached")
    for _ in range(1_700):
        world.later(2)
        world.engine.observe(world.now)
    world.later(-3_600)
    world.engine.observe(world.now)
    (alpha,) = [p for p in world.engine.snapshot(world.now).providers if p.id == "alpha"]
    assert alpha.until is not None
    assert 195 <= alpha.until - world.now <= 205
