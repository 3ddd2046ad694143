"""A configuration saved a hundred times a second, in every way editors save: the last complete one stays in force.

Each complete version sets a limit of its own, which status shows. Seen from outside there must be such a limit at any
moment, and it must be one of a version that was complete.
"""

import json
import random
import threading
import time
from collections.abc import Callable
from pathlib import Path

from benchmarks.reliability.findings import Finding
from benchmarks.reliability.process import Home, eventually

SAVES_A_SECOND = 100
FIRST, LAST = 1_000, 9_000_000
_PAUSE_S = 0.002


def measure(seconds: float = 60.0) -> list[Finding]:
    """Save for `seconds`, looking all the time."""
    with Home() as home:
        file = home.paths.config
        file.parent.mkdir(parents=True)
        file.write_text(version(FIRST))
        home.serve()
        eventually(lambda: limit(home) == FIRST, "the first version is in force")
        saves = Saves(file)
        saver = threading.Thread(target=saves.run, args=(seconds,))
        saver.start()
        seen: list[int | None] = []
        while saver.is_alive():
            seen.append(limit(home))
        wrong = [one for one in seen if one is None or not FIRST <= one <= FIRST + saves.count]
        file.write_text(version(LAST))
        began = time.monotonic()
        eventually(lambda: limit(home) == LAST, "the last version is in force", 30)
        took = time.monotonic() - began
        healthy = (home.health() or {}).get("state") == "ok"
    return [
        Finding(
            "Under half-written files and 100 saves a second the last good configuration stays in force",
            "written in halves, emptied first, deleted first, renamed into place, and garbage in between",
            f"{saves.count} saves in {seconds:.0f} s, {len(seen)} looks, {len(set(seen))} versions seen in force, "
            f"{len(wrong)} looks at anything else; the last one in force after {took:.1f} s",
            not wrong and healthy,
        )
    ]


def version(number: int) -> str:
    """Give a complete configuration that only `number` tells from others."""
    models = {f"m{i}": {"priority": i} for i in range(40)}
    return json.dumps({"providers": {"alpha": {"limits": {"rpd": number}, "models": models}}}, indent=1)


def limit(home: Home) -> int | None:
    """Give the number of the version in force."""
    for provider in home.ask("GET", "/v1/status")["providers"]:
        for reading in provider["readings"]:
            if (provider["id"], reading["name"]) == ("alpha", "rpd"):
                return int(reading["limit"])
    return None


class Saves:
    """Saves versions as hurried editors do."""

    def __init__(self, file: Path) -> None:
        self._file = file
        self._beside = file.with_suffix(".new")
        self._choose = random.Random(5)  # noqa: S311 - repeatable
        self.count = 0

    def run(self, seconds: float) -> None:
        """Save for a while."""
        ways: tuple[Callable[[str], None], ...] = (
            self._halves,
            self._emptied,
            self._deleted,
            self._renamed,
            self._garbage,
        )
        began = time.monotonic()
        while (elapsed := time.monotonic() - began) < seconds:
            self.count += 1
            self._choose.choice(ways)(version(FIRST + self.count))
            time.sleep(max(0.0, self.count / SAVES_A_SECOND - elapsed))

    def _halves(self, text: str) -> None:
        cut = self._choose.randrange(1, len(text))
        with self._file.open("w") as file:
            file.write(text[:cut])
            file.flush()
            time.sleep(_PAUSE_S)
            file.write(text[cut:])

    def _emptied(self, text: str) -> None:
        self._file.write_text("")
        time.sleep(_PAUSE_S)
        self._file.write_text(text)

    def _deleted(self, text: str) -> None:
        self._file.unlink(missing_ok=True)
        time.sleep(_PAUSE_S)
        self._file.write_text(text)

    def _renamed(self, text: str) -> None:
        self._beside.write_text(text)
        self._beside.rename(self._file)

    def _garbage(self, _text: str) -> None:
        self._file.write_bytes(self._choose.randbytes(200))
