"""Names in the configuration that match nothing: a limit for a provider nobody has is a mistake, not silence.

Pure: configuration and what is connected in, sentences out.
"""

from collections.abc import Iterable, Iterator
from difflib import get_close_matches
from fnmatch import fnmatchcase

from sidecar.config.catalogue import CATALOGUE
from sidecar.config.models import Config
from sidecar.core.fleet import Connected
from sidecar.core.names.models import normalise
from sidecar.core.target import Target

_EVERY_AGENT = "*"
_LISTED = 8


def lint(config: Config, connected: Connected) -> tuple[str, ...]:
    """Give a sentence for every configured name that matches nothing; nothing is said before an editor connected."""
    if not connected.known:
        return ()
    rules = (_providers, _unknown_targets, _agents, _patterns, _errors, _mapped)
    return tuple(dict.fromkeys(sentence for rule in rules for sentence in rule(config, connected)))


def _providers(config: Config, connected: Connected) -> Iterator[str]:
    for provider, settings in config.providers.items():
        place = f"providers.{provider}"
        if provider in connected.providers:
            models = [m.id for m in connected.providers[provider].models]
            unknown = [m for m in settings.models if m not in models]
            yield from (_missing(f"{place}.models.{m}", f"model of {provider}", m, models) for m in unknown)
        elif provider not in CATALOGUE:
            # A well-known provider that is merely not connected is no mistake: one file can serve many machines.
            yield _missing(place, "provider", provider, connected.providers)


def _unknown_targets(config: Config, connected: Connected) -> Iterator[str]:
    for place, text in _targets(config):
        target = Target.parse(text)
        if target.provider not in connected.providers:
            yield _missing(place, "provider", target.provider, connected.providers)
        elif target not in connected.models:
            models = [m.id for m in connected.providers[target.provider].models]
            yield _missing(place, f"model of {target.provider}", target.model, models)


def _agents(config: Config, connected: Connected) -> Iterator[str]:
    agents = connected.window.agents
    for agent in config.chains if agents else ():
        if agent not in (_EVERY_AGENT, *agents):
            close = get_close_matches(agent, agents, n=1)
            hint = f"did you mean {close[0]!r}?" if close else f"there are: {', '.join(sorted(agents)[:_LISTED])}"
            yield f"chains.{agent}: the editor has no agent {agent!r}; {hint}"


def _patterns(config: Config, connected: Connected) -> Iterator[str]:
    names = [str(t) for t in connected.models]
    for key, patterns in (("allow", config.allow), ("deny", config.deny)):
        for i, pattern in enumerate(patterns):
            if not any(fnmatchcase(name, pattern) for name in names):
                yield f"{key}[{i}]: {pattern!r} matches no connected provider/model"


def _errors(config: Config, connected: Connected) -> Iterator[str]:
    for i, pattern in enumerate(config.error_patterns):
        if pattern.provider is not None and pattern.provider not in {*connected.providers, *CATALOGUE}:
            yield _missing(f"error_patterns[{i}].provider", "provider", pattern.provider, connected.providers)


def _mapped(config: Config, connected: Connected) -> Iterator[str]:
    known = {normalise(t.model) for t in connected.models}
    for model in config.models:
        if normalise(model) not in known:
            yield f"models.{model}: no connected provider has this model"


def _targets(config: Config) -> Iterator[tuple[str, str]]:
    for agent, chain in config.chains.items():
        yield from ((f"chains.{agent}[{i}]", text) for i, text in enumerate(chain))
    yield from ((f"fallback[{i}]", text) for i, text in enumerate(config.fallback))
    for place, one in (("primary", config.primary), ("last_resort", config.last_resort)):
        if one is not None:
            yield place, one
    for model, targets in config.models.items():
        yield from ((f"models.{model}[{i}]", text) for i, text in enumerate(targets))


def _missing(place: str, what: str, name: str, known: Iterable[str]) -> str:
    names = list(known)
    close = get_close_matches(name, names, n=1)
    listed = ", ".join(sorted(names)[:_LISTED])
    hint = f"did you mean {close[0]!r}?" if close else f"connected are: {listed}" if listed else "none is connected"
    return f"{place}: no connected {what} {name!r}; {hint}"
