"""Notices when a configuration file appears, changes or goes, however the editor that saves it does that.

Watches directories, not files: a file may not exist yet, and editors replace files by renaming. It only says that
something happened nearby; what changed is found by looking (`configs.py`), so a wrong or missing hint does no harm.
"""

import asyncio
import os
from collections.abc import Callable, Iterable
from contextlib import suppress
from pathlib import Path

from watchfiles import watch

# How often the watching thread wakes (it cannot block), and how long a burst of changes may last before it is reported.
STEP_MS = 200
BURST_MS = 800
# Network file systems report nothing: look this often anyway.
LOOK_S = 5.0


class Watcher:
    """Calls `look` whenever something happened near one of `files()`, and every few seconds in any case."""

    def __init__(self, files: Callable[[], Iterable[Path]], look: Callable[[], None]) -> None:
        self._files, self._look = files, look
        self._wake = asyncio.Event()
        self._stopped = False

    def refresh(self) -> None:
        """Watch what `files()` says now."""
        self._wake.set()

    def stop(self) -> None:
        """End `run` soon."""
        self._stopped = True
        self._wake.set()

    async def run(self) -> None:
        """Watch until `stop`."""
        while not self._stopped:
            self._wake.clear()
            places = directories(self._files())
            try:
                await self._watch(places)
            except (OSError, RuntimeError):
                # Out of watches, or a directory vanished while it was put under watch: look by the clock for a while.
                with suppress(TimeoutError):
                    await asyncio.wait_for(self._wake.wait(), LOOK_S)
            if not self._stopped:
                self._look()

    async def _watch(self, places: frozenset[Path]) -> None:
        """Look at each change until there are other places to watch, or `_wake` is set.

        In a thread of ours: `awatch` would load a second event loop's worth of adapters for the same thread (1.3 MB).
        """
        loop = asyncio.get_running_loop()

        def changed() -> None:
            if not self._stopped:
                self._look()
                if directories(self._files()) != places:
                    self._wake.set()

        def wait() -> None:
            for _ in watch(
                *places,
                watch_filter=None,
                recursive=False,
                step=STEP_MS,
                debounce=BURST_MS,
                rust_timeout=int(LOOK_S * 1000),
                yield_on_timeout=True,
                stop_event=self._wake,
                raise_interrupt=False,
            ):
                loop.call_soon_threadsafe(changed)

        try:
            await asyncio.to_thread(wait)
        except asyncio.CancelledError:
            self._wake.set()  # nothing else ends the thread
            raise


def directories(files: Iterable[Path]) -> frozenset[Path]:
    """Give the directories to watch: each file's own, or the nearest that exists; for a link also its target's."""
    found = set()
    for file in files:
        for path in {file, Path(os.path.realpath(file))}:
            found.add(next((parent for parent in path.parents if parent.is_dir()), Path("/")))
    return frozenset(found)
