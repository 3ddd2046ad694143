"""Writing the state file: whole or old, never half; on disk before anybody is told; and decisions go on without it."""

import asyncio
import errno
import json
import math
import os
import stat
from pathlib import Path

import pytest

from tests.daemon.conftest import until
from tests.daemon.store_world import World


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
