"""The turn belongs to its user: what they stop stays stopped, what they choose wins, what they read is clean."""

import asyncio
import json
import time
from dataclasses import replace
from typing import Any

import pytest

from sidecar.demo.scripted import Reply, limited
from sidecar.demo.served import Served, text_of

from .conftest import House
from .test_places import LIMITED, rests, until

pytestmark = pytest.mark.e2e

BETA = {"model": {"providerID": "beta", "modelID": "m1"}}
GAMMA = {"model": {"providerID": "gamma", "modelID": "m1"}}


def titles(served: Served) -> list[str]:
    return [toast["title"] for _, toast in served.toasts]


async def stop(served: Served, session: str, turn: "asyncio.Task[Any]") -> None:
    """Stop a turn as a front end does, and wait until it is over."""
    assert await served.post(f"/session/{session}/abort", {})
    answer = await asyncio.wait_for(turn, 15)
    assert answer["info"]["error"]["name"] == "MessageAbortedError"


# -- what the user stops ---------------------------------------------------------------------------------------------


async def test_a_turn_stopped_while_it_is_held_stays_stopped_and_the_next_one_works(house: House) -> None:
    for name in ("alpha", "beta", "gamma"):
        house.providers.script(f"{name}/m1", limited(429, retry_after="8"), Reply(text=f"answer from {name}/m1"))
    async with Served(house.home) as served:
        session = await served.session("Sea")
        turn = asyncio.create_task(served.prompt(session, "hello"))
        await until(lambda: "No target is free" in titles(served))
        await stop(served, session, turn)
        sent = len(house.providers.requests)
        freed = max(seen.at for seen in house.providers.requests) + 9
        await asyncio.sleep(max(0.0, freed - time.time()))
        assert len(house.providers.requests) == sent, "nothing is sent for a turn that was stopped"
        assert text_of(await served.prompt(session, "and now")) == "answer from alpha/m1"


async def test_a_turn_stopped_at_the_moment_of_the_switch_stays_stopped(house: House) -> None:
    gate = asyncio.Event()
    refused = limited(429, retry_after="600")
    house.providers.script("alpha/m1", replace(refused, hold=gate))
    house.providers.script("beta/m1", Reply(text="too late"), Reply(text="answer from beta/m1"))
    async with Served(house.home) as served:
        session = await served.session("Sea")
        turn = asyncio.create_task(served.prompt(session, "hello"))
        await until(lambda: house.asked("alpha/m1") == 1)
        # The refusal and the stop arrive together: either the stop is first, or the request at beta is stopped.
        gate.set()
        await served.post(f"/session/{session}/abort", {})
        ended = await asyncio.wait_for(turn, 15)
        sent = len(house.providers.requests)
        assert text_of(ended) in ("", "too late")
        await asyncio.sleep(1)
        assert len(house.providers.requests) == sent
        assert text_of(await served.prompt(session, "and now")) in ("too late", "answer from beta/m1")
        await until(lambda: rests(served, session))


async def test_a_turn_stopped_at_the_stand_in_stays_stopped_and_the_next_one_works(house: House) -> None:
    never = asyncio.Event()
    house.providers.script("alpha/m1", LIMITED)
    house.providers.script("beta/m1", Reply(text="x", hold=never), Reply(text="answer from beta/m1"))
    async with Served(house.home) as served:
        session = await served.session("Sea")
        turn = asyncio.create_task(served.prompt(session, "hello"))
        await until(lambda: house.asked("beta/m1") == 1)
        await stop(served, session, turn)
        assert titles(served) == [], "nothing of beta had arrived"
        assert text_of(await served.prompt(session, "and now")) == "answer from beta/m1"
        assert [house.asked(f"{name}/m1") for name in ("alpha", "beta", "gamma")] == [1, 2, 0]
        assert house.provider("beta")["error_count"] == 0


# -- what only a stand-in refuses ------------------------------------------------------------------------------------


# -- what the user chooses -------------------------------------------------------------------------------------------


async def test_a_model_picked_by_hand_wins_at_once_and_stays(house: House) -> None:
    house.providers.script("alpha/m1", LIMITED)
    async with Served(house.home) as served:
        session = await served.session("Sea")
        assert text_of(await served.prompt(session, "hello")) == "answer from beta/m1"
        assert text_of(await served.prompt(session, "and now", **GAMMA)) == "answer from gamma/m1"
        house.sidecar("clear", "alpha")
        assert text_of(await served.prompt(session, "and now", **GAMMA)) == "answer from gamma/m1"
        chosen = [m["info"]["model"]["providerID"] for m in await served.messages(session) if "model" in m["info"]]
        assert chosen[1:] == ["gamma", "gamma"]
        assert (await served.get(f"/session/{session}"))["model"]["providerID"] == "gamma"
    assert house.asked("alpha/m1") == 1


