import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sidecar.core.refusals.embedded import Parsed, pieces

JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(10**12), 10**12) | st.text(max_size=12),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=12,
)


def found(raw: str) -> list[object]:
    return [piece.value for piece in pieces(raw) if isinstance(piece, Parsed)]


def plain(raw: str) -> str:
    return " ".join(" ".join(piece for piece in pieces(raw) if isinstance(piece, str)).split())


@pytest.mark.parametrize(
    ("raw", "values", "rest"),
    [
        ("just words", [], "just words"),
        ('{"a": 1}', [{"a": 1}], ""),
        ('[{"a": 1}]', [[{"a": 1}]], ""),
        ('before {"a": "b"} between [{"c": 2}] after', [{"a": "b"}, [{"c": 2}]], "before between after"),
        ("code 429 - {'a': None, 'b': True, 'c': \"it's\"}", [{"a": None, "b": True, "c": "it's"}], "code 429 -"),
        (r"{'a': 'it\'s \"fine\"', 'b': False, 'c': 'a\xa0b'}", [{"a": 'it\'s "fine"', "b": False, "c": "a\xa0b"}], ""),
        ('event: error\ndata: {"a": 1}\n\ndata: {"b": 2}\n', [{"a": 1}, {"b": 2}], ""),
        ("data: plain words", [], "plain words"),
        ("a [list, of words] and {braces}", [], "a [list, of words] and {braces}"),
        ("[[not data] but words", [], "[[not data] but words"),
        ('["unclosed and the rest', [], '["unclosed and the rest'),
    ],
)
def test_splits_text_into_values_and_words(raw: str, values: list[object], rest: str) -> None:
    assert found(raw) == values
    assert plain(raw).replace("[ ", "[") == rest


@pytest.mark.parametrize(
    ("raw", "fields"),
    [
        ('{"error": {"code": "some_code", "message": "cut o', {"code": "some_code", "message": "cut o"}),
        ('{"status": 503, "delay": 1.5, "quoted": "a \\"b\\""', {"status": "503", "delay": "1.5", "quoted": 'a "b"'}),
        ('{"code": "first", "x": {"code": "second", broken', {"code": "first"}),
        ('{"code": "x", "failed_generation": {"code": "echoed", "type": "y"', {"code": "x"}),
        (
            '{"text": "{\\"code\\": \\"inside\\"}", "code": "outside", ',
            {"text": '{"code": "inside"}', "code": "outside"},
        ),
    ],
)
def test_reads_the_plain_fields_of_what_is_broken(raw: str, fields: dict[str, str]) -> None:
    assert found(raw) == [fields]


def test_nesting_beyond_reason_is_read_field_by_field() -> None:
    assert found('{"code": "deep", "a": ' + '{"a": ' * 20_000) == [{"code": "deep"}]
    assert found("[" * 30_000) == []


def test_a_text_is_tried_at_a_handful_of_places_only() -> None:
    assert len(found(" ".join(['{"a": 1}'] * 50))) == 8


@given(st.dictionaries(st.text(max_size=8), JSON, max_size=4), st.text("abc :-", max_size=10))
@settings(max_examples=100, deadline=None)
def test_whatever_json_dumps_wrote_between_words_is_found(value: dict[str, object], words: str) -> None:
    assert value in found(f"{words}{json.dumps(value)}{words}")


@given(st.text(st.sampled_from("{}[]'\"\\:, \n0aTN"), max_size=300))
@settings(max_examples=200, deadline=None)
def test_never_raises(raw: str) -> None:
    for piece in pieces(raw):
        assert isinstance(piece, str | Parsed)
