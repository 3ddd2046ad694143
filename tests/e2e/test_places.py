"""Where a turn can be refused besides the main conversation: subagents, titles, compactions, permissions, a restart."""

import asyncio
import json
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack
from typing import Any

import pytest

from sidecar.demo.scripted import Reply, Seen, limited
from sidecar.demo.served import Served, text_of

from .conftest import House

pytestmark = pytest.mark.e2e

LIMITED = limited(429, retry_after="600")
SUBTASK = "look around in the harbour"
TASK = ("task", {"description": "look", "prompt": SUBTASK, "subagent_type": "helper"})
FRAME = {"step-start", "step-finish"}
HELPER = {"helper": {"mode": "subagent", "description": "helps", "prompt": "You help."}}


async def until(true: Callable[[], bool | Awaitable[bool]], *, within_s: float = 20) -> None:
    """Wait until something is so."""
    async with asyncio.timeout(within_s):
        while True:
            found = true()
            if found if isinstance(found, bool) else await found:
                return
            await asyncio.sleep(0.05)


def asked_with(house: House, target: str, text: str) -> list[Seen]:
    """Give the requests to a target in which a message says `text`."""
    return [seen for seen in house.providers.asked(target) if any(text in said for said in seen.texts)]


async def rests(served: Served, session: str) -> bool:
    """Whether a conversation is as if nothing had been switched: the user's choice in it, and no empty step."""
    messages = await served.messages(session)
    chosen = {m["info"]["model"]["providerID"] for m in messages if m["info"]["role"] == "user"}
    said = ({p["type"] for p in m["parts"]} - FRAME for m in messages if "error" not in m["info"])
    return chosen == {"alpha"} and all(said)


def result_of(seen: Seen) -> str:
    """Give what the last tool said in a request."""
    return seen.texts[-1]


async def children(served: Served, session: str) -> list[list[Any]]:
    """Give the messages of a session's subagents."""
    found = await served.get(f"/session/{session}/children")
    return [await served.messages(child["id"]) for child in found]


# -- subagents -----------------------------------------------------------------------------------------------------


async def asked_by_a_parent(house: House, mode: str) -> str:
    """Have the main agent start a subagent; gives the answer of the whole turn."""
    house.configure(agent=HELPER)
    if mode == "run":
        ran = await house.home.run("run", "--title", "Harbour", "hello")
        assert ran.code == 0, ran.err
        assert "Error" not in ran.err
        return ran.out
    async with Served(house.home) as served:
        session = await served.session("Harbour")
        answer = text_of(await served.prompt(session, "hello"))
        tools = [p for m in await served.messages(session) for p in m["parts"] if p["type"] == "tool"]
        assert [tool["state"]["status"] for tool in tools] == ["completed"]
        return answer


@pytest.mark.proves(form="429-retry-after", place="subagent", wire="openai-chat")
@pytest.mark.parametrize("mode", ["run", "serve"])
async def test_a_subagent_refused_at_its_first_step_gives_its_parent_a_result(house: House, mode: str) -> None:
    house.providers.script("alpha/m1", Reply(tools=[TASK]), LIMITED)
    house.providers.script("beta/m1", Reply(text="the harbour is calm"), Reply(text="all is well"))
    assert "all is well" in await asked_by_a_parent(house, mode)
    first, second = house.providers.asked("beta/m1")
    assert first.texts == [SUBTASK]
    assert "the harbour is calm" in result_of(second)
    assert 'state="completed"' in result_of(second)
    assert house.asked("alpha/m1") == 2


@pytest.mark.proves(form="429-retry-after", place="subagent", wire="openai-chat")
async def test_a_subagent_refused_at_a_later_step_keeps_what_its_tools_said(house: House) -> None:
    diary = house.home.project / "diary.txt"
    look = ("bash", {"command": f"echo ran >> {diary}; echo calm-sea", "description": "looks"})
    house.providers.script("alpha/m1", Reply(tools=[TASK]), Reply(tools=[look]), LIMITED)
    house.providers.script("beta/m1", Reply(text="the harbour is calm"), Reply(text="all is well"))
    assert "all is well" in await asked_by_a_parent(house, "serve")
    first, second = house.providers.asked("beta/m1")
    assert first.texts[0] == SUBTASK
    assert "calm-sea" in result_of(first)
    assert "the harbour is calm" in result_of(second)
    assert diary.read_text() == "ran\n"


