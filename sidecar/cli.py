"""The command line: a table of commands, and the one place that turns errors into messages and exit codes.

Each command is a module under `sidecar/commands` with `HELP` (one sentence), `EXAMPLE` (shown under its help),
`configure(parser)` (its arguments) and `run(args) -> exit code`; `args.command` is the name it was called by. A module
is imported only when its command is used. Nothing here knows what a command does.
"""

import argparse
import importlib
import io
import os
import sys
from collections.abc import Sequence
from typing import Any

from sidecar import __version__
from sidecar.client import DaemonAnswerError, DaemonUnavailableError
from sidecar.config.problems import ConfigError

PROGRAM = "rate-limit-sidecar"

OK, FAILED, USAGE, ALREADY_RUNNING = 0, 1, 2, 3
INTERRUPTED, READER_GONE = 130, 141

# name: (module under sidecar.commands, one line for the overview)
COMMANDS: dict[str, tuple[str, str]] = {
    "status": ("status", "show what is used, what is cooling down and until when"),
    "usage": ("usage", "show requests, tokens, cost and times of a day, a week or a month"),
    "history": ("history", "show switches and failures with their reasons"),
    "why": ("why", "explain the last switch, or what was decided in a session"),
    "providers": ("providers", "show what there is to use, who is connected to it, and its limits"),
    "logs": ("logs", "show what happened, newest last"),
    "start": ("start", "start the daemon in the background"),
    "stop": ("stop", "stop the daemon"),
    "restart": ("restart", "stop the daemon and start it again"),
    "serve": ("serve", "run the daemon in the foreground"),
    "reset": ("reset", "forget counters and cooldowns of everything, a provider or a model"),
    "clear": ("clear", "end the cooldown of a provider or model, keep its counters"),
    "disable": ("disable", "do not use a provider or model, for a while or until enabled"),
    "enable": ("enable", "use a disabled provider or model again"),
    "allow": ("allow", "permit switches to a provider that costs money, for a day"),
    "use": ("use", "pick the provider to be used now, in every session"),
    "config": ("config", "check the configuration, or show it and where each value is from"),
    "classify": ("classify", "say what the sidecar makes of a provider's error"),
    "route": ("route", "say what would be used next, and why"),
    "doctor": ("doctor", "find out what is wrong and how to put it right"),
    "init": ("init", "write a configuration from what OpenCode is connected to"),
    "test": ("test", "send one small request and say what came back"),
    "completion": ("completion", "print a completion script for bash, zsh or fish"),
    "demo": ("demo", "show it at work on a real OpenCode with scripted providers"),
    "install": ("install", "put the plugin where OpenCode loads it"),
    "uninstall": ("uninstall", "remove what install made"),
    "schema": ("schema", "print the JSON Schema of the configuration or of the protocol"),
}

_OVERVIEW = """\
usage: {program} COMMAND [ARGUMENT ...]

Keeps developers using OpenCode coding when a model provider says 429.

{commands}

  {program} COMMAND --help   explains one command, with an example
  {program} --version        prints the version

Exit codes: 0 done, 1 failed, 2 wrong usage, 3 the daemon is already running.
"""


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command; gives its exit code."""
    for stream in (sys.stdout, sys.stderr):
        # Where the terminal cannot show a sign, a question mark is better than a traceback.
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")
    try:
        code = _dispatch(list(sys.argv[1:] if argv is None else argv))
        sys.stdout.flush()
    except (DaemonUnavailableError, DaemonAnswerError) as error:
        return _failed(str(error))
    except ConfigError as error:
        return _failed("\n".join(str(problem) for problem in error.problems))
    except KeyboardInterrupt:
        return INTERRUPTED
    except BrokenPipeError:
        # The interpreter flushes once more on exit; give it somewhere to flush to.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return READER_GONE
    except OSError as error:
        return _failed(f"{error.strerror or error}" + (f": {error.filename}" if error.filename else ""))
    return code


def _dispatch(argv: list[str]) -> int:
    name = argv[0] if argv else ""
    if name in ("", "-h", "--help", "help"):
        width = max(map(len, COMMANDS))
        commands = "\n".join(f"  {command:{width}}  {text}" for command, (_, text) in COMMANDS.items())
        print(_OVERVIEW.format(program=PROGRAM, commands=commands), end="", file=sys.stdout if name else sys.stderr)
        return OK if name else USAGE
    if name == "--version":
        print(f"{PROGRAM} {__version__}")
        return OK
    if name not in COMMANDS:
        import difflib  # noqa: PLC0415 - only for a typing error

        near = difflib.get_close_matches(name, COMMANDS, n=1)
        hint = f"did you mean {near[0]!r}?" if near else f"{PROGRAM} --help lists the commands"
        print(f"{PROGRAM}: there is no command {name!r}; {hint}", file=sys.stderr)
        return USAGE
    args = parser_of(name).parse_args(argv[1:])
    args.command = name
    return int(_module(name).run(args))


def parser_of(name: str) -> argparse.ArgumentParser:
    """Give the parser of a command's arguments."""
    module = _module(name)
    parser = argparse.ArgumentParser(
        prog=f"{PROGRAM} {name}",
        description=module.HELP,
        epilog="example:\n" + module.EXAMPLE.strip("\n"),
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    module.configure(parser)
    return parser


def _module(name: str) -> Any:
    return importlib.import_module(f"sidecar.commands.{COMMANDS[name][0]}")


def _failed(message: str) -> int:
    print(f"{PROGRAM}: {message}", file=sys.stderr)
    return FAILED
