"""A store for tests, and what it needs: something to save, a disk that fails when told to, a log that is kept."""

import errno
import json
import os
import threading
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from sidecar.daemon.disk import Disk
from sidecar.daemon.store import Store
from tests.daemon.conftest import Recorder

FIXED = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)


class Held:
    """What the engine would hold."""

    def __init__(self) -> None:
        self.value = 0
        self.dumps = 0

    def dump(self) -> dict[str, Any]:
        self.dumps += 1
        return {"version": 1, "value": self.value}


class Faulty:
    """A disk on which one call can be told to fail, or to wait."""

    def __init__(self) -> None:
        self.failing = ""
        self.error: OSError = OSError(errno.ENOSPC, "No space left on device")
        self.calls: list[str] = []
        self.gate = threading.Event()
        self.gate.set()
        self.slow = "fsync"
        self.short = False
        self.busy = 0
        self.busiest = 0

    def disk(self) -> Disk:
        return Disk(
            open=self._wrap("open", os.open),
            write=self._wrap("write", self._write),
            fsync=self._wrap("fsync", os.fsync),
            replace=self._wrap("replace", os.replace),
            fsync_directory=self._wrap("fsync_directory", os.fsync),
        )

    def _write(self, fd: int, data: memoryview) -> int:
        return os.write(fd, data[:7] if self.short else data)

    def _wrap(self, name: str, real: Callable[..., Any]) -> Callable[..., Any]:
        def call(*args: Any) -> Any:
            self.busy += 1
            self.busiest = max(self.busiest, self.busy)
            try:
                if name == self.slow:
                    self.gate.wait(5)
                self.calls.append(name)
                if name == self.failing:
                    raise self.error
                return real(*args)
            finally:
                self.busy -= 1

        return call


class World:
    """A store, what it saves, its disk and its log."""

    def __init__(self, path: Path, **options: Any) -> None:
        self.path = path
        self.held, self.faulty, self.log = Held(), Faulty(), Recorder()
        options = {"lazy_s": 0.01, "retry_s": (0.01, 0.02), "patience_s": 5, "utcnow": lambda: FIXED, **options}
        self.losses = 0
        self.store = Store(path, self.held.dump, self.log, lost=self._lost, disk=self.faulty.disk(), **options)

    def _lost(self) -> None:
        self.losses += 1
        self.held.value = 0

    def saved(self) -> Any:
        return json.loads(self.path.read_text())["value"]

    def litter(self) -> list[str]:
        return sorted(entry.name for entry in self.path.parent.iterdir() if entry != self.path)
