"""The state file: whole or old, never half; on disk before anybody is told; and decisions go on without it."""

import asyncio
import errno
import json
import math
import os
import stat
import threading
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from sidecar.core.memory import NewerStateError
from sidecar.daemon.store import ASIDE_KEPT, SIZE_LIMIT, Disk, Store
from tests.daemon.conftest import Recorder, until

FIXED = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)


class Held:
    """What the engine would hold."""

    def __init__(self) -> None:
        self.value = 0
        self.dumps = 0

    def dump(self) -> dict[str, Any]:
        self.dumps += 1
        return {"version": 1, "value": self.value}


class Faulty:
    """A disk on which one call can be told to fail, or to wait."""

    def __init__(self) -> None:
        self.failing = ""
        self.error: OSError = OSError(errno.ENOSPC, "No space left on device")
        self.calls: list[str] = []
        self.gate = threading.Event()
        self.gate.set()
        self.short = False
        self.busy = 0
        self.busiest = 0

    def disk(self) -> Disk:
        return Disk(
            open=self._wrap("open", os.open),
            write=self._wrap("write", self._write),
            fsync=self._wrap("fsync", os.fsync),
            replace=self._wrap("replace", os.replace),
            fsync_directory=self._wrap("fsync_directory", os.fsync),
        )

    def _write(self, fd: int, data: memoryview) -> int:
        return os.write(fd, data[:7] if self.short else data)

    def _wrap(self, name: str, real: Callable[..., Any]) -> Callable[..., Any]:
        def call(*args: Any) -> Any:
            self.busy += 1
            self.busiest = max(self.busiest, self.busy)
            try:
                if name == "fsync":
                    self.gate.wait(5)
                self.calls.append(name)
                if name == self.failing:
                    raise self.error
                return real(*args)
            finally:
                self.busy -= 1

        return call


class World:
    """A store, what it saves, its disk and its log."""

    def __init__(self, path: Path, **options: Any) -> None:
        self.path = path
        self.held, self.faulty, self.log = Held(), Faulty(), Recorder()
        options = {"lazy_s": 0.01, "retry_s": (0.01, 0.02), "patience_s": 5, "utcnow": lambda: FIXED, **options}
        self.losses = 0
        self.store = Store(path, self.held.dump, self.log, lost=self._lost, disk=self.faulty.disk(), **options)

    def _lost(self) -> None:
        self.losses += 1
        self.held.value = 0

    def saved(self) -> Any:
        return json.loads(self.path.read_text())["value"]

    def litter(self) -> list[str]:
        return sorted(entry.name for entry in self.path.parent.iterdir() if entry != self.path)


@pytest.fixture
def world(home: Path) -> World:
    return World(home / "state.json")


async def test_a_commit_is_on_disk_when_it_is_answered(world: World) -> None:
    world.held.value = 7
    assert await world.store.commit()
    assert world.saved() == 7
    assert stat.S_IMODE(world.path.stat().st_mode) == 0o600
    assert world.faulty.calls == ["open", "write", "fsync", "replace", "fsync_directory"]
    assert world.litter() == []
    await world.store.close()


async def test_the_file_is_private_whatever_the_umask(world: World) -> None:
    before = os.umask(0)
    try:
        await world.store.commit()
    finally:
        os.umask(before)
    assert stat.S_IMODE(world.path.stat().st_mode) == 0o600


async def test_missing_directories_are_made(home: Path) -> None:
    world = World(home / "a" / "b" / "state.json")
    assert await world.store.commit()
    assert world.saved() == 0


async def test_commits_share_writes_and_never_overlap(world: World) -> None:
    world.faulty.gate.clear()
    first = asyncio.create_task(world.store.commit())
    await until(lambda: world.held.dumps == 1, "the first write begins")
    world.held.value = 5
    others = [asyncio.create_task(world.store.commit()) for _ in range(50)]
    await asyncio.sleep(0)
    assert not any(task.done() for task in others)
    world.faulty.gate.set()
    assert await first
    assert all(await asyncio.gather(*others))
    assert world.store.writes == 2
    assert world.saved() == 5
    assert world.faulty.busiest == 1


