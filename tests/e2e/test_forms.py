"""Every way a request can fail, on every wire format, on one OpenCode server for all of them.

Before any content the step moves silently; after content it is finished honestly: nothing is said twice, no tool runs
twice.
"""

import asyncio
import json
import tempfile
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

from sidecar.client import DaemonUnavailableError, call
from sidecar.demo.isolated import Isolated, free_port
from sidecar.demo.scripted import Break, Reply, ScriptedProviders, Seen, limited
from sidecar.demo.served import Served, text_of
from sidecar.demo.wires import WIRES, Answer

from .conftest import House

pytestmark = [pytest.mark.e2e, pytest.mark.asyncio(loop_scope="module")]

MODELS = dict(zip(WIRES, ("oak", "elm", "ash", "fir"), strict=True))
"""A model for each wire format: the same one is at other providers of that format only."""
SAYS = "one two three four"
BEGINNING = "one two"
PROMPT = "a prompt of its own"

FORMS: dict[str, Callable[[], Reply]] = {
    "429": limited,
    "429-retry-after": lambda: limited(retry_after="60"),
    "402": lambda: limited(402, message="Insufficient credits"),
    "401": lambda: limited(401, message="Invalid API key"),
    "403": lambda: limited(403, message="This key may not use this model"),
    "404": lambda: limited(404, message="The model does not exist"),
    "500": lambda: limited(500, message="Internal failure"),
    "503": lambda: limited(503, message="The server is overloaded"),
    "529": lambda: limited(529, message="Overloaded"),
    "error-first": lambda: Reply(text=SAYS, breaks=Break("error")),
    "error-second": lambda: Reply(text=SAYS, breaks=Break("error", after=1)),
    "error-json": lambda: Reply(body={"error": {"message": "The server is overloaded"}}),
    "empty": Reply,
    "cut-before": lambda: Reply(text=SAYS, breaks=Break("cut", after=1)),
    "silent": lambda: Reply(text=SAYS, breaks=Break("stall")),
    "reset": lambda: Reply(reset=True),
}
"""What the first provider answers."""
UNREACHABLE = {"refused": "http://127.0.0.1:{port}/v1", "dns": "http://nowhere.invalid/v1"}
"""Where the address of a provider leads that nobody answers at."""
HELPER = {"helper": {"mode": "subagent", "description": "helps", "prompt": "You help."}}
TASK = ("task", {"description": "look", "prompt": "look around", "subagent_type": "helper"})
TRIES = {"empty": 4}
"""Where one answer is no proof: how often the same provider is asked before the turn leaves it."""


@dataclass(frozen=True)
class Lodge:
    """A house with one OpenCode server for all tests of this file; its providers and its daemon start anew for each."""

    house: House
    served: Served

    async def prompt(self, session: str, provider: str, text: str = PROMPT) -> Any:
        model = MODELS[provider.partition("-")[2]]
        return await self.served.prompt(session, text, model={"providerID": provider, "modelID": model})

    def fails(self, form: str, wire: str) -> str:
        """Let a provider of this wire format fail in this form; gives the provider."""
        if form in UNREACHABLE:
            return f"{form}-{wire}"
        self.house.providers.script(f"alpha-{wire}/{MODELS[wire]}", FORMS[form]())
        return f"alpha-{wire}"

    def saw(self, provider: str) -> list[Seen]:
        return self.house.providers.asked(f"{provider}/")

    def counted(self, provider: str) -> int:
        counted: int = self.house.provider(provider)["counts"]["requests_day"]
        return counted


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def lodging(opencode: Path, furnished: Isolated) -> AsyncIterator[Lodge]:
    with tempfile.TemporaryDirectory(prefix="rls-", ignore_cleanup_errors=True) as made:
        async with ScriptedProviders() as providers:
            house = House(Path(made), opencode, providers)
            house.home.share(furnished)
            closed = {name: {"baseURL": url.format(port=free_port())} for name, url in UNREACHABLE.items()}
            entries = {
                f"{name}-{wire}": house.entry(f"{name}-{wire}", wire=wire, model=MODELS[wire], **address)
                for wire in WIRES
                for name, address in {"alpha": {}, "beta": {}, "gamma": {}, **closed}.items()
            }
            # Without a small model of their own, titles are asked of the session's model.
            house.configure(model="alpha-openai-chat/oak", wires={}, providers=entries, agent=HELPER, small_model=None)
            ranks = {f"{name}-{wire}": {"priority": n} for n, name in ((1, "beta"), (2, "gamma")) for wire in WIRES}
            house.home.limits({"first_token_timeout": "1s", "providers": ranks})
            async with Served(house.home) as served:
                while not await asyncio.to_thread(introduced, house):
                    await asyncio.sleep(0.1)
                yield Lodge(house, served)
            house.sidecar("stop")


