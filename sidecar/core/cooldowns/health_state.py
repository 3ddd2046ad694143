"""The shape of what `health.py` keeps across a restart, and its validation.

Only data. Times are epoch seconds, durations seconds; nothing is kept twice (a deadline is `start` + `length`). Unknown
keys are left alone, so that an older version can read what a newer one wrote.
"""

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

from sidecar.core.cooldowns.cooldown import WHY_CHARS
from sidecar.core.failure import Kind

_LONGEST_S = 366 * 86400.0
_Why = Annotated[str, Field(max_length=WHY_CHARS)]
_Number = Annotated[int, Field(ge=0, le=2**53)]


class _Entry(BaseModel):
    model_config = ConfigDict(allow_inf_nan=False, frozen=True)


class SavedCooldown(_Entry):
    """One cooldown; `provider` and `model` name the target whose failure set it, `scope` what of it rests."""

    scope: Literal["model", "provider", "account"]
    account: str = ""
    provider: str
    model: str
    kind: Kind
    start: float
    length: Annotated[float, Field(ge=0, le=_LONGEST_S)]
    failures: _Number
    open: bool
    why: _Why = ""

    @property
    def place(self) -> tuple[str, str, str]:
        """Give the place that rests: scope, then provider or account, then the model."""
        if self.scope == "account":
            return self.scope, self.account, ""
        return self.scope, self.provider, self.model if self.scope == "model" else ""


class SavedDisabled(_Entry):
    """A provider or (with `model`) a target disabled by hand, for good when `until` is missing."""

    provider: str
    model: str | None = None
    until: float | None = None


class SavedErrors(_Entry):
    """How many errors a provider or target had, and the last of them."""

    provider: str
    model: str | None = None
    count: _Number
    kind: Kind
    at: float
    why: _Why = ""


class Saved(_Entry):
    """Everything; `clock` is the last time read before it was saved."""

    clock: float
    cooldowns: list[SavedCooldown] = []
    disabled: list[SavedDisabled] = []
    errors: list[SavedErrors] = []
