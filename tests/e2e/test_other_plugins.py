"""Other plugins in the same OpenCode, of the kinds people use: their work is done, and a refusal is still answered."""

import json
from pathlib import Path
from typing import Any

import pytest

from sidecar.demo.scripted import Reply, limited
from sidecar.demo.served import Served, text_of

from .conftest import PLUGIN, House

pytestmark = pytest.mark.e2e

PLUGINS = Path(__file__).parent / "plugins"
PROMPT = "say something about lighthouses"
REFUSED = limited(429, retry_after="600")
ORDERS = pytest.mark.parametrize("first", [True, False], ids=["loaded-before-us", "loaded-after-us"])


def load(house: House, name: str, *, first: bool, **options: Any) -> None:
    """Have OpenCode load one of the plugins beside ours, before or after it."""
    file = house.home.config / "opencode.json"
    config = json.loads(file.read_text())
    other = [(PLUGINS / f"{name}.ts").as_uri(), options]
    config["plugin"] = [other, PLUGIN.as_uri()] if first else [PLUGIN.as_uri(), other]
    file.write_text(json.dumps(config))


def tool(said: str) -> tuple[str, dict[str, Any]]:
    return ("bash", {"command": f"echo {said}", "description": "says something"})


@ORDERS
@pytest.mark.parametrize("captured", ["never", "server", "module"])
async def test_a_login_with_a_fetch_of_its_own(house: House, captured: str, *, first: bool) -> None:
    load(house, "own_fetch", first=first, provider="alpha", captured=captured)
    logins = house.home.home / ".local/share/opencode/auth.json"
    logins.parent.mkdir(parents=True)
    logins.write_text(json.dumps({"alpha": {"type": "api", "key": "alpha"}}))
    house.providers.script("alpha/m1", REFUSED)
    ran = await house.home.run("run", PROMPT)
    for s in house.providers.requests:
        print(s.target, {k: v for k, v in s.headers.items() if k.startswith(("x-", "auth"))})
    assert "answer from beta/m1" in ran.out, ran.err
    (asked,) = house.providers.asked("alpha/m1")
    assert (asked.headers["authorization"], asked.headers["x-own-fetch"]) == ("Bearer token-for-alpha", "1")
    assert "x-rate-limit-sidecar" not in asked.headers
    (answered,) = house.providers.asked("beta/m1")
    assert answered.headers["authorization"] == "Bearer key-of-beta"
    assert "x-own-fetch" not in answered.headers


@ORDERS
async def test_a_plugin_that_wraps_fetch(house: House, *, first: bool) -> None:
    load(house, "wraps_fetch", first=first)
    house.providers.script("alpha/m1", REFUSED)
    ran = await house.home.run("run", PROMPT)
    for s in house.providers.requests:
        print(s.target, {k: v for k, v in s.headers.items() if k.startswith(("x-", "auth"))})
    assert "answer from beta/m1" in ran.out, ran.err
    assert [house.asked(f"{name}/m1") for name in ("alpha", "beta")] == [1, 1]
    assert {seen.headers["x-wrapped"] for seen in house.providers.requests} == {"1"}


@ORDERS
async def test_a_plugin_that_prunes_the_context(house: House, *, first: bool) -> None:
    load(house, "prunes", first=first)
    house.providers.script("alpha/m1", Reply(tools=[tool("secret-of-the-lighthouse")]), REFUSED)
    house.providers.script("beta/m1", Reply(tools=[tool("second")]), Reply(text="answer from beta/m1"))
    ran = await house.home.run("run", PROMPT)
    assert "answer from beta/m1" in ran.out, ran.err
    told = [seen.texts for seen in (*house.providers.asked("alpha/m1")[1:], *house.providers.asked("beta/m1"))]
    assert [texts.count("[pruned]") for texts in told] == [1, 1, 2]
    assert all(sum("lighthouses" in text for text in texts) == 1 for texts in told)


@ORDERS
@pytest.mark.parametrize("ignored", [True, False], ids=["ignored", "for-the-model"])
@pytest.mark.parametrize("when", ["tool", "idle"])
async def test_a_plugin_that_posts_messages(house: House, when: str, *, ignored: bool, first: bool) -> None:
    load(house, "posts", first=first, when=when, ignored=ignored)
    house.providers.script("alpha/m1", Reply(tools=[tool("first")]), REFUSED)
    async with Served(house.home) as served:
        session = await served.session("Lighthouses")
        answer = await served.prompt(session, PROMPT)
        messages = await served.messages(session)
        for m in messages:
            print(
                m["info"]["role"],
                m["info"].get("model") or m["info"].get("modelID"),
                m["info"].get("error"),
                [p.get("text", p["type"]) for p in m["parts"]],
            )
    for s in house.providers.requests:
        print(s.target, s.texts)
    assert text_of(answer) == "answer from beta/m1"
    said = [text_of(message) for message in messages if message["info"]["role"] == "user"]
    assert sorted(said) == sorted([PROMPT, f"a note when {when}"])


@ORDERS
async def test_a_plugin_that_shapes_requests_and_adds_to_messages(house: House, *, first: bool) -> None:
    load(house, "shapes", first=first)
    house.providers.script("alpha/m1", REFUSED)
    async with Served(house.home) as served:
        session = await served.session("Lighthouses")
        answer = await served.prompt(session, PROMPT)
        (user,) = [m for m in await served.messages(session) if m["info"]["role"] == "user"]
    print(user)
    assert text_of(answer) == "answer from beta/m1"
    assert text_of(user) == PROMPT + "mind the rocks"
    for seen in house.providers.requests:
        print(seen.target, seen.texts)
        assert seen.body["temperature"] == 0.125
        assert seen.headers["x-team"] == "lighthouse"


@ORDERS
@pytest.mark.parametrize("model", ["alpha/m1", "gamma/m1"])
async def test_a_plugin_that_chooses_the_model_of_every_message(house: House, model: str, *, first: bool) -> None:
    load(house, "shapes", first=first, model=model)
    house.providers.script(model, REFUSED)
    async with Served(house.home) as served:
        session = await served.session("Lighthouses")
        answers = [await served.prompt(session, PROMPT), await served.prompt(session, PROMPT)]
    print([s.target for s in house.providers.requests])
    assert all("answer from" in text_of(answer) for answer in answers)
    assert house.asked(model) == 1


@ORDERS
@pytest.mark.parametrize("everything", [False, True], ids=["one-limited", "all-limited"])
async def test_another_plugin_that_falls_back(house: House, *, everything: bool, first: bool) -> None:
    load(house, "falls_back", first=first, model="gamma/m1")
    house.providers.script("alpha/m1", REFUSED)
    if everything:
        for name in ("beta", "gamma"):
            house.providers.script(f"{name}/m1", REFUSED)
    ran = await house.home.run("run", "--title", "x", PROMPT, timeout_s=30)
    print(ran, [s.target for s in house.providers.requests])
    assert "answer from beta/m1" in ran.out, ran.err
