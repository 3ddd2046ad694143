"""`completion`: a script that teaches a shell our commands, options, and the names the daemon knows."""

import argparse

from sidecar.client import DaemonAnswerError, DaemonUnavailableError, call
from sidecar.paths import from_environment

HELP = "Print a script that completes commands, options, providers and models in your shell."
EXAMPLE = """
  source <(rate-limit-sidecar completion bash)      in ~/.bashrc
  source <(rate-limit-sidecar completion zsh)       in ~/.zshrc, after compinit
  rate-limit-sidecar completion fish > ~/.config/fish/completions/rate-limit-sidecar.fish
"""

_SHELLS = ("bash", "zsh", "fish")
# Whoever presses TAB does not wait longer.
_PATIENCE_S = 0.5


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    what = parser.add_mutually_exclusive_group(required=True)
    what.add_argument("shell", choices=_SHELLS, nargs="?", help="the shell the script is for")
    what.add_argument("--names", choices=("all", "providers", "models"), help=argparse.SUPPRESS)


def run(args: argparse.Namespace) -> int:
    """Print the script, or (for the script) the names."""
    if args.names:
        _print_names(args.names)
        return 0
    # Only here, because they load every command.
    from sidecar import shells  # noqa: PLC0415
    from sidecar.cli import PROGRAM  # noqa: PLC0415
    from sidecar.commands.described import described  # noqa: PLC0415

    write = {"bash": shells.bash, "zsh": shells.zsh, "fish": shells.fish}[args.shell]
    print(write(PROGRAM, described()), end="")
    return 0


def _print_names(which: str) -> None:
    """Print what the daemon knows; nothing when it does not answer, as a prompt is no place for a complaint."""
    try:
        names = call(from_environment().socket, "GET", "/v1/providers?format=names", timeout=_PATIENCE_S)["names"]
    except (DaemonUnavailableError, DaemonAnswerError):
        return
    for name in names:
        if name.isprintable() and (which == "all" or ("/" in name) == (which == "models")):
            print(name)
