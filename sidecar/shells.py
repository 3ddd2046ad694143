"""Completion scripts for bash, zsh and fish, made from a description of the commands.

Pure text, no I/O. What the daemon knows (names of providers and models) is asked for when the user presses TAB, and is
never evaluated by the shell: a model's name comes from outside.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

Kind = Literal["none", "free", "words", "all", "providers", "models", "files", "directories"]
"""What can stand somewhere: nothing, anything, given words, names the daemon knows, paths."""


@dataclass(frozen=True, slots=True)
class Option:
    """An option: its spellings (`--for`), what it is for, and what follows it."""

    names: tuple[str, ...]
    text: str
    kind: Kind = "none"
    words: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Command:
    """A command: its line in the overview, its options, and what its argument can be."""

    name: str
    text: str
    options: tuple[Option, ...]
    kind: Kind = "none"
    words: tuple[str, ...] = ()


def bash(program: str, commands: Iterable[Command]) -> str:
    """Write the script for bash (3.2 and newer)."""
    commands = list(commands)
    function = f"_{program.replace('-', '_')}"
    values = [
        f"        {command.name}/{name}) {_bash_offer(option.kind, option.words)}; return ;;"
        for command in commands
        for option in command.options
        if option.kind != "none"
        for name in option.names
    ]
    options = [
        f"            {command.name}) {function}_words {_joined(n for o in command.options for n in o.names)} ;;"
        for command in commands
    ]
    arguments = [
        f"        {command.name}) {_bash_offer(command.kind, command.words)} ;;"
        for command in commands
        if command.kind not in ("none", "free")
    ]
    return _BASH.format(
        program=program,
        function=function,
        commands=_joined(command.name for command in commands),
        values="\n".join(values).replace("FUNCTION", function),
        options="\n".join(options),
        arguments="\n".join(arguments).replace("FUNCTION", function),
    )


def zsh(program: str, commands: Iterable[Command]) -> str:
    """Write the script for zsh."""
    commands = list(commands)
    function = f"_{program.replace('-', '_')}"
    values = [
        f"        {command.name}/{name}) {_zsh_offer(option.kind, option.words)}; return ;;"
        for command in commands
        for option in command.options
        if option.kind != "none"
        for name in option.names
    ]
    options = [
        f"            {command.name}) options=("
        + " ".join(_quoted(f"{name}:{option.text}") for option in command.options for name in option.names)
        + ") ;;"
        for command in commands
    ]
    arguments = [
        f"        {command.name}) {_zsh_offer(command.kind, command.words)} ;;"
        for command in commands
        if command.kind not in ("none", "free")
    ]
    return _ZSH.format(
        program=program,
        function=function,
        commands="\n".join(f"        {_quoted(f'{command.name}:{command.text}')}" for command in commands),
        values="\n".join(values).replace("FUNCTION", function),
        options="\n".join(options),
        arguments="\n".join(arguments).replace("FUNCTION", function),
    )


def fish(program: str, commands: Iterable[Command]) -> str:
    """Write the script for fish."""
    lines = [f"# Completion of {program} for fish.", f"complete -c {program} -f"]
    for command in commands:
        start = f"complete -c {program} -n __fish_use_subcommand"
        lines.append(f"{start} -a {command.name} -d {_quoted(command.text)}")
        seen = f"complete -c {program} -n '__fish_seen_subcommand_from {command.name}'"
        for option in command.options:
            spelled = " ".join(f"-l {n[2:]}" if n.startswith("--") else f"-s {n[1:]}" for n in option.names)
            lines.append(f"{seen} {spelled} -d {_quoted(option.text)}{_fish_value(program, option)}")
        offered = _fish_offer(program, command.kind, command.words)
        if offered:
            lines.append(f"{seen} {offered}")
    return "\n".join(lines) + "\n"


def _joined(words: Iterable[str]) -> str:
    return " ".join(map(_quoted, words))


def _quoted(text: str) -> str:
    return "'" + text.replace("'", "'\\''") + "'"


def _bash_offer(kind: Kind, words: tuple[str, ...]) -> str:
    if kind in ("all", "providers", "models"):
        return f"FUNCTION_names {kind}"
    if kind in ("files", "directories"):
        return f"FUNCTION_paths {kind}"
    return f"FUNCTION_words {_joined(words)}" if words else ":"


def _zsh_offer(kind: Kind, words: tuple[str, ...]) -> str:
    if kind in ("all", "providers", "models"):
        return f"FUNCTION_names {kind}"
    if kind in ("files", "directories"):
        return "_files" + (" -/" if kind == "directories" else "")
    return f"compadd -- {_joined(words)}" if words else ":"


def _fish_offer(program: str, kind: Kind, words: tuple[str, ...]) -> str:
    if kind in ("all", "providers", "models"):
        return f"-a '({program} completion --names {kind} 2>/dev/null)'"
    if kind == "files":
        return "-F"
    if kind == "directories":
        return "-a '(__fish_complete_directories)'"
    return f"-a {_quoted(' '.join(words))}" if words else ""


def _fish_value(program: str, option: Option) -> str:
    if option.kind == "none":
        return ""
    if option.kind == "files":
        return " -r -F"
    offered = _fish_offer(program, option.kind, option.words)
    return f" -x {offered}".rstrip()


_BASH = """\
# Completion of {program} for bash.

