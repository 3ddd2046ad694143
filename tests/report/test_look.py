"""The layout: bars that do not lie, and lines that fit."""

import re

from hypothesis import given
from hypothesis import strategies as st

from sidecar.report.look import Gauge, Line, Look, bar, lay_out, percent_left


@given(st.floats(0, 3), st.integers(2, 60))
def test_a_bar_is_full_only_when_nothing_is_left_and_empty_only_when_nothing_was_used(share: float, width: int) -> None:
    drawn = bar(share, width)
    assert len(drawn) == width
    assert ("░" not in drawn) == (share >= 1)
    assert ("█" not in drawn) == (share <= 0)


@given(st.floats(0, 1), st.floats(0, 1))
def test_more_used_is_never_a_shorter_bar_or_more_left(one: float, other: float) -> None:
    less, more = sorted((one, other))
    assert bar(less, 20).count("█") <= bar(more, 20).count("█")
    assert int(percent_left(less).split()[0]) >= int(percent_left(more).split()[0])


def test_what_is_left_is_not_rounded_to_nothing_or_to_everything() -> None:
    assert [percent_left(share) for share in (0, 0.0001, 0.5, 0.9999, 1, 7)] == [
        "100 % left",
        "99 % left",
        "50 % left",
        "1 % left",
        "0 % left",
        "0 % left",
    ]


WORDS = st.text("abc/12 ", min_size=1, max_size=40)
LINES = st.lists(
    st.builds(Line, st.integers(0, 3), WORDS)
    | st.builds(
        Gauge,
        st.integers(0, 3),
        st.sampled_from(["", "Requests:"]),
        WORDS,
        st.none() | st.floats(0, 2),
        st.just(("n",)),
    ),
    min_size=1,
    max_size=8,
)


@given(LINES, st.integers(40, 120))
def test_colour_changes_nothing_but_colour(lines: list[Line | Gauge], width: int) -> None:
    plain = lay_out(lines, Look(width=width, bars=True))
    painted = lay_out(lines, Look(width=width, bars=True, color=True))
    assert re.sub(r"\033\[\d*m", "", painted) == plain


@given(LINES, st.integers(40, 120))
def test_ascii_is_ascii(lines: list[Line | Gauge], width: int) -> None:
    assert lay_out(lines, Look(width=width, bars=True, ascii=True)).isascii()


@given(st.lists(st.floats(0, 2), min_size=1, max_size=6), st.integers(60, 120))
def test_the_bars_of_a_report_stand_below_each_other_and_fit(shares: list[float], width: int) -> None:
    gauges = [Gauge(n % 3, "Requests:", "1/2" * (n + 1), share) for n, share in enumerate(shares)]
    lines = lay_out(gauges, Look(width=width, bars=True)).splitlines()
    starts = {re.search("[█░]", line).start() for line in lines if re.search("[█░]", line)}  # type: ignore[union-attr]
    assert len(starts) == 1
    assert all(len(line) <= width for line in lines)
