"""What self-tests found is kept in a file that can be lost or damaged without harm."""

import json
from dataclasses import replace
from pathlib import Path

import pytest

from sidecar.verified import Result, Verified

PASSED = Result("1.19.0", passed=True, at=1_700_000_000.0, took_s=2.5)
FAILED = Result("1.20.0", passed=False, at=1_700_000_100.0, took_s=60.0, why="no end after 60 s")


@pytest.fixture
def verified(tmp_path: Path) -> Verified:
    return Verified(tmp_path / "state" / "verified.json")


def test_nothing_is_known_of_what_was_not_tried(verified: Verified) -> None:
    assert verified.of("1.19.0") is None
    verified.record(PASSED)
    assert verified.of("1.20.0") is None


def test_the_latest_result_of_each_version_is_kept(verified: Verified) -> None:
    for result in (replace(PASSED, passed=False, why="x"), FAILED, PASSED):
        verified.record(result)
    again = Verified(verified.file)
    assert again.of("1.19.0") == PASSED
    assert again.of("1.20.0") == FAILED
    assert [file.name for file in verified.file.parent.iterdir()] == ["verified.json"]


def test_what_another_sidecar_found_does_not_count(verified: Verified) -> None:
    verified.record(replace(PASSED, sidecar="0.0.1"))
    assert verified.of("1.19.0") is None


@pytest.mark.parametrize("text", ["", "{", "[]", '{"results": 1}', '{"results": [{"opencode": "1.19.0"}]}', "\x00"])
def test_a_damaged_file_is_as_good_as_none_and_is_replaced(verified: Verified, text: str) -> None:
    verified.file.parent.mkdir()
    verified.file.write_text(text)
    assert verified.of("1.19.0") is None
    verified.record(PASSED)
    assert verified.of("1.19.0") == PASSED


def test_it_does_not_grow_without_end(verified: Verified) -> None:
    for number in range(50):
        verified.record(replace(PASSED, opencode=f"1.{number}.0", at=PASSED.at + number))
    assert len(json.loads(verified.file.read_text())["results"]) == 20
    assert verified.of("1.49.0") is not None
    assert verified.of("1.29.0") is None
