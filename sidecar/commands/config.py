"""`config`: check what the user wrote, or show what is in effect and where each value comes from."""

import argparse
import json
import os
from pathlib import Path
from typing import Any

from sidecar.client import DaemonAnswerError, DaemonUnavailableError, call
from sidecar.config.load import DEFAULT, VARIABLE, Loaded, load
from sidecar.paths import Paths, from_environment

HELP = "Check the configuration, or show what is in effect, with the file and line each value comes from."
EXAMPLE = """
  rate-limit-sidecar config check              is it valid here, and does every name in it match something?
  rate-limit-sidecar config show               what differs from the defaults
  rate-limit-sidecar config show --origin      and where each value is written: file and line, variable, default
  rate-limit-sidecar config show --all         every setting
  rate-limit-sidecar config show --json        the whole configuration in effect
"""

# Which of our variables say where a file is.
_PLACES = (("config", "RATE_LIMIT_CONFIG"), ("state", "RATE_LIMIT_STATE"), ("socket", "RATE_LIMIT_SOCKET"))


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    parser.add_argument("what", choices=("check", "show"))
    parser.add_argument("--project", type=Path, default=Path(), metavar="DIR", help="as seen from DIR (default: here)")
    parser.add_argument("--all", action="store_true", help="show: defaults too")
    parser.add_argument("--origin", action="store_true", help="show: where each value comes from")
    parser.add_argument("--json", action="store_true", help="as JSON")


def run(args: argparse.Namespace) -> int:
    """Load, and report what was asked for; a bad configuration ends here as an error that names every problem."""
    paths = from_environment()
    project = paths.project_config(str(args.project.resolve()))
    loaded = load(paths.config, project, os.environ.get(VARIABLE))
    if args.what == "check":
        return _check(paths, project, loaded, as_json=args.json)
    if args.origin:
        _show_origins(paths, loaded, everything=args.all, as_json=args.json)
    elif args.json:
        print(loaded.config.model_dump_json(indent=2, by_alias=True))
    else:
        _show(paths, loaded, everything=args.all)
    return 0


def _check(paths: Paths, project: Path, loaded: Loaded, *, as_json: bool) -> int:
    """Say what was found, with what the daemon knows: only it has been told which providers and models there are."""
    files = {str(file): file.exists() for file in (paths.config, project)}
    warnings = list(loaded.warnings)
    known = _known_to_daemon(paths)
    warnings += [warning for warning in known or () if warning not in warnings]
    if as_json:
        told = {"files": files, "warnings": warnings, "names_checked": known is not None}
        print(json.dumps(told, indent=2, ensure_ascii=False))
        return 1 if warnings else 0
    for file, there in files.items():
        print(f"{file}: {'valid' if there else 'not there, and not needed'}")
    for warning in warnings:
        print(f"warning: {warning}")
    if known is None:
        print(
            "The names in it were not held against what is connected: no OpenCode has told the daemon. Open it first."
        )
    return 1 if warnings else 0


def _known_to_daemon(paths: Paths) -> tuple[str, ...] | None:
    """Give what the daemon says of the configuration; None while it cannot know what is connected."""
    try:
        if call(paths.socket, "GET", "/v1/status")["hello_at"] is None:
            return None
        health = call(paths.socket, "GET", "/v1/health")
    except (DaemonUnavailableError, DaemonAnswerError):
        return None
    return tuple(health.get("warnings", ()))


def _show(paths: Paths, loaded: Loaded, *, everything: bool) -> None:
    shown = _shown(loaded, everything=everything)
    for key in shown:
        print(f"{key} = {_written(loaded.values[key])}")
    if not shown:
        print(f"every setting has its default; your own go into {paths.config}")


def _show_origins(paths: Paths, loaded: Loaded, *, everything: bool, as_json: bool) -> None:
    shown = _shown(loaded, everything=everything)
    if as_json:
        told = {key: {"value": loaded.values[key], "origin": origin} for key, origin in shown.items()}
        print(json.dumps(told, indent=2, ensure_ascii=False))
        return
    for name, variable in _PLACES:
        print(f"{name} file: {getattr(paths, name)}  ({variable if os.environ.get(variable) else DEFAULT})")
    for key, origin in shown.items():
        print(f"{key} = {_written(loaded.values[key])}  ({origin})")
    if not shown:
        print("every setting has its default")


def _shown(loaded: Loaded, *, everything: bool) -> dict[str, str]:
    return {key: origin for key, origin in loaded.origins.items() if everything or origin != DEFAULT}


def _written(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False)
