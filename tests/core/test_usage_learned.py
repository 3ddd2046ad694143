"""Limits learned from headers: when they are in force, what replaces them, how many are kept."""

from math import inf, nan, nextafter

import pytest

from sidecar.config.models import Limits
from sidecar.core.limits import LearnedLimit
from sidecar.core.usage.ledger import Usage
from sidecar.core.usage.usage_state import MOST_LEARNED

from .usage_world import NONE, OPUS, SONNET, T0, learned, used_in_tests


@pytest.mark.parametrize(
    ("told", "asked_at", "name", "used", "full"),
    [
        (learned(), T0, "learned_requests", 50, True),
        (learned(), nextafter(T0 + 30, -inf), "learned_requests", 50, True),
        (learned(remaining=20.0), T0, "learned_requests", 30, False),
        (learned(remaining=80.0), T0, "learned_requests", 0, False),
        (learned(unit="tokens"), T0, "learned_tokens", 50, True),
        (learned(resets_at=None), T0 + 59, "learned_requests", 50, False),
        (learned(resets_at=None, per_s=None), T0 + 3599, "learned_requests", 50, False),
    ],
)
def test_a_learned_limit_in_force(told: LearnedLimit, asked_at: float, name: str, used: float, *, full: bool) -> None:
    usage = Usage()
    usage.learn(SONNET, [told], T0)
    (reading,) = usage.readings("anthropic", NONE, asked_at, model=SONNET.model)
    assert (reading.name, reading.model, reading.used, reading.full) == (name, SONNET.model, used, full)
    assert reading.learned
    assert reading.frees_at == (told.resets_at if full else None)
    assert usage.full(SONNET, NONE, NONE, asked_at) == (reading if full else None)
    assert usage.headroom(SONNET, NONE, NONE, asked_at) == pytest.approx(1 - used / 50)
    assert usage.readings("anthropic", NONE, asked_at) == ()
    assert usage.full(OPUS, NONE, NONE, asked_at) is None


@pytest.mark.parametrize(
    ("told", "asked_at"),
    [
        (learned(), T0 + 30),
        (learned(resets_at=None), T0 + 60),
        (learned(resets_at=None, per_s=None), T0 + 3600),
        (learned(remaining=None), T0),
        (learned(resets_at=T0), T0),
        (learned(resets_at=nan), T0),
        (learned(limit=inf), T0),
        (learned(remaining=-1.0), T0),
        (learned(per_s=nan), T0),
        (learned(resets_at=inf), T0 + 366 * 86400),
    ],
)
def test_a_learned_limit_not_in_force(told: LearnedLimit, asked_at: float) -> None:
    usage = Usage()
    usage.learn(SONNET, [told], T0)
    assert usage.readings("anthropic", NONE, asked_at, model=SONNET.model) == ()
    assert usage.full(SONNET, NONE, NONE, asked_at) is None
    assert usage.headroom(SONNET, NONE, NONE, asked_at) == 1.0


def test_what_a_later_response_says_replaces_what_an_earlier_one_said_of_the_same_window() -> None:
    usage = Usage()
    usage.learn(SONNET, [learned(), learned(unit="tokens", limit=1000.0, remaining=1.0)], T0)
    usage.learn(SONNET, [learned(remaining=49.0, resets_at=T0 + 60)], T0 + 1)
    usage.learn(SONNET, [learned(remaining=0.0, resets_at=T0 + 9999)], T0 - 600)  # reported late
    found = usage.readings("anthropic", NONE, T0 + 1, model=SONNET.model)
    assert [(r.name, r.used) for r in found] == [("learned_tokens", 999), ("learned_requests", 1)]
    usage.learn(SONNET, [], T0 + 2)
    assert usage.readings("anthropic", NONE, T0 + 2, model=SONNET.model) == found


def test_limits_one_response_names_for_the_same_window_are_kept_side_by_side() -> None:
    usage = Usage()
    usage.learn(SONNET, [learned(unit="tokens", remaining=r) for r in (50.0, 0.0)], T0)
    assert [r.full for r in usage.readings("anthropic", NONE, T0, model=SONNET.model)] == [False, True]


def test_learned_limits_that_are_over_make_room() -> None:
    usage = Usage()
    usage.learn(SONNET, [learned(per_s=None, resets_at=T0 + 9000)], T0)
    usage.learn(SONNET, [learned(per_s=float(n)) for n in range(1, MOST_LEARNED)], T0)
    usage.learn(SONNET, [learned(unit="tokens", resets_at=T0 + 60)], T0 + 31)
    assert [r.name for r in usage.readings("anthropic", NONE, T0 + 31, model=SONNET.model)] == [
        "learned_requests",
        "learned_tokens",
    ]


def test_learned_limits_are_bounded() -> None:
    usage = Usage()
    usage.learn(SONNET, [learned(per_s=float(n)) for n in range(1, 100)], T0)
    assert len(usage.readings("anthropic", NONE, T0, model=SONNET.model)) == MOST_LEARNED


def test_a_configured_limit_hides_the_learned_one_of_its_window_unless_that_forbids_the_request() -> None:
    usage = Usage()
    mine = Limits(rpm=100)
    usage.learn(SONNET, [learned(remaining=10.0), learned(unit="tokens", remaining=25.0)], T0)
    assert [r.name for r in usage.readings("anthropic", mine, T0, model=SONNET.model)] == ["rpm", "learned_tokens"]
    assert usage.headroom(SONNET, NONE, mine, T0) == 0.5
    usage.learn(SONNET, [learned()], T0)
    found = usage.readings("anthropic", mine, T0, model=SONNET.model)
    assert [(r.name, r.full) for r in found] == [("rpm", False), ("learned_tokens", False), ("learned_requests", True)]
    assert usage.full(SONNET, NONE, mine, T0) == found[-1]


def test_the_window_that_stays_full_longest_is_named_whoever_set_it() -> None:
    usage = used_in_tests(requests=1)
    usage.learn(SONNET, [learned(resets_at=T0 + 30)], T0)
    for mine, models, name in [
        (Limits(rpm=1), NONE, "rpm"),
        (Limits(rpm=1), Limits(rph=1), "rph"),
        (Limits(rpd=1), Limits(rph=1), "rpd"),
        (NONE, NONE, "learned_requests"),
    ]:
        worst = usage.full(SONNET, mine, models, T0)
        assert worst is not None
        assert worst.name == name
