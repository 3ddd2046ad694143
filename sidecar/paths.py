"""Where things live: the one place that reads HOME, XDG_* and RATE_LIMIT_* for paths.

Follows the XDG base directory specification; OpenCode uses it on every platform, so we do too. Nothing here creates or
opens a file. Standard library only, so that commands start fast.
"""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

APP = "rate-limit-sidecar"
CONFIG_NAME = "rate-limit.jsonc"
# sockaddr_un.sun_path holds 108 bytes on Linux and 104 on macOS and the BSDs, the ending NUL included.
SOCKET_PATH_LIMIT = 103


class Paths(NamedTuple):
    """Every path the sidecar uses; no dataclass, because loading those takes a sixth of the time `status` has.

    `RATE_LIMIT_SOCKET`, `RATE_LIMIT_CONFIG` and `RATE_LIMIT_STATE` override single files, for tests and for people who
    run more than one.
    """

    socket: Path
    config: Path
    state: Path
    log: Path
    verified: Path
    data: Path
    cache: Path
    opencode_config: Path

    @property
    def runtime(self) -> Path:
        """The 0700 directory of the socket."""
        return self.socket.parent

    @property
    def lock(self) -> Path:
        """The file whose flock the one running daemon holds for life."""
        return self.socket.with_suffix(".lock")

    @property
    def seal(self) -> Path:
        """The file that says whether leave to open a turn without a question still holds."""
        return self.socket.with_name(f"{self.socket.name}.seal")

    @staticmethod
    def project_config(directory: str) -> Path:
        """Give the project's override for an editor working in `directory`."""
        return Path(directory) / ".opencode" / CONFIG_NAME


def from_environment(env: Mapping[str, str] = os.environ) -> Paths:
    """Read the environment; empty and relative XDG values are ignored, as the specification asks."""
    home = Path(env.get("HOME") or Path.home())

    def base(variable: str, default: str) -> Path:
        value = env.get(variable, "")
        return Path(value) if value.startswith("/") else home / default

    state = base("XDG_STATE_HOME", ".local/state") / APP
    # Not XDG_RUNTIME_DIR: only some logins of a user have it (not cron, not every ssh), and one user needs one daemon.
    opencode = base("XDG_CONFIG_HOME", ".config") / "opencode"
    return Paths(
        socket=Path(env.get("RATE_LIMIT_SOCKET") or state / "run" / "sidecar.sock"),
        config=Path(env.get("RATE_LIMIT_CONFIG") or opencode / CONFIG_NAME),
        state=Path(env.get("RATE_LIMIT_STATE") or state / "state.json"),
        log=state / "sidecar.log",
        verified=state / "verified.json",
        data=base("XDG_DATA_HOME", ".local/share") / APP,
        cache=base("XDG_CACHE_HOME", ".cache") / APP,
        opencode_config=opencode,
    )
