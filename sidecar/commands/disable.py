"""`disable`: do not use a provider or model, for a while or until it is enabled again."""

import argparse

from sidecar.commands.targets import add_target, tell
from sidecar.core.words import span

HELP = "Do not use a provider or model, for a while or until it is enabled again."
EXAMPLE = """
  rate-limit-sidecar disable openrouter --for 1h
  rate-limit-sidecar disable anthropic/claude-opus-4-1
"""


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    add_target(parser)
    parser.add_argument("--for", dest="seconds", metavar="TIME", type=seconds, help="for example 90s, 5m, 1h30m, 2d")


def run(args: argparse.Namespace) -> int:
    """Tell the daemon."""
    tell("/v1/targets/disable", args.target, args.seconds)
    how_long = "until it is enabled again" if args.seconds is None else f"for {span(args.seconds)}"
    print(f"{args.target} is not used {how_long}")
    return 0


def seconds(text: str) -> float:
    """Read a length of time.

    Raises:
        argparse.ArgumentTypeError: it is none.
    """
    # Only here, because the models of the configuration load slowly.
    from sidecar.config.models import parse_duration  # noqa: PLC0415

    try:
        return parse_duration(int(text) if text.isdigit() else text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from None
