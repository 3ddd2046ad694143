"""JSONC: comments and trailing commas never change the value, and every node knows its line."""

import json
import re
import time
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sidecar.config.jsonc import DEPTH, JsoncError, parse

FILLERS = st.sampled_from(["", " ", "\n", "\r\n", "\t", "// , } ]\n", '/* " */', "/**/", '/* // \n*/ // "x\n'])
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=12,
)


@st.composite
def commented(draw: st.DrawFn, value: Any) -> str:
    """Write `value` with comments between all tokens and, where they fit, trailing commas."""

    def write(node: Any) -> str:
        before, after = draw(FILLERS), draw(FILLERS)
        if isinstance(node, dict | list) and node:
            if isinstance(node, dict):
                parts = [f"{draw(FILLERS)}{json.dumps(key)}{draw(FILLERS)}:{write(item)}" for key, item in node.items()]
            else:
                parts = [write(item) for item in node]
            comma = draw(st.sampled_from(["", f",{draw(FILLERS)}"]))
            inner = ",".join(parts) + comma
            return before + ("{" + inner + "}" if isinstance(node, dict) else "[" + inner + "]") + after
        return before + json.dumps(node) + after

    return write(value)


@settings(max_examples=150, deadline=None)
@given(st.data())
def test_comments_and_trailing_commas_never_change_the_value(data: st.DataObject) -> None:
    value = data.draw(VALUES)
    text = data.draw(commented(value))
    assert parse(text).value == value


@settings(max_examples=100, deadline=None)
@given(st.data())
def test_every_node_is_found_on_its_own_line(data: st.DataObject) -> None:
    keys = data.draw(st.lists(st.text(min_size=1), min_size=1, max_size=6, unique=True))
    lines = [f'  {json.dumps(key)}: {{"n": [0,\n1]}}' for key in keys]
    document = parse("{\n" + ",\n".join(lines) + ",\n}")
    for index, key in enumerate(keys):
        first = 2 + 2 * index
        assert document.locate((key,)) == document.locate((key, "n")) == document.locate((key, "n", 0)) == first
        assert document.locate((key, "n", 1)) == first + 1


@settings(max_examples=200, deadline=None)
@given(st.text(alphabet='{}[]",:/*\\ \n\ufeff-.0159eEaInfNty'))
def test_any_text_is_read_or_refused_by_line(text: str) -> None:
    try:
        parse(text)
    except JsoncError as error:
        assert 1 <= error.line <= text.count("\n") + 1  # noqa: PT017 - either outcome is right, the line must exist


@pytest.mark.parametrize("text", ["", "  \n", "// only a comment", "/* a\nb */\n", "\ufeff"])
def test_a_text_without_a_value_is_an_empty_object(text: str) -> None:
    document = parse(text)
    assert document.value == {}
    assert document.locate(("anything",)) == 1


@pytest.mark.parametrize(
    ("text", "line", "reason"),
    [
        ('{\n"a": 1,\n"b": 2,\n"a": 3}', 4, "the key 'a' stands twice"),
        ('{"x": {"a": 1,\n"\\u0061": 2}}', 2, "the key 'a' stands twice"),
        ('{\n"a": NaN}', 2, "NaN is not a number"),
        ('{\n\n"a": -Infinity}', 3, "-Infinity is not a number"),
        ('{"a": 1e999}', 1, "1e999 is not a number"),
        ('{"a": ' + "9" * 5000 + "}", 1, "9" * 20 + " is not a number"),
        ("{\n/* never closed", 2, "never closed"),
        ("{\n'a': 1}", 2, "not JSON: expecting property name enclosed in double quotes"),
        ("{\n// fine\na: 1}", 3, "not JSON: expecting property name"),
        ('{"a": 1\n"b": 2}', 2, "not JSON: expecting ',' delimiter"),
        ('{"a": 1}\n}', 2, "not JSON: extra data"),
        ('{"a": "b\n"}', 1, "not JSON: invalid control character"),
        ('{"a": 1,,}', 1, "not JSON"),
        ("[,]", 1, "not JSON"),
        ("{,}", 1, "not JSON"),
        ('{"a":,}', 1, "not JSON"),
        (",", 1, "not JSON"),
        ("[1 / 2]", 1, "not JSON"),
        ("[" * (DEPTH + 1) + "]" * (DEPTH + 1), 1, f"nested more than {DEPTH} levels"),
    ],
)
def test_what_is_not_jsonc_is_refused_by_line(text: str, line: int, reason: str) -> None:
    with pytest.raises(JsoncError, match=re.escape(reason)) as caught:
        parse(text)
    assert caught.value.line == line


def test_the_greatest_depth_is_read() -> None:
    assert parse("[" * DEPTH + "]" * DEPTH).value is not None


def test_a_missing_node_has_the_line_of_its_nearest_ancestor() -> None:
    document = parse('{\n"a": {\n"b": 1 } }')
    assert document.locate(("a", "b", "c", "d")) == 3
    assert document.locate(("a", "x")) == 2
    assert document.locate(("y",)) == 1


@pytest.mark.parametrize("text", ["[" + "," * 60_000, '"' + "\\" * 60_000, "/*" + "*" * 60_000, "/*/" * 20_001])
def test_hostile_texts_take_linear_time(text: str) -> None:
    started = time.perf_counter()
    with pytest.raises(JsoncError):
        parse(text)
    assert time.perf_counter() - started < 1
