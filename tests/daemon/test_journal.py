"""Lines beside the state file: what is acknowledged is read again, and nothing torn, stale or damaged ever is."""

import asyncio
import json
import shutil
import tempfile
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import pytest

from sidecar.daemon.disk import Disk
from sidecar.daemon.journal import Journal, changes_after, found
from tests.daemon.conftest import until
from tests.daemon.store_world import World


class Counting(World):
    """A store whose changes are one value: `None` in `said` makes one that only a document can say."""

    def __init__(self, path: Path, **options: Any) -> None:
        self.said: list[dict[str, Any] | None] = []
        super().__init__(path, changes=self._changes, merge=self._merge, **{"lazy_s": 60, **options})

    def _changes(self) -> dict[str, Any] | None:
        return self.said.pop(0) if self.said else {"value": self.held.value}

    def _merge(self, document: dict[str, Any], changes: Iterable[dict[str, Any]]) -> None:
        for change in changes:
            if change["value"] == "bad":
                raise ValueError("bad")
            document["value"] = change["value"]

    async def count(self, value: Any) -> bool:
        self.held.value = value
        return await self.store.commit()

    def take(self, data: Any) -> None:
        self.held.value = data["value"]

    async def begin_document(self) -> None:
        """Have the lazy write begin now, on a disk that does not come to its end yet."""
        await until(lambda: self.store._writing is None, "the write before")
        self.faulty.gate.clear()
        before = self.held.dumps
        self.store.touch()
        self.store._start()
        await until(lambda: self.held.dumps == before + 1, "the document begins")

    def read(self) -> Any:
        """Give what the next daemon would read; of a copy, because this one is still at work."""
        got: list[Any] = []
        with tempfile.TemporaryDirectory() as made:
            for name in (*([self.path.name] if self.path.exists() else []), *self.journals()):
                if (self.path.parent / name).is_file():
                    shutil.copy(self.path.parent / name, made)
            Counting(Path(made) / self.path.name).store.read(got.append)
        return got[0]["value"] if got else None

    def journals(self) -> list[str]:
        return [name for name in self.litter() if name.endswith(".journal")]


@pytest.fixture
def world(home: Path) -> Counting:
    return Counting(home / "state.json")


async def test_the_first_report_is_a_document_and_the_next_ones_are_lines(world: Counting) -> None:
    assert await world.count(1)
    assert world.store.writes == 1
    assert world.journals() == []
    for value in (2, 3):
        assert await world.count(value)
        assert (world.saved(), world.read()) == (1, value)
    assert world.store.writes == 1
    assert len(world.journals()) == 1
    assert world.path.parent.joinpath(world.journals()[0]).stat().st_mode & 0o777 == 0o600


async def test_a_document_follows_and_nothing_is_left_after_the_end(home: Path) -> None:
    world = Counting(home / "state.json", lazy_s=0.01)
    await world.count(1)
    await world.count(2)
    await until(lambda: world.saved() == 2, "the next document")
    assert await world.count(3)
    await world.store.close()
    assert (world.saved(), world.litter()) == (3, [])


async def test_a_line_does_not_wait_for_a_document_and_continues_it(world: Counting) -> None:
    await world.count(1)
    await world.count(2)
    await world.begin_document()
    assert await world.count(3)
    # The old document and both journals, then the new document and the second one.
    assert (world.saved(), world.read(), len(world.journals())) == (1, 3, 2)
    world.faulty.gate.set()
    await until(lambda: len(world.journals()) == 1, "the document")
    assert (world.saved(), world.read()) == (2, 3)
    await world.store.close()
    assert world.litter() == []


async def test_lines_asked_for_while_one_is_written_share_the_next(world: Counting) -> None:
    await world.count(1)
    writes = world.faulty.calls.count("write")
    assert all(await asyncio.gather(*(world.count(value) for value in range(50))))
    assert world.faulty.calls.count("write") == writes + 2
    assert world.read() == 49


async def test_what_a_line_cannot_say_is_on_disk_when_it_is_answered(world: Counting) -> None:
    await world.count(1)
    await world.count(2)
    world.said = [None]
    assert await world.count(3)
    assert world.saved() == 3
    assert await world.count(4)
    assert (world.saved(), world.read()) == (3, 4)


