"""`serve`: the daemon itself, in the foreground; `start` runs it in the background."""

import argparse
import asyncio
import gc
import os
import sys

from sidecar.daemon.lean import lean_imports
from sidecar.daemon.lifecycle import EXIT_ALREADY_RUNNING, AlreadyRunningError, PlaceError, claim
from sidecar.paths import Paths, from_environment

HELP = "Run the daemon in the foreground until it is told to stop; what happens is shown on standard error."
EXAMPLE = """
  rate-limit-sidecar serve
"""


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    parser.add_argument("--quiet", action="store_true", help="write to the log file only, as a background process does")


def run(args: argparse.Namespace) -> int:
    """Serve; gives 3 when another daemon already does."""
    paths = from_environment()
    paths = Paths(*(path.absolute() for path in paths))
    os.umask(0o077)  # whatever the daemon makes, directories included, is nobody else's business
    try:
        place = claim(paths)
    except AlreadyRunningError as error:
        print(f"rate-limit-sidecar: {error}", file=sys.stderr)
        return EXIT_ALREADY_RUNNING
    except PlaceError as error:
        print(f"rate-limit-sidecar: {error}", file=sys.stderr)
        return 1
    if args.quiet:
        os.chdir("/")  # a background process must not keep a directory from being unmounted
    # All that is loaded now stays, so there is nothing to collect; once it answers the daemon switches this on again.
    gc.disable()
    try:
        with lean_imports():
            # Only now, because it is heavy and most second instances end above.
            from sidecar.daemon.main import serve  # noqa: PLC0415

        return asyncio.run(serve(place, paths, terminal=None if args.quiet else sys.stderr))
    finally:
        place.release()
