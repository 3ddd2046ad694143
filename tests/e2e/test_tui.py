"""The terminal interface as a person uses it: what a switch looks like there, and what can be seen and steered."""

from pathlib import Path

import pytest

from sidecar.demo.scripted import limited

from .conftest import House
from .terminal import Terminal

pytestmark = [pytest.mark.e2e, pytest.mark.usefixtures("tmux")]


@pytest.mark.parametrize("plugin", [True, False])
async def test_the_selection_stays_what_the_user_chose_from_the_very_first_prompt(
    house: House, tmp_path: Path, *, plugin: bool
) -> None:
    house.providers.script("alpha/m1", limited(429, retry_after="90"))
    with Terminal(house, tmp_path, plugin=plugin) as terminal:
        await terminal.ready()
        await terminal.prompt("tell me of lighthouses")
        await terminal.shows("answer from beta/m1", "Build · m1 Alpha")
        await terminal.prompt("and of harbours")
        screen = await terminal.until(lambda s: s.count("answer from beta/m1") == 2, "no second answer")
    assert "Build · m1 Alpha" in screen
    assert "m1 Beta" not in screen
