"""A percentile out of the histogram is the one of the measured times, give or take a twentieth."""

import math
from collections import Counter

from hypothesis import given
from hypothesis import strategies as st

from sidecar.core.spread import Spread, class_of, merge, percentile

times = st.lists(st.floats(1, 1e9), min_size=1, max_size=200)


def spread_of(values: list[float]) -> Spread:
    return dict(Counter(map(class_of, values)))


@given(times, st.floats(0.01, 1))
def test_a_percentile_is_off_by_a_twentieth_at_the_most(values: list[float], share: float) -> None:
    exact = sorted(values)[max(1, math.ceil(len(values) * share)) - 1]
    found = percentile(spread_of(values), share)
    assert found is not None
    assert exact / 1.06 <= found <= exact * 1.06


@given(times, times)
def test_merged_is_as_if_measured_together(one: list[float], other: list[float]) -> None:
    merged = spread_of(one)
    merge(merged, spread_of(other))
    assert merged == spread_of(one + other)


def test_nothing_measured_has_no_percentile_and_what_takes_no_time_a_short_one() -> None:
    assert percentile({}, 0.95) is None
    assert percentile(spread_of([0, 0.2, 1]), 0.95) == 1.0