@pytest.mark.proves(form="known", place="subagent", wire="openai-chat")
async def test_a_subagent_whose_provider_is_known_to_be_limited_begins_elsewhere(house: House) -> None:
    house.providers.script("alpha/m1", LIMITED)
    house.providers.script("gamma/m1", Reply(tools=[TASK]), Reply(text="all is well"))
    await house.home.run("run", "--title", "Before", "hello")
    assert house.asked("alpha/m1") == 1
    house.configure(model="gamma/m1", agent={"helper": {**HELPER["helper"], "model": "alpha/m1"}})
    house.providers.script("beta/m1", Reply(text="the harbour is calm"))
    async with Served(house.home) as served:
        session = await served.session("Harbour")
        assert text_of(await served.prompt(session, "hello")) == "all is well"
        ((*_, last),) = await children(served, session)
        assert (last["info"]["providerID"], text_of(last)) == ("beta", "the harbour is calm")
    assert house.asked("alpha/m1") == 1
    assert "the harbour is calm" in result_of(house.providers.asked("gamma/m1")[-1])


@pytest.mark.proves(form="known", place="serve", wire="openai-chat")
async def test_a_parent_refused_while_its_subagent_ran_goes_on_with_its_result(house: House) -> None:
    house.configure(agent={"helper": {**HELPER["helper"], "model": "gamma/m1"}})
    hold = asyncio.Event()
    house.providers.script("alpha/m1", Reply(tools=[TASK]), LIMITED)
    house.providers.script("gamma/m1", Reply(text="the harbour is calm", hold=hold))
    async with Served(house.home) as served:
        session = await served.session("Harbour")
        turn = asyncio.create_task(served.prompt(session, "hello"))
        await until(lambda: house.asked("gamma/m1") == 1)
        # Another session learns meanwhile that the parent's provider is limited.
        other = await served.prompt(await served.session("Other"), "hello")
        assert text_of(other) == "answer from beta/m1"
        hold.set()
        assert text_of(await turn) == "answer from beta/m1"
    assert house.asked("alpha/m1") == 2, "the parent's own second step was never sent to it"
    assert "the harbour is calm" in result_of(house.providers.asked("beta/m1")[-1])


# -- titles and compactions ------------------------------------------------------------------------------------------


@pytest.mark.proves(form="429-retry-after", place="title", wire="openai-chat")
async def test_a_title_is_written_by_another_provider(house: House) -> None:
    house.providers.script("alpha/small", LIMITED)
    async with Served(house.home) as served:
        session = await served.session()
        await served.prompt(session, "hello")

        async def titled() -> bool:
            return bool((await served.get(f"/session/{session}"))["title"] == "answer from beta/m1")

        await until(titled)
    assert house.asked("alpha/small") == 1


@pytest.mark.parametrize("form", ["429-retry-after", "known"])
@pytest.mark.proves(place="compaction", wire="openai-chat")
async def test_a_compaction_is_written_by_another_provider_and_counted_there(house: House, form: str) -> None:
    known = form == "known"
    async with Served(house.home) as served:
        session = await served.session("Sea")
        await served.prompt(session, "hello")
        house.providers.script("alpha/m1", LIMITED)
        house.providers.script("beta/m1", Reply(text="SUMMARY of the sea"))
        if known:
            await served.prompt(await served.session("Other"), "hello")
        before = house.asked("alpha/m1")
        assert await served.post(f"/session/{session}/summarize", {"providerID": "alpha", "modelID": "m1"})
        (summary,) = [m for m in await served.messages(session) if m["info"].get("summary") is True]
        assert text_of(summary) == "SUMMARY of the sea"
        assert house.asked("alpha/m1") == before + (0 if known else 1)
        # Fifteen tokens an answer: alpha gave one, beta the others.
        await until(lambda: bool(house.provider("beta")["counts"]["tokens_day"] == 15 * house.asked("beta/m1")))
        assert house.provider("alpha")["counts"]["tokens_day"] == 15


def chunk(delta: dict[str, Any], finish: str | None, tokens: int) -> str:
    usage = {"prompt_tokens": tokens, "completion_tokens": 5, "total_tokens": tokens + 5}
    choice = {"index": 0, "delta": delta, "finish_reason": finish}
    return json.dumps(
        {"id": "x", "object": "chat.completion.chunk", "model": "m1", "choices": [choice], "usage": usage}
    )


