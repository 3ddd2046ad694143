"""`reset`: forget counters and cooldowns."""

import argparse

from sidecar.client import DaemonUnavailableError
from sidecar.commands.targets import add_target, tell
from sidecar.paths import from_environment

HELP = "Forget counters, cooldowns and errors of everything, of one provider or of one model."
EXAMPLE = """
  rate-limit-sidecar reset                              everything
  rate-limit-sidecar reset anthropic                    one provider
  rate-limit-sidecar reset anthropic/claude-sonnet-4-5  one model
"""


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    add_target(parser, optional=True)


def run(args: argparse.Namespace) -> int:
    """Tell the daemon; without one, say what would do the same."""
    try:
        tell("/v1/reset", args.target)
    except DaemonUnavailableError as error:
        # Only here, because the configuration loads slowly.
        from sidecar.commands.files import state_file  # noqa: PLC0415

        state = state_file(from_environment())
        raise DaemonUnavailableError(f"{error}\nwithout the daemon, deleting {state} resets everything") from None
    print(f"{args.target or 'everything'} is reset")
    return 0
