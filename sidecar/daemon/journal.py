"""What happened since the state file was written: small files beside it, with one line for each thing written down.

A line is handed to the kernel and not to the disk, so it outlives the process and not the machine; what outlives the
machine is the document. A journal names, by its own id and that of the one it follows, which document it continues: a
document carries the id of its journal. Whatever is torn, damaged or of another document is never used. Knows nothing
of what the lines mean.
"""

import json
import os
import zlib
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from sidecar.daemon.disk import Disk, write_all

_SUFFIX = ".journal"
# More than a disk that is slow for minutes lets pile up.
_MOST_BYTES = 256 * 2**20


@dataclass(slots=True, eq=False)
class Journal:
    """One journal of the state file at `state`; its file is made by the first line.

    `after` is the journal whose end is the state this one begins with, by id and number of changes; None when only the
    document is that state. The number is told because a machine that dies may keep a younger file and not an older one.
    """

    state: Path
    after: tuple[str, int] | None
    id: str = field(default_factory=lambda: os.urandom(8).hex())
    count: int = 0
    """How many changes it has been given; with the first there is a file, or may be."""
    _fd: int = -1
    _torn: bool = False

    @property
    def path(self) -> Path:
        """Give the place of its file."""
        return self.state.parent / f".{self.state.name}.{self.id}{_SUFFIX}"

    def lines(self, change: dict[str, Any]) -> bytes:
        """Give what is to be written next for a change.

        Raises:
            ValueError: it is not JSON.
        """
        line = _line(change)
        self.count += 1
        if self.count == 1:
            line = _line({"journal": self.id, "after": self.after}) + line
        return line

    def write(self, lines: bytes, disk: Disk) -> None:
        """Write lines, in their order, or raise; then all that is to come after them is refused as well. Blocking.

        Raises:
            OSError: the disk refuses, or has refused before.
        """
        if self._torn:
            raise OSError("an earlier line could not be written")
        self._torn = True
        if self._fd < 0:
            flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_APPEND | os.O_CLOEXEC | os.O_NOFOLLOW
            self._fd = disk.open(self.path, flags, 0o600)
        write_all(disk, self._fd, lines)
        self._torn = False

    def discard(self) -> None:
        """Write no more, and remove the file as far as that can be done. Blocking."""
        if self._fd >= 0:
            with suppress(OSError):
                os.close(self._fd)
            self._fd = -1
        remove([self.path])


def found(state: Path) -> list[Path]:
    """Give the journals that lie beside a state file."""
    return sorted(state.parent.glob(f".{state.name}.*{_SUFFIX}"))


def remove(journals: list[Path]) -> None:
    """Remove journals, as far as that can be done."""
    for journal in journals:
        with suppress(OSError):
            journal.unlink()


def changes_after(journal: str, files: list[Path]) -> list[dict[str, Any]]:
    """Give what was written down after the document that carries the id `journal`, oldest first."""
    journals: dict[str, list[dict[str, Any]]] = {}
    following: dict[tuple[str, int], str] = {}
    for file in files:
        lines = _lines(file)
        head = lines[0] if lines else {}
        name, after = head.get("journal"), head.get("after")
        if isinstance(name, str):
            journals[name] = lines[1:]
            if isinstance(after, list):
                following[after[0], after[1]] = name
    changes: list[dict[str, Any]] = []
    here: str | None = journal
    while here is not None:
        # Nothing is taken twice, so that journals that follow each other in a ring have an end as well.
        lines = journals.pop(here, [])
        changes += lines
        here = following.pop((here, len(lines)), None)
    return changes


def _line(value: dict[str, Any]) -> bytes:
    text = json.dumps(value, allow_nan=False, separators=(",", ":")).encode()
    return b"%08x %s\n" % (zlib.crc32(text), text)


def _lines(file: Path) -> list[dict[str, Any]]:
    """Give the lines of a journal up to the first that is not whole."""
    lines: list[dict[str, Any]] = []
    with suppress(OSError, ValueError, RecursionError):
        if not file.is_file() or file.stat().st_size > _MOST_BYTES:
            return []
        for line in file.read_bytes().split(b"\n")[:-1]:
            value = json.loads(line[9:])
            if line[:9] != b"%08x " % zlib.crc32(line[9:]) or not isinstance(value, dict):
                break
            lines.append(value)
    return lines
