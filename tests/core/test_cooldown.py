"""The arithmetic of one cooldown: the table of defaults, growth, named waits, and which failures count."""

import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sidecar.config.models import Config
from sidecar.core.cooldowns.cooldown import (
    DEFAULTS,
    LONGEST_NAMED_S,
    WHY_CHARS,
    Cooldown,
    Rule,
    grown,
    named_wait,
    rule_for,
)
from sidecar.core.failure import Failure, Kind, Scope
from sidecar.core.target import Target

NOW = 1_790_000_000.0
HERE = Target("anthropic", "opus")
THERE = Target("anthropic", "haiku")


def failure(kind: Kind = Kind.RATE_LIMIT, wait: float | None = None, why: str = "") -> Failure:
    return Failure(kind=kind, scope=Scope.MODEL, retry_after_s=wait, why=why)


def periods(kind: Kind, waits: list[float | None], config: Config | None = None) -> list[float]:
    """Fail again and again, each time right after the last period, and give the lengths."""
    rule, rest, now, lengths = rule_for(kind, HERE.provider, config or Config()), Cooldown(HERE), NOW, []
    for wait in waits:
        rest.refused(HERE, failure(kind, wait), rule, now, started=now)
        lengths.append(rest.length)
        now = rest.until
    return lengths


@pytest.mark.parametrize(
    ("kind", "lengths"),
    [
        (Kind.RATE_LIMIT, [5, 10, 20, 40, 80, 160, 300, 300]),
        (Kind.QUOTA, [3600, 7200, 14400, 28800, 57600, 86400, 86400]),
        (Kind.BILLING, [1800, 3600, 7200, 14400, 28800, 57600, 86400, 86400]),
        (Kind.AUTH, [1800, 3600, 7200, 14400, 28800, 57600, 86400, 86400]),
        (Kind.SERVER, [5, 10, 20, 40, 80, 160, 300, 300]),
        (Kind.TIMEOUT, [10, 20, 40, 80, 120, 120]),
        (Kind.NETWORK, [0, 5, 10, 20, 40, 60, 60]),
        (Kind.MODEL_NOT_FOUND, [21600, 21600, 21600]),
        (Kind.UNKNOWN, [5, 10, 20, 40, 80, 120, 120]),
    ],
)
def test_every_class_grows_as_its_row_says(kind: Kind, lengths: list[float]) -> None:
    assert periods(kind, [None] * len(lengths)) == lengths


@pytest.mark.parametrize(
    ("kinds", "days"),
    [
        ({Kind.RATE_LIMIT, Kind.SERVER, Kind.TIMEOUT, Kind.NETWORK, Kind.UNKNOWN}, 1 / 96),
        ({Kind.QUOTA, Kind.MODEL_NOT_FOUND}, 1),
        ({Kind.BILLING, Kind.AUTH}, 7),
    ],
)
def test_growth_is_remembered_for_longer_where_trouble_lasts_longer(kinds: set[Kind], days: float) -> None:
    assert {kind for kind, row in DEFAULTS.items() if row.reset_after == days * 86400} == kinds


def test_classes_that_speak_about_the_request_have_no_row() -> None:
    assert set(Kind) - set(DEFAULTS) == {Kind.CONTEXT_OVERFLOW, Kind.BAD_REQUEST, Kind.CONTENT_FILTER, Kind.ABORTED}


