"""`stop`: ends the daemon; done when it is gone."""

import argparse
import os
import signal
import sys
import time

from sidecar.daemon.lifecycle import running
from sidecar.paths import Paths, from_environment

HELP = "Stop the daemon; what it knows is saved first. Done when it is gone."
EXAMPLE = """
  rate-limit-sidecar stop
"""
PATIENCE_S = 5.0
_PAUSE_S = 0.02


def configure(_parser: argparse.ArgumentParser) -> None:
    """Declare no arguments."""


def run(_args: argparse.Namespace) -> int:
    """Stop it, or say that there is nothing to stop."""
    return stop(from_environment())


def stop(paths: Paths) -> int:
    """Stop the daemon of `paths` and wait until it has given back its lock; gives the exit code."""
    pid = running(paths)
    if pid is None:
        print(f"not running at {paths.socket}")
        return 0
    try:
        if pid:
            os.kill(pid, signal.SIGTERM)
    except ProcessLookupError:
        pass  # it went between the two
    deadline = time.monotonic() + PATIENCE_S
    while time.monotonic() < deadline:
        if running(paths) != pid:
            print(f"stopped (pid {pid})")
            return 0
        time.sleep(_PAUSE_S)
    print(f"rate-limit-sidecar: pid {pid} does not stop; as a last resort: kill -9 {pid}", file=sys.stderr)
    return 1
