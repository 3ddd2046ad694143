"""A document and the changes written down after it say what a whole new document would, whatever happened."""

import copy
import json
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, precondition, rule

from sidecar.core import changes as changes_module
from sidecar.core import marks, memory, sessions
from sidecar.core.changes import merge
from sidecar.core.cooldowns import health
from sidecar.core.engine import Engine, Verb
from sidecar.core.events import TargetCommand
from sidecar.core.marks import MOST_MARKS, Marks
from sidecar.core.usage import ledger, usage_state

from .world import RATE_LIMITED, World, provider

NAMES = ("alpha", "beta", "gamma")
CONFIG: dict[str, Any] = {
    "providers": {
        "alpha": {"account": "shared", "limits": {"rpm": 4, "plan": {"length": "1h", "requests": 10}}},
        "beta": {"account": "shared", "models": {"m1": {"limits": {"tpd": 400}}}},
    }
}
LEARNED = {
    "x-ratelimit-limit-requests": "10",
    "x-ratelimit-remaining-requests": "0",
    "x-ratelimit-reset-requests": "9s",
}
REFUSED: tuple[dict[str, Any], ...] = (
    RATE_LIMITED,
    {**RATE_LIMITED, "headers": {"retry-after": "120", **LEARNED}},
    {"status": 402, "body": "Insufficient credits"},
    {"status": 404, "body": "model not found"},
    {"error": "connect ECONNREFUSED 127.0.0.1:1"},
)


