"""The real terminal interface of OpenCode, in tmux: typed into, looked at, resized."""

import asyncio
import json
import re
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Self

from .conftest import ROOT, House

INTERFACE = ROOT / "plugin-shim" / "src" / "tui.tsx"
_STEP_S = 0.1
PATIENCE_S = 60.0
"""How long a busy machine may take to draw what is awaited; nothing is asserted of it."""


class Terminal:
    """One window; `size` is columns and rows. With `plugin` it loads the part for the terminal
    interface; `other` is the code of one more plugin of that kind; what is
    `installed` already is left as it is."""

    def __init__(
        self,
        house: House,
        root: Path,
        *,
        size: tuple[int, int] = (120, 40),
        plugin: bool = True,
        other: str = "",
        installed: bool = False,
    ) -> None:
        self._socket = str(root / f"tmux-{id(self)}")
        self._house = house
        self._size = size
        self._plugin = plugin
        loaded = [INTERFACE.as_uri()] if plugin else []
        if other:
            (root / "other.ts").write_text(other)
            loaded.append((root / "other.ts").as_uri())
        if not installed:
            (house.home.config / "tui.jsonc").write_text(json.dumps({"plugin": loaded}))

    def __enter__(self) -> Self:
        environment = [f"{k}={v}" for k, v in {**self._house.home.environment, "COLORTERM": "truecolor"}.items()]
        command = ["env", "-i", *environment, str(self._house.home.binary), str(self._house.home.project)]
        columns, rows = map(str, self._size)
        self._tmux("new-session", "-d", "-x", columns, "-y", rows, "-s", "t", *command)
        return self

    def __exit__(self, *_: object) -> None:
        self._tmux("kill-server")

    def _tmux(self, *arguments: str) -> str:
        return subprocess.run(
            ["tmux", "-S", self._socket, *arguments], capture_output=True, text=True, check=True, timeout=10
        ).stdout

    def type(self, text: str) -> None:
        self._tmux("send-keys", "-t", "t", "-l", text)

    def press(self, *keys: str) -> None:
        """Press keys by tmux's names: `Enter`, `Escape`, `Down`, `C-p`."""
        self._tmux("send-keys", "-t", "t", *keys)

    def enter(self) -> None:
        self.press("Enter")

    def resize(self, columns: int, rows: int) -> None:
        self._tmux("resize-window", "-t", "t", "-x", str(columns), "-y", str(rows))

    def screen(self) -> str:
        return self._tmux("capture-pane", "-p", "-t", "t")

    def painted(self) -> str:
        """Give the screen with its colours, as escape sequences."""
        return self._tmux("capture-pane", "-e", "-N", "-p", "-t", "t")

    async def until(self, what: Callable[[str], bool], said: str, *, within_s: float = PATIENCE_S) -> str:
        for _ in range(int(within_s / _STEP_S)):
            screen = self.screen()
            if what(screen):
                return screen
            await asyncio.sleep(_STEP_S)
        raise AssertionError(f"{said}:\n{self.screen()}")

    async def shows(self, *texts: str, within_s: float = PATIENCE_S) -> str:
        """Wait until all of these are on the screen at once; gives the screen."""
        return await self.until(
            lambda screen: all(text in screen for text in texts), f"{texts} never appeared", within_s=within_s
        )

    async def hides(self, text: str, *, within_s: float = PATIENCE_S) -> str:
        return await self.until(lambda screen: text not in screen, f"{text!r} stayed", within_s=within_s)

    async def ready(self) -> Self:
        """Wait until a prompt can be typed and, with the part for the interface, until the daemon was heard."""
        await self.shows("Ask anything", *(["✓"] if self._plugin else []), within_s=60)
        return self

    async def prompt(self, text: str) -> None:
        """Type a prompt and send it."""
        self.type(text)
        await self.shows(text)
        self.enter()

    async def pick(self, text: str, *, from_: str, not_: str) -> None:
        """Type into the list of the dialog titled `from_` until its line `not_` is gone, and take what is left."""
        await self.shows(from_, not_)
        self.type(text)
        # The list must have heard it before Enter takes what stands first.
        await self.hides(not_)
        self.enter()
        await self.hides(from_)

    async def answered(self, *texts: str) -> str:
        """Wait until the turn is over and these are on the screen; gives the screen."""
        return await self.until(
            lambda screen: "esc interrupt" not in screen and all(text in screen for text in texts),
            f"{texts} never stood at the end of a turn",
        )

    async def command(self, name: str) -> None:
        """Run a command by its title in the command palette."""
        self.press("C-p")
        await self.shows("Commands")
        self.type(name)
        await self.until(lambda screen: screen.count(name) > 1, f"there is no command {name!r}")
        self.enter()
        await self.hides("Commands")


def seconds_left(screen: str, provider: str) -> int:
    """Read the countdown shown for a provider, in seconds."""
    found = re.search(rf"✗ {provider} (\d+):(\d\d)", screen)
    assert found, screen
    return int(found[1]) * 60 + int(found[2])
