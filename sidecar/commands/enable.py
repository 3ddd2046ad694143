"""`enable`: use a disabled provider or model again."""

import argparse

from sidecar.commands.targets import add_target, tell

HELP = "Use a provider or model again that was disabled by hand."
EXAMPLE = """
  rate-limit-sidecar enable openrouter
"""


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    add_target(parser)


def run(args: argparse.Namespace) -> int:
    """Tell the daemon."""
    tell("/v1/targets/enable", args.target)
    print(f"{args.target} is used again")
    return 0
