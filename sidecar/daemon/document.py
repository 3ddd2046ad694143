"""The state document as text: JSON, read strictly, and written for people and tail as well as for programs."""

import json
import stat
from pathlib import Path
from typing import Any

SIZE_LIMIT = 64 * 2**20
# Down to this depth a mapping has one line per entry; below that a line holds the whole value.
_LINES_DEPTH = 2


def parse(path: Path) -> object:
    """Read JSON strictly: a regular file of sane size, UTF-8, no NaN, no infinity."""
    found = path.stat()
    if not stat.S_ISREG(found.st_mode):
        raise ValueError("it is not a regular file")
    if found.st_size > SIZE_LIMIT:
        raise ValueError(f"it has {found.st_size} bytes")
    return json.loads(path.read_bytes().decode(), parse_constant=_refuse, parse_float=_finite)


def _refuse(constant: str) -> float:
    raise ValueError(f"{constant} is not a number")


def _finite(text: str) -> float:
    value = float(text)
    return value if abs(value) != float("inf") else _refuse(text)


def document_of(value: dict[str, Any]) -> bytes:
    """Give the text of a document.

    Raises:
        ValueError: something in it is not JSON.
    """
    return (_lines(value, _LINES_DEPTH, "\n") + "\n").encode()


def _lines(value: Any, depth: int, newline: str) -> str:
    """Write JSON for people and tail: the upper levels one entry a line, the rest compact (and by the C encoder)."""
    if depth and isinstance(value, dict) and value:
        inner = newline + " "
        rows = (f"{json.dumps(str(name))}: {_lines(item, depth - 1, inner)}" for name, item in value.items())
        return f"{{{inner}{f',{inner}'.join(rows)}{newline}}}"
    return json.dumps(value, allow_nan=False)
