"""`status`: what is used, what is cooling down and until when; rendered by the daemon, so that this starts fast."""

import argparse
import json
import shutil
import sys

from sidecar.client import call
from sidecar.paths import from_environment

HELP = "Show every provider: what is used of its limits, what is cooling down and until when, and what is used now."
EXAMPLE = """
  rate-limit-sidecar status
  rate-limit-sidecar status --json | jq -r '.providers[] | "\\(.id) \\(.state)"'
"""

# Longer lines are harder to read, and the daemon refuses widths that make no sense.
_NARROWEST, _WIDEST = 40, 120


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    parser.add_argument("--json", action="store_true", help="print the snapshot as JSON")


def run(args: argparse.Namespace) -> int:
    """Print the report."""
    socket = from_environment().socket
    if args.json:
        print(json.dumps(call(socket, "GET", "/v1/status"), indent=2, ensure_ascii=False))
        return 0
    width = min(max(shutil.get_terminal_size().columns, _NARROWEST), _WIDEST)
    color = int(sys.stdout.isatty())
    print(call(socket, "GET", f"/v1/status?format=text&width={width}&color={color}")["text"].rstrip("\n"))
    return 0
