"""Completion in the real shells: what is offered where, and that no name is ever evaluated."""

import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from sidecar.cli import COMMANDS
from sidecar.commands.described import described
from tests.commands.conftest import PROVIDERS, Home, temporary_home


@pytest.fixture(scope="module")
def completing() -> Iterator[Home]:
    """A home with the command on PATH, whose daemon knows a model with a colon and one that would be a command."""
    with temporary_home() as home:
        home.run("start")
        home.program("rate-limit-sidecar", f'#!/bin/sh\nexec {sys.executable} -m sidecar "$@"\n')
        home.post("hello", directory="/elsewhere", providers=ALL)
        yield home


ALL = [
    *PROVIDERS,
    {"id": "ollama", "models": [{"id": "qwen3:8b"}, {"id": "qwen3:32b"}]},
    {"id": "evil", "models": [{"id": "$(touch pwned)`touch pwned`"}]},
]


def script(home: Home, shell: str) -> Path:
    file = home.root / f"completion.{shell}"
    file.write_text(home.inside("completion", shell).stdout)
    return file


def needs(shell: str) -> None:
    if shutil.which(shell) is None:
        pytest.skip(f"{shell} is not installed")


def run(home: Home, *command: str) -> list[str]:
    done = subprocess.run(
        command,
        cwd=home.project,
        env=home.environment | {"PYTHONPATH": str(Path(__file__).parents[2])},
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )
    assert done.stderr == ""
    assert done.returncode == 0, done.stdout
    assert not list(home.project.glob("pwned"))
    return done.stdout.splitlines()


def bash(home: Home, line: str) -> list[str]:
    """Ask bash as it asks itself when TAB is pressed at the end of `line`."""
    asks = (
        f"source {script(home, 'bash')}; COMP_LINE=$1; COMP_POINT=${{#1}}; _rate_limit_sidecar; "
        'printf "%s\\n" "${COMPREPLY[@]}"'
    )
    return sorted(filter(None, run(home, "bash", "--norc", "-c", asks, "bash", line)))


def fish(home: Home, line: str) -> list[str]:
    """Ask fish for what it offers; a description follows a tab."""
    offered = run(home, "fish", "--no-config", "-c", f'source {script(home, "fish")}; complete -C "$argv[1]"', line)
    return sorted(one.partition("\t")[0] for one in offered)


ASK = {"bash": bash, "fish": fish}


@pytest.mark.parametrize("shell", ASK)
@pytest.mark.parametrize(
    ("line", "offered"),
    [
        ("rate-limit-sidecar ", sorted(COMMANDS)),
        ("rate-limit-sidecar rest", ["restart"]),
        ("rate-limit-sidecar config ", ["check", "show"]),
        ("rate-limit-sidecar config show --or", ["--origin"]),
        ("rate-limit-sidecar disable anth", ["anthropic", "anthropic/claude-sonnet-4-5"]),
        ("rate-limit-sidecar disable --for ", []),
        ("rate-limit-sidecar providers o", ["ollama", "openrouter"]),
        ("rate-limit-sidecar route --explain openr", ["openrouter/anthropic/claude-sonnet-4.5"]),
        ("rate-limit-sidecar completion z", ["zsh"]),
        ("rate-limit-sidecar stop ", []),
    ],
)
def test_what_is_offered(completing: Home, shell: str, line: str, offered: list[str]) -> None:
    needs(shell)
    assert ASK[shell](completing, line) == offered


def test_a_colon_does_not_break_a_name_in_bash(completing: Home) -> None:
    # bash itself keeps what stands before the colon.
    assert bash(completing, "rate-limit-sidecar test ollama/qwen3:") == ["32b", "8b"]
    assert bash(completing, "rate-limit-sidecar test ollama/qwen3:3") == ["32b"]
    assert bash(completing, "rate-limit-sidecar test olla") == ["ollama", "ollama/qwen3:32b", "ollama/qwen3:8b"]


def test_a_colon_does_not_break_a_name_in_fish(completing: Home) -> None:
    needs("fish")
    assert fish(completing, "rate-limit-sidecar test ollama/qwen3:3") == ["ollama/qwen3:32b"]


def test_a_name_is_never_evaluated(completing: Home) -> None:
    (offered,) = bash(completing, "rate-limit-sidecar test evil/")
    assert offered == r"evil/\$\(touch\ pwned\)\`touch\ pwned\`"


def test_directories_are_offered_where_one_belongs(completing: Home) -> None:
    (completing.project / "made-here").mkdir(exist_ok=True)
    (completing.project / "made-file").touch()
    assert bash(completing, "rate-limit-sidecar install --project made") == ["made-here"]


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_each_script_is_one_its_shell_can_read(home: Home, shell: str) -> None:
    needs(shell)
    subprocess.run([shell, "-n", str(script(home, shell))], check=True, timeout=30)


def test_zsh_loads_it_and_knows_what_completes_the_command(completing: Home) -> None:
    needs("zsh")
    asks = (
        f"autoload -Uz compinit; compinit -u -D; source {script(completing, 'zsh')}; print $_comps[rate-limit-sidecar]"
    )
    assert run(completing, "zsh", "-f", "-c", asks) == ["_rate_limit_sidecar"]


@pytest.mark.parametrize(
    ("words", "offered"),
    [
        (["rest"], ["restart"]),
        (["config", ""], ["check", "show"]),
        (["config", "show", "--or"], ["--origin"]),
        (["disable", "anth"], ["anthropic", "anthropic/claude-sonnet-4-5"]),
        (["disable", "--for", ""], []),
        (["test", "ollama/qwen3:3"], ["ollama/qwen3:32b"]),
        (["test", "evil/"], ["evil/$(touch pwned)`touch pwned`"]),
    ],
)
def test_what_zsh_is_given_to_offer(completing: Home, words: list[str], offered: list[str]) -> None:
    needs("zsh")
    # Outside its line editor zsh matches nothing, so the two ways of offering are replaced by printing what was meant.
    asks = f"""
        compdef() {{ : }}
        compadd() {{
            if [[ $1 == -a ]]; then print -rl -- ${{(P)2}}; else shift; print -rl -- "$@"; fi
        }}
        _describe() {{ [[ $1 == -o ]] && shift; local -a all=("${{(@P)2}}"); print -rl -- ${{all%%:*}} }}
        source {script(completing, "zsh")}
        words=(rate-limit-sidecar "$@"); CURRENT=$#words; PREFIX=$words[-1]
        _rate_limit_sidecar
    """
    meant = run(completing, "zsh", "-f", "-c", asks, "zsh", *words)
    assert sorted(name for name in meant if name and name.startswith(words[-1])) == offered


def test_every_command_and_option_is_described(home: Home) -> None:
    commands = {command.name: command for command in described()}
    assert list(commands) == list(COMMANDS)
    assert {name for option in commands["disable"].options for name in option.names} == {"-h", "--help", "--for"}
    assert commands["route"].kind == "models"
    assert home.inside("completion", code=2).stdout == ""


def test_without_a_daemon_nothing_is_offered_and_nothing_said(home: Home) -> None:
    done = home.run("completion", "--names", "all")
    assert (done.stdout, done.stderr) == ("", "")
