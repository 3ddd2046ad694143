"""`doctor --live`: does a handover with the installed OpenCode, and remembers whether that worked with its version."""

import argparse
import asyncio
import os
import shutil
import signal
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

from sidecar.installation import InstallError, shim_source
from sidecar.opencode_binary import TESTED_VERSION, OpenCodeMissingError, on_this_machine
from sidecar.paths import from_environment
from sidecar.verified import Result, Verified

if TYPE_CHECKING:
    from sidecar.demo.selftest import Report

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
    # Only now: it brings a web server with it, which the rest of doctor does without.
    from sidecar.demo.selftest import own_version  # noqa: PLC0415

    if args.gently:
        os.nice(_NICE)
    try:
        binary = _named(args.opencode) or on_this_machine()
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


def _named(program: Path | None) -> Path | None:
    """Give the program as it is found from anywhere: it is run in another directory."""
    return None if program is None else Path(shutil.which(program) or program).absolute()


async def _until_told(binary: Path, plugin: Path, version: str) -> "Report":
    """Test, once more when it failed, and clean up also when told to stop: what it started would outlive it."""
    from sidecar.demo.selftest import self_test  # noqa: PLC0415

    async def test() -> "Report":
        report = await self_test(binary, plugin, version)
        # A machine that stood still for a moment is no reason to do without the handover for a day.
        return report if report.passed else await self_test(binary, plugin, version)

    task = asyncio.ensure_future(test())
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, task.cancel)
    try:
        return await task
    except asyncio.CancelledError:
        raise KeyboardInterrupt from None


def _failed(why: str) -> int:
    print(f"rate-limit-sidecar doctor --live: {why}", file=sys.stderr)
    return 1