async def test_a_commit_asked_for_during_a_write_waits_for_the_next_one(world: World) -> None:
    world.faulty.gate.clear()
    first = asyncio.create_task(world.store.commit())
    await until(lambda: world.held.dumps == 1, "the first write begins")
    world.held.value = 9
    second = asyncio.create_task(world.store.commit())
    world.faulty.gate.set()
    await first
    await second
    assert world.held.dumps == 2
    assert world.saved() == 9


async def test_one_who_stops_waiting_does_not_stop_the_others(world: World) -> None:
    world.faulty.gate.clear()
    first, second = (asyncio.create_task(world.store.commit()) for _ in range(2))
    await until(lambda: world.held.dumps == 1, "the write begins")
    first.cancel()
    world.faulty.gate.set()
    assert await second
    assert world.saved() == 0


async def test_what_nobody_waits_for_is_written_soon_and_once(world: World) -> None:
    world.store.touch()
    world.store.touch()
    assert not world.path.exists()
    await until(world.path.exists, "the lazy write")
    await until(lambda: world.store.writes == 1, "its end")
    world.held.value = 3
    world.store.touch()
    await until(lambda: world.saved() == 3, "the next lazy write")
    assert world.held.dumps == 2


async def test_closing_writes_what_is_left(home: Path) -> None:
    world = World(home / "state.json", lazy_s=60)
    world.held.value = 4
    world.store.touch()
    await world.store.close()
    assert world.saved() == 4


async def test_closing_without_flushing_leaves_the_file_to_its_new_owner(home: Path) -> None:
    world = World(home / "state.json", lazy_s=60)
    world.store.touch()
    await world.store.close(flush=False)
    assert not world.path.exists()


async def test_closing_waits_for_the_write_under_way(world: World) -> None:
    world.faulty.gate.clear()
    commit = asyncio.create_task(world.store.commit())
    await until(lambda: world.held.dumps == 1, "the write begins")
    closing = asyncio.create_task(world.store.close())
    await asyncio.sleep(0)
    assert not closing.done()
    world.faulty.gate.set()
    await closing
    assert await commit
    assert world.held.dumps == 1


async def test_short_writes_are_continued(world: World) -> None:
    world.faulty.short = True
    assert await world.store.commit()
    assert world.saved() == 0
    assert world.faulty.calls.count("write") > 3


@pytest.mark.parametrize("failing", ["open", "write", "fsync", "replace", "fsync_directory"])
async def test_every_failing_step_degrades_keeps_the_old_file_and_recovers_by_itself(
    world: World, failing: str
) -> None:
    world.held.value = 1
    assert await world.store.commit()
    world.faulty.failing = failing
    world.held.value = 2
    assert not await world.store.commit()
    assert world.store.problem == "state is not saved: [Errno 28] No space left on device"
    # Only the directory's fsync comes after the rename.
    assert world.saved() == (2 if failing == "fsync_directory" else 1)
    assert world.litter() == []
    writes = world.faulty.calls.count("open")
    assert not await world.store.commit()
    await until(lambda: world.faulty.calls.count("open") >= writes + 3, "it tries again")
    assert world.log.warnings() == ["state cannot be saved, going on without"]
    world.held.value = 3
    world.faulty.failing = ""
    await world.store.commit()
    await until(lambda: world.saved() == 3, "it recovers")
    await until(lambda: world.store.problem is None, "and says so")
    assert world.litter() == []
    assert world.log.lines[-1][1] == "state is saved again"
    world.held.value = 4
    assert await world.store.commit()
    assert world.saved() == 4
    await world.store.close()


async def test_those_who_asked_while_a_write_failed_are_answered_too(world: World) -> None:
    world.faulty.failing = "fsync"
    world.faulty.gate.clear()
    first = asyncio.create_task(world.store.commit())
    await until(lambda: world.held.dumps == 1, "the write begins")
    second = asyncio.create_task(world.store.commit())
    await asyncio.sleep(0)
    world.faulty.gate.set()
    assert not await first
    assert not await second
    await world.store.close(flush=False)


