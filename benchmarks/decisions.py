"""How long the engine takes to decide, by how many providers are connected: no socket, no disk, no JSON."""

import gc
import time
from collections.abc import Callable

from benchmarks.figures import Section
from benchmarks.world import NOW, engine, message, refused, route

SIZES = (4, 16, 100, 1_000)
ATTEMPTS_US, GROWTH = 20.0, 2.0


def _times(runs: int, act: Callable[[int], object]) -> list[float]:
    """Give the microseconds each of `runs` calls took, after some that do not count."""
    warm = runs // 10
    taken = []
    for run in range(runs + warm):
        began = time.perf_counter()
        act(run)
        taken.append((time.perf_counter() - began) * 1e6)
    return taken[warm:]


async def measure(quick: bool) -> Section:
    """Measure an attempt that may be sent, a message that opens a turn, and a refusal that switches."""
    section = Section(
        "decisions",
        "Deciding",
        "The engine alone, called in process. `attempt`: may this request be sent (yes). `message`: where does a turn "
        "open. `switch`: a 429 is classified, the target cools down, the next one is chosen. Each window has four "
        "models a provider, one of them offered by a quarter of all providers.",
    )
    runs = 500 if quick else 5_000
    medians: dict[tuple[str, int], float] = {}
    for size in SIZES:
        world = engine(size)
        asked = [(route(f"a{run}", f"u{run // 5}"), NOW + run / 100) for run in range(runs * 2)]
        opened = [(message(f"m{run}"), NOW + 600 + run / 100) for run in range(runs * 2)]
        # A turn at a time, each refused once: an hour apart, so that nothing of the last one is left.
        failed = [(refused(f"f{run}", f"t{run}"), NOW + 7_200 + run * 3_600) for run in range(runs)]
        # As the daemon does it: what is there for good is not looked at by the collector again.
        gc.collect()
        gc.freeze()
        kinds = {
            "attempt": _times(runs, lambda run, a=asked, w=world: w.route(*a[run])),  # type: ignore[misc]
            "message": _times(runs, lambda run, a=opened, w=world: w.route(*a[run])),  # type: ignore[misc]
            "switch": _times(runs // 2, lambda run, a=failed, w=world: w.outcome(*a[run])),  # type: ignore[misc]
        }
        for kind, values in kinds.items():
            medians[kind, size] = section.add(f"{kind}, {size:,} providers", "µs", values).median
        assert world.outcome(*failed[-1]).action == "switch"
    section.target("attempt decision at 16 providers", medians["attempt", 16], "µs", ATTEMPTS_US)
    for kind in ("attempt", "switch"):
        for small, large in ((16, 100), (100, 1_000)):
            growth = medians[kind, large] / medians[kind, small]
            section.target(f"{kind} decision, growth from {small} to {large:,} providers", growth, "x", GROWTH)
    first = engine(1_000)
    began = time.perf_counter()
    first.outcome(refused("first", "first"), NOW)
    section.single("first switch of a window with 1,000 providers", "ms", (time.perf_counter() - began) * 1000)
    return section
