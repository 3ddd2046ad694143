"""The provider a person picked to be used now: what is remembered of it, and which target it means for a session.

Pure. A pick holds for every session until it is taken back or its time is over, and only while its target is free: it
comes first, nothing else changes. A model picked by hand in the editor of a running session wins there.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from sidecar.core.target import Target


@dataclass(frozen=True, slots=True)
class Pin:
    """A provider, or one of its models, picked by hand; `until` is the epoch second at which it ends, if ever."""

    provider: str
    model: str | None = None
    until: float | None = None

    def __str__(self) -> str:
        """Give it as people write it."""
        return self.provider if self.model is None else str(Target(self.provider, self.model))

    def holds(self, now: float) -> bool:
        """Whether it is still in force."""
        return self.until is None or now < self.until

    def target(self, wanted: Target, others: Iterable[Target]) -> Target | None:
        """Give the target to use where `wanted` was chosen; `others` are its equals, the best first.

        None when the provider has nothing that could stand in for it.
        """
        if self.model is not None:
            return Target(self.provider, self.model)
        return next((t for t in (wanted, *others) if t.provider == self.provider), None)

    def to_json(self) -> dict[str, Any]:
        """Give its form in the state file."""
        return {"provider": self.provider, "model": self.model, "until": self.until}

    @classmethod
    def from_json(cls, data: object) -> "Pin | None":
        """Read what `to_json` gave; None stays None.

        Raises:
            ValueError: not of that form.
        """
        if data is None:
            return None
        if not isinstance(data, dict) or not isinstance(data.get("provider"), str):
            raise ValueError("pin: not a provider picked by hand")
        model, until = data.get("model"), data.get("until")
        if not isinstance(model, str | None):
            raise ValueError("pin.model: not a name")
        if until is not None and (isinstance(until, bool) or not isinstance(until, int | float) or not until > 0):
            raise ValueError(f"pin.until: {until!r} is not a time")
        return cls(data["provider"], model, until)
