"""`allow`: the user's answer to the cost guard."""

import argparse

from sidecar.commands.targets import add_target, tell

HELP = 'Permit switches to a provider that costs money, for a day; the answer to cost_guard mode "ask".'
EXAMPLE = """
  rate-limit-sidecar allow openrouter
"""


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    add_target(parser)


def run(args: argparse.Namespace) -> int:
    """Tell the daemon."""
    tell("/v1/targets/allow", args.target)
    print(f"turns may move to {args.target} for a day")
    return 0