def introduced(house: House) -> bool:
    try:
        return house.status()["hello_at"] is not None
    except DaemonUnavailableError:
        return False


@pytest.fixture
def lodge(lodging: Lodge) -> Lodge:
    lodging.house.providers.forget()
    call(lodging.house.socket, "POST", "/v1/reset", {})
    return lodging


def said_once(seen: Seen, text: str = PROMPT) -> bool:
    return sum(text in said for said in seen.texts) == 1


def said(message: Any) -> list[str]:
    """What a message shows: its texts and tools, and errors."""
    shown = [part for part in message["parts"] if not part["type"].startswith("step-")]
    error = message["info"].get("error")
    return [part.get("text", part["type"]) for part in shown] + ([] if error is None else [str(error)])


# -- before any content ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("wire", WIRES)
@pytest.mark.parametrize("form", [*FORMS, *UNREACHABLE])
@pytest.mark.proves(place="serve")
async def test_a_failure_before_any_content_moves_the_step_silently(lodge: Lodge, form: str, wire: str) -> None:
    first, second = lodge.fails(form, wire), f"beta-{wire}"
    session = await lodge.served.session("named")
    answer = await lodge.prompt(session, first)

    assert text_of(answer) == f"answer from {second}/{MODELS[wire]}"
    assert (answer["info"]["providerID"], answer["info"]["modelID"]) == (second, MODELS[wire])
    user, *steps = await lodge.served.messages(session)
    assert (user["info"]["role"], text_of(user)) == ("user", PROMPT)
    assert [said(step) for step in steps if said(step)] == [[text_of(answer)]]
    assert {step["info"]["role"] for step in steps} == {"assistant"}

    tries = TRIES.get(form, 1)
    assert len(lodge.saw(first)) == (0 if form in UNREACHABLE else tries)
    assert [said_once(seen) for seen in lodge.saw(second)] == [True]
    assert (lodge.counted(first), lodge.counted(second)) == (tries, 1)


@pytest.mark.parametrize("wire", WIRES)
@pytest.mark.proves(form="400-stand-in", place="serve")
async def test_a_request_only_the_stand_in_dislikes_goes_on_to_the_next(lodge: Lodge, wire: str) -> None:
    first, target = lodge.fails("429", wire), f"beta-{wire}/{MODELS[wire]}"
    lodge.house.providers.script(target, limited(400, message="Invalid value: 'temperature'"))
    session = await lodge.served.session("named")
    answer = await lodge.prompt(session, first)
    assert text_of(answer) == f"answer from gamma-{wire}/{MODELS[wire]}"
    assert [len(lodge.saw(f"{name}-{wire}")) for name in ("alpha", "beta", "gamma")] == [1, 1, 1]
    # It was this request: nothing is wrong with the stand-in.
    assert lodge.house.provider(f"beta-{wire}")["state"] == "available"


REFUSED = {
    "400": lambda: limited(400, message="Invalid value for 'temperature'"),
    "context-overflow": lambda: Reply(status=400, body={"error": {"message": OVERFLOW, "code": OVERFLOWS}}),
}
OVERFLOW = "This model's maximum context length is 8192 tokens. However, your messages resulted in 9000 tokens."
OVERFLOWS = "context_length_exceeded"


