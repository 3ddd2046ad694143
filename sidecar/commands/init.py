"""`init`: writes a commented configuration from what OpenCode is connected to."""

import argparse
import json
import sys
import time
from datetime import UTC, datetime
from pathlib import Path

from sidecar.config import jsonc
from sidecar.config.models import Config
from sidecar.discovery import Discovery, discover
from sidecar.installation import Installation
from sidecar.paths import Paths, from_environment
from sidecar.report.starter import starter

HELP = """Write a commented configuration with the providers and models OpenCode is connected to: subscriptions first,
then what is free, then what runs on your machines, then what is paid per token. Looks at OpenCode's configuration and
at the names in its list of logins, never at keys. An existing configuration is only replaced with --force, and kept."""
EXAMPLE = """
  rate-limit-sidecar init --print     show it, write nothing
  rate-limit-sidecar init
  rate-limit-sidecar init --force     replace the one there is; it is kept as rate-limit.jsonc.before-DATE
"""


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    parser.add_argument("--print", action="store_true", dest="show", help="print it, write nothing")
    parser.add_argument("--force", action="store_true", help="replace an existing one, which is kept beside")


def run(args: argparse.Namespace) -> int:
    """Find, and write or print."""
    paths = from_environment()
    # Asked first: whoever has a configuration should not wait to hear that.
    if not (args.show or args.force or _replaceable(paths)):
        print(
            f"rate-limit-sidecar init: {paths.config} is there already; "
            "look at what would be written with --print, or replace it with --force (it is kept)",
            file=sys.stderr,
        )
        return 1
    found = discover(paths, Path.cwd())
    for problem in found.problems:
        print(f"warning: OpenCode's configuration cannot be read: {problem}", file=sys.stderr)
    if not found.providers:
        print(_nothing(), file=sys.stderr)
        return 1
    text = text_for(paths, found)
    if args.show:
        print(text, end="")
        return 0
    kept = _write(paths.config, text, keep=not _replaceable(paths))
    if kept is not None:
        print(f"kept the old one as {kept}")
    print(f"wrote {paths.config} with {len(found.providers)} providers: {', '.join(one.id for one in found.providers)}")
    print("look through it; it takes effect when it is saved. Check with: rate-limit-sidecar config check")
    return 0


def text_for(paths: Paths, found: Discovery) -> str:
    """Give the configuration for what was found.

    Raises:
        ValueError: what was made is not valid, which would be our mistake.
    """
    schema = Installation(paths).schema
    day = datetime.fromtimestamp(time.time(), UTC).astimezone()
    text = starter(found, f"{day:%Y-%m-%d}", schema.as_uri() if schema.exists() else None)
    Config.model_validate_json(json.dumps(jsonc.parse(text).value), strict=True)
    return text


def _replaceable(paths: Paths) -> bool:
    """Whether nothing of the user's stands there: no file, or the example as `install` put it."""
    return not paths.config.exists() or Installation(paths).example_is_untouched()


def _write(file: Path, text: str, *, keep: bool) -> Path | None:
    """Write in one step; gives where the old file was kept, if it was."""
    kept = None
    file.parent.mkdir(parents=True, exist_ok=True)
    if keep and file.exists():
        kept = _free(file.with_name(f"{file.name}.before-{datetime.now(UTC):%Y%m%dT%H%M%SZ}"))
        kept.write_bytes(file.read_bytes())
        kept.chmod(file.stat().st_mode & 0o777)
    fresh = file.with_name(f".{file.name}.new")
    fresh.write_text(text, encoding="utf-8")
    fresh.replace(file)
    return kept


def _free(file: Path) -> Path:
    number = 1
    found = file
    while found.exists():
        number += 1
        found = file.with_name(f"{file.name}-{number}")
    return found


def _nothing() -> str:
    return """rate-limit-sidecar init: OpenCode is connected to nothing that could be configured. Connect it first:
  opencode auth login                  log in, or give OpenCode a key
  export ANTHROPIC_API_KEY=…           or set the variable of a provider and start OpenCode in that shell
  "provider" in opencode.json          or name a server of your own there
then run it again. No configuration is needed at all: one is for limits, order and chains."""
