"""The frame of the command line: help, suggestions, exit codes, and how fast the cheap commands start."""

import importlib
import os
import signal
import subprocess
import sys

import pytest

from sidecar import __version__
from sidecar.cli import COMMANDS
from tests.commands.conftest import Home


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_explains_itself_with_an_example(home: Home, name: str) -> None:
    module = importlib.import_module(f"sidecar.commands.{COMMANDS[name][0]}")
    shown = home.inside(name, "--help").stdout
    assert shown.startswith(f"usage: rate-limit-sidecar {name}")
    assert " ".join(module.HELP.split()) in " ".join(shown.split())
    examples = shown.partition("example:\n")[2]
    assert f"rate-limit-sidecar {name}" in examples
    assert all(line.startswith("  ") for line in examples.splitlines() if line)


def test_the_overview_lists_every_command_and_exit_code(home: Home) -> None:
    shown = home.inside("--help").stdout
    for name, (_, line) in COMMANDS.items():
        assert f"  {name} " in shown
        assert line in shown
    assert "0 done, 1 failed, 2 wrong usage, 3 the daemon is already running" in shown
    assert max(map(len, shown.splitlines())) <= 80


def test_without_a_command_the_overview_is_an_error(home: Home) -> None:
    done = home.inside(code=2)
    assert done.stdout == ""
    assert "usage: rate-limit-sidecar COMMAND" in done.stderr


@pytest.mark.parametrize(
    ("name", "hint"), [("statu", "did you mean 'status'?"), ("xyzzy", "rate-limit-sidecar --help lists the commands")]
)
def test_an_unknown_command_gets_a_suggestion(home: Home, name: str, hint: str) -> None:
    assert hint in home.inside(name, code=2).stderr


@pytest.mark.parametrize("arguments", [("status", "--no-such"), ("disable",), ("disable", "x", "--for", "soon")])
def test_wrong_usage_has_its_own_exit_code(home: Home, arguments: tuple[str, ...]) -> None:
    assert "error:" in home.inside(*arguments, code=2).stderr


def test_the_version(home: Home) -> None:
    assert home.run("--version").stdout == f"rate-limit-sidecar {__version__}\n"


@pytest.mark.parametrize(
    "arguments", [("status",), ("reset",), ("clear", "a"), ("disable", "a"), ("enable", "a"), ("allow", "a")]
)
def test_without_a_daemon_a_command_says_how_to_start_it(home: Home, arguments: tuple[str, ...]) -> None:
    told = home.inside(*arguments, code=1).stderr
    assert told.startswith("rate-limit-sidecar: the daemon does not answer at")
    assert "start it with: rate-limit-sidecar start" in told
    assert len(told.splitlines()) <= 2


def test_a_bad_configuration_is_told_with_every_problem(home: Home) -> None:
    home.configure('{"max_hop": 1,\n"mode": "x"}')
    told = home.run("config", "check", code=1).stderr
    assert f"{home.paths.config}:1: max_hop: unknown setting (did you mean 'max_hops'?" in told
    assert f"{home.paths.config}:2: mode: should be" in told


def test_a_reader_that_goes_away_is_no_error_message(home: Home) -> None:
    read_end, write_end = os.pipe()
    os.close(read_end)
    done = subprocess.run(
        [sys.executable, "-m", "sidecar", "schema", "config"],
        env=home.environment,
        stdout=write_end,
        stderr=subprocess.PIPE,
        timeout=30,
        check=False,
    )
    os.close(write_end)
    assert (done.returncode, done.stderr) == (141, b"")


def test_control_c_ends_quietly(home: Home) -> None:
    home.paths.log.parent.mkdir(parents=True)
    home.paths.log.write_text('{"time": "2026-01-01T10:00:00Z", "level": "info", "event": "ready"}\n')
    with subprocess.Popen(
        [sys.executable, "-m", "sidecar", "logs", "-f"],
        env=home.environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout is not None
        assert "2026-01-01" in process.stdout.readline()
        assert "ready" in process.stdout.readline()
        process.send_signal(signal.SIGINT)
        _, told = process.communicate(timeout=10)
    assert (process.returncode, told) == (130, "")


def test_a_terminal_that_cannot_show_a_sign_gets_a_question_mark(served: Home) -> None:
    shown = served.run("route", "--explain", "anthropic/claude-sonnet-4-5", PYTHONIOENCODING="ascii").stdout
    assert "1. ? anthropic/claude-sonnet-4-5" in shown


def test_the_cheap_commands_load_nothing_heavy(home: Home) -> None:
    home.run("start")
    home.refused_once()
    # http.client brings TLS along, which alone takes half the time `status` has.
    heavy = "aiohttp", "pydantic", "structlog", "watchfiles", "asyncio", "http.client", "ssl"
    asked = "anthropic/claude-sonnet-4-5"
    reports = ["status"], ["usage"], ["history"], ["why"], ["completion", "--names", "all"], ["providers"]
    for arguments in (*reports, ["route", asked], ["enable", "anthropic"], ["stop"]):
        code = f"import sys; from sidecar.cli import main; main({arguments!r}); print(*sys.modules, file=sys.stderr)"
        done = subprocess.run(
            [sys.executable, "-c", code], env=home.environment, capture_output=True, text=True, timeout=30, check=True
        )
        assert set(heavy) & set(done.stderr.split()) == set(), arguments
