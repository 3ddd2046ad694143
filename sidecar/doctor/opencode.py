"""OpenCode: does it load our plugin, once and in this version; is it the tested version; who else switches models."""

import json
import re
import time
from pathlib import Path
from typing import Any

import sidecar
from sidecar import opencode_config
from sidecar.config import jsonc
from sidecar.core.words import span
from sidecar.doctor.finding import Finding, Findings
from sidecar.installation import Installation, is_ours
from sidecar.opencode_binary import TESTED_VERSION, OpenCodeMissingError, known_good, on_this_machine, version_of
from sidecar.paths import Paths
from sidecar.verified import Result, Verified

_INSTALL = "rate-limit-sidecar install"
_LIVE = "rate-limit-sidecar doctor --live"
# Of plugins that do what we do, by what their authors call them.
_RIVAL = re.compile(
    r"fall-?back|fail-?over|rate-?limit|auto-?(?:retry|switch)|model-?(?:switch|rotat|router)|key-?rotat", re.IGNORECASE
)
_OURS = ("rate-limit-sidecar", "plugin-shim")


def plugin(paths: Paths) -> Findings:
    """See that OpenCode loads the plugin exactly once, and that its files are there."""
    installation = Installation(paths)
    here = installation.project_plugin(Path())
    known = dict.fromkeys([*installation.plugins(), here])
    there = [file for file in known if file.exists()]
    listed = [(spec, name) for spec, name in opencode_config.read(Path()).plugins() if _ours(spec)]
    for spec, name in listed:
        yield Finding("ok", f"OpenCode loads the plugin by {spec!r} in {name}")
    if not there and not listed:
        yield Finding("problem", "the plugin is not installed: OpenCode does not know the sidecar", _INSTALL)
        return
    for file in there:
        if not is_ours(file) or file.read_text(encoding="utf-8") != installation.plugin_text():
            yield Finding("problem", f"{file} is not what install writes", f"move it away, then: {_INSTALL}")
        else:
            yield Finding("ok", f"OpenCode loads the plugin by {file}")
    if {installation.user_plugin, here} <= set(there):
        yield Finding("problem", "OpenCode loads the plugin twice in this project", f"delete {here}")
    elif there and listed:
        spec, name = listed[0]
        yield Finding("problem", "OpenCode loads the plugin twice", f"take {spec!r} out of {name}")
    if there:
        yield from _files(installation)


def terminal_plugin(paths: Paths) -> Findings:
    """See that OpenCode's terminal interface knows the part of the plugin that is for it."""
    installation = Installation(paths)
    if not any((installation.shim / "src").glob("tui.ts*")):
        return
    for name in ("tui.json", "tui.jsonc"):
        file = paths.opencode_config / name
        if any(str(installation.shim) in spec or _ours(spec) for spec in _listed(file)):
            yield Finding("ok", f"OpenCode's terminal interface loads its part of the plugin by {file}")
            return
    yield Finding("note", "OpenCode's terminal interface does not load its part of the plugin", _INSTALL)


def others(_paths: Paths) -> Findings:
    """Look for other plugins that switch models: two that move the same turn get in each other's way."""
    config = opencode_config.read(Path())
    for problem in config.problems:
        yield Finding("note", f"OpenCode's configuration cannot be read: {problem}")
    known = [(spec, f"take it out of {name}") for spec, name in config.plugins()]
    known += [(file.name, f"move {file} away") for file in opencode_config.plugin_files(Path())]
    for name, fix in known:
        if _RIVAL.search(name) and not _ours(name):
            yield Finding(
                "note",
                f"another plugin seems to switch models as well: {name}; it hears only of what nobody could answer, "
                "and may then send that turn again",
                f"use one of them: {fix}",
            )


def version(paths: Paths) -> Findings:
    """See which OpenCode there is, and whether a running turn can be moved in it."""
    try:
        executable = on_this_machine()
    except OpenCodeMissingError as error:
        yield Finding("problem", str(error), "unset OPENCODE_BIN, or correct it")
        return
    install = f"npm install -g opencode-ai@{TESTED_VERSION}"
    if executable is None:
        yield Finding("problem", "opencode is not on PATH", install)
        return
    found = version_of(executable)
    if found is None:
        yield Finding("problem", f"{executable} does not tell its version", install)
    elif found not in known_good():
        yield _untested(Verified(paths.verified).of(found), f"OpenCode {found} at {executable}; ")
    else:
        yield Finding("ok", f"OpenCode {found} at {executable}, the tested version")


def _untested(result: Result | None, head: str) -> Finding:
    head += f"tested is {TESTED_VERSION}"
    if result is None:
        return Finding("note", f"{head}: until a self-test has passed, running turns are not moved", _LIVE)
    ago = span(max(0.0, time.time() - result.at))
    if result.passed:
        return Finding("ok", f"{head}, and this one passed the self-test {ago} ago")
    return Finding("problem", f"{head}, and this one failed the self-test {ago} ago: {result.why}", _LIVE)


def _files(installation: Installation) -> Findings:
    found = _shim_version(installation.shim)
    if not installation.entry.exists() or found is None:
        yield Finding("problem", f"the plugin's files are missing at {installation.shim}", _INSTALL)
    elif found != sidecar.__version__:
        yield Finding("problem", f"the plugin is version {found}, this command {sidecar.__version__}", _INSTALL)
    if installation.shim.with_name("plugin-shim.new").exists():
        yield Finding("note", "an installation was interrupted and left files behind", _INSTALL)


def _ours(spec: str) -> bool:
    return any(name in spec for name in _OURS)


def _listed(file: Path) -> list[str]:
    try:
        value: Any = jsonc.parse(file.read_text(encoding="utf-8")).value
    except (OSError, ValueError):
        return []
    plugins = value.get("plugin") if isinstance(value, dict) else None
    entries = plugins if isinstance(plugins, list) else []
    specs = (entry[0] if isinstance(entry, list) and entry else entry for entry in entries)
    return [spec for spec in specs if isinstance(spec, str)]


def _shim_version(shim: Path) -> str | None:
    try:
        package: dict[str, Any] = json.loads((shim / "package.json").read_text(encoding="utf-8"))
        return str(package["version"])
    except (OSError, ValueError, KeyError, TypeError):
        return None
