"""What a person sees: the status command in OpenCode without a model call, the report, the toast."""

import asyncio
import os
import shutil
import subprocess
from pathlib import Path
from typing import Self

import pytest

from sidecar.demo.scripted import limited
from sidecar.demo.served import Served, ServedError, text_of

from .conftest import House

pytestmark = pytest.mark.e2e


async def test_the_status_command_makes_no_request(house: House) -> None:
    async with Served(house.home) as served:
        session = await served.session()
        with pytest.raises(ServedError):
            await served.post(f"/session/{session}/command", {"command": "rate_limit_status", "arguments": ""})
        said = "".join(map(text_of, await served.messages(session)))
    assert "Current Provider" in said
    assert house.providers.requests == []


async def test_the_status_command_of_run_makes_no_request(house: House) -> None:
    await house.home.run("run", "--command", "rate_limit_status")
    assert house.providers.requests == []


async def test_the_report_names_what_is_limited_until_when_and_where_the_session_is(house: House) -> None:
    house.home.limits({"providers": {"alpha": {"limits": {"rpm": 50}}, "beta": {"limits": {"rpm": 50}}}})
    house.providers.script("alpha/m1", limited(402, message="Insufficient credits"))
    await house.home.run("run", "hello")
    report = house.sidecar("status").stdout
    alpha, rest = report.split("beta: ")
    assert alpha.startswith("alpha: ✗ Unavailable")
    assert f"Requests: {house.asked('alpha/')}/50" in alpha
    assert "Cooldown until" in alpha
    assert "✓ Available" in rest
    assert "Current Provider: beta" in rest


async def test_the_log_says_from_where_to_where_and_why(house: House) -> None:
    house.providers.script("alpha/m1", limited(429, retry_after="90"))
    await house.home.run("run", "hello")
    lines = [line for line in house.sidecar("logs").stdout.splitlines() if "switch" in line]
    assert any("alpha/m1" in line and "beta/m1" in line and "rate" in line for line in lines), lines


async def test_opencode_s_own_log_names_the_switch(house: House) -> None:
    house.providers.script("alpha/m1", limited(429, retry_after="90"))
    # In serve mode, because `opencode run` exits before it has written the end of its own log.
    async with Served(house.home) as served:
        await served.prompt(await served.session(), "hello")
        logs = house.home.home / ".local/share/opencode/log"
        async with asyncio.timeout(10):
            while not any(_names_the_switch(line) for f in logs.glob("*") for line in f.read_text().splitlines()):
                await asyncio.sleep(0.1)


def _names_the_switch(line: str) -> bool:
    return "rate-limit-sidecar" in line and "alpha/m1" in line and "beta/m1" in line


class Terminal:
    """The real TUI in tmux."""

    def __init__(self, house: House, root: Path) -> None:
        self._socket = str(root / "tmux")
        self._house = house

    def __enter__(self) -> Self:
        environment = [f"{k}={v}" for k, v in self._house.home.environment.items()]
        command = ["env", "-i", *environment, str(self._house.home.binary), str(self._house.home.project)]
        self._tmux("new-session", "-d", "-x", "120", "-y", "40", "-s", "t", *command)
        return self

    def __exit__(self, *_: object) -> None:
        self._tmux("kill-server")

    def _tmux(self, *arguments: str) -> str:
        return subprocess.run(
            ["tmux", "-S", self._socket, *arguments], capture_output=True, text=True, check=True, timeout=10
        ).stdout

    def type(self, text: str) -> None:
        self._tmux("send-keys", "-t", "t", "-l", text)

    def enter(self) -> None:
        self._tmux("send-keys", "-t", "t", "Enter")

    async def shows(self, text: str, *, within_s: float = 20) -> str:
        for _ in range(int(within_s / 0.1)):
            screen = self._tmux("capture-pane", "-p", "-t", "t")
            if text in screen:
                return screen
            await asyncio.sleep(0.1)
        raise AssertionError(f"{text!r} never appeared:\n{self._tmux('capture-pane', '-p', '-t', 't')}")


@pytest.fixture
def tmux() -> None:
    """What the TUI runs in; `./setup.sh --test` installs it where it can."""
    if shutil.which("tmux") is None:
        missing = pytest.fail if os.environ.get("CI") else pytest.skip
        missing("tmux is not installed")


@pytest.mark.usefixtures("tmux")
async def test_the_tui_shows_the_answer_the_prompt_once_and_the_toast(house: House, tmp_path: Path) -> None:
    house.providers.script("alpha/m1", limited(429, retry_after="90"))
    with Terminal(house, tmp_path) as terminal:
        await terminal.shows("Ask anything")
        terminal.type("tell me of lighthouses")
        await terminal.shows("tell me of lighthouses")
        terminal.enter()
        await terminal.shows("Switched to beta/m1")
        screen = await terminal.shows("answer from beta/m1")
        assert screen.count("tell me of lighthouses") == 1
        # Where OpenCode draws, the line for standard error would end up in the picture.
        assert "rate-limit-sidecar:" not in screen
