"""`install`: put the plugin where OpenCode loads it, and a commented configuration where there is none."""

import argparse
import os
import shutil
import sys
from pathlib import Path

from sidecar.installation import Installation, InstallError
from sidecar.paths import from_environment

HELP = """Put the plugin where OpenCode and its terminal interface load it: for every project, or for one. Your
opencode.json and your tui.json are not touched."""
EXAMPLE = """
  rate-limit-sidecar install                     for every project of yours
  rate-limit-sidecar install --project ~/code/x  for one project only
"""


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    parser.add_argument("--project", type=Path, metavar="DIR", help="only for the project in DIR")


def run(args: argparse.Namespace) -> int:
    """Install, or renew what is installed; may be repeated."""
    installation = Installation(from_environment())
    try:
        install(installation, args.project)
    except InstallError as error:
        print(f"rate-limit-sidecar install: {error}", file=sys.stderr)
        return 1
    return 0


def install(installation: Installation, project: Path | None) -> None:
    """Do it and say what was done.

    Raises:
        InstallError: another file is in the way, or the directory of the project is not there.
    """
    if project is not None and not project.is_dir():
        raise InstallError(f"{project} is not a directory")
    installation.copy_shim()
    user_wide = installation.user_plugin.exists()
    if project is not None and user_wide:
        # OpenCode would load it twice.
        print(f"already loaded in every project by {installation.user_plugin}")
    elif project is not None:
        file = installation.project_plugin(project)
        installation.put_plugin(file)
        print(f"OpenCode loads the plugin in {project.resolve()} by {file}")
        _interface(installation, project.resolve() / ".opencode")
    else:
        installation.put_plugin(installation.user_plugin)
        print(f"OpenCode loads the plugin in every project by {installation.user_plugin}")
        for file in list(installation.interfaces()):
            if file.parent != installation.paths.opencode_config and installation.take_interface(file):
                print(f"removed {file}, which would load it a second time")
        for file in installation.plugins():
            if file != installation.user_plugin and installation.take_plugin(file):
                print(f"removed {file}, which would load it a second time")
        _interface(installation, installation.paths.opencode_config)
    if installation.put_example():
        print(f"wrote a commented example configuration to {installation.paths.config}")
    if command_on_path(os.environ) is None:
        print(
            "warning: OpenCode will not find the command that starts the daemon; make it findable with\n"
            f"  ln -s {sys.argv[0]} {Path('~/.local/bin/rate-limit-sidecar').expanduser()}"
        )


def _interface(installation: Installation, directory: Path) -> None:
    file = installation.put_interface(directory)
    if file is not None:
        print(f"its terminal interface shows the limits by {file}")
        return
    print(
        f"warning: {directory / 'tui.json'} and tui.jsonc are both yours; to see the limits in the terminal interface"
        f' add to "plugin" in one of them\n  "{installation.interface_entry.as_uri()}"'
    )


def command_on_path(env: "os._Environ[str]") -> Path | None:
    """Give the command the plugin would start the daemon with: from PATH, else from ~/.local/bin."""
    local = Path(env.get("HOME") or Path.home()) / ".local" / "bin"
    found = shutil.which("rate-limit-sidecar", path=f"{env.get('PATH', '')}{os.pathsep}{local}")
    return Path(found) if found else None
