"""What asking and reporting cost over the socket, from Bun with the plugin's own transport, beside a bare echo."""

import json
from pathlib import Path

from benchmarks.figures import Section, percentile
from benchmarks.process import BUN, daemon, echo, output

SCRIPT = Path(__file__).with_name("round_trip.ts")
RATIO, P99_MS = 1.5, 5.0


async def measure(quick: bool) -> Section:
    """Ask and report in turns with the same two bodies sent to a bare aiohttp server on a socket of the same kind."""
    section = Section(
        "round_trip",
        "Asking and reporting over the socket",
        "From Bun, with the plugin's transport. A round is a question (`route`) and a report (`outcome`), to the "
        "daemon and then, with the same bodies, to an aiohttp server that gives back what it gets. The daemon answers "
        "a report when what it changed outlives a `kill -9`; the plugin does not wait for the report of a request that "
        "was answered.",
    )
    async with daemon() as (socket, _), echo() as bare:
        rounds = 300 if quick else 3_000
        command = (str(BUN), str(SCRIPT), str(socket), str(bare), str(rounds))
        times = json.loads(await output(*command, home=socket.parent))
    names = {"route": "question", "outcome": "report, saved", "both": "question and report"}
    medians = {}
    for kind, words in names.items():
        medians[kind] = section.add(f"{words}: daemon", "ms", times[f"daemon {kind}"]).median
        medians[f"echo {kind}"] = section.add(f"{words}: echo", "ms", times[f"echo {kind}"]).median
    section.target("question against the echo", medians["route"] / medians["echo route"], "x", RATIO)
    section.target("question and report against two echoes", medians["both"] / medians["echo both"], "x", RATIO)
    section.target("question, p99", percentile(times["daemon route"], 99), "ms", P99_MS)
    section.target("question and report, p99", percentile(times["daemon both"], 99), "ms", P99_MS)
    return section
