"""What the daemon weighs, how long it takes to be there, and how long `status` takes, beside the bare imports."""

import asyncio
import sys
import time
from pathlib import Path

from benchmarks.figures import Section
from benchmarks.process import SIDECAR, daemon, directory, environment, memory_mb, output, running, took_ms

# The tests need rich, and structlog loads it where it is; whoever installs the sidecar alone has none.
INSTALLED = "import sys; sys.modules['rich'] = None; "
BARE = INSTALLED + "import aiohttp, pydantic, structlog, watchfiles"
PARTS = (
    INSTALLED + "import aiohttp.web, structlog, watchfiles; "
    "from pydantic import create_model; create_model('M', number=(int, 0))"
)
SHOW = "; print(next(line.split()[1] for line in open('/proc/self/status') if line.startswith('VmRSS')))"
MEMORY, READY, STATUS_MS = 1.15, 1.5, 80.0
_SETTLE_S = 1.0


async def _imported_mb(code: str, home: Path) -> float:
    return int(await output(sys.executable, "-c", code + SHOW, home=home)) / 1024


async def _ready_ms() -> float:
    with directory() as home:
        began = time.perf_counter()
        async with running(str(SIDECAR), "serve", "--quiet", home=home, socket=home / "s.sock"):
            return (time.perf_counter() - began) * 1000


async def measure(quick: bool) -> Section:
    """Measure in turns: the bare import, the parts that are used, the daemon."""
    section = Section(
        "footprint",
        "Weight and start",
        "The bare import is a Python that imports aiohttp, pydantic, structlog and watchfiles and ends; the parts "
        "used are the same with aiohttp's server and one pydantic model, which nothing built on them can do without. "
        "Both find no rich, which structlog would load and only our tests bring along. "
        "Ready is the first answer over the socket. `status` is the whole command, from its start to its end.",
    )
    runs = 5 if quick else 25
    bare, parts, ready, status = [], [], [], []
    bare_mb, parts_mb, daemon_mb = [], [], []
    with directory() as home:
        for _ in range(runs):
            bare.append(await took_ms(sys.executable, "-c", BARE, home=home))
            parts.append(await took_ms(sys.executable, "-c", PARTS, home=home))
            ready.append(await _ready_ms())
        for _ in range(3 if quick else 9):
            bare_mb.append(await _imported_mb(BARE, home))
            parts_mb.append(await _imported_mb(PARTS, home))
            async with daemon() as (_, pid):
                await asyncio.sleep(_SETTLE_S)
                daemon_mb.append(memory_mb(pid))
    async with daemon() as (socket, _):
        home = socket.parent
        assert environment(home)["RATE_LIMIT_SOCKET"] == str(socket)
        status += [await took_ms(str(SIDECAR), "status", home=home) for _ in range(runs)]
    weight = section.add("memory of the daemon", "MB", daemon_mb).median
    light = section.add("memory of the bare import", "MB", bare_mb).median
    used = section.add("memory of the parts used", "MB", parts_mb).median
    there = section.add("start to ready", "ms", ready).median
    base = section.add("bare import", "ms", bare).median
    section.add("import of the parts used", "ms", parts)
    shown = section.add("`status`", "ms", status).median
    section.target("memory of the daemon against the bare import", weight / light, "x", MEMORY)
    section.target("memory of the daemon against the parts used", weight / used, "x", MEMORY)
    section.target("start to ready against the bare import", there / base, "x", READY)
    section.target("`status`, cold", shown, "ms", STATUS_MS)
    return section