{function}_add() {{
    # Only a prefix is compared, and what is offered is quoted: nothing in a name is evaluated.
    if [[ $1 == "$cur"* ]]; then
        local quoted
        printf -v quoted %q "$1"
        COMPREPLY+=("$quoted")
    fi
}}

{function}_words() {{
    local word
    for word in "$@"; do {function}_add "$word"; done
}}

{function}_names() {{
    local name
    while IFS= read -r name; do {function}_add "$name"; done < <(command {program} completion --names "$1" 2>/dev/null)
}}

{function}_paths() {{
    local path flag=-f
    [[ $1 == directories ]] && flag=-d
    while IFS= read -r path; do COMPREPLY+=("$path"); done < <(compgen $flag -- "$cur")
    compopt -o filenames 2>/dev/null
}}

{function}() {{
    # Not COMP_WORDS: bash takes the colon in a model's name for the end of a word.
    local line=${{COMP_LINE:0:COMP_POINT}} cur words count index prefix
    cur=${{line##*[[:space:]]}}
    read -r -a words <<<"${{line%"$cur"}}"
    count=${{#words[@]}}
    COMPREPLY=()
    if ((count < 2)); then
        {function}_words {commands}
    else
        {function}_argument "${{words[1]}}" "${{words[count - 1]}}"
    fi
    if [[ $cur == *:* && $COMP_WORDBREAKS == *:* ]]; then
        prefix=${{cur%"${{cur##*:}}"}}
        for index in "${{!COMPREPLY[@]}}"; do COMPREPLY[index]=${{COMPREPLY[index]#"$prefix"}}; done
    fi
}}

{function}_argument() {{
    case $1/$2 in
{values}
        *) ;;
    esac
    if [[ $cur == -* ]]; then
        case $1 in
{options}
            *) ;;
        esac
        return
    fi
    case $1 in
{arguments}
        *) ;;
    esac
}}

complete -F {function} {program}
"""

_ZSH = """\
#compdef {program}
# Completion of {program} for zsh.

{function}_names() {{
    local -a names
    names=("${{(@f)$(command {program} completion --names $1 2>/dev/null)}}")
    names=("${{(@)names:#}}")
    compadd -a names
}}

{function}() {{
    local -a commands options
    commands=(
{commands}
    )
    if (( CURRENT == 2 )); then
        _describe command commands
        return
    fi
    case $words[2]/$words[CURRENT-1] in
{values}
    esac
    if [[ $PREFIX == -* ]]; then
        case $words[2] in
{options}
        esac
        _describe -o option options
        return
    fi
    case $words[2] in
{arguments}
    esac
}}

if [[ $funcstack[1] == _{program} ]]; then
    {function} "$@"
else
    compdef {function} {program}
fi
"""
