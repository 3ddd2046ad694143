"""`uninstall`: remove what `install` made, and nothing else."""

import argparse
import shutil
from pathlib import Path

from sidecar.commands.files import log_file, state_file
from sidecar.commands.stop import stop
from sidecar.daemon.places import history_file
from sidecar.installation import Installation
from sidecar.paths import Paths, from_environment

HELP = "Stop the daemon and remove what install made; what it knows and your configuration stay, unless purged."
EXAMPLE = """
  rate-limit-sidecar uninstall                      the plugin, everywhere
  rate-limit-sidecar uninstall --project ~/code/x   the plugin of one project only
  rate-limit-sidecar uninstall --purge              and counters, log, and the configuration if it is still the example
"""


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    which = parser.add_mutually_exclusive_group()
    which.add_argument("--project", type=Path, metavar="DIR", help="only from the project in DIR")
    which.add_argument("--purge", action="store_true", help="also what the daemon knows, its log, an unchanged example")


def run(args: argparse.Namespace) -> int:
    """Remove; may be repeated."""
    paths = from_environment()
    installation = Installation(paths)
    if args.project is not None:
        file = installation.project_plugin(args.project)
        # The interface's file first: the plugin's directories can go only when nothing else is in them.
        for interface in list(installation.interfaces()):
            if interface.parent == file.parent.parent and installation.take_interface(interface):
                print(f"removed the plugin from {interface}")
        print(f"removed {file}" if installation.take_plugin(file) else f"nothing of ours at {file}")
        return 0
    code = stop(paths)
    if args.purge:
        _purge(paths)
        if not installation.take_example():
            print(f"kept {paths.config}, because you changed it")
    for file in list(installation.interfaces()):
        if installation.take_interface(file):
            print(f"removed the plugin from {file}")
    for file in list(installation.plugins()):
        if installation.take_plugin(file):
            print(f"removed {file}")
    installation.take_data()
    print("OpenCode windows that are open keep the plugin until they are closed")
    return code


def _purge(paths: Paths) -> None:
    """Remove state, history, log and socket, with what is set aside, rotated and locked beside them, and the cache."""
    state, log = state_file(paths), log_file(paths)
    history = history_file(state)
    besides: tuple[tuple[Path, tuple[str, ...]], ...] = (
        (state, (".damaged-*", ".newer-*")),
        # What a daemon that was killed could not take away.
        (state.with_name(f".{state.name}"), (".*.journal", ".*.tmp")),
        (history, ("[-.]*",)),
        (log, (".[0-9]*",)),
        (paths.socket, ()),
        (paths.lock, ()),
        (paths.seal, ()),
    )
    for file, patterns in besides:
        for found in [file, *(found for pattern in patterns for found in file.parent.glob(file.name + pattern))]:
            if found.exists():
                found.unlink()
                print(f"removed {found}")
    if paths.cache.is_dir():
        shutil.rmtree(paths.cache)
        print(f"removed {paths.cache}")
    own = paths.log.parent
    for directory in (own / "run", own):
        if directory.is_dir() and not any(directory.iterdir()):
            directory.rmdir()
