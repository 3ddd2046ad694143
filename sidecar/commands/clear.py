"""`clear`: end a cooldown, keep the counters."""

import argparse

from sidecar.commands.targets import add_target, tell

HELP = "End the cooldown of a provider or model now; its counters stay."
EXAMPLE = """
  rate-limit-sidecar clear anthropic
  rate-limit-sidecar clear anthropic/claude-sonnet-4-5
"""


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    add_target(parser)


def run(args: argparse.Namespace) -> int:
    """Tell the daemon."""
    tell("/v1/targets/clear", args.target)
    print(f"the cooldown of {args.target} is over")
    return 0
