"""Records become rows: each attempt and each message once, whatever order they come in, and never for ever."""

import sqlite3
from collections.abc import Iterator
from datetime import UTC, timedelta, timezone
from pathlib import Path
from typing import Any

import pytest

from sidecar.core.records import Item, Tokens
from sidecar.core.target import Target
from sidecar.daemon import history_tables
from sidecar.daemon.history_file import HistoryFile
from sidecar.report.book import opened
from tests.daemon.history_world import ALPHA, AT, BETA, began, decided, ended, notice, used

DAY = 86_400


class Kept:
    """A history on disk, and what is in it."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.file = HistoryFile(path, zone=UTC)

    def write(self, *items: Item) -> None:
        self.file.write(items)

    def rows(self, query: str) -> list[tuple[Any, ...]]:
        db = sqlite3.connect(self.path)
        found = db.execute(query).fetchall()
        db.close()
        return found

    def total(self) -> dict[str, Any]:
        with opened(self.path) as book:
            return book.usage("0000", "provider")["alpha"].to_json()


@pytest.fixture
def kept(tmp_path: Path) -> Iterator[Kept]:
    made = Kept(tmp_path / "history.db")
    yield made
    made.file.close()


def test_an_attempt_is_one_row_from_its_begin_to_what_it_used(kept: Kept) -> None:
    kept.write(began())
    assert kept.rows("SELECT requests, ended FROM attempts") == [(1, "")]
    kept.write(ended())
    kept.write(used())
    columns = (
        "SELECT at, day, session, turn, attempt, message, agent, project, provider, model, requests, ended, status"
    )
    assert kept.rows(columns + " FROM attempts") == [
        (AT, "2027-01-15", "s1", "t1", "a1", "m1", "build", "/home/me/x", "alpha", "m1", 1, "ok", 200)
    ]
    numbers = "SELECT latency_ms, first_token_ms, input, output, reasoning, cache_read, cache_write, nano_usd"
    assert kept.rows(numbers + " FROM attempts") == [(2_000, 500, 100, 20, 5, 1_000, 7, 250_000_000)]
    total = kept.total()
    assert (total["requests"], total["answered"], total["cost_usd"]) == (1, 1, 0.25)
    assert total["latency_ms"] == {"average": 2_000, "p95": pytest.approx(2_000, rel=0.05), "count": 1}


def test_what_is_written_twice_counts_once(kept: Kept) -> None:
    everything = (began(), ended(), used())
    kept.write(*everything, *everything)
    kept.write(*everything)
    kept.write(ended(how="failed"))
    assert kept.rows("SELECT count(*) FROM attempts") == [(1,)]
    total = kept.total()
    assert (total["requests"], total["answered"], total["failed"]) == (1, 1, 0)
    assert total["tokens"]["input"] == 100


def test_an_end_without_a_begin_is_a_request_too(kept: Kept) -> None:
    kept.write(ended(how="failed"), began())
    assert kept.rows("SELECT requests, ended, status, kind, rule FROM attempts") == [
        (1, "failed", 429, "rate_limit", "status.429")
    ]


def test_every_way_to_end_is_counted_by_its_name(kept: Kept) -> None:
    kept.write(began("open"), *(ended(how, how) for how in ("ok", "empty", "failed", "aborted")))
    total = kept.total()
    assert (total["requests"], total["answered"], total["failed"], total["aborted"]) == (5, 1, 2, 1)
    assert total["error_rate"] == 0.4
    assert total["first_token_ms"]["count"] == 1


@pytest.mark.parametrize(
    ("message", "finds"),
    [
        (used(completed=AT + 5), "one"),
        (used(completed=AT + 15), "two"),
        (used(completed=None), "two"),
        (used(completed=AT - 100), "two"),  # a clock of another time: the newest of the turn
        (used(turn="t0"), "one"),
        (used(target=BETA), ""),
        (used(session="s2"), ""),
        (used(agent="plan"), ""),
        (used(directory="/elsewhere"), ""),
    ],
)
def test_what_a_message_used_finds_the_attempt_that_answered_it(kept: Kept, message: Any, finds: str) -> None:
    kept.write(
        began("zero", at=AT - 60, turn="t0"),
        ended("zero", "failed"),
        began("one", at=AT),
        ended("one"),
        began("two", at=AT + 10),
        message,
    )
    assert kept.rows("SELECT attempt, requests FROM attempts WHERE message = 'm1'") == [(finds, int(bool(finds)))]
    with opened(kept.path) as book:
        groups = book.usage("0000", "agent").values()
    assert (sum(g.requests for g in groups), sum(g.input for g in groups)) == (3, 100)


def test_one_attempt_takes_one_message(kept: Kept) -> None:
    kept.write(began("one"), ended("one"), began("two"), ended("two"), used("m1"), used("m2"), used("m3"))
    assert sorted(kept.rows("SELECT attempt, message FROM attempts")) == [("", "m3"), ("one", "m2"), ("two", "m1")]


def test_tokens_are_counted_on_the_day_of_their_attempt(kept: Kept) -> None:
    midnight = 1_800_057_600.0
    kept.write(began(at=midnight - 1), ended(at=midnight + 4), used(at=midnight + 5, completed=midnight + 4))
    assert kept.rows("SELECT day, requests, answered, input FROM daily") == [("2027-01-15", 1, 1, 100)]


def test_days_are_those_of_the_place(tmp_path: Path) -> None:
    file = HistoryFile(tmp_path / "history.db", zone=timezone(timedelta(hours=-9)))
    file.write([began()])
    file.close()
    with opened(tmp_path / "history.db") as book:
        assert book.usage("2027-01-15", "provider") == {}
        assert list(book.usage("2027-01-14", "provider")) == ["alpha"]


def test_an_agent_that_reports_only_messages_has_a_row_for_each(kept: Kept) -> None:
    kept.write(used("m1", request=True), used("m2", request=True, ended="failed", tokens=Tokens(), cost=0.0))
    assert kept.rows("SELECT message, requests, ended, input FROM attempts") == [
        ("m1", 1, "ok", 100),
        ("m2", 1, "failed", 0),
    ]
    total = kept.total()
    assert (total["requests"], total["answered"], total["failed"]) == (2, 1, 1)


def test_decisions_and_events_are_kept_with_their_reasons(kept: Kept) -> None:
    kept.write(decided(), notice())
    with opened(kept.path) as book:
        (decision,) = book.decisions(9)
        (event,) = book.happened(9)
    assert (decision["asked"], decision["target"], decision["origin"]) == ("alpha/m1", "beta/m1", "same_model")
    assert decision["failure"]["rule"] == "status.429"
    assert [candidate["code"] for candidate in decision["rejected"]] == ["failed_in_turn", "not_needed"]
    assert (event["event"], event["source"], event["target"], event["text"]) == (
        "switch",
        "alpha/m1",
        "beta/m1",
        "too fast",
    )


def test_what_is_old_goes_in_bounded_slices_and_totals_stay_a_year(kept: Kept, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(history_tables, "SLICE", 2)
    kept.write(*(began(f"a{i}", at=AT + i) for i in range(5)), began("new", at=AT + 3 * DAY), decided(), notice())
    now = AT + 2 * DAY + 60
    assert [kept.file.prune(now) for _ in range(4)] == [False, False, True, True]
    assert kept.rows("SELECT attempt FROM attempts") == [("new",)]
    assert kept.total()["requests"] == 6
    assert kept.rows("SELECT (SELECT count(*) FROM decisions), (SELECT count(*) FROM happened)") == [(1, 1)]
    assert kept.file.prune(AT + 100 * DAY)
    assert kept.rows("SELECT (SELECT count(*) FROM decisions), (SELECT count(*) FROM happened)") == [(0, 0)]
    assert kept.file.prune(AT + 367 * DAY)
    assert kept.rows("SELECT day FROM daily") == [("2027-01-18",)]


def test_a_table_keeps_no_more_rows_than_it_may(kept: Kept, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(history_tables.KEPT, "happened", (90 * DAY, 3))
    kept.write(*(notice(at=AT + i) for i in range(8)))
    assert kept.file.prune(AT)
    assert kept.rows("SELECT at FROM happened") == [(AT + i,) for i in (5, 6, 7)]


def test_names_without_end_are_counted_together(kept: Kept, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(history_tables, "MOST_GROUPS", 2)
    kept.write(*(ended(f"a{i}", target=Target("alpha", f"m{i}")) for i in range(5)), began("first", target=ALPHA))
    with opened(kept.path) as book:
        models = {name: used.answered for name, used in book.usage("0000", "model").items()}
    assert models == {"other/other": 3, "alpha/m1": 1, "alpha/m0": 1}


def test_a_batch_is_written_as_a_whole_or_not_at_all(kept: Kept) -> None:
    kept.write(began("a0"))
    with pytest.raises(TypeError):
        kept.write(began("a1"), began("a2", at=None))
    with pytest.raises(sqlite3.IntegrityError):
        kept.write(began("a1"), notice().model_copy(update={"session": None}))
    kept.write(began("a3"))
    assert kept.rows("SELECT attempt FROM attempts") == [("a0",), ("a3",)]
    assert kept.total()["requests"] == 2
