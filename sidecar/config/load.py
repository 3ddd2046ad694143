"""Finds and lays over each other what the user wrote, and says of every value where it came from.

Four layers, later ones win: the user's file, the project's file, `RATE_LIMIT_PROVIDERS` of the daemon, and that of an
editor window. Objects are merged key by key, lists and single values replace. Reads files, decides nothing, logs
nothing.

A project's file comes with a cloned repository and is trusted with less: what concerns money, secrets, files, the
network and regular expressions is only taken from the user's own file, and it cannot undo what that file switched off.
"""

import copy
import json
import stat
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from sidecar.config import jsonc
from sidecar.config.explain import dotted, problems_of
from sidecar.config.jsonc import Document, JsoncError
from sidecar.config.models import Config
from sidecar.config.problems import ConfigError, Problem

VARIABLE = "RATE_LIMIT_PROVIDERS"
DEFAULT = "default"
# Hundreds of times what anybody writes by hand; keeps a hostile project file cheap.
SIZE_LIMIT = 262_144

_USERS_ONLY: tuple[jsonc.Path, ...] = (
    ("webhooks",),
    ("self_test",),
    ("state_file",),
    ("log",),
    ("error_patterns",),
    ("cost_guard",),
    ("providers", "*", "base_url"),
    ("providers", "*", "key_env"),
    ("providers", "*", "account"),
    ("providers", "*", "billing"),
    ("providers", "*", "local"),
    ("providers", "*", "limits", "usd_per_day"),
    ("providers", "*", "models", "*", "limits", "usd_per_day"),
)
_SWITCHES: tuple[jsonc.Path, ...] = (
    ("enabled",),
    ("providers", "*", "enabled"),
    ("providers", "*", "models", "*", "enabled"),
)


@dataclass(frozen=True, slots=True)
class Loaded:
    """The configuration in effect.

    By dotted key, `origins` names the source of every value and `values` gives it as JSON holds it.
    """

    config: Config
    origins: Mapping[str, str]
    values: Mapping[str, Any]
    warnings: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class _Layer:
    name: str
    document: Document

    def origin(self, path: jsonc.Path) -> str:
        line = self.document.locate(path)
        return f"{self.name}:{line}" if line else self.name


@dataclass(slots=True)
class _Merged:
    value: dict[str, Any] = field(default_factory=dict)
    origins: dict[jsonc.Path, str] = field(default_factory=dict)

    def lay_over(self, value: dict[str, Any], layer: _Layer) -> None:
        # `primary` and `fallback` are the short form of chains["*"]; the form the upper layer uses replaces the other.
        if value.get("primary") or value.get("fallback"):
            self.value.get("chains", {}).pop("*", None)
        if "*" in value.get("chains", {}):
            self.value = {key: below for key, below in self.value.items() if key not in ("primary", "fallback")}
        self._merge(self.value, value, (), layer)

    def _merge(self, below: dict[str, Any], above: dict[str, Any], path: jsonc.Path, layer: _Layer) -> None:
        for key, value in above.items():
            here = (*path, key)
            if isinstance(value, dict) and isinstance(below.get(key), dict):
                self._merge(below[key], value, here, layer)
                continue
            below[key] = copy.deepcopy(value)
            self.origins = {known: origin for known, origin in self.origins.items() if known[: len(here)] != here}
            self.origins.update((leaf, layer.origin(leaf)) for leaf in _leaves(value, here))


def load(user: Path | None, project: Path | None, environment: str | None, extra: str | None = None) -> Loaded:
    """Compose the configuration; files that do not exist and empty variables are as good as none.

    `environment` and `extra` are JSON laid over `providers`.

    Raises:
        ConfigError: at least one layer cannot be used; it names every problem of every layer.
    """
    problems: list[Problem] = []

    def read(name: str, text: str | None, *, variable: bool = False) -> _Layer | None:
        try:
            return _layer(name, text, variable=variable) if text and text.strip() else None
        except ConfigError as error:
            problems.extend(error.problems)
            return None

    def text_of(path: Path | None) -> str | None:
        try:
            return None if path is None else _text(path)
        except ConfigError as error:
            problems.extend(error.problems)
            return None

    own = read(str(user), text_of(user))
    shared = read(str(project), text_of(project))
    variables = (
        read(VARIABLE, environment, variable=True),
        read(f"{VARIABLE} of the editor window", extra, variable=True),
    )
    if problems:
        raise ConfigError(*problems)

    merged = _Merged()
    warnings: list[str] = []
    if own:
        merged.lay_over(own.document.value, own)
    if shared:
        value, refused = _narrow(shared, merged.value, str(user or "your own file"))
        warnings += map(str, refused)
        merged.lay_over(value, shared)
    for layer in filter(None, variables):
        merged.lay_over(layer.document.value, layer)
    config = _validate(merged.value)
    effective = config.model_dump(mode="json", by_alias=True)
    leaves = list(_leaves(effective, ()))
    return Loaded(
        config,
        origins={dotted(path): merged.origins.get(path, DEFAULT) for path in leaves},
        values={dotted(path): _node(effective, path) for path in leaves},
        warnings=tuple(warnings),
    )


