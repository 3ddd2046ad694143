"""A random stream of events through the real engine and the real database: every number is what a plain recount gives.

The oracle knows only what was sent and which attempts were allowed to go; it never looks at a record or a row.
"""

import math
import tempfile
from collections import defaultdict
from datetime import UTC
from pathlib import Path
from typing import Any, Literal

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from sidecar.core.events import EditorEvent, EditorEvents, Outcome, Route
from sidecar.core.records import Item
from sidecar.core.spread import percentile
from sidecar.daemon.history_file import HistoryFile
from sidecar.report.book import opened
from tests.core.world import RATE_LIMITED, World, provider, ref

SESSIONS = st.sampled_from(["one", "two"])
TARGETS = st.sampled_from(["alpha/m1", "alpha/m2", "beta/m1"])
AGENTS = st.sampled_from(["build", "plan"])
PROJECTS = st.sampled_from(["", "/home/me/x", "/home/me/y"])
ENDS: Any = st.sampled_from(["ok", "ok", "ok", "empty", "failed", "aborted"])
TIMES = st.none() | st.floats(1, 100_000)
AMOUNTS = st.integers(0, 10**9)
Group = tuple[str, str, str, str]
KEYS: dict[Literal["provider", "model", "agent", "project"], Any] = {
    "provider": lambda g: g[0],
    "model": lambda g: f"{g[0]}/{g[1]}",
    "agent": lambda g: g[2],
    "project": lambda g: g[3],
}


class Tally:
    """What a plain recount counts."""

    def __init__(self) -> None:
        self.numbers: dict[str, int] = defaultdict(int)
        self.latencies: list[float] = []
        self.first_tokens: list[float] = []

    def absorb(self, other: "Tally") -> None:
        for name, number in other.numbers.items():
            self.numbers[name] += number
        self.latencies += other.latencies
        self.first_tokens += other.first_tokens


