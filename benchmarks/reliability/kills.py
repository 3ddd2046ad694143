"""`kill -9` at random moments while several clients report: what was acknowledged is in the state, and nothing is left.

The process dies, the machine does not: what `write` handed to the kernel is kept. That a machine may die too is what
the order of fsync and rename is for (`faults.py`).
"""

import random
import threading
import time
from dataclasses import dataclass, field
from itertools import count
from typing import Any

from benchmarks.reliability.findings import Finding
from benchmarks.reliability.process import Home, about, ended, limited
from sidecar.client import DaemonAnswerError, DaemonUnavailableError
from sidecar.config.models import Config
from sidecar.core.engine import Engine

CLIENTS = 4
_NAMES = ("alpha", "beta", "gamma", "delta")


@dataclass(slots=True)
class Told:
    """What one client sent and what was acknowledged; each client speaks of a provider of its own."""

    provider: str
    sent: int = 0
    acknowledged: int = 0
    tokens: int = 0
    newest: str = ""
    disabled: bool = False
    errors: list[str] = field(default_factory=list)


def measure(rounds: int, seed: int = 1) -> list[Finding]:
    """Kill `rounds` daemons in one home, one after another."""
    choose = random.Random(seed)  # noqa: S311 - repeatable
    told = [Told(name) for name in _NAMES[:CLIENTS]]
    lost: list[str] = []
    litter: set[str] = set()
    slow = 0
    with Home() as home:
        home.paths.config.parent.mkdir(parents=True)
        home.paths.config.write_text("{}")
        for number in range(rounds):
            child = home.serve()
            over = threading.Event()
            clients = [threading.Thread(target=_report, args=(home, one, number, over)) for one in told]
            for client in clients:
                client.start()
            time.sleep(choose.uniform(0.0, 0.3))
            home.kill(child)
            over.set()
            for client in clients:
                client.join()
            lost += _missing(home, told)
        home.kill(home.serve())
        litter |= home.litter()
        slow = sum(line["event"] == "state cannot be saved, going on without" for line in home.logged())
    acknowledged = sum(one.acknowledged for one in told)
    errors = [error for one in told for error in one.errors]
    how = f"{CLIENTS} clients report outcomes, tokens and commands to a real daemon that is killed after 0 to 300 ms"
    return [
        Finding(
            "After `kill -9` the state loads and every acknowledged event is in it",
            how,
            f"{rounds} rounds, {acknowledged} acknowledged events, {len(lost)} lost, "
            f"{slow} rounds with a disk slower than 0.2 s",
            not lost and not errors,
        ),
        Finding(
            "No litter is left: no temporary file, no dead socket in anybody's way",
            "the next daemon starts at once in the same place; afterwards the directory is listed",
            f"{rounds} starts, {len(litter)} files too many {', '.join(sorted(litter))}".strip(),
            not litter,
        ),
    ]


def _report(home: Home, one: Told, number: int, over: threading.Event) -> None:
    """Report as an editor does, until the daemon is gone."""
    for step in count():
        attempt = f"{one.provider}-{number}-{step}"
        try:
            _one(home, one, attempt, step)
        except DaemonUnavailableError:
            return
        except DaemonAnswerError as error:
            one.errors.append(str(error))
            return
        if over.is_set():
            return


def _one(home: Home, one: Told, attempt: str, step: int) -> None:
    if step % 5 == 4:
        home.ask("POST", "/v1/targets/disable", {"provider": one.provider, "model": "m1"})
        one.disabled = True
        return
    if step % 5 == 3:
        home.ask("POST", "/v1/events", {"reports_attempts": True, "events": [_message(one.provider, attempt)]})
        one.tokens += 10
        return
    if step % 2:
        home.ask("POST", "/v1/route", about(attempt, one.provider))
    one.sent += 1
    body = limited(attempt, provider=one.provider) if step % 3 == 2 else ended(attempt, provider=one.provider)
    home.ask("POST", "/v1/outcome", body)
    one.acknowledged += 1
    one.newest = attempt


def _message(provider: str, message: str) -> dict[str, Any]:
    info = {
        "id": message,
        "sessionID": f"of-{provider}",
        "role": "assistant",
        "providerID": provider,
        "modelID": "m1",
        "tokens": {"input": 10},
        "time": {"created": 1, "completed": 2},
    }
    return {"type": "message.updated", "properties": {"info": info}}


def _missing(home: Home, told: list[Told]) -> list[str]:
    """Load the file a killed daemon left and give what is not in it."""
    if not any(one.acknowledged or one.tokens or one.disabled for one in told):
        return []
    data, now = home.state(), time.time()
    engine = Engine(Config())
    engine.load(data, now)
    known = {provider.id: provider for provider in engine.snapshot(now).providers}
    missing = []
    for one in told:
        if one.newest and one.newest not in data["attempts"]:
            missing.append(f"{one.newest} is not known")
        counts = known[one.provider].counts if one.provider in known else None
        requests, tokens = (0, 0) if counts is None else (counts.requests_day, counts.tokens_day)
        if not (one.acknowledged <= requests and one.tokens <= tokens):
            missing.append(f"{one.provider}: {requests} of {one.acknowledged} requests, {tokens} of {one.tokens}")
        by_hand = {entry["provider"] for entry in data["health"]["disabled"]}
        if one.disabled and one.provider not in by_hand:
            missing.append(f"{one.provider} is not disabled")
    return missing
