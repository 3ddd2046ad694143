"""Data written inside text: JSON and Python literals between words, event streams, answers that are cut off.

Only parsing: what a field means is `evidence.py`. Nothing raises, nothing takes more than linear time: a text is tried
at a handful of places, and what cannot be parsed is read field by field.
"""

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

_TRIES = 8
_FIELDS = 100

_START = re.compile(r"""[{\[](?=\s{0,20}["'{\[}\]])""")
# Unrolled, and an unclosed string runs to the end: nothing is ever read twice, so hostile quoting stays linear.
_PYTHON_TOKEN = re.compile(
    r"""'([^'\\]*(?:\\.[^'\\]*)*)(?:'|\\?\Z)|"[^"\\]*(?:\\.[^"\\]*)*(?:"|\\?\Z)|\b(None|True|False)\b""", re.DOTALL
)
_BYTE_ESCAPE = re.compile(r"\\x([0-9a-fA-F]{2})")
_FIELD = re.compile(
    r'(?<!\\)"(\w{2,24})"\s{0,9}:\s{0,9}(?:"((?:[^"\\]|\\.){0,2000})(?:"|$)|(-?\d{1,15}(?:\.\d{1,9})?)(?!\w))'
)
_ECHO_FIELD = re.compile(r'(?<!\\)"(?:failed_generation|flagged_input|inputs?|prompt|messages|contents?)"\s{0,9}:')
_EVENT_DATA = re.compile(r"^data:[ \t]*", re.MULTILINE)
_EVENT_NAME = re.compile(r"^event:.*$", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Parsed:
    """A value found inside text."""

    value: Any


def pieces(raw: str) -> Iterator[str | Parsed]:
    """Split text into its plain parts and the values written between them, in order."""
    if "data:" in raw:
        raw = _EVENT_NAME.sub(" ", _EVENT_DATA.sub(" ", raw))
    at = 0
    for _ in range(_TRIES):
        start = _START.search(raw, at)
        if not start:
            break
        yield raw[at : start.start()]
        decoded = _decode(raw, start.start())
        if decoded:
            value, raw, at = decoded
            yield Parsed(value)
        elif start[0] == "{":
            yield Parsed(_salvage(raw[start.start() :]))
            return
        else:
            yield start[0]
            at = start.end()
    yield raw[at:]


def _decode(raw: str, start: int) -> tuple[Any, str, int] | None:
    """Parse what stands at `start`: the value, the text it was parsed from, and where it ends in that text."""
    return _json(raw, start) or _json(_PYTHON_TOKEN.sub(_as_json, raw[start:]), 0)


def _json(text: str, start: int) -> tuple[Any, str, int] | None:
    try:
        value, end = json.JSONDecoder(strict=False).raw_decode(text, start)
    except (ValueError, RecursionError):
        return None
    return value, text, end


def _as_json(token: re.Match[str]) -> str:
    """Write one token of a Python literal as JSON."""
    if token[2]:
        return {"None": "null", "True": "true", "False": "false"}[token[2]]
    if token[1] is None:
        return token[0]
    text = _BYTE_ESCAPE.sub(r"\\u00\1", token[1].replace("\\'", "'").replace('\\"', '"').replace('"', '\\"'))
    return f'"{text}"'


def _salvage(raw: str) -> dict[str, Any]:
    """Read the plain fields of JSON that is cut off, broken or nested beyond reason, up to where it echoes a prompt."""
    if echo := _ECHO_FIELD.search(raw):
        raw = raw[: echo.start()]
    found: dict[str, Any] = {}
    for match in list(_FIELD.finditer(raw))[:_FIELDS]:
        found.setdefault(match[1], match[3] or match[2].replace('\\"', '"'))
    return found
