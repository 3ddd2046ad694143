"""The terminal interface as a person uses it: what a switch looks like there, and what can be seen and steered."""

import asyncio
from contextlib import AsyncExitStack
from pathlib import Path

import pytest

from sidecar.demo.scripted import Reply, limited

from .conftest import House
from .terminal import Terminal, seconds_left

pytestmark = [pytest.mark.e2e, pytest.mark.usefixtures("tmux"), pytest.mark.timeout(300)]

WIDE = (140, 40)

SLOW = """
const busy = (ms) => { const end = Date.now() + ms; while (Date.now() < end); };
let slow = true;
const heard = ({ properties }) => {
  if (properties.info.role === "user" && slow) { slow = false; busy(1000); }
};
export default { id: "slow", tui: async (api) => { api.event.on("message.updated", heard) } };
"""
"""A window that draws nothing for a while after a message was made, as on a machine that has too much to do."""


async def test_a_switch_is_a_toast_and_leaves_the_conversation_the_input_and_the_selection_alone(
    house: House, tmp_path: Path
) -> None:
    hold = asyncio.Event()
    house.providers.script("alpha/m1", limited(429, retry_after="90"))
    house.providers.script("beta/m1", Reply(text="answer from beta/m1", hold=hold))
    with Terminal(house, tmp_path, size=WIDE) as terminal:
        await terminal.ready()
        await terminal.prompt("tell me of lighthouses")
        await terminal.until(lambda _: house.asked("beta/m1") == 1, "beta was never asked")
        terminal.type("the next thing")
        screen = await terminal.shows("the next thing")
        assert "Switched" not in screen
        hold.set()
        screen = await terminal.shows("Switched to beta/m1", "answer from beta/m1", "the next thing")
        assert screen.count("tell me of lighthouses") == 1
        assert "alpha/m1: rate limit, free again in 1 min" in screen
        # Where OpenCode draws, the line for standard error would end up in the picture.
        assert "rate-limit-sidecar:" not in screen
        # The sidebar and the line beside the prompt say where the session is, and count down.
        screen = await terminal.shows("instead of alpha/m1", "→ beta/m1 · ✗ alpha 1:", "Build · m1 Alpha")
        first = seconds_left(screen, "alpha")
        await terminal.until(lambda s: seconds_left(s, "alpha") < first, "nothing counts down")
        terminal.enter()
        screen = await terminal.until(lambda s: s.count("answer from beta/m1") == 2, "no second answer")
        assert "Build · m1 Alpha" in screen
    assert house.asked("alpha/m1") == 1


async def test_the_selection_stays_on_a_machine_with_too_much_to_do(house: House, tmp_path: Path) -> None:
    house.providers.script("alpha/m1", limited(429, retry_after="90"))
    with Terminal(house, tmp_path, other=SLOW) as terminal:
        await terminal.ready()
        await terminal.prompt("tell me of lighthouses")
        await terminal.shows("answer from beta/m1")
        await terminal.shows("Build · m1 Alpha")


async def test_undo_takes_back_a_turn_that_was_handed_over(house: House, tmp_path: Path) -> None:
    house.providers.script("alpha/m1", limited(429, retry_after="90"))
    with Terminal(house, tmp_path) as terminal:
        await terminal.ready()
        await terminal.prompt("tell me of lighthouses")
        await terminal.answered("answer from beta/m1")
        terminal.type("/undo")
        await terminal.shows("Undo previous message")
        terminal.enter()
        await terminal.hides("answer from beta/m1")
        # What was asked stands in the prompt again; sent once more it is answered once.
        await terminal.shows("tell me of lighthouses", "message reverted")
        terminal.enter()
        screen = await terminal.answered("answer from beta/m1", "tell me of lighthouses")
        assert screen.count("tell me of lighthouses") == 1
        assert screen.count("answer from beta/m1") == 1


async def test_a_turn_stopped_during_a_switch_stays_stopped_and_the_next_prompt_works(
    house: House, tmp_path: Path
) -> None:
    hold = asyncio.Event()
    house.providers.script("alpha/m1", limited(429, retry_after="90"))
    house.providers.script("beta/m1", Reply(text="too late", hold=hold), Reply(text="answer from beta/m1"))
    with Terminal(house, tmp_path) as terminal:
        await terminal.ready()
        await terminal.prompt("tell me of lighthouses")
        await terminal.until(lambda _: house.asked("beta/m1") == 1, "beta was never asked")
        terminal.press("Escape")
        await terminal.shows("esc again to interrupt")
        terminal.press("Escape")
        await terminal.shows("interrupted")
        hold.set()
        await asyncio.sleep(1)
        assert "Switched" not in terminal.screen()
        assert (house.asked("alpha/m1"), house.asked("beta/m1"), house.asked("gamma/m1")) == (1, 1, 0)
        await terminal.prompt("and of harbours")
        screen = await terminal.shows("answer from beta/m1")
        assert "too late" not in screen


