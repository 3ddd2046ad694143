"""Where the usage history is: what the running daemon says, else what it would use if it started now."""

from pathlib import Path

from sidecar.client import DaemonAnswerError, DaemonUnavailableError, call
from sidecar.daemon.places import history_file
from sidecar.paths import Paths

_PATIENCE_S = 1.0


def find_history(paths: Paths) -> Path:
    """Give the database; it need not exist."""
    try:
        return history_file(Path(call(paths.socket, "GET", "/v1/health", timeout=_PATIENCE_S)["state_file"]))
    except (DaemonUnavailableError, DaemonAnswerError, KeyError, TypeError):
        # Only here, because reading the configuration takes longer than the whole report.
        from sidecar.commands.files import state_file  # noqa: PLC0415

        return history_file(state_file(paths))
