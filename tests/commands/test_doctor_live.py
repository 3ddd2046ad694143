"""`doctor --live` with programs that are no OpenCode; what the real one does with it is an end-to-end test."""

import pytest

from sidecar.opencode_binary import TESTED_VERSION
from sidecar.verified import Result, Verified
from tests.commands.conftest import Home

NEW = "9.9.9"


def idle(home: Home) -> str:
    """An OpenCode that tells its version, and otherwise does nothing."""
    return str(home.program("opencode", f'#!/bin/sh\n[ "$1" = --version ] && echo {NEW}; exit 0\n'))


def test_an_opencode_that_answers_nothing_fails_and_that_is_remembered(home: Home) -> None:
    idle(home)
    done = home.run("doctor", "--live", code=1)
    assert "✗ the turn was not answered by the second provider" in done.stdout
    assert "✗ 0 requests to the first provider" in done.stdout
    assert done.stdout.splitlines()[-1].endswith("With this version turns are moved only when they begin")
    result = Verified(home.paths.verified).of(NEW)
    assert result is not None
    assert not result.passed
    assert "not answered by the second provider" in result.why
    assert "0 user messages" in result.why
    assert (
        f"✗ OpenCode {NEW} at {home.bin}/opencode; tested is {TESTED_VERSION}, and this one failed the self-test"
        in (home.inside("doctor", code=1).stdout)
    )


def test_an_opencode_that_ends_with_an_error_says_its_last_words(home: Home) -> None:
    home.program("opencode", f'#!/bin/sh\n[ "$1" = --version ] && echo {NEW} && exit; echo no such agent >&2; exit 3\n')
    assert "✗ exit code 3 (no such agent)" in home.run("doctor", "--live", code=1).stdout


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (("--live",), "no opencode on PATH; say --opencode PATH, or npm install"),
        (("--live", "--opencode", "/no/where"), "/no/where does not tell its version; is it OpenCode?"),
    ],
)
def test_without_an_opencode_it_says_what_to_do(home: Home, arguments: tuple[str, ...], told: str) -> None:
    assert told in home.inside("doctor", *arguments, code=1).stderr
    assert not home.paths.verified.exists()


def test_a_binary_that_is_named_but_missing(home: Home) -> None:
    assert "OPENCODE_BIN names /no/where" in home.inside("doctor", "--live", code=1, OPENCODE_BIN="/no/where").stderr


def test_a_program_is_found_by_its_name_and_from_where_one_stands(home: Home) -> None:
    idle(home)
    (home.project / "mine").symlink_to(home.bin / "opencode")
    for named, found in (("opencode", home.bin / "opencode"), ("./mine", home.project / "mine")):
        done = home.inside("doctor", "--live", "--only", "1.0.0", "--opencode", named, code=1)
        assert f"{found} is version {NEW}" in done.stderr


def test_another_version_than_the_one_in_question_is_left_alone(home: Home) -> None:
    program = idle(home)
    done = home.inside("doctor", "--live", "--only", "1.0.0", "--opencode", program, code=1)
    assert f"{program} is version {NEW}, not 1.0.0" in done.stderr
    assert not home.paths.verified.exists()


def test_doctor_says_what_is_known_of_a_version(home: Home) -> None:
    idle(home)
    shown = home.inside("doctor", code=1).stdout
    assert f"· OpenCode {NEW} at {home.bin}/opencode; tested is {TESTED_VERSION}: until a self-test has passed" in shown
    assert "    rate-limit-sidecar doctor --live" in shown
    Verified(home.paths.verified).record(Result(NEW, passed=True, at=0.0, took_s=2.0))
    shown = home.inside("doctor", code=1).stdout
    assert f"✓ OpenCode {NEW} at {home.bin}/opencode; tested is {TESTED_VERSION}, and this one passed" in shown
