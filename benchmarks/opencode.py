"""What a person at OpenCode waits for: the handover after a refusal, and what a healthy request costs more.

On the real binary, as a server, against scripted providers on loopback. Homes that differ in nothing but the plugin
take turns, so that whatever else the machine does meets all of them. Healthy turns are measured in sessions where
nothing ever failed: a handover makes the conversation longer, and what comes after it asks again.
"""

import asyncio
import json
import statistics
import time
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import aiohttp
from aiohttp import web

from benchmarks.figures import Section
from benchmarks.process import SHIM, SIDECAR, directory
from sidecar.client import call
from sidecar.demo.isolated import Isolated
from sidecar.demo.scripted import Reply, ScriptedProviders, limited
from sidecar.demo.served import Served
from sidecar.opencode_binary import OpenCodeMissingError, on_this_machine

HANDOVER, OVERHEAD_MS = 1.3, 1.0
# A provider that answers at once would let the request compete with what OpenCode does after sending it.
THINK_S = 0.15
# What a turn leaves behind (titles, summaries, batches of events) must not reach into the next one.
SETTLE_S = 0.25
WARM = 6
HEALTHY = 60
TIMED = 100
TURNS = 10
PLAIN_RETRIES = 5
NAMES = ("alpha", "beta")
TIMES = "times"
PARTS = {
    "out": "on the request's way out",
    "back": "at the beginning of the answer",
    "rest": "in the rest of the answer",
    "hooks": "in hooks OpenCode waits for",
    "events": "in events",
}
STOPWATCH = Path(__file__).with_name("timed_plugin.ts")
FILE = "note.txt"
TOOLS: dict[str, tuple[str, Callable[[Isolated], dict[str, Any]]]] = {
    "a tool that reads one line": ("read", lambda home: {"filePath": str(home.project / FILE)}),
    "a call of a tool that is not there": ("nothing_of_that_name", lambda _home: {}),
}


@dataclass(frozen=True, slots=True)
class Exchange:
    """One request at a provider: when it arrived and when the last byte of its answer was sent (seconds)."""

    provider: str
    arrived: float
    ended: float


class Timed(ScriptedProviders):
    """Scripted providers that note when each exchange began and ended, and take a moment before they answer."""

    def __init__(self) -> None:
        super().__init__()
        self.exchanges: list[Exchange] = []

    async def _answer(self, *arguments: Any) -> web.StreamResponse:
        arrived = time.perf_counter()
        request = next(one for one in arguments if isinstance(one, web.Request))
        await asyncio.sleep(THINK_S)
        response = await super()._answer(*arguments)
        if response.prepared:
            with suppress(ConnectionError):
                await response.write_eof()
        self.exchanges.append(Exchange(request.match_info["provider"], arrived, time.perf_counter()))
        return response


@dataclass(slots=True)
class Turn:
    """One turn from outside: asked, its exchanges, first text at the front end, over (all in seconds)."""

    asked: float
    exchanges: list[Exchange]
    first_text: float
    over: float


@dataclass(slots=True)
class Front:
    """A front end at one server: sends prompts, hears the event stream."""

    home: Isolated
    served: Served
    providers: Timed
    texts: list[float] = field(default_factory=list)
    session: str = ""
    turns: int = 0

    async def hear(self, client: aiohttp.ClientSession, url: str) -> None:
        """Note when text of an answer arrives."""
        query = {"directory": str(self.home.project)}
        async with client.get(f"{url}/event", params=query, timeout=aiohttp.ClientTimeout(total=None)) as stream:
            async for line in stream.content:
                if line.startswith(b"data:") and b"answer from" in line:
                    self.texts.append(time.perf_counter())

    async def turn(self) -> Turn:
        """Have a turn; each session has some, and a title, so that none is asked for."""
        if self.turns % TURNS == 0:
            self.session = await self.served.session("measured")
            await asyncio.sleep(SETTLE_S)
        self.turns += 1
        before, heard = len(self.providers.exchanges), len(self.texts)
        asked = time.perf_counter()
        await self.served.prompt(self.session, "say something")
        over = time.perf_counter()
        await asyncio.sleep(SETTLE_S)
        first = self.texts[heard] if len(self.texts) > heard else over
        return Turn(asked, self.providers.exchanges[before:], first, over)


