"""Other plugins in the same OpenCode, of the kinds people use: their work is done, and a refusal is still answered."""

import asyncio
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web

from sidecar.demo.scripted import Reply, limited
from sidecar.demo.served import Served, text_of

from .conftest import PLUGIN, House

pytestmark = pytest.mark.e2e

PLUGINS = Path(__file__).parent / "plugins"
PROMPT = "say something about lighthouses"
TITLE = "Lighthouses"
REFUSED = limited(429, retry_after="600")
PATIENCE_S = 30.0
BEFORE, AFTER = pytest.param(True, id="loaded-before-us"), pytest.param(False, id="loaded-after-us")


def load(house: House, name: str, *, first: bool, **options: Any) -> None:
    """Have OpenCode load one of the plugins beside ours, listed before or after it."""
    file = house.home.config / "opencode.json"
    config = json.loads(file.read_text())
    other = [(PLUGINS / f"{name}.ts").as_uri(), options]
    config["plugin"] = [other, PLUGIN.as_uri()] if first else [PLUGIN.as_uri(), other]
    file.write_text(json.dumps(config))


def log_in(house: House, provider: str) -> None:
    """Store a login, without which OpenCode asks no plugin for one."""
    logins = house.home.home / ".local/share/opencode/auth.json"
    logins.parent.mkdir(parents=True)
    logins.write_text(json.dumps({provider: {"type": "api", "key": provider}}))


def tool(said: str) -> tuple[str, dict[str, Any]]:
    return ("bash", {"command": f"echo {said}", "description": "says something"})


@pytest.mark.parametrize(
    ("captured", "first"),
    [
        pytest.param("never", False, id="looked-up-for-every-request"),
        pytest.param("server", True, id="taken-when-the-plugin-was-made"),
    ],
)
async def test_a_login_with_a_fetch_of_its_own(house: House, captured: str, *, first: bool) -> None:
    load(house, "own_fetch", first=first, provider="alpha", captured=captured)
    log_in(house, "alpha")
    house.providers.script("alpha/m1", REFUSED)
    ran = await house.home.run("run", PROMPT)
    assert "answer from beta/m1" in ran.out, ran.err
    (asked,) = house.providers.asked("alpha/m1")
    assert (asked.headers["authorization"], asked.headers["x-own-fetch"]) == ("Bearer token-for-alpha", "1")
    (answered,) = house.providers.asked("beta/m1")
    assert answered.headers["authorization"] == "Bearer key-of-beta"
    assert "x-own-fetch" not in answered.headers
    assert not any("x-rate-limit-sidecar" in seen.headers for seen in house.providers.requests)


async def test_a_login_whose_fetch_is_out_of_reach_is_said_and_the_next_turn_goes_elsewhere(house: House) -> None:
    load(house, "own_fetch", first=True, provider="alpha", captured="bun")
    log_in(house, "alpha")
    house.providers.script("alpha/m1", limited(402, message="Insufficient credits"))
    log = house.home.home / ".local/share/opencode/log/opencode.log"
    async with Served(house.home) as served:
        first = await served.prompt(await served.session(TITLE), PROMPT)
        assert first["info"]["error"]["data"]["statusCode"] == 402
        async with asyncio.timeout(PATIENCE_S):
            while "Requests to alpha are out of reach" not in log.read_text():
                await asyncio.sleep(0.1)
            # What happened is told with the events, which take their time.
            while house.provider("alpha")["state"] == "available":
                await asyncio.sleep(0.1)
        second = await served.prompt(await served.session(TITLE), PROMPT)
    assert text_of(second) == "answer from beta/m1"
    assert house.asked("alpha/m1") == 1
    assert log.read_text().count("Requests to alpha are out of reach") == 1


