"""A version of OpenCode nobody has tried: turns are helped as far as that is safe, until a self-test has passed."""

import asyncio
import json
import shutil
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web

from sidecar.demo.isolated import Isolated
from sidecar.demo.scripted import Reply, limited
from sidecar.demo.served import Served, text_of
from sidecar.opencode_binary import TESTED_VARIABLE, TESTED_VERSION

from .conftest import House

pytestmark = pytest.mark.e2e

PROMPT = "say something about lighthouses"
REFUSED = limited(429, retry_after="600")
PATIENCE_S = 100.0


@pytest.fixture
def untried(house: House) -> House:
    """A house whose daemon takes no version for tested."""
    house.home.environment[TESTED_VARIABLE] = ""
    return house


def said(house: House) -> str:
    """Give OpenCode's log, in which every toast stands too."""
    return (house.home.home / ".local/share/opencode/log/opencode.log").read_text()


def counted(house: House) -> dict[str, tuple[int, int]]:
    """Give each provider's requests and tokens."""
    counts = {name: house.provider(name)["counts"] for name in ("alpha", "beta")}
    return {name: (count["requests_day"], count["tokens_day"]) for name, count in counts.items()}


async def test_a_turn_goes_on_within_its_wire_format_and_is_counted_where_it_was_answered(untried: House) -> None:
    untried.home.limits({"self_test": False})
    call = ("bash", {"command": "echo tool-said-this", "description": "says something"})
    untried.providers.script("alpha/m1", REFUSED)
    untried.providers.script("beta/m1", Reply(tools=[call]), Reply(text="answer from beta/m1"))
    async with Served(untried.home) as served:
        session = await served.session("Lighthouses")
        answer = await served.prompt(session, PROMPT)
        messages = await served.messages(session)
        # Tokens and toasts come after the answer.
        async with asyncio.timeout(PATIENCE_S):
            while counted(untried)["beta"] != (2, 30):
                await asyncio.sleep(0.1)
            while "OpenCode's own record names alpha/m1 all the same" not in said(untried):
                await asyncio.sleep(0.1)
    assert counted(untried) == {"alpha": (1, 0), "beta": (2, 30)}
    assert text_of(answer) == "answer from beta/m1"
    assert [untried.asked(f"{name}/m1") for name in ("alpha", "beta", "gamma")] == [1, 2, 0]
    # No step of ours stands in the conversation, and nothing of it was stored again.
    assert [message["info"]["role"] for message in messages] == ["user", "assistant", "assistant"]
    assert {message["info"].get("providerID") for message in messages[1:]} == {"alpha"}
    assert all(seen.headers["authorization"] == "Bearer key-of-beta" for seen in untried.providers.asked("beta/"))
    log = said(untried)
    assert log.count("Running turns are not moved") == 1
    assert log.count("alpha/m1 -> beta/m1: rate limit") == 1


@pytest.fixture
async def elsewhere() -> AsyncIterator[str]:
    """A provider of another wire format; gives its address."""
    events: list[dict[str, Any]] = [
        {
            "type": "message_start",
            "message": {
                "id": "m",
                "type": "message",
                "role": "assistant",
                "model": "m1",
                "content": [],
                "stop_reason": None,
                "stop_sequence": None,
                "usage": {"input_tokens": 1, "output_tokens": 1},
            },
        },
        {"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": ""}},
        {"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": "answer from elsewhere"}},
        {"type": "content_block_stop", "index": 0},
        {
            "type": "message_delta",
            "delta": {"stop_reason": "end_turn", "stop_sequence": None},
            "usage": {"output_tokens": 3},
        },
        {"type": "message_stop"},
    ]

    async def answer(_: web.Request) -> web.Response:
        text = "".join(f"event: {event['type']}\ndata: {json.dumps(event)}\n\n" for event in events)
        return web.Response(text=text, content_type="text/event-stream")

    app = web.Application()
    app.router.add_post("/v1/messages", answer)
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.5)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    yield f"http://127.0.0.1:{runner.addresses[0][1]}/v1"
    await runner.cleanup()