@pytest.mark.parametrize(
    ("kind", "waits", "lengths"),
    [
        (Kind.RATE_LIMIT, [30, None, 30, 45], [30, 10, 30, 45]),  # a named wait decides, growth goes on beneath it
        (Kind.RATE_LIMIT, [0, 0, 1, 4.9, 5], [0, 10, 20, 40, 5]),  # a brief one is believed once
        (Kind.QUOTA, [600, 600, 0], [600, 600, 20]),  # a brief one never costs more than a plain rate limit
        (Kind.NETWORK, [30, 2, 2], [0, 2, 10]),  # below the threshold a named wait cools nothing either
        (Kind.AUTH, [1, 1, 90000], [1800, 3600, 90000]),  # where a person must help it only lengthens
        (Kind.BILLING, [0, None], [1800, 3600]),
        (Kind.MODEL_NOT_FOUND, [46], [21600]),
        (Kind.SERVER, [1e12, math.inf, math.nan, -3], [LONGEST_NAMED_S, LONGEST_NAMED_S, 20, 40]),
    ],
)
def test_named_waits(kind: Kind, waits: list[float | None], lengths: list[float]) -> None:
    assert periods(kind, waits) == lengths


@pytest.mark.parametrize(
    ("wait", "read"), [(None, None), (math.nan, None), (-1, 0), (0, 0), (1.5, 1.5), (math.inf, 31 * 86400)]
)
def test_a_named_wait_is_never_negative_and_never_unbounded(wait: float | None, read: float | None) -> None:
    assert named_wait(failure(wait=wait)) == read


@pytest.mark.parametrize(
    ("written", "rule"),
    [
        ({}, Rule(5, 2, 300, 1, 900)),
        ({"initial": "30s"}, Rule(30, 2, 300, 1, 900)),
        ({"initial": "1h"}, Rule(3600, 2, 3600, 1, 900)),
        ({"maximum": 3}, Rule(5, 2, 3, 1, 900)),
        ({"initial": 60, "maximum": 30}, Rule(60, 2, 30, 1, 900)),
        ({"multiplier": 1.5, "threshold": 3, "reset_after": "1m"}, Rule(5, 1.5, 300, 3, 60)),
    ],
)
def test_a_configured_rule_is_completed_from_the_defaults(written: dict[str, object], rule: Rule) -> None:
    assert rule_for(Kind.RATE_LIMIT, "x", Config.model_validate({"cooldowns": {"rate_limit": written}})) == rule


@pytest.mark.parametrize(
    ("kind", "lengths"),
    [
        (Kind.RATE_LIMIT, [3600, 3600, 30, 3600]),
        (Kind.QUOTA, [3600, 3600, 30, 3600]),
        (Kind.SERVER, [5, 10, 30, 40]),
        (Kind.AUTH, [1800, 3600, 7200, 14400]),
    ],
)
def test_a_providers_fixed_cooldown_is_for_limits_that_name_no_wait(kind: Kind, lengths: list[float]) -> None:
    config = Config.model_validate({"providers": {"anthropic": {"cooldown": "1h"}, "other": {}}})
    assert periods(kind, [None, None, 30, None], config) == lengths
    assert rule_for(kind, "other", config) == rule_for(kind, "unknown", config) == DEFAULTS[kind]


@pytest.mark.parametrize("level", [1024, 10**9, 2**53])
@pytest.mark.parametrize("multiplier", [1, 1.05, 2, 100])
@pytest.mark.parametrize("initial", [0, 0.001, 5])
def test_growth_saturates(level: int, multiplier: float, initial: float) -> None:
    length = grown(Rule(initial, multiplier, 300, 1, 900), level)
    assert length == (initial if multiplier == 1 or not initial else 300)


@given(
    st.floats(0, 1e7), st.floats(1, 100), st.floats(0, 1e7), st.integers(0, 10**9), st.integers(0, 10**9)
)  # fmt: skip
@settings(max_examples=200)
def test_growth_never_shrinks(initial: float, multiplier: float, maximum: float, one: int, other: int) -> None:
    rule = Rule(initial, multiplier, maximum, 1, 900)
    low, high = sorted((one, other))
    assert min(initial, maximum) <= grown(rule, low) <= grown(rule, high) <= maximum


RULE = DEFAULTS[Kind.RATE_LIMIT]


