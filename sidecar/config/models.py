"""The shape of `rate-limit.jsonc`: every setting, its unit, its default and what it means.

Only data and validation. Unknown keys are errors (a typo must never be silence); nothing in here reads a file.
Durations are written as seconds (`90`) or text (`"90s"`, `"5m"`, `"1h30m"`, `"2d"`) and held as seconds (float).
"""

import re
from enum import StrEnum
from typing import Annotated, Literal, Self
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, model_validator

from sidecar.core.failure import Kind, Scope
from sidecar.redact import redact_name

_UNITS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0, "w": 604800.0}
_DURATION = re.compile(r"(\d+(?:\.\d+)?)(ms|s|m|h|d|w)")
_LONGEST = 366 * 86400.0


def parse_duration(value: object) -> float:
    """Read seconds (`90`) or text (`"1h30m"`) as seconds.

    Raises:
        ValueError: not a duration, negative, or longer than a year.
    """
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        raise ValueError(f"{value!r} is not a duration; write seconds (90) or text like '90s', '5m', '1h30m', '2d'")
    if isinstance(value, str):
        text = value.strip().lower().replace(" ", "")
        parts = _DURATION.findall(text)
        if not parts or "".join(n + u for n, u in parts) != text:
            raise ValueError(f"{value!r} is not a duration; write seconds (90) or text like '90s', '5m', '1h30m', '2d'")
        value = sum(float(n) * _UNITS[u] for n, u in parts)
    if not 0 <= value <= _LONGEST:
        raise ValueError(f"{value!r} is out of range; a duration is between 0 and one year")
    return float(value)


def _check_target(value: str) -> str:
    provider, slash, model = value.partition("/")
    if not (provider and slash and model):
        raise ValueError(f"{value!r} is not a target; write provider/model, for example 'anthropic/claude-sonnet-4-5'")
    return f"{redact_name(provider)}/{redact_name(model)}"


def _check_reset(value: str) -> str:
    parse_reset(value)
    return value


def parse_reset(value: str) -> tuple[int, int, ZoneInfo]:
    """Read a daily reset such as `"00:00 UTC"` or `"09:30 Europe/Berlin"` as (hour, minute, zone).

    Raises:
        ValueError: not a time, or a time zone this machine does not know.
    """
    found = re.fullmatch(r"([01]?\d|2[0-3]):([0-5]\d)(?:\s+(\S+))?", value.strip())
    if not found:
        raise ValueError(f"{value!r} is not a reset time; write 'HH:MM ZONE', for example '00:00 UTC'")
    try:
        zone = ZoneInfo(found[3] or "UTC")
    except (ZoneInfoNotFoundError, ValueError):
        raise ValueError(f"{found[3]!r} is not a time zone; use UTC or a name like 'Europe/Berlin'") from None
    return int(found[1]), int(found[2]), zone


Duration = Annotated[float, BeforeValidator(parse_duration, json_schema_input_type=float | str)]
TargetName = Annotated[str, AfterValidator(_check_target)]
# As in the protocol: what is shown and compared as a name is never a key, even if one was written in its place.
Label = Annotated[str, AfterValidator(redact_name)]
Count = Annotated[int, Field(ge=0)]
Usd = Annotated[float, Field(ge=0)]


class Tier(StrEnum):
    """How strong a model is; the order of definition is the order from weak to strong."""

    FAST = "fast"
    MEDIUM = "medium"
    LARGE = "large"
    REASONING = "reasoning"


class Strict(BaseModel):
    """The base of every setting: unknown keys are refused, values are frozen once loaded."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class PlanWindow(Strict):
    """A subscription's window: it opens with the first request and closes `length` later (a 5-hour plan window)."""

    length: Duration = 5 * 3600.0
    requests: Count = 0
    tokens: Count = 0


class Limits(Strict):
    """Limits of one provider or one model; 0 means unlimited. Tokens are input + output + reasoning + cache writes."""

    rpm: Count = Field(0, description="requests per minute")
    rph: Count = Field(0, description="requests per hour")
    rpd: Count = Field(0, description="requests per day")
    tpm: Count = Field(0, description="tokens per minute")
    tph: Count = Field(0, description="tokens per hour")
    tpd: Count = Field(0, description="tokens per day")
    usd_per_day: Usd = Field(0, description="US dollars per day, from the cost OpenCode reports")
    resets: Annotated[str, AfterValidator(_check_reset)] | None = Field(
        None, description="when the day begins, 'HH:MM ZONE'; without it the day slides"
    )
    plan: PlanWindow | None = Field(None, description="a subscription's own window, opened by its first request")


class ModelSettings(Strict):
    """What the user says of one model of a provider."""

    enabled: bool = True
    priority: int | None = Field(None, description="lower is tried earlier; the provider's when missing")
    limits: Limits = Limits()
    tier: Tier | None = None


class Billing(StrEnum):
    """How a provider is paid."""

    METERED = "metered"
    SUBSCRIPTION = "subscription"
    FREE = "free"


class ProviderSettings(Strict):
    """What the user says of one provider. Keys that are missing come from the built-in catalogue."""

    enabled: bool = True
    priority: int = Field(100, description="lower is tried earlier")
    limits: Limits = Limits()
    models: dict[Label, ModelSettings] = {}
    cooldown: Duration | None = Field(
        None, description="a fixed cooldown after a rate limit or quota failure that names no wait of its own"
    )
    account: Label | None = Field(None, description="providers with the same account share account-wide cooldowns")
    billing: Billing | None = None
    local: bool | None = Field(None, description="runs on the user's own machines")
    base_url: str | None = Field(
        None,
        description="where the provider is reached, for the sidecar's own knowledge: whether it is local, and where "
        "`providers --live` asks for its models. OpenCode's connection is set in OpenCode",
    )
    key_env: list[str] | None = Field(
        None,
        description="environment variables that can hold its key: without any, a server on this machine counts as one "
        "that needs none; `init` looks for them and `providers --live` reads them. Never a key itself",
    )
    first_token_timeout: Duration | None = Field(None, description="no first byte within this time is a failure")


