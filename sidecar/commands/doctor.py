"""`doctor`: looks at everything that can be wrong, and says for each thing that is how to put it right.

What is looked at stands in `sidecar/doctor`.
"""

import argparse
import dataclasses
import json

from sidecar.commands import doctor_live
from sidecar.doctor import daemon, machine, opencode
from sidecar.doctor.finding import Check, Finding
from sidecar.paths import Paths, from_environment

HELP = "Look at everything that can be wrong and say how to put it right; exit code 1 if there is a problem."
EXAMPLE = """
  rate-limit-sidecar doctor
  rate-limit-sidecar doctor --live    # does a switch with the installed OpenCode
  rate-limit-sidecar doctor --json | jq '.findings[] | select(.level == "problem")'
"""

CHECKS: tuple[Check, ...] = (
    machine.program,
    machine.clock,
    daemon.daemon,
    daemon.editors,
    machine.places,
    machine.space,
    daemon.configuration,
    opencode.plugin,
    opencode.terminal_plugin,
    opencode.others,
    opencode.version,
)
_SIGNS = {"ok": "✓", "note": "·", "problem": "✗"}


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    parser.add_argument("--json", action="store_true", help="print the findings as JSON")
    doctor_live.configure(parser)


def run(args: argparse.Namespace) -> int:
    """Look and print; what was found wrong comes with its fix."""
    if args.live:
        return doctor_live.run(args)
    findings = look(from_environment())
    problems = sum(finding.level == "problem" for finding in findings)
    if args.json:
        told = {"problems": problems, "findings": [dataclasses.asdict(finding) for finding in findings]}
        print(json.dumps(told, indent=2, ensure_ascii=False))
        return 1 if problems else 0
    for finding in findings:
        print(f"{_SIGNS[finding.level]} {finding.text}")
        if finding.fix:
            print(f"    {finding.fix}")
    print(f"{problems} problem{'s' if problems != 1 else ''}" if problems else "everything is in order")
    return 1 if problems else 0


def look(paths: Paths) -> list[Finding]:
    """Give everything that was found, each once."""
    return list(dict.fromkeys(finding for check in CHECKS for finding in check(paths)))