@pytest.mark.parametrize("first", [BEFORE, AFTER])
async def test_a_plugin_that_wraps_fetch(house: House, *, first: bool) -> None:
    load(house, "wraps_fetch", first=first)
    house.providers.script("alpha/m1", REFUSED)
    ran = await house.home.run("run", PROMPT)
    assert "answer from beta/m1" in ran.out, ran.err
    sent = [(seen.target, seen.texts[-1:]) for seen in house.providers.requests]
    assert [house.asked(f"{name}/m1") for name in ("alpha", "beta")] == [1, 1], sent
    assert {seen.headers["x-wrapped"] for seen in house.providers.requests} == {"1"}


async def test_a_plugin_that_takes_our_wrapper_off_when_it_leaves_another_project(house: House) -> None:
    load(house, "wraps_fetch", first=True)
    async with Served(house.home) as served:
        session = await served.session(TITLE)
        assert text_of(await served.prompt(session, PROMPT)) == "answer from alpha/m1"
        # Puts back the fetch it found, which was there before ours.
        await served.post("/instance/dispose", {})
        house.providers.script("alpha/m1", REFUSED)
        assert text_of(await served.prompt(session, PROMPT)) == "answer from beta/m1"


async def test_a_plugin_that_prunes_the_context(house: House) -> None:
    load(house, "prunes", first=True)
    house.providers.script("alpha/m1", Reply(tools=[tool("secret")]), REFUSED)
    house.providers.script("beta/m1", Reply(tools=[tool("second")]), Reply(text="answer from beta/m1"))
    ran = await house.home.run("run", PROMPT)
    assert "answer from beta/m1" in ran.out, ran.err
    told = [seen.texts for seen in (*house.providers.asked("alpha/m1")[1:], *house.providers.asked("beta/m1"))]
    assert [texts.count("[pruned]") for texts in told] == [1, 1, 2]
    assert all(sum(PROMPT in text for text in texts) == 1 for texts in told)


@pytest.mark.parametrize(
    ("when", "ignored"),
    [
        pytest.param("tool", False, id="to-the-model-during-a-turn"),
        pytest.param("tool", True, id="to-the-person-during-a-turn"),
        pytest.param("idle", False, id="to-the-model-after-a-turn"),
    ],
)
async def test_a_plugin_that_posts_messages(house: House, when: str, *, ignored: bool) -> None:
    load(house, "posts", first=False, when=when, ignored=ignored)
    house.providers.script("alpha/m1", Reply(tools=[tool("first")]), REFUSED)
    note = f"a note when {when}"
    async with Served(house.home) as served:
        session = await served.session(TITLE)
        answer = await served.prompt(session, PROMPT)
        async with asyncio.timeout(PATIENCE_S):
            while True:
                users = [m for m in await served.messages(session) if m["info"]["role"] == "user"]
                # And the user's choice is back in the message of the turn.
                if len(users) > 1 and users[0]["info"]["model"]["providerID"] == "alpha":
                    break
                await asyncio.sleep(0.1)
    assert text_of(answer) == "answer from beta/m1"
    assert [text_of(user) for user in users] == [PROMPT, note]
    (seen,) = house.providers.asked("beta/m1")
    assert seen.texts.count(PROMPT) == 1
    assert seen.texts.count(note) == (when == "tool" and not ignored)


@pytest.mark.parametrize("first", [BEFORE, AFTER])
async def test_a_plugin_that_shapes_requests_and_adds_to_messages(house: House, *, first: bool) -> None:
    load(house, "shapes", first=first)
    house.providers.script("alpha/m1", REFUSED)
    async with Served(house.home) as served:
        session = await served.session(TITLE)
        answer = await served.prompt(session, PROMPT)
        (user,) = [m for m in await served.messages(session) if m["info"]["role"] == "user"]
    assert text_of(answer) == "answer from beta/m1"
    assert text_of(user) == PROMPT + "mind the rocks"
    assert [seen.target for seen in house.providers.requests] == ["alpha/m1", "beta/m1"]
    for seen in house.providers.requests:
        assert seen.texts == [PROMPT, "mind the rocks"]
        assert seen.body["temperature"] == 0.125
        assert seen.headers["x-team"] == "lighthouse"


