"""Buckets, fixed days and plan windows against plain lists of events."""

from datetime import UTC, datetime
from math import inf, nextafter
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sidecar.config.models import Limits, PlanWindow
from sidecar.core.usage.windows import DAY, TIERS, FixedDay, Series, Tally, rules_of

T0 = datetime(2026, 7, 1, 12, 0, tzinfo=UTC).timestamp()

advances = st.sampled_from([0.0, 0.3, 1.0, 7.7, 59.0, 60.0, 61.0, 600.0, 899.9, 3600.0, 5000.0, 86400.0]) | st.floats(
    0, 100_000
)
late = st.sampled_from([0.0, 0.0, 0.0, 0.5, 30.0, 4000.0, 90_000.0])
# seconds since the step before, how late the report is, amounts
Step = tuple[float, float, tuple[int, int, int]]
steps = st.lists(
    st.tuples(advances, late, st.tuples(st.integers(0, 3), st.integers(0, 10**6), st.integers(0, 10**10))), max_size=60
)


def at(text: str, zone: str = "UTC") -> float:
    return datetime.fromisoformat(text).replace(tzinfo=ZoneInfo(zone)).timestamp()


def series(tier: int) -> Series:
    _, step, span, kept = TIERS[tier]
    return Series(step, span, kept)


