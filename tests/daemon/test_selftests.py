"""Versions of OpenCode nobody has tried: judged, tested once in the background by a process of its own."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from sidecar.core.events import Hello
from sidecar.daemon import selftests
from sidecar.daemon.selftests import AGAIN_S, SelfTests
from sidecar.opencode_binary import TESTED_VERSION
from sidecar.verified import Result, Verified

from .conftest import Clock, InProcess, Recorder, until

NEW = "9.9.9"
# An OpenCode that tells its version, and otherwise does nothing.
IDLE = f'[ "$1" = --version ] && echo {NEW}; exit 0'


def hello(version: str = NEW, **more: Any) -> Hello:
    return Hello.model_validate({"client": "opencode", "client_version": version, **more})


class Yard:
    """Self-tests with a record of what they logged, and an OpenCode that is a shell script."""

    def __init__(self, home: Path, env: dict[str, str], clock: Clock) -> None:
        self.home, self.clock, self.log = home, clock, Recorder()
        self.enabled = True
        self.verified = Verified(home / ".local/state/rate-limit-sidecar/verified.json")
        self.tests = SelfTests(self.verified, self.log, env, clock=clock, enabled=lambda: self.enabled)  # type: ignore[arg-type]

    def program(self, text: str, name: str = "opencode") -> str:
        file = self.home / "bin" / name
        file.parent.mkdir(exist_ok=True)
        file.write_text(f"#!/bin/sh\n{text}\n")
        file.chmod(0o755)
        return str(file)

    def events(self) -> list[str]:
        return [event for _, event, _ in self.log.lines]

    async def ended(self, what: str) -> None:
        await until(lambda: what in self.events(), what, seconds=30)


@pytest.fixture
async def yard(home: Path, env: dict[str, str], clock: Clock) -> AsyncIterator[Yard]:
    made = Yard(home, {**env, "PATH": f"{home}/bin:/usr/bin:/bin"}, clock)
    yield made
    await made.tests.close()


@pytest.mark.parametrize(
    "known", [hello(TESTED_VERSION), Hello(client="another-agent", client_version="1"), Hello()], ids=lambda h: h.client
)
def test_the_tested_version_and_other_agents_are_trusted(yard: Yard, known: Hello) -> None:
    assert yard.tests.judge(known).handover


def test_an_opencode_that_does_not_tell_its_version_is_not(yard: Yard) -> None:
    verdict = yard.tests.judge(hello(""))
    assert (verdict.handover, verdict.why) == (False, "OpenCode does not tell its version.")


def test_a_version_that_passed_is_trusted_for_good(yard: Yard, clock: Clock) -> None:
    yard.verified.record(Result(NEW, passed=True, at=clock.now, took_s=2.0))
    clock.now += 1000 * AGAIN_S
    assert yard.tests.judge(hello()).handover
    assert yard.log.lines == []


async def test_a_new_version_is_tested_once_in_a_process_of_its_own(yard: Yard, clock: Clock) -> None:
    program = yard.program(IDLE)
    for _ in range(3):
        verdict = yard.tests.judge(hello(executable=program))
        assert (verdict.handover, verdict.why) == (
            False,
            f"OpenCode {NEW} is new to the sidecar; a self-test is running.",
        )
    await yard.ended("self-test failed")
    assert yard.events() == ["self-test of a new OpenCode", "self-test failed"]
    verdict = yard.tests.judge(hello(executable=program))
    assert verdict.why.startswith(f"OpenCode {NEW} failed the self-test: ")
    assert "not answered by the second provider" in verdict.why
    result = yard.verified.of(NEW)
    assert result is not None
    # It is tried again a day later, by whichever daemon runs then.
    yard.verified.record(replace(result, at=clock.now - AGAIN_S))
    clock.now += AGAIN_S
    assert "is running" in yard.tests.judge(hello(executable=program)).why


@pytest.mark.parametrize("executable", ["", "opencode", "/no/where", "/"])
async def test_the_program_on_path_is_taken_when_the_window_names_none(yard: Yard, executable: str) -> None:
    program = yard.program(IDLE)
    yard.tests.judge(hello(executable=executable))
    ((_, _, fields),) = yard.log.lines
    assert fields["program"] == program


async def test_without_a_program_the_person_is_told_what_to_do(yard: Yard) -> None:
    for _ in range(2):
        verdict = yard.tests.judge(hello())
        assert verdict.why == f"OpenCode {NEW} is new to the sidecar; to try it: rate-limit-sidecar doctor --live."
    assert yard.events() == ["OpenCode is new and its program was not found"]


async def test_where_self_tests_are_switched_off_none_is_started(yard: Yard) -> None:
    yard.enabled = False
    assert "to try it" in yard.tests.judge(hello(executable=yard.program(IDLE))).why
    assert yard.log.lines == []


async def test_a_program_of_another_version_is_left_alone_and_that_is_noted(yard: Yard) -> None:
    yard.tests.judge(hello(executable=yard.program("echo 1.2.3")))
    await yard.ended("self-test failed")
    result = yard.verified.of(NEW)
    assert result is not None
    assert "is version 1.2.3, not 9.9.9" in result.why
    assert yard.verified.of("1.2.3") is None


async def test_a_test_without_end_is_ended(yard: Yard, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(selftests, "LIMIT_S", 0.3)
    yard.tests.judge(hello(executable=yard.program("sleep 60")))
    await yard.ended("self-test failed")
    result = yard.verified.of(NEW)
    assert result is not None
    assert result.why == "no end after 0.3 s"


async def test_closing_ends_what_runs(yard: Yard) -> None:
    yard.tests.judge(hello(executable=yard.program("sleep 60")))
    await asyncio.sleep(0)
    await yard.tests.close()
    assert yard.verified.of(NEW) is None
    assert "self-test failed" not in yard.events()


async def test_the_window_is_told(running: InProcess) -> None:
    reply = await running.post("/v1/hello", {"client": "opencode", "client_version": TESTED_VERSION})
    assert (reply["handover"], reply["handover_why"]) == (True, "")
    running.daemon.service.configs.user.__dict__["self_test"] = False
    reply = await running.post("/v1/hello", {"client": "opencode", "client_version": NEW})
    assert reply["handover"] is False
    assert NEW in reply["handover_why"]
