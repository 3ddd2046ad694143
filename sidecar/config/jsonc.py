"""JSON with comments and trailing commas, read with the line of every node.

Comments and trailing commas are blanked in place, so that every position stays what it was, and `json` reads the rest.
Everything here is linear in the length of the text; nothing here opens a file or knows what a setting is. Standard
library only.
"""

import json
import math
import re
from bisect import bisect_left
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

Path = tuple[str | int, ...]

# A configuration is a few levels deep; the bound keeps the cost of a hostile file down.
DEPTH = 32

_TOKEN = re.compile(
    r"""(?P<string>"[^"\\\n]*(?:\\.[^"\\\n]*)*")
      | (?P<comment>//[^\n]* | /\*(?s:.*?)\*/)
      | (?P<open_comment>/\*)
      | (?P<mark>[][{},:])
      | (?P<scalar>[^\s"/\][{},:]+)""",
    re.VERBOSE,
)
_NOT_NEWLINE = re.compile(r"[^\n]")


class JsoncError(ValueError):
    """The text is not JSON with comments; `line` counts from 1."""

    def __init__(self, line: int, reason: str) -> None:
        super().__init__(reason)
        self.line = line
        self.reason = reason


@dataclass(frozen=True, slots=True)
class Document:
    """What was read: the value, and the line of every node by its path of keys and indices."""

    value: Any
    lines: Mapping[Path, int]

    def locate(self, path: Path) -> int:
        """Give the line of a node; of a missing one that of its nearest ancestor."""
        while path and path not in self.lines:
            path = path[:-1]
        return self.lines[path]


def parse(text: str) -> Document:
    """Read `text`; one that holds nothing but comments is an empty object.

    Raises:
        JsoncError: not JSON, a key twice in one object, a number that is none (NaN, 1e999), or nested too deeply.
    """
    newlines = [at for at, character in enumerate(text) if character == "\n"]

    def line(at: int) -> int:
        return bisect_left(newlines, at) + 1

    plain = _blank(text, line)
    if not plain.strip():
        return Document({}, {(): 1})
    try:
        value = json.loads(plain)
    except json.JSONDecodeError as error:
        raise JsoncError(line(error.pos), f"not JSON: {error.msg[:1].lower()}{error.msg[1:]}") from None
    return Document(value, _lines(plain, line))


def _blank(text: str, line: Callable[[int], int]) -> str:
    """Replace comments and trailing commas by spaces; newlines stay where they are."""
    blanks = [(0, 1)] if text.startswith("\ufeff") else []
    comma = -1  # position of a comma after a value, until the next token tells whether it was a trailing one
    before = ""  # the last token that is not a comment
    depth = 0
    for token in _TOKEN.finditer(text):
        at, mark = token.start(), token["mark"]
        if token["open_comment"]:
            raise JsoncError(line(at), "a comment /* that is never closed with */")
        if token["comment"]:
            blanks.append(token.span())
            continue
        if token["scalar"]:
            _check_number(token[0], line(at))
        if mark in ("}", "]") and comma >= 0:
            blanks.append((comma, comma + 1))
        depth += {"{": 1, "[": 1, "}": -1, "]": -1}.get(mark, 0)
        if depth > DEPTH:
            raise JsoncError(line(at), f"nested more than {DEPTH} levels deep")
        comma = at if mark == "," and before not in ("", "{", "[", ",", ":") else -1
        before = token[0]
    pieces = []
    done = 0
    for start, end in sorted(blanks):
        pieces += [text[done:start], _NOT_NEWLINE.sub(" ", text[start:end])]
        done = end
    return "".join([*pieces, text[done:]])


def _check_number(text: str, line: int) -> None:
    """Refuse what Python's reader would take for a number although it is none in JSON, or one beyond all use."""
    try:
        number = float(text)
    except ValueError:
        return
    if not math.isfinite(number):
        raise JsoncError(line, f"{text[:20]} is not a number")


def _lines(plain: str, line: Callable[[int], int]) -> dict[Path, int]:
    """Find the line of every node of valid JSON: a member begins at its key, an element at its value."""
    found: dict[Path, int] = {(): line(len(plain) - len(plain.lstrip()))}
    path: list[str | int] = []  # per open container the member or element at hand
    in_object: list[bool] = []
    expects_key = False
    for token in _TOKEN.finditer(plain):
        mark, at = token["mark"], token.start()
        if mark in ("}", "]"):
            in_object.pop()
            path.pop()
            expects_key = False
        elif mark == ",":
            expects_key = in_object[-1]
            if not expects_key:
                path[-1] = int(path[-1]) + 1
        elif expects_key:
            path[-1] = json.loads(token[0])
            if tuple(path) in found:
                raise JsoncError(line(at), f"the key {path[-1]!r} stands twice in the same object")
            found[tuple(path)] = line(at)
            expects_key = False
        elif mark != ":":
            found.setdefault(tuple(path), line(at))
            if mark:
                in_object.append(mark == "{")
                path.append("" if mark == "{" else 0)
                expects_key = mark == "{"
    return found
