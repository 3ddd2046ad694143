"""Measures everything, or what is named, prints it and writes `docs/reliability.md`.

For example: `python -m benchmarks.reliability`, or `python -m benchmarks.reliability kills starts`.
"""

import argparse
import json
import time

from benchmarks.reliability import (
    clocks,
    crowds,
    damage,
    day,
    disks,
    doors,
    faults,
    fuzz,
    keys,
    kills,
    reloads,
    shim,
    starts,
    texts,
)
from benchmarks.reliability.findings import Item
from benchmarks.reliability.page import page, remember
from benchmarks.reliability.process import ROOT

ITEMS = (
    Item("kills", "Reliability", lambda: kills.measure(500)),
    Item("faults", "Reliability", faults.measure),
    Item("disks", "Reliability", disks.measure),
    Item("damage", "Reliability", damage.measure),
    Item("clocks", "Reliability", clocks.measure),
    Item("starts", "Reliability", starts.measure),
    Item("reloads", "Reliability", reloads.measure),
    Item("shim", "Reliability", shim.measure),
    Item("day", "Reliability", day.measure),
    Item("doors", "Security", doors.measure),
    Item("crowds", "Security", lambda: crowds.measure(files=1_024)),
    Item("keys", "Security", keys.measure),
    Item("fuzz", "Security", fuzz.measure),
    Item("texts", "Security", texts.measure),
)
KEPT = ROOT / "docs" / "reliability.json"
PAGE = ROOT / "docs" / "reliability.md"


def main() -> int:
    """Measure; 1 when a claim did not hold."""
    names = tuple(item.name for item in ITEMS)
    parser = argparse.ArgumentParser(prog="python -m benchmarks.reliability", description=__doc__)
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"only these: {', '.join(names)}")
    chosen = parser.parse_args().names or names
    if unknown := set(chosen) - set(names):
        parser.error(f"there is no {', '.join(sorted(unknown))}; there are: {', '.join(names)}")
    held = True
    for item in ITEMS:
        if item.name not in chosen:
            continue
        began = time.monotonic()
        findings = item.measure()
        for finding in findings:
            held &= finding.holds
            print(f"{'ok  ' if finding.holds else 'NOT '} {item.name}: {finding.claim}\n     {finding.figure}")
        print(f"     ({time.monotonic() - began:.0f} s)", flush=True)
        remember(KEPT, item.name, item.room, findings)
    PAGE.write_text(page(json.loads(KEPT.read_text()), names))
    print(f"written: {PAGE.relative_to(ROOT)}")
    return 0 if held else 1


if __name__ == "__main__":
    raise SystemExit(main())