@pytest.mark.parametrize("form", REFUSED)
async def test_a_fault_of_the_request_moves_nothing(lodge: Lodge, form: str) -> None:
    lodge.house.providers.script(f"alpha-openai-chat/{MODELS['openai-chat']}", REFUSED[form]())
    await lodge.prompt(await lodge.served.session("named"), "alpha-openai-chat")
    assert len(lodge.saw("alpha-openai-chat")) >= 1
    assert lodge.saw("beta-openai-chat") == lodge.saw("gamma-openai-chat") == []


RUNS = [
    ("429", "anthropic"),
    ("401", "gemini"),
    ("error-second", "openai-responses"),
    ("silent", "gemini"),
    ("cut-before", "openai-chat"),
]
JSON_RUNS = [
    ("429-retry-after", "gemini"),
    ("503", "anthropic"),
    ("empty", "openai-responses"),
    ("reset", "openai-chat"),
]


@pytest.mark.parametrize(("form", "wire"), RUNS)
@pytest.mark.proves(place="run")
async def test_a_failure_costs_a_run_nothing(lodge: Lodge, form: str, wire: str) -> None:
    target = f"{lodge.fails(form, wire)}/{MODELS[wire]}"
    ran = await lodge.house.home.run("run", "--title", "named", "--model", target, PROMPT)
    assert ran.code == 0, ran.err
    assert ran.out.strip() == f"answer from beta-{wire}/{MODELS[wire]}"
    assert len(lodge.saw(f"alpha-{wire}")) == 1
    assert [said_once(seen) for seen in lodge.saw(f"beta-{wire}")] == [True]


@pytest.mark.parametrize(("form", "wire"), JSON_RUNS)
@pytest.mark.proves(place="run-json")
async def test_a_failure_does_not_show_in_the_events_of_a_run(lodge: Lodge, form: str, wire: str) -> None:
    target = f"{lodge.fails(form, wire)}/{MODELS[wire]}"
    ran = await lodge.house.home.run("run", "--format", "json", "--title", "named", "--model", target, PROMPT)
    assert ran.code == 0, ran.err
    events = [json.loads(line) for line in ran.out.splitlines()]
    texts = [event["part"]["text"] for event in events if event["type"] == "text"]
    assert texts == [f"answer from beta-{wire}/{MODELS[wire]}"]
    assert {event["type"] for event in events} == {"step_start", "text", "step_finish"}
    assert [said_once(seen) for seen in lodge.saw(f"beta-{wire}")] == [True]


@pytest.mark.proves(form="429-retry-after", place="serve", wire=tuple(WIRES))
async def test_many_sessions_fail_at_once_and_every_prompt_is_sent_once(lodge: Lodge) -> None:
    async def turn(number: int, wire: str) -> tuple[str, str]:
        session = await lodge.served.session("named")
        answer = await lodge.prompt(session, f"alpha-{wire}", f"prompt {number} of {wire}.")
        users = [m for m in await lodge.served.messages(session) if m["info"]["role"] == "user"]
        assert [text_of(user) for user in users] == [f"prompt {number} of {wire}."]
        return answer["info"]["providerID"], text_of(answer)

    for wire in WIRES:
        lodge.fails("429-retry-after", wire)
    asked = [(number, wire) for wire in WIRES for number in range(3)]
    answers = await asyncio.gather(*(turn(*one) for one in asked))
    assert answers == [(f"beta-{wire}", f"answer from beta-{wire}/{MODELS[wire]}") for _, wire in asked]
    for wire in WIRES:
        seen = lodge.saw(f"beta-{wire}")
        assert sorted(text for one in seen for text in one.texts) == [f"prompt {n} of {wire}." for n in range(3)]
        assert [lodge.counted(f"{name}-{wire}") for name in ("alpha", "beta")] == [len(lodge.saw(f"alpha-{wire}")), 3]


