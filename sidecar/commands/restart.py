"""`restart`: stop, then start; for a new version or a setting that needs it."""

import argparse

from sidecar.commands.start import start
from sidecar.commands.stop import stop
from sidecar.paths import from_environment

HELP = "Stop the daemon and start it again; counters and cooldowns stay."
EXAMPLE = """
  rate-limit-sidecar restart
"""


def configure(_parser: argparse.ArgumentParser) -> None:
    """Declare no arguments."""


def run(_args: argparse.Namespace) -> int:
    """Stop it if it runs, then start it."""
    paths = from_environment()
    return stop(paths) or start(paths)
