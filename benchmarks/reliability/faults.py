"""The disk fails at each step of a write, or the process dies there: the old state is read again or the new one.

A write is that of a document (`STEPS`), or of a line of the journal beside it (`LINE_STEPS`).

`raise` is a call that fails; `die` is a process that ends inside the call, before or after it took effect. The writes
are unbuffered, so the flush of a buffer, a step of its own elsewhere, is part of `write` here.
"""

import asyncio
import errno
import os
import tempfile
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

from benchmarks.reliability.findings import Finding
from sidecar.daemon.disk import Disk
from sidecar.daemon.store import Store

STEPS = ("open", "write", "fsync", "replace", "fsync_directory")
LINE_STEPS = ("open", "write")
_REAL: dict[str, Callable[..., Any]] = {
    "open": os.open,
    "write": os.write,
    "fsync": os.fsync,
    "replace": os.replace,
    "fsync_directory": os.fsync,
}
OLD, NEW = {"version": 1, "value": "old" * 2_000}, {"version": 1, "value": "new" * 3_000}
_ENDED = 9


class _Silent:
    def info(self, event: str, **fields: Any) -> None:
        """Say nothing."""

    def warning(self, event: str, **fields: Any) -> None:
        """Say nothing."""


def measure() -> list[Finding]:
    """Fail and die at every step, before it, after it, and (write) half way through it."""
    between: list[str] = []
    litter: list[str] = []
    cases = 0
    with tempfile.TemporaryDirectory(prefix="rls-") as made:
        for what, step in (*(("document", step) for step in STEPS), *(("line", step) for step in LINE_STEPS)):
            for how in ("raise before", "raise after", "raise half", "die before", "die after", "die half"):
                if how.endswith("half") and step != "write":
                    continue
                cases += 1
                path = Path(made) / f"{what} {step} {how}" / "state.json"
                left = _case(path, step, how, line=what == "line")
                if left not in (OLD, NEW):
                    between.append(path.parent.name)
                litter += [str(found) for found in path.parent.iterdir() if found != path]
    return [
        Finding(
            "A write that fails, or a process that dies, at any step leaves the old state or the new one",
            f"{', '.join(STEPS)} of a document, {', '.join(LINE_STEPS)} of a journal's line: each fails and each ends "
            "the process, before it, after it and half way",
            f"{cases} cases, {len(between)} with anything between, {len(litter)} other files left by the next daemon",
            not between and not litter,
        )
    ]


def _case(path: Path, step: str, how: str, *, line: bool) -> object:
    """Save OLD, then NEW with trouble at `step`; gives what the next daemon reads."""
    path.parent.mkdir()
    trouble = Disk(**{step: _trouble(_REAL[step], how)})
    if how.startswith("raise"):
        asyncio.run(_save(path, trouble, line=line))
    else:
        _in_child(lambda: asyncio.run(_save(path, trouble, line=line)))
    return asyncio.run(_next(path))


async def _next(path: Path) -> object:
    """Read what was left, as the next daemon does, and let it write and end."""
    read: list[dict[str, Any]] = []
    store = Store(path, lambda: read[0], _Silent(), changes=lambda: None, merge=_merge)
    store.read(lambda data: read.append(data if isinstance(data, dict) else {}))
    await store.commit()
    await store.close()
    return read[0] if read else None


def _merge(document: dict[str, Any], changes: Iterable[dict[str, Any]]) -> None:
    for change in changes:
        document.update(change)


def _trouble(real: Callable[..., Any], how: str) -> Callable[..., Any]:
    def call(*args: Any) -> Any:
        if how.endswith("half"):
            real(args[0], args[1][: len(args[1]) // 2])
        elif how.endswith("after"):
            real(*args)
        if how.startswith("raise"):
            raise OSError(errno.EIO, "Input/output error")
        os._exit(_ENDED)

    return call


async def _save(path: Path, disk: Disk, *, line: bool) -> None:
    value = OLD
    store = Store(path, lambda: value, _Silent(), changes=lambda: value if line else None, retry_s=(60, 60))
    await store.commit()
    value = NEW
    store._disk = disk  # noqa: SLF001 - see below
    await store.commit()
    # A daemon that ends would try once more; here the first try is what is looked at.
    store._dirty = False  # noqa: SLF001 - see above
    await store.close(flush=False)


def _in_child(act: Callable[[], None]) -> None:
    child = os.fork()
    if child == 0:
        try:
            act()
        finally:
            os._exit(0)
    _, status = os.waitpid(child, 0)
    assert os.waitstatus_to_exitcode(status) == _ENDED, "it did not die where it should"
