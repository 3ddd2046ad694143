"""Reading the state file: what cannot be used is set aside under a name that says why, and nothing is overwritten."""

import os
from pathlib import Path

import pytest

from sidecar.core.memory import NewerStateError
from sidecar.daemon.document import SIZE_LIMIT
from sidecar.daemon.store import ASIDE_KEPT
from tests.daemon.conftest import until
from tests.daemon.store_world import World


@pytest.fixture
def world(home: Path) -> World:
    return World(home / "state.json")


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
