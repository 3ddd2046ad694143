"""What the daemon depends on: four libraries, each within known bounds, and nothing in conflict.

Known vulnerabilities are looked for with `pip-audit`, which needs the network: see `docs/reliability.md`.
"""

import re
import subprocess
import sys
import tomllib
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())


def test_the_daemon_depends_on_four_libraries_within_bounds() -> None:
    wanted = [re.fullmatch(r"([a-z]+)>=[\d.]+,<[\d.]+", entry) for entry in PROJECT["project"]["dependencies"]]
    assert [found and found[1] for found in wanted] == ["aiohttp", "pydantic", "structlog", "watchfiles"]


def test_what_is_imported_is_declared() -> None:
    # pydantic_core is pydantic's own other half, pinned by it.
    declared = {"aiohttp", "pydantic", "pydantic_core", "structlog", "watchfiles", "sidecar"}
    imported = set()
    for file in (ROOT / "sidecar").rglob("*.py"):
        imported |= set(re.findall(r"^\s*(?:from|import) (\w+)", file.read_text(), re.MULTILINE))
    assert imported - declared - set(sys.stdlib_module_names) == set()


def test_the_tools_are_pinned() -> None:
    tools = PROJECT["dependency-groups"]["dev"]
    assert all(re.fullmatch(r"[\w\[\]-]+==[\d.]+", tool) for tool in tools), tools


def test_nothing_installed_is_in_conflict() -> None:
    checked = subprocess.run([sys.executable, "-m", "pip", "check"], capture_output=True, text=True, check=False)
    assert checked.returncode == 0, checked.stdout
