"""Writes `docs/reliability.md`: the figures as they were measured, and what no figure can say. Formatting only."""

import json
import platform
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from benchmarks.reliability.findings import Finding

ROOMS = ("Reliability", "Security")

_HEAD = """# How far it can be trusted

Everything below is measured by one command, which also writes this page; a short version of each measurement runs with
the tests. To repeat it (root lets it mount file systems and become other users; `OPENCODE_BIN` names the OpenCode
binary):

```console
$ python -m benchmarks.reliability            # all of it, and this page
$ python -m benchmarks.reliability kills      # one of them; its lines here are replaced
```

"""

_TAIL = (Path(__file__).parent / "page.md").read_text


def machine() -> str:
    """Say what kind of machine this is, and nothing that would tell it from others of its kind."""
    return f"{platform.system()} {platform.machine()}, Python {platform.python_version()}"


def remember(kept: Path, name: str, room: str, findings: list[Finding]) -> None:
    """Keep what was measured, beside what was measured before."""
    known: dict[str, Any] = json.loads(kept.read_text()) if kept.exists() else {}
    known[name] = {
        "room": room,
        "when": datetime.now(UTC).date().isoformat(),
        "machine": machine(),
        "findings": [
            {"claim": one.claim, "how": one.how, "figure": one.figure, "holds": one.holds} for one in findings
        ],
    }
    kept.parent.mkdir(parents=True, exist_ok=True)
    kept.write_text(json.dumps(known, indent=1, ensure_ascii=False) + "\n")


def page(known: Mapping[str, Any], order: tuple[str, ...]) -> str:
    """Give the page."""
    text = _HEAD
    for room in ROOMS:
        text += f"## {room}\n\n| claim | measured how | figure | command |\n|---|---|---|---|\n"
        for name in order:
            entry = known.get(name)
            if entry is None or entry["room"] != room:
                continue
            for one in entry["findings"]:
                mark = "" if one["holds"] else "**not so:** "
                cells = [one["claim"], one["how"], mark + one["figure"], f"`{name}`, {entry['when']}"]
                text += f"| {' | '.join(cell.replace('|', '/') for cell in cells)} |\n"
        text += "\n"
    where = sorted({entry["machine"] for entry in known.values()})
    return f"{text}Measured on {'; '.join(where)}, two shared cores.\n\n{_TAIL()}"
