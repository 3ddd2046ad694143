"""One small request to one target, sent by OpenCode itself, and everything that is known of how it ended.

OpenCode sends it, because only OpenCode has the key: logins, keys in the environment and keys in its configuration are
found as in daily use, and none of them passes through here. The plugin in that OpenCode talks to a socket of ours that
stands before the daemon's: attempts and outcomes pass through it, so that they count like any other; but nothing is
held back or moved to another provider, and after the first outcome it is over, because OpenCode would try again.
"""

import asyncio
import json
import os
import shutil
import signal
import tempfile
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import aiohttp
from aiohttp import web

import sidecar
from sidecar import opencode_config
from sidecar.client import HOST
from sidecar.core.events import PROTOCOL
from sidecar.core.target import Target
from sidecar.installation import Installation, shim_source
from sidecar.paths import Paths
from sidecar.redact import redact

AGENT = "rate-limit-test"
PROMPT = "Reply with the single word OK."
# For OpenCode to start, which can mean installing what it needs for plugins, and for the provider to answer.
PATIENCE_S = 120.0
_CLOSING_S = 5.0
_SAID = 2_000


@dataclass(slots=True)
class Result:
    """How it ended.

    `outcome` is the plugin's report of the attempt and `answer` what the daemon made of it; both None when OpenCode
    sent no request, and then `said` is what it said instead.
    """

    outcome: dict[str, Any] | None = None
    answer: dict[str, Any] | None = None
    said: str = ""
    timed_out: bool = False


