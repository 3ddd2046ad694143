"""What validation says, in words that help: where it is, what is wrong, what was probably meant.

Pure: turns pydantic's errors into problems with a line and a fix. Values of settings that can hold a secret are never
repeated.
"""

import difflib
from collections.abc import Iterator
from typing import Any, cast, get_args, get_origin

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from sidecar.config.jsonc import Document, Path
from sidecar.config.models import Config
from sidecar.config.problems import Problem

# Names in a suggestion that the user chooses, such as a provider's id.
_ANY = "NAME"
_SECRET = {"url", "base_url"}
_SHOWN_VALUE = 60


def problems_of(error: ValidationError, file: str, document: Document) -> tuple[Problem, ...]:
    """Explain every error of one validated file, in the order of its lines."""
    found = [_explain(details, file, document) for details in error.errors(include_url=False)]
    return tuple(sorted(found, key=lambda problem: problem.line))


def dotted(path: Path) -> str:
    """Write a path as `providers.openai.limits.rpm`; names that hold a dot or space are quoted."""
    parts = [str(part) for part in path]
    return ".".join(f'"{part}"' if not part or {".", " "} & set(part) else part for part in parts)


def _explain(details: ErrorDetails, file: str, document: Document) -> Problem:
    path: Path = tuple(part for part in details["loc"] if part != "[key]")
    kind, message = details["type"], details["msg"].removeprefix("Value error, ")
    fix = ""
    if kind == "extra_forbidden":
        message, fix = "unknown setting", _advise(path)
    elif kind == "missing":
        message = "is missing"
    elif kind != "value_error":
        message = message.replace("Input should", "should", 1).replace("String should", "should", 1)
        value = details["input"]
        shown = repr(value) if isinstance(value, str | int | float | None) else ""
        if shown and len(shown) <= _SHOWN_VALUE and not (path and path[-1] in _SECRET):
            message += f", not {shown}"
        if isinstance(value, str):
            fix = _did_you_mean(value, str(details.get("ctx", {}).get("expected", "")).replace("'", " ").split())
    if not path:
        # What a whole file contradicts itself about is named in the message.
        path = next(((key,) for key in document.value if key in message), ())
        return Problem(file, document.locate(path), message, fix)
    return Problem(file, document.locate(path), f"{dotted(path)}: {message}", fix)


def _did_you_mean(word: str, known: list[str]) -> str:
    near = difflib.get_close_matches(word.lower(), known, n=1)
    return f"did you mean {near[0]!r}?" if near else ""


def _advise(path: Path) -> str:
    """Say what an unknown key was probably meant to be, and what is known in its place."""
    model = _model_at(path[:-1])
    known = list(_fields(model))
    meant = _meant(str(path[-1]), model)
    return (f"did you mean {meant!r}? " if meant else "") + f"known here: {', '.join(known)}"


def _meant(key: str, model: type[BaseModel]) -> str | None:
    here = {_plain(name): name for name in _fields(model)}
    below = {_plain(name.rpartition(".")[2]): name for name in reversed(list(setting_names(model)))}
    everywhere = {_plain(name.rpartition(".")[2]): name for name in reversed(list(setting_names(Config)))}
    word = _plain(key)
    for names in (here, below):
        if word in names:
            return names[word]
    near = difflib.get_close_matches(word, here, n=1) or difflib.get_close_matches(word, below, n=1, cutoff=0.8)
    if near:
        return here.get(near[0]) or below[near[0]]
    return everywhere.get(word)


def _plain(name: str) -> str:
    return name.lower().replace("_", "").replace("-", "").lstrip("$")


def _fields(model: type[BaseModel]) -> Iterator[str]:
    return (info.alias or name for name, info in model.model_fields.items())


def setting_names(model: type[BaseModel], prefix: str = "") -> Iterator[str]:
    """Give every setting below `model` in dotted form, nearest first."""
    deeper = []
    for name, info in model.model_fields.items():
        written = prefix + (info.alias or name)
        yield written
        inner, named = _inner(info.annotation)
        if inner:
            deeper.append((inner, f"{written}.{_ANY}." if named else f"{written}."))
    for inner, start in deeper:
        yield from setting_names(inner, start)


def _inner(annotation: Any) -> tuple[type[BaseModel] | None, bool]:
    """Give the model a field holds, and whether it holds many of them (by name or in a list)."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation, False
    many = get_origin(annotation) in (dict, list)
    for argument in get_args(annotation):
        inner, _ = _inner(argument)
        if inner:
            return inner, many
    return None, False


def _model_at(path: Path) -> type[BaseModel]:
    """Give the model at a path that validation has walked, names and indices included."""
    model: type[BaseModel] = Config
    steps = iter(path)
    for step in steps:
        info = next(info for name, info in model.model_fields.items() if (info.alias or name) == step)
        inner, many = _inner(info.annotation)
        model = cast(type[BaseModel], inner)  # validation only walks into models
        if many:
            next(steps)
    return model
