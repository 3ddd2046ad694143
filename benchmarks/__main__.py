"""Measure, and write `docs/performance.md`.

    python -m benchmarks                     everything (eight to ten minutes, a part of it for installing LiteLLM)
    python -m benchmarks decisions saving    only these; the others keep their last figures
    python -m benchmarks --quick             everything, roughly, in four minutes; writes nothing

Needs `./setup.sh --test` to have run: Bun from `plugin-shim/node_modules`, and OPENCODE_BIN or an OpenCode on PATH.
Figures mean something on a machine that does nothing else.
"""

import argparse
import asyncio
import json
import os
import platform
import sys
import time
from collections.abc import Awaitable, Callable
from pathlib import Path

from benchmarks import decisions, footprint, litellm_router, load, opencode, round_trip, saving
from benchmarks.figures import Section, number, report

ROOT = Path(__file__).resolve().parents[1]
DATA, PAGE = ROOT / "docs" / "performance.json", ROOT / "docs" / "performance.md"

# In the order of the report.
ALL: dict[str, Callable[[bool], Awaitable[Section]]] = {
    "opencode": opencode.measure,
    "round_trip": round_trip.measure,
    "decisions": decisions.measure,
    "litellm": litellm_router.measure,
    "load": load.measure,
    "saving": saving.measure,
    "footprint": footprint.measure,
}


def machine() -> str:
    """Describe this machine without naming it."""
    cpu = platform.processor() or platform.machine()
    for line in Path("/proc/cpuinfo").read_text().splitlines() if sys.platform == "linux" else ():
        if line.startswith("model name"):
            cpu = line.partition(":")[2].strip()
            break
    return f"{os.cpu_count()} cores of {cpu}, {platform.system()}, Python {platform.python_version()}"


def show(section: Section) -> None:
    """Print one section's figures."""
    print(f"\n{section.title} ({section.seconds:.0f} s)")
    for figure in section.figures:
        p99 = "" if figure.p99 is None else f"   p99 {number(figure.p99)}"
        print(f"  {figure.what}: {number(figure.median)} {figure.unit}{p99}   ({figure.runs})")
    for note in section.notes:
        print(f"  {note}")
    for target in section.targets:
        verdict = "met" if target.met else "MISSED"
        print(f"  {verdict}: {target.what}: {number(target.value)} {target.unit}, at most {number(target.most)}")


def save(made: dict[str, Section]) -> None:
    """Put new sections beside the ones that were not measured, and write the page."""
    held = json.loads(DATA.read_text()) if DATA.exists() else {}
    held |= {name: section.to_json() for name, section in made.items()}
    ordered = {name: held[name] for name in ALL if name in held}
    DATA.parent.mkdir(exist_ok=True)
    DATA.write_text(json.dumps(ordered, indent=1, ensure_ascii=False) + "\n")
    PAGE.write_text(report([Section.from_json(data) for data in ordered.values()]))
    print(f"\nwritten: {PAGE.relative_to(ROOT)}")


async def run(names: list[str], quick: bool) -> dict[str, Section]:
    """Measure one after another."""
    made = {}
    for name in names:
        began = time.monotonic()
        section = await ALL[name](quick)
        section.quick, section.seconds, section.machine = quick, time.monotonic() - began, machine()
        show(section)
        made[name] = section
    return made


def main() -> int:
    """Do what the command line says; gives 1 when a target was missed."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"what to measure: {', '.join(ALL)}")
    parser.add_argument("--quick", action="store_true", help="short and rough; writes nothing unless --write is given")
    parser.add_argument("--write", action="store_true", help="write the report although the run is quick")
    options = parser.parse_args()
    unknown = [name for name in options.names if name not in ALL]
    if unknown:
        parser.error(f"there is no {unknown[0]!r}; there are: {', '.join(ALL)}")
    made = asyncio.run(run(options.names or list(ALL), options.quick))
    if options.write or not options.quick:
        save(made)
    return 0 if all(target.met for section in made.values() for target in section.targets) else 1


if __name__ == "__main__":
    sys.exit(main())
