"""A target: one model at one provider, the thing everything else is counted, cooled and chosen by."""

from typing import NamedTuple


class Target(NamedTuple):
    """A provider and a model by OpenCode's ids; written `provider/model` (the model itself may contain slashes)."""

    provider: str
    model: str

    def __str__(self) -> str:
        """Give the written form."""
        return f"{self.provider}/{self.model}"

    @classmethod
    def parse(cls, text: str) -> "Target":
        """Read `provider/model`.

        Raises:
            ValueError: either part is missing.
        """
        provider, slash, model = text.partition("/")
        if not (provider and slash and model):
            raise ValueError(f"{text!r} is not a target; write provider/model")
        return cls(provider, model)
