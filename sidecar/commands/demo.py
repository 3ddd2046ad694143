"""`demo`: a rate limit and its switch on the real OpenCode; needs no keys and touches nothing of the user's."""

import argparse
import asyncio
import sys
from pathlib import Path

from sidecar.demo.show import show
from sidecar.installation import shim_source
from sidecar.opencode_binary import OpenCodeMissingError, on_this_machine, pinned
from sidecar.paths import from_environment

HELP = "Show a switch on the real OpenCode: two scripted providers on loopback, the first one rate limited. No keys."
EXAMPLE = """
  rate-limit-sidecar demo
"""


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    parser.add_argument("--cache", type=Path, help="where to install OpenCode when there is none on PATH")


def run(args: argparse.Namespace) -> int:
    """Run the demo; ends by itself in under a minute."""
    try:
        binary = on_this_machine()
        if binary is None:
            cache = args.cache or from_environment().cache / "opencode"
            print(f"No OpenCode on PATH; installing the tested version from npm into {cache} …", flush=True)
            binary = pinned(cache)
    except OpenCodeMissingError as error:
        print(f"rate-limit-sidecar demo: {error}", file=sys.stderr)
        return 1
    command = Path(sys.argv[0]).resolve()
    try:
        worked = asyncio.run(show(binary, shim_source() / "src" / "server.ts", str(command), _say))
    except TimeoutError:
        print("rate-limit-sidecar demo: it took too long; is this machine very busy? Try again", file=sys.stderr)
        return 1
    if not worked:
        print("rate-limit-sidecar demo: the turn was not answered by the second provider", file=sys.stderr)
    return 0 if worked else 1


def _say(text: str) -> None:
    print(text, flush=True)
