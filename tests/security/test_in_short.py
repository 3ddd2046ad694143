"""The measurements of `python -m benchmarks.reliability` that are about security, in short."""

import os

import pytest

from benchmarks.reliability import doors, fuzz, keys
from benchmarks.reliability.findings import Finding


def hold(findings: list[Finding]) -> None:
    assert findings
    for finding in findings:
        assert finding.holds, finding


def test_whatever_the_daemon_makes_is_private_from_birth() -> None:
    hold([doors.modes(1)])


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become somebody else")
def test_another_user_is_refused_twice() -> None:
    hold([doors.strangers()])


def test_a_key_sent_in_everywhere_comes_out_nowhere() -> None:
    hold(keys.measure(["anthropic"]))


def test_no_body_and_no_bytes_make_a_5xx() -> None:
    hold(fuzz.measure(bodies=400, requests=200))
