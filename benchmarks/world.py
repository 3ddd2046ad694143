"""A user's world in numbers: so many providers, each with a few models, and the events that are measured.

One model in four is offered elsewhere too, as real catalogues have it.
"""

from typing import Any

from sidecar.config.models import Config
from sidecar.core.engine import Engine
from sidecar.core.events import Hello, ModelInfo, Outcome, ProviderInfo, Route

NOW = 1_800_000_000.0
MODELS = ("claude-sonnet-4-5", "gpt-5.1", "qwen3-coder-480b", "house-model")
PROVIDER, MODEL = "provider-0", "claude-sonnet-4-5"


def hello(providers: int) -> Hello:
    """Introduce a window with that many providers."""
    return Hello(directory="/work", providers=[_provider(number) for number in range(providers)])


def _provider(number: int) -> ProviderInfo:
    own = [f"house-{number}-model-{size}b" for size in (7, 32, 235)]
    models = [MODELS[number % len(MODELS)], *own]
    return ProviderInfo(
        id=f"provider-{number}",
        name=f"Provider {number}",
        base_url=f"https://api.provider-{number}.example/v1",
        models=[
            ModelInfo(
                id=name, name=name, context=200_000, output=32_000, cost_input=3, cost_output=15, wire="anthropic"
            )
            for name in models
        ],
    )


def engine(providers: int) -> Engine:
    """Give an engine that knows a window with that many providers."""
    made = Engine(Config())
    made.hello(hello(providers), NOW)
    return made


def request(attempt: str, turn: str = "u1", provider: str = PROVIDER, model: str = MODEL) -> dict[str, Any]:
    """Give what every question about one request carries."""
    return {
        "session": "ses_benchmark",
        "directory": "/work",
        "agent": "build",
        "turn": turn,
        "target": {"provider": provider, "model": model},
        "wire": "anthropic",
        "mobility": "handover",
        "needs": {"context": 40_000, "tools": True},
        "attempt": attempt,
    }


def route(attempt: str, turn: str = "u1") -> Route:
    """Ask about one attempt."""
    return Route.model_validate({**request(attempt, turn), "at": "attempt"})


def message(turn: str) -> Route:
    """Ask about a message that opens a turn."""
    return Route.model_validate({**request("", turn), "at": "message", "attempt": None})


def refused(attempt: str, turn: str) -> Outcome:
    """Report a 429."""
    told = {"ended": "failed", "status": 429, "headers": {"retry-after": "60"}, "latency_ms": 120}
    body = '{"type":"error","error":{"type":"rate_limit_error","message":"This request would exceed your rate limit"}}'
    return Outcome.model_validate({**request(attempt, turn), **told, "body": body})
