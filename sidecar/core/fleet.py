"""What is connected: the providers and models each editor window reported, and which of them name the same model.

A window's report replaces its earlier one. Nothing here is remembered across a restart: windows introduce themselves
again. Bounded: the least recently reporting directory goes first.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from sidecar.config.catalogue import tier_models
from sidecar.config.models import Config, Tier
from sidecar.core.events import ModelInfo, ProviderInfo
from sidecar.core.names.models import guess_tier, normalise, same_model
from sidecar.core.target import Target

DIRECTORIES = 64
ORDERS = 32


@dataclass(frozen=True, slots=True, kw_only=True)
class Window:
    """Who reported: the editor and its version, its plugin's version, its agents, and when (epoch seconds)."""

    client: str = ""
    client_version: str = ""
    shim_version: str = ""
    agents: tuple[str, ...] = ()
    at: float = 0.0


class Connected:
    """One window's providers and models, indexed for the questions routing asks."""

    def __init__(self, providers: Sequence[ProviderInfo] = (), window: Window | None = None) -> None:
        self.window = window or Window()
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


def tier(target: Target, config: Config, connected: Connected) -> Tier:
    """Give the tier of a target: the user's word, else the catalogue's, else what its name and price tell."""
    settings = config.providers.get(target.provider)
    mine = settings.models.get(target.model) if settings else None
    if mine is not None and mine.tier is not None:
        return mine.tier
    listed = tier_models(target.provider).get(target.model)
    if listed is not None:
        return listed
    model = connected.models.get(target)
    return guess_tier(target.model, output_cost=model.cost_output if model else None)


class Fleet:
    """What every directory's windows reported."""

    def __init__(self) -> None:
        self._directories: dict[str, Connected] = {}
        self._nothing = Connected()

    def report(self, directory: str, providers: Sequence[ProviderInfo], window: Window | None = None) -> Connected:
        """Take a window's report."""
        self._directories.pop(directory, None)
        self._directories[directory] = connected = Connected(providers, window)
        while len(self._directories) > DIRECTORIES:
            del self._directories[next(iter(self._directories))]
        return connected

    def at(self, directory: str) -> Connected:
        """Give what is connected in a directory; what any window reported when this one has not yet."""
        return self._directories.get(directory) or next(reversed(self._directories.values()), self._nothing)

    def everything(self) -> Iterable[Connected]:
        """Give every report, oldest first."""
        return self._directories.values()

    def by_directory(self) -> dict[str, Connected]:
        """Give every report by its directory, oldest first."""
        return dict(self._directories)

    def together(self) -> Connected:
        """Give what is connected anywhere, as one: a model any window has, an agent any window has."""
        providers: dict[str, ProviderInfo] = {}
        for connected in self._directories.values():
            for id_, provider in connected.providers.items():
                older = providers.get(id_)
                known = {m.id for m in provider.models}
                kept = [] if older is None else [m for m in older.models if m.id not in known]
                providers[id_] = provider.model_copy(update={"models": [*provider.models, *kept]})
        agents = dict.fromkeys(a for c in self._directories.values() for a in c.window.agents)
        return Connected(list(providers.values()), Window(agents=tuple(agents)))

    def may_have(self, provider: str) -> bool:
        """Whether a provider is connected anywhere, or nothing is known of what is."""
        known = [connected for connected in self._directories.values() if connected.known]
        return not known or any(provider in connected.providers for connected in known)

    def name_of(self, provider: str) -> str:
        """Give the name people know a provider by, as the editor reported it last; else its id."""
        for connected in reversed(self._directories.values()):
            if provider in connected.providers and connected.providers[provider].name:
                return connected.providers[provider].name
        return provider
