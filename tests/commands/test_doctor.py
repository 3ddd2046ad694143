"""The doctor: finds each thing that can be wrong, and what it advises puts it right."""

import json
import os
import subprocess
import sys
import time
from itertools import pairwise
from pathlib import Path
from types import SimpleNamespace

import pytest

from sidecar import __version__
from sidecar.installation import Installation
from sidecar.opencode_binary import TESTED_VERSION
from tests.commands.conftest import Home


@pytest.fixture
def installed(home: Home) -> Home:
    """Everything installed, an OpenCode of the tested version on PATH; the daemon does not run."""
    home.program("rate-limit-sidecar", "#!/bin/sh\n")
    home.program("opencode", f"#!/bin/sh\necho {TESTED_VERSION}\n")
    home.inside("install")
    return home


@pytest.fixture
def healthy(installed: Home) -> Home:
    """And the daemon runs."""
    installed.run("start")
    return installed


def found(home: Home) -> tuple[list[str], dict[str, str]]:
    """Give the problems by text, and the fix of every one that has one."""
    done = home.inside("doctor", code=1)
    lines = done.stdout.splitlines()
    problems = [line.removeprefix("✗ ") for line in lines if line.startswith("✗ ")]
    fixes = {
        line.removeprefix("✗ "): after.strip()
        for line, after in pairwise(lines)
        if line.startswith("✗ ") and after.startswith("    ")
    }
    assert lines[-1] == f"{len(problems)} problem{'s' if len(problems) > 1 else ''}"
    return problems, fixes


def test_where_all_is_well_nothing_is_found(healthy: Home) -> None:
    healthy.post("hello", directory=str(healthy.project))
    shown = healthy.inside("doctor").stdout
    assert "✗" not in shown
    assert shown.splitlines()[-1] == "everything is in order"
    assert f"OpenCode {TESTED_VERSION} at {healthy.bin}/opencode, the tested version" in shown


def test_on_a_machine_without_anything_each_lack_has_its_fix(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "argv", ["rate-limit-sidecar", "doctor"])
    problems, fixes = found(home)
    assert set(problems) == set(fixes)
    assert set(fixes.values()) == {
        f"ln -s {home.project / 'rate-limit-sidecar'} ~/.local/bin/rate-limit-sidecar",
        "rate-limit-sidecar start",
        "rate-limit-sidecar install",
        f"npm install -g opencode-ai@{TESTED_VERSION}",
    }


def test_an_editor_that_never_said_hello_is_a_note(healthy: Home) -> None:
    assert "· no OpenCode has introduced itself to this daemon yet" in healthy.inside("doctor").stdout


def test_a_configuration_that_cannot_be_used(healthy: Home) -> None:
    healthy.configure('{"max_hop": 1, "mode": "x"}')
    problems, _ = found(healthy)
    assert len([problem for problem in problems if problem.startswith(f"{healthy.paths.config}:1: ")]) == 2
    project = healthy.project / ".opencode"
    project.mkdir()
    (project / "rate-limit.jsonc").write_text('{"log": {}}')
    healthy.configure("{}")
    assert "· " + str(project / "rate-limit.jsonc") + ":1: log is not taken" in healthy.inside("doctor").stdout


def test_a_socket_that_others_can_reach(healthy: Home) -> None:
    healthy.paths.socket.chmod(0o666)
    healthy.paths.runtime.chmod(0o777)
    problems, fixes = found(healthy)
    assert f"others can reach {healthy.paths.socket} (mode 666)" in problems
    assert sorted(fixes.values()) == [f"chmod 600 {healthy.paths.socket}", f"chmod 700 {healthy.paths.runtime}"]
    for path, mode in ((healthy.paths.socket, 0o600), (healthy.paths.runtime, 0o700)):
        path.chmod(mode)
    healthy.inside("doctor")


def test_a_state_file_set_aside_is_a_note(healthy: Home) -> None:
    (healthy.paths.state.parent / "state.json.damaged-20260101T000000Z").touch()
    assert "· a damaged state file was set aside: " in healthy.inside("doctor").stdout


def test_the_state_of_a_newer_version_is_a_note(healthy: Home) -> None:
    (healthy.paths.state.parent / "state.json.newer-20260101T000000Z").touch()
    assert "· the state of a newer version was set aside: " in healthy.inside("doctor").stdout


def test_what_the_daemon_complains_about(healthy: Home) -> None:
    healthy.inside("stop")
    healthy.configure("{")
    healthy.run("start")
    problems, _ = found(healthy)
    assert any(problem.startswith("the daemon says: ") for problem in problems)


def test_a_plugin_of_another_version(installed: Home) -> None:
    (Installation(installed.paths).shim / "package.json").write_text('{"version": "0.0.1"}')
    problems, fixes = found(installed)
    assert problems[1].startswith("the plugin is version 0.0.1, this command ")
    assert fixes[problems[1]] == "rate-limit-sidecar install"