class CooldownRule(Strict):
    """How long a target rests after failures of one kind that name no wait."""

    initial: Duration | None = Field(None, description="the first cooldown")
    multiplier: Annotated[float, Field(ge=1, le=100)] | None = Field(None, description="growth per further failure")
    maximum: Duration | None = Field(None, description="growth ends here")
    threshold: Annotated[int, Field(ge=1, le=1000)] | None = Field(None, description="failures before it cools at all")
    reset_after: Duration | None = Field(None, description="without failures for this long, growth starts anew")


class CostGuard(Strict):
    """What may be spent without asking when a switch leaves a subscription or free target for a metered one."""

    mode: Literal["ask", "allow", "cap", "never"] = Field(
        "cap", description="cap: allow up to usd_per_day; ask: allow after a toast was shown once per session"
    )
    usd_per_day: Usd = 5.0


class ErrorPattern(Strict):
    """The user's own reading of an error: the first pattern that fits decides, before every built-in rule."""

    match: str = Field(description="a regular expression, searched in message and body, case-insensitively")
    kind: Kind
    provider: str | None = None
    status: int | None = None
    scope: Scope | None = None
    retry_after: Duration | None = None

    @model_validator(mode="after")
    def _compiles(self) -> Self:
        try:
            re.compile(self.match)
        except re.error as error:
            raise ValueError(f"match {self.match!r} is not a regular expression: {error}") from None
        return self


class Webhook(Strict):
    """Where to post what happened; Slack-compatible JSON (`{"text": …}` plus the event's fields)."""

    url: Annotated[str, Field(pattern=r"^https?://")]
    events: list[Literal["switch", "back", "all_limited", "budget", "error"]] = [
        "switch",
        "back",
        "all_limited",
        "budget",
    ]


class LogSettings(Strict):
    """The log file: JSON lines, rotated."""

    level: Literal["debug", "info", "warning", "error"] = "info"
    file: str | None = None
    max_bytes: Annotated[int, Field(ge=10_000)] = 5_000_000
    backups: Annotated[int, Field(ge=0, le=100)] = 3


class Config(Strict):
    """The whole configuration. An empty one is complete: everything has a default that helps."""

    schema_: str | None = Field(None, alias="$schema")
    enabled: bool = Field(True, description="false: count and report, never switch")
    providers: dict[Label, ProviderSettings] = {}
    mode: Literal["auto", "cloud", "local"] = "auto"
    strategy: Literal["priority", "round_robin", "least_used", "latency", "cost"] = "priority"
    primary: TargetName | None = Field(None, description="short form: the first of every agent's chain")
    fallback: list[TargetName] = Field([], description="short form: the rest of that chain")
    chains: dict[Label, list[TargetName]] = Field({}, description='ordered targets per agent; "*" is every agent')
    models: dict[Label, list[TargetName]] = Field({}, description="the same model elsewhere, where names do not tell")
    same_model_first: bool = Field(True, description="try the same model at other providers before the chain")
    last_resort: TargetName | None = Field(None, description="used when every other candidate is taken")
    allow: list[Label] = Field([], description="only these targets are switched to; shell patterns on provider/model")
    deny: list[Label] = Field([], description="never switched to; shell patterns on provider/model")
    max_hops: Annotated[int, Field(ge=0, le=20)] = Field(3, description="switches per turn at most")
    tolerate_wait: Duration = Field(5.0, description="a named wait this short is waited out instead of switching")
    resume_within: Duration = Field(120.0, description="hold a turn nobody can answer for this long at most")
    switch_after: Duration = Field(0.0, description="wait this long on a failing target before switching")
    switch_at: Annotated[float, Field(gt=0, le=100)] = Field(100.0, description="switch at this per cent of a limit")
    continue_attempts: Annotated[int, Field(ge=0, le=10)] = Field(3, description="tries again after an empty answer")
    first_token_timeout: Duration = 60.0
    cooldowns: dict[Kind, CooldownRule] = Field({}, description="per failure class; what is missing has defaults")
    cost_guard: CostGuard = CostGuard()
    error_patterns: list[ErrorPattern] = []
    webhooks: list[Webhook] = []
    toasts: bool = True
    stderr: Literal["auto", "always", "never"] = Field(
        "auto", description="one line per switch on OpenCode's standard error; auto: unless it draws on the terminal"
    )
    self_test: bool = Field(True, description="try an OpenCode version that is new once, in the background")
    state_file: str | None = None
    log: LogSettings = LogSettings()

    @model_validator(mode="after")
    def _short_form(self) -> Self:
        """Refuse the short form beside the long one: they contradict each other, and only the user can settle that."""
        if (self.primary or self.fallback) and "*" in self.chains:
            raise ValueError('primary/fallback and chains["*"] say the same thing; keep one of them')
        return self

    def chain_for(self, agent: str) -> tuple[str, ...]:
        """Give the ordered targets for `agent`: its own chain, else that of every agent, else the short form."""
        return tuple(self.chains.get(agent) or self.chains.get("*") or (*filter(None, [self.primary]), *self.fallback))