PLUGIN = SHIM / "src" / "server.ts"
IDLE = """
export default {
  id: "idle",
  server: async () => ({ event: async () => {}, "chat.message": async () => {}, "chat.headers": async () => {} }),
}
"""
"""A plugin with our hooks that does nothing in them: what OpenCode itself takes for having any."""


def _configure(home: Isolated, providers: Timed, shim: Path | None) -> None:
    entries = {
        name: {
            "options": {"baseURL": providers.base_url(name), "apiKey": "none"},
            "models": {"m1": {"limit": {"context": 100_000, "output": 8_000}}},
        }
        for name in NAMES
    }
    home.configure(entries, plugin=shim, model="alpha/m1", small_model="alpha/m1")
    (home.project / FILE).write_text("one line\n")


@asynccontextmanager
async def _fronts(plugins: Mapping[str, Path | None], *, timed: bool = False) -> AsyncIterator[dict[str, Front]]:
    """Start a server for each plugin, by its name; gives the front ends by the same names.

    `timed` puts the stopwatch around each plugin; what it measured is in the file `times` of the front end's project.
    """
    binary = on_this_machine()
    if binary is None:
        raise OpenCodeMissingError("OPENCODE_BIN does not name an OpenCode; ./setup.sh --test installs one")
    async with AsyncExitStack() as stack:
        root = stack.enter_context(directory())
        providers = await stack.enter_async_context(Timed())
        # OpenCode installs what plugins need once a home: one does, the others take it over.
        furnished = Isolated(root / "f", binary)
        empty = root / "empty.ts"
        empty.write_text("export default { id: 'empty', server: async () => ({}) }\n")
        furnished.configure({}, plugin=empty)
        await furnished.run("models")
        client = await stack.enter_async_context(aiohttp.ClientSession())
        fronts: dict[str, Front] = {}
        for number, (name, plugin) in enumerate(plugins.items()):
            home = Isolated(root / str(number), binary, environment={"RATE_LIMIT_SIDECAR_COMMAND": str(SIDECAR)})
            home.share(furnished)
            home.environment |= {"TIMED": str(plugin), "TIMES": str(home.project / TIMES)}
            _configure(home, providers, STOPWATCH if timed else plugin)
            served = await stack.enter_async_context(Served(home))
            front = fronts[name] = Front(home, served, providers)
            hearing = asyncio.create_task(front.hear(client, served.url))
            stack.callback(hearing.cancel)
            if plugin == PLUGIN:
                stack.push_async_callback(_stop_daemon, home)
        yield fronts


async def _stop_daemon(home: Isolated) -> None:
    process = await asyncio.create_subprocess_exec(
        SIDECAR, "stop", env=home.environment, stdout=asyncio.subprocess.DEVNULL, stderr=asyncio.subprocess.DEVNULL
    )
    await process.wait()


def _forget(front: Front) -> None:
    """Have the daemon forget every cooldown."""
    call(front.home.socket, "POST", "/v1/reset", {})


class Measured:
    """Everything that was timed, by what it is, in milliseconds."""

    def __init__(self) -> None:
        self.values: dict[str, list[float]] = {}

    def add(self, what: str, seconds: float) -> None:
        """Take one time."""
        self.values.setdefault(what, []).append(seconds * 1000)

    async def gap(self, front: Front, who: str) -> None:
        """Time OpenCode's own way from the end of one step to the request of the next, for each tool."""
        for words, (tool, arguments) in TOOLS.items():
            front.providers.script(
                "alpha/m1", Reply(tools=[(tool, arguments(front.home))]), Reply(text="answer from alpha")
            )
            turn = await front.turn()
            first, second = turn.exchanges
            self.add(f"gap after {words}, {who}", second.arrived - first.ended)

    async def handover(self, front: Front) -> None:
        """Time the way from a refusal to the next provider."""
        front.providers.script("alpha/m1", limited(429, retry_after="600"))
        turn = await front.turn()
        refused, answered = turn.exchanges
        assert (refused.provider, answered.provider) == NAMES
        self.add("from the refusal to the request at the next provider", answered.arrived - refused.ended)
        self.add("from the refusal to the first token at the front end", turn.first_text - refused.ended)
        _forget(front)

    async def healthy(self, front: Front, who: str) -> None:
        """Time a turn that nothing is wrong with."""
        front.providers.script("alpha/m1", Reply(text="answer from alpha"))
        turn = await front.turn()
        (only,) = turn.exchanges
        self.add(f"healthy: prompt to request, {who}", only.arrived - turn.asked)
        self.add(f"healthy: last byte to the end of the turn, {who}", turn.over - only.ended)

    async def retried(self, front: Front) -> None:
        """Time what OpenCode does about a refusal by itself: the same provider again, here no longer limited."""
        front.providers.script("alpha/m1", limited(429), Reply(text="answer from alpha"))
        turn = await front.turn()
        refused, again = turn.exchanges
        self.add("plain OpenCode: from the refusal to its own retry", again.arrived - refused.ended)
        self.add("plain OpenCode: from the refusal to the first token", turn.first_text - refused.ended)


