"""From any wire format to any other in mid-session: the next provider receives what is valid for it, and all of it.

The history holds an image, reasoning, tool calls and their results of an earlier turn, and the running turn has called
a tool already when its provider refuses.
"""

import json
import tempfile
from collections.abc import AsyncIterator
from itertools import permutations
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

from sidecar.demo.isolated import Isolated
from sidecar.demo.scripted import Reply, ScriptedProviders, limited
from sidecar.demo.served import Served, text_of
from sidecar.demo.wires import WIRES

from .conftest import House
from .valid import problems

pytestmark = [pytest.mark.e2e, pytest.mark.asyncio(loop_scope="module")]

PAIRS = list(permutations(WIRES, 2))
TREES = ("oak", "elm", "ash", "fir", "yew", "lime", "pine", "alder", "beech", "cedar", "hazel", "maple")
MODELS = dict(zip(PAIRS, TREES, strict=True))
"""A model for each pair: it is at one provider of the first format and at one of the second."""
PIXEL = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNkYPhfDwAChwGA60e6kgAAAABJRU5ErkJggg=="


def capable() -> dict[str, Any]:
    return {
        "limit": {"context": 100_000, "output": 8_000},
        "attachment": True,
        "reasoning": True,
        "tool_call": True,
        "modalities": {"input": ["text", "image"], "output": ["text"]},
    }


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def world(opencode: Path, furnished: Isolated) -> AsyncIterator[tuple[House, Served]]:
    with tempfile.TemporaryDirectory(prefix="rls-", ignore_cleanup_errors=True) as made:
        async with ScriptedProviders() as providers:
            house = House(Path(made), opencode, providers)
            house.home.share(furnished)
            entries = {}
            for (first, second), model in MODELS.items():
                for name, wire in ((f"{model}-first", first), (f"{model}-second", second)):
                    entries[name] = {**house.entry(name, wire=wire), "models": {model: capable()}}
            house.configure(wires={}, providers=entries, model="oak-first/oak", small_model="oak-first/oak")
            async with Served(house.home) as served:
                yield house, served
            house.sidecar("stop")


def tool(said: str) -> tuple[str, dict[str, Any]]:
    return "bash", {"command": f"echo {said}", "description": "says something"}


@pytest.mark.parametrize(("wire", "to"), PAIRS)
@pytest.mark.proves(form="429-retry-after", place="serve")
async def test_a_turn_moves_to_any_other_wire_format_with_all_it_holds(
    world: tuple[House, Served], wire: str, to: str
) -> None:
    house, served = world
    model = MODELS[wire, to]
    first, second = f"{model}-first", f"{model}-second"
    house.providers.script(
        f"{first}/{model}",
        Reply(reasoning="a thought of mine", text="I look at it.", tools=[tool("earlier-result")]),
        Reply(text="It is a pixel."),
        Reply(reasoning="another thought", text="I look again.", tools=[tool("later-result")]),
        limited(retry_after="600"),
    )
    house.providers.script(
        f"{second}/{model}", Reply(reasoning="a foreign thought", tools=[tool("last-result")]), Reply(text="All done.")
    )
    session = await served.session("named")
    chosen = {"providerID": first, "modelID": model}
    image = {"type": "file", "mime": "image/png", "filename": "pixel.png", "url": f"data:image/png;base64,{PIXEL}"}
    await served.post(
        f"/session/{session}/message",
        {"parts": [{"type": "text", "text": "the first prompt"}, image], "model": chosen},
    )
    answer = await served.prompt(session, "the second prompt", model=chosen)
    assert text_of(answer) == "All done."
    assert answer["info"]["providerID"] == second

    seen = house.providers.asked(f"{first}/") + house.providers.asked(f"{second}/")
    assert [one.target for one in seen] == [f"{first}/{model}"] * 4 + [f"{second}/{model}"] * 2
    assert [problems(one) for one in seen] == [[]] * 6
    for one in seen[4:]:
        assert one.wire == to
        for text in ("the first prompt", "the second prompt", "earlier-result", "later-result"):
            assert sum(text in said for said in one.texts) == 1, text
        body = json.dumps(one.body)
        assert body.count(PIXEL) == 1
        assert body.count("I look at it.") == body.count("It is a pixel.") == body.count("I look again.") == 1
        assert "sealed" not in body or to == "openai-responses"
    assert any("last-result" in text for text in seen[5].texts)
