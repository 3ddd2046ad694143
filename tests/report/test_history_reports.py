"""The reports on the history as people read them, and every number in them held against a plain recount."""

import sqlite3
import stat
from collections.abc import Callable
from datetime import UTC, date, timedelta, timezone
from pathlib import Path
from typing import Any

import pytest

from sidecar.core.decisions import Decision, FailureInfo, Reason, Rejected
from sidecar.core.failure import Kind, Scope
from sidecar.core.records import Item, Tokens
from sidecar.core.target import Target
from sidecar.daemon.history_file import HistoryFile
from sidecar.report import history, numbers, usage, why
from sidecar.report.book import Book, HistoryError, opened
from tests.daemon.history_world import AT, BETA, began, decided, ended, notice, used

DAY = 86_400
TODAY = date(2027, 1, 15)

Read = Callable[..., Any]


@pytest.fixture
def write(tmp_path: Path) -> Callable[..., Path]:
    def write(*items: Item) -> Path:
        file = HistoryFile(tmp_path / "history.db", zone=UTC)
        file.write(items)
        file.close()
        return tmp_path / "history.db"

    return write


def shown(path: Path, period: str = "today", by: Any = "provider", since: date = TODAY, home: str = "/home/me") -> str:
    with opened(path) as book:
        return usage.render(book.usage(since.isoformat(), by), period, since, by, home=home)


def some() -> list[Item]:
    sonnet = Target("anthropic", "claude-sonnet-4-5")
    items: list[Item] = []
    for i in range(40):
        items += [began(f"a{i}", target=sonnet), ended(f"a{i}", target=sonnet, latency_ms=4_000.0 + 100 * i)]
        items.append(used(f"m{i}", target=sonnet, tokens=Tokens(2_000, 300, 40, 60_000, 900), completed=None))
    items += [began("b1", target=sonnet), ended("b1", "failed", target=sonnet)]
    items += [began("b2", target=BETA, agent="plan"), ended("b2", target=BETA, agent="plan", latency_ms=150_000.0)]
    items += [began("old", at=AT - 3 * DAY, directory="")]
    return items


TODAY_BY_PROVIDER = """\
Used today (Fri 2027-01-15), by provider

  requests   errors   input  output   cache     cost  latency     p95  1st token
anthropic
        41    2.4 %     80k   13.6k    2.4M   $10.00    6.0 s   7.4 s     500 ms
beta
         1      0 %       0       0       0    $0.00    2 min   3 min     500 ms
total
        42    2.4 %     80k   13.6k    2.4M   $10.00    9.5 s   8.2 s     500 ms
"""


def test_usage_of_a_day_by_provider(write: Callable[..., Path]) -> None:
    assert shown(write(*some())) == TODAY_BY_PROVIDER


def test_usage_of_a_week_by_whatever_is_asked(write: Callable[..., Path]) -> None:
    path = write(*some())
    since = TODAY - timedelta(days=6)
    lines = shown(path, "week", "model", since).splitlines()
    assert lines[0] == "Used the last 7 days (Sat 2027-01-09 to now), by model"
    assert lines[3::2] == ["anthropic/claude-sonnet-4-5", "alpha/m1", "beta/m1", "total"]
    assert lines[6] == "         1      0 %       0       0       0    $0.00        -       -          -"
    assert shown(path, "week", "agent", since).splitlines()[3::2] == ["build", "plan", "total"]
    assert shown(path, "month", "project", since).splitlines()[3::2] == ["~/x", "(no project)", "total"]
    assert all(len(line) <= 80 for line in shown(path).splitlines())


def test_usage_of_nothing(write: Callable[..., Path], tmp_path: Path) -> None:
    nothing = "Nothing was used today (Fri 2027-01-15).\n"
    assert shown(tmp_path / "not there.db") == nothing
    assert shown(write(began(at=AT - DAY))) == nothing


HISTORY = """\
--- Thursday, 2027-01-14 ---
08:00:02 by hand anthropic: disable anthropic, by hand
--- Friday, 2027-01-15 ---
08:00:02 failed alpha/m1: too fast (until 08:01:30)  [build, s1]
08:00:02 switched alpha/m1 → beta/m1: too fast (until 08:01:30)  [build, s1]
08:00:09 nothing is free alpha/m1: too fast (until 2027-01-16 08:00)  [plan, s2]
08:00:20 budget used up beta: $4.00 of $4 a day are spent
08:00:30 configuration: a new configuration is in force
"""


def happenings() -> list[Item]:
    bare: dict[str, Any] = {"session": "", "agent": "", "until": None}
    disable = Reason(code="disable", text="disable anthropic, by hand")
    configured = Reason(code="configured", text="a new configuration is in force")
    spent = Reason(code="budget", text="$4.00 of $4 a day are spent")
    return [
        notice("control", at=AT - DAY + 2, source="anthropic", reason=disable, **bare),
        notice("failure"),
        notice("switch"),
        notice("all_limited", at=AT + 9, until=AT + DAY, session="s2", agent="plan"),
        notice("budget", at=AT + 20, source="beta", reason=spent, **bare),
        notice("control", at=AT + 30, source=None, reason=configured, **bare),
    ]


