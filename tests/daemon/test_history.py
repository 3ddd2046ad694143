"""The usage history is never in the way: whatever is wrong with its file, it waits, mends itself, and says so."""

import functools
import os
import sqlite3
import stat
import sys
import time
from collections.abc import AsyncIterator, Iterator
from datetime import UTC
from pathlib import Path
from typing import Any

import pytest

from sidecar.daemon.history import BATCH, GATHER_S, REST_S, History
from sidecar.daemon.history_file import KEPT_ASIDE, HistoryFile
from sidecar.daemon.places import history_file
from sidecar.report.book import opened
from tests.daemon.conftest import Clock, InProcess, Recorder, limited, outcome, request, until
from tests.daemon.history_world import AT, began, ended


class Desk:
    """A history without its thread: `work` is called by hand."""

    def __init__(self, path: Path, **more: Any) -> None:
        self.path, self.log = path, Recorder()
        self.pages = 0
        self.file = HistoryFile(path, zone=UTC, busy_s=0.01, opened=self._opened)
        self.history = History(path, self.log, clock=lambda: AT, file=self.file, **more)

    def _opened(self, db: sqlite3.Connection) -> None:
        self.db = db
        if self.pages:
            db.execute(f"PRAGMA max_page_count = {self.pages}")

    def put(self, *items: Any) -> float | None:
        for item in items:
            self.history.put(item)
        return self.history.work()

    @property
    def problem(self) -> str:
        return self.history.problem or ""

    def requests(self) -> int:
        with opened(self.path) as book:
            return sum(used.requests for used in book.usage("0000", "provider").values())

    def aside(self) -> list[str]:
        return sorted(f.name for f in self.path.parent.iterdir() if f.name.startswith(f"{self.path.name}."))


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[Desk]:
    made = Desk(tmp_path / "state" / "history.db")
    yield made
    made.file.close()


def test_the_file_is_private_and_so_is_what_lies_beside_it(desk: Desk) -> None:
    assert desk.put(began()) is None
    modes = {f.name: stat.S_IMODE(f.stat().st_mode) for f in desk.path.parent.iterdir()}
    assert modes == dict.fromkeys(["history.db", "history.db-wal", "history.db-shm"], 0o600)
    assert stat.S_IMODE(desk.path.parent.stat().st_mode) == 0o700
    assert desk.db.execute("PRAGMA journal_mode").fetchone() == ("wal",)


def test_a_file_others_could_read_is_closed_to_them(desk: Desk) -> None:
    desk.put(began())
    desk.file.close()
    desk.path.chmod(0o644)
    desk.put(began("a2"))
    assert stat.S_IMODE(desk.path.stat().st_mode) == 0o600


def test_a_deleted_file_is_made_anew(desk: Desk) -> None:
    desk.put(began("a1"))
    desk.path.unlink()
    desk.put(began("a2"))
    assert desk.requests() == 1
    assert desk.log.warnings() == []


@pytest.mark.parametrize("what", ["garbage", "another database", "other tables"])
def test_a_damaged_file_is_set_aside_once_with_one_warning(desk: Desk, what: str) -> None:
    desk.path.parent.mkdir(mode=0o700)
    if what == "garbage":
        desk.path.write_bytes(b"this is no database\n" * 500)
    else:
        db = sqlite3.connect(desk.path)
        db.execute("CREATE TABLE attempts (id INTEGER PRIMARY KEY)")
        db.execute(f"PRAGMA user_version = {1 if what == 'other tables' else 0}")
        db.commit()
        db.close()
    before = desk.path.read_bytes()
    assert desk.put(began()) == 0.0
    assert "not written" in desk.problem
    assert desk.put() is None
    assert not desk.problem
    assert desk.requests() == 1
    (name,) = desk.aside()
    assert name.startswith("history.db.damaged-")
    # Of one that opens, the header says afterwards how it was journaled.
    skipped = 100 if what == "other tables" else 0
    assert desk.path.with_name(name).read_bytes()[skipped:] == before[skipped:]
    assert desk.log.warnings() == ["usage history cannot be used, reports suffer and nothing else"]


def test_damage_that_appears_while_it_is_open_is_found_and_mended(desk: Desk) -> None:
    desk.put(*(began(f"a{i}") for i in range(300)))
    desk.file.close()
    content = bytearray(desk.path.read_bytes())
    content[4096:] = os.urandom(len(content) - 4096)
    desk.path.write_bytes(content)
    for i in range(3):
        desk.put(began(f"b{i}"))
    assert not desk.problem
    assert desk.requests() == 3
    assert len(desk.aside()) == 1


