"""Many at once and nobody free: one cooldown, one word to the person, next to nothing sent to who has refused."""

import asyncio
import json
import os
import re
import signal
import time
from dataclasses import replace

import pytest

from sidecar.demo.scripted import Reply, limited
from sidecar.demo.served import Served, text_of

from .conftest import House
from .test_places import until

pytestmark = pytest.mark.e2e

TEN = 10


async def all_at_once(served: Served, sessions: list[str]) -> list[str]:
    answers = await asyncio.gather(*(served.prompt(session, "hello") for session in sessions))
    return [text_of(answer) for answer in answers]


def titles(served: Served) -> list[str]:
    return [toast["title"] for _, toast in served.toasts]


async def test_ten_sessions_at_one_limit_are_one_cooldown_one_toast_and_one_probe(house: House) -> None:
    gate = asyncio.Event()
    refused = limited(429, retry_after="6")
    held = replace(refused, hold=gate)
    again = Reply(text="alpha again", hold=asyncio.Event())
    house.providers.script("alpha/m1", *[held] * TEN, again)
    async with Served(house.home) as served:
        sessions = [await served.session(f"Session {i}") for i in range(TEN)]
        turns = asyncio.create_task(all_at_once(served, sessions))
        # All ten are on their way before the first is refused.
        await until(lambda: house.asked("alpha/m1") == TEN)
        gate.set()
        assert await turns == ["answer from beta/m1"] * TEN
        await served.toast(within_s=5)
        assert titles(served) == ["Switched to beta/m1"]
        assert house.asked("alpha/m1") == TEN
        assert house.asked("beta/m1") == TEN

        # The limit is over: one finds out, the others do not wait for it.
        await asyncio.sleep(max(0.0, house.providers.asked("alpha/m1")[-1].at + 7 - time.time()))
        turns = asyncio.create_task(all_at_once(served, sessions))
        await until(lambda: house.asked("beta/m1") == 2 * TEN - 1)
        assert house.asked("alpha/m1") == TEN + 1
        assert again.hold is not None
        again.hold.set()
        answers = await turns
        assert sorted(answers) == ["alpha again"] + ["answer from beta/m1"] * (TEN - 1)
    assert "Unavailable" not in house.sidecar("status").stdout


async def test_ten_sessions_that_wait_for_the_same_moment_send_one_request(house: House) -> None:
    gate = asyncio.Event()
    refused = limited(429, retry_after="2")
    held = replace(refused, hold=gate)
    house.providers.script("alpha/m1", *[held] * TEN, refused)
    async with Served(house.home) as served:
        sessions = [await served.session(f"Session {i}") for i in range(TEN)]
        turns = asyncio.create_task(all_at_once(served, sessions))
        await until(lambda: house.asked("alpha/m1") == TEN)
        gate.set()
        assert await turns == ["answer from beta/m1"] * TEN
    assert house.asked("alpha/m1") == TEN + 1


def everybody(house: House, retry_after: str) -> None:
    for name in ("alpha", "beta", "gamma"):
        for model in ("m1", "small"):
            house.providers.script(f"{name}/{model}", limited(429, retry_after=retry_after))


@pytest.mark.proves(form="all", place="serve", wire="openai-chat")
async def test_nobody_free_for_long_is_one_clear_error_at_once(house: House) -> None:
    everybody(house, "7230")
    house.providers.script("beta/m1", limited(429, retry_after="3650"))
    async with Served(house.home) as served:
        began = time.monotonic()
        answer = await served.prompt(await served.session("Sea"), "hello")
        assert time.monotonic() - began < 30, "not the hours the providers named"
        error = answer["info"]["error"]
        said = re.sub("\u2060", "", error["data"]["message"])
        assert "alpha/m1" in said
        assert "soonest is beta/m1 in 1 h" in said
        assert titles(served) == []
        sent = len(house.providers.requests)
        assert [house.asked(f"{name}/m1") for name in ("alpha", "beta", "gamma")] == [1, 1, 1]

        # The next prompts, in ten sessions: together they ask the limited provider once more, not each of them.
        sessions = [await served.session(f"Session {i}") for i in range(TEN)]
        answers = await asyncio.gather(*(served.prompt(session, "hello") for session in sessions))
        for one in answers:
            assert "soonest is beta/m1" in re.sub("\u2060", "", one["info"]["error"]["data"]["message"])
        assert len(house.providers.requests) <= sent + 1
    # What the providers said themselves is not lost.
    logs = (house.home.home / ".local/share/opencode/log").glob("*")
    assert any("alpha/m1 said: 429" in line for log in logs for line in log.read_text().splitlines())


