"""`providers`: what there is to use, who is connected to it, and what limits it has; one of them with its models."""

import argparse
import json
import sys
from typing import Any
from urllib.parse import quote

from sidecar.client import call
from sidecar.commands.screen import look
from sidecar.paths import Paths, from_environment

HELP = (
    "Show what there is to use: what each provider is, in which OpenCode windows it is connected, its limits (written, "
    "learned, documented) and its models."
)
EXAMPLE = """
  rate-limit-sidecar providers
  rate-limit-sidecar providers anthropic           with every model
  rate-limit-sidecar providers openrouter --live   and what the provider itself lists now
  rate-limit-sidecar providers --json | jq -r '.providers[] | select(.billing == "subscription") | .id'
"""


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    parser.add_argument("provider", metavar="PROVIDER", nargs="?", help="only this one, with its models")
    parser.add_argument("--live", action="store_true", help="ask the provider for its list of models (kept for 10 min)")
    parser.add_argument("--json", action="store_true", help="print it as JSON")
    parser.add_argument("--ascii", action="store_true", help="no signs outside ASCII")


def run(args: argparse.Namespace) -> int:
    """Print the report."""
    try:
        return _run(args)
    except ValueError as error:  # the live list; only that is asked of others
        print(f"rate-limit-sidecar providers: {error}", file=sys.stderr)
        return 1


def _run(args: argparse.Namespace) -> int:
    if args.live and not args.provider:
        print("rate-limit-sidecar providers: --live needs a PROVIDER", file=sys.stderr)
        return 2
    paths = from_environment()
    only = f"&provider={quote(args.provider, safe='')}" if args.provider else ""
    if args.json:
        roster = call(paths.socket, "GET", f"/v1/providers?format=json{only}")
        if args.live:
            roster["live"] = _live(paths, roster, args.provider)
        if args.provider:
            roster["providers"] = [one for one in roster["providers"] if one["id"] == args.provider]
        print(json.dumps(roster, indent=2, ensure_ascii=False))
        return 0
    query = look(sys.stdout, ascii_only=args.ascii)
    print(call(paths.socket, "GET", f"/v1/providers?format=text&{query}{only}")["text"].rstrip("\n"))
    if args.live:
        roster = call(paths.socket, "GET", f"/v1/providers?format=json{only}")
        _compare(_live(paths, roster, args.provider), roster, args.provider)
    return 0


def _live(paths: Paths, roster: dict[str, Any], provider: str) -> list[str]:
    # Only here, because what it needs loads slowly.
    from sidecar.live_models import live_models  # noqa: PLC0415

    facts = next(one for one in roster["providers"] if one["id"] == provider)
    return list(live_models(paths, provider, facts["base_url"]))


def _compare(live: list[str], roster: dict[str, Any], provider: str) -> None:
    """Say what the provider lists and OpenCode does not know, and the other way round."""
    facts = next(one for one in roster["providers"] if one["id"] == provider)
    known = {model["id"] for model in facts["models"] if model["connected"]}
    print(f"  The provider itself lists {len(live)} models.")
    for what, names in (
        ("OpenCode does not know", [name for name in live if name not in known]),
        ("OpenCode knows and the provider does not list", sorted(known - set(live))),
    ):
        if names:
            print(f"  {what}: {', '.join(names)}")
