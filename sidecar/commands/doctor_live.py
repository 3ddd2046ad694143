"""`doctor --live`: does a handover with the installed OpenCode, and remembers whether that worked with its version."""

import argparse
import asyncio
import os
import signal
import sys
import time
from pathlib import Path

from sidecar.demo.selftest import Report, own_version, self_test
from sidecar.installation import InstallError, shim_source
from sidecar.opencode_binary import TESTED_VERSION, OpenCodeMissingError, on_this_machine
from sidecar.paths import from_environment
from sidecar.verified import Result, Verified

# What the daemon starts by itself leaves the processor to others.
_NICE = 10


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments of the live test."""
    parser.add_argument(
        "--live",
        action="store_true",
        help="run the installed OpenCode in a home of its own and see whether a rate limit costs the turn",
    )
    parser.add_argument("--opencode", type=Path, metavar="PATH", help="with --live: this executable, not that on PATH")
    parser.add_argument("--gently", action="store_true", help=argparse.SUPPRESS)
    parser.add_argument("--only", help=argparse.SUPPRESS)


def run(args: argparse.Namespace) -> int:
    """Test, print and remember; gives 0 when everything holds. With `--only`, other versions are left alone."""
    if args.gently:
        os.nice(_NICE)
    try:
        binary = args.opencode or on_this_machine()
        if binary is None:
            return _failed(f"no opencode on PATH; say --opencode PATH, or npm install -g opencode-ai@{TESTED_VERSION}")
        plugin = shim_source() / "src" / "server.ts"
    except (OpenCodeMissingError, InstallError) as error:
        return _failed(str(error))
    version = own_version(binary)
    if version is None:
        return _failed(f"{binary} does not tell its version; is it OpenCode?")
    if args.only not in (None, version):
        return _failed(f"{binary} is version {version}, not {args.only}")
    print(f"OpenCode {version} at {binary}, in a home of its own; its first provider says 429 …", flush=True)
    report = asyncio.run(_until_told(binary, plugin, version))
    for check in report.checks:
        print(f"{'✓' if check.holds else '✗'} {check.text}")
    result = Result(version, report.passed, time.time(), round(report.took_s, 2), report.why)
    Verified(from_environment().verified).record(result)
    verdict = "turns are moved while they run" if report.passed else "turns are moved only when they begin"
    ended = "passed" if report.passed else "failed"
    print(f"{ended}; the turn took {report.took_s:.1f} s. With this version {verdict}")
    return 0 if report.passed else 1


async def _until_told(binary: Path, plugin: Path, version: str) -> Report:
    """Test, and clean up also when told to stop: what it started would outlive it."""
    task = asyncio.ensure_future(self_test(binary, plugin, version))
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, task.cancel)
    try:
        return await task
    except asyncio.CancelledError:
        raise KeyboardInterrupt from None


def _failed(why: str) -> int:
    print(f"rate-limit-sidecar doctor --live: {why}", file=sys.stderr)
    return 1
