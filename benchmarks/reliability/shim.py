"""The real OpenCode with trouble of every kind at the daemon's socket: `tests/e2e/test_daemon_trouble.py`."""

import os
import subprocess
import sys
import tempfile
from pathlib import Path
from xml.etree import ElementTree as ET

from benchmarks.reliability.findings import Finding
from benchmarks.reliability.process import ROOT

# The newer form of the report has no properties of single tests.
_OPTIONS = ("-o", "junit_family=xunit1")
_TESTS = "tests/e2e/test_daemon_trouble.py"


def measure() -> list[Finding]:
    """Run the tests, unless `RELIABILITY_E2E` names the JUnit report of a run; OPENCODE_BIN must name the binary."""
    with tempfile.TemporaryDirectory() as made:
        report = Path(os.environ.get("RELIABILITY_E2E") or Path(made) / "report.xml")
        if not report.exists():
            command = [sys.executable, "-m", "pytest", "-q", _TESTS, f"--junitxml={report}", *_OPTIONS]
            subprocess.run(command, cwd=ROOT, check=False)  # noqa: S603 - our own tests
        return summed_up(report)


def summed_up(report: Path) -> list[Finding]:
    """Read a JUnit report."""
    cases = list(ET.parse(report).iter("testcase"))  # noqa: S314 - our own report
    failed = [case.get("name") for case in cases if case.find("failure") is not None or case.find("error") is not None]
    skipped = [case for case in cases if case.find("skipped") is not None]
    waited = [
        int(found.get("value", "0"))
        for case in cases
        for found in case.iter("property")
        if found.get("name") == "waited_ms"
    ]
    passed = len(cases) - len(failed) - len(skipped)
    return [
        Finding(
            "OpenCode answers whatever is at the daemon's socket: frozen, slow, garbage, half an answer, an endless "
            "one, wrong shapes, another version",
            "the real OpenCode, an impostor at the socket, scripted providers; each turn must end with its answer",
            f"{passed} of {len(cases)} turns answered; the longest wait for one answer {max(waited, default=0)} ms "
            f"(the budget is 250 ms in which OpenCode was able to run) {', '.join(map(str, failed))}".strip(),
            not failed and not skipped and passed > 0,
        )
    ]
