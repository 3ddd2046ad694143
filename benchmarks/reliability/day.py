"""Simulated days with fifty providers of twenty models: memory and state stop growing once the windows are full.

The engine as the daemon holds it, its clock moved by hand. What is kept goes back 49 hours, so memory can only be flat
from the third day on; a flood of names that never end is the other half of "bounded".
"""

import json
import random
import time
import tracemalloc

from benchmarks.reliability.findings import Finding
from benchmarks.reliability.process import about, ended, limited
from sidecar.config.models import Config
from sidecar.core.engine import Engine
from sidecar.core.events import EditorEvents, Outcome, Route

PROVIDERS, MODELS = 50, 20
DAY_S = 86_400
NOW = 1_800_000_000.0


def measure(days: int = 4, a_quarter: int = PROVIDERS * MODELS, flood: int = 200_000) -> list[Finding]:
    """Live `days` with `a_quarter` attempts in each quarter hour, then take `flood` attempts under names used once."""
    return [live(days, a_quarter), drown(flood)]


def live(days: int, a_quarter: int) -> Finding:
    """Give memory and state at the end of each day."""
    a_day = 96 * a_quarter
    engine = Engine(Config(), version="test")
    sizes: list[int] = []
    states: list[int] = []
    began = time.process_time()
    tracemalloc.start()
    for day in range(days):
        for number in range(a_day):
            now = NOW + day * DAY_S + number * DAY_S / a_day
            _turn(engine, number, f"{day}-{number}", now)
        now = NOW + (day + 1) * DAY_S
        states.append(len(json.dumps(engine.dump(now))))
        sizes.append(tracemalloc.get_traced_memory()[0])
    tracemalloc.stop()
    grown = sizes[-1] / sizes[-2] - 1 if len(sizes) > 1 else 0.0
    spent = time.process_time() - began
    return Finding(
        f"Days with {PROVIDERS} providers of {MODELS} models each: memory is flat and the state bounded",
        f"every target once each quarter hour, {a_day} attempts a day, one in ten refused; memory by tracemalloc",
        f"end of each day {', '.join(f'{size / 1e6:.1f}' for size in sizes)} MB, state "
        f"{', '.join(f'{size / 1e6:.1f}' for size in states)} MB; last day {grown:+.1%} ({spent:.0f} s of CPU)",
        abs(grown) < 0.02,
    )


def drown(flood: int) -> Finding:
    """Give memory and state half way through a flood and at its end."""
    choose = random.Random(4)  # noqa: S311 - repeatable
    engine = Engine(Config(), version="test")
    sizes: list[int] = []
    tracemalloc.start()
    for number in range(flood):
        name = f"{number}-{choose.random()}"
        _attempt(engine, f"provider {name}", f"model {name}", name, NOW + number / 10, agent=f"agent {name}")
        engine.drain()
        engine.drain_records()
        if number + 1 in (flood // 2, flood):
            sizes.append(tracemalloc.get_traced_memory()[0])
    tracemalloc.stop()
    state = len(json.dumps(engine.dump(NOW + flood / 10)))
    return Finding(
        "Names that never end (providers, models, agents, sessions, turns) do not fill memory or state",
        f"{flood} attempts, every name in them new, one in ten refused",
        f"{sizes[0] / 1e6:.1f} MB half way, {sizes[1] / 1e6:.1f} MB at the end, state {state / 1e6:.1f} MB",
        sizes[1] < sizes[0] * 1.1 and state < 64e6,
    )


def _turn(engine: Engine, number: int, name: str, now: float) -> None:
    target = number % (PROVIDERS * MODELS)
    provider, model = f"provider-{target // MODELS}", f"model-{target % MODELS}"
    session, agent = f"session-{number % 300}", ("build", "plan", "title")[target % 3]
    _attempt(engine, provider, model, name, now, session=session, agent=agent)
    step = {"id": name, "sessionID": session, "providerID": provider, "modelID": model, "agent": agent}
    info = {**step, "tokens": {"input": 900, "output": 80}, "cost": 0.01, "time": {"completed": 1}}
    event = {"type": "message.updated", "properties": {"info": info}}
    engine.events(EditorEvents.model_validate({"reports_attempts": True, "events": [event]}), now)
    engine.drain()
    engine.drain_records()


def _attempt(
    engine: Engine, provider: str, model: str, name: str, now: float, *, session: str = "", agent: str = "build"
) -> None:
    where = {"provider": provider, "model": model, "session": session or f"session {name}"}
    question = {**about(name, **where), "turn": f"turn {name}", "agent": agent}
    engine.route(Route.model_validate(question), now)
    refused = name[-1] == "7"
    report = limited(name, **where) if refused else ended(name, latency_ms=900, first_token_ms=200, **where)
    engine.outcome(Outcome.model_validate({**report, "turn": f"turn {name}", "agent": agent}), now)
