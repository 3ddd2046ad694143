"""The walk-through of the protocol runs as written, and the daemon answers what it shows."""

import json
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.commands.conftest import Home

README = Path(__file__).resolve().parents[2] / "examples" / "protocol" / "README.md"
# What differs from run to run, or is said in words that may be worded better one day.
PASSING = {"until", "at", "text", "why", "title", "message", "version", "error", "fix"}
STEPS = re.findall(r"```sh\n(.*?)```(?:\n\n```(json|text)\n(.*?)```)?", README.read_text(encoding="utf-8"), re.DOTALL)


def lasting(value: Any) -> Any:
    """Give what must be the same in every run; of the rest that it is there."""
    if isinstance(value, dict):
        return {key: key in PASSING or lasting(inner) for key, inner in value.items()}
    return [lasting(inner) for inner in value] if isinstance(value, list) else value


@pytest.mark.skipif(shutil.which("curl") is None, reason="the walk-through uses curl")
def test_the_walk_through_runs_and_answers_as_shown(home: Home) -> None:
    home.program("rate-limit-sidecar", f'#!/bin/sh\nexec "{sys.executable}" -m sidecar "$@"\n')
    script = "\n".join(f"{commands}\necho; echo @@@" for commands, _, _ in STEPS)
    done = subprocess.run(
        ["bash", "-euc", script],
        cwd=home.project,
        env=home.environment,
        capture_output=True,
        text=True,
        timeout=50,
        check=True,
    )
    answers = done.stdout.split("@@@\n")[: len(STEPS)]
    shown = [text for _, _, text in STEPS]
    assert len([text for text in shown if text]) == 9
    for (commands, form, text), answer in zip(STEPS, answers, strict=True):
        if form == "json":
            assert lasting(json.loads(answer)) == lasting(json.loads(text)), commands
        elif form == "text" and "data: " not in text:
            assert answer.strip() == text.strip(), commands
        elif form == "text":
            events = [json.loads(part.splitlines()[0])["event"] for part in answer.split("data: ")[1:]]
            assert events == [json.loads(part.splitlines()[0])["event"] for part in text.split("data: ")[1:]]


def test_the_walk_through_names_every_schema_beside_it() -> None:
    kinds = {file.name.split(".")[-3] for file in README.parent.glob("*.schema.json")}
    assert kinds == {"request", "answer", "push"}
    assert all(f"NAME.{kind}" in README.read_text(encoding="utf-8") for kind in kinds)
