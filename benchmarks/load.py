"""Ten thousand events a second through the socket, in batches as the plugin sends them, for a minute."""

import asyncio
import statistics
import time
from typing import Any

import aiohttp

from benchmarks.figures import Section, percentile
from benchmarks.process import daemon, memory_mb

RATE, BATCH = 10_000, 50  # events a second; the plugin's largest batch
P99_MS, GROWTH = 5.0, 1.05
PROVIDERS, SESSIONS = 8, 40
# Memory is compared from here on: a daemon that just started still fills its bounded rooms.
SETTLED = 1 / 3


def _batch(number: int) -> dict[str, Any]:
    """Give what ten steps of ten conversations put on the bus: per step a message, its states, its end."""
    events: list[dict[str, Any]] = []
    for step in range(BATCH // 5):
        count = number * (BATCH // 5) + step
        session, provider = f"ses_{count % SESSIONS}", f"provider-{count % PROVIDERS}"
        info = {
            "id": f"msg_{count}",
            "sessionID": session,
            "role": "assistant",
            "parentID": f"msg_u{count}",
            "agent": "build",
            "providerID": provider,
            "modelID": f"model-{count % 3}",
            "cost": 0.001,
            "tokens": {"input": 900, "output": 200, "reasoning": 0, "cache": {"read": 4_000, "write": 0}},
            "time": {"created": 1, "completed": 2},
            "finish": "stop",
        }
        status = {"sessionID": session, "status": {"type": "busy"}}
        events += [
            {"type": "session.status", "properties": status},
            {"type": "session.status", "properties": status},
            {"type": "message.updated", "properties": {"info": info}},
            {"type": "session.status", "properties": {"sessionID": session, "status": {"type": "idle"}}},
            {"type": "session.idle", "properties": {"sessionID": session}},
        ]
    return {"directory": "/work", "reports_attempts": False, "events": events}


async def measure(quick: bool) -> Section:
    """Send batches at a fixed rate; a batch is timed from when it was due, so that a stall counts for all it delays."""
    seconds = 10 if quick else 60
    section = Section(
        "load",
        f"{RATE:,} events a second",
        f"Batches of {BATCH} events, {RATE // BATCH} a second for {seconds} s, from one client over one socket; a "
        "batch is answered when what it says outlives a `kill -9`, and timed from the moment it was due. Some forty "
        "windows at work send about a hundred events a second.",
    )
    taken: list[float] = []
    memory: list[float] = []
    async with daemon() as (socket, pid):
        connector = aiohttp.UnixConnector(str(socket), limit=16)
        async with aiohttp.ClientSession(connector=connector, headers={"Host": "rate-limit-sidecar"}) as client:
            sending: set[asyncio.Task[None]] = set()
            began = time.perf_counter()

            async def send(number: int, due: float) -> None:
                async with client.post("http://localhost/v1/events", json=_batch(number)) as answer:
                    assert answer.status == 200, await answer.text()
                    await answer.read()
                taken.append((time.perf_counter() - due) * 1000)

            for number in range(seconds * RATE // BATCH):
                due = began + number * BATCH / RATE
                await asyncio.sleep(max(0.0, due - time.perf_counter()))
                task = asyncio.create_task(send(number, due))
                sending.add(task)
                task.add_done_callback(sending.discard)
                if number % (RATE // BATCH) == 0:
                    memory.append(memory_mb(pid))
            await asyncio.gather(*sending)
            took = time.perf_counter() - began
    section.add("answer to a batch", "ms", taken)
    section.single("events a second that were taken", "", len(taken) * BATCH / took)
    settled = memory[int(len(memory) * SETTLED) :]
    early, late = statistics.median(settled[: len(settled) // 3]), statistics.median(settled[-len(settled) // 3 :])
    section.single("memory after a third of the time", "MB", early)
    section.single("memory at the end", "MB", late)
    section.target("answer to a batch, p99", percentile(taken, 99), "ms", P99_MS)
    section.target("memory at the end against that after a third of the time", late / early, "x", GROWTH)
    return section
