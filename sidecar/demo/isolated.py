"""An isolated OpenCode: the real binary in a home of its own, connected to scripted providers only.

Follows the XDG directories, so nothing of the user's own OpenCode is read or written, and switches off everything that
would reach for the network.
"""

import asyncio
import json
import os
import shutil
import socket
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

# What makes OpenCode keep to itself (environment variables of 1.18).
QUIET = {
    "OPENCODE_DISABLE_AUTOUPDATE": "1",
    "OPENCODE_DISABLE_MODELS_FETCH": "1",
    "OPENCODE_DISABLE_LSP_DOWNLOAD": "1",
    "OPENCODE_DISABLE_DEFAULT_PLUGINS": "1",
    "OPENCODE_DISABLE_EXTERNAL_SKILLS": "1",
    "OPENCODE_DISABLE_CLAUDE_CODE": "1",
}
_KEPT = ("PATH", "LANG", "LC_ALL", "TERM", "TMPDIR", "SSL_CERT_FILE", "NODE_EXTRA_CA_CERTS")


@dataclass(frozen=True, slots=True)
class Ran:
    """How one run of OpenCode ended."""

    code: int
    out: str
    err: str


class Isolated:
    """One isolated home under `root`; several processes may share it, as several windows of one user do."""

    def __init__(self, root: Path, binary: Path, *, environment: Mapping[str, str] | None = None) -> None:
        self.root = root
        self.binary = binary
        self.home = root / "home"
        self.project = root / "project"
        self.config = self.home / ".config" / "opencode"
        for directory in (self.project, self.config):
            directory.mkdir(parents=True, exist_ok=True)
        kept = {name: os.environ[name] for name in _KEPT if name in os.environ}
        self.environment: dict[str, str] = {
            **kept,
            "HOME": str(self.home),
            "XDG_CONFIG_HOME": str(self.home / ".config"),
            "XDG_DATA_HOME": str(self.home / ".local/share"),
            "XDG_STATE_HOME": str(self.home / ".local/state"),
            "XDG_CACHE_HOME": str(self.home / ".cache"),
            **QUIET,
            **(environment or {}),
        }

    @property
    def state(self) -> Path:
        """Where the sidecar keeps its state, log and socket in this home."""
        return self.home / ".local/state/rate-limit-sidecar"

    @property
    def socket(self) -> Path:
        """The socket of the daemon that serves this home."""
        return self.state / "run" / "sidecar.sock"

    def configure(self, providers: Mapping[str, dict[str, Any]], *, plugin: Path | None, **more: Any) -> None:
        """Write OpenCode's configuration: `providers` maps a name to its `options` and `models`."""
        config: dict[str, Any] = {
            "$schema": "https://opencode.ai/config.json",
            "share": "disabled",
            "autoupdate": False,
            "provider": {
                name: {"npm": "@ai-sdk/openai-compatible", "name": name.title(), **entry}
                for name, entry in providers.items()
            },
            **more,
        }
        if plugin is not None:
            config["plugin"] = [plugin.as_uri()]
        (self.config / "opencode.json").write_text(json.dumps(config, indent=2))

    def share(self, other: "Isolated") -> None:
        """Take the packages another home has installed: OpenCode fetches its plugin package once per configuration."""
        for name in ("package.json", "package-lock.json"):
            shutil.copy(other.config / name, self.config / name)
        (self.config / "node_modules").symlink_to(other.config / "node_modules")

    def offline(self) -> None:
        """Leave OpenCode nothing to install: its plugin package, which ours does not need, passes for installed."""
        wanted = {"dependencies": {"@opencode-ai/plugin": "*"}}
        (self.config / "node_modules").mkdir(exist_ok=True)
        (self.config / "package.json").write_text(json.dumps(wanted))
        (self.config / "package-lock.json").write_text(json.dumps({"lockfileVersion": 3, "packages": {"": wanted}}))

    def limits(self, config: Mapping[str, Any]) -> None:
        """Write the sidecar's configuration for this home."""
        (self.config / "rate-limit.jsonc").write_text(json.dumps(config, indent=2))

    async def spawn(self, *arguments: str, cwd: Path | None = None) -> asyncio.subprocess.Process:
        """Start OpenCode."""
        return await asyncio.create_subprocess_exec(
            self.binary,
            *arguments,
            cwd=cwd or self.project,
            env=self.environment,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )

    async def run(self, *arguments: str, timeout_s: float = 90) -> Ran:
        """Run OpenCode to its end.

        Raises:
            TimeoutError: it took longer than `timeout_s` seconds; the process has been killed.
        """
        process = await self.spawn(*arguments)
        try:
            async with asyncio.timeout(timeout_s):
                out, err = await process.communicate()
        finally:
            if process.returncode is None:
                process.kill()
                await process.wait()
        return Ran(process.returncode or 0, out.decode(errors="replace"), err.decode(errors="replace"))


def free_port() -> int:
    """Give a free port of the loopback interface."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