async def _stopwatch(rounds: int, idle: Path) -> dict[str, list[float]]:
    """Give what the stopwatch read (ms) with the plugin, less the median of what it read with an idle one."""
    made = Measured()
    async with _fronts({"ours": PLUGIN, "idle": idle}, timed=True) as fronts:
        for _ in range(WARM + rounds):
            for name, front in fronts.items():
                await made.healthy(front, name)
        read = {
            name: [json.loads(line) for line in (front.home.project / TIMES).read_text().splitlines()[WARM:]]
            for name, front in fronts.items()
        }
    own = {part: statistics.median(one[part] for one in read["idle"]) for part in PARTS}
    parts = {words: [one[part] - own[part] for one in read["ours"]] for part, words in PARTS.items()}
    return {f"of it {words}": values for words, values in parts.items()} | {
        "added to a healthy request": [sum(one) for one in zip(*parts.values(), strict=True)]
    }


async def _all(healthy: int, rounds: int, retries: int, idle_plugin: Path) -> Measured:
    made = Measured()
    plugins = {"with the plugin": PLUGIN, "with an idle plugin": idle_plugin, "without": None}
    async with _fronts(plugins) as fronts:
        with_plugin, _, without = fronts.values()
        who = [(front, words) for words, front in fronts.items()]
        for count in range(WARM + healthy):
            if count == WARM:
                made = Measured()  # what was measured while everything was being compiled does not count
            first = count % len(who)
            for front, words in who[first:] + who[:first]:
                await made.healthy(front, words)
        kept = made
        for count in range(WARM + rounds):
            if count == WARM:
                made = Measured()
            # Each goes first half of the time.
            for front, words in who[:: 2 if count % 2 else -2]:
                await made.gap(front, words)
            await made.handover(with_plugin)
        for _ in range(retries):
            await made.retried(without)
    made.values = kept.values | made.values
    return made


async def measure(quick: bool) -> Section:
    """Measure all of it in turns."""
    section = Section(
        "opencode",
        "In OpenCode",
        "The real binary as a server, homes in turns, ten turns to a session. The floor of a handover "
        "is OpenCode's own gap between two steps without the plugin: from the last byte of an answer that calls a "
        "tool to the arrival of the next request; measured with a tool that reads one line and, harder, with a call of "
        "a tool that is not there, which runs nothing at all. A handover is measured from the "
        f"refusal to the arrival at the next provider. Every answer and refusal takes {THINK_S * 1000:.0f} ms, as no "
        "real provider's comes at once. Healthy turns differ by more from one to the next than by any plugin; what the "
        "plugin adds is therefore read from a stopwatch around it, inside OpenCode: the time between a request or a "
        "piece of its answer going into the plugin and coming out, the hooks OpenCode waits for, and what others take "
        "before they give way, less what the same stopwatch reads around a plugin that has the same hooks and does "
        "nothing in them.",
    )
    with directory() as root:
        idle = root / "idle.ts"
        idle.write_text(IDLE)
        made = await (_all(6, 6, 1, idle) if quick else _all(HEALTHY, 40, PLAIN_RETRIES, idle))
        timed = await _stopwatch(12 if quick else TIMED, idle)
    figures = {what: section.add(what, "ms", values).median for what, values in (made.values | timed).items()}
    handover = figures["from the refusal to the request at the next provider"]
    for words in TOOLS:
        floor = figures[f"gap after {words}, without"]
        section.target(f"handover against OpenCode's own gap after {words}", handover / floor, "x", HANDOVER)
    section.target("added to a healthy request", figures["added to a healthy request"], "ms", OVERHEAD_MS)
    return section
