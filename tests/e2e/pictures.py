"""Takes the pictures of the README: the real terminal interface, photographed as SVG.

    OPENCODE_BIN=.cache/opencode/node_modules/.bin/opencode .venv/bin/python -m tests.e2e.pictures

Writes `docs/pictures/*.svg`. Nothing in them is drawn by hand, and nothing in them is loaded from elsewhere.
"""

import asyncio
import os
import tempfile
from io import StringIO
from pathlib import Path

from rich.console import Console
from rich.terminal_theme import TerminalTheme
from rich.text import Text

from sidecar.demo.scripted import Reply, ScriptedProviders, limited

from .conftest import ROOT, House
from .terminal import Terminal

PICTURES = ROOT / "docs" / "pictures"
SIZE = (124, 36)
QUESTION = "what is a lighthouse?"
ANSWER = (
    "A lighthouse is a tower with a lamp at its top. It stands where ships come near the coast, and its light tells"
    " them where they are and what to keep away from."
)
NAMES = {"anthropic": "Anthropic", "openrouter": "OpenRouter", "groq": "Groq"}
MODEL = "claude-sonnet-4-5"
LIMITS = {
    "providers": {
        "anthropic": {"limits": {"rpm": 50, "rpd": 1000}},
        "openrouter": {"limits": {"rpm": 20, "usd_per_day": 10}},
        "groq": {"limits": {"rpm": 30}},
    }
}
_THEME = TerminalTheme((10, 10, 10), (238, 238, 238), [(0, 0, 0)] * 8)
# Rich's own frame without its fonts, which it would have fetched from elsewhere.
_FRAME = """\
<svg class="rich-terminal" viewBox="0 0 {width} {height}" xmlns="http://www.w3.org/2000/svg">
<style>
.{unique_id}-matrix {{ font-family: "DejaVu Sans Mono", Menlo, Consolas, monospace;
font-size: {char_height}px; line-height: {line_height}px; font-variant-east-asian: full-width; }}
{styles}
</style>
<defs>
<clipPath id="{unique_id}-clip-terminal">
<rect x="0" y="0" width="{terminal_width}" height="{terminal_height}" />
</clipPath>
{lines}
</defs>
{chrome}
<g transform="translate({terminal_x}, {terminal_y})" clip-path="url(#{unique_id}-clip-terminal)">
{backgrounds}
<g class="{unique_id}-matrix">
{matrix}
</g>
</g>
</svg>
"""


def svg(painted: str, name: str, columns: int) -> str:
    """Draw a screen that was captured with its colours."""
    console = Console(record=True, width=columns, file=StringIO(), force_terminal=True, color_system="truecolor")
    for line in painted.splitlines():
        console.print(Text.from_ansi(line), no_wrap=True, crop=True, overflow="crop")
    drawn = console.export_svg(title="OpenCode", theme=_THEME, code_format=_FRAME, unique_id=name)
    return "\n".join(line.rstrip() for line in drawn.splitlines()) + "\n"


async def photograph(terminal: Terminal, name: str, house: House) -> None:
    """Take a picture of what the terminal shows now; the house's own address is nobody's business."""
    await asyncio.sleep(0.5)
    file, project = PICTURES / f"{name}.svg", house.home.project
    painted = terminal.painted().replace(str(project), f"~/{project.name}".ljust(len(str(project))))
    file.write_text(svg(painted, name, SIZE[0]), encoding="utf-8")
    print(file.relative_to(ROOT))


async def story(house: House, root: Path, providers: ScriptedProviders) -> None:
    """Live through one rate limit and photograph it."""
    entries = {
        name: {
            "name": shown,
            "options": {"baseURL": providers.base_url(name), "apiKey": f"key-of-{name}"},
            "models": {MODEL: {"name": "Claude Sonnet 4.5", "limit": {"context": 200_000, "output": 8_000}}},
        }
        for name, shown in NAMES.items()
    }
    target = f"anthropic/{MODEL}"
    plugin = ROOT / "plugin-shim" / "src" / "server.ts"
    house.home.configure(entries, plugin=plugin, model=target, small_model=f"groq/{MODEL}")
    house.home.limits(LIMITS)
    house.home.project = house.home.home / "lighthouse"
    house.home.project.mkdir()
    providers.script(f"groq/{MODEL}", Reply(text="What a lighthouse is"))
    providers.script(target, limited(429, retry_after="250"))
    providers.script(f"openrouter/{MODEL}", Reply(text=ANSWER))
    with Terminal(house, root, size=SIZE) as terminal:
        await terminal.ready()
        await terminal.prompt(QUESTION)
        await terminal.shows("Switched to openrouter", "A lighthouse is", "What a lighthouse is", "instead of")
        await photograph(terminal, "switch", house)
        await terminal.hides("Switched to openrouter")
        await photograph(terminal, "sidebar", house)
        terminal.type("/rate_limit_status")
        await terminal.shows("/rate_limit_status")
        terminal.enter()
        await terminal.shows("Used last")
        await photograph(terminal, "status", house)
        terminal.press("Escape")
        await terminal.hides("Used last")
        await terminal.command("Use a provider now")
        await terminal.shows("What each session has selected")
        terminal.press("Down", "Down")
        await photograph(terminal, "pick", house)


async def main(binary: Path) -> None:
    """Set up a house as the tests do and take all pictures."""
    PICTURES.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="rls-", ignore_cleanup_errors=True) as made:
        async with ScriptedProviders() as providers:
            house = House(Path(made), binary, providers)
            try:
                await story(house, Path(made), providers)
            finally:
                house.sidecar("stop")


if __name__ == "__main__":
    asyncio.run(main(Path(os.environ["OPENCODE_BIN"]).absolute()))