# The last one is so small that rows are dropped all the time.
@pytest.mark.parametrize("shape", [*(tier[1:] for tier in TIERS), (60, 5, 7)])
@given(steps=steps)
@settings(max_examples=80, deadline=None)
def test_a_window_never_counts_too_little_and_at_most_one_bucket_too_much(
    shape: tuple[int, int, int], steps: list[Step]
) -> None:
    counted = Series(*shape)
    window, step = counted.span * counted.step, counted.step
    events: list[tuple[float, tuple[int, int, int]]] = []
    now = T0
    for advance, late_by, amounts in steps:
        now += advance
        events.append((now - late_by, amounts))
        counted.add(int(now - late_by), *amounts)
        got = counted.sliding(int(now))
        for column in range(3):
            least = sum(a[column] for t, a in events if t > now - window)
            most = sum(a[column] for t, a in events if t > now - window - step)
            exact = sum(a[column] for t, a in events if (t // step + 1) * step + window > now)
            assert least <= exact <= most
            assert got[column] == exact


@given(steps=steps, probes=st.lists(st.floats(-200_000, 200_000), max_size=8))
@settings(max_examples=80, deadline=None)
def test_the_sum_is_right_wherever_the_floor_moves(steps: list[Step], probes: list[float]) -> None:
    counted = series(DAY)
    now = T0
    for advance, late_by, amounts in steps:
        now += advance
        counted.add(int(now - late_by), *amounts)
    for probe in probes:
        floor = int(now + probe) // counted.step
        assert counted.total(floor) == [sum(row[c] for key, row in counted.rows() if key >= floor) for c in range(3)]


def test_rows_are_bounded_and_the_oldest_go_first() -> None:
    counted = series(DAY)
    for n in range(1000):
        counted.add(int(T0) + n * 900, 1, 0, 0)
    keys = [key for key, _ in counted.rows()]
    assert len(keys) == TIERS[DAY][3]
    assert keys[-1] == (int(T0) + 999 * 900) // 900
    assert keys == list(range(keys[0], keys[-1] + 1))
    assert counted.total(0)[0] == len(keys), "the sum speaks of nothing that is gone"


def test_a_report_older_than_everything_kept_changes_nothing() -> None:
    counted = series(DAY)
    for n in range(TIERS[DAY][3]):
        counted.add(int(T0) + n * 900, 1, 0, 0)
    before = list(counted.rows())
    counted.add(int(T0) - 900, 5, 5, 5)
    assert list(counted.rows()) == before
    assert counted.total(0)[0] == len(before)


def test_a_late_report_below_the_floor_leaves_the_sum_alone() -> None:
    counted = series(DAY)
    counted.add(int(T0), 1, 0, 0)
    assert counted.sliding(int(T0))[0] == 1
    counted.add(int(T0) - 2 * 86400, 7, 0, 0)
    assert counted.sliding(int(T0))[0] == 1
    counted.add(int(T0), 1, 0, 0)
    assert counted.sliding(int(T0))[0] == 2


def test_a_row_that_goes_because_there_are_too_many_takes_nothing_from_the_sum_it_had_left() -> None:
    counted = Series(60, 5, 7)
    for minute in range(8):
        counted.add(int(T0) + 60 * minute, 1, 10, 100)
        assert counted.sliding(int(T0) + 60 * minute) == [min(minute + 1, 6) * n for n in (1, 10, 100)]
    assert len(list(counted.rows())) == 7
    assert counted.sliding(int(T0) + 60 * 12) == [1, 10, 100]


def test_clamping_moves_what_lies_ahead_and_nothing_else() -> None:
    counted = series(0)
    for offset, requests in ((-10, 1), (0, 2), (5, 4), (7, 8)):
        counted.add(int(T0) + offset, requests, 10 * requests, 0)
    counted.clamp(int(T0))
    assert list(counted.rows()) == [(int(T0) - 10, [1, 10, 0]), (int(T0), [14, 140, 0])]
    assert counted.sliding(int(T0))[:2] == [15, 150]
    counted.clamp(int(T0) - 5)
    assert list(counted.rows()) == [(int(T0) - 10, [1, 10, 0]), (int(T0) - 5, [14, 140, 0])]
    assert counted.sliding(int(T0) + 55)[0] == 14
    assert counted.sliding(int(T0) + 56)[0] == 0


def tally(*events: tuple[float, int, int]) -> Tally:
    made = Tally()
    for when, requests, tokens in events:
        made.add(int(when), requests, tokens, 0)
    return made


@pytest.mark.parametrize(
    ("resets", "now", "start", "end"),
    [
        ("00:00 UTC", at("2026-07-01T12:00"), at("2026-07-01T00:00"), at("2026-07-02T00:00")),
        ("00:00", at("2026-07-01T00:00"), at("2026-07-01T00:00"), at("2026-07-02T00:00")),
        ("00:00 UTC", nextafter(at("2026-07-01T00:00"), -inf), at("2026-06-30T00:00"), at("2026-07-01T00:00")),
        ("09:30 Europe/Berlin", at("2026-07-01T07:00"), at("2026-06-30T07:30"), at("2026-07-01T07:30")),
        ("05:45 Asia/Kathmandu", at("2026-07-01T00:00"), at("2026-07-01T00:00"), at("2026-07-02T00:00")),
        ("23:59 America/Los_Angeles", at("2026-07-01T06:58"), at("2026-06-30T06:59"), at("2026-07-01T06:59")),
        # The clock goes forward: the day has 23 hours.
        ("00:00 Europe/Berlin", at("2026-03-29T12:00"), at("2026-03-28T23:00"), at("2026-03-29T22:00")),
        # 02:30 does not exist on that day: two and a half hours after midnight it is 03:30.
        ("02:30 Europe/Berlin", at("2026-03-29T12:00"), at("2026-03-29T01:30"), at("2026-03-30T00:30")),
        # The clock goes back: the day has 25 hours.
        ("00:00 Europe/Berlin", at("2026-10-25T12:00"), at("2026-10-24T22:00"), at("2026-10-25T23:00")),
        # 02:30 comes twice; only the first is a reset.
        ("02:30 Europe/Berlin", at("2026-10-25T01:30"), at("2026-10-25T00:30"), at("2026-10-26T01:30")),
        # Two hours at once, the most there is.
        ("00:00 Antarctica/Troll", at("2026-10-25T12:00"), at("2026-10-24T22:00"), at("2026-10-26T00:00")),
        # The day that was left out when the date line moved.
        ("00:00 Pacific/Apia", at("2011-12-30T09:00"), at("2011-12-29T10:00"), at("2011-12-30T10:00")),
        ("00:00 Pacific/Apia", at("2011-12-30T10:00"), at("2011-12-30T10:00"), at("2011-12-31T10:00")),
        ("23:00 Pacific/Apia", at("2011-12-30T22:00"), at("2011-12-30T09:00"), at("2011-12-31T09:00")),
    ],
)
def test_a_fixed_day(resets: str, now: float, start: float, end: float) -> None:
    assert FixedDay(resets).bounds(now) == (start, end)


@given(
    zone=st.sampled_from(["UTC", "Europe/Berlin", "America/New_York", "Australia/Lord_Howe", "Asia/Kathmandu"]),
    minute=st.integers(0, 1439),
    moments=st.lists(st.floats(at("2026-01-01T00:00"), at("2027-01-01T00:00")), min_size=1, max_size=6),
)
@settings(max_examples=80, deadline=None)
def test_fixed_days_begin_at_their_local_time_and_follow_each_other(
    zone: str, minute: int, moments: list[float]
) -> None:
    day = FixedDay(f"{minute // 60:02}:{minute % 60:02} {zone}")
    for now in moments:
        start, end = day.bounds(now)
        assert start <= now < end
        assert 22 * 3600 < end - start < 26 * 3600
        assert day.bounds(end)[0] == end
        assert day.bounds(nextafter(start, -inf))[1] == start
        local = datetime.fromtimestamp(start, ZoneInfo(zone))
        assert local.date() != datetime.fromtimestamp(end, ZoneInfo(zone)).date()
        assert (local.hour * 60 + local.minute - minute) in (0, 30, 60), "later only where the clock leaves a gap"


@pytest.mark.parametrize(
    ("resets", "before", "after", "exact"),
    [
        ("00:00 UTC", "2026-06-30T23:59:59", "2026-07-01T00:00:00", True),
        ("09:45 Asia/Kathmandu", "2026-07-01T03:59:59", "2026-07-01T04:00:00", True),
        ("00:10 UTC", "2026-07-01T00:09:59", "2026-07-01T00:10:00", False),
    ],
)
def test_a_fixed_day_is_exact_on_quarter_hours_and_never_counts_too_little(
    resets: str, before: str, after: str, *, exact: bool
) -> None:
    (rule,) = rules_of(Limits(rpd=10, resets=resets))
    used = tally((at(before), 3, 0), (at(after), 2, 0))
    assert rule.used(used, at(after) + 3600) == (2 if exact else 5)
    assert rule.used(used, nextafter(at(after), -inf)) == 5


def test_the_longest_day_is_counted_from_its_beginning() -> None:
    (rule,) = rules_of(Limits(rpd=1000, resets="00:00 Antarctica/Troll"))
    start, end = at("2026-10-24T22:00"), at("2026-10-26T00:00")
    used = tally(*((start + quarter * 900, 1, 0) for quarter in range(26 * 4)))
    assert rule.used(used, end - 1) == 26 * 4
    assert rule.used(used, end) == 0


def test_a_fixed_day_frees_at_its_reset_unless_the_quarter_hour_around_it_fills_the_next_day_too() -> None:
    (rule,) = rules_of(Limits(rpd=3, resets="00:10 UTC"))
    spread = tally((at("2026-07-01T20:00"), 2, 0), (at("2026-07-02T00:05"), 2, 0))
    assert rule.frees_at(spread, at("2026-07-02T00:06"), 3) == at("2026-07-02T00:10")
    assert not rule.full(spread, at("2026-07-02T00:10"), 100)
    crammed = tally((at("2026-07-02T00:05"), 3, 0))
    assert rule.frees_at(crammed, at("2026-07-02T00:06"), 3) == at("2026-07-03T00:10")
    assert rule.full(crammed, nextafter(at("2026-07-03T00:10"), -inf), 100)
    assert not rule.full(crammed, at("2026-07-03T00:10"), 100)


@given(
    gaps=st.lists(st.floats(0, 30_000) | st.sampled_from([0.0, 18_000.0, 17_999.5]), min_size=1, max_size=30),
    probe=st.floats(0, 40_000),
)
@settings(max_examples=80, deadline=None)
def test_a_plan_window_opens_with_the_first_request_after_the_last_one_closed(gaps: list[float], probe: float) -> None:
    (rule,) = rules_of(Limits(plan=PlanWindow(length=18_000.0, requests=1000)))
    used = Tally()
    now = T0
    assert rule.used(used, now) == 0
    opened, count = -inf, 0
    for gap in gaps:
        now += gap
        if now >= opened + 18_000.0:
            opened, count = now, 0
        count += 1
        used.request(now)
        assert rule.used(used, now) == count
        assert rule.frees_at(used, now, count) == opened + 18_000.0
    now += probe
    assert rule.used(used, now) == (count if now < opened + 18_000.0 else 0)


def test_a_plan_that_is_set_while_its_window_is_open_is_taken_up_from_the_quarter_hours() -> None:
    (rule,) = rules_of(Limits(plan=PlanWindow(length=18_000.0, requests=10)))
    used = tally((T0 - 20_000, 5, 0), (T0 - 7200, 0, 900), (T0 - 3500, 2, 50), (T0 - 60, 1, 0))
    assert rule.used(used, T0) == 3
    assert rule.frees_at(used, T0, 1) == T0 - 3600 + 18_000
    used.request(T0 + 1)
    assert rule.used(used, T0 + 1) == 4


def test_a_plan_whose_length_is_changed_keeps_its_opening() -> None:
    (short,) = rules_of(Limits(plan=PlanWindow(length=3600.0, tokens=10)))
    (long,) = rules_of(Limits(plan=PlanWindow(length=7200.0, tokens=10)))
    used = Tally()
    short.used(used, T0)
    used.request(T0)
    used.plan[1] += 8
    assert short.used(used, T0 + 3600) == 0
    assert long.used(used, T0 + 3600) == 8
    assert long.frees_at(used, T0 + 3600, 1) == T0 + 7200


def test_a_plan_of_no_length_is_never_open() -> None:
    (rule,) = rules_of(Limits(plan=PlanWindow(length=0.0, requests=1)))
    used = tally((T0, 1, 0))
    used.request(T0)
    assert rule.used(used, T0) == 0


def test_rules_are_the_limits_that_are_set() -> None:
    everything = Limits(
        rpm=1, rph=2, rpd=3, tpm=4, tph=5, tpd=6, usd_per_day=0.5, plan=PlanWindow(length=60.0, requests=7, tokens=8)
    )
    assert [(r.name, r.unit, r.limit, r.per_s) for r in rules_of(everything)] == [
        ("rpm", "requests", 1, 60),
        ("rph", "requests", 2, 3600),
        ("rpd", "requests", 3, 86400),
        ("tpm", "tokens", 4, 60),
        ("tph", "tokens", 5, 3600),
        ("tpd", "tokens", 6, 86400),
        ("usd_per_day", "usd", 0.5, 86400),
        ("plan_requests", "requests", 7, 60),
        ("plan_tokens", "tokens", 8, 60),
    ]
    assert rules_of(Limits()) == ()
    assert rules_of(Limits(plan=PlanWindow())) == ()


def test_a_limit_too_small_to_count_is_not_full_when_nothing_was_spent() -> None:
    (rule,) = rules_of(Limits(usd_per_day=1e-12))
    used = Tally()
    assert not rule.full(used, T0, 100)
    used.add(int(T0), 0, 0, 1)
    assert rule.full(used, T0, 100)
    assert rule.reading(used, None, T0, 100).used == 1e-9


def test_a_tally_is_busy_for_a_little_more_than_two_days() -> None:
    used = tally((T0, 1, 0))
    assert used.busy(int(T0) + 48 * 3600)
    assert not used.busy(int(T0) + 50 * 3600)
