"""Installing and uninstalling: what is made is what is removed, and nothing of others is touched."""

import json
from pathlib import Path

import pytest

from sidecar.config.jsonc import parse
from sidecar.config.load import DEFAULT, load
from sidecar.installation import INTERFACE_FILES, MARK, Installation, InstallError
from tests.commands.conftest import Home


def tree(root: Path) -> set[str]:
    """Give every file and directory below `root`."""
    return {str(path.relative_to(root)) for path in root.rglob("*")}


@pytest.fixture
def command(home: Home) -> Home:
    """A home where the plugin finds the command on PATH."""
    home.program("rate-limit-sidecar", "#!/bin/sh\n")
    return home


class TestInstall:
    def test_opencode_is_told_by_one_file_and_the_shim_is_complete(self, command: Home) -> None:
        shown = command.inside("install").stdout
        installation = Installation(command.paths)
        plugin = installation.user_plugin
        assert plugin == command.root / ".config/opencode/plugins/rate-limit-sidecar.ts"
        assert plugin.read_text() == f'{MARK}\nexport {{ default }} from "{installation.entry}"\n'
        source = Path(__file__).resolve().parents[2] / "plugin-shim"
        assert tree(installation.shim) == {"package.json", "src", *(f"src/{file}" for file in tree(source / "src"))}
        assert f"OpenCode loads the plugin in every project by {plugin}\n" in shown
        assert "warning" not in shown

    def test_opencodes_own_configuration_is_not_touched(self, command: Home) -> None:
        config = command.paths.opencode_config
        config.mkdir(parents=True)
        (config / "opencode.json").write_text("{}")
        command.inside("install")
        assert (config / "opencode.json").read_text() == "{}"
        assert {file.name for file in config.iterdir()} == {
            "opencode.json",
            "plugins",
            "rate-limit.jsonc",
            "tui.jsonc",
        }

    def test_the_example_configuration_is_put_where_there_is_none(self, command: Home) -> None:
        assert "wrote a commented example" in command.inside("install").stdout
        loaded = load(command.paths.config, None, None)
        assert {key for key, origin in loaded.origins.items() if origin != DEFAULT} == {"$schema"}
        assert loaded.config.schema_ == Installation(command.paths).schema.as_uri()
        assert json.loads(Installation(command.paths).schema.read_text())["title"] == "rate-limit.jsonc"

    def test_a_configuration_that_is_there_is_kept(self, command: Home) -> None:
        command.configure('{"max_hops": 1}')
        assert "example" not in command.inside("install").stdout
        assert command.paths.config.read_text() == '{"max_hops": 1}'

    def test_repeating_renews_and_changes_nothing_else(self, command: Home) -> None:
        command.inside("install")
        before = tree(command.root)
        stale = Installation(command.paths).shim / "src" / "stale.ts"
        stale.touch()
        command.inside("install")
        assert tree(command.root) == before

    def test_a_file_of_somebody_else_is_not_overwritten(self, command: Home) -> None:
        plugin = Installation(command.paths).user_plugin
        plugin.parent.mkdir(parents=True)
        plugin.write_text("// mine")
        assert "was not made by install; move it away" in command.inside("install", code=1).stderr
        command.inside("uninstall")
        assert plugin.read_text() == "// mine"

    def test_for_one_project_only(self, command: Home) -> None:
        command.inside("install", "--project", ".")
        installation = Installation(command.paths)
        assert installation.project_plugin(command.project).read_text() == installation.plugin_text()
        assert not installation.user_plugin.exists()

    def test_the_plugin_is_never_loaded_twice(self, command: Home) -> None:
        installation = Installation(command.paths)
        project_plugin = installation.project_plugin(command.project)
        command.inside("install", "--project", ".")
        assert f"removed {project_plugin}" in command.inside("install").stdout
        assert not project_plugin.exists()
        assert "already loaded in every project" in command.inside("install", "--project", ".").stdout
        assert not project_plugin.exists()

    def test_a_project_that_is_not_there_is_an_error(self, command: Home) -> None:
        assert "nowhere is not a directory" in command.inside("install", "--project", "nowhere", code=1).stderr

    def test_a_command_the_plugin_will_not_find_is_a_warning(self, home: Home) -> None:
        assert "ln -s " in home.inside("install").stdout
        local = home.root / ".local" / "bin"
        local.mkdir(parents=True)
        home.program("rate-limit-sidecar", "#!/bin/sh\n").rename(local / "rate-limit-sidecar")
        assert "warning" not in home.inside("install").stdout


