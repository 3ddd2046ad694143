"""What a refusal is, in words every room shares: its kind, its scope, the wait it names.

Only data: how evidence becomes a `Failure` is `refusals/classify.py`, what a failure does to a target is
`cooldowns/health.py`.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum


class Kind(StrEnum):
    """The failure classes. The value is the name used in config, log, state file and protocol."""

    RATE_LIMIT = "rate_limit"
    QUOTA = "quota"
    BILLING = "billing"
    AUTH = "auth"
    SERVER = "server"
    TIMEOUT = "timeout"
    NETWORK = "network"
    MODEL_NOT_FOUND = "model_not_found"
    CONTEXT_OVERFLOW = "context_overflow"
    BAD_REQUEST = "bad_request"
    CONTENT_FILTER = "content_filter"
    ABORTED = "aborted"
    UNKNOWN = "unknown"


class Scope(StrEnum):
    """What a failure speaks about: one model, every model of the provider, the whole account, or only the request."""

    MODEL = "model"
    PROVIDER = "provider"
    ACCOUNT = "account"
    NONE = "none"


@dataclass(frozen=True, slots=True, kw_only=True)
class Evidence:
    """Whatever is known of one refused attempt; every field may be missing.

    `status` is the HTTP status (None while OpenCode retries), `headers` have lower-case names, `message` is the text
    the AI SDK or OpenCode shows, `body` the raw response text, `provider` OpenCode's provider id.
    """

    provider: str | None = None
    status: int | None = None
    headers: Mapping[str, str] = field(default_factory=dict)
    message: str | None = None
    body: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Failure:
    """A classified refusal.

    `retry_after_s` is the wait the provider named, in seconds, never negative, None when it named none or one that is
    not to be believed. `switch` says whether another target would help. `why` is a sentence of our own words (never
    the provider's text, which can echo keys and prompts) and `rule` the name of the rule that decided.
    """

    kind: Kind
    scope: Scope
    retry_after_s: float | None = None
    switch: bool = True
    why: str = ""
    rule: str = ""
