"""The log: readable, parseable, rotated, private - and without a key, whoever logs it."""

import io
import json
import logging
import os
import re
import stat
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from sidecar.config.models import LogSettings
from sidecar.core.decisions import Notice, Reason
from sidecar.daemon.log import Log, terminal_line
from sidecar.daemon.notices import iso, local_time, sentence
from sidecar.redact import MASK

KEY = "sk-ant-api03-Zq7Rk2Vx9Lm4Tn8W"
AT = 1_700_000_000.0
SWITCH = Notice(
    event="switch",
    at=AT,
    session="ses_1",
    agent="build",
    directory="/p",
    source="alpha/m1",
    target="beta/m1",
    reason=Reason(code="rate_limit", text="alpha is rate limited"),
    until=AT + 600,
)


class Written:
    """A log, its file and its terminal."""

    def __init__(self, folder: Path, **settings: Any) -> None:
        self.file = folder / "logs" / "sidecar.log"
        self.terminal = io.StringIO()
        self.log = Log(self.file, LogSettings(**settings), terminal=self.terminal)

    def events(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self.file.read_text().splitlines()]

    def shown(self) -> str:
        return self.terminal.getvalue()


@pytest.fixture
def make(home: Path) -> Iterator[Callable[..., Written]]:
    made: list[Written] = []

    def create(**settings: Any) -> Written:
        made.append(Written(home, **settings))
        return made[-1]

    yield create
    for written in made:
        written.log.close()


def test_a_switch_says_from_to_why_and_until_when(make: Callable[..., Written]) -> None:
    written = make()
    written.log.notice(SWITCH)
    (event,) = written.events()
    assert {name: event[name] for name in ("event", "level", "from", "to", "why", "code", "until", "agent")} == {
        "event": "switch",
        "level": "info",
        "from": "alpha/m1",
        "to": "beta/m1",
        "why": "alpha is rate limited",
        "code": "rate_limit",
        "until": "2023-11-14T22:23:20Z",
        "agent": "build",
    }
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d+Z", event["time"])
    line = written.shown()
    assert line.count("\n") == 1
    assert re.match(r"\d\d:\d\d:\d\d switch alpha/m1 → beta/m1: alpha is rate limited \(until ", line)


def test_a_switch_without_an_end_still_has_all_four(make: Callable[..., Written]) -> None:
    written = make()
    written.log.notice(SWITCH.model_copy(update={"until": None, "target": None}))
    (event,) = written.events()
    assert (event["to"], event["until"]) == (None, None)


@pytest.mark.parametrize(("kind", "level"), [("failure", "warning"), ("all_limited", "warning"), ("back", "info")])
def test_other_notices_leave_out_what_they_do_not_know(make: Callable[..., Written], kind: Any, level: str) -> None:
    written = make()
    written.log.notice(Notice(event=kind, at=AT, source="alpha", reason=Reason(code="c", text="because")))
    (event,) = written.events()
    del event["time"]
    assert event == {"event": kind, "level": level, "from": "alpha", "why": "because", "code": "c"}


def boom(written: Written) -> None:
    try:
        os.environ[f"refused {KEY}"]
    except KeyError:
        written.log.logger.exception("broke", key=KEY)


@pytest.mark.parametrize(
    "say",
    [
        lambda w: w.log.logger.info(f"event {KEY}"),  # noqa: G004 - the case
        lambda w: w.log.logger.info("x", body=f'{{"key": "{KEY}"}}'),
        lambda w: w.log.logger.info("x", headers={"Authorization": f"Bearer {KEY}", "nested": [{"k": KEY}]}),
        lambda w: w.log.logger.info("x", **{KEY: 1}),
        lambda w: w.log.logger.info("x", error=ValueError(KEY), path=Path("/a") / KEY),
        lambda w: w.log.logger.info("x %s", KEY),
        lambda w: w.log.logger.bind(key=KEY).info("x"),
        boom,
        lambda _: logging.getLogger("aiohttp.server").error("oops %s", KEY),
        lambda _: logging.getLogger("asyncio").error("oops", exc_info=ValueError(KEY)),
        lambda w: w.log.notice(SWITCH.model_copy(update={"reason": Reason(code="x", text=f"said {KEY}")})),
    ],
)
def test_no_key_reaches_file_or_terminal(make: Callable[..., Written], say: Callable[[Written], None]) -> None:
    written = make()
    say(written)
    assert MASK in written.shown() + written.file.read_text()
    for text in (written.shown(), written.file.read_text()):
        assert "Zq7Rk2Vx9" not in text
        assert text