class TestInterface:
    def test_the_terminal_interface_is_told_by_a_file_of_ours(self, command: Home) -> None:
        installation = Installation(command.paths)
        file = command.paths.opencode_config / "tui.jsonc"
        assert f"its terminal interface shows the limits by {file}\n" in command.inside("install").stdout
        text = file.read_text()
        assert text.startswith(MARK)
        assert parse(text).value["plugin"] == [installation.interface_entry.as_uri()]
        assert installation.interface_entry.exists()
        assert installation.interface() == file
        command.inside("uninstall")
        assert installation.interface() is None

    @pytest.mark.parametrize(("theirs", "ours"), [("tui.jsonc", "tui.json"), ("tui.json", "tui.jsonc")])
    def test_a_file_of_somebody_else_is_not_touched(self, command: Home, theirs: str, ours: str) -> None:
        config = command.paths.opencode_config
        config.mkdir(parents=True)
        (config / theirs).write_text('{"theme": "x"}')
        command.inside("install")
        assert (config / theirs).read_text() == '{"theme": "x"}'
        assert (config / ours).read_text().startswith(MARK)
        command.inside("uninstall")
        assert {file.name for file in config.iterdir()} == {theirs, "rate-limit.jsonc"}

    def test_where_both_are_of_somebody_else_the_entry_to_add_is_said(self, command: Home) -> None:
        config = command.paths.opencode_config
        config.mkdir(parents=True)
        for name in INTERFACE_FILES:
            (config / name).write_text("{}")
        shown = command.inside("install").stdout
        entry = Installation(command.paths).interface_entry.as_uri()
        assert "are both yours" in shown
        assert f'"{entry}"' in shown
        (config / "tui.json").write_text(json.dumps({"plugin": [entry]}))
        assert f"shows the limits by {config / 'tui.json'}\n" in command.inside("install").stdout

    def test_what_was_added_to_it_since_is_kept(self, command: Home) -> None:
        command.inside("install")
        file = command.paths.opencode_config / "tui.jsonc"
        file.write_text(file.read_text().replace('tui.tsx"', 'tui.tsx",\n    "other"'))
        command.inside("install")
        assert '"other"' in file.read_text()
        command.inside("uninstall")
        assert parse(file.read_text()).value == {"$schema": "https://opencode.ai/tui.json", "plugin": ["other"]}
        assert MARK not in file.read_text()

    def test_an_older_one_of_ours_is_renewed(self, command: Home) -> None:
        command.inside("install")
        elsewhere = command.root / "elsewhere"
        elsewhere.mkdir()
        Installation(command.paths).paths.data.rename(elsewhere / "rate-limit-sidecar")
        command.inside("install", XDG_DATA_HOME=str(elsewhere))
        text = (command.paths.opencode_config / "tui.jsonc").read_text()
        assert parse(text).value["plugin"] == [(elsewhere / "rate-limit-sidecar/plugin-shim/src/tui.tsx").as_uri()]

    def test_of_one_project_only(self, command: Home) -> None:
        command.inside("install", "--project", ".")
        file = command.project / ".opencode" / "tui.jsonc"
        assert file.exists()
        assert not (command.paths.opencode_config / "tui.jsonc").exists()
        assert f"removed the plugin from {file}" in command.inside("uninstall", "--project", ".").stdout
        assert not (command.project / ".opencode").exists()
        command.inside("install", "--project", ".")
        assert f"removed {file}, which would load it a second time" in command.inside("install").stdout
        assert not (command.project / ".opencode").exists()


class TestUninstall:
    def test_everything_that_was_made_is_gone(self, command: Home) -> None:
        before = tree(command.root)
        command.inside("install")
        command.run("start")
        # As a daemon leaves it that was killed.
        for name in (".state.json.0123456789abcdef.journal", ".state.json.12.tmp"):
            (command.paths.state.parent / name).touch()
        shown = command.inside("uninstall", "--purge").stdout
        assert "stopped (pid " in shown
        assert tree(command.root) - before == {".local", ".local/share", ".local/state"}

    def test_without_purge_what_is_known_stays(self, command: Home) -> None:
        command.inside("install")
        command.run("start")
        command.refused_once()
        command.inside("uninstall")
        assert not Installation(command.paths).user_plugin.exists()
        assert not command.paths.data.exists()
        for kept in (command.paths.state, command.paths.log, command.paths.config):
            assert kept.exists()

    def test_it_may_be_repeated_and_needs_no_installation(self, command: Home) -> None:
        command.inside("uninstall", "--purge")
        command.inside("install")
        command.inside("uninstall")
        command.inside("uninstall", "--purge")

    def test_purge_keeps_a_configuration_you_changed(self, command: Home) -> None:
        command.inside("install")
        text = command.paths.config.read_text() + "\n"
        command.paths.config.write_text(text)
        assert f"kept {command.paths.config}, because you changed it" in command.inside("uninstall", "--purge").stdout
        assert command.paths.config.read_text() == text

    def test_purge_takes_what_was_cached(self, command: Home) -> None:
        (command.paths.cache / "opencode").mkdir(parents=True)
        command.inside("uninstall", "--purge")
        assert not command.paths.cache.exists()

    def test_plugins_of_projects_go_too(self, command: Home) -> None:
        command.inside("install", "--project", ".")
        assert (command.project / ".opencode").exists()
        command.inside("uninstall")
        assert not (command.project / ".opencode").exists()

    def test_of_one_project_only(self, command: Home) -> None:
        other = command.root / "other"
        other.mkdir()
        for directory in (".", str(other)):
            command.inside("install", "--project", directory)
        command.inside("uninstall", "--project", ".")
        installation = Installation(command.paths)
        assert not installation.project_plugin(command.project).exists()
        assert installation.project_plugin(other).exists()
        assert installation.entry.exists()

    def test_a_directory_that_holds_more_stays(self, command: Home) -> None:
        command.inside("install", "--project", ".")
        (command.project / ".opencode" / "notes.md").touch()
        command.inside("uninstall")
        assert tree(command.project) == {".opencode", ".opencode/notes.md"}

    def test_a_damaged_record_does_no_harm(self, command: Home) -> None:
        command.inside("install")
        for text in ("", "[]", '{"plugins": 5, "example": null}', "{"):
            Installation(command.paths).record.write_text(text)
            command.inside("install")
        command.inside("uninstall", "--purge")
        assert not Installation(command.paths).user_plugin.exists()

    def test_a_virtual_environment_in_the_same_place_stays(self, command: Home) -> None:
        command.inside("install")
        (command.paths.data / "venv").mkdir()
        command.inside("uninstall", "--purge")
        assert tree(command.paths.data) == {"venv"}


def test_a_package_without_the_plugin_says_so(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sidecar.installation._PACKAGE", home.root / "nowhere" / "sidecar")
    with pytest.raises(InstallError, match="this installation lacks plugin-shim") as caught:
        Installation(home.paths).copy_shim()
    assert "install it again" in str(caught.value)