def _text(path: Path) -> str | None:
    try:
        # A link in a repository can name a device that never ends; only a regular file is read.
        if not stat.S_ISREG(path.stat().st_mode):
            raise ConfigError(Problem(str(path), 0, "is not a file"))
        with path.open("rb") as file:
            raw = file.read(SIZE_LIMIT + 1)
        if len(raw) > SIZE_LIMIT:
            raise ConfigError(Problem(str(path), 0, f"is larger than {SIZE_LIMIT // 1024} KiB"))
        return raw.decode()
    except (FileNotFoundError, NotADirectoryError):
        return None
    except OSError as error:
        raise ConfigError(Problem(str(path), 0, f"cannot be read: {error.strerror}")) from error
    except UnicodeDecodeError as error:
        line = error.object.count(b"\n", 0, error.start) + 1
        raise ConfigError(Problem(str(path), line, "is not UTF-8 text")) from None


def _layer(name: str, text: str, *, variable: bool) -> _Layer:
    try:
        document = jsonc.parse(text)
    except JsoncError as error:
        raise ConfigError(Problem(name, 0 if variable else error.line, error.reason)) from None
    if variable:
        document = Document({"providers": document.value}, {(): 0})
    elif not isinstance(document.value, dict):
        raise ConfigError(Problem(name, document.locate(()), "the file must hold one object: { … }"))
    try:
        _validate(document.value)
    except ValidationError as error:
        raise ConfigError(*problems_of(error, name, document)) from None
    return _Layer(name, document)


def _validate(value: dict[str, Any]) -> Config:
    # Strict and as JSON: "50" is not a number and 1 is not true, but names of classes and tiers are text.
    return Config.model_validate_json(json.dumps(value), strict=True)


def _narrow(layer: _Layer, below: dict[str, Any], own: str) -> tuple[dict[str, Any], list[Problem]]:
    """Take from a project's file what it may not say; `below` is what the user's own file says."""
    value = copy.deepcopy(layer.document.value)
    refused: list[Problem] = []

    def refuse(path: jsonc.Path, reason: str) -> None:
        refused.append(
            Problem(layer.name, layer.document.locate(path), f"{dotted(path)} {reason}", f"it belongs in {own}")
        )
        del _node(value, path[:-1])[path[-1]]

    for pattern in _USERS_ONLY:
        for path in list(_matches(value, pattern)):
            refuse(path, "is not taken from a project's file")
    for pattern in _SWITCHES:
        for path in list(_matches(value, pattern)):
            if _node(value, path) is True and _node(below, path) is False:
                refuse(path, "cannot switch on what your own file switches off")
    if below.get("mode") == "local" and value.get("mode", "local") != "local":
        refuse(("mode",), 'cannot leave the mode "local" of your own file')
    if below.get("allow") and "allow" in value:
        refuse(("allow",), "cannot replace the one of your own file")
    if below.get("deny") and "deny" in value:
        value["deny"] = [*below["deny"], *value["deny"]]
    return value, refused


def _matches(value: Any, pattern: jsonc.Path) -> Iterator[jsonc.Path]:
    """Give every path of `value` that fits a pattern in which `*` is any key."""
    if not pattern:
        yield ()
    else:
        for key in value if pattern[0] == "*" else {pattern[0]} & value.keys():
            yield from ((key, *rest) for rest in _matches(value[key], pattern[1:]))


def _node(value: Any, path: jsonc.Path) -> Any:
    """Give the node at `path`, None when there is none."""
    for key in path:
        value = value.get(key) if isinstance(value, dict) else None
    return value


def _leaves(value: Any, path: jsonc.Path) -> Iterator[jsonc.Path]:
    if isinstance(value, dict) and value:
        for key, inner in value.items():
            yield from _leaves(inner, (*path, key))
    else:
        yield path