class Saved:
    """What lies on the disk while an engine lives: a document, and the changes since."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.whole()

    def whole(self) -> None:
        self.world.engine.changes()
        self.document = text_of(self.world.engine.dump(self.world.now))
        self.changes: list[str] = []

    def line(self) -> bool:
        """Write down what changed; False when it took a whole document."""
        change = self.world.engine.changes()
        if change is None:
            self.whole()
            return False
        self.changes.append(text_of(change))
        return True

    def read(self, times: int = 1) -> Any:
        document = json.loads(self.document)
        for _ in range(times):
            merge(document, map(json.loads, copy.copy(self.changes)))
        return document

    def check(self) -> None:
        now = self.world.now
        whole = loaded(self.world, json.loads(text_of(self.world.engine.dump(now))))
        assert loaded(self.world, self.read()) == whole
        assert loaded(self.world, self.read(times=2)) == whole


def text_of(value: Any) -> str:
    return json.dumps(value, allow_nan=False)


def loaded(world: World, document: Any) -> Any:
    """Give what an engine that reads this would save, without the order in which cooldowns are listed."""
    engine = Engine(world.engine.config(""), version="test")
    engine.load(document, world.now)
    dumped = engine.dump(world.now)
    dumped["health"]["cooldowns"].sort(key=text_of)
    return dumped


NARROW: tuple[tuple[Any, str, int], ...] = (
    (ledger, "MOST_TARGETS", 5),
    (ledger, "MOST_TALLIES", 7),
    (usage_state, "MOST_AGENTS", 2),
    (health, "MOST_PLACES", 10),
    (sessions, "SESSIONS", 2),
    (memory, "SAVED_IDS", 5),
    (changes_module, "SAVED_IDS", 5),
    (marks, "MOST_MARKS", 12),
)

TARGETS = st.sampled_from([f"{name}/{model}" for name in NAMES for model in ("m1", "m2")])
SESSIONS = st.sampled_from(["one", "two", "three"])
AGENTS = st.sampled_from(["build", "plan", "general"])
AGES = st.sampled_from([0.0, 0.0, 0.0, 30.0, 4_000.0, 80_000.0])


class Lives(RuleBasedStateMachine):
    """An engine with very little room, to which everything happens, saved now and then."""

    def __init__(self) -> None:
        super().__init__()
        self.patch = pytest.MonkeyPatch()
        for room, bound, value in NARROW:
            self.patch.setattr(room, bound, value)
        self.world = World(*(provider(n, "m1", "m2") for n in NAMES), config=CONFIG)
        self.world.turn = "t0"
        self.saved = Saved(self.world)
        self.messages = 0

    @rule(at=TARGETS, session=SESSIONS)
    def message(self, at: str, session: str) -> None:
        self.world.message(at, session=session)

    @rule(
        at=TARGETS,
        session=SESSIONS,
        agent=AGENTS,
        age=AGES,
        how=st.sampled_from(["ok", "empty", "aborted"]) | st.sampled_from(REFUSED),
    )
    def attempt(self, at: str, session: str, agent: str, age: float, how: Any) -> None:
        self.world.attempt(at, session=session, agent=agent)
        ended: Any = how if isinstance(how, str) else "failed"
        facts = {} if isinstance(how, str) else how
        self.world.outcome(at, ended, session=session, agent=agent, age_s=age, latency_ms=10, **facts)

    @rule(at=TARGETS, session=SESSIONS, agent=AGENTS, done=st.booleans(), tokens=st.integers(0, 200))
    def step(self, at: str, session: str, agent: str, done: bool, tokens: int) -> None:
        self.messages += 1
        named, _, model = at.partition("/")
        info = {"id": f"m{self.messages}", "sessionID": session, "providerID": named, "modelID": model, "agent": agent}
        spent = {"tokens": {"input": tokens}, "cost": tokens / 1e4, "time": {"completed": 1} if done else {}}
        self.world.events(("message.updated", {"info": {**info, **spent}}))

    @rule(session=SESSIONS)
    def deleted(self, session: str) -> None:
        self.world.events(("session.deleted", {"sessionID": session}))

    @rule(
        verb=st.sampled_from(["reset", "disable", "enable", "clear", "allow", "use"]),
        name=st.sampled_from(NAMES),
        model=st.sampled_from([None, "m1"]),
        everything=st.booleans(),
    )
    def by_hand(self, verb: Verb, name: str, model: str | None, everything: bool) -> None:
        whole = everything and verb in ("reset", "clear", "use")
        command = TargetCommand() if whole else TargetCommand(provider=name, model=model, for_s=600)
        self.world.engine.control(verb, command, self.world.now)

    @rule(seconds=st.sampled_from([1, 7, 61, 900, 4_000, 90_000]))
    def later(self, seconds: int) -> None:
        self.world.later(seconds)

    @rule(seconds=st.sampled_from([1, 100, 5_000]))
    def clock_goes_back(self, seconds: int) -> None:
        self.world.later(-seconds)
        self.world.engine.observe(self.world.now)

    @rule()
    def write_all(self) -> None:
        self.saved.whole()
        self.saved.check()

    @rule()
    def write_a_line(self) -> None:
        self.saved.line()
        self.saved.check()

    @precondition(lambda self: self.saved.changes)
    @rule()
    def restart(self) -> None:
        self.saved.line()
        self.world.restart_from(self.saved.read())
        self.world.hello(*(provider(n, "m1", "m2") for n in NAMES))
        self.saved.whole()

    def teardown(self) -> None:
        self.saved.line()
        self.saved.check()
        self.patch.undo()


TestLives = Lives.TestCase
TestLives.settings = settings(max_examples=60, stateful_step_count=30, deadline=None)


@pytest.fixture
def world() -> World:
    return World(*(provider(n, "m1", "m2") for n in NAMES), config=CONFIG)


def narrow(monkeypatch: pytest.MonkeyPatch) -> None:
    for room, bound, value in NARROW[:-1]:
        monkeypatch.setattr(room, bound, value)


def test_marks_are_taken_once_and_the_last_marked_is_last() -> None:
    made: Marks[str] = Marks()
    for key in "abca":
        made.add(key)
    assert made.take() == ["b", "c", "a"]
    assert made.take() == []


def test_marks_are_bounded_by_saying_everything() -> None:
    made: Marks[int] = Marks()
    for key in range(MOST_MARKS + 2):
        made.add(key)
    assert made.take() is None
    made.add(1)
    assert made.take() == [1]


def turn_away(world: World) -> None:
    world.message("alpha/m1")
    world.refused("alpha/m1", **REFUSED[1])
    world.answered("beta/m1", headers=LEARNED)


def delete(world: World) -> None:
    turn_away(world)
    world.events(("session.deleted", {"sessionID": "s"}))


def bring_back(world: World) -> None:
    turn_away(world)
    world.later(200)
    world.answered("alpha/m1", latency_ms=1)


def many_errors(world: World) -> None:
    for number in range(12):
        world.message(f"delta{number}/m1")
        world.refused(f"delta{number}/m1")


def many_sessions(world: World) -> None:
    for number in range(4):
        world.message("alpha/m1", session=f"s{number}")
        world.refused("alpha/m1", session=f"s{number}")


@pytest.mark.parametrize("happens", [turn_away, delete, bring_back, many_sessions])
def test_a_line_says_it(world: World, happens: Callable[[World], None], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sessions, "SESSIONS", 2)
    saved = Saved(world)
    happens(world)
    assert saved.line()
    saved.check()


def test_a_line_says_it_after_others(world: World) -> None:
    saved = Saved(world)
    turn_away(world)
    assert saved.line()
    saved.whole()
    bring_back(world)
    assert saved.line()
    world.later(1)
    turn_away(world)
    assert saved.line()
    saved.check()


def test_what_makes_room_is_said(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    narrow(monkeypatch)
    saved = Saved(world)
    many_errors(world)
    saved.line()
    saved.check()


@pytest.mark.parametrize("verb", ["reset", "clear", "disable", "enable"])
def test_what_people_do_takes_a_whole_document(world: World, verb: Verb) -> None:
    saved = Saved(world)
    turn_away(world)
    world.engine.control(verb, TargetCommand(provider="alpha"), world.now)
    assert not saved.line()
    saved.check()


def test_a_step_back_of_the_clock_takes_a_whole_document(world: World) -> None:
    saved = Saved(world)
    turn_away(world)
    world.later(-60)
    world.engine.observe(world.now)
    assert not saved.line()


@pytest.mark.parametrize("room", ["usage", "health", "sessions"])
def test_one_room_that_has_too_much_to_say_is_enough(room: str) -> None:
    made = memory.Memory()
    rooms: dict[str, Marks[Any]] = {
        "usage": made.usage._marks,
        "health": made.health._marks,
        "sessions": made.sessions.marks,
    }
    rooms[room].everything()
    assert made.changes() is None
    assert made.changes() is not None


def test_idle_agents_that_make_room_take_a_whole_document(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(usage_state, "MOST_AGENTS", 2)
    for agent in ("one", "two"):
        world.message("alpha/m1", agent=agent)
        world.attempt("alpha/m1", agent=agent)
    saved = Saved(world)
    world.later(3 * 86_400)
    world.message("alpha/m1", agent="three")
    world.attempt("alpha/m1", agent="three")
    assert not saved.line()
    saved.check()


def test_a_late_report_that_no_window_holds_any_more_changes_nothing(world: World) -> None:
    for _ in range(70):
        world.message("alpha/m1")
        world.attempt("alpha/m1")
        world.outcome("alpha/m1", "ok")
        world.later(1)
    saved = Saved(world)
    world.outcome("alpha/m1", "ok", attempt="late", age_s=300)
    assert saved.line()
    saved.check()


def test_a_change_needs_nothing_of_the_document() -> None:
    made = World(provider("alpha", "m1"))
    saved = Saved(made)
    saved.document = '{"version": 1}'
    turn_away(made)
    assert saved.line()
    saved.check()


def test_a_session_nobody_knows_is_no_change() -> None:
    made = sessions.Sessions()
    made.forget("s")
    made.saw_attempt("s", "alpha")
    assert made.find("s") is None
    assert made.changes() == {}
