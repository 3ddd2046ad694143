"""The matrix, `docs/matrix.md`: which failure, in which place, on which wire format, is proven by which test.

A test says what it proves with a marker, one word or several for each of the three::

    @pytest.mark.proves(form="429", place="subagent", wire="openai-chat")
    @pytest.mark.proves(form=("429", "empty"), place="tui", wire="openai-chat")

What the marker leaves out is taken from the test's parameter of that name, so that one marker serves a whole table::

    @pytest.mark.parametrize("wire", WIRES)
    @pytest.mark.parametrize("form", ["429", "503"])
    @pytest.mark.proves(place="serve")

The words are the keys of `FORMS`, `PLACES` and `WIRES`; whoever proves something new adds a line there. After a run of
the tests their results become the document::

    .venv/bin/python -m pytest tests/e2e --junitxml=.cache/e2e.xml
    .venv/bin/python -m tests.e2e.matrix .cache/e2e.xml

Nothing in here runs OpenCode or knows how a test works.
"""

import argparse
import sys
import xml.etree.ElementTree as ET
from collections.abc import Iterable, Sequence
from contextlib import redirect_stderr, redirect_stdout
from dataclasses import dataclass
from io import StringIO
from itertools import product
from pathlib import Path
from typing import Self

import pytest

ROOT = Path(__file__).resolve().parents[2]
DOCUMENT = ROOT / "docs" / "matrix.md"
PROPERTY = "proves"
MAKE = ".venv/bin/python -m pytest tests/e2e --junitxml=.cache/e2e.xml, then -m tests.e2e.matrix .cache/e2e.xml"

FORMS = {
    "429": "429",
    "429-retry-after": "429 that names a wait",
    "402": "402, the account has no money",
    "401": "401, the key is refused",
    "403": "403, the model is not allowed",
    "404": "404, the model does not exist",
    "500": "500",
    "503": "503, overloaded",
    "529": "529, overloaded",
    "400-stand-in": "400 at a stand-in",
    "error-first": "error as the first event of a 200 stream",
    "error-second": "error as the second event of a 200 stream",
    "error-json": "error as a plain object with status 200",
    "empty": "200 without content",
    "cut-before": "stream cut before any content",
    "silent": "no first byte in time",
    "refused": "connection refused",
    "reset": "connection reset",
    "dns": "host name not found",
    "cut-after": "stream cut after content",
    "end-after": "stream ended too soon after content",
    "cut-after-tool": "stream cut after a tool call",
    "error-after": "error event after content",
    "known": "known to be limited before it is asked",
    "all": "every target limited",
}
"""How a request can fail."""

PLACES = {
    "run": "`run`",
    "run-json": "`run --format json`",
    "serve": "`serve`",
    "tui": "TUI",
    "subagent": "subagent",
    "title": "title",
    "compaction": "compaction",
}
"""Where in OpenCode a request can come from."""

WIRES = {
    "openai-chat": "chat completions",
    "anthropic": "Anthropic Messages",
    "openai-responses": "OpenAI Responses",
    "gemini": "Gemini",
}
"""The wire format of the provider that fails."""

AXES = {"form": FORMS, "place": PLACES, "wire": WIRES}


class MatrixError(Exception):
    """A marker or the results of a run cannot be used; the message says which and what to do."""


@dataclass(frozen=True, slots=True)
class Cell:
    """One thing a test proves; `test` is `file.py::function`."""

    form: str
    place: str
    wire: str
    test: str

    @classmethod
    def of(cls, words: str, test: str) -> Self:
        """Read what `cells_of` gave."""
        form, place, wire = words.split()
        return cls(form, place, wire, test)


def cells_of(item: pytest.Item) -> list[str]:
    """Give what a test proves, each as `form place wire`.

    Raises:
        MatrixError: a marker names an unknown word or leaves something open.
    """
    found: list[str] = []
    for mark in item.iter_markers("proves"):
        if mark.args or set(mark.kwargs) - set(AXES):
            raise MatrixError(f"{item.nodeid}: proves takes the names form, place and wire, each with = and its words")
        found += map(" ".join, product(*(_words(item, axis, mark.kwargs.get(axis)) for axis in AXES)))
    return found


def _words(item: pytest.Item, axis: str, given: str | Sequence[str] | None) -> Sequence[str]:
    parameters = item.callspec.params if hasattr(item, "callspec") else {}
    words = parameters.get(axis) if given is None else given
    words = (words,) if isinstance(words, str) else words
    known = AXES[axis]
    if words is None or not all(word in known for word in words):
        raise MatrixError(f"{item.nodeid}: proves has {axis}={words!r}, but {axis} is of {', '.join(known)}")
    return words


