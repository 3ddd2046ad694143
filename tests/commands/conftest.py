"""A home of its own for every test, and the command line run in it as people run it: in a process."""

import contextlib
import io
import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from unittest import mock

import pytest

from sidecar.cli import main
from sidecar.client import call
from sidecar.paths import Paths, from_environment

PROVIDERS = [
    {"id": "anthropic", "models": [{"id": "claude-sonnet-4-5", "context": 200_000, "wire": "anthropic"}]},
    {"id": "openrouter", "models": [{"id": "anthropic/claude-sonnet-4.5", "context": 200_000, "wire": "openai-chat"}]},
]


class Home:
    """One user: a home directory, an environment without anything of the real one, a project to stand in."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.project = root / "project"
        self.project.mkdir()
        self.bin = root / "bin"
        self.bin.mkdir()
        self.environment = {"HOME": str(root), "PATH": f"{self.bin}:/usr/bin:/bin", "LANG": "C.UTF-8", "TZ": "UTC"}

    @property
    def paths(self) -> Paths:
        return from_environment(self.environment)

    def run(self, *arguments: str, code: int = 0, **environment: str) -> subprocess.CompletedProcess[str]:
        """Run one command and expect its exit code."""
        done = subprocess.run(
            [sys.executable, "-m", "sidecar", *arguments],
            cwd=self.project,
            env=self.environment | environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=30,
            check=False,
        )
        assert done.returncode == code, f"{arguments}: {done.returncode}\n{done.stdout}\n{done.stderr}"
        assert "Traceback" not in done.stderr
        return done

    def inside(self, *arguments: str, code: int = 0, **environment: str) -> subprocess.CompletedProcess[str]:
        """Run one command as `run` does, but within this process: faster, where the process is not the point."""
        out, err = io.StringIO(), io.StringIO()
        with (
            mock.patch.dict(os.environ, self.environment | environment, clear=True),
            contextlib.chdir(self.project),
            contextlib.redirect_stdout(out),
            contextlib.redirect_stderr(err),
        ):
            ended = main(arguments)
        assert ended == code, f"{arguments}: {ended}\n{out.getvalue()}\n{err.getvalue()}"
        return subprocess.CompletedProcess(arguments, ended, out.getvalue(), err.getvalue())

    def configure(self, text: str) -> None:
        self.paths.config.parent.mkdir(parents=True, exist_ok=True)
        self.paths.config.write_text(text)

    def post(self, route: str, **body: Any) -> Any:
        return call(self.paths.socket, "POST", f"/v1/{route}", body)

    def refused_once(self) -> None:
        """Let anthropic refuse one request for two minutes."""
        self.post("hello", directory=str(self.project), providers=PROVIDERS)
        attempt = {
            "session": "s1",
            "turn": "t1",
            "attempt": "a1",
            "directory": str(self.project),
            "target": {"provider": "anthropic", "model": "claude-sonnet-4-5"},
        }
        self.post("route", **attempt)
        self.post("outcome", **attempt, ended="failed", status=429, headers={"retry-after": "120"})

    def states(self) -> dict[str, str]:
        """Give every provider's state."""
        status = json.loads(self.run("status", "--json").stdout)
        return {provider["id"]: provider["state"] for provider in status["providers"]}

    def program(self, name: str, text: str) -> Path:
        """Put an executable on PATH."""
        file = self.bin / name
        file.write_text(text)
        file.chmod(0o755)
        return file


@pytest.fixture
def home() -> Iterator[Home]:
    # Not tmp_path: a socket's path may have 103 bytes only.
    root = Path(tempfile.mkdtemp(prefix="rls-"))
    home = Home(root)
    yield home
    if home.paths.lock.exists():
        home.inside("stop")
    shutil.rmtree(root)


@pytest.fixture
def served(home: Home) -> Home:
    """A home whose daemon runs and knows two providers, of which the first is cooling down."""
    home.run("start")
    home.refused_once()
    return home