async def test_reports_during_such_a_document_wait_for_it(world: Counting) -> None:
    await world.count(1)
    world.faulty.gate.clear()
    world.said = [None]
    first = asyncio.create_task(world.count(2))
    await until(lambda: world.held.dumps == 2, "the document begins")
    second = asyncio.create_task(world.count(3))
    await asyncio.sleep(0.01)
    assert world.journals() == []
    world.faulty.gate.set()
    assert await first
    assert await second
    assert (world.saved(), world.read()) == (2, 3)


@pytest.mark.parametrize("failing", ["open", "write"])
async def test_a_line_that_cannot_be_written_degrades_and_a_document_mends_it(world: Counting, failing: str) -> None:
    await world.count(1)
    world.faulty.failing = failing
    assert not await world.count(2)
    assert world.store.problem == "state is not saved: [Errno 28] No space left on device"
    assert not await world.count(3)
    assert world.read() == 1
    assert world.log.warnings() == ["state cannot be saved, going on without"]
    world.faulty.failing = ""
    await until(lambda: world.store.problem is None, "it recovers")
    assert world.saved() == 3
    assert await world.count(4)
    assert world.read() == 4
    await world.store.close()
    assert world.litter() == []


@pytest.mark.parametrize("failing", ["fsync", "replace"])
async def test_a_document_that_cannot_be_written_leaves_what_was_acknowledged(world: Counting, failing: str) -> None:
    await world.count(1)
    await world.count(2)
    world.faulty.failing = failing
    world.held.value = 3
    await world.begin_document()
    world.faulty.gate.set()
    await until(lambda: world.store.problem is not None, "it fails")
    assert not await world.count(4)
    assert (world.saved(), world.read()) == (1, 3)
    world.faulty.failing = ""
    await until(lambda: world.store.problem is None, "it recovers")
    assert world.saved() == 4
    await until(lambda: world.journals() == [], "what it holds is removed")


async def test_a_line_that_fails_while_a_document_is_written_is_not_forgotten(world: Counting) -> None:
    await world.count(1)
    world.held.value = 2
    await world.begin_document()
    await until(lambda: not world.store._lines, "the last line of the old journal")
    world.faulty.failing = "write"
    assert not await world.count(3)
    world.faulty.failing = ""
    world.faulty.gate.set()
    await until(lambda: world.store.problem is None, "it recovers")
    assert world.saved() == 3


async def test_a_slow_line_costs_patience_once_and_nobody_a_turn(home: Path) -> None:
    world = Counting(home / "state.json", patience_s=0.05)
    await world.count(1)
    world.faulty.slow = "write"
    world.faulty.gate.clear()
    first, second = asyncio.create_task(world.count(2)), asyncio.create_task(world.count(3))
    assert not await first
    assert not await second
    assert world.store.problem == "state is not saved: the disk takes longer than 0.05 s"
    assert not await world.count(4)
    assert world.log.warnings() == ["state cannot be saved, going on without"]
    world.faulty.gate.set()
    await until(lambda: world.store.problem is None, "the disk answers")
    assert world.saved() == 4
    await world.store.close()
    assert world.litter() == []


async def test_a_slow_document_costs_nobody_anything(home: Path) -> None:
    # Long enough for a line on a busy machine, short enough to have the document exceed it.
    world = Counting(home / "state.json", patience_s=0.25)
    await world.count(1)
    await world.begin_document()
    for value in range(2):
        assert await world.count(value)
        await asyncio.sleep(0.3)
    assert world.store.problem is None
    world.faulty.gate.set()
    await world.store.close()


async def test_what_is_not_json_is_a_problem_and_not_a_crash(world: Counting) -> None:
    await world.count(1)
    world.said = [{"value": float("nan")}]
    assert not await world.count(2)
    assert world.store.problem is not None
    await until(lambda: world.store.problem is None, "it recovers")
    assert world.saved() == 2


async def test_deleting_the_file_leaves_nothing_of_the_lines(world: Counting) -> None:
    await world.count(1)
    await world.count(2)
    world.path.unlink()
    assert world.read() is None
    await world.count(3)
    assert (world.losses, world.read()) == (1, 0)
    await until(lambda: world.journals() == [], "what was before is removed")


async def test_an_older_daemon_leaves_the_file_to_its_new_owner(world: Counting) -> None:
    await world.count(1)
    await world.count(2)
    await world.store.close(flush=False)
    assert (world.saved(), world.read()) == (1, 2)


async def test_a_new_daemon_writes_what_it_read_and_removes_what_the_old_one_left(world: Counting) -> None:
    await world.count(1)
    await world.count(2)
    after = Counting(world.path)
    after.store.read(after.take)
    assert len(after.journals()) == 1
    await after.store.close()
    assert (after.saved(), after.litter()) == (2, [])


