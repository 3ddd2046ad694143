"""Which log, state file and history are in use: what the environment says, else the configuration, else the usual.

Standard library only, because commands ask it too. A relative name in the configuration is seen from its own folder, as
the daemon has no other place it could mean.
"""

import os
from collections.abc import Mapping
from pathlib import Path

from sidecar.paths import Paths


def state_file(paths: Paths, named: str | None, env: Mapping[str, str] = os.environ) -> Path:
    """Give the state file; `named` is the configuration's `state_file`, RATE_LIMIT_STATE wins over it."""
    return paths.state if env.get("RATE_LIMIT_STATE") else _named(paths, named, paths.state)


def history_file(state: Path) -> Path:
    """Give the database of the usage history: beside the state file, where that really is, and named after it."""
    real = Path(os.path.realpath(state))
    return real.with_name("history.db" if real.stem == "state" else f"{real.stem}-history.db")


def log_file(paths: Paths, named: str | None) -> Path:
    """Give the log file; `named` is the configuration's `log.file`."""
    return _named(paths, named, paths.log)


def _named(paths: Paths, named: str | None, usual: Path) -> Path:
    """Give the named file; the usual one for a name no file can have, since a daemon must have some place."""
    if not named or "\0" in named:
        return usual
    try:
        return paths.config.parent / Path(named).expanduser()
    except RuntimeError:  # the home of a user this machine does not know
        return usual