def cooling(started: float | None = None, rule: Rule = RULE) -> Cooldown:
    """Give a cooldown of 5 s set at NOW."""
    rest = Cooldown(HERE)
    rest.refused(HERE, failure(), rule, NOW, started=started)
    return rest


@pytest.mark.parametrize(
    ("at", "started", "wait", "until", "failures"),
    [
        (1, 0, None, 5, 1),  # the nine others of the stampede
        (1, 1, None, 5, 1),  # sent all the same
        (1, None, None, 5, 1),
        (1, -3, 2, 5, 1),  # a later short hint never frees early
        (1, -3, 30, 31, 1),  # a longer one is heard
        (60, -3, None, 5, 1),  # a straggler from before
        (60, 4, None, 5, 1),  # begun during the cooldown
        (60, 4, 0, 5, 1),
        (60, 4, 30, 90, 1),  # a straggler that names a wait knows about now
        (60, 4.97, None, 5, 1),
        (60, 4.99, None, 70, 2),  # begun after it: the next period, give or take a rounded millisecond
        (60, 5, None, 70, 2),
        (60, 60, None, 70, 2),
        (60, None, None, 70, 2),
    ],
)
def test_one_failure_counts_per_period(
    at: float, started: float | None, wait: float | None, until: float, failures: int
) -> None:
    rest = cooling()
    rest.refused(THERE, failure(wait=wait), RULE, NOW + at, started=None if started is None else NOW + started)
    assert (rest.until - NOW, rest.failures, rest.open) == (until, failures, True)


def test_a_stampede_of_a_thousand_costs_no_more_than_one_failure() -> None:
    rest = cooling()
    for i in range(1000):
        rest.refused(HERE, failure(), RULE, NOW + i / 100, started=NOW - 1)
    assert (rest.until, rest.failures) == (NOW + 5, 1)


def test_the_reason_is_that_of_the_period_and_bounded() -> None:
    rest = Cooldown(HERE)
    rest.refused(HERE, failure(why="a" * 1000), RULE, NOW, started=None)
    rest.refused(THERE, failure(why="ignored"), RULE, NOW + 1, started=None)
    assert (rest.cause, rest.why) == (HERE, "a" * WHY_CHARS)
    rest.refused(THERE, failure(why="later"), RULE, NOW + 9, started=None)
    assert (rest.cause, rest.why) == (THERE, "later")


@pytest.mark.parametrize(("idle", "length"), [(899, 10), (900, 5), (10**6, 5)])
def test_growth_starts_anew_after_a_quiet_time_counted_from_the_end_of_the_period(idle: float, length: float) -> None:
    rest = cooling()
    rest.refused(HERE, failure(), RULE, NOW + 5 + idle, started=None)
    assert rest.length == length


def test_below_the_threshold_nothing_cools_and_a_success_forgets() -> None:
    rule = Rule(5, 2, 300, 3, 900)
    rest = Cooldown(HERE)
    for at in (0, 1):
        rest.refused(HERE, failure(wait=60), rule, NOW + at, started=None)
    assert (rest.open, rest.until) == (False, NOW + 1)
    assert rest.served(Kind.RATE_LIMIT, HERE, NOW + 2, started=NOW + 1.5) is False
    for at in (3, 4):
        rest.refused(HERE, failure(), rule, NOW + at, started=None)
    assert not rest.open
    rest.refused(HERE, failure(wait=60), rule, NOW + 4.5, started=NOW + 3.5)  # the same moment as the one before
    assert not rest.open
    rest.refused(HERE, failure(), rule, NOW + 5, started=None)
    assert (rest.open, rest.until) == (True, NOW + 10)


def test_failures_that_repeated_before_they_were_believed_reach_the_threshold_and_grow_once() -> None:
    rule = Rule(5, 2, 300, 3, 900)
    rest = Cooldown(HERE)
    rest.refused(HERE, failure(), rule, NOW, started=None, times=50)
    assert rest.length == 5
    rest.refused(HERE, failure(), rule, NOW + 5, started=None, times=50)
    assert rest.length == 10