def test_a_daemon_of_another_version_and_an_editor_that_was_seen(
    installed: Home, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = time.time()
    health = {"version": "0.0.1", "pid": 7, "started": now - 3600, "problems": []}
    window = {"directory": "/code", "client": "opencode", "client_version": "9.9.9", "shim_version": "0.0.1"}
    answers = {"/v1/health": health, "/v1/status": {"hello_at": now - 90}, "/v1/providers": {"windows": [window]}}
    monkeypatch.setattr("sidecar.doctor.daemon.call", lambda _socket, _method, route: answers[route])
    shown = installed.inside("doctor", code=1).stdout
    assert "✓ the daemon has run for 1 h (pid 7)" in shown
    assert f"✗ the daemon is version 0.0.1, this command {__version__}\n    rate-limit-sidecar restart\n" in shown
    assert "✓ an OpenCode introduced itself 1 min 30 s ago in /code (opencode 9.9.9, plugin 0.0.1)\n" in shown
    assert f"· that OpenCode is 9.9.9; tested is {TESTED_VERSION}\n" in shown


def test_a_daemon_that_does_not_answer(installed: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sidecar.doctor.daemon.running", lambda _paths: 7)
    problems, fixes = found(installed)
    assert problems[0].startswith("the daemon (pid 7) does not answer properly: ")
    assert fixes[problems[0]] == "rate-limit-sidecar restart"


def test_a_state_file_that_cannot_be_written(installed: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    # Not by mode: whoever runs as root may write anywhere.
    monkeypatch.setattr("os.access", lambda _path, _mode: False)
    problems, fixes = found(installed)
    told = f"the state file {installed.paths.state} cannot be written"
    assert told in problems
    assert fixes[told] == f"chmod u+w {installed.root / '.local'}"


@pytest.mark.parametrize(
    ("harm", "told"),
    [
        ("rm -r $SHIM", "the plugin's files are missing at "),
        ("echo '{' > $SHIM/package.json", "the plugin's files are missing at "),
        ("echo '// x' >> $PLUGIN", " is not what install writes"),
        ("echo '// x' > $PLUGIN", " is not what install writes"),
        ("rm $PLUGIN", "the plugin is not installed"),
        ("mkdir -p .opencode/plugins; cp $PLUGIN .opencode/plugins", "OpenCode loads the plugin twice"),
        ("printf '#!/bin/sh\\nexit 1' > $HOME/bin/opencode", "does not tell its version"),
        ("rm $HOME/bin/opencode", "opencode is not on PATH"),
    ],
)
def test_an_installation_that_was_harmed(installed: Home, harm: str, told: str) -> None:
    installation = Installation(installed.paths)
    places = {"SHIM": str(installation.shim), "PLUGIN": str(installation.user_plugin)}
    subprocess.run(["sh", "-c", harm], cwd=installed.project, env=installed.environment | places, check=True)
    problems, fixes = found(installed)
    assert len(problems) == 2
    assert problems[0].startswith("the daemon is not running at ")
    assert told in problems[1]
    assert problems[1] in fixes


def test_notes_do_not_make_it_fail(healthy: Home) -> None:
    healthy.program("opencode", "#!/bin/sh\necho 9.9.9\n")
    Installation(healthy.paths).shim.with_name("plugin-shim.new").mkdir()
    shown = healthy.inside("doctor").stdout
    assert f"· OpenCode 9.9.9 at {healthy.bin}/opencode; tested is {TESTED_VERSION}" in shown
    assert "· an installation was interrupted" in shown


def test_a_binary_that_is_named_but_missing(healthy: Home) -> None:
    assert "✗ OPENCODE_BIN names /no/where" in healthy.inside("doctor", code=1, OPENCODE_BIN="/no/where").stdout


def test_json_has_every_finding_with_its_fix(home: Home) -> None:
    told = json.loads(home.inside("doctor", "--json", code=1).stdout)
    problems = [finding for finding in told["findings"] if finding["level"] == "problem"]
    assert told["problems"] == len(problems) > 0
    assert all(finding["fix"] for finding in problems)
    assert {"level", "text", "fix"} == set(problems[0])


def test_an_opencode_that_runs_and_has_not_introduced_itself(
    healthy: Home, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    for pid, name, home in (("7", "opencode", healthy.root), ("8", "opencode", "/else"), ("9", "bash", healthy.root)):
        (tmp_path / pid).mkdir()
        (tmp_path / pid / "comm").write_text(f"{name}\n")
        (tmp_path / pid / "environ").write_bytes(f"A=1\0HOME={home}\0".encode())
    (tmp_path / "10").mkdir()
    monkeypatch.setattr("sidecar.doctor.daemon._PROCESSES", tmp_path)
    problems, fixes = found(healthy)
    assert problems[0].startswith("OpenCode runs (pid 7) and has not introduced itself")
    assert fixes[problems[0]].startswith("close it and open it again")
    healthy.post("hello", directory=str(healthy.project))
    assert "OpenCode runs" not in healthy.inside("doctor").stdout


@pytest.mark.parametrize(
    ("free", "level", "told"),
    [
        (1_000_000, "problem", "is full (1 MB left)"),
        (100_000_000, "note", "has 100 MB left"),
        (10**12, None, "MB left"),
    ],
)
def test_a_disk_without_room(
    home: Home, monkeypatch: pytest.MonkeyPatch, free: int, level: str | None, told: str
) -> None:
    monkeypatch.setattr("shutil.disk_usage", lambda _path: SimpleNamespace(free=free))
    findings = json.loads(home.inside("doctor", "--json", code=1).stdout)["findings"]
    assert [finding["level"] for finding in findings if told in finding["text"]] == ([level] if level else [])


def test_a_clock_that_cannot_be_right(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sidecar.doctor.machine.time.time", lambda: 86_400.0 * 365)
    problems, fixes = found(home)
    assert problems[1].startswith("the clock says 1971-01-01, which is before this program was installed")
    assert "set-ntp" in fixes[problems[1]]


def test_a_state_saved_in_the_future(home: Home) -> None:
    home.paths.state.parent.mkdir(parents=True)
    home.paths.state.write_text("{}")
    os.utime(home.paths.state, (time.time() + 3600, time.time() + 3600))
    assert "· the state file was saved in the future: " in home.inside("doctor", code=1).stdout


def test_a_log_that_cannot_be_written(installed: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("os.access", lambda _path, _mode: False)
    problems, fixes = found(installed)
    told = f"the log {installed.paths.log} cannot be written"
    assert told in problems
    assert fixes[told].startswith("chmod u+w ")


def test_another_plugin_that_switches_models(healthy: Home) -> None:
    config = healthy.paths.opencode_config / "opencode.json"
    config.write_text(json.dumps({"plugin": ["opencode-model-fallback@1.2.3", "harmless"]}))
    rival = healthy.project / ".opencode" / "plugin" / "auto-switch.ts"
    rival.parent.mkdir(parents=True)
    rival.touch()
    shown = healthy.inside("doctor").stdout
    said = "· another plugin seems to switch models as well: "
    why = "; it hears only of what nobody could answer, and may then send that turn again"
    assert f"{said}opencode-model-fallback@1.2.3{why}\n    use one of them: take it out of {config}\n" in shown
    assert f"{said}auto-switch.ts{why}\n    use one of them: move {rival} away\n" in shown
    assert "harmless" not in shown
    assert "seems to switch models as well: rate-limit-sidecar" not in shown


def test_a_plugin_that_is_listed_and_installed_is_loaded_twice(healthy: Home) -> None:
    config = healthy.paths.opencode_config / "opencode.json"
    config.write_text(json.dumps({"plugin": ["/checkout/plugin-shim/src/server.ts"]}))
    problems, fixes = found(healthy)
    assert problems == ["OpenCode loads the plugin twice"]
    assert fixes[problems[0]] == f"take '/checkout/plugin-shim/src/server.ts' out of {config}"


def test_a_plugin_that_is_only_listed_is_loaded(home: Home) -> None:
    home.paths.opencode_config.mkdir(parents=True)
    (home.paths.opencode_config / "opencode.json").write_text('{"plugin": ["opencode-rate-limit-sidecar"]}')
    assert "✓ OpenCode loads the plugin by 'opencode-rate-limit-sidecar' in " in home.inside("doctor", code=1).stdout


def test_an_opencode_configuration_that_cannot_be_read_is_a_note(healthy: Home) -> None:
    (healthy.project / "opencode.json").write_text("{ nonsense")
    assert f"· OpenCode's configuration cannot be read: {healthy.project}/opencode.json:1: " in (
        healthy.inside("doctor").stdout
    )


@pytest.mark.parametrize(
    ("text", "sign"),
    [
        (None, "·"),
        ("{ nonsense", "·"),
        ('{"plugin": "x"}', "·"),
        ('{"plugin": [["file://$SHIM/src/tui.tsx", {}]]}', "✓"),
        ('// mine\n{"plugin": ["opencode-rate-limit-sidecar"],}', "✓"),
    ],
)
def test_the_part_for_the_terminal_interface(healthy: Home, text: str | None, sign: str) -> None:
    installation = Installation(healthy.paths)
    (installation.shim / "src" / "tui.tsx").touch()
    (healthy.paths.opencode_config / "tui.jsonc").unlink(missing_ok=True)
    if text is not None:
        (healthy.paths.opencode_config / "tui.json").write_text(text.replace("$SHIM", str(installation.shim)))
    shown = healthy.inside("doctor").stdout.splitlines()
    assert [line[0] for line in shown if "terminal interface" in line] == [sign]
