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
from uuid import uuid4

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
            try:
                ended = main(arguments)
            except SystemExit as usage:  # argparse ends the process after help and wrong usage
                ended = int(usage.code or 0)
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
            "attempt": uuid4().hex,
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


@contextlib.contextmanager
def temporary_home() -> Iterator[Home]:
    """Make a home, and end what it may have started."""
    # Not tmp_path: a socket's path may have 103 bytes only.
    root = Path(tempfile.mkdtemp(prefix="rls-"))
    home = Home(root)
    try:
        yield home
    finally:
        home.inside("stop")
        shutil.rmtree(root)


@pytest.fixture
def home() -> Iterator[Home]:
    with temporary_home() as home:
        yield home


@pytest.fixture(scope="session")
def home_with_daemon() -> Iterator[Home]:
    with temporary_home() as home:
        home.run("start")
        yield home


@pytest.fixture
def served(home_with_daemon: Home) -> Home:
    """A home whose daemon runs and knows two providers, of which the first is cooling down; shared, but fresh."""
    home = home_with_daemon
    home.refused_once()
    for provider in PROVIDERS:
        home.post("targets/enable", provider=provider["id"])
    home.post("reset")
    home.refused_once()
    return home
