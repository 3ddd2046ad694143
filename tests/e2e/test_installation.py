"""What `install` puts in place is loaded by the real OpenCode, once; the example of its configuration is accepted."""

import json
import shutil
from pathlib import Path

import pytest

from sidecar.demo.isolated import Isolated
from sidecar.demo.scripted import limited

from .conftest import ROOT, House
from .terminal import Terminal

pytestmark = pytest.mark.e2e

EXAMPLE = ROOT / "opencode.json.example"


@pytest.mark.parametrize("project", [False, True])
async def test_the_installed_plugin_is_loaded_once_and_works(house: House, *, project: bool) -> None:
    house.configure(plugin=False)
    done = house.sidecar("install", *(["--project", str(house.home.project)] if project else []))
    assert done.returncode == 0, done.stderr
    config = json.loads((await house.home.run("debug", "config")).out)
    assert len(config["plugin"]) == 1
    assert "rate_limit_status" in config["command"]

    house.providers.script("alpha/m1", limited(429, retry_after="60"))
    ran = await house.home.run("run", "hello")
    assert "answer from beta/m1" in ran.out, ran.err
    # A plugin that was loaded twice would count twice.
    assert house.provider("alpha")["counts"]["requests_day"] == house.asked("alpha/")


@pytest.mark.usefixtures("tmux")
@pytest.mark.timeout(120)
async def test_the_installed_part_for_the_terminal_interface_is_loaded_beside_your_own_settings(
    house: House, tmp_path: Path
) -> None:
    house.configure(plugin=False)
    theirs = house.home.config / "tui.json"
    theirs.write_text('{"keybinds": {"command_list": "ctrl+k"}}')
    done = house.sidecar("install")
    assert done.returncode == 0, done.stderr
    with Terminal(house, tmp_path, installed=True) as terminal:
        await terminal.ready()
        assert "ctrl+k commands" in terminal.screen()
    house.sidecar("uninstall")
    assert [file.name for file in house.home.config.glob("tui.json*")] == ["tui.json"]


async def test_after_uninstall_opencode_is_as_before(house: House) -> None:
    house.configure(plugin=False)
    house.sidecar("install")
    assert house.sidecar("uninstall", "--purge").returncode == 0
    config = json.loads((await house.home.run("debug", "config")).out)
    assert config["plugin"] == []
    assert "rate_limit_status" not in config["command"]


async def test_the_example_of_opencodes_configuration_is_accepted(tmp_path: Path, opencode: Path) -> None:
    example = json.loads(EXAMPLE.read_text(encoding="utf-8"))
    keys = [provider["options"]["apiKey"][len("{env:") : -1] for provider in example["provider"].values()]
    home = Isolated(tmp_path, opencode, environment=dict.fromkeys(keys, "a-key"))
    shutil.copy(EXAMPLE, home.config / "opencode.json")
    known = (await home.run("models")).out.split()
    assert {example["model"], example["small_model"]} <= set(known)
    for name, provider in example["provider"].items():
        assert {f"{name}/{model}" for model in provider.get("models", {})} <= set(known)
        assert any(model.startswith(f"{name}/") for model in known)
