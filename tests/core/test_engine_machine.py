"""A machine that drives the engine at random against a simple oracle of what must never be chosen or lost."""

from typing import Any

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from sidecar.core.decisions import Decision
from sidecar.core.events import TargetCommand

from .world import RATE_LIMITED, World, provider

NAMES = ("alpha", "beta", "gamma")
RPM = 2
SESSIONS = st.sampled_from(["one", "two"])
PROVIDERS = st.sampled_from(NAMES)
DAY = 86_400

REFUSALS: dict[str, dict[str, Any]] = {
    "named wait": {**RATE_LIMITED, "headers": {"retry-after": "120"}},
    "plain 429": RATE_LIMITED,
    "overloaded": {"status": 503, "body": "Service unavailable"},
    "no money": {"status": 402, "body": "Insufficient credits"},
    "bad key": {"status": 401, "body": "Invalid API key"},
    "network": {"error": "connect ECONNREFUSED 127.0.0.1:1"},
    "bad request": {"status": 400, "body": '{"error":{"message":"temperature must be a number"}}'},
}


class Turns(RuleBasedStateMachine):
    """Two sessions over three providers with the same model, one with a limit per minute."""

    def __init__(self) -> None:
        super().__init__()
        self.world = World(
            *(provider(n, "m1") for n in NAMES), config={"providers": {"gamma": {"limits": {"rpm": RPM}}}}
        )
        self.sent: list[tuple[str, float]] = []
        self.named_until: dict[str, float] = {}
        self.disabled: set[str] = set()
        self.at: dict[str, str] = {}
        self.turn: dict[str, str] = {}
        self.failed: dict[str, set[str]] = {}

    @rule(session=SESSIONS)
    def message(self, session: str) -> None:
        decision = self.world.message("alpha/m1", session=session)
        self.turn[session] = self.world.turn
        self.failed[session] = set()
        self.at[session] = self.follow(session, "alpha", decision)

    @precondition(lambda self: self.turn)
    @rule(session=SESSIONS, how=st.sampled_from(["ok", "aborted", "empty", *REFUSALS]))
    def one_attempt(self, session: str, how: str) -> None:
        self.attempt(session, how)

    def attempt(self, session: str, how: str) -> None:
        if session not in self.turn:
            return
        self.world.turn = self.turn[session]
        here = self.at[session]
        asked = self.world.attempt(f"{here}/m1", session=session)
        if asked.action != "proceed":
            if asked.reason.code == "resumes":
                self.failed[session] = set()
            self.at[session] = self.follow(session, here, asked)
            return
        self.sent.append((here, self.world.now))
        facts = REFUSALS.get(how, {})
        ended: Any = "failed" if how in REFUSALS else how
        if how == "named wait":
            self.named_until[here] = max(self.named_until.get(here, 0), self.world.now + 120)
        decision = self.world.outcome(f"{here}/m1", ended, session=session, **facts)
        if decision.action == "switch":
            self.failed[session].add(here)
        if ended == "ok" or decision.reason.code == "resumes":
            self.failed[session] = set()
        self.at[session] = self.follow(session, here, decision)

    @precondition(lambda self: self.turn)
    @rule(session=SESSIONS, how=st.sampled_from(["ok", "overloaded"]))
    def another_attempt(self, session: str, how: str) -> None:
        self.attempt(session, how)

    @rule(seconds=st.sampled_from([1, 7, 61, 121, 4_000]))
    def later(self, seconds: int) -> None:
        self.world.later(seconds)

    @rule(name=PROVIDERS, verb=st.sampled_from(["disable", "enable", "enable", "clear"]))
    def control(self, name: str, verb: Any) -> None:
        self.world.engine.control(verb, TargetCommand(provider=name), self.world.now)
        if verb == "disable":
            self.disabled.add(name)
        elif verb == "enable":
            self.disabled.discard(name)
        else:
            self.named_until.pop(name, None)

    @rule()
    def restart(self) -> None:
        self.world.restart()
        self.world.hello(*(provider(n, "m1") for n in NAMES))
        # What the running turns had tried is not kept; their cooldowns are.
        self.failed = {session: set() for session in self.failed}

    def follow(self, session: str, here: str, decision: Decision) -> str:
        """Hold a decision against the oracle; gives where the session is then."""
        if decision.reason.code == "nothing_free":
            assert {r.target for r in decision.rejected} == {f"{name}/m1" for name in NAMES}
            ends = [r.until for r in decision.rejected if r.until is not None]
            assert decision.until == (min(ends) if ends else None)
        if decision.action == "wait":
            assert decision.wait_s is not None
            assert 0 <= decision.wait_s <= (120 if decision.reason.code == "resumes" else 5)
        if decision.action != "switch":
            return here
        assert decision.target is not None
        there = decision.target.provider
        now = self.world.now
        assert there not in self.disabled
        assert there not in self.failed[session]
        assert self.named_until.get(there, 0) <= now
        if there == "gamma":
            assert sum(name == "gamma" and at > now - 60 for name, at in self.sent) < RPM
        return there

    @invariant()
    def no_count_is_lost(self) -> None:
        now = self.world.now
        for status in self.world.engine.snapshot(now).providers:
            exact = sum(name == status.id and at > now - DAY for name, at in self.sent)
            assert status.counts.requests_day >= exact
            assert status.counts.requests_day <= sum(name == status.id for name, _ in self.sent)


Turns.TestCase.settings = settings(max_examples=200, stateful_step_count=50, deadline=None)
TestTurns = Turns.TestCase