@pytest.mark.proves(form="all", place="run", wire="openai-chat")
async def test_nobody_free_for_long_ends_run_with_the_error_on_standard_error(house: House) -> None:
    everybody(house, "7230")
    ran = await house.home.run("run", "--title", "Sea", "hello")
    said = re.sub("\u2060", "", ran.err)
    assert "soonest is" in said
    assert "in 2 h" in said
    assert ran.out.strip() == ""


async def test_ten_sessions_nobody_can_answer_now_go_on_by_themselves(house: House) -> None:
    everybody(house, "600")
    house.providers.script("beta/m1", limited(429, retry_after="6"), Reply(text="answer from beta/m1"))
    async with Served(house.home) as served:
        # The first learns that nobody is free; the others find it known.
        sessions = [await served.session(f"Session {i}") for i in range(TEN)]
        first = asyncio.create_task(served.prompt(sessions[0], "hello"))
        await until(lambda: house.asked("gamma/m1") == 1)
        others = asyncio.create_task(all_at_once(served, sessions[1:]))
        assert text_of(await first) == "answer from beta/m1"
        assert await others == ["answer from beta/m1"] * (TEN - 1)
        assert titles(served).count("No target is free") == 1
        assert [house.asked(f"{name}/m1") for name in ("alpha", "gamma")] == [1, 1]
        assert house.asked("beta/m1") == 1 + TEN


# -- the daemon stops in the middle ----------------------------------------------------------------------------------


@pytest.mark.parametrize("how", ["killed", "frozen"])
async def test_a_refusal_while_the_daemon_is_away_costs_no_turn(house: House, how: str) -> None:
    gate = asyncio.Event()
    refused = limited(429, retry_after="3600")
    house.providers.script("alpha/m1", replace(refused, hold=gate))
    async with Served(house.home) as served:
        session = await served.session("Sea")
        turn = asyncio.create_task(served.prompt(session, "hello"))
        await until(lambda: house.asked("alpha/m1") == 1)
        pid = house.health()["pid"]
        os.kill(pid, signal.SIGKILL if how == "killed" else signal.SIGSTOP)
        gate.set()
        try:
            if how == "frozen":
                await asyncio.sleep(3)
        finally:
            if how == "frozen":
                os.kill(pid, signal.SIGCONT)
        assert text_of(await turn) == "answer from beta/m1"
        assert text_of(await served.prompt(session, "and now")) == "answer from beta/m1"
    assert house.asked("alpha/m1") <= 2


# -- what `opencode run` says ----------------------------------------------------------------------------------------


LINE = re.compile(r"^rate-limit-sidecar: alpha/m1 -> beta/m1: .*free again in", re.MULTILINE)


@pytest.mark.proves(form="429-retry-after", place="run-json", wire="openai-chat")
async def test_run_says_the_switch_once_on_standard_error_and_json_stays_pure(house: House) -> None:
    house.providers.script("alpha/m1", limited(429, retry_after="600"))
    call = ("bash", {"command": "echo calm-sea", "description": "looks"})
    house.providers.script("beta/m1", Reply(tools=[call]), Reply(text="answer from beta/m1"))
    ran = await house.home.run("run", "--title", "Sea", "--format", "json", "hello")
    assert len(LINE.findall(ran.err)) == 1, ran.err
    events = [json.loads(line) for line in ran.out.splitlines()]
    assert "answer from beta/m1" in [event["part"]["text"] for event in events if event["type"] == "text"]
    assert "rate-limit-sidecar" not in ran.out


async def test_standard_error_can_be_left_alone(house: House) -> None:
    house.home.limits({"stderr": "never"})
    house.providers.script("alpha/m1", limited(429, retry_after="600"))
    ran = await house.home.run("run", "--title", "Sea", "hello")
    assert "answer from beta/m1" in ran.out
    assert "rate-limit-sidecar" not in ran.err