def test_history_in_the_readers_own_time(write: Callable[..., Path]) -> None:
    path = write(*happenings())
    with opened(path) as book:
        assert history.render(book.happened(50), UTC) == HISTORY
        there = history.render(book.happened(1), timezone(timedelta(hours=-9)))
    assert there.startswith("--- Thursday, 2027-01-14 ---\n23:00:30 configuration")
    assert history.render([]) == "Nothing happened: no switch, no failure.\n"


@pytest.mark.parametrize(
    ("asked", "events"),
    [
        ({"count": 2}, ["budget", "control"]),
        ({"since": AT + 5}, ["all_limited", "budget", "control"]),
        ({"session": "s2"}, ["all_limited"]),
        ({"session": "s"}, []),
        ({"target": "beta"}, ["switch", "budget"]),
        ({"target": "alpha/m1"}, ["failure", "switch", "all_limited"]),
        ({"target": "alpha/m"}, []),
        ({"target": "alph"}, []),
        ({"target": "alpha", "since": AT + 5, "session": "s2"}, ["all_limited"]),
    ],
)
def test_history_of_what_is_asked_for(write: Callable[..., Path], asked: dict[str, Any], events: list[str]) -> None:
    with opened(write(*happenings())) as book:
        assert [row["event"] for row in book.happened(**{"count": 50, **asked})] == events


WHY = """\
Session s1 (build, ~/x)

2027-01-15 08:00:02, after a request to alpha/m1
  it failed: status 429, rate limit: too fast
  read by rule status.429: it is about the model; the provider named 1 min 28 s
  decided: switch to beta/m1: too fast (until 08:01:30)
    ✗ alpha/m1 (where the turn was): already failed (until 08:01:30)
    ✓ beta/m1 (the same model elsewhere): taken
    · gamma/m1 (your chain): an earlier candidate is free

2027-01-15 08:00:40, a turn opens at alpha/m1
  decided: no switch: no target is free
    ✗ alpha/m1 (your own choice): cooling (until 08:01:30)
"""


def nothing_free() -> Item:
    choices = (Rejected(target="alpha/m1", origin="chosen", code="cooling", text="cooling", until=AT + 90),)
    reason = Reason(code="nothing_free", text="no target is free")
    return decided(moment="message", status=None, at=AT + 40, decision=Decision(reason=reason, rejected=choices))


def test_why_names_the_error_the_rule_and_every_candidate(write: Callable[..., Path]) -> None:
    with opened(write(decided(), nothing_free())) as book:
        rows = book.decisions(9, session="s1")
    assert why.render(rows, UTC, home="/home/me") == WHY


@pytest.mark.parametrize(
    ("decision", "says"),
    [
        ({"action": "wait", "until": AT + 9}, "decided: wait: too fast (until 08:00:09)"),
        ({"action": "refuse"}, "decided: do not send it: too fast"),
        ({"action": "proceed"}, "decided: no switch: too fast"),
        (
            {"action": "switch", "target": {"provider": "alpha", "model": "m1"}},
            "decided: go on with alpha/m1: too fast",
        ),
    ],
)
def test_why_says_what_was_decided(write: Callable[..., Path], decision: dict[str, Any], says: str) -> None:
    made = Decision.model_validate({"reason": {"code": "x", "text": "too fast"}, **decision})
    with opened(write(decided(decision=made))) as book:
        text = why.render(book.decisions(1), UTC)
    assert says in text
    assert ("✓ alpha/m1: taken" in text) is (made.action == "switch")


def test_why_of_a_failure_nobody_named_a_wait_for(write: Callable[..., Path]) -> None:
    failure = FailureInfo(kind=Kind.NETWORK, scope=Scope.PROVIDER, retry_after_s=None, why="refused", rule="code.net")
    made = Decision(reason=Reason(code="network", text="refused"), failure=failure)
    with opened(write(decided(status=None, decision=made))) as book:
        text = why.render(book.decisions(1), UTC)
    assert "  it failed: not reachable: refused\n" in text
    assert "  read by rule code.net: it is about the provider; no wait was named\n" in text


def test_why_of_a_session_in_which_nothing_had_to_be_decided(write: Callable[..., Path]) -> None:
    with opened(write(began("a"), began("b"), began("c", target=BETA))) as book:
        text = why.render_plain("s1", book.attempts("s1"))
        gone = why.render_plain("s9", book.attempts("s9"))
    assert "nothing had to be decided; every request went where it was asked to (2 to alpha/m1, 1 to beta/m1)" in text
    assert gone == "Nothing is kept of session s9 any more.\n"


