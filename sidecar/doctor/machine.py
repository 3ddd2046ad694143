"""The machine: is the command findable, are the places ours and writable, is there room, is the clock right."""

import os
import platform
import shutil
import stat
import sys
import time
from datetime import datetime
from pathlib import Path

import sidecar
from sidecar.commands.files import log_file, state_file
from sidecar.commands.install import command_on_path
from sidecar.doctor.finding import Finding, Findings
from sidecar.paths import Paths

_MB = 1_000_000
# The state file is written anew every second there are events, beside the old one; the log may grow to some 20 MB.
_TOO_LITTLE, _LITTLE = 20 * _MB, 200 * _MB
_DAY_S = 86_400


def program(_paths: Paths) -> Findings:
    """Look for the command the plugin starts the daemon with."""
    home = Path(sidecar.__file__).parent
    yield Finding("ok", f"rate-limit-sidecar {sidecar.__version__}, Python {platform.python_version()}, at {home}")
    command = command_on_path(os.environ)
    if command is None:
        yield Finding(
            "problem",
            "the plugin cannot find the command that starts the daemon: it is neither on PATH nor in ~/.local/bin",
            f"ln -s {Path(sys.argv[0]).absolute()} ~/.local/bin/rate-limit-sidecar",
        )
    else:
        yield Finding("ok", f"the plugin starts the daemon with {command}")


def clock(paths: Paths) -> Findings:
    """See whether the clock can be believed: cooldowns end by it."""
    now = time.time()
    installed = Path(sidecar.__file__).stat().st_mtime
    if now < installed - _DAY_S:
        yield Finding(
            "problem",
            f"the clock says {datetime.fromtimestamp(now).astimezone():%Y-%m-%d}, which is before this program was "
            f"installed ({datetime.fromtimestamp(installed).astimezone():%Y-%m-%d}): cooldowns will end at wrong times",
            "set the clock, for example: timedatectl set-ntp true",
        )
        return
    state = state_file(paths)
    if state.exists() and state.stat().st_mtime > now + 60:
        yield Finding(
            "note",
            "the state file was saved in the future: the clock has been set back since",
            "nothing to do; cooldowns that look too long end with: rate-limit-sidecar clear",
        )


def places(paths: Paths) -> Findings:
    """See that nobody else can reach the socket, and that state and log can be written."""
    # Who may look into the directory is no matter, as the socket itself is closed; who may replace it is.
    own = tuple((path, 0o600, 0o077) for path in (paths.socket, paths.lock, paths.seal))
    wanted = ((paths.runtime, 0o700, 0o022), *own)
    wrong = [(path, mode) for path, mode, open_bits in wanted if path.exists() and _mode(path) & open_bits]
    for path, mode in wrong:
        yield Finding("problem", f"others can reach {path} (mode {_mode(path):o})", f"chmod {mode:o} {path}")
    if not wrong:
        yield Finding("ok", f"nobody else can reach {paths.runtime}")
    yield from _state(state_file(paths))
    log = log_file(paths)
    if not os.access(_nearest(log), os.W_OK):
        yield Finding("problem", f"the log {log} cannot be written", f"chmod u+w {_nearest(log)}")


def space(paths: Paths) -> Findings:
    """See that the disk has room for the state file."""
    state = state_file(paths)
    free = shutil.disk_usage(_nearest(state)).free
    if free < _TOO_LITTLE:
        yield Finding(
            "problem",
            f"the disk of {state.parent} is full ({free // _MB} MB left): what is counted cannot be saved",
            "make room, or name another place as state_file in the configuration",
        )
    elif free < _LITTLE:
        yield Finding("note", f"the disk of {state.parent} has {free // _MB} MB left", "make room")


def _state(state: Path) -> Findings:
    nearest = _nearest(state)
    if not os.access(nearest, os.W_OK):
        yield Finding("problem", f"the state file {state} cannot be written", f"chmod u+w {nearest}")
    elif damaged := sorted(state.parent.glob(f"{state.name}.damaged-*")):
        yield Finding("note", f"a damaged state file was set aside: {damaged[-1]}", "look at it, or delete it")
    elif newer := sorted(state.parent.glob(f"{state.name}.newer-*")):
        note = f"the state of a newer version was set aside: {newer[-1]}"
        yield Finding("note", note, "update, stop the daemon and move it back, or delete it")
    else:
        yield Finding("ok", f"state is kept in {state}")


def _nearest(path: Path) -> Path:
    return next(place for place in (path, *path.parents) if place.exists())


def _mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)
