"""A percentile out of the histogram is the one of the measured times, give or take a twentieth."""

import math
from collections import Counter

import pytest
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


def test_classes_are_counted_through_in_the_order_of_time() -> None:
    one, other = spread_of([400.0, 10.0, 10.0]), spread_of([10.0, 5000.0])
    merge(one, other)
    assert one == {class_of(10): 3, class_of(400): 1, class_of(5000): 1}
    found = [percentile(one, share) for share in (0.6, 0.61, 0.8, 1.0)]
    assert found == pytest.approx([10.0, 400.0, 400.0, 5000.0], rel=0.06)


def test_nothing_measured_has_no_percentile_and_what_takes_no_time_a_short_one() -> None:
    assert percentile({}, 0.95) is None
    assert percentile(spread_of([0, 0.2, 1]), 0.95) == 1.0
