import pytest
from hypothesis import given
from hypothesis import strategies as st

from sidecar.core.failure import Kind
from sidecar.core.pace import Pace
from sidecar.core.target import Target
from sidecar.core.words import KIND_WORDS, price, span


@pytest.mark.parametrize(
    ("seconds", "said"),
    [
        (0, "1 s"),
        (0.4, "1 s"),
        (59, "59 s"),
        (60, "1 min"),
        (250, "4 min 10 s"),
        (3_600, "1 h"),
        (3_605, "1 h"),
        (3_725, "1 h 2 min"),
        (90_000, "1 d 1 h"),
        (86_400 * 400, "400 d"),
    ],
)
def test_span_says_the_two_largest_units(seconds: float, said: str) -> None:
    assert span(seconds) == said


@given(st.floats(0, 1e10))
def test_span_always_says_something_short(seconds: float) -> None:
    assert 0 < len(span(seconds)) < 20


def test_price() -> None:
    assert price(3, 15) == "$3/$15 per million tokens"
    assert price(0, 0) == "free"


def test_every_kind_has_words() -> None:
    assert set(KIND_WORDS) == set(Kind)


def test_pace_moves_slowly_and_is_bounded() -> None:
    pace = Pace()
    target = Target("a", "m")
    assert pace.first_token_ms(target) is None
    pace.record(target, 100)
    pace.record(target, 500)
    assert pace.first_token_ms(target) == 200
    for i in range(3_000):
        pace.record(Target("b", str(i)), 1)
    assert pace.first_token_ms(target) is None
    assert pace.first_token_ms(Target("b", "2999")) == 1


def test_targets_are_written_and_read() -> None:
    target = Target.parse("openrouter/anthropic/claude")
    assert target == Target("openrouter", "anthropic/claude")
    assert str(target) == "openrouter/anthropic/claude"
    for bad in ("", "alpha", "alpha/", "/m1"):
        with pytest.raises(ValueError, match="write provider/model"):
            Target.parse(bad)
