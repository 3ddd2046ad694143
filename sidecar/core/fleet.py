"""What is connected: the providers and models each editor window reported, and which of them name the same model.

A window's report replaces its earlier one. Nothing here is remembered across a restart: windows introduce themselves
again. Bounded: the least recently reporting directory goes first.
"""

from collections.abc import Callable, Iterable, Sequence

from sidecar.config.models import Config
from sidecar.core.events import ModelInfo, ProviderInfo
from sidecar.core.names.models import normalise, same_model
from sidecar.core.target import Target

DIRECTORIES = 64
ORDERS = 32


class Connected:
    """One window's providers and models, indexed for the questions routing asks."""

    def __init__(self, providers: Sequence[ProviderInfo] = ()) -> None:
        self.providers: dict[str, ProviderInfo] = {p.id: p for p in providers}
        self.models: dict[Target, ModelInfo] = {Target(p.id, m.id): m for p in providers for m in p.models}
        self._by_name: dict[str, list[Target]] = {}
        for target in self.models:
            if not same_model(target.model, target.model):
                continue  # a router's name (`auto`) names no model
            self._by_name.setdefault(normalise(target.model), []).append(target)
        self._orders: tuple[Config | None, dict[tuple[str, Target], list[Target]]] = (None, {})

    @property
    def known(self) -> bool:
        """Whether the window has said anything at all; if not, every target must be believed to exist."""
        return bool(self.providers)

    def recall(self, what: str, wanted: Target, config: Config, make: Callable[[], list[Target]]) -> list[Target]:
        """Give an order of stand-ins for `wanted` as it was made last time; not to be changed.

        Held for the configuration it was made under, and for a few targets: a window wants no more at a time.
        """
        if self._orders[0] is not config:
            self._orders = (config, {})
        known, key = self._orders[1], (what, wanted)
        if key not in known:
            if len(known) >= ORDERS:
                del known[next(iter(known))]
            known[key] = make()
        return known[key]

    def same_model(self, target: Target, config: Config) -> list[Target]:
        """Give the other targets that are the same model: the user's own mapping first, then by normalised name.

        Within names, providers of lower `priority` come first, then in the order the editor listed them; one target
        a provider (its spelling closest to the asked-for one by length), so that a gateway does not fill the chain.
        """
        return self.recall("same", target, config, lambda: self._same_model(target, config))

    def _same_model(self, target: Target, config: Config) -> list[Target]:
        name = normalise(target.model)
        mapped = [
            Target.parse(text)
            for key, texts in config.models.items()
            if normalise(key) == name or str(target) in texts
            for text in texts
        ]
        by_provider: dict[str, Target] = {}
        for other in self._by_name.get(name, ()):
            held = by_provider.get(other.provider)
            if held is None or abs(len(other.model) - len(target.model)) < abs(len(held.model) - len(target.model)):
                by_provider[other.provider] = other
        found = sorted(by_provider.values(), key=lambda t: priority(t, config))
        return [t for t in dict.fromkeys([*mapped, *found]) if t != target]


def priority(target: Target, config: Config) -> int:
    """Give the configured priority of a target: the model's, else the provider's, else the default (lower first)."""
    settings = config.providers.get(target.provider)
    if settings is None:
        return 100
    model = settings.models.get(target.model)
    return settings.priority if model is None or model.priority is None else model.priority


class Fleet:
    """What every directory's windows reported."""

    def __init__(self) -> None:
        self._directories: dict[str, Connected] = {}
        self._nothing = Connected()

    def report(self, directory: str, providers: Sequence[ProviderInfo]) -> Connected:
        """Take a window's report."""
        self._directories.pop(directory, None)
        self._directories[directory] = connected = Connected(providers)
        while len(self._directories) > DIRECTORIES:
            del self._directories[next(iter(self._directories))]
        return connected

    def at(self, directory: str) -> Connected:
        """Give what is connected in a directory; what any window reported when this one has not yet."""
        return self._directories.get(directory) or next(reversed(self._directories.values()), self._nothing)

    def everything(self) -> Iterable[Connected]:
        """Give every report, oldest first."""
        return self._directories.values()

    def name_of(self, provider: str) -> str:
        """Give the name people know a provider by, as the editor reported it last; else its id."""
        for connected in reversed(self._directories.values()):
            if provider in connected.providers and connected.providers[provider].name:
                return connected.providers[provider].name
        return provider
