"""The log as people read it: last lines across rotation, following across rotation, anything in the file."""

import json
from collections.abc import Callable, Iterator
from pathlib import Path

from sidecar.commands.logs import follow, last_lines
from tests.commands.conftest import Home


def line(event: str, day: int = 1, **more: object) -> str:
    return json.dumps({"time": f"2026-01-{day:02}T10:00:00Z", "level": "info", "event": event, **more}) + "\n"


def write_log(home: Home, text: str) -> None:
    home.paths.log.parent.mkdir(parents=True)
    home.paths.log.write_text(text)


def test_the_log_of_a_real_daemon_is_shown(served: Home) -> None:
    shown = served.run("logs", "-n", "1000").stdout
    assert "serving" in shown
    assert "anthropic/claude-sonnet-4-5" in shown


def test_another_day_gets_a_heading(home: Home) -> None:
    write_log(home, line("a") + line("b") + line("c", day=2, why="because"))
    assert home.run("logs").stdout == (
        "--- Thursday, 2026-01-01 ---\n"
        "10:00:00 a\n"
        "10:00:00 b\n"
        "--- Friday, 2026-01-02 ---\n"
        "10:00:00 c: because\n"
    )  # fmt: skip


def test_what_is_no_log_line_is_shown_as_it_is(home: Home) -> None:
    broken = 'not json\n\n[]\n3\n{"event": "x"}\n{"time": 5}\n{"time": "soon"}\n'
    write_log(home, broken)
    assert home.run("logs").stdout == broken


def test_no_line_reaches_the_terminal_with_control_characters(home: Home) -> None:
    write_log(home, "\033[2Jbare\n" + line("a\033[2J", why="b\rc"))
    shown = home.run("logs").stdout
    assert not {"\033", "\r"} & set(shown)
    assert "?[2Jbare" in shown


def test_only_the_last_lines_are_shown(home: Home) -> None:
    write_log(home, "".join(line(f"e{number}") for number in range(60)))
    assert len(home.run("logs").stdout.splitlines()) == 51
    assert home.run("logs", "-n", "2").stdout.splitlines()[1:] == ["10:00:00 e58", "10:00:00 e59"]
    assert home.run("logs", "-n", "0").stdout == ""
    assert "is not a number of lines" in home.run("logs", "-n", "-1", code=2).stderr


def test_without_a_log_it_says_who_writes_it(home: Home) -> None:
    assert "rate-limit-sidecar start" in home.run("logs", code=1).stderr


def test_the_configured_log_is_read(home: Home) -> None:
    home.configure('{"log": {"file": "other.log"}}')
    (home.paths.config.parent / "other.log").write_text(line("there"))
    assert "there" in home.run("logs").stdout
    home.configure("{")
    assert f"there is no log yet at {home.paths.log}" in home.run("logs", code=1).stderr


def test_rotated_files_are_read_when_the_newest_is_short(tmp_path: Path) -> None:
    log = tmp_path / "x.log"
    log.write_text("5\n6\n")
    (tmp_path / "x.log.1").write_text("3\n4\n")
    (tmp_path / "x.log.2").write_text("1\n2\n")
    assert last_lines(log, 3, 4) == ["4", "5", "6"]
    assert last_lines(log, 100, 4) == ["1", "2", "3", "4", "5", "6"]
    # What came after the size was taken is left to whoever follows.
    assert last_lines(log, 1, 2) == ["5"]


class Turns:
    """Instead of waiting, does one thing after another; then ends the test."""

    def __init__(self, *steps: Callable[[], object]) -> None:
        self._steps = iter(steps)

    def __call__(self, _seconds: float) -> None:
        next(self._steps, self._end)()

    @staticmethod
    def _end() -> None:
        raise KeyboardInterrupt


def followed(lines: Iterator[str]) -> list[str]:
    found = []
    try:
        for text in lines:
            found.append(text)  # noqa: PERF402 - what came before the interruption counts
    except KeyboardInterrupt:
        return found
    raise AssertionError("following must not end by itself")


def test_following_shows_whole_lines_as_they_come(tmp_path: Path) -> None:
    log = tmp_path / "x.log"
    log.write_text("old\n")

    def add(text: str) -> Callable[[], object]:
        def append() -> None:
            with log.open("a") as file:
                file.write(text)

        return append

    turns = Turns(add("a\nb"), add("c\n"), add("d\n"))
    assert followed(follow(log, 4, turns)) == ["a", "bc", "d"]


def test_following_goes_on_after_rotation_and_loses_nothing(tmp_path: Path) -> None:
    log = tmp_path / "x.log"
    log.write_text("old\n")

    def rotate() -> None:
        with log.open("a") as file:
            file.write("last\n")
        log.rename(tmp_path / "x.log.1")
        log.write_text("first\n")

    assert followed(follow(log, 4, Turns(rotate))) == ["last", "first"]


def test_following_survives_truncation_and_a_missing_file(tmp_path: Path) -> None:
    log = tmp_path / "x.log"
    turns = Turns(
        lambda: log.write_text("a long line\n"),
        lambda: log.write_text("cut\n"),
        log.unlink,
        lambda: log.write_text("back\n"),
    )
    assert followed(follow(log, 0, turns)) == ["a long line", "cut", "back"]
