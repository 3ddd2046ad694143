"""The measurements of `python -m benchmarks.reliability`, in short: the same code, fewer rounds."""

import sys

import pytest

from benchmarks.reliability import damage, day, disks, faults, kills, reloads, starts
from benchmarks.reliability.findings import Finding
from sidecar.core import marks, memory, pace, sessions
from sidecar.core.cooldowns import health
from sidecar.core.usage import ledger


def hold(findings: list[Finding]) -> None:
    assert findings
    for finding in findings:
        assert finding.holds, finding


def test_kills() -> None:
    hold(kills.measure(3))


def test_faults_and_deaths_at_every_step_of_a_write() -> None:
    hold(faults.measure())


def test_damaged_files() -> None:
    hold(damage.measure(every=61, flips=300))


linux = pytest.mark.skipif(sys.platform != "linux", reason="limits of a running process are set the Linux way")


@linux
def test_a_full_disk() -> None:
    assert disks.size_limit() < disks.PATIENCE_S


@linux
def test_a_directory_nobody_may_write_in() -> None:
    assert disks.unwritable() < disks.PATIENCE_S


def test_twenty_starts_at_once() -> None:
    hold(starts.measure(1))


def test_a_hundred_saves_a_second() -> None:
    hold(reloads.measure(2))


def test_names_that_never_end(monkeypatch: pytest.MonkeyPatch) -> None:
    for room, bound in (
        (ledger, "MOST_TARGETS"),
        (ledger, "MOST_TALLIES"),
        (memory, "_KEPT"),
        (sessions, "SESSIONS"),
        (marks, "MOST_MARKS"),
        (health, "MOST_PLACES"),
        (pace, "_TARGETS"),
    ):
        monkeypatch.setattr(room, bound, 100)
    hold([day.drown(4_000)])
