"""What OpenCode itself was told: its configuration files and the list of its credentials, read and never written.

Of credentials only names and types leave this file (`credentials`), but for `key_for`, which gives one key to a caller
that uses it at once and keeps it nowhere. Files that cannot be read are named in `problems` and otherwise ignored: they
are OpenCode's to complain about. Follows OpenCode 1.18.
"""

import json
import os
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from sidecar.config import jsonc
from sidecar.config.jsonc import JsoncError

_NAMES = ("opencode.json", "opencode.jsonc")
_VARIABLE = re.compile(r"\{env:([^}]+)\}")
_FILE = re.compile(r"\{file:([^}]+)\}")
_LARGEST = 4 * 1024 * 1024

Login = Literal["api", "oauth", "wellknown"]


@dataclass(frozen=True, slots=True)
class Source:
    """One place of OpenCode's configuration; `own` when it is the user's and not a project's."""

    name: str
    value: Mapping[str, Any]
    own: bool


@dataclass(frozen=True, slots=True)
class ProviderEntry:
    """What OpenCode's configuration says of one provider: its address, the models it names, whether a key is there.

    `own_url` is the address the user's own files give, which a project's cannot replace.
    """

    id: str
    name: str = ""
    base_url: str = ""
    own_url: str = ""
    models: tuple[str, ...] = ()
    has_key: bool = False


@dataclass(frozen=True, slots=True)
class OpenCodeConfig:
    """What was found, later sources over earlier ones."""

    sources: tuple[Source, ...]
    problems: tuple[str, ...] = ()
    providers: Mapping[str, ProviderEntry] = field(default_factory=dict)
    disabled: frozenset[str] = frozenset()
    enabled: frozenset[str] | None = None

    def plugins(self) -> Iterator[tuple[str, str]]:
        """Give every plugin that is listed, with the place it is listed in."""
        for source in self.sources:
            listed = source.value.get("plugin")
            for entry in listed if isinstance(listed, list) else ():
                spec = entry[0] if isinstance(entry, list) and entry else entry
                if isinstance(spec, str):
                    yield spec, source.name

    def chosen_models(self) -> tuple[str, ...]:
        """Give the targets it names for use: the default model, the small one, those of agents; each once."""
        named: list[Any] = []
        for source in reversed(self.sources):
            named += [source.value.get("model"), source.value.get("small_model")]
            agents = source.value.get("agent")
            for agent in agents.values() if isinstance(agents, dict) else ():
                named.append(agent.get("model") if isinstance(agent, dict) else None)
        return tuple(dict.fromkeys(name for name in named if isinstance(name, str) and "/" in name.strip("/")))

    def allows(self, provider: str) -> bool:
        """Whether OpenCode uses this provider at all."""
        return provider not in self.disabled and (self.enabled is None or provider in self.enabled)


def read(directory: Path, env: Mapping[str, str] = os.environ) -> OpenCodeConfig:
    """Read what holds for an OpenCode that runs in `directory`."""
    problems: list[str] = []
    sources = [
        Source(str(file), value, own)
        for file, own in _files(directory, env)
        if (value := _object(file, problems)) is not None
    ]
    content = env.get("OPENCODE_CONFIG_CONTENT")
    if content:
        value = _parsed("OPENCODE_CONFIG_CONTENT", content, problems)
        sources += [] if value is None else [Source("OPENCODE_CONFIG_CONTENT", value, own=True)]
    providers: dict[str, ProviderEntry] = {}
    disabled: set[str] = set()
    enabled: frozenset[str] | None = None
    for source in sources:
        entries = source.value.get("provider")
        for id_, entry in entries.items() if isinstance(entries, dict) else ():
            if isinstance(entry, dict):
                providers[id_] = _laid_over(providers.get(id_) or ProviderEntry(id_), entry, own=source.own)
        if "disabled_providers" in source.value:
            disabled = set(_texts(source.value["disabled_providers"]))
        if "enabled_providers" in source.value:
            enabled = frozenset(_texts(source.value["enabled_providers"]))
    return OpenCodeConfig(tuple(sources), tuple(problems), providers, frozenset(disabled), enabled)


def credentials_file(env: Mapping[str, str] = os.environ) -> Path:
    """Give the file OpenCode keeps its logins in."""
    data = env.get("XDG_DATA_HOME", "")
    base = Path(data) if data.startswith("/") else _home(env) / ".local" / "share"
    return base / "opencode" / "auth.json"


def credentials(env: Mapping[str, str] = os.environ) -> dict[str, Login]:
    """Give the providers OpenCode has a login for, and of which type; never what is in it."""
    types: dict[Any, Login] = {"api": "api", "oauth": "oauth", "wellknown": "wellknown"}
    return {
        name: types[entry["type"]]
        for name, entry in _logins(env).items()
        if isinstance(entry, dict) and entry.get("type") in types
    }


