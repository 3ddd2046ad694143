"""`use`: pick the provider to be used now, in every session, or leave it to the sidecar again."""

import argparse
import sys

from sidecar.commands.disable import seconds
from sidecar.commands.targets import add_target, tell
from sidecar.core.words import span

HELP = """Use a provider now, in every session, whenever it is free: it comes before what each session has selected.
Without a model it is the selected model there, or the one most like it. A model you select in OpenCode afterwards wins
in that session."""
EXAMPLE = """
  rate-limit-sidecar use openrouter
  rate-limit-sidecar use anthropic/claude-opus-4-1 --for 2h
  rate-limit-sidecar use --auto
"""


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    add_target(parser, optional=True)
    parser.add_argument("--auto", action="store_true", help="take it back: every session uses what is selected in it")
    parser.add_argument("--for", dest="seconds", metavar="TIME", type=seconds, help="for example 90s, 5m, 1h30m, 2d")


def run(args: argparse.Namespace) -> int:
    """Tell the daemon."""
    if (args.target is None) is not args.auto:
        print("rate-limit-sidecar use: name a provider, or say --auto to take back what was picked", file=sys.stderr)
        return 2
    tell("/v1/targets/use", args.target, args.seconds)
    if args.auto:
        print("every session uses what is selected in it")
        return 0
    how_long = "until you say: rate-limit-sidecar use --auto" if args.seconds is None else f"for {span(args.seconds)}"
    print(f"{args.target} is used first, {how_long}")
    return 0