def test_a_newer_file_is_set_aside_whole(desk: Desk) -> None:
    desk.put(began("a1"))
    desk.db.execute("PRAGMA user_version = 7")
    desk.file.close()
    desk.put(began("a2"))
    desk.put()
    (name,) = desk.aside()
    assert name.startswith("history.db.newer-")
    db = sqlite3.connect(desk.path.with_name(name))
    assert db.execute("SELECT attempt FROM attempts").fetchall() == [("a1",)]
    db.close()
    assert desk.requests() == 1


def test_a_damaged_file_that_cannot_be_moved_is_waited_for(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    desk.path.parent.mkdir(mode=0o700)
    desk.path.write_bytes(b"no database" * 1_000)
    with monkeypatch.context() as patched:
        patched.setattr(Path, "rename", lambda *_: (_ for _ in ()).throw(PermissionError(13, "Permission denied")))
        assert [desk.put(began()), desk.put()] == [1.0, 2.0]
        assert "it cannot be moved: Permission denied" in desk.problem
    assert desk.put() == 4.0
    assert desk.put() is None
    assert desk.requests() == 1
    assert len(desk.log.warnings()) == 1


def test_only_the_newest_few_that_were_set_aside_are_kept(desk: Desk) -> None:
    desk.path.parent.mkdir(mode=0o700)
    for _ in range(KEPT_ASIDE + 2):
        desk.path.write_bytes(b"no database" * 1_000)
        desk.put(began())
        desk.put()
        desk.file.close()
    assert len(desk.aside()) == KEPT_ASIDE


def test_a_locked_file_is_waited_for(desk: Desk) -> None:
    desk.put(began("a1"))
    other = sqlite3.connect(desk.path, isolation_level=None)
    other.execute("BEGIN EXCLUSIVE")
    pauses = [desk.put(began("a2")), desk.put(ended("a2")), desk.put()]
    assert pauses == [1.0, 2.0, 4.0]
    assert "locked" in desk.problem
    assert len(desk.history) == 2
    other.execute("ROLLBACK")
    other.close()
    assert desk.put() is None
    assert desk.requests() == 2
    assert not desk.problem
    assert [level for level, _, _ in desk.log.lines] == ["warning", "info"]
    assert desk.aside() == []


def test_a_full_disk_costs_nothing_but_patience(desk: Desk) -> None:
    desk.put(began("first"))
    (pages,) = desk.db.execute("PRAGMA page_count").fetchone()
    desk.db.execute(f"PRAGMA max_page_count = {pages}")
    many = [began(f"a{i}") for i in range(400)]
    assert desk.put(*many) == 1.0
    assert "full" in desk.problem
    assert desk.requests() == 1
    desk.db.execute("PRAGMA max_page_count = 100000")
    assert desk.put() is None
    assert desk.requests() == 401


def test_a_place_that_cannot_be_written_is_waited_for(desk: Desk) -> None:
    desk.path.parent.parent.joinpath("state").write_text("a file where the directory belongs")
    assert desk.put(began()) == 1.0
    assert desk.problem
    desk.path.parent.unlink()
    assert desk.put() is None
    assert desk.requests() == 1


def test_a_python_without_sqlite_has_no_history_and_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "sidecar.daemon.history_file", None)
    history = History(tmp_path / "history.db", Recorder(), clock=lambda: AT)
    history.put(began())
    assert history.work() == 1.0
    assert "not written" in (history.problem or "")
    monkeypatch.undo()
    history.work()
    assert history.written == 1
    assert not history.problem
    history._database().close()


def test_what_does_not_fit_into_the_queue_is_lost_and_counted(tmp_path: Path) -> None:
    desk = Desk(tmp_path / "history.db", queue=3)
    for i in range(5):
        desk.history.put(began(f"a{i}"))
    assert (len(desk.history), desk.history.dropped) == (3, 2)
    desk.history.work()
    assert (desk.history.written, desk.requests()) == (3, 3)
    desk.file.close()


def test_a_record_that_cannot_be_written_costs_its_batch_and_no_more(desk: Desk) -> None:
    desk.put(began("a1"))
    assert desk.put(began("a2", at=None)) == 0.0
    desk.put(began("a3"))
    assert (desk.history.dropped, desk.requests()) == (1, 2)
    assert desk.log.warnings() == ["usage records are lost"]


