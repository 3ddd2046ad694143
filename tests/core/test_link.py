"""Suspicions: when a network failure is the provider's, and when it is the user's own link."""

from sidecar.core.cooldowns.link import MOST, SPAN_S, Link
from sidecar.core.failure import Failure, Kind, Scope
from sidecar.core.target import Target

REFUSED = Failure(kind=Kind.NETWORK, scope=Scope.PROVIDER)
A, B = Target("a", "m"), Target("b", "m")


def confirmed(link: Link, provider: str, now: float, started: float | None = None) -> dict[str, int]:
    return {s.target.provider: s.times for s in link.answered(provider, now, started)}


def test_an_answer_elsewhere_confirms_once() -> None:
    link = Link()
    link.unreachable(A, REFUSED, 0, None)
    assert confirmed(link, "c", 1) == {"a": 1}
    assert confirmed(link, "c", 2) == {}


def test_an_answer_confirms_everyone_who_failed_beside_it() -> None:
    link = Link()
    link.unreachable(A, REFUSED, 0, None)
    link.unreachable(B, REFUSED, 1, None)
    link.unreachable(A, REFUSED, 2, None)
    assert confirmed(link, "c", 3) == {"a": 2, "b": 1}


def test_when_a_suspect_answers_the_link_was_down_for_all() -> None:
    link = Link()
    link.unreachable(A, REFUSED, 0, None)
    link.unreachable(B, REFUSED, 1, None)
    assert confirmed(link, "b", 2) == {}
    assert confirmed(link, "c", 3) == {}


def test_attempts_under_way_together_fail_together() -> None:
    link = Link()
    for started in (-3, -2, -1):
        link.unreachable(A, REFUSED, 0, started)
    link.unreachable(Target("a", "other"), REFUSED, 5, 1)
    link.unreachable(Target("a", "other"), REFUSED, 6, 5)
    (suspicion,) = link.answered("c", 7, None)
    assert (suspicion.times, suspicion.at, suspicion.started, suspicion.target.model) == (3, 6, 5, "other")


def test_an_old_suspicion_is_not_confirmed_by_an_attempt_begun_much_later() -> None:
    for at, started, fresh in [
        (SPAN_S, None, True),
        (SPAN_S + 1, None, False),
        (900, SPAN_S, True),  # a long answer, begun in time
        (900, SPAN_S + 1, False),
        (10, 900, True),  # an attempt cannot begin after its end
    ]:
        link = Link()
        link.unreachable(A, REFUSED, 0, None)
        assert bool(confirmed(link, "c", at, started)) is fresh


def test_forgetting_one_or_all() -> None:
    link = Link()
    link.unreachable(A, REFUSED, 0, None)
    link.unreachable(B, REFUSED, 0, None)
    link.forget("a")
    link.forget("unknown")
    link.unreachable(A, REFUSED, 0, None)
    link.forget("b")
    assert confirmed(link, "c", 1) == {"a": 1}
    link.unreachable(A, REFUSED, 0, None)
    link.forget(None)
    assert confirmed(link, "c", 1) == {}


def test_suspicions_move_with_the_clock() -> None:
    link = Link()
    link.unreachable(A, REFUSED, 1000, None)
    link.unreachable(B, REFUSED, 999, None)
    link.shift(-1000)
    assert confirmed(link, "c", SPAN_S) == {"a": 1}


def test_suspicions_are_bounded() -> None:
    link = Link()
    for i in range(MOST + 5):
        link.unreachable(Target(f"p{i}", "m"), REFUSED, 0, None)
    held = confirmed(link, "c", 1)
    assert len(held) == MOST
    assert "p4" not in held
    assert "p5" in held