class Replay(RuleBasedStateMachine):
    """Two sessions that report attempts, and agents that report only messages, in three projects."""

    def __init__(self) -> None:
        super().__init__()
        self.world = World(provider("alpha", "m1", "m2"), provider("beta", "m1"), config={"max_hops": 20})
        self.directory = tempfile.TemporaryDirectory()
        self.path = Path(self.directory.name) / "history.db"
        self.file = HistoryFile(self.path, zone=UTC)
        self.queue: list[Item] = []
        self.sent: dict[Group, Tally] = defaultdict(Tally)
        self.open: list[dict[str, Any]] = []
        self.reported: list[Outcome] = []
        self.told: list[Outcome] = []  # of these, messages may still come
        self.ids = 0

    def teardown(self) -> None:
        self.file.close()
        self.directory.cleanup()

    def new(self, what: str) -> str:
        self.ids += 1
        return f"{what}{self.ids}"

    def drain(self) -> None:
        self.queue += [*self.world.engine.drain_records(), *self.world.engine.drain()]

    @rule(session=SESSIONS, at=TARGETS, agent=AGENTS, project=PROJECTS)
    def attempt(self, session: str, at: str, agent: str, project: str) -> None:
        about: dict[str, Any] = {
            "session": session,
            "turn": self.new("t"),
            "agent": agent,
            "directory": project,
            "target": ref(at),
        }
        name = self.new("a")
        decision = self.world.engine.route(Route(**about, attempt=name), self.world.now)
        self.drain()
        if decision.action != "proceed":
            return
        about |= {"attempt": name, "group": (*ref(at).target, agent, project), "sent": self.world.now}
        self.sent[about["group"]].numbers["requests"] += 1
        self.open.append(about)

    @precondition(lambda self: self.open)
    @rule(which=st.integers(0), how=ENDS, latency=TIMES, first=TIMES, twice=st.booleans())
    def end(self, which: int, how: Any, latency: float | None, first: float | None, twice: bool) -> None:
        about = self.open.pop(which % len(self.open))
        facts = RATE_LIMITED if how == "failed" else {}
        fields = {k: v for k, v in about.items() if k not in ("group", "sent")}
        event = Outcome(**fields, ended=how, latency_ms=latency, first_token_ms=first, **facts)
        for _ in range(1 + twice):
            self.world.engine.outcome(event, self.world.now)
        self.drain()
        self.reported.append(event)
        self.told.append(event)
        tally = self.sent[about["group"]]
        tally.numbers[{"ok": "answered", "aborted": "aborted"}.get(how, "failed")] += 1
        if how == "ok":
            tally.latencies += [] if latency is None else [latency]
            tally.first_tokens += [] if first is None else [first]

    @rule(at=TARGETS, agent=AGENTS, how=st.sampled_from(["ok", "failed"]), age=st.floats(0, 4_000))
    def report_late(self, at: str, agent: str, how: Any, age: float) -> None:
        """Report an attempt the daemon was not asked about, because it was away."""
        facts = RATE_LIMITED if how == "failed" else {}
        event = Outcome(
            session="late",
            turn="t",
            agent=agent,
            target=ref(at),
            attempt=self.new("a"),
            ended=how,
            age_s=age,
            **facts,
        )
        self.world.engine.outcome(event, self.world.now)
        self.drain()
        tally = self.sent[*ref(at).target, agent, ""]
        tally.numbers["requests"] += 1
        tally.numbers["answered" if how == "ok" else "failed"] += 1

    @precondition(lambda self: self.told)
    @rule(which=st.integers(0), amounts=st.tuples(*[AMOUNTS] * 5), cents=st.integers(0, 1_000), twice=st.booleans())
    def message(self, which: int, amounts: tuple[int, ...], cents: int, twice: bool) -> None:
        """Complete a message of a session whose attempts are reported: tokens and cost, no request."""
        outcome = self.told[which % len(self.told)]
        target = outcome.target.target
        self.tell(
            outcome.session,
            outcome.turn,
            (*target, outcome.agent, outcome.directory),
            amounts,
            cents=cents,
            twice=twice,
        )

    @rule(at=TARGETS, agent=AGENTS, project=PROJECTS, amounts=st.tuples(*[AMOUNTS] * 5), failed=st.booleans())
    def only_message(self, at: str, agent: str, project: str, amounts: tuple[int, ...], failed: bool) -> None:
        """Complete a message of an agent that reports nothing else: a request."""
        group = (*ref(at).target, agent, project)
        error = {"error": {"name": "APIError", "data": {"statusCode": 503}}} if failed else {}
        self.tell("foreign", "t", group, amounts, cents=7, twice=True, **error)
        self.sent[group].numbers["requests"] += 1
        self.sent[group].numbers["failed" if failed else "answered"] += 1

    def tell(
        self, session: str, turn: str, group: Group, amounts: tuple[int, ...], *, cents: int, twice: bool, **more: Any
    ) -> None:
        plain, output, reasoning, read, write = amounts
        info = {
            "id": self.new("msg"),
            "sessionID": session,
            "parentID": turn,
            "providerID": group[0],
            "modelID": group[1],
            "agent": group[2],
            "cost": cents / 100,
            "tokens": {
                "input": plain,
                "output": output,
                "reasoning": reasoning,
                "cache": {"read": read, "write": write},
            },
            "time": {"completed": self.world.now * 1000},
            **more,
        }
        batch = EditorEvents(
            directory=group[3],
            reports_attempts=session != "foreign",
            events=[EditorEvent(type="message.updated", properties={"info": info})] * (1 + twice),
        )
        self.world.engine.events(batch, self.world.now)
        self.drain()
        numbers = self.sent[group].numbers
        for name, amount in zip(("input", "output", "reasoning", "cache_read", "cache_write"), amounts, strict=True):
            numbers[name] += amount
        numbers["nano_usd"] += cents * 10_000_000

    @rule(seconds=st.sampled_from([1, 30, 600, 40_000]))
    def later(self, seconds: int) -> None:
        self.world.later(seconds)

    @rule()
    def restart(self) -> None:
        """Restart daemon and engine; the newest outcomes are reported again, because nobody heard them acknowledged."""
        self.world.restart()
        self.file.close()
        # Which providers a session reported is not kept: a message that outlives a restart, of a session that has since
        # gone to another provider, would be taken for one of an agent that reports only messages.
        self.told.clear()
        for event in self.reported[-3:]:
            self.world.engine.outcome(event, self.world.now)
        self.drain()

    @rule()
    def write(self) -> None:
        self.file.write(self.queue)
        self.queue = []

    @rule()
    def prune(self) -> None:
        self.file.prune(self.world.now)

    @invariant()
    def every_number_is_that_of_a_recount(self) -> None:
        if self.queue or not self.path.exists():
            return
        with opened(self.path) as book:
            for by, key in KEYS.items():
                expected: dict[str, Tally] = defaultdict(Tally)
                for group, tally in self.sent.items():
                    if tally.numbers:
                        expected[key(group)].absorb(tally)
                found = book.usage("0000-00-00", by)
                assert found.keys() == expected.keys()
                for name, tally in expected.items():
                    used = found[name]
                    names = ("requests", "answered", "failed", "aborted", "input", "output", "reasoning", "cache_read",
                             "cache_write", "nano_usd")  # fmt: skip
                    assert {n: getattr(used, n) for n in names} == {n: tally.numbers[n] for n in names}
                    assert used.error_rate == (
                        tally.numbers["failed"] / max(1, used.requests) if used.requests else None
                    )
                    _same_times(used.latency, used.latencies, used.latency_n, tally.latencies)
                    _same_times(used.first_token, used.first_tokens, used.first_token_n, tally.first_tokens)


def _same_times(average: float | None, spread: dict[int, int], count: int, exact: list[float]) -> None:
    assert count == len(exact) == sum(spread.values())
    if not exact:
        assert average is None
        return
    assert average is not None
    assert math.isclose(average, sum(exact) / len(exact), rel_tol=1e-9)
    p95 = percentile(spread, 0.95)
    assert p95 is not None
    assert math.isclose(p95, sorted(exact)[math.ceil(len(exact) * 0.95) - 1], rel_tol=0.055)


Replay.TestCase.settings = settings(max_examples=60, stateful_step_count=40, deadline=None)
TestReplay = Replay.TestCase
