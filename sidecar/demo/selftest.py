"""The self-test: whether the handover works with one OpenCode executable, found out by doing one.

The real executable in a home of its own, with scripted providers on loopback and our plugin: the first provider says
429, and the turn must be answered by the second one, as if nothing had happened. Nothing of the user's own OpenCode is
read or written, and everything it starts ends with it.
"""

import asyncio
import json
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sidecar.demo.isolated import Isolated, Ran
from sidecar.demo.scripted import Reply, ScriptedProviders, limited
from sidecar.itself import words
from sidecar.opencode_binary import TESTED_VARIABLE, version_of

PROMPT = "This is the self-test of the rate-limit sidecar."
ANSWER = "Answered by the second provider."
MODEL = "lighthouse-1"
_RUN_S = 60.0
_COMMAND_S = 20.0


@dataclass(frozen=True, slots=True)
class Check:
    """One thing that must hold, in words."""

    holds: bool
    text: str


@dataclass(frozen=True, slots=True)
class Report:
    """What a self-test found; `took_s` is the time of the turn, in seconds."""

    version: str
    checks: tuple[Check, ...]
    took_s: float

    @property
    def passed(self) -> bool:
        """Whether everything holds."""
        return all(check.holds for check in self.checks)

    @property
    def why(self) -> str:
        """Say what does not hold."""
        return "; ".join(check.text for check in self.checks if not check.holds)


def own_version(binary: Path) -> str | None:
    """Ask an executable for its version without a trace in the user's own home; None when it tells none."""
    with tempfile.TemporaryDirectory(prefix="rls-", ignore_cleanup_errors=True) as root:
        return version_of(binary, Isolated(Path(root), binary).environment)


async def self_test(binary: Path, plugin: Path, version: str, *, timeout_s: float = _RUN_S) -> Report:
    """Do one handover with an OpenCode executable of `version` and our plugin's entry file.

    Raises:
        OSError: the executable cannot be started.
    """
    with tempfile.TemporaryDirectory(prefix="rls-", ignore_cleanup_errors=True) as made:
        root = Path(made)
        # The socket has a short name of its own: below the home it could be longer than a socket's may be.
        environment = {TESTED_VARIABLE: version, "RATE_LIMIT_SOCKET": str(root / "run" / "s")}
        async with ScriptedProviders() as providers:
            home = Isolated(root, binary, environment=environment)
            _set_up(home, providers, plugin)
            await asyncio.to_thread(_sidecar, home, "start")
            try:
                return await _turn(home, providers, version, timeout_s)
            finally:
                await asyncio.to_thread(_sidecar, home, "stop")


def _set_up(home: Isolated, providers: ScriptedProviders, plugin: Path) -> None:
    entries = {
        name: {"options": {"baseURL": providers.base_url(name), "apiKey": "no-key-needed"}, "models": {model: {}}}
        for name, model in (("first", MODEL), ("second", MODEL), ("titles", "titles"))
    }
    home.configure(entries, plugin=plugin, model=f"first/{MODEL}", small_model="titles/titles")
    home.offline()
    providers.script(f"first/{MODEL}", limited(429, retry_after="600"))
    providers.script(f"second/{MODEL}", Reply(text=ANSWER))


async def _turn(home: Isolated, providers: ScriptedProviders, version: str, timeout_s: float) -> Report:
    began = time.monotonic()
    try:
        ran = await home.run("run", PROMPT, timeout_s=timeout_s)
    except TimeoutError:
        asked = ", ".join(seen.target for seen in providers.requests) or "nobody"
        late = Check(holds=False, text=f"no end after {timeout_s:g} s; asked were: {asked}")
        return Report(version, (late,), time.monotonic() - began)
    took = time.monotonic() - began
    messages: list[Any] = []
    session = next((seen.headers.get("x-session-id") for seen in providers.asked("first/")), None)
    if session:
        with suppress(TimeoutError, ValueError, KeyError, TypeError):
            messages = json.loads((await home.run("export", session, timeout_s=timeout_s)).out)["messages"]
    return Report(version, tuple(_checks(ran, providers, messages)), took)


def _checks(ran: Ran, providers: ScriptedProviders, messages: list[Any]) -> Iterator[Check]:
    last = " ".join(ran.err.split())[-200:]
    yield Check(ran.code == 0, f"exit code {ran.code}" + (f" ({last})" if ran.code else ""))
    yield Check(ANSWER in ran.out, _whether(ANSWER in ran.out, "the turn was", "answered by the second provider"))
    for name in ("first", "second"):
        asked = providers.asked(f"{name}/{MODEL}")
        yield Check(len(asked) == 1, f"{_count(len(asked), 'request')} to the {name} provider")
    said = [sum(PROMPT in text for text in seen.texts) for seen in providers.asked(f"second/{MODEL}")]
    yield Check(said == [1], _whether(said == [1], "the second provider was", "asked with the prompt, once"))
    roles = [message["info"]["role"] for message in messages]
    yield Check(roles.count("user") == 1, f"{_count(roles.count('user'), 'user message')} in the session")
    recorded = [m["info"].get("providerID") for m in messages if _says(m, ANSWER)]
    right = recorded == ["second"]
    yield Check(right, _whether(right, "the answer is", "recorded as the second provider's"))


def _count(number: int, what: str) -> str:
    return f"{number} {what}" if number == 1 else f"{number} {what}s"


def _whether(holds: bool, subject: str, what: str) -> str:
    return f"{subject} {'' if holds else 'not '}{what}"


def _says(message: Any, text: str) -> bool:
    return any(text in str(part.get("text")) for part in message["parts"])


def _sidecar(home: Isolated, command: str) -> None:
    with suppress(subprocess.TimeoutExpired):
        subprocess.run(  # noqa: S603 - our own command
            words(command), env=home.environment, capture_output=True, timeout=_COMMAND_S, check=False
        )
