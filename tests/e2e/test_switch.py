"""A refusal at the first provider is answered by the second, in `opencode run` and in `opencode serve`."""

import asyncio
import json
import os
import signal
from pathlib import Path

import pytest

from sidecar.demo.scripted import Reply, Seen, limited
from sidecar.demo.served import Served, text_of

from .conftest import House

pytestmark = pytest.mark.e2e

PROMPT = "say something about lighthouses"

MODES = pytest.mark.parametrize("mode", ["run", "serve"])


async def ask(house: House, mode: str, *prompts: str, title: str | None = None) -> list[str]:
    """Send prompts one after another, each in a session of its own; gives what was answered."""
    if mode == "run":
        named = () if title is None else ("--title", title)
        ran = [await house.home.run("run", *named, prompt) for prompt in prompts]
        return [one.out if one.code == 0 else "" for one in ran]
    async with Served(house.home) as served:
        return [text_of(await served.prompt(await served.session(title), prompt)) for prompt in prompts]


def said_once(seen: Seen) -> bool:
    return sum(PROMPT in text for text in seen.texts) == 1


async def test_run_is_answered_by_the_next_provider(house: House) -> None:
    house.providers.script("alpha/m1", limited(429, retry_after="60"))
    ran = await house.home.run("run", PROMPT)
    assert ran.code == 0, ran.err
    assert "answer from beta/m1" in ran.out
    assert house.asked("alpha/m1") == 1
    assert [said_once(seen) for seen in house.providers.asked("beta/m1")] == [True]


@MODES
async def test_a_failure_in_the_second_step_keeps_the_tool_result_and_runs_no_tool_twice(
    house: House, mode: str
) -> None:
    diary = house.home.project / "diary.txt"
    call = ("bash", {"command": f"echo ran >> {diary}; echo tool-said-this", "description": "writes a diary"})
    house.providers.script("alpha/m1", Reply(tools=[call]), limited(429, retry_after="60"))
    (answer,) = await ask(house, mode, PROMPT)
    assert "answer from beta/m1" in answer
    assert diary.read_text() == "ran\n"
    (seen,) = house.providers.asked("beta/m1")
    assert said_once(seen)
    assert any("tool-said-this" in text for text in seen.texts)
    assert house.asked("alpha/m1") == 2


@MODES
async def test_the_second_prompt_does_not_touch_a_provider_that_is_cooling(house: House, mode: str) -> None:
    house.providers.script("alpha/m1", limited(429, retry_after="600"))
    house.providers.script("alpha/small", limited(429, retry_after="600"))
    first, second = await ask(house, mode, PROMPT, PROMPT)
    assert "answer from beta/m1" in first
    assert "answer from beta/m1" in second
    # Which of the two is asked first, the step or the title, is chance; and one refusal may do for both.
    asked = [house.asked(f"alpha/{model}") for model in ("m1", "small")]
    assert asked in ([1, 0], [0, 1], [1, 1])


@MODES
async def test_a_turn_nobody_can_answer_goes_on_when_somebody_can(house: House, mode: str) -> None:
    for name in ("alpha", "gamma"):
        house.providers.script(f"{name}/m1", limited(429, retry_after="600"))
    house.providers.script("beta/m1", limited(429, retry_after="6"), Reply(text="answer from beta/m1"))
    # With a title of its own: the request for one would find that the small models still answer, which is a way out.
    (answer,) = await ask(house, mode, PROMPT, title="Lighthouses")
    assert "answer from beta/m1" in answer
    assert [house.asked(f"{name}/m1") for name in ("alpha", "beta", "gamma")] == [1, 2, 1]


async def test_a_whole_account_out_of_money_is_left_alone_titles_included(house: House) -> None:
    house.providers.script("alpha/m1", limited(402, message="Insufficient credits"))
    await house.home.run("run", PROMPT)
    before = house.asked("alpha/")
    await house.home.run("run", PROMPT)
    assert house.asked("alpha/") == before