def one(world: Counting) -> Path:
    return world.path.parent / world.journals()[0]


def cut(file: Path) -> None:
    file.write_bytes(file.read_bytes()[:-3])


def flip(file: Path) -> None:
    text = bytearray(file.read_bytes())
    text[-4] ^= 1
    file.write_bytes(text)


def nonsense(file: Path) -> None:
    file.write_bytes(file.read_bytes() + b"hello\n")


@pytest.mark.parametrize(
    ("harm", "left"), [(cut, 2), (flip, 2), (nonsense, 3), (Path.unlink, 1)], ids=lambda p: str(p)[:20]
)
async def test_a_torn_or_damaged_line_ends_the_journal(
    world: Counting, harm: Callable[[Path], None], left: int
) -> None:
    for value in (1, 2, 3):
        await world.count(value)
    harm(one(world))
    assert world.read() == left
    assert world.log.warnings() == []


async def test_a_journal_at_every_length_is_some_state_in_between(world: Counting) -> None:
    for value in (1, 2, 3):
        await world.count(value)
    whole = one(world).read_bytes()
    seen = []
    for length in range(len(whole) + 1):
        one(world).write_bytes(whole[:length])
        seen.append(world.read())
    assert seen == sorted(seen)
    assert set(seen) == {1, 2, 3}


async def test_a_journal_of_another_document_is_never_used(world: Counting) -> None:
    await world.count(1)
    await world.count(2)
    document = json.loads(world.path.read_text())
    for journal in ("0" * 16, None, 7):
        world.path.write_text(json.dumps({**document, "journal": journal}))
        assert world.read() == 1
    world.path.write_text('{"version": 1, "value": 5}')
    assert world.read() == 5


async def test_a_journal_that_does_not_fit_its_document_is_left_out(world: Counting) -> None:
    await world.count(1)
    await world.count("bad")
    after = Counting(world.path)
    got: list[object] = []
    after.store.read(got.append)
    assert got == [{"version": 1, "value": 1}]
    assert after.log.warnings() == ["journal cannot be used, going on without"]


def test_journals_that_follow_each_other_in_a_ring_have_an_end(tmp_path: Path) -> None:
    state = tmp_path / "state.json"
    for name, after in (("a", ("b", 1)), ("b", ("a", 1))):
        journal = Journal(state, after, name)
        journal.write(journal.lines({"of": name}), Disk())
    assert changes_after("a", found(state)) == [{"of": "a"}, {"of": "b"}]


@pytest.mark.parametrize("lost", [3, 34])
def test_nothing_follows_a_journal_of_which_something_is_missing(tmp_path: Path, lost: int) -> None:
    state = tmp_path / "state.json"
    first = Journal(state, None, "a")
    for number in (1, 2):
        first.write(first.lines({"number": number}), Disk())
    second = Journal(state, ("a", first.count), "b")
    second.write(second.lines({"number": 3}), Disk())
    assert [change["number"] for change in changes_after("a", found(state))] == [1, 2, 3]
    # A machine that dies may lose the end of a file, and in the middle of a line no more often than between two.
    whole = first.path.read_bytes()
    cut_to = len(whole) - lost if lost < len(b"00000000 {}") else whole.rindex(b"\n", 0, -1) + 1
    first.path.write_bytes(whole[:cut_to])
    assert [change["number"] for change in changes_after("a", found(state))] == [1]


def test_nothing_is_written_after_a_torn_line(tmp_path: Path) -> None:
    def refuse(*_: object) -> int:
        raise OSError(28, "No space left on device")

    journal = Journal(tmp_path / "state.json", None)
    with pytest.raises(OSError, match="No space"):
        journal.write(journal.lines({}), Disk(write=refuse))
    with pytest.raises(OSError, match="earlier line"):
        journal.write(journal.lines({}), Disk())
    journal.discard()
    assert found(tmp_path / "state.json") == []


def test_what_only_has_the_name_of_a_journal_is_none(tmp_path: Path) -> None:
    state = tmp_path / "state.json"
    (tmp_path / ".state.json.a.journal").mkdir()
    (tmp_path / ".state.json.b.journal").write_text("")
    (tmp_path / ".state.json.c.journal").write_bytes(b"\xff\n")
    assert changes_after("a", found(state)) == []
