import pytest

from sidecar.config.models import Config
from sidecar.core.events import TargetRef
from sidecar.core.memory import Memory, Once
from sidecar.core.sessions import PROVIDERS, SESSIONS, Sessions
from sidecar.core.snapshot import Snapshot
from sidecar.core.target import Target

from .world import START, ref

TARGET = Target("alpha", "m1")


def test_an_id_is_new_once_and_the_oldest_are_forgotten() -> None:
    once = Once(["a"])
    assert not once.add("a")
    for i in range(5_000):
        assert once.add(str(i))
    assert once.add("a")
    assert len(once.latest()) == 256
    assert once.latest()[-2:] == ["4999", "a"]


def test_sessions_are_bounded_and_the_one_in_use_stays() -> None:
    sessions = Sessions()
    for i in range(SESSIONS + 50):
        sessions.at(str(i), "t", ref("alpha/m1"))
        sessions.find("0")
    assert sessions.find("0") is not None
    assert sessions.find("1") is None


def test_a_session_nobody_knows_reports_attempts_in_vain() -> None:
    sessions = Sessions()
    sessions.saw_attempt("nobody", "alpha")
    assert sessions.find("nobody") is None


def test_what_a_session_remembers_of_providers_is_bounded() -> None:
    sessions = Sessions()
    session = sessions.at("s", "t", ref("alpha/m1"))
    for i in range(PROVIDERS + 50):
        sessions.saw_attempt("s", f"p{i}")
    assert len(session.reporting) == PROVIDERS


def test_sessions_that_are_damaged_are_named() -> None:
    reference: dict[str, object] = TargetRef(provider="a", model="m").model_dump()
    damaged = {"s": {"wanted": reference, "current": reference, "redirected": "no-slash"}}
    with pytest.raises(ValueError, match=r"sessions\.s"):
        Sessions.load(damaged)


def test_only_sessions_away_from_what_was_chosen_are_saved() -> None:
    sessions = Sessions()
    sessions.at("home", "t", ref("alpha/m1"))
    away = sessions.at("away", "t", ref("alpha/m1", "high"))
    away.move(ref("beta/m1"), message=True)
    assert set(sessions.dump()) == {"away"}
    loaded = Sessions.load(sessions.dump())
    found = loaded.find("away")
    assert found is not None
    assert (found.wanted.variant, found.redirected) == ("high", Target("beta", "m1"))


def test_reset_forgets_what_was_spent_and_permitted_only_when_it_means_everything() -> None:
    memory = Memory()
    memory.attempt("one", TARGET, "build", START)
    memory.add_guarded(2.5, START)
    memory.permitted["alpha"] = START
    memory.reset(Config(), "alpha", None)
    assert memory.guard_spent(START) == 2.5
    assert memory.permitted_today(START) == {"alpha"}
    memory.reset(Config(), None, None)
    assert memory.guard_spent(START) == 0
    assert memory.permitted_today(START) == frozenset()


def test_short_waits_are_forgotten_when_they_are_over() -> None:
    memory = Memory()
    memory.wait_for(TARGET, START, START + 3)
    memory.wait_for(Target("beta", "m1"), START + 10, START + 12)
    assert memory.waited_for == {Target("beta", "m1"): START + 12}


def test_an_attempt_under_way_during_a_restart_counts_once() -> None:
    memory = Memory()
    memory.attempt("one", TARGET, "build", START)
    loaded = Memory.load(memory.dump(Snapshot(at=START)), START)
    assert loaded.attempt_ended("one", TARGET, "build", START)
    assert loaded.usage.counts("alpha", START).day.requests == 1


def test_the_bookkeeping_beside_the_turns_is_bounded() -> None:
    memory = Memory()
    first = memory.side_turn("s", "title", "t0")
    assert memory.side_turn("s", "title", "t0") is first
    for i in range(300):
        memory.side_turn("s", "title", f"t{i + 1}")
    assert memory.side_turn("s", "title", "t0") is not first