async def test_a_turn_that_could_only_leave_its_format_stays_and_the_next_one_goes(
    untried: House, elsewhere: str
) -> None:
    untried.home.limits({"self_test": False})
    providers: dict[str, dict[str, Any]] = {
        "alpha": {
            "options": {"baseURL": untried.providers.base_url("alpha"), "apiKey": "k"},
            "models": {"m1": {}},
        },
        "other": {"npm": "@ai-sdk/anthropic", "options": {"baseURL": elsewhere, "apiKey": "k"}, "models": {"m1": {}}},
    }
    config = untried.home.config / "opencode.json"
    plugin = Path(json.loads(config.read_text())["plugin"][0].removeprefix("file://"))
    untried.home.configure(providers, plugin=plugin, model="alpha/m1", small_model="alpha/m1")
    untried.providers.script("alpha/m1", REFUSED)
    async with Served(untried.home) as served:
        session = await served.session("Lighthouses")
        first = await served.prompt(session, PROMPT)
        assert text_of(first) == ""
        # OpenCode would wait for as long as the provider named: the clear word is ours, and says how to go on.
        assert "send it again, then other/m1 answers" in json.dumps(first["info"]["error"])
        assert untried.asked("alpha/m1") == 1
        second = await served.prompt(session, PROMPT)
        assert text_of(second) == "answer from elsewhere"
        assert second["info"]["providerID"] == "other"
        assert untried.asked("alpha/m1") == 1


async def test_the_self_test_runs_by_itself_and_when_it_has_passed_turns_are_handed_over(untried: House) -> None:
    verified = untried.home.state / "verified.json"
    untried.providers.script("alpha/m1", REFUSED)
    async with Served(untried.home) as served:
        first = await served.prompt(await served.session("Lighthouses"), PROMPT)
        assert text_of(first) == "answer from beta/m1"
        assert first["info"]["providerID"] == "alpha"
        async with asyncio.timeout(PATIENCE_S):
            while "a self-test is running" not in said(untried):
                await asyncio.sleep(0.2)
            while not verified.exists():
                await asyncio.sleep(0.2)
        (result,) = json.loads(verified.read_text())["results"]
        assert (result["opencode"], result["passed"], result["why"]) == (TESTED_VERSION, True, "")
        assert untried.sidecar("clear", "alpha").returncode == 0
        # The window asks again once in a while.
        deadline = time.monotonic() + PATIENCE_S
        while "Running turns are moved" not in said(untried):
            assert time.monotonic() < deadline
            gamma = {"providerID": "gamma", "modelID": "m1"}
            await served.prompt(await served.session("Lighthouses"), PROMPT, model=gamma)
            await asyncio.sleep(1)
        second = await served.prompt(await served.session("Lighthouses"), PROMPT)
        assert text_of(second) == "answer from beta/m1"
        assert second["info"]["providerID"] == "beta"
    assert said(untried).count("Running turns are not moved") == 1


async def test_doctor_live_finds_out_and_leaves_no_trace_in_the_users_own_opencode(
    short_path: Path, opencode: Path, house: House
) -> None:
    user = Isolated(short_path / "user", opencode)
    shutil.rmtree(user.config)
    user.environment["PATH"] = f"{short_path}:{user.environment['PATH']}"
    (short_path / "opencode").symlink_to(opencode)
    house.home.environment.update(user.environment)
    done = await asyncio.to_thread(house.sidecar, "doctor", "--live")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "✗" not in done.stdout
    assert f"OpenCode {TESTED_VERSION} at {short_path}/opencode" in done.stdout
    assert "1 request to the second provider" in done.stdout
    files = [str(file.relative_to(user.home)) for file in user.home.rglob("*") if file.is_file()]
    assert files == [".local/state/rate-limit-sidecar/verified.json"]
