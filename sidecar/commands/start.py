"""`start`: the daemon in the background. Succeeds only when it answers."""

import argparse
import subprocess
import sys
import tempfile
import time
from typing import IO, Any

import sidecar
from sidecar.client import DaemonAnswerError, DaemonUnavailableError, call
from sidecar.daemon.lifecycle import EXIT_ALREADY_RUNNING, running
from sidecar.itself import words
from sidecar.paths import Paths, from_environment

HELP = "Start the daemon in the background, unless it already runs; done when it answers."
EXAMPLE = """
  rate-limit-sidecar start
"""
PATIENCE_S = 5.0
_PAUSE_S = 0.02


def configure(_parser: argparse.ArgumentParser) -> None:
    """Declare no arguments."""


def run(_args: argparse.Namespace) -> int:
    """Start it, or say that it runs."""
    return start(from_environment())


def start(paths: Paths) -> int:
    """Start the daemon of `paths` and wait until it answers; gives the exit code."""
    deadline = time.monotonic() + PATIENCE_S
    child: subprocess.Popen[bytes] | None = None
    with tempfile.TemporaryFile() as errors:
        while time.monotonic() < deadline:
            if health := _health(paths):
                _say(paths, health, ours=child is not None and health["pid"] == child.pid)
                return 0
            if child is None:
                # Somebody else's daemon may just be starting, or stopping: then there is nothing to start yet.
                if running(paths) is None:
                    child = _spawn(errors)
            elif (code := child.poll()) == EXIT_ALREADY_RUNNING:
                child = None
            elif code is not None:
                return _failed(errors, f"the daemon ended with code {code}")
            time.sleep(_PAUSE_S)
        return _failed(
            errors, f"the daemon does not answer after {PATIENCE_S:g} s; rate-limit-sidecar logs may say why"
        )


def _spawn(errors: IO[bytes]) -> subprocess.Popen[bytes]:
    errors.seek(0)
    errors.truncate()
    return subprocess.Popen(  # noqa: S603 - our own interpreter, our own code
        words("serve", "--quiet"),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=errors,
        start_new_session=True,
    )


def _health(paths: Paths) -> dict[str, Any] | None:
    try:
        health: dict[str, Any] = call(paths.socket, "GET", "/v1/health", timeout=1.0)
    except (DaemonUnavailableError, DaemonAnswerError):
        return None
    return health


def _say(paths: Paths, health: dict[str, Any], *, ours: bool) -> None:
    line = f"{'started' if ours else 'already running'} (pid {health['pid']}) at {paths.socket}"
    if health["version"] != sidecar.__version__:
        line += f"; it is version {health['version']}, not {sidecar.__version__}: rate-limit-sidecar restart"
    print(line)
    for problem in health["problems"]:
        print(f"warning: {problem}")


def _failed(errors: IO[bytes], why: str) -> int:
    errors.seek(0)
    said = errors.read(10_000).decode("utf-8", "replace").strip()
    print(said or f"rate-limit-sidecar: {why}", file=sys.stderr)
    return 1