@pytest.mark.proves(form="429-retry-after", place="compaction", wire="openai-chat")
async def test_an_automatic_compaction_is_written_by_another_provider_and_the_turn_goes_on(house: House) -> None:
    call = {"name": "bash", "arguments": json.dumps({"command": "echo calm-sea", "description": "looks"})}
    tool = {"tool_calls": [{"index": 0, "id": "call_1", "type": "function", "function": call}]}
    # The answer says that the conversation has filled the model's context: OpenCode compacts it before it goes on.
    full = Reply(events=[chunk(tool, None, 99_000), chunk({}, "tool_calls", 99_000)])
    house.providers.script("alpha/m1", full, LIMITED)
    house.providers.script("beta/m1", Reply(text="SUMMARY of the sea"), Reply(text="all is well"))
    async with Served(house.home) as served:
        session = await served.session("Sea")
        assert text_of(await served.prompt(session, "hello")) == "all is well"
        await until(lambda: rests(served, session))
        (summary,) = [m for m in await served.messages(session) if m["info"].get("summary") is True]
        assert text_of(summary) == "SUMMARY of the sea"
    assert house.asked("alpha/m1") == 2


# -- permissions -----------------------------------------------------------------------------------------------------


async def test_permissions_are_asked_and_answered_across_switches(house: House) -> None:
    house.configure(permission={"bash": "ask"})
    diary = house.home.project / "diary.txt"
    write = ("bash", {"command": f"echo ran >> {diary}", "description": "writes"})
    house.providers.script("alpha/m1", LIMITED)
    house.providers.script("beta/m1", Reply(tools=[write]), Reply(text="meanwhile"), Reply(text="written"))
    async with Served(house.home) as served:
        session = await served.session("Diary")
        turn = asyncio.create_task(served.prompt(session, "hello"))
        pending: list[Any] = []

        async def asked() -> bool:
            pending[:] = await served.get("/permission")
            return bool(pending)

        await until(asked)
        # While it waits for the person, another session is moved and answered.
        house.sidecar("clear", "alpha")
        other = await served.prompt(await served.session("Other"), "hello")
        assert text_of(other) == "meanwhile"
        assert not turn.done()
        await served.post(f"/permission/{pending[0]['id']}/reply", {"reply": "once"})
        assert text_of(await turn) == "written"
    assert diary.read_text() == "ran\n"


# -- several processes, restarts -------------------------------------------------------------------------------------


async def test_a_session_resumed_in_a_new_process_stays_at_the_stand_in_and_comes_back(house: House) -> None:
    house.providers.script("alpha/m1", LIMITED, Reply(text="alpha again"))
    first = await house.home.run("run", "--title", "Sea", "hello")
    assert "answer from beta/m1" in first.out
    second = await house.home.run("run", "--continue", "and now")
    assert "answer from beta/m1" in second.out
    assert house.asked("alpha/m1") == 1
    assert house.sidecar("clear", "alpha").returncode == 0
    async with AsyncExitStack() as stack:
        served = await stack.enter_async_context(Served(house.home))
        (session,) = [s["id"] for s in await served.get("/session")]
        answer = await served.prompt(session, "and now")
        assert text_of(answer) == "alpha again"
        assert answer["info"]["providerID"] == "alpha"
    (seen,) = house.providers.asked("alpha/m1")[1:]
    # `opencode run` puts words in quotes that hold a space.
    assert [text.strip('"') for text in seen.texts] == ["hello", "and now", "and now"]


async def test_everything_restarted_in_serve_mode_goes_on_where_it_was(house: House) -> None:
    house.providers.script("alpha/m1", LIMITED)
    async with Served(house.home) as served:
        session = await served.session("Sea")
        assert text_of(await served.prompt(session, "hello")) == "answer from beta/m1"
        await until(lambda: rests(served, session))
    assert house.sidecar("stop").returncode == 0
    async with Served(house.home) as served:
        assert text_of(await served.prompt(session, "and now")) == "answer from beta/m1"
        await until(lambda: rests(served, session))
    assert house.asked("alpha/m1") == 1


async def test_two_processes_at_one_session_store_share_what_each_learns(house: House) -> None:
    house.providers.script("alpha/m1", LIMITED)
    async with Served(house.home) as one, Served(house.home) as two:
        for served in (one, two, one):
            assert text_of(await served.prompt(await served.session("Sea"), "hello")) == "answer from beta/m1"
    assert house.asked("alpha/m1") == 1