def key_for(provider: str, key_env: tuple[str, ...], directory: Path, env: Mapping[str, str] = os.environ) -> str:
    """Give the key of a provider as OpenCode would find it, "" when there is none to be had.

    From the user's own configuration, a login of the type `api`, or the environment. Use it at once; do not keep, print
    or log it. A login of another type is not a key, and a project's files are not asked for one.
    """
    for source in reversed(read(directory, env).sources):
        entries = source.value.get("provider")
        entry = entries.get(provider) if isinstance(entries, dict) else None
        options = entry.get("options") if isinstance(entry, dict) else None
        key = options.get("apiKey") if isinstance(options, dict) else None
        if source.own and isinstance(key, str) and key:
            return _filled_in(key, source, env)
    login = _logins(env).get(provider)
    if isinstance(login, dict) and login.get("type") == "api":
        return str(login.get("key") or "")
    return next((env[name] for name in key_env if env.get(name)), "")


def plugin_files(directory: Path, env: Mapping[str, str] = os.environ) -> Iterator[Path]:
    """Give the files OpenCode loads as plugins because of where they are."""
    for place in _directories(directory, env):
        for name in ("plugin", "plugins"):
            for ending in ("ts", "js"):
                yield from sorted((place / name).glob(f"*.{ending}"))


def _files(directory: Path, env: Mapping[str, str]) -> Iterator[tuple[Path, bool]]:
    for name in ("config.json", *_NAMES):
        yield _global(env) / name, True
    if env.get("OPENCODE_CONFIG"):
        yield Path(env["OPENCODE_CONFIG"]), True
    for place in reversed(_upwards(directory)):
        yield from ((place / name, False) for name in _NAMES)
    for place in reversed(_upwards(directory)):
        yield from ((place / ".opencode" / name, False) for name in _NAMES)
    if env.get("OPENCODE_CONFIG_DIR"):
        yield from ((Path(env["OPENCODE_CONFIG_DIR"]) / name, True) for name in _NAMES)


def _directories(directory: Path, env: Mapping[str, str]) -> Iterator[Path]:
    yield _global(env)
    yield from (place / ".opencode" for place in _upwards(directory))
    if env.get("OPENCODE_CONFIG_DIR"):
        yield Path(env["OPENCODE_CONFIG_DIR"])


def _upwards(directory: Path) -> list[Path]:
    """Give a directory and those above it, to the root of its repository; without one only itself."""
    here = directory.absolute()
    places = [here, *here.parents]
    root = next((place for place in places if (place / ".git").exists()), here)
    return places[: places.index(root) + 1]


def _global(env: Mapping[str, str]) -> Path:
    base = env.get("XDG_CONFIG_HOME", "")
    return (Path(base) if base.startswith("/") else _home(env) / ".config") / "opencode"


def _home(env: Mapping[str, str]) -> Path:
    return Path(env.get("HOME") or Path.home())


def _object(file: Path, problems: list[str]) -> dict[str, Any] | None:
    try:
        if not file.is_file():
            return None
        with file.open("rb") as stream:
            text = stream.read(_LARGEST).decode("utf-8", "replace")
    except OSError as error:
        problems.append(f"{file}: {error.strerror}")
        return None
    return _parsed(str(file), text, problems)


def _parsed(name: str, text: str, problems: list[str]) -> dict[str, Any] | None:
    try:
        value = jsonc.parse(text).value
    except JsoncError as error:
        problems.append(f"{name}:{error.line}: {error.reason}")
        return None
    if not isinstance(value, dict):
        problems.append(f"{name}: is not an object")
        return None
    return value


def _laid_over(below: ProviderEntry, entry: dict[str, Any], *, own: bool) -> ProviderEntry:
    found = entry.get("options")
    options: dict[str, Any] = found if isinstance(found, dict) else {}
    models = entry.get("models")
    url = options.get("baseURL") if isinstance(options.get("baseURL"), str) else ""
    return ProviderEntry(
        below.id,
        name=entry["name"] if isinstance(entry.get("name"), str) else below.name,
        base_url=url or below.base_url,
        own_url=(url if own else "") or below.own_url,
        models=tuple(dict.fromkeys([*below.models, *(models if isinstance(models, dict) else ())])),
        has_key=below.has_key or bool(options.get("apiKey")),
    )


def _filled_in(text: str, source: Source, env: Mapping[str, str]) -> str:
    def content(found: re.Match[str]) -> str:
        file = Path(found[1]).expanduser()
        try:
            return (Path(source.name).parent / file).read_text(encoding="utf-8").strip()
        except (OSError, UnicodeDecodeError):
            return ""

    return _FILE.sub(content, _VARIABLE.sub(lambda found: env.get(found[1], ""), text))


def _logins(env: Mapping[str, str]) -> dict[str, Any]:
    try:
        text = env.get("OPENCODE_AUTH_CONTENT") or credentials_file(env).read_text(encoding="utf-8")
        found = json.loads(text)
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}


def _texts(value: Any) -> list[str]:
    return [text for text in value if isinstance(text, str)] if isinstance(value, list) else []