@pytest.mark.parametrize(
    ("model", "first"),
    [
        pytest.param("alpha/m1", False, id="the-limited-one-after-us"),
        pytest.param("gamma/m1", False, id="another-limited-one-after-us"),
        pytest.param("gamma/m1", True, id="another-limited-one-before-us"),
    ],
)
async def test_a_plugin_that_chooses_the_model_of_every_message(house: House, model: str, *, first: bool) -> None:
    load(house, "shapes", first=first, model=model)
    house.providers.script(model, REFUSED)
    async with Served(house.home) as served:
        session = await served.session(TITLE)
        answers = [text_of(await served.prompt(session, PROMPT)) for _ in range(2)]
    other = "beta" if model == "alpha/m1" else "alpha"
    assert answers == [f"answer from {other}/m1"] * 2
    assert house.asked(model) == 1


async def test_another_plugin_that_falls_back_has_nothing_to_do(house: House) -> None:
    load(house, "falls_back", first=True, model="gamma/m1")
    house.providers.script("alpha/m1", REFUSED)
    ran = await house.home.run("run", "--title", TITLE, PROMPT)
    assert "answer from beta/m1" in ran.out, ran.err
    assert [seen.target for seen in house.providers.requests] == ["alpha/m1", "beta/m1"]


async def test_another_plugin_that_falls_back_and_we_do_not_drive_each_other_in_circles(house: House) -> None:
    load(house, "falls_back", first=True, model="gamma/m1")
    for name in ("alpha", "beta", "gamma"):
        house.providers.script(f"{name}/m1", REFUSED)
    async with Served(house.home) as served:
        session = await served.session(TITLE)
        # Its turn begins when ours has found nobody; nobody answers that one either.
        first = await served.prompt(session, PROMPT)
        async with asyncio.timeout(PATIENCE_S):
            while house.asked("gamma/m1") < 2:
                await asyncio.sleep(0.1)
        await asyncio.sleep(2)
        asked = [seen.target for seen in house.providers.requests]
        await served.post(f"/session/{session}/abort", {})
    assert text_of(first) == ""
    assert asked == ["alpha/m1", "beta/m1", "gamma/m1", "gamma/m1"]


@pytest.fixture
async def google() -> AsyncIterator[tuple[str, list[Any]]]:
    """Google's coding subscriptions: one answer, then limited; gives the address and what was asked."""
    asked: list[Any] = []

    async def answer(request: web.Request) -> web.Response:
        asked.append(await request.json())
        if len(asked) > 1:
            error = {"code": 429, "message": "You have exhausted your capacity", "status": "RESOURCE_EXHAUSTED"}
            return web.json_response({"error": error}, status=429)
        part = {"text": "answer from google"}
        said = {"candidates": [{"content": {"role": "model", "parts": [part]}, "finishReason": "STOP"}]}
        return web.Response(text=f"data: {json.dumps({'response': said})}\n\n", content_type="text/event-stream")

    app = web.Application()
    app.router.add_post("/v1internal:streamGenerateContent", answer)
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.5)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    yield f"http://127.0.0.1:{runner.addresses[0][1]}", asked
    await runner.cleanup()


async def test_a_login_that_wraps_requests_up_for_another_address(house: House, google: tuple[str, list[Any]]) -> None:
    url, asked = google
    file = house.home.config / "opencode.json"
    config = json.loads(file.read_text())
    config["provider"]["google"] = {"npm": "@ai-sdk/google", "name": "Google", "options": {}, "models": {"m1": {}}}
    file.write_text(json.dumps({**config, "model": "google/m1", "small_model": "gamma/small"}))
    load(house, "google_login", first=False, provider="google", url=url)
    log_in(house, "google")
    async with Served(house.home) as served:
        session = await served.session(TITLE)
        answers = [text_of(await served.prompt(session, PROMPT)) for _ in range(2)]
    assert answers[0] == "answer from google"
    assert answers[1].startswith("answer from ")
    assert answers[1].endswith("/m1")
    assert len(asked) == 2
    assert house.provider("google")["counts"]["requests_day"] == 2
