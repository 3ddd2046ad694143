"""The seal: shown beside the socket for the daemon's life, broken by what changes an answer, never stale."""

import os
import stat
from pathlib import Path
from typing import Any

import pytest

from sidecar.daemon.seal import Seal
from tests.daemon.conftest import HELLO, InProcess, limited, outcome, request

MESSAGE = {"at": "message", "attempt": None}


def shown(running: InProcess) -> str:
    return running.paths.seal.read_text().rstrip()


async def leave(running: InProcess, **more: Any) -> str | None:
    """Have a turn answered; gives the leave that came with it."""
    await running.post("/v1/hello", HELLO)
    await running.post("/v1/route", {**request(), **MESSAGE})
    answer = await running.post("/v1/outcome", outcome(**more))
    given: str | None = answer["leave"]
    return given


async def test_leave_is_given_under_the_seal_that_can_be_read(running: InProcess) -> None:
    assert await leave(running) == shown(running)
    assert stat.S_IMODE(running.paths.seal.stat().st_mode) == 0o600


async def test_before_a_failure_is_answered_the_seal_is_broken(running: InProcess) -> None:
    given = await leave(running)
    await running.post("/v1/outcome", limited("a2", session="other"))
    assert shown(running) != given
    assert len(running.paths.seal.read_bytes()) == 64


async def test_before_a_command_is_answered_the_seal_is_broken(running: InProcess) -> None:
    given = await leave(running)
    await running.post("/v1/targets/disable", {"provider": "alpha"})
    assert shown(running) != given


async def test_a_turn_opened_with_leave_is_told_afterwards(running: InProcess) -> None:
    await leave(running)
    told = {**request("a2"), "turn": "u2"}
    assert (await running.post("/v1/route", {**told, **MESSAGE, "passed": True}))["reason"]["code"] == "passed"
    assert (await running.post("/v1/route", {**told, "passed": True}))["action"] == "proceed"
    assert (await running.post("/v1/outcome", {**limited("a2"), "turn": "u2"}))["action"] == "switch"


async def test_where_it_cannot_be_shown_nobody_gets_leave(running: InProcess) -> None:
    running.daemon._seal.close()
    assert await leave(running) is None


def test_a_file_that_was_left_there_is_nobodys_seal(tmp_path: Path) -> None:
    precious = tmp_path / "precious"
    precious.write_text("kept")
    (tmp_path / "s.sock.seal").symlink_to(precious)
    seal = Seal(tmp_path / "s.sock.seal")
    seal.open()
    assert seal.show("1.1")
    assert seal.path.read_text().rstrip() == "1.1"
    assert not seal.path.is_symlink()
    assert precious.read_text() == "kept"
    seal.close()
    assert not seal.path.exists()
    assert not seal.show("1.2")


def test_what_cannot_be_written_is_taken_away(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    seal = Seal(tmp_path / "s.sock.seal")
    seal.open()

    def full(*_: object) -> int:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "pwrite", full)
    assert not seal.show("1.1")
    assert not seal.path.exists()


def test_a_directory_that_takes_no_file_is_no_reason_not_to_start(tmp_path: Path) -> None:
    seal = Seal(tmp_path / "missing" / "s.sock.seal")
    seal.open()
    assert not seal.show("1.1")
    seal.close()
