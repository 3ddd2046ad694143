"""What each command takes, read from its own parser, so that completion can never differ from it."""

import argparse
from collections.abc import Iterable, Iterator
from pathlib import Path

from sidecar.cli import COMMANDS, parser_of
from sidecar.shells import Command, Kind, Option

# By the name an argument has in the help.
_KINDS: dict[str, Kind] = {
    "PROVIDER[/MODEL]": "all",
    "PROVIDER/MODEL": "models",
    "PROVIDER": "providers",
    "DIR": "directories",
    "FILE": "files",
    "PATH": "files",
}


def described() -> Iterator[Command]:
    """Give every command."""
    for name, (_, text) in COMMANDS.items():
        parser = parser_of(name)
        shown = [action for action in parser._actions if action.help != argparse.SUPPRESS]  # noqa: SLF001 - argparse offers no other way to its own arguments
        options = tuple(_option(action) for action in shown if action.option_strings)
        arguments = [_kind(action) for action in shown if not action.option_strings]
        words = tuple(word for _, words in arguments for word in words)
        yield Command(name, text, options, _strongest(kind for kind, _ in arguments), words)


def _strongest(kinds: Iterable[Kind]) -> Kind:
    """Give the one that offers something."""
    return next((kind for kind in kinds if kind not in ("none", "free")), "none")


def _option(action: argparse.Action) -> Option:
    text = " ".join((action.help or "").replace("%%", "%").split())
    if action.nargs == 0:
        return Option(tuple(action.option_strings), text)
    return Option(tuple(action.option_strings), text, *_kind(action))


def _kind(action: argparse.Action) -> tuple[Kind, tuple[str, ...]]:
    if action.choices is not None:
        return "words", tuple(map(str, action.choices))
    metavar = action.metavar if isinstance(action.metavar, str) else ""
    if metavar not in _KINDS and action.type is Path:
        return "files", ()
    return _KINDS.get(metavar, "free"), ()