async def test_a_model_picked_by_hand_wins_at_once(house: House, tmp_path: Path) -> None:
    house.providers.script("alpha/m1", limited(429, retry_after="90"))
    with Terminal(house, tmp_path) as terminal:
        await terminal.ready()
        await terminal.prompt("tell me of lighthouses")
        await terminal.answered("answer from beta/m1")
        terminal.type("/models")
        await terminal.shows("Switch model")
        terminal.enter()
        await terminal.shows("Select model")
        terminal.type("gamma")
        await terminal.until(lambda s: "Alpha" not in s.split("Select model")[1].split("┃")[0], "nothing is filtered")
        terminal.enter()
        await terminal.shows("Gamma")
        await terminal.prompt("and of harbours")
        await terminal.shows("answer from gamma/")
    assert house.asked("alpha/m1") == 1
    assert house.asked("beta/m1") == 1


async def test_the_status_command_opens_a_live_report_without_session_or_request(house: House, tmp_path: Path) -> None:
    house.home.limits({"providers": {"alpha": {"limits": {"rpm": 50}}}})
    with Terminal(house, tmp_path) as terminal:
        await terminal.ready()
        terminal.type("/rate_limit")
        screen = await terminal.shows("/rate_limit_status")
        assert screen.count("/rate_limit_status") == 1
        terminal.enter()
        await terminal.hides("Rate limits, cooldowns")
        terminal.enter()
        await terminal.shows("✓ alpha  available", "rpm 0/50", "Used last: nothing yet")
        # What happens meanwhile is seen at once.
        assert house.sidecar("disable", "beta", "--for", "90").returncode == 0
        screen = await terminal.shows("○ beta  disabled", "free in 1:")
        for columns, rows in ((60, 20), (200, 50)):
            terminal.resize(columns, rows)
            if rows == 20:
                screen = await terminal.shows("Rate limits", "↑↓ scroll", "✓ alpha  available")
                assert "Used last" not in screen
                terminal.press(*["Down"] * 20)
                await terminal.shows("Used last: nothing yet")
                terminal.press(*["Up"] * 20)
            else:
                await terminal.hides("↑↓ scroll")
                screen = await terminal.shows("Rate limits", "✓ alpha  available", "Used last: nothing yet")
            assert max(len(line.rstrip()) for line in screen.splitlines()) <= columns
        terminal.press("Escape")
        await terminal.hides("Used last")
        # A command of the palette is the same dialog.
        await terminal.command("Show rate limits")
        await terminal.shows("Used last: nothing yet")
    assert house.providers.requests == []


async def test_providers_are_picked_disabled_and_freed_by_hand_in_every_window(house: House, tmp_path: Path) -> None:
    house.providers.script("alpha/m1", limited(402, message="Insufficient credits"), Reply(text="alpha is back"))
    # One after the other: two first starts of OpenCode in an empty home at the same moment are in each other's way.
    async with AsyncExitStack() as stack:
        one = await stack.enter_context(Terminal(house, tmp_path, size=WIDE)).ready()
        other = await stack.enter_context(Terminal(house, tmp_path, size=(60, 20))).ready()
        await one.command("Use a provider now")
        await one.pick("gamma", from_="Use a provider now", not_="What each session has selected")
        await one.shows("gamma is used first")
        await one.prompt("tell me of lighthouses")
        await one.shows("answer from gamma/m1", "★ gamma, picked by hand", "→ gamma/m1")
        await other.prompt("and of harbours")
        await other.shows("answer from gamma/m1")
        assert house.asked("alpha/m1") == 0

        await one.command("Use what is selected again")
        await one.hides("picked by hand")
        await one.command("Disable or enable a provider")
        await one.pick("beta", from_="Disable or enable", not_="Disable Alpha")
        # The toast may be behind the conversation: OpenCode leaves one there that was on the screen before it.
        await one.until(lambda _: house.provider("beta")["state"] == "disabled", "beta is not disabled")
        await one.prompt("and of cliffs")
        await one.until(lambda s: s.count("answer from gamma/m1") == 2, "not answered at the only one left")
        assert (house.asked("alpha/m1"), house.asked("beta/m1")) == (1, 0)
        await other.shows("✗ alpha")

        await one.command("End a cooldown")
        await one.until(lambda s: "alpha" in s.partition("End a cooldown")[2], "no cooldown is offered")
        one.enter()
        await other.hides("✗ alpha")
        await other.prompt("and of storms")
        await other.shows("alpha is back")


async def test_a_daemon_that_dies_is_said_in_a_line_and_found_again(house: House, tmp_path: Path) -> None:
    # The plugin would start it again as soon as anything is asked or reported.
    command, gone = tmp_path / "command", tmp_path / "gone"
    command.write_text(f'#!/bin/sh\n[ -e {gone} ] && exit 1\nexec {house.command} "$@"\n')
    command.chmod(0o755)
    house.home.environment["RATE_LIMIT_SIDECAR_COMMAND"] = str(command)
    with Terminal(house, tmp_path, size=WIDE) as terminal:
        await terminal.ready()
        await terminal.prompt("tell me of lighthouses")
        await terminal.shows("answer from alpha/m1", "• alpha/m1")
        gone.touch()
        house.kill_daemon()
        await terminal.shows("sidecar away", "start it: rate-limit-sidecar start")
        gone.unlink()
        assert house.sidecar("start").returncode == 0
        await terminal.hides("sidecar away")
        await terminal.prompt("and of harbours")
        await terminal.until(lambda s: s.count("answer from alpha/m1") == 2, "no second answer")
        await terminal.shows("• alpha/m1")