# -- beside the loop ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("wire", WIRES)
@pytest.mark.parametrize("form", ["429", "error-first", "reset"])
@pytest.mark.proves(place="title")
async def test_a_title_is_written_by_another_provider_of_the_format(lodge: Lodge, form: str, wire: str) -> None:
    session = await lodge.served.session()
    answer = await lodge.prompt(session, lodge.fails(form, wire))
    while (titled := await lodge.served.get(f"/session/{session}"))["title"] != text_of(answer):
        await asyncio.sleep(0.05)
    assert titled["title"] == f"answer from beta-{wire}/{MODELS[wire]}"
    assert sum("title" in json.dumps(seen.body)[:2000].lower() for seen in lodge.saw(f"beta-{wire}")) == 1
    assert [len(seen.texts) > 0 for seen in lodge.saw(f"beta-{wire}")] == [True, True]


@pytest.mark.parametrize("wire", WIRES)
@pytest.mark.parametrize("form", ["429", "error-first", "reset"])
@pytest.mark.proves(place="compaction")
async def test_a_compaction_is_written_by_another_provider_of_the_format(lodge: Lodge, form: str, wire: str) -> None:
    model = MODELS[wire]
    session = await lodge.served.session("named")
    await lodge.prompt(session, f"alpha-{wire}")
    lodge.house.providers.forget()
    body = {"providerID": lodge.fails(form, wire), "modelID": model}
    assert await lodge.served.post(f"/session/{session}/summarize", body)
    summaries = [m for m in await lodge.served.messages(session) if m["info"].get("summary") is True]
    assert [said(summary) for summary in summaries] == [[f"answer from beta-{wire}/{model}"]]
    assert [len(lodge.saw(f"{name}-{wire}")) for name in ("alpha", "beta")] == [1, 1]


@pytest.mark.proves(form="error-after", place="compaction", wire="openai-chat")
async def test_half_a_summary_never_passes_for_one(lodge: Lodge) -> None:
    session = await lodge.served.session("named")
    await lodge.prompt(session, "alpha-openai-chat")
    half = Reply(text=SAYS, breaks=Break("error", after=3))
    lodge.house.providers.script("alpha-openai-chat/oak", half, Reply(text="a whole summary"))
    lodge.house.providers.script("beta-openai-chat/oak", Reply(text="a whole summary"))
    body = {"providerID": "alpha-openai-chat", "modelID": "oak"}
    assert await lodge.served.post(f"/session/{session}/summarize", body)
    (summary,) = [m for m in await lodge.served.messages(session) if m["info"].get("summary") is True]
    assert text_of(summary) == "a whole summary"


@pytest.mark.parametrize("wire", WIRES)
@pytest.mark.proves(form="429", place="subagent")
async def test_a_subagent_of_any_format_gives_its_parent_a_result(lodge: Lodge, wire: str) -> None:
    model = MODELS[wire]
    lodge.house.providers.script(f"alpha-{wire}/{model}", Reply(tools=[TASK]), limited())
    lodge.house.providers.script(f"beta-{wire}/{model}", Reply(text="all is calm"), Reply(text="done"))
    session = await lodge.served.session("named")
    answer = await lodge.prompt(session, f"alpha-{wire}")
    assert text_of(answer) == "done"
    first, second = lodge.saw(f"beta-{wire}")
    assert said_once(first, "look around")
    assert said_once(second, "all is calm")
    assert len(lodge.saw(f"alpha-{wire}")) == 2


# -- after content -----------------------------------------------------------------------------------------------

AFTER = {"cut-after": "cut", "end-after": "end", "error-after": "error"}


async def begun(lodge: Lodge, session: str) -> None:
    """Wait until OpenCode has content of the running step."""
    while not any(said(m) for m in await lodge.served.messages(session) if m["info"]["role"] == "assistant"):
        await asyncio.sleep(0.05)