def test_one_event_is_one_line_and_terminals_are_not_told_what_to_do(make: Callable[..., Written]) -> None:
    written = make()
    written.log.logger.info("two\nlines", name="\x1b[2J\x07", why="a\r\nb", path="a b")
    assert written.shown().count("\n") == 1
    assert "\x1b" not in written.shown()
    assert r"two\nlines: a\r\nb" in written.shown()
    assert 'path="a b"' in written.shown()
    assert len(written.events()) == 1


def test_an_exception_shows_its_traceback_after_its_line(make: Callable[..., Written]) -> None:
    written = make()
    boom(written)
    lines = written.shown().splitlines()
    assert lines[0].endswith(f"ERROR broke  key={MASK}")
    assert lines[1] == "Traceback (most recent call last):"
    assert lines[-1] == f"KeyError: 'refused {MASK}'"


def test_the_level_decides_what_is_written_and_can_change(make: Callable[..., Written]) -> None:
    written = make(level="warning")
    written.log.logger.info("quiet")
    written.log.apply(written.file, LogSettings(level="debug"))
    written.log.logger.debug("loud")
    logging.getLogger("watchfiles.main").info("3 changes detected")
    assert [event["event"] for event in written.events()] == ["loud"]


def test_the_file_is_private_and_rotated_by_size(make: Callable[..., Written]) -> None:
    before = os.umask(0)
    try:
        written = make(max_bytes=10_000, backups=2)
        for number in range(400):
            written.log.logger.info("x" * 80, number=number)
    finally:
        os.umask(before)
    files = sorted(written.file.parent.iterdir())
    assert [file.name for file in files] == ["sidecar.log", "sidecar.log.1", "sidecar.log.2"]
    assert all(stat.S_IMODE(file.stat().st_mode) == 0o600 for file in files)
    assert all(file.stat().st_size <= 10_000 for file in files)
    assert written.events()[-1]["number"] == 399


def test_without_backups_the_file_begins_anew(make: Callable[..., Written]) -> None:
    written = make(max_bytes=10_000, backups=0)
    for number in range(400):
        written.log.logger.info("x" * 80, number=number)
    assert [file.name for file in written.file.parent.iterdir()] == ["sidecar.log"]
    assert written.file.stat().st_size <= 10_000
    assert written.events()[-1]["number"] == 399


def test_a_moved_file_is_let_go_when_settings_are_applied_again(make: Callable[..., Written]) -> None:
    written = make()
    written.log.logger.info("old")
    written.file.rename(written.file.with_suffix(".moved"))
    written.log.apply(written.file, LogSettings())
    written.log.logger.info("new")
    assert [event["event"] for event in written.events()] == ["new"]


def test_a_file_that_cannot_be_opened_is_a_problem_but_no_end(home: Path) -> None:
    (home / "logs").touch()
    written = Written(home)
    assert "cannot be written" in str(written.log.problem)
    assert "no log file" in written.shown()
    (home / "logs").unlink()
    written.log.apply(written.file, LogSettings())
    assert written.log.problem is None
    written.log.close()


def test_a_full_disk_loses_lines_and_nothing_else(
    make: Callable[..., Written], capsys: pytest.CaptureFixture[str]
) -> None:
    written = make()
    handler: Any = written.log._file_handler
    handler.stream.close()
    handler.stream = Path("/dev/full").open("w")  # noqa: SIM115 - the handler closes it
    written.log.logger.info("lost")
    assert "lost" in written.shown()
    assert capsys.readouterr().err == ""


def test_a_closed_log_lets_go_of_the_libraries(make: Callable[..., Written]) -> None:
    written = make()
    written.log.close()
    logging.getLogger("aiohttp").error("after")
    assert written.shown() == ""


def test_the_sentence_of_a_notice_is_one_readable_line() -> None:
    assert sentence(SWITCH).startswith("switched alpha/m1 → beta/m1: alpha is rate limited (until ")
    bare = Notice(event="all_limited", at=AT, reason=Reason(code="c", text="nothing is left"))
    assert sentence(bare) == "everything is limited: nothing is left"


@pytest.mark.parametrize("at", [None, float("inf"), float("nan"), 1e20, -1e20])
def test_moments_no_calendar_knows_are_left_out(at: float | None) -> None:
    assert iso(at) is None
    assert local_time(at, AT) == ""


def test_times_are_local_with_a_date_only_on_another_day() -> None:
    noon = 1_700_000_000.0 // 86_400 * 86_400 + 43_200
    assert re.fullmatch(r"\d\d:\d\d:\d\d", local_time(noon + 1, noon))
    assert re.fullmatch(r"\d{4}-\d\d-\d\d \d\d:\d\d", local_time(noon + 200_000, noon))


def test_a_line_of_the_file_can_be_shown_as_on_the_terminal(make: Callable[..., Written]) -> None:
    written = make()
    written.log.notice(SWITCH)
    assert terminal_line(written.events()[0]) + "\n" == written.shown()
