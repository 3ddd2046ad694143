"""What self-tests of OpenCode versions found: one small file beside the state, written by the test, read by the daemon.

The only place that knows the file. A result counts for the sidecar that found it only: another one hands over in
another way. A file that cannot be read is as good as none, since every result can be found again.
"""

import json
import os
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import sidecar

_VERSION = 1
_KEPT = 20


@dataclass(frozen=True, slots=True)
class Result:
    """How the self-test of one OpenCode version ended: `at` in epoch seconds, `took_s` in seconds, `why` it failed."""

    opencode: str
    passed: bool
    at: float
    took_s: float
    why: str = ""
    sidecar: str = sidecar.__version__


class Verified:
    """The file with the latest result of each version."""

    def __init__(self, file: Path) -> None:
        self.file = file

    def of(self, opencode: str) -> Result | None:
        """Give what this sidecar found of a version; None when it was not tried."""
        found = self._read().get(opencode)
        return found if found is not None and found.sidecar == sidecar.__version__ else None

    def record(self, result: Result) -> None:
        """Remember a result in place of the version's earlier one.

        Raises:
            OSError: it cannot be written.
        """
        results = self._read()
        results.pop(result.opencode, None)
        kept = sorted(results.values(), key=lambda one: one.at)[-(_KEPT - 1) :]
        document = {"version": _VERSION, "results": [asdict(one) for one in (*kept, result)]}
        self.file.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        temporary = self.file.with_name(f".{self.file.name}.{os.getpid()}.new")
        temporary.write_text(json.dumps(document, indent=2) + "\n", encoding="utf-8")
        temporary.replace(self.file)

    def _read(self) -> dict[str, Result]:
        try:
            document: dict[str, Any] = json.loads(self.file.read_text(encoding="utf-8"))
            results = [_result(entry) for entry in document["results"]]
        except (OSError, ValueError, TypeError, KeyError):
            return {}
        return {result.opencode: result for result in results}


def _result(entry: dict[str, Any]) -> Result:
    return Result(
        opencode=str(entry["opencode"]),
        passed=entry["passed"] is True,
        at=float(entry["at"]),
        took_s=float(entry["took_s"]),
        why=str(entry["why"]),
        sidecar=str(entry["sidecar"]),
    )
