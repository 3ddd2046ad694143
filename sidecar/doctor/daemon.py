"""The daemon: does it run, is it the same version, what does it say of itself, who introduced himself to it."""

import os
import time
from pathlib import Path
from typing import Any

import sidecar
from sidecar.client import DaemonAnswerError, DaemonUnavailableError, call
from sidecar.config.load import VARIABLE, load
from sidecar.config.problems import ConfigError
from sidecar.core.words import span
from sidecar.daemon.lifecycle import running
from sidecar.doctor.finding import Finding, Findings
from sidecar.opencode_binary import TESTED_VERSION
from sidecar.paths import Paths

_RESTART = "rate-limit-sidecar restart"
_PROCESSES = Path("/proc")


def daemon(paths: Paths) -> Findings:
    """Ask the daemon how it is."""
    try:
        health = call(paths.socket, "GET", "/v1/health")
    except (DaemonUnavailableError, DaemonAnswerError) as error:
        pid = running(paths)
        if pid is None:
            yield Finding("problem", f"the daemon is not running at {paths.socket}", "rate-limit-sidecar start")
        else:
            yield Finding("problem", f"the daemon (pid {pid}) does not answer properly: {error}", _RESTART)
        return
    for_how_long = span(max(0.0, time.time() - health["started"]))
    yield Finding("ok", f"the daemon has run for {for_how_long} (pid {health['pid']}) at {paths.socket}")
    if health["version"] != sidecar.__version__:
        text = f"the daemon is version {health['version']}, this command {sidecar.__version__}"
        yield Finding("problem", text, _RESTART)
    for problem in health["problems"]:
        yield Finding("problem", f"the daemon says: {problem}")
    for warning in health.get("warnings", ()):
        yield Finding("note", warning)


def editors(paths: Paths) -> Findings:
    """See whether OpenCode has told the daemon what it is connected to."""
    try:
        seen = call(paths.socket, "GET", "/v1/status").get("hello_at")
        windows = call(paths.socket, "GET", "/v1/providers").get("windows", [])
    except (DaemonUnavailableError, DaemonAnswerError):
        return
    if seen is not None:
        yield Finding("ok", f"an OpenCode introduced itself {span(max(0.0, time.time() - seen))} ago{_which(windows)}")
        yield from _version(windows)
    elif pids := _running_opencodes():
        yield Finding(
            "problem",
            f"OpenCode runs (pid {', '.join(map(str, pids))}) and has not introduced itself: it was opened before the "
            "plugin was installed, or could not load it",
            "close it and open it again; its log, in ~/.local/share/opencode/log, says why a plugin was not loaded",
        )
    else:
        yield Finding(
            "note", "no OpenCode has introduced itself to this daemon yet", "open OpenCode, then run doctor again"
        )


def configuration(paths: Paths) -> Findings:
    """Read the configuration as seen from here."""
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


def _which(windows: list[dict[str, Any]]) -> str:
    if not windows:
        return ""
    last = windows[-1]
    facts = [f"{last['client']} {last['client_version']}".strip(), f"plugin {last['shim_version']}".strip()]
    where = f" in {last['directory']}" if last["directory"] else ""
    return f"{where} ({', '.join(facts)})" if last["shim_version"] else where


def _version(windows: list[dict[str, Any]]) -> Findings:
    version = windows[-1]["client_version"] if windows else ""
    if version and windows[-1]["client"] == "opencode" and version != TESTED_VERSION:
        yield Finding("note", f"that OpenCode is {version}; tested is {TESTED_VERSION}")


def _running_opencodes() -> list[int]:
    """Give the processes of OpenCodes that run with this home; none where the system does not list processes."""
    home = f"HOME={os.environ.get('HOME') or Path.home()}".encode()
    found = []
    for process in _PROCESSES.glob("[0-9]*"):
        try:
            name = (process / "comm").read_text(encoding="utf-8", errors="replace").strip()
            if name in ("opencode", ".opencode") and home in (process / "environ").read_bytes().split(b"\0"):
                found.append(int(process.name))
        except OSError:
            continue
    return sorted(found)