async def test_toasts_tell_the_switch_once_and_the_return_when_it_has_happened(house: House) -> None:
    never = asyncio.Event()
    call = ("bash", {"command": "echo calm-sea", "description": "looks"})
    house.providers.script("alpha/m1", LIMITED, Reply(text="alpha again", hold=never))
    house.providers.script("beta/m1", Reply(tools=[call]), Reply(text="one"), Reply(text="two"))
    async with Served(house.home) as served:
        session = await served.session("Sea")
        for prompt in ("hello", "and now"):
            await served.prompt(session, prompt)
        await served.toast(within_s=5)
        ((_, toast),) = served.toasts
        assert toast["title"] == "Switched to beta/m1"
        assert toast["message"].startswith("alpha/m1: rate limit, free again in ")
        house.sidecar("clear", "alpha")
        turn = asyncio.create_task(served.prompt(session, "and then"))
        await until(lambda: house.asked("alpha/m1") == 2)
        assert len(served.toasts) == 1, "it has not answered yet"
        never.set()
        assert text_of(await turn) == "alpha again"
        await until(lambda: len(served.toasts) > 1)
        assert titles(served)[1:] == ["Back on alpha/m1"]


# -- what the user reads -----------------------------------------------------------------------------------------------


async def test_a_conversation_after_a_switch_reads_as_if_there_had_been_none(house: House) -> None:
    call = ("bash", {"command": "echo calm-sea", "description": "looks"})
    house.providers.script("alpha/m1", Reply(tools=[call]), LIMITED)
    async with Served(house.home) as served:
        session = await served.session("Sea")
        await served.prompt(session, "hello")
        await until(lambda: rests(served, session))
        messages = await served.messages(session)
        assert [(m["info"]["role"], m["info"].get("providerID")) for m in messages] == [
            ("user", None),
            ("assistant", "alpha"),
            ("assistant", "beta"),
        ]
        assert (await served.get(f"/session/{session}"))["model"]["providerID"] == "alpha"
        # Undoing the turn and taking that back find the same conversation.
        await served.post(f"/session/{session}/revert", {"messageID": messages[0]["info"]["id"]})
        await served.post(f"/session/{session}/unrevert", {})
        assert await served.messages(session) == messages
    exported = json.loads((await house.home.run("export", session)).out)
    assert [m["info"]["id"] for m in exported["messages"]] == [m["info"]["id"] for m in messages]


async def test_a_turn_undone_at_once_can_be_said_again(house: House) -> None:
    house.providers.script("alpha/m1", LIMITED)
    async with Served(house.home) as served:
        session = await served.session("Sea")
        await served.prompt(session, "first")
        user = (await served.messages(session))[0]["info"]["id"]
        # At the moment at which the plugin clears up after the turn, whichever of the two comes first.
        await served.post(f"/session/{session}/revert", {"messageID": user})
        await asyncio.sleep(1)
        assert text_of(await served.prompt(session, "second")) == "answer from beta/m1"
        await until(lambda: rests(served, session))
        said = [text_of(m) for m in await served.messages(session)]
    assert said == ["second", "answer from beta/m1"]
    assert house.providers.asked("beta/m1")[-1].texts == ["second"]


# -- what needs no question ------------------------------------------------------------------------------------------


async def test_a_healthy_turn_opens_unasked_until_something_changes_that(house: House) -> None:
    async with Served(house.home) as served:
        session = await served.session("Sea")
        # An answer's report is on its way when OpenCode says that the turn is over.
        for count in (1, 2, 3):
            assert text_of(await served.prompt(session, "hello")) == "answer from alpha/m1"
            await until(lambda count=count: house.provider("alpha")["counts"]["requests_hour"] == count)  # type: ignore[misc]
        await until(lambda: "sent with an earlier answer's leave" in house.sidecar("why", session).stdout)
        assert house.sidecar("disable", "alpha").returncode == 0
        assert text_of(await served.prompt(session, "and now")) == "answer from beta/m1"
        assert house.sidecar("enable", "alpha").returncode == 0
        assert text_of(await served.prompt(session, "and now")) == "answer from alpha/m1"
    assert [house.asked(f"{name}/m1") for name in ("alpha", "beta")] == [4, 1]
