"""The demo: one turn whose first provider is rate limited, on the real OpenCode, told as a timeline.

Two scripted providers on loopback, an isolated home, the daemon that the plugin starts in it. Nothing of the user's is
read or written, and everything it starts ends with it.
"""

import asyncio
import json
import subprocess
import tempfile
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from textwrap import indent
from typing import Any

from sidecar.client import DaemonUnavailableError, call
from sidecar.demo.isolated import Isolated
from sidecar.demo.scripted import Reply, ScriptedProviders, Seen, limited
from sidecar.demo.served import Served, text_of

MODEL = "claude-sonnet-4-5"
ASKED = f"alpha/{MODEL}"
PROMPT = "Say hello."
ANSWER = "Hello from the second provider: the rate limit cost you nothing."
_LIMIT_S = 50.0
_TOAST_S = 2.0
_START_S = 5.0


@dataclass(frozen=True, slots=True)
class Moment:
    """Something that happened, in epoch seconds."""

    at: float
    text: str


async def show(binary: Path, plugin: Path, command: str, say: Callable[[str], None]) -> bool:
    """Run the demo with an OpenCode binary, the plugin's entry file and the sidecar's command; False when it failed.

    Raises:
        TimeoutError: it took longer than 50 seconds.
    """
    with tempfile.TemporaryDirectory(prefix="rls-demo-") as root:
        async with asyncio.timeout(_LIMIT_S), ScriptedProviders() as providers:
            home = Isolated(Path(root), binary, environment={"RATE_LIMIT_SIDECAR_COMMAND": command})
            try:
                return await _turn(home, providers, plugin, command, say)
            finally:
                _sidecar(home, command, "stop")


async def _turn(
    home: Isolated, providers: ScriptedProviders, plugin: Path, command: str, say: Callable[[str], None]
) -> bool:
    _set_up(home, providers, plugin)
    say("Two providers on loopback: alpha is rate limited, beta is healthy. Starting the real OpenCode …")
    async with Served(home) as served:
        session = await served.session()
        await _introduced(home)
        began = time.time()
        answer = await served.prompt(session, PROMPT)
        ended = time.time()
        await served.toast(within_s=_TOAST_S)
        toasts = list(served.toasts)
    source = answer["info"]["providerID"]
    moments = [
        Moment(began, f"prompt for {ASKED}: {PROMPT}"),
        *(Moment(seen.at, _request(seen)) for seen in providers.requests),
        *_decisions(home.state / "sidecar.log"),
        *(Moment(at, f"toast: {toast.get('title')}") for at, toast in toasts),
        Moment(ended, f"answer from {source}: {text_of(answer)}"),
    ]
    say("")
    for moment in sorted(moments, key=lambda m: m.at):
        say(f"  {(moment.at - began) * 1000:7.0f} ms  {moment.text}")
    for _, toast in toasts:
        say(f"\nThe toast:\n  {toast.get('title')}\n  {toast.get('message')}")
    say("\nrate-limit-sidecar status:\n" + indent(_sidecar(home, command, "status"), "  "))
    return bool(text_of(answer) == ANSWER and source == "beta" and toasts)


async def _introduced(home: Isolated) -> None:
    """Wait until the plugin has found its daemon, so that the timeline shows a switch and not a first start."""
    with suppress(TimeoutError):
        async with asyncio.timeout(_START_S):
            while True:
                with suppress(DaemonUnavailableError):
                    if (await asyncio.to_thread(call, home.socket, "GET", "/v1/status"))["hello_at"] is not None:
                        return
                await asyncio.sleep(0.1)


def _set_up(home: Isolated, providers: ScriptedProviders, plugin: Path) -> None:
    entries = {
        name: {
            "options": {"baseURL": providers.base_url(name), "apiKey": "no-key-needed"},
            "models": {MODEL: {}, "titles": {}},
        }
        for name in ("alpha", "beta")
    }
    home.configure(entries, plugin=plugin, model=ASKED, small_model="beta/titles")
    home.limits({"providers": {"alpha": {"limits": {"rpm": 50}}}})
    providers.script(ASKED, limited(429, retry_after="250", message="Rate limit reached for requests"))
    providers.script(f"beta/{MODEL}", Reply(text=ANSWER))


def _request(seen: Seen) -> str:
    if seen.provider == "alpha":
        return f"request at {seen.target}: 429, retry-after 250"
    return f"request at {seen.target}: 200" + (" (the session's title)" if seen.model == "titles" else "")


def _decisions(log: Path) -> list[Moment]:
    """Read what the daemon decided from its own log."""
    found: list[Moment] = []
    for line in log.read_text(encoding="utf-8").splitlines():
        entry: dict[str, Any] = json.loads(line)
        if entry["event"] == "switch":
            at = datetime.fromisoformat(entry["time"]).timestamp()
            found.append(Moment(at, f"decision: {entry['from']} → {entry['to']} ({entry['code']})"))
    return found


def _sidecar(home: Isolated, command: str, *arguments: str) -> str:
    """Run one of the sidecar's commands in the isolated home; gives what it printed."""
    return subprocess.run(  # noqa: S603 - our own command
        [command, *arguments], env=home.environment, capture_output=True, text=True, timeout=15, check=False
    ).stdout