async def test_a_last_write_is_tried_when_closing_on_a_bad_disk(world: World) -> None:
    world.faulty.failing = "replace"
    await world.store.commit()
    before = world.held.dumps
    await world.store.close()
    assert world.held.dumps > before
    assert world.litter() == []


async def test_a_slow_disk_costs_patience_once_and_nobody_a_turn(home: Path) -> None:
    world = World(home / "state.json", patience_s=0.01)
    world.faulty.gate.clear()
    assert not await world.store.commit()
    assert world.store.problem == "state is not saved: the disk takes longer than 0.01 s"
    assert not await world.store.commit()
    assert world.log.warnings() == ["state cannot be saved, going on without"]
    world.held.value = 6
    world.store.touch()
    world.faulty.gate.set()
    await until(lambda: world.store.problem is None, "the disk answers")
    await world.store.close()
    assert world.saved() == 6


async def test_what_cannot_be_written_as_json_is_a_problem_not_a_crash(world: World) -> None:
    await world.store.commit()
    world.store._dump = lambda: {"value": math.nan}
    assert not await world.store.commit()
    assert world.store.problem is not None
    assert "JSON compliant" in world.store.problem
    assert world.saved() == 0
    await world.store.close(flush=False)


async def test_a_file_system_that_cannot_sync_directories_is_no_problem(world: World) -> None:
    world.faulty.failing, world.faulty.error = "fsync_directory", OSError(errno.EINVAL, "Invalid argument")
    assert await world.store.commit()


async def test_a_link_stays_a_link(home: Path) -> None:
    (home / "real").mkdir()
    (home / "state.json").symlink_to(home / "real" / "kept.json")
    world = World(home / "state.json")
    assert await world.store.commit()
    assert (home / "state.json").is_symlink()
    assert json.loads((home / "real" / "kept.json").read_text())["value"] == 0


async def test_deleting_the_file_resets_and_the_old_counts_do_not_come_back(world: World) -> None:
    world.held.value = 8
    await world.store.commit()
    world.path.unlink()
    assert await world.store.commit()
    assert (world.losses, world.saved()) == (1, 0)
    world.held.value = 9
    await world.store.commit()
    world.path.unlink()
    world.store.notice_deletion()
    assert world.losses == 2
    await until(world.path.exists, "it is written anew")
    world.store.notice_deletion()
    assert world.losses == 2


async def test_a_file_that_was_never_there_is_not_a_deleted_one(world: World) -> None:
    world.store.notice_deletion()
    await world.store.commit()
    assert world.losses == 0