@pytest.mark.parametrize("wire", WIRES)
@pytest.mark.parametrize("form", AFTER)
@pytest.mark.proves(place="serve")
async def test_an_answer_that_breaks_off_is_finished_and_not_repeated(lodge: Lodge, form: str, wire: str) -> None:
    when = asyncio.Event()
    # Two words, in each format's own number of events.
    heads = next(n for n, event in enumerate(WIRES[wire].events(Answer("m", SAYS))) if "two" in json.dumps(event))
    broken = Reply(text=SAYS, breaks=Break(AFTER[form], after=heads + 1, when=when))  # type: ignore[arg-type]
    lodge.house.providers.script(f"alpha-{wire}/{MODELS[wire]}", broken, Reply(text="and the rest"))
    lodge.house.providers.script(f"beta-{wire}/{MODELS[wire]}", Reply(text="and the rest"))
    session = await lodge.served.session("named")
    turn = asyncio.create_task(lodge.prompt(session, f"alpha-{wire}"))
    await begun(lodge, session)
    when.set()
    answer = await turn

    assert text_of(answer) == "and the rest"
    user, *steps = await lodge.served.messages(session)
    assert text_of(user) == PROMPT
    assert [[text.strip() for text in said(step)] for step in steps if said(step)] == [[BEGINNING], ["and the rest"]]
    first, second = lodge.house.providers.requests
    assert said_once(first)
    assert said_once(second)
    # The beginning is there once, and it is not the last word: many models refuse a request in which it is.
    assert json.dumps(second.body).count(BEGINNING) == 1
    assert "broke off" in second.texts[-1]
    assert sum(lodge.counted(f"{name}-{wire}") for name in ("alpha", "beta")) == 2


@pytest.mark.parametrize("wire", WIRES)
@pytest.mark.parametrize("how", ["cut", "error"])
@pytest.mark.proves(form="cut-after-tool", place="serve")
async def test_a_tool_whose_step_breaks_off_runs_once_and_its_result_is_kept(lodge: Lodge, how: str, wire: str) -> None:
    when = asyncio.Event()
    diary = lodge.house.home.project / f"diary-{how}-{wire}"
    tool = ("bash", {"command": f"echo ran >> {diary}; echo tool-said-this", "description": "writes a diary"})
    # All but what ends the message.
    whole = len(WIRES[wire].events(Answer("m", SAYS, tools=[tool])))
    after = whole - (2 if wire == "anthropic" else 1)
    broken = Reply(text=SAYS, tools=[tool], breaks=Break(how, after=after, when=when))  # type: ignore[arg-type]
    lodge.house.providers.script(f"alpha-{wire}/{MODELS[wire]}", broken, Reply(text="done"))
    lodge.house.providers.script(f"beta-{wire}/{MODELS[wire]}", Reply(text="done"))
    session = await lodge.served.session("named")
    turn = asyncio.create_task(lodge.prompt(session, f"alpha-{wire}"))
    while not diary.exists():
        await asyncio.sleep(0.05)
    when.set()
    answer = await turn

    assert text_of(answer) == "done"
    assert diary.read_text() == "ran\n"
    assert len(lodge.house.providers.requests) == 2
    last = lodge.house.providers.requests[-1]
    assert said_once(last)
    assert sum("tool-said-this" in text for text in last.texts) == 1
    shown = [said(step) for step in (await lodge.served.messages(session))[1:] if said(step)]
    assert shown == [[SAYS, "tool"], ["done"]]


@pytest.mark.parametrize("wire", WIRES)
async def test_answers_that_always_break_off_come_to_an_end(lodge: Lodge, wire: str) -> None:
    heads = len(WIRES[wire].events(Answer("m", SAYS))) // 2 + 1
    for name in ("alpha", "beta"):
        broken = Reply(text=SAYS, breaks=Break("end", after=heads))
        lodge.house.providers.script(f"{name}-{wire}/{MODELS[wire]}", broken)
    session = await lodge.served.session("named")
    answer = await lodge.prompt(session, f"alpha-{wire}")
    assert answer["info"]["finish"] == "length"
    assert len(lodge.house.providers.requests) == 6
