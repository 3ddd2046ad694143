"""The terminal interface as a person uses it: what a switch looks like there, and what can be seen and steered."""

from pathlib import Path

import pytest

from sidecar.demo.scripted import limited

from .conftest import House
from .terminal import Terminal

pytestmark = [pytest.mark.e2e, pytest.mark.usefixtures("tmux")]

SLOW = """
const busy = (ms) => { const end = Date.now() + ms; while (Date.now() < end); };
let slow = true;
const heard = ({ properties }) => {
  if (properties.info.role === "user" && slow) { slow = false; busy(1000); }
};
export default { id: "slow", tui: async (api) => { api.event.on("message.updated", heard) } };
"""
"""A window that draws nothing for a while after a message was made, as on a machine that has too much to do."""


async def test_the_selection_stays_what_the_user_chose_from_the_very_first_prompt(house: House, tmp_path: Path) -> None:
    house.providers.script("alpha/m1", limited(429, retry_after="90"))
    with Terminal(house, tmp_path, other=SLOW) as terminal:
        await terminal.ready()
        await terminal.prompt("tell me of lighthouses")
        await terminal.shows("answer from beta/m1", "Build · m1 Alpha")
        await terminal.prompt("and of harbours")
        screen = await terminal.until(lambda s: s.count("answer from beta/m1") == 2, "no second answer")
    assert "Build · m1 Alpha" in screen
