"""The matrix fits the tests: it names no test that is gone, and leaves out nothing a test declares."""

import subprocess
import sys

from .matrix import ROOT


def test_the_page_fits_the_markers_of_the_tests() -> None:
    ran = subprocess.run(
        [sys.executable, "-m", "tests.e2e.matrix", "--check"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=50,
        check=False,
    )
    assert ran.returncode == 0, ran.stdout + ran.stderr