async def test_a_cooldown_survives_the_restart_of_everything(house: House) -> None:
    house.providers.script("alpha/m1", limited(429, retry_after="600"))
    await house.home.run("run", PROMPT)
    assert house.asked("alpha/m1") == 1
    first = house.health()["pid"]
    assert house.sidecar("stop").returncode == 0
    assert house.sidecar("start").returncode == 0
    ran = await house.home.run("run", PROMPT)
    assert "answer from beta/m1" in ran.out
    assert house.health()["pid"] != first
    assert house.asked("alpha/m1") == 1
    state = json.loads((house.home.state / "state.json").read_text())
    assert state["providers"]["alpha"]["cooldownUntil"] is not None


async def test_two_processes_share_one_daemon_and_one_cooldown(house: House) -> None:
    house.providers.script("alpha/m1", limited(429, retry_after="600"))
    # Two first starts at once race for the migration of OpenCode's own database.
    await house.home.run("session", "list")
    first, second = await asyncio.gather(house.home.run("run", PROMPT), house.home.run("run", PROMPT))
    assert first.code == second.code == 0
    assert "answer from beta/m1" in first.out
    assert "answer from beta/m1" in second.out
    counted = house.provider("beta")["counts"]["requests_hour"]
    assert counted == house.asked("beta/")
    assert house.provider("alpha")["counts"]["requests_hour"] == house.asked("alpha/")


async def test_every_request_is_counted_once_with_its_tokens(house: House) -> None:
    house.providers.script("alpha/m1", limited(429, retry_after="600"))
    await house.home.run("run", PROMPT)
    for name in ("alpha", "beta"):
        assert house.provider(name)["counts"]["requests_day"] == house.asked(f"{name}/"), name
    beta = house.provider("beta")
    (m1,) = [m for m in beta["models"] if m["id"] == "m1"]
    assert m1["counts"]["tokens_day"] == 15


async def test_a_daemon_killed_in_the_middle_of_a_turn_costs_nothing(house: House) -> None:
    hold = asyncio.Event()
    house.providers.script("alpha/m1", Reply(text="answer from alpha/m1", hold=hold))
    running = asyncio.create_task(house.home.run("run", PROMPT))
    while not house.asked("alpha/m1"):
        await asyncio.sleep(0.05)
    house.kill_daemon()
    hold.set()
    ran = await running
    assert ran.code == 0, ran.err
    assert "answer from alpha/m1" in ran.out


async def test_without_any_daemon_opencode_works_as_ever(house: House, tmp_path: Path) -> None:
    house.home.environment["RATE_LIMIT_SIDECAR_COMMAND"] = str(tmp_path / "nothing-here")
    ran = await house.home.run("run", PROMPT)
    assert ran.code == 0, ran.err
    assert "answer from alpha/m1" in ran.out


async def test_the_limits_of_the_configuration_switch_before_the_provider_refuses(house: House) -> None:
    house.home.limits({"providers": {"alpha": {"models": {"m1": {"limits": {"rph": 1}}}}}})
    first = await house.home.run("run", PROMPT)
    second = await house.home.run("run", PROMPT)
    assert "answer from alpha/m1" in first.out
    assert "answer from beta/m1" in second.out
    assert house.asked("alpha/m1") == 1


async def test_a_short_named_wait_is_waited_out_at_the_same_provider(house: House) -> None:
    answered = Reply(text="answer from alpha/m1")
    house.providers.script("alpha/m1", limited(429, retry_after="1"), answered)
    ran = await house.home.run("run", PROMPT)
    assert ran.code == 0, ran.err
    assert "answer from alpha/m1" in ran.out
    assert house.asked("beta/m1") == 0
    first, second = house.providers.asked("alpha/m1")
    assert second.at - first.at >= 1


async def test_a_frozen_daemon_costs_no_turn(house: House) -> None:
    await house.home.run("run", PROMPT)
    pid = house.health()["pid"]
    os.kill(pid, signal.SIGSTOP)
    try:
        ran = await house.home.run("run", PROMPT)
    finally:
        os.kill(pid, signal.SIGCONT)
    assert ran.code == 0, ran.err
    assert "answer from alpha/m1" in ran.out
