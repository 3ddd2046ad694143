"""Watching: files that appear, are replaced, move or hide behind links are all noticed."""

import asyncio
import shutil
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from sidecar.daemon import watch as watch_module
from sidecar.daemon.watch import Watcher, directories
from tests.daemon.conftest import until


class Watched:
    """A watcher at work, and what it would find."""

    def __init__(self, *files: Path) -> None:
        self.files = list(files)
        self.looks = 0
        self.watcher = Watcher(lambda: self.files, self._look)
        self.task = asyncio.get_running_loop().create_task(self.watcher.run())

    def _look(self) -> None:
        self.looks += 1

    async def sees(self, what: str) -> None:
        seen = self.looks
        await until(lambda: self.looks > seen, f"it notices {what}")

    async def settled(self) -> None:
        """Wait until it watches what is there now."""
        for _ in range(2):
            self.watcher.refresh()
            await self.sees("the refresh")
        await asyncio.sleep(0.05)


@pytest.fixture
async def watched(home: Path) -> AsyncIterator[Watched]:
    made = Watched(home / "a" / "b" / "rate-limit.jsonc")
    await asyncio.sleep(0)
    await made.settled()
    yield made
    made.watcher.stop()
    await asyncio.wait_for(made.task, 5)


async def test_from_nothing_to_a_file_to_a_replaced_file_to_nothing(watched: Watched, home: Path) -> None:
    file = watched.files[0]
    file.parent.parent.mkdir()
    await watched.sees("the upper directory")
    await watched.settled()
    file.parent.mkdir()
    await watched.sees("the directory")
    await watched.settled()
    file.write_text("{}")
    await watched.sees("the file")
    (file.parent / ".new").write_text("{ }")
    await watched.settled()
    (file.parent / ".new").rename(file)
    await watched.sees("the replacement")
    await watched.settled()
    shutil.rmtree(home / "a")
    await watched.sees("the end of it all")
    await watched.settled()
    file.parent.mkdir(parents=True)
    await watched.sees("the new beginning")


async def test_a_new_file_to_watch_is_watched(watched: Watched, home: Path) -> None:
    (home / "project").mkdir()
    watched.files.append(home / "project" / "rate-limit.jsonc")
    await watched.settled()
    watched.files[1].write_text("{}")
    await watched.sees("the project's file")


async def test_what_a_link_leads_to_is_watched(watched: Watched, home: Path) -> None:
    (home / "dotfiles").mkdir()
    (home / "dotfiles" / "rl.jsonc").write_text("{}")
    watched.files.append(home / "link.jsonc")
    watched.files[1].symlink_to(home / "dotfiles" / "rl.jsonc")
    await watched.settled()
    (home / "dotfiles" / "rl.jsonc").write_text("{  }")
    await watched.sees("the change behind the link")


async def test_when_watching_is_impossible_it_looks_by_the_clock(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def out_of_watches(*_: object, **__: object) -> None:
        raise OSError(28, "inotify watch limit reached")

    monkeypatch.setattr(watch_module, "watch", out_of_watches)
    monkeypatch.setattr(watch_module, "LOOK_S", 0.01)
    made = Watched(home / "x.jsonc")
    await made.sees("nothing in particular")
    await made.sees("nothing again")
    monkeypatch.setattr(watch_module, "LOOK_S", 60)
    await asyncio.sleep(0.02)
    made.watcher.stop()
    await asyncio.wait_for(made.task, 5)


async def test_changes_nobody_reports_are_found_by_the_clock(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(watch_module, "LOOK_S", 0.05)
    made = Watched(home / "x.jsonc")
    await made.sees("nothing in particular")
    await made.sees("nothing again")
    made.watcher.stop()
    await asyncio.wait_for(made.task, 5)


def test_the_nearest_directories_that_exist_are_watched_and_never_a_tree(home: Path) -> None:
    (home / "p").mkdir()
    assert directories([home / "p" / ".opencode" / "x", home / "p" / "y", home / "q" / "r" / "s"]) == {home / "p", home}
