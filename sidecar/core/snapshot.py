"""What status shows, as data: a picture of the engine at one moment.

Only data, made by `Engine.snapshot`; reports format it and add no number of their own. Times are epoch seconds.
"""

from typing import Literal

from pydantic import Field

from sidecar.core.decisions import Answer
from sidecar.core.limits import Unit

State = Literal["available", "limited", "unavailable", "disabled"]


class ReadingInfo(Answer):
    """One limit and how much of it is used."""

    name: str
    unit: Unit
    limit: float
    used: float
    full: bool
    frees_at: float | None
    learned: bool


class CountsInfo(Answer):
    """Requests, tokens and cost (US dollars) over the last minute, hour and day."""

    requests_minute: int = 0
    requests_hour: int = 0
    requests_day: int = 0
    tokens_minute: int = 0
    tokens_hour: int = 0
    tokens_day: int = 0
    cost_minute: float = 0
    cost_hour: float = 0
    cost_day: float = 0


class _Status(Answer):
    id: str
    state: State
    why: str = ""
    until: float | None = None
    error_count: int = 0
    last_failure: str = ""
    readings: tuple[ReadingInfo, ...] = ()
    counts: CountsInfo = CountsInfo()


class ModelStatus(_Status):
    """One model of a provider; `first_token_ms` is its rolling time to first token."""

    first_token_ms: float | None = None


class ProviderStatus(_Status):
    """One provider; `limited` means that some of its models cannot be used now, `unavailable` that none can.

    `connected` is False when editors have said what they are connected to, and this was not among it.
    `documented` are limits its documents state for `documented_for`: shown, never enforced.
    """

    name: str = ""
    connected: bool = True
    documented: dict[str, int] = Field(default_factory=dict)
    documented_for: str = ""
    models: tuple[ModelStatus, ...] = ()
    agents: dict[str, CountsInfo] = Field(default_factory=dict)


class Picked(Answer):
    """The provider, or model of it, a person picked to be used now."""

    provider: str
    model: str | None = None
    until: float | None = None


class Snapshot(Answer):
    """Everything status shows; `current` is the target used last, `hello_at` when an editor last introduced itself."""

    at: float
    current: str | None = None
    picked: Picked | None = None
    hello_at: float | None = None
    providers: tuple[ProviderStatus, ...] = ()