def test_several_sessions_have_a_heading_each(write: Callable[..., Path]) -> None:
    with opened(write(decided(), decided(session="s2"), decided(session="s2", turn="t2"))) as book:
        text = why.render(book.decisions(9), UTC)
    assert [line for line in text.splitlines() if line.startswith("Session")] == [
        "Session s1 (build, /home/me/x)",
        "Session s2 (build, /home/me/x)",
    ]


def test_a_session_is_found_by_the_beginning_of_its_id(write: Callable[..., Path]) -> None:
    items = [began(session="ses_a"), began(session="ses_ab", at=AT + 9), notice(session="ses_b", at=AT + 99)]
    with opened(write(*items)) as book:
        assert book.sessions("ses_a") == ["ses_a"], "a whole id stands for itself"
        assert book.sessions("ses_ab") == ["ses_ab"]
        assert book.sessions("ses") == ["ses_b", "ses_ab", "ses_a"]
        assert book.sessions("%") == []


def test_control_characters_do_not_reach_the_terminal(write: Callable[..., Path]) -> None:
    evil = "\033[2J\r\n"
    path = write(ended(target=Target(evil, "m")), notice(source=evil), decided(session=evil, asked=Target(evil, evil)))
    with opened(path) as book:
        texts = [
            shown(path, by="model"),
            history.render(book.happened(9), UTC),
            why.render(book.decisions(9), UTC),
            why.render_plain(evil, []),
        ]
    assert all("\033" not in text and "\r" not in text for text in texts)


@pytest.mark.parametrize(
    ("number", "text"),
    [(0, "0"), (9_999, "9999"), (10_000, "10k"), (80_050, "80k"), (999_960, "1M"), (1.25e9, "1.2G"), (5e13, "50000G")],
)
def test_amounts_are_short(number: float, text: str) -> None:
    assert numbers.amount(number) == text


@pytest.mark.parametrize(
    ("ms", "text"),
    [(None, "-"), (0.4, "0 ms"), (999, "999 ms"), (2_340, "2.3 s"), (61_000, "61 s"), (600_000, "10 min")],
)
def test_times_are_short(ms: float | None, text: str) -> None:
    assert numbers.quick(ms) == text


# -- reading it, whatever state it is in ------------------------------------------------------------------------------


def requests(path: Path) -> int:
    with opened(path) as book:
        return sum(group.requests for group in book.usage("0000", "provider").values())


def test_it_is_read_while_it_is_written(tmp_path: Path) -> None:
    file = HistoryFile(tmp_path / "history.db", zone=UTC)
    file.write([began("a1")])
    with opened(tmp_path / "history.db") as book:
        before = book.usage("0000", "provider")["alpha"].requests
        file.write([began("a2")])
        assert book.usage("0000", "provider")["alpha"].requests == before == 1, "one picture for the whole report"
    assert requests(tmp_path / "history.db") == 2
    file.close()


def test_it_is_read_as_a_killed_daemon_left_it(tmp_path: Path) -> None:
    file = HistoryFile(tmp_path / "history.db", zone=UTC)
    file.write([began("a1")])
    (tmp_path / "killed").mkdir()
    for name in ("history.db", "history.db-wal"):
        (tmp_path / "killed" / name).write_bytes((tmp_path / name).read_bytes())
    assert requests(tmp_path / "killed" / "history.db") == 1
    file.close()


def test_reading_changes_nothing(write: Callable[..., Path]) -> None:
    path = write(began())
    before = path.read_bytes()
    assert requests(path) == 1
    assert path.read_bytes() == before
    # What SQLite needs beside it to read, and a reader may not remove, is as private and empty.
    assert path.with_name("history.db-wal").stat().st_size == 0
    assert {stat.S_IMODE(file.stat().st_mode) for file in path.parent.iterdir()} == {0o600}


def test_it_is_read_where_nothing_may_be_written_beside_it(write: Callable[..., Path]) -> None:
    path = write(began())
    path.with_name("history.db-shm").mkdir()  # in its place SQLite can make no file, as on a read-only disk
    assert requests(path) == 1


def test_what_cannot_be_read_is_explained(tmp_path: Path, write: Callable[..., Path]) -> None:
    bad = tmp_path / "bad.db"
    bad.write_bytes(b"no database" * 1_000)
    with pytest.raises(HistoryError, match=r"bad\.db cannot be read"), opened(bad):
        pass
    path = write(began())
    db = sqlite3.connect(path)
    db.execute("PRAGMA user_version = 9")
    db.close()
    with pytest.raises(HistoryError, match=r"of version 9.*restart"), opened(path):
        pass


def test_a_database_that_is_just_being_made_is_empty(tmp_path: Path) -> None:
    (tmp_path / "history.db").touch()
    assert requests(tmp_path / "history.db") == 0
    assert Book(None).last_switch() is None
