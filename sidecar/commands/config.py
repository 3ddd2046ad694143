"""`config`: check what the user wrote, or show what is in effect and where each value comes from."""

import argparse
import json
import os
from pathlib import Path

from sidecar.config.load import DEFAULT, VARIABLE, load
from sidecar.paths import from_environment

HELP = "Check the configuration, or show what is in effect, with the file and line each value comes from."
EXAMPLE = """
  rate-limit-sidecar config check              is it valid, seen from this directory?
  rate-limit-sidecar config show               what differs from the defaults, and where that is written
  rate-limit-sidecar config show --all         every setting
  rate-limit-sidecar config show --json        the whole configuration in effect
"""


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    parser.add_argument("what", choices=("check", "show"))
    parser.add_argument("--project", type=Path, default=Path(), metavar="DIR", help="as seen from DIR (default: here)")
    parser.add_argument("--all", action="store_true", help="show: defaults too")
    parser.add_argument("--json", action="store_true", help="show: as JSON")


def run(args: argparse.Namespace) -> int:
    """Load, and report what was asked for; a bad configuration ends here as an error that names every problem."""
    paths = from_environment()
    project = paths.project_config(str(args.project.resolve()))
    loaded = load(paths.config, project, os.environ.get(VARIABLE))
    if args.what == "check":
        for file in (paths.config, project):
            print(f"{file}: {'valid' if file.exists() else 'not there, and not needed'}")
        for warning in loaded.warnings:
            print(f"warning: {warning}")
        return 1 if loaded.warnings else 0
    if args.json:
        print(loaded.config.model_dump_json(indent=2, by_alias=True))
        return 0
    shown = {key: origin for key, origin in loaded.origins.items() if args.all or origin != DEFAULT}
    for key, origin in shown.items():
        print(f"{key} = {json.dumps(loaded.values[key], ensure_ascii=False)}  ({origin})")
    if not shown:
        print(f"every setting has its default; your own go into {paths.config}")
    return 0