async def test_a_file_that_cannot_be_looked_at_is_not_a_deleted_one(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    await world.store.commit()
    monkeypatch.setattr(Path, "stat", lambda *_, **__: (_ for _ in ()).throw(PermissionError(13, "no")))
    world.store.notice_deletion()
    monkeypatch.undo()
    assert world.losses == 0


async def test_people_can_read_it(home: Path) -> None:
    world = World(home / "state.json")
    world.store._dump = lambda: {"version": 1, "providers": {"a": {"x": [1, 2], "y": {}}, "b": {}}, "empty": {}}
    await world.store.commit()
    assert world.path.read_text() == (
        '{\n "version": 1,\n "providers": {\n  "a": {"x": [1, 2], "y": {}},\n  "b": {}\n },\n "empty": {}\n}\n'
    )


def test_what_was_written_is_read(world: World) -> None:
    world.path.write_text('{"version": 1}')
    got: list[object] = []
    world.store.read(got.append)
    assert got == [{"version": 1}]
    assert world.log.lines == []


def test_no_file_is_a_fresh_start_without_a_word(world: World) -> None:
    world.store.read(unexpected)
    assert world.log.lines == []


def unexpected(_data: object) -> None:
    pytest.fail("there was nothing to read")


DAMAGED: dict[str, bytes] = {
    "empty": b"",
    "cut off": b'{"version": 1, "prov',
    "not json": b"hello",
    "nan": b'{"a": NaN}',
    "infinity": b'{"a": -Infinity}',
    "too large a number": b'{"a": 1e999}',
    "too long a number": b"1" * 5000,
    "not utf-8": b'{"a": "\xff"}',
    "nul bytes": b"\0" * 100,
    "too deep": b"[" * 200_000,
}


@pytest.mark.parametrize("content", DAMAGED.values(), ids=DAMAGED)
async def test_damaged_files_are_set_aside_with_one_warning(world: World, content: bytes) -> None:
    world.path.write_bytes(content)
    world.store.read(lambda _: None)
    assert world.log.warnings() == ["state file cannot be used, starting afresh"]
    assert not world.path.exists()
    assert world.litter() == ["state.json.damaged-20260102T030405Z"]
    assert (world.path.parent / world.litter()[0]).read_bytes() == content
    assert await world.store.commit()
    assert world.losses == 0


@pytest.mark.parametrize(("error", "kept"), [(ValueError, "damaged"), (NewerStateError, "newer")])
def test_what_the_engine_cannot_take_is_set_aside_under_a_name_that_says_why(
    world: World, error: type[Exception], kept: str
) -> None:
    def refuse(_data: object) -> None:
        raise error("version: 99 is not ours")

    world.path.write_text('{"version": 99}')
    world.store.read(refuse)
    assert world.litter() == [f"state.json.{kept}-20260102T030405Z"]
    assert world.log.lines[0][2]["why"] == "version: 99 is not ours"


async def test_a_newer_file_survives_any_number_of_damaged_ones(world: World) -> None:
    def newer(_data: object) -> None:
        raise NewerStateError("newer")

    world.path.write_text('{"version": 99}')
    world.store.read(newer)
    for number in range(ASIDE_KEPT + 2):
        world.path.write_text(f"damaged {number}")
        world.store.read(unexpected)
    assert [name for name in world.litter() if ".newer-" in name] == ["state.json.newer-20260102T030405Z"]


def test_directories_and_pipes_in_its_place_are_set_aside_and_not_waited_for(home: Path) -> None:
    for make in (Path.mkdir, os.mkfifo):
        world = World(home / "state.json")
        make(world.path)
        world.store.read(unexpected)
        assert world.log.warnings() == ["state file cannot be used, starting afresh"]
        assert not world.path.exists()


def test_a_huge_file_is_not_read(world: World) -> None:
    with world.path.open("wb") as file:
        file.truncate(SIZE_LIMIT + 1)
    world.store.read(unexpected)
    assert len(world.litter()) == 1


def test_only_the_newest_damaged_files_are_kept_and_none_is_overwritten(world: World) -> None:
    for number in range(ASIDE_KEPT + 3):
        world.path.write_text(f"damaged {number}")
        world.store.read(unexpected)
    kept = [(world.path.parent / name).read_text() for name in world.litter()]
    assert sorted(kept) == [f"damaged {number}" for number in range(3, ASIDE_KEPT + 3)]


async def test_a_damaged_file_that_cannot_be_set_aside_is_never_overwritten(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    world.path.write_text("damaged")
    rename = Path.rename
    monkeypatch.setattr(Path, "rename", lambda *_: (_ for _ in ()).throw(PermissionError(13, "Permission denied")))
    world.store.read(unexpected)
    assert world.log.lines[0][2]["kept_as"] is None
    assert not await world.store.commit()
    assert world.path.read_text() == "damaged"
    monkeypatch.setattr(Path, "rename", rename)
    await until(lambda: world.store.problem is None, "it recovers")
    assert world.saved() == 0
    assert len(world.litter()) == 1
    await world.store.close()


def test_what_a_killed_daemon_left_half_written_is_removed(world: World) -> None:
    for name in (".state.json.1.tmp", ".state.json.99.tmp", ".other.json.1.tmp"):
        (world.path.parent / name).touch()
    world.store.read(unexpected)
    assert world.litter() == [".other.json.1.tmp"]
