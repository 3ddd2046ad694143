"""How long the state takes to save and how large it is, after how many attempts: it must not grow without end."""

import asyncio
import time
from pathlib import Path

from benchmarks.figures import Section
from benchmarks.process import directory
from benchmarks.world import NOW, engine
from sidecar.core.engine import Engine
from sidecar.core.events import EditorEvents, Route
from sidecar.daemon.store import Store

PROVIDERS, MODELS, AGENTS = 8, 3, ("build", "plan", "general")
EVERY_S = 2.6  # a million attempts are a month
SAVES, LINES = 30, 100
GROWTH = 1.5


class _Silence:
    def info(self, event: str, **_fields: object) -> None:
        """Say nothing."""

    def warning(self, event: str, **_fields: object) -> None:
        """Fail: a save that does not work is no measurement.

        Raises:
            RuntimeError: always.
        """
        raise RuntimeError(event)


def _attempt(world: Engine, count: int) -> float:
    """Let one attempt happen, with what it cost; gives when."""
    now = NOW + count * EVERY_S
    provider, model = f"provider-{count % PROVIDERS}", f"model-{count % MODELS}"
    agent, session = AGENTS[count % len(AGENTS)], f"ses_{count // 50}"
    about = {"session": session, "turn": f"u{count // 5}", "agent": agent, "directory": "/work", "attempt": f"a{count}"}
    world.route(Route.model_validate({**about, "target": {"provider": provider, "model": model}}), now)
    step = {"id": f"msg_{count}", "sessionID": session, "role": "assistant", "agent": agent, "providerID": provider}
    spent = {"modelID": model, "cost": 0.01, "tokens": {"input": 900, "output": 300}, "time": {"completed": 1}}
    events = [{"type": "message.updated", "properties": {"info": {**step, **spent}}}]
    batch = {"directory": "/work", "reports_attempts": True, "events": events}
    world.events(EditorEvents.model_validate(batch), now)
    return now


async def _saves_ms(path: Path, world: Engine, now: float) -> list[float]:
    store = Store(path, lambda: world.dump(now), _Silence())
    taken = []
    for _ in range(SAVES):
        began = time.perf_counter()
        assert await store.commit()
        taken.append((time.perf_counter() - began) * 1000)
        await asyncio.sleep(0)
    await store.close()
    return taken


async def _lines_ms(path: Path, world: Engine, first: int) -> list[float]:
    now = _attempt(world, first)
    store = Store(path, lambda: world.dump(now), _Silence(), changes=world.changes, lazy_s=3_600)
    assert await store.commit()
    taken = []
    for count in range(first + 1, first + 1 + LINES):
        now = _attempt(world, count)
        began = time.perf_counter()
        assert await store.commit()
        taken.append((time.perf_counter() - began) * 1000)
    assert store.writes == 1, "a line would have been a document"
    await store.close()
    return taken


async def measure(quick: bool) -> Section:
    """Save after each power of ten."""
    section = Section(
        "saving",
        "Saving the state",
        f"A month of attempts, one every {EVERY_S} s, over {PROVIDERS} providers, {MODELS} models and {len(AGENTS)} "
        "agents each. A line is what an event waits for: what it changed, handed to the kernel. A save follows within "
        "a second: the whole document written, fsync, rename, fsync of the directory.",
    )
    steps = (1_000, 10_000, 100_000) if quick else (1_000, 10_000, 100_000, 1_000_000)
    sizes, times = [], []
    world = engine(PROVIDERS)
    done = 0
    with directory() as made:
        for step in steps:
            now = NOW
            while done < step:
                done += 1
                now = _attempt(world, done)
                world.drain()
                world.drain_records()
            path = made / "state.json"
            times.append(section.add(f"save after {step:,} attempts", "ms", await _saves_ms(path, world, now)).median)
            section.add(f"line after {step:,} attempts", "ms", await _lines_ms(path, world, done + 1))
            done += 1 + LINES
            sizes.append(path.stat().st_size / 1024)
            section.single(f"size after {step:,} attempts", "KiB", sizes[-1])
    if quick:
        section.notes.append("A short run ends before all windows are full, so it says nothing about growth.")
        return section
    section.target("size of the state, last power of ten against the one before", sizes[-1] / sizes[-2], "x", GROWTH)
    section.target("time of a save, last power of ten against the one before", times[-1] / times[-2], "x", GROWTH)
    return section