@dataclass(slots=True)
class Probe:
    """The socket before the daemon's; an async context manager."""

    daemon: Path
    place: Path
    directory: str
    result: Result = field(default_factory=Result)
    ended: asyncio.Event = field(default_factory=asyncio.Event)
    _runner: web.AppRunner | None = None
    _session: aiohttp.ClientSession | None = None

    async def __aenter__(self) -> Self:
        """Listen."""
        self._session = aiohttp.ClientSession(
            f"http://{HOST}", connector=aiohttp.UnixConnector(str(self.daemon)), timeout=aiohttp.ClientTimeout(10)
        )
        app = web.Application(client_max_size=2**21)
        app.router.add_post("/v1/hello", self._hello)
        app.router.add_post("/v1/route", self._route)
        app.router.add_post("/v1/outcome", self._outcome)
        app.router.add_post("/v1/events", self._events)
        self._runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.5)
        await self._runner.setup()
        await web.UnixSite(self._runner, str(self.place)).start()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Stop listening."""
        if self._runner is not None:
            await self._runner.cleanup()
        if self._session is not None:
            await self._session.close()

    async def _hello(self, _request: web.Request) -> web.Response:
        # Not passed on: this window is none of the user's, and its directory will be gone in a moment.
        return web.json_response({"protocol": PROTOCOL, "version": sidecar.__version__, "toasts": False})

    async def _route(self, request: web.Request) -> web.Response:
        body = await request.json()
        if body.get("at") == "attempt" and not self.ended.is_set():
            await self._pass_on("/v1/route", self._as_ours(body))
        return web.json_response(_PROCEED)

    async def _outcome(self, request: web.Request) -> web.Response:
        body = await request.json()
        if body.get("ended") != "aborted" and self.result.outcome is None:
            self.result.outcome = body
            self.result.answer = await self._pass_on("/v1/outcome", self._as_ours(body))
            self.ended.set()
        return web.json_response(_PROCEED)

    async def _events(self, request: web.Request) -> web.Response:
        body = await request.json()
        await self._pass_on("/v1/events", {**body, "directory": self.directory})
        return web.json_response({"accepted": len(body.get("events", ()))})

    def _as_ours(self, body: dict[str, Any]) -> dict[str, Any]:
        # `fixed`: it is counted and classified, and announces no switch, as none is made.
        return {**body, "directory": self.directory, "mobility": "fixed"}

    async def _pass_on(self, route: str, body: dict[str, Any]) -> dict[str, Any] | None:
        if self._session is None:
            return None
        try:
            async with self._session.post(route, json=body) as answer:
                said = await answer.json()
        except (aiohttp.ClientError, TimeoutError, ValueError):
            return None
        return said if answer.status == 200 and isinstance(said, dict) else None  # noqa: PLR2004 - HTTP OK


_PROCEED = {"action": "proceed", "reason": {"code": "test", "text": "sent for a test"}}


async def probe(target: Target, paths: Paths, executable: Path, env: Mapping[str, str] = os.environ) -> Result:
    """Have OpenCode send the request and wait for its end, `PATIENCE_S` seconds at the most."""
    here = Path.cwd()
    place = Path(tempfile.mkdtemp(prefix="rls-"))
    try:
        async with Probe(paths.socket, place / "test.sock", str(here)) as watched:
            project = place / "project"
            project.mkdir()
            said = place / "said"
            # Into a file: a pipe stays open as long as anything OpenCode has started lives.
            with said.open("wb") as output:
                process = await asyncio.create_subprocess_exec(
                    executable,
                    *("run", "--model", str(target), "--agent", AGENT, "--title", "Test of a provider", PROMPT),
                    cwd=project,
                    env=_environment(paths, watched.place, here, env),
                    stdin=asyncio.subprocess.DEVNULL,
                    stdout=output,
                    stderr=output,
                    start_new_session=True,
                )
            await _wait(process, watched)
            watched.result.said = redact(said.read_text(encoding="utf-8", errors="replace"))[-_SAID:].strip()
            return watched.result
    finally:
        shutil.rmtree(place, ignore_errors=True)


async def _wait(process: asyncio.subprocess.Process, watched: Probe) -> None:
    gone = asyncio.ensure_future(process.wait())
    over = asyncio.ensure_future(watched.ended.wait())
    try:
        await asyncio.wait((gone, over), timeout=PATIENCE_S, return_when=asyncio.FIRST_COMPLETED)
        watched.result.timed_out = not (gone.done() or over.done())
        outcome = watched.result.outcome
        if outcome is not None and outcome.get("ended") == "ok":
            # What it cost is reported after the answer.
            await asyncio.wait((gone,), timeout=_CLOSING_S)
    finally:
        over.cancel()
        # All of them: some installations begin with a script that starts the program, which would go on trying.
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        await gone


def _environment(paths: Paths, socket: Path, here: Path, env: Mapping[str, str]) -> dict[str, str]:
    """Give the environment of that OpenCode: the user's, with our socket and an agent without tools; no traces left."""
    config = opencode_config.read(here, env)
    content: dict[str, Any] = {
        "share": "disabled",
        "autoupdate": False,
        "agent": {AGENT: {"mode": "primary", "description": "A test", "prompt": PROMPT, "tools": {"*": False}}},
    }
    installation = Installation(paths)
    if not installation.user_plugin.exists() and not any(
        "rate-limit-sidecar" in spec or "plugin-shim" in spec for spec, _ in _own_plugins(config)
    ):
        content["plugin"] = [(shim_source() / "src" / "server.ts").as_uri()]
    merged = {**env, "RATE_LIMIT_SOCKET": str(socket), "OPENCODE_DB": ":memory:"}
    given = next((s.value for s in config.sources if s.name == "OPENCODE_CONFIG_CONTENT"), {})
    merged["OPENCODE_CONFIG_CONTENT"] = json.dumps(_laid_over(dict(given), content))
    # It does not run in the project, so that nothing of the project is read but its configuration.
    project = next((s.name for s in reversed(config.sources) if not s.own), None)
    if project is not None and not env.get("OPENCODE_CONFIG"):
        merged["OPENCODE_CONFIG"] = project
    return merged


def _own_plugins(config: opencode_config.OpenCodeConfig) -> list[tuple[str, str]]:
    own = {source.name for source in config.sources if source.own}
    return [(spec, name) for spec, name in config.plugins() if name in own]


def _laid_over(below: dict[str, Any], above: dict[str, Any]) -> dict[str, Any]:
    merged = dict(below)
    for key, value in above.items():
        old = merged.get(key)
        if isinstance(old, dict) and isinstance(value, dict):
            merged[key] = _laid_over(old, value)
        elif isinstance(old, list) and isinstance(value, list):
            merged[key] = [*old, *value]
        else:
            merged[key] = value
    return merged
