"""`doctor`: looks at everything that can be wrong, and says for each thing that is how to put it right."""

import argparse
import json
import os
import platform
import stat
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import sidecar
from sidecar.client import DaemonAnswerError, DaemonUnavailableError, call
from sidecar.commands.files import state_file
from sidecar.commands.install import command_on_path
from sidecar.config.load import VARIABLE, load
from sidecar.config.problems import ConfigError
from sidecar.core.words import span
from sidecar.daemon.lifecycle import running
from sidecar.installation import Installation, is_ours
from sidecar.opencode_binary import TESTED_VERSION, OpenCodeMissingError, on_this_machine, version_of
from sidecar.paths import Paths, from_environment

HELP = "Look at everything that can be wrong and say how to put it right; exit code 1 if there is a problem."
EXAMPLE = """
  rate-limit-sidecar doctor
"""

_SIGNS = {"ok": "✓", "note": "·", "problem": "✗"}


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that was looked at; a problem makes the exit code 1, a note does not."""

    level: Literal["ok", "note", "problem"]
    text: str
    fix: str = ""


Findings = Iterator[Finding]


def configure(_parser: argparse.ArgumentParser) -> None:
    """Declare no arguments."""


def run(_args: argparse.Namespace) -> int:
    """Look and print; what was found wrong comes with its fix."""
    paths = from_environment()
    problems = 0
    for check in CHECKS:
        for finding in check(paths):
            problems += finding.level == "problem"
            print(f"{_SIGNS[finding.level]} {finding.text}")
            if finding.fix:
                print(f"    {finding.fix}")
    print(f"{problems} problem{'s' if problems != 1 else ''}" if problems else "everything is in order")
    return 1 if problems else 0


def _program(_paths: Paths) -> Findings:
    home = Path(sidecar.__file__).parent
    yield Finding("ok", f"rate-limit-sidecar {sidecar.__version__}, Python {platform.python_version()}, at {home}")
    command = command_on_path(os.environ)
    if command is None:
        yield Finding(
            "problem",
            "the plugin cannot find the command that starts the daemon: it is neither on PATH nor in ~/.local/bin",
            f"ln -s {sys.argv[0]} ~/.local/bin/rate-limit-sidecar",
        )
    else:
        yield Finding("ok", f"the plugin starts the daemon with {command}")


def _daemon(paths: Paths) -> Findings:
    try:
        health = call(paths.socket, "GET", "/v1/health")
    except (DaemonUnavailableError, DaemonAnswerError) as error:
        pid = running(paths)
        if pid is None:
            yield Finding("problem", f"the daemon is not running at {paths.socket}", "rate-limit-sidecar start")
        else:
            yield Finding(
                "problem", f"the daemon (pid {pid}) does not answer properly: {error}", "rate-limit-sidecar restart"
            )
        return
    for_how_long = span(max(0.0, time.time() - health["started"]))
    yield Finding("ok", f"the daemon has run for {for_how_long} (pid {health['pid']}) at {paths.socket}")
    if health["version"] != sidecar.__version__:
        yield Finding(
            "problem",
            f"the daemon is version {health['version']}, this command {sidecar.__version__}",
            "rate-limit-sidecar restart",
        )
    for problem in health["problems"]:
        yield Finding("problem", f"the daemon says: {problem}")
    seen = call(paths.socket, "GET", "/v1/status").get("hello_at")
    if seen is None:
        yield Finding(
            "note", "no OpenCode has introduced itself to this daemon yet", "open OpenCode, then run doctor again"
        )
    else:
        yield Finding("ok", f"an OpenCode introduced itself {span(max(0.0, time.time() - seen))} ago")


def _places(paths: Paths) -> Findings:
    # Who may look into the directory is no matter, as the socket itself is closed; who may replace it is.
    wanted = ((paths.runtime, 0o700, 0o022), (paths.socket, 0o600, 0o077), (paths.lock, 0o600, 0o077))
    wrong = [(path, mode) for path, mode, open_bits in wanted if path.exists() and _mode(path) & open_bits]
    for path, mode in wrong:
        yield Finding("problem", f"others can reach {path} (mode {_mode(path):o})", f"chmod {mode:o} {path}")
    if not wrong:
        yield Finding("ok", f"nobody else can reach {paths.runtime}")
    state = state_file(paths)
    nearest = next(place for place in (state, *state.parents) if place.exists())
    if not os.access(nearest, os.W_OK):
        yield Finding("problem", f"the state file {state} cannot be written", f"chmod u+w {nearest}")
    elif damaged := sorted(state.parent.glob(f"{state.name}.damaged-*")):
        yield Finding("note", f"a damaged state file was set aside: {damaged[-1]}", "look at it, or delete it")
    elif newer := sorted(state.parent.glob(f"{state.name}.newer-*")):
        note = f"the state of a newer version was set aside: {newer[-1]}"
        yield Finding("note", note, "update, stop the daemon and move it back, or delete it")
    else:
        yield Finding("ok", f"state is kept in {state}")


def _configuration(paths: Paths) -> Findings:
    project = paths.project_config(str(Path.cwd()))
    try:
        loaded = load(paths.config, project, os.environ.get(VARIABLE))
    except ConfigError as error:
        for problem in error.problems:
            yield Finding("problem", str(problem), "until it is corrected, the last good configuration stays in force")
        return
    files = ", ".join(str(file) for file in (paths.config, project) if file.exists())
    yield Finding("ok", f"the configuration is valid: {files or 'all defaults'}")
    for warning in loaded.warnings:
        yield Finding("note", warning)


def _plugin(paths: Paths) -> Findings:
    installation = Installation(paths)
    here = installation.project_plugin(Path())
    known = dict.fromkeys([*installation.plugins(), here])
    there = [file for file in known if file.exists()]
    if not there:
        yield Finding("problem", "the plugin is not installed: OpenCode does not know the sidecar", _INSTALL)
        return
    for file in there:
        if not is_ours(file) or file.read_text(encoding="utf-8") != installation.plugin_text():
            yield Finding("problem", f"{file} is not what install writes", f"move it away, then: {_INSTALL}")
        else:
            yield Finding("ok", f"OpenCode loads the plugin by {file}")
    if {installation.user_plugin, here} <= set(there):
        yield Finding("problem", "OpenCode loads the plugin twice in this project", f"delete {here}")
    version = _shim_version(installation.shim)
    if not installation.entry.exists() or version is None:
        yield Finding("problem", f"the plugin's files are missing at {installation.shim}", _INSTALL)
    elif version != sidecar.__version__:
        yield Finding("problem", f"the plugin is version {version}, this command {sidecar.__version__}", _INSTALL)
    if installation.shim.with_name("plugin-shim.new").exists():
        yield Finding("note", "an installation was interrupted and left files behind", _INSTALL)


def _opencode(_paths: Paths) -> Findings:
    try:
        executable = on_this_machine()
    except OpenCodeMissingError as error:
        yield Finding("problem", str(error))
        return
    if executable is None:
        yield Finding("problem", "opencode is not on PATH", f"npm install -g opencode-ai@{TESTED_VERSION}")
        return
    version = version_of(executable)
    if version is None:
        yield Finding(
            "problem", f"{executable} does not tell its version", f"npm install -g opencode-ai@{TESTED_VERSION}"
        )
    elif version != TESTED_VERSION:
        yield Finding("note", f"OpenCode {version} at {executable}; tested is {TESTED_VERSION}")
    else:
        yield Finding("ok", f"OpenCode {version} at {executable}, the tested version")


_INSTALL = "rate-limit-sidecar install"
CHECKS: tuple[Callable[[Paths], Findings], ...] = (_program, _daemon, _places, _configuration, _plugin, _opencode)


def _mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def _shim_version(shim: Path) -> str | None:
    try:
        package: dict[str, Any] = json.loads((shim / "package.json").read_text(encoding="utf-8"))
        return str(package["version"])
    except (OSError, ValueError, KeyError, TypeError):
        return None