def read(results: Path) -> set[Cell]:
    """Give the cells of the tests that passed in a JUnit file; of a test run with parameters, those of each one."""
    passed = set[Cell]()
    for case in ET.parse(results).iter("testcase"):  # noqa: S314 - pytest's own file
        if any(case.find(tag) is not None for tag in ("failure", "error", "skipped")):
            continue
        test = f"{case.get('classname', '').rpartition('.')[2]}.py::{case.get('name', '').partition('[')[0]}"
        said = [str(one.get("value")) for one in case.iter("property") if one.get("name") == PROPERTY]
        passed |= {Cell.of(words, test) for words in said}
    return passed


class _Collector:
    """A plugin of pytest: what the markers declare."""

    def __init__(self) -> None:
        self.cells: set[Cell] = set()

    def pytest_collection_finish(self, session: pytest.Session) -> None:
        for item in session.items:
            test = f"{item.path.name}::{getattr(item, 'originalname', item.name)}"
            self.cells |= {Cell.of(words, test) for words in cells_of(item)}


def declared() -> set[Cell]:
    """Give every cell the markers of the tests declare, without running a test.

    Raises:
        MatrixError: the tests cannot be collected.
    """
    collector = _Collector()
    with redirect_stdout(StringIO()) as said, redirect_stderr(said):
        code = pytest.main(["--collect-only", "-p", "no:cacheprovider", str(ROOT / "tests" / "e2e")], [collector])
    if code != pytest.ExitCode.OK:
        raise MatrixError(f"the tests cannot be collected:\n{said.getvalue()}")
    return collector.cells


def render(cells: Iterable[Cell]) -> str:
    """Write the document."""
    proven = set(cells)
    lines = [
        "# What is proven, where",
        "",
        "Every way a request can fail, in every place OpenCode sends one from, on every wire format: each entry stands",
        "for a test on the real OpenCode with scripted providers, which passed when this page was written. The page is",
        "made from the results of a run (`tests/e2e/matrix.py` says how), never by hand.",
        "",
        "Wire formats, by the provider that fails: "
        + ", ".join(f"**{letter}** {name}" for letter, name in zip(_LETTERS.values(), WIRES.values(), strict=True))
        + ".",
        "",
        f"| failure | {' | '.join(PLACES.values())} |",
        f"|---|{'---|' * len(PLACES)}",
    ]
    for form, words in FORMS.items():
        row = [_letters(c.wire for c in proven if (c.form, c.place) == (form, place)) for place in PLACES]
        if any(row):
            lines.append(f"| {words} | {' | '.join(row)} |")
    for place, name in PLACES.items():
        here = [c for c in proven if c.place == place]
        if here:
            lines += ["", f"## {name}", "", "| failure | wire formats | proven by |", "|---|---|---|"]
        for form, words in FORMS.items():
            tests = sorted({c.test for c in here if c.form == form})
            lines += [
                f"| {words} | {_letters(c.wire for c in here if (c.form, c.test) == (form, test))} | `{test}` |"
                for test in tests
            ]
    return "\n".join(lines) + "\n"


_LETTERS = {"openai-chat": "C", "anthropic": "A", "openai-responses": "R", "gemini": "G"}


def _letters(wires: Iterable[str]) -> str:
    found = set(wires)
    return " ".join(letter for wire, letter in _LETTERS.items() if wire in found)


def main(arguments: Sequence[str] | None = None) -> int:
    """Write docs/matrix.md from the JUnit file of a run, or from several that complete one another."""
    parser = argparse.ArgumentParser(prog="python -m tests.e2e.matrix", description=main.__doc__)
    parser.add_argument("results", nargs="*", type=Path, help="what pytest wrote with --junitxml")
    parser.add_argument("--check", action="store_true", help="only say whether the page fits the markers of the tests")
    options = parser.parse_args(arguments)
    wanted = declared()
    if options.check:
        return _check(wanted)
    passed = set[Cell]().union(*(read(path) for path in options.results))
    if missing := wanted - passed:
        _complain("not written: declared, but not proven by these results", missing)
        return 1
    DOCUMENT.write_text(render(wanted))
    print(f"{DOCUMENT.relative_to(ROOT)}: {len(wanted)} cells")  # noqa: T201 - a command
    return 0


def _check(wanted: set[Cell]) -> int:
    if DOCUMENT.exists() and DOCUMENT.read_text() == render(wanted):
        return 0
    print(f"{DOCUMENT.relative_to(ROOT)} does not fit the tests; make it anew: {MAKE}", file=sys.stderr)  # noqa: T201
    return 1


def _complain(what: str, cells: Iterable[Cell]) -> None:
    lines = sorted(f"  {cell.form} {cell.place} {cell.wire}: {cell.test}" for cell in cells)
    print("\n".join([f"{what}:", *lines]), file=sys.stderr)  # noqa: T201 - a command


if __name__ == "__main__":
    sys.exit(main())