@pytest.mark.parametrize(
    ("kind", "who", "at", "started", "back", "failures"),
    [
        (Kind.SERVER, HERE, 1, None, False, 1),  # may have been under way
        (Kind.SERVER, HERE, 1, -1, False, 1),  # was under way
        (Kind.SERVER, HERE, 1, 0, False, 1),
        (Kind.SERVER, HERE, 1, 0.5, True, 0),  # sent all the same, and served
        (Kind.SERVER, THERE, 1, 0.5, True, 0),
        (Kind.SERVER, HERE, 9, -1, False, 1),
        (Kind.SERVER, THERE, 9, 2, True, 0),
        (Kind.SERVER, HERE, 9, None, True, 0),  # the probe
        (Kind.QUOTA, HERE, 1, 0.5, True, 0),  # the very target
        (Kind.QUOTA, THERE, 1, 0.5, False, 1),  # another one proves nothing yet
        (Kind.QUOTA, THERE, 9, 2, False, 1),
        (Kind.QUOTA, THERE, 9, 5, True, 1),  # as a probe it brings all back, but growth is kept
        (Kind.AUTH, THERE, 1, 0.5, False, 1),
        (Kind.BILLING, THERE, 9, 6, True, 1),
        (Kind.BILLING, HERE, 9, 6, True, 0),
    ],
)
def test_what_a_success_proves(
    kind: Kind, who: Target, *, at: float, started: float | None, back: bool, failures: int
) -> None:
    rest = cooling()
    began = None if started is None else NOW + started
    assert rest.served(kind, who, NOW + at, started=began) is back
    assert (rest.open, rest.failures) == (not back, failures)


def test_a_success_ends_the_period_so_that_the_next_failure_counts() -> None:
    rest = cooling()
    assert rest.served(Kind.SERVER, HERE, NOW + 2, started=NOW + 1)
    rest.refused(HERE, failure(), RULE, NOW + 3, started=NOW + 1.5)
    assert not rest.open, "begun before the success was known"
    rest.refused(HERE, failure(), RULE, NOW + 3, started=NOW + 2)
    assert (rest.open, rest.until, rest.failures) == (True, NOW + 8, 1)


def test_a_straggler_that_names_a_wait_cools_again_after_a_success() -> None:
    rest = cooling()
    rest.served(Kind.SERVER, HERE, NOW + 7, started=NOW + 6)
    rest.refused(HERE, failure(wait=20), RULE, NOW + 8, started=NOW - 1)
    assert (rest.open, rest.until, rest.failures) == (True, NOW + 28, 1)


moments = st.floats(0, 1e6)
reports = st.tuples(
    st.floats(0, 2000), st.none() | st.floats(-1e5, 2000), st.none() | st.floats(allow_nan=True, allow_infinity=True)
)
rules = st.builds(
    Rule, st.floats(0, 1e5), st.floats(1, 100), st.floats(0, 1e6), st.integers(1, 5), st.floats(0, 1e6),
    st.none() | st.floats(0, 1e6),
)  # fmt: skip


@given(st.sampled_from(sorted(DEFAULTS)), rules, st.lists(reports, max_size=30))
@settings(max_examples=200)
def test_the_deadline_never_moves_closer_whatever_fails_in_whatever_order(
    kind: Kind, rule: Rule, script: list[tuple[float, float | None, float | None]]
) -> None:
    rest, now, deadline = Cooldown(HERE), NOW, -math.inf
    for step, started, wait in script:
        now += step
        began = None if started is None else now + started
        rest.refused(HERE, failure(kind, wait), rule, now, started=began)
        assert rest.until >= deadline
        deadline = rest.until
        assert 0 <= rest.length <= max(rule.initial, rule.maximum, rule.fixed or 0, LONGEST_NAMED_S)
        assert rest.start <= now
