"""One closed world a test: scripted providers, an isolated home, the daemon that the plugin starts in it."""

import asyncio
import os
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import AsyncIterator, Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from sidecar.client import DaemonUnavailableError, call
from sidecar.demo.isolated import Isolated
from sidecar.demo.scripted import ScriptedProviders
from sidecar.demo.wires import WIRES

from .matrix import PROPERTY, MatrixError, cells_of

ROOT = Path(__file__).resolve().parents[2]
PLUGIN = ROOT / "plugin-shim" / "src" / "server.ts"
NAMES = ("alpha", "beta", "gamma")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Write what a test proves into its results, from which the matrix is made."""
    for item in items:
        try:
            item.user_properties += [(PROPERTY, words) for words in cells_of(item)]
        except MatrixError as error:
            raise pytest.UsageError(str(error)) from None


@pytest.fixture(scope="session")
def opencode() -> Path:
    """The pinned binary; `./setup.sh --test` installs it and names it, and then its absence is a failure."""
    named = os.environ.get("OPENCODE_BIN")
    if named and Path(named).exists():
        return Path(named)
    if os.environ.get("RATE_LIMIT_REQUIRE_OPENCODE"):
        pytest.fail(f"OPENCODE_BIN={named!r} is not there; ./setup.sh --test installs it")
    pytest.skip("OPENCODE_BIN does not name an OpenCode binary; ./setup.sh --test installs one")


@pytest.fixture
def tmux() -> None:
    """What the TUI runs in; `./setup.sh --test` installs it where it can."""
    if shutil.which("tmux") is None:
        missing = pytest.fail if os.environ.get("CI") else pytest.skip
        missing("tmux is not installed")


@pytest.fixture(scope="session")
def furnished(opencode: Path) -> Iterator[Isolated]:
    """A home in which OpenCode has installed what it needs for plugins, for all others to share."""
    with tempfile.TemporaryDirectory(prefix="rls-", ignore_cleanup_errors=True) as made:
        empty = Path(made) / "plugin.ts"
        empty.write_text("export default { id: 'empty', server: async () => ({}) }\n")
        home = Isolated(Path(made), opencode)
        home.configure({}, plugin=empty)
        asyncio.run(home.run("models"))
        yield home


class House:
    """What a test holds: the providers, the home, and the daemon of that home."""

    def __init__(self, root: Path, binary: Path, providers: ScriptedProviders) -> None:
        command = str(Path(sys.executable).with_name("rate-limit-sidecar"))
        # Half of what an OpenCode that lives for seconds costs is compiling what it would need for hours.
        environment = {"RATE_LIMIT_SIDECAR_COMMAND": command, "BUN_JSC_useFTLJIT": "0"}
        self.home = Isolated(root, binary, environment=environment)
        self.providers = providers
        self.command = command
        self.configure()

    def entry(self, name: str, *, wire: str = "openai-chat", model: str = "m1", **options: Any) -> dict[str, Any]:
        """A scripted provider as OpenCode's configuration names it."""
        return {
            "npm": WIRES[wire].npm,
            "options": {"baseURL": self.providers.base_url(name), "apiKey": f"key-of-{name}", **options},
            "models": {model: {"limit": {"context": 100_000, "output": 8_000}}, "small": {}},
        }

    def configure(
        self,
        *,
        plugin: bool = True,
        model: str = "alpha/m1",
        wires: Mapping[str, str] | None = None,
        providers: Mapping[str, dict[str, Any]] | None = None,
        **more: Any,
    ) -> None:
        """Write OpenCode's configuration.

        `wires` maps providers to the format they speak, `providers` adds entries, what is None is left out.
        """
        named = dict.fromkeys(NAMES, "openai-chat") if wires is None else wires
        entries = {**{name: self.entry(name, wire=wire) for name, wire in named.items()}, **(providers or {})}
        settings = {"small_model": model.split("/", maxsplit=1)[0] + "/small", **more}
        more = {name: value for name, value in settings.items() if value is not None}
        self.home.configure(entries, plugin=PLUGIN if plugin else None, model=model, **more)

    @property
    def socket(self) -> Path:
        return self.home.socket

    def status(self) -> dict[str, Any]:
        answer: dict[str, Any] = call(self.socket, "GET", "/v1/status")
        return answer

    def health(self) -> dict[str, Any]:
        answer: dict[str, Any] = call(self.socket, "GET", "/v1/health")
        return answer

    def provider(self, name: str) -> dict[str, Any]:
        found: dict[str, Any] = next(p for p in self.status()["providers"] if p["id"] == name)
        return found

    def sidecar(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [self.command, *arguments],
            env=self.home.environment,
            capture_output=True,
            text=True,
            timeout=30,
            check=False,
        )

    def kill_daemon(self) -> None:
        os.kill(self.health()["pid"], signal.SIGKILL)

    def asked(self, target: str) -> int:
        return len(self.providers.asked(target))


@pytest.fixture
def short_path() -> Iterator[Path]:
    """A directory whose name leaves room for a socket: pytest's own names are longer than a socket's may be."""
    with tempfile.TemporaryDirectory(prefix="rls-", ignore_cleanup_errors=True) as made:
        yield Path(made)


@pytest.fixture
async def house(short_path: Path, opencode: Path, furnished: Isolated) -> AsyncIterator[House]:
    async with ScriptedProviders() as providers:
        made = House(short_path, opencode, providers)
        made.home.share(furnished)
        yield made
        try:
            made.health()
        except DaemonUnavailableError:
            return
        stopped = made.sidecar("stop")
        assert stopped.returncode == 0, stopped.stderr