def test_old_rows_go_a_slice_at_a_time(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sidecar.daemon.history_tables.SLICE", 2)
    assert desk.put(*(began(f"a{i}", at=AT - 3 * 86_400) for i in range(5))) == GATHER_S
    assert [desk.put(), desk.put(), desk.put()] == [GATHER_S, None, None]
    assert desk.db.execute("SELECT count(*) FROM attempts").fetchone() == (0,)


async def test_the_thread_writes_what_comes_and_is_asleep_when_nothing_does(tmp_path: Path) -> None:
    path = tmp_path / "history.db"
    history = History(path, Recorder(), clock=lambda: AT, gather_s=0.01)
    history.start()
    for i in range(20):
        history.put(began(f"a{i}"))
        if i % 5 == 0:
            await until(lambda: history._asleep, "the thread sleeps")
    await history.close()
    assert history.written == 20
    assert not path.with_name("history.db-wal").exists(), "closed properly"


def test_writing_leaves_room_for_answers_unless_records_would_be_lost(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    rests: list[float] = []
    monkeypatch.setattr(desk.history._stopping, "wait", rests.append)
    assert desk.put(*(began(f"a{i}") for i in range(100))) is None
    assert rests == [REST_S] * 5
    crowded = Desk(desk.path, queue=2 * (BATCH + 1))
    monkeypatch.setattr(crowded.history._stopping, "wait", rests.append)
    assert crowded.put(*(began(f"b{i}") for i in range(2 * BATCH + 1))) == 0.0
    crowded.file.close()
    assert len(rests) == 5


async def test_what_comes_faster_than_a_batch_at_a_time_is_written_without_a_pause(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    history = History(tmp_path / "history.db", Recorder(), clock=lambda: AT, gather_s=0.01)
    for i in range(3 * BATCH):
        history.put(began(f"a{i}"))
    waits: list[float | None] = []
    wait = history._stopping.wait

    def watched(timeout: float | None = None) -> bool:
        waits.append(timeout)
        return wait(timeout)

    monkeypatch.setattr(history._stopping, "wait", watched)
    history.start()
    await until(lambda: history.written == 3 * BATCH, "all is written")
    assert [waited for waited in waits if waited != REST_S] == [0.01, 0.0, 0.0]
    await history.close()


async def test_closing_does_not_wait_for_a_file_that_stays_locked(tmp_path: Path) -> None:
    path, log = tmp_path / "history.db", Recorder()
    history = History(path, log, clock=lambda: AT, gather_s=0.01, file=HistoryFile(path, busy_s=0.01))
    history.start()
    history.put(began())
    await until(lambda: history.written == 1, "the file is there")
    other = sqlite3.connect(path, isolation_level=None)
    other.execute("BEGIN EXCLUSIVE")
    history.put(ended())
    await history.close()
    other.close()
    assert log.warnings()[-1] == "usage history is not complete"


def test_putting_costs_the_event_loop_next_to_nothing(tmp_path: Path) -> None:
    history = History(tmp_path / "history.db", Recorder(), clock=lambda: AT, queue=100_000)
    item = began()
    began_at = time.perf_counter()
    for _ in range(100_000):
        history.put(item)
    assert (time.perf_counter() - began_at) / 100_000 < 50e-6, "some microseconds, on however busy a machine"


@pytest.fixture
async def quick(paths: Any, env: Any, clock: Clock, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[InProcess]:
    hurried = functools.partial(History, gather_s=0.01, retry_s=(0.05, 0.05))
    monkeypatch.setattr("sidecar.daemon.main.History", hurried)
    async with InProcess(paths, env, clock) as daemon:
        yield daemon


async def test_the_daemon_keeps_its_history_beside_the_state_file(quick: InProcess) -> None:
    await quick.post("/v1/route", request())
    await quick.post("/v1/outcome", limited())
    await quick.post("/v1/route", request("a2"))
    await quick.post("/v1/outcome", outcome("a2"))
    await until(lambda: not len(quick.daemon.history), "it is written")
    path = quick.paths.state.with_name("history.db")
    await until(path.exists, "it is there")

    def complete() -> bool:
        with opened(path) as book:
            return {row["event"] for row in book.happened(9)} == {"failure", "all_limited"} and len(
                book.attempts("s1")
            ) == 2

    await until(complete, "the failure and both attempts are there")
    with opened(path) as book:
        assert {row["attempt"]: row["ended"] for row in book.attempts("s1")} == {"a1": "failed", "a2": "ok"}
        assert book.decisions(9)[0]["failure"]["rule"] == "text.throttled"


async def test_health_says_when_history_is_not_written_and_decisions_go_on(quick: InProcess) -> None:
    path = quick.paths.state.with_name("history.db")
    path.mkdir()
    reply = await quick.post("/v1/outcome", limited())
    assert reply["failure"]["kind"] == "rate_limit"

    async def told() -> bool:
        return any("usage history" in problem for problem in (await quick.get("/v1/health"))["problems"])

    await until(told, "health says it")
    path.rmdir()

    async def well() -> bool:
        return bool((await quick.get("/v1/health"))["state"] == "ok")

    await until(well, "it recovers by itself", seconds=10)


@pytest.mark.parametrize(("state", "name"), [("state.json", "history.db"), ("mine.json", "mine-history.db")])
def test_each_state_file_has_a_history_of_its_own(tmp_path: Path, state: str, name: str) -> None:
    (tmp_path / "link.json").symlink_to(tmp_path / state)
    assert history_file(tmp_path / "link.json") == tmp_path / name
