"""The daemon of `tests/daemon`, for the tests of this room."""

from tests.daemon.conftest import _impatient, clock, env, home, paths, running

__all__ = ["_impatient", "clock", "env", "home", "paths", "running"]
