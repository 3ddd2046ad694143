"""`status`: what is used, what is cooling down and until when; rendered by the daemon, so that this starts fast."""

import argparse
import json
import sys

from sidecar.client import call
from sidecar.commands.screen import look
from sidecar.paths import from_environment

HELP = "Show every provider: what is used of its limits, what is cooling down and until when, and what is used now."
EXAMPLE = """
  rate-limit-sidecar status
  rate-limit-sidecar status --watch        stays, and shows what happens as it happens; q ends it
  rate-limit-sidecar status --json | jq -r '.providers[] | "\\(.id) \\(.state)"'
  rate-limit-sidecar status --watch --json | jq --unbuffered .current
"""


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    parser.add_argument("--json", action="store_true", help="print the snapshot as JSON")
    parser.add_argument("--watch", action="store_true", help="keep it on the screen and up to date, until q or Ctrl-C")
    parser.add_argument("--ascii", action="store_true", help="no signs outside ASCII")


def run(args: argparse.Namespace) -> int:
    """Print the report, or keep it on the screen."""
    socket = from_environment().socket
    if args.watch:
        # Only here, because what it needs takes a while to load.
        from sidecar.commands import watching  # noqa: PLC0415

        if sys.stdout.isatty() and not args.json:
            return watching.watch(socket, sys.stdin, sys.stdout, lambda: _query(ascii_only=args.ascii))
        return watching.follow(socket, sys.stdout, None if args.json else _query(ascii_only=args.ascii))
    if args.json:
        print(json.dumps(call(socket, "GET", "/v1/status"), indent=2, ensure_ascii=False))
        return 0
    print(call(socket, "GET", f"/v1/status?{_query(ascii_only=args.ascii)}")["text"].rstrip("\n"))
    return 0


def _query(*, ascii_only: bool) -> str:
    return f"format=text&bars=1&{look(sys.stdout, ascii_only=ascii_only)}"
