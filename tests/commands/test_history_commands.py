"""`usage`, `history` and `why` as people run them: with a daemon, without one, and before anything happened."""

import json
import sqlite3
import time
from pathlib import Path

import pytest

from tests.commands.conftest import Home

SONNET = "anthropic/claude-sonnet-4-5"
STAND_IN = "openrouter/anthropic/claude-sonnet-4.5"


@pytest.fixture
def switched(home: Home) -> Home:
    """A home whose daemon has seen one refusal and the switch it led to, and was stopped."""
    home.run("start")
    home.refused_once()
    home.inside("stop")
    assert database(home).exists()
    return home


def database(home: Home) -> Path:
    return home.paths.state.with_name("history.db")


def test_usage_counts_the_attempt_that_failed(switched: Home) -> None:
    lines = switched.inside("usage").stdout.splitlines()
    assert lines[0].startswith("Used today (")
    assert lines[0].endswith("), by provider")
    assert lines[3] == "anthropic"
    assert lines[4].split() == ["1", "100", "%", "0", "0", "0", "$0.00", "-", "-", "-"]
    assert switched.inside("usage", "month", "--by", "model").stdout.splitlines()[3] == SONNET
    assert switched.inside("usage", "week", "--by", "project").stdout.splitlines()[3] == "~/project"


def test_usage_as_json(switched: Home) -> None:
    report = json.loads(switched.inside("usage", "week", "--by", "agent", "--json").stdout)
    assert (report["period"], report["by"]) == ("week", "agent")
    (row,) = report["rows"]
    assert (row["name"], row["requests"], row["failed"], row["error_rate"]) == ("build", 1, 1, 1.0)
    assert report["total"] == {name: value for name, value in row.items() if name != "name"}


def test_history_names_the_failure_and_the_switch(switched: Home) -> None:
    day, failed, moved = switched.inside("history").stdout.splitlines()
    assert day.startswith("--- ")
    assert f"failed {SONNET}: " in failed
    assert f"switched {SONNET} → {STAND_IN}: " in moved
    assert moved.endswith("[build, s1]")
    assert len(switched.inside("history", "-n", "1").stdout.splitlines()) == 2
    assert f"→ {STAND_IN}" in switched.inside("history", "openrouter", "--since", "2h", "--session", "s").stdout
    assert switched.inside("history", "--session", "other").stdout.startswith("Nothing happened")
    events = [row["event"] for row in json.loads(switched.inside("history", "--json").stdout)]
    assert events == ["failure", "switch"]


def test_why_explains_the_last_switch_and_a_session(switched: Home) -> None:
    text = switched.inside("why").stdout
    assert "it failed: status 429, rate limit" in text
    assert "read by rule status.429" in text
    assert f"decided: switch to {STAND_IN}" in text
    assert f"✓ {STAND_IN} (the same model elsewhere): taken" in text
    assert switched.inside("why", "s1").stdout == text
    assert switched.inside("why", "s9").stdout == "Nothing is kept of session s9 any more.\n"
    (decision,) = json.loads(switched.inside("why", "--json").stdout)
    assert (decision["action"], decision["target"]) == ("switch", STAND_IN)


def test_with_a_daemon_they_show_what_just_happened(served: Home) -> None:
    for _ in range(100):
        if "claude" in served.inside("why").stdout:
            break
        time.sleep(0.05)
    assert "anthropic" in served.inside("usage").stdout
    assert "switched" in served.inside("history").stdout


def test_before_anything_happened_they_say_so(home: Home) -> None:
    assert home.inside("usage").stdout.startswith("Nothing was used today")
    assert home.inside("history").stdout.startswith("Nothing happened")
    assert home.inside("why").stdout == "There was no switch yet.\n"
    assert json.loads(home.inside("usage", "--json").stdout)["total"]["requests"] == 0
    assert json.loads(home.inside("why", "--json").stdout) == []
    assert not database(home).exists()


def test_a_history_beside_a_state_file_somewhere_else_is_found(home: Home) -> None:
    home.configure('{"state_file": "mine/limits.json"}')
    other = home.paths.config.parent / "mine"
    home.run("start")
    home.refused_once()
    home.inside("stop")
    assert (other / "limits-history.db").exists()
    assert "anthropic" in home.inside("usage").stdout


def test_two_sessions_that_begin_alike_are_named(switched: Home) -> None:
    db = sqlite3.connect(database(switched))
    db.execute(
        "INSERT INTO happened (at, event, session, agent, project, code, text) VALUES (1, 'x', 's2', '', '', '', '')"
    )
    db.commit()
    db.close()
    assert "more than one session begins with 's': s1, s2" in switched.inside("why", "s", code=1).stderr


def test_a_damaged_history_is_explained(switched: Home) -> None:
    database(switched).write_bytes(b"no database" * 1_000)
    for command in ("usage", "history", "why"):
        assert "cannot be read" in switched.inside(command, code=1).stderr


@pytest.mark.parametrize(
    "arguments",
    [
        ("usage", "year"),
        ("usage", "--by", "colour"),
        ("history", "-n", "0"),
        ("history", "-n", "many"),
        ("history", "--since", "yesterday"),
    ],
)
def test_wrong_usage_is_told(home: Home, arguments: tuple[str, ...]) -> None:
    assert "usage:" in home.inside(*arguments, code=2).stderr


def test_purge_takes_the_history_too(switched: Home) -> None:
    beside = database(switched).with_name("history.db.damaged-20260101T000000Z")
    beside.touch()
    switched.inside("uninstall", "--purge")
    assert not database(switched).exists()
    assert not beside.exists()
