"""A full disk, a read-only one, a directory nobody may write in: decisions go on, status says so, and it recovers.

Each spell happens to a running daemon from outside: a limit on file sizes, a small file system that is filled or made
read-only (only root can mount one), a directory whose mode is changed (root is above modes: that right is taken from
the daemon first).
"""

import os
import resource
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from benchmarks.reliability.findings import Finding
from benchmarks.reliability.process import HELLO, Home, about, ended, eventually, limited

# What lets root write where nobody may.
_MORTAL = ("setpriv", "--bounding-set", "-dac_override,-dac_read_search")
# The first retry comes after a second; the disk may be slow as well.
PATIENCE_S = 20.0


def measure() -> list[Finding]:
    """Have every spell this system allows."""
    spells: list[tuple[str, Callable[[], float]]] = [
        ("disk full (no file may grow)", size_limit),
        ("directory not writable", unwritable),
    ]
    if os.geteuid() == 0:
        spells += [("disk full (small file system)", filled), ("disk read-only", read_only)]
    took = {name: spell() for name, spell in spells}
    return [
        Finding(
            f"{name}: decisions go on, status says degraded, and it is saved again by itself",
            "a running daemon, 20 events during the spell, then `kill -9` after it: all of them are in the file",
            f"saved again after {seconds:.1f} s",
            seconds < PATIENCE_S,
        )
        for name, seconds in took.items()
    ]


def size_limit() -> float:
    """Allow no file to grow beyond a few bytes for a while; gives the seconds until it was saved again."""
    with Home() as home:
        daemon = home.serve()
        soft, hard = resource.prlimit(daemon.pid, resource.RLIMIT_FSIZE)
        return spell(
            home,
            lambda: resource.prlimit(daemon.pid, resource.RLIMIT_FSIZE, (16, hard)),
            lambda: resource.prlimit(daemon.pid, resource.RLIMIT_FSIZE, (soft, hard)),
        )


def unwritable() -> float:
    """Take the right to write in the state directory away for a while."""
    with Home(wrapper=_MORTAL if os.geteuid() == 0 else ()) as home:
        home.serve()
        directory = home.paths.state.parent
        return spell(home, lambda: directory.chmod(0o500), lambda: directory.chmod(0o700))


def filled() -> float:
    """Fill a small file system."""
    with _file_system() as place, Home(place) as home:
        home.serve()
        ballast = place / "ballast"

        def fill() -> None:
            with ballast.open("wb", buffering=0) as file:
                try:
                    while True:
                        file.write(b"x" * 512)
                except OSError:
                    return

        return spell(home, fill, ballast.unlink)


def read_only() -> float:
    """Lay a read-only view of the state directory over itself."""
    with Home() as home:
        home.serve()
        place = str(home.paths.state.parent)

        def begin() -> None:
            _mount("--bind", place, place)
            _mount("-o", "remount,bind,ro", place)

        return spell(home, begin, lambda: _unmount(place))


def spell(home: Home, begin: Callable[[], object], end: Callable[[], object]) -> float:
    """Report before, during and after; gives the seconds from the end of the trouble until everything is saved."""
    home.ask("POST", "/v1/hello", HELLO)
    home.ask("POST", "/v1/outcome", ended("before"))
    assert home.state()["attempts"] == ["before"]
    begin()
    try:
        for number in range(10):
            home.ask("POST", "/v1/outcome", limited(f"during-{number}"))
            home.ask("POST", "/v1/outcome", ended(f"during-ok-{number}", provider="beta"))
            decision = home.ask("POST", "/v1/route", about(f"next-{number}"))
            assert decision["action"] == "switch", decision
        health = home.health() or {}
        assert health["state"] == "degraded", health
        assert "state is not saved" in health["problems"][0], health
        shown = home.ask("GET", "/v1/status?format=text")["text"]
        assert shown.startswith("! state is not saved"), shown
    finally:
        end()
    began = time.monotonic()
    eventually(lambda: (home.health() or {}).get("state") == "ok", "it recovers", PATIENCE_S)
    took = time.monotonic() - began
    home.kill(home.children[0])
    saved = set(home.state()["attempts"])
    assert {f"during-{number}" for number in range(10)} | {"before"} <= saved, saved
    litter = {name for name in home.litter() if not name.startswith("..")}
    assert not litter, litter
    return took


@contextmanager
def _file_system() -> Iterator[Path]:
    """Mount a small file system (needs root)."""
    with tempfile.TemporaryDirectory(prefix="rls-") as made:
        _mount("-t", "tmpfs", "-o", "size=256k", "tmpfs", made)
        try:
            yield Path(made)
        finally:
            _unmount(made)


def _mount(*arguments: str) -> None:
    subprocess.run(["mount", *arguments], check=True, capture_output=True)  # noqa: S603, S607 - the system's own


def _unmount(place: str) -> None:
    subprocess.run(["umount", "-l", place], check=True)  # noqa: S603, S607 - the system's own
