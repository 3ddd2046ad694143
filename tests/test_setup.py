"""setup.sh, as far as it can be asked without installing anything."""

import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
SETUP = ROOT / "setup.sh"


def run(home: Path, *arguments: str, code: int, path: str = "/usr/bin:/bin") -> subprocess.CompletedProcess[str]:
    """Run setup.sh in a home of its own and expect its exit code."""
    done = subprocess.run(
        ["bash", SETUP, *arguments],
        cwd=home,
        env={"HOME": str(home), "PATH": path},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )
    assert done.returncode == code, done.stdout + done.stderr
    return done


def test_help_names_every_way_to_call_it(tmp_path: Path) -> None:
    shown = run(tmp_path, "--help", code=0).stdout
    for option in ("--project DIR", "--demo", "--test", "--uninstall"):
        assert f"./setup.sh [{option}]" in shown or f"./setup.sh {option}" in shown
    assert max(map(len, shown.splitlines())) <= 120


@pytest.mark.parametrize(
    ("arguments", "code", "told"),
    [
        (["--bogus"], 2, "usage: ./setup.sh"),
        (["--project"], 1, "--project needs a directory"),
        (["--project", "a", "b"], 1, "--project needs a directory"),
        (["--project", "nowhere"], 1, "nowhere is not a directory"),
        (["--test", "x"], 1, "--test takes no arguments"),
        (["--uninstall", "x"], 1, "--uninstall takes no arguments"),
    ],
)
def test_wrong_usage_changes_nothing(tmp_path: Path, arguments: list[str], code: int, told: str) -> None:
    assert told in run(tmp_path, *arguments, code=code).stderr
    assert list(tmp_path.iterdir()) == []


def test_an_old_python_is_named_with_the_fix(tmp_path: Path) -> None:
    old = tmp_path / "old"
    old.mkdir()
    for name in ("python3", "python3.11", "python3.12", "python3.13", "python3.14"):
        program = old / name
        program.write_text('#!/bin/sh\n[ "$1" = --version ] && echo Python 3.9.2 && exit 0\nexit 1\n')
        program.chmod(0o755)
    told = run(tmp_path, code=1, path=f"{old}:/usr/bin:/bin").stderr
    assert "Python 3.11 or newer is needed, but there is Python 3.9.2" in told
    assert "PYTHON=/path/to/python3 ./setup.sh" in told


def test_a_command_of_somebody_else_is_not_replaced(tmp_path: Path) -> None:
    other = tmp_path / ".local" / "bin" / "rate-limit-sidecar"
    other.parent.mkdir(parents=True)
    other.write_text("mine")
    assert "exists and is not ours; move it away" in run(tmp_path, code=1).stderr
    run(tmp_path, "--uninstall", code=0)
    assert other.read_text() == "mine"


def test_without_an_installation_there_is_nothing_to_remove(tmp_path: Path) -> None:
    assert run(tmp_path, "--uninstall", code=0).stdout == "Everything is removed.\n"
    assert list(tmp_path.iterdir()) == []


@pytest.mark.skipif(shutil.which("shellcheck") is None, reason="shellcheck is not installed")
def test_the_scripts_are_clean() -> None:
    subprocess.run(["shellcheck", SETUP, ROOT / ".ci" / "run"], check=True)


def test_the_continuous_integration_runs_exactly_the_tests() -> None:
    assert (ROOT / ".ci" / "run").read_text() == "#!/usr/bin/env bash\n./setup.sh --test\n"
    for script in (SETUP, ROOT / ".ci" / "run"):
        assert script.stat().st_mode & 0o111
