"""Which files are in use: the log and the state file (what the configuration says), and the plugin's own."""

from pathlib import Path

from sidecar.config.load import load
from sidecar.config.models import Config
from sidecar.config.problems import ConfigError
from sidecar.daemon import places
from sidecar.installation import shim_source
from sidecar.paths import Paths

__all__ = ["log_file", "shim_source", "state_file"]


def log_file(paths: Paths) -> Path:
    """Give the log file; the usual one when the configuration cannot be read."""
    return places.log_file(paths, _config(paths).log.file)


def state_file(paths: Paths) -> Path:
    """Give the state file; the usual one when the configuration cannot be read."""
    return places.state_file(paths, _config(paths).state_file)


def _config(paths: Paths) -> Config:
    try:
        return load(paths.config, None, None).config
    except ConfigError:
        return Config()
