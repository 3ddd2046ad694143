"""Twenty daemons started at the same moment: one serves, the others say who does and end with 3."""

import time

from benchmarks.reliability.findings import Finding
from benchmarks.reliability.process import Home, eventually
from sidecar.daemon.lifecycle import EXIT_ALREADY_RUNNING

STARTS = 20


def measure(rounds: int = 5) -> list[Finding]:
    """Start twenty at once, `rounds` times; what serves is killed each time and leaves socket and lock behind."""
    served, refused, named = 0, 0, 0
    slowest = 0.0
    with Home() as home:
        for _ in range(rounds):
            began = time.monotonic()
            children = [home.spawn() for _ in range(STARTS)]
            eventually(lambda: home.health() is not None, "one serves", 60)
            slowest = max(slowest, time.monotonic() - began)
            one = next(child for child in children if child.pid == (home.health() or {})["pid"])
            others = [child for child in children if child is not one]
            for child in others:
                said = child.communicate(timeout=60)[1]
                refused += child.returncode == EXIT_ALREADY_RUNNING
                named += "already running" in said and said.count("\n") == 1
            served += one.poll() is None and (home.health() or {})["pid"] == one.pid
            home.kill(one)
    expected = rounds * (STARTS - 1)
    return [
        Finding(
            "Of twenty simultaneous starts one serves, and nineteen say that one does and end with 3",
            "real processes, every round but the first after a `kill -9` that left socket and lock behind",
            f"{rounds} rounds: {served} of {rounds} served, {refused} of {expected} ended with 3, {named} in one "
            f"line; an answer after {slowest:.1f} s at the latest",
            served == rounds and refused == named == expected,
        )
    ]
