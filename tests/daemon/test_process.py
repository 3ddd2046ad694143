"""Real processes: one daemon whatever happens, started and stopped by the commands people use."""

import asyncio
import json
import os
import signal
import stat
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from sidecar.client import DaemonUnavailableError, call
from sidecar.commands import start as start_command
from sidecar.commands import stop as stop_command
from sidecar.daemon import lifecycle
from sidecar.daemon.main import serve
from sidecar.paths import SOCKET_PATH_LIMIT, Paths
from tests.daemon.conftest import HELLO, Clock, limited, outcome, request

ROOT = Path(__file__).resolve().parents[2]


class House:
    """A home in which commands are run as people run them."""

    def __init__(self, home: Path, env: dict[str, str], paths: Paths) -> None:
        self.home, self.paths = home, paths
        self.env = {**env, "PYTHONPATH": str(ROOT)}
        self.children: list[subprocess.Popen[str]] = []

    def spawn(self, *arguments: str, **more: Any) -> subprocess.Popen[str]:
        command = [sys.executable, "-m", "sidecar", *arguments]
        more = {"env": self.env, "cwd": self.home, **more}
        child = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, **more)
        self.children.append(child)
        return child

    def run(self, *arguments: str, **more: Any) -> tuple[int, str, str]:
        child = self.spawn(*arguments, **more)
        out, err = child.communicate(timeout=20)
        return child.returncode, out, err

    def serve(self, **more: Any) -> subprocess.Popen[str]:
        child = self.spawn("serve", **more)
        self.answers()
        return child

    def answers(self) -> dict[str, Any]:
        """Wait until the daemon answers; gives its health."""
        eventually(lambda: self.health() is not None, "the daemon answers")
        return self.health() or {}

    def health(self) -> dict[str, Any] | None:
        try:
            health: dict[str, Any] = self.ask("GET", "/v1/health")
        except DaemonUnavailableError:
            return None
        return health

    def ask(self, method: str, route: str, body: Any = None) -> Any:
        return call(self.paths.socket, method, route, body)

    def counted(self) -> int:
        alpha = next(p for p in self.ask("GET", "/v1/status")["providers"] if p["id"] == "alpha")
        return int(alpha["counts"]["requests_day"])


def eventually(done: Callable[[], bool], what: str, seconds: float = 10) -> None:
    deadline = time.monotonic() + seconds
    while not done():
        assert time.monotonic() < deadline, f"did not happen: {what}"
        time.sleep(0.005)


@pytest.fixture
def house(home: Path, env: dict[str, str], paths: Paths) -> Iterator[House]:
    made = House(home, env, paths)
    yield made
    pid = lifecycle.running(paths)
    if pid:
        os.kill(pid, signal.SIGKILL)
    for child in made.children:
        if child.poll() is None:
            child.kill()
        child.communicate()


def test_the_socket_is_private_from_the_first_moment_even_with_umask_0(house: House) -> None:
    child = house.spawn("serve", umask=0)
    seen = set()

    def look() -> bool:
        try:
            seen.add(stat.S_IMODE(house.paths.socket.lstat().st_mode))
        except FileNotFoundError:
            return False
        return house.health() is not None

    deadline = time.monotonic() + 10
    while not look():
        assert time.monotonic() < deadline
    assert seen == {0o600}
    house.ask("POST", "/v1/outcome", outcome())
    private = [house.paths.runtime, house.paths.lock, house.paths.state, house.paths.log, house.paths.state.parent]
    assert [stat.S_IMODE(path.stat().st_mode) & 0o077 for path in private] == [0] * 5
    child.terminate()
    assert child.wait(5) == 0


def test_a_second_instance_says_who_is_first_and_ends_with_3(house: House) -> None:
    first = house.serve()
    code, out, err = house.run("serve")
    assert (code, out) == (3, "")
    assert err == (
        f"rate-limit-sidecar: already running (pid {first.pid}) at {house.paths.socket}; "
        "see: rate-limit-sidecar status, or: rate-limit-sidecar stop\n"
    )
    assert house.answers()["pid"] == first.pid


def test_two_at_the_same_time_become_one(house: House) -> None:
    both = [house.spawn("serve") for _ in range(2)]
    eventually(lambda: any(child.poll() is not None for child in both), "one gives way")
    (alive,) = [child for child in both if child.poll() is None]
    (gone,) = [child for child in both if child.poll() is not None]
    assert gone.returncode == 3
    assert house.answers()["pid"] == alive.pid


def test_twenty_starts_at_the_same_time_all_succeed_with_one_daemon(house: House) -> None:
    starts = [house.spawn("start") for _ in range(20)]
    ended = [child.communicate(timeout=30) for child in starts]
    assert [child.returncode for child in starts] == [0] * 20, ended
    pid = house.answers()["pid"]
    assert all(f"(pid {pid})" in out for out, _ in ended)
    assert sum(out.startswith("started") for out, _ in ended) == 1


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_saves_and_ends_with_0(house: House, number: int) -> None:
    child = house.serve()
    house.ask("POST", "/v1/hello", HELLO)
    house.ask("POST", "/v1/route", request())
    child.send_signal(number)
    _, err = child.communicate(timeout=5)
    assert child.returncode == 0
    assert not house.paths.socket.exists()
    assert lifecycle.running(house.paths) is None
    saved = json.loads(house.paths.state.read_text())
    assert saved["providers"]["alpha"]["requestCount"] == 1
    assert err.splitlines()[-1].endswith(f"stopped  pid={child.pid}")
    assert "Traceback" not in err


def test_a_killed_daemon_loses_nothing_it_acknowledged_and_its_socket_is_replaced(house: House) -> None:
    for round_ in range(2):
        child = house.serve()
        for number in range(10):
            house.ask("POST", "/v1/outcome", outcome(f"a{round_}.{number}"))
        child.kill()
        child.wait()
        assert house.paths.socket.exists()
        assert lifecycle.running(house.paths) is None
    code, out, _ = house.run("start")
    assert (code, out.split()[0]) == (0, "started")
    assert house.counted() == 20


def test_sighup_reads_the_configuration_again(house: House) -> None:
    child = house.serve()
    house.paths.config.parent.mkdir(parents=True)
    house.paths.config.write_text('{"state_file": 1}')
    child.send_signal(signal.SIGHUP)
    eventually(lambda: "state_file" in str((house.health() or {})["problems"]), "it is read")
    assert child.poll() is None


def test_start_leaves_a_daemon_of_its_own_session_and_is_done_when_it_answers(house: House) -> None:
    project = house.home / "project"
    project.mkdir()
    # What lies in the current directory is not the daemon's to import.
    (project / "json.py").write_text("raise SystemExit('imported from the current directory')")
    code, out, err = house.run("start", cwd=project, env={**house.env, "PYTHONSAFEPATH": "1"})
    assert (code, err) == (0, "")
    health = house.health()
    assert health is not None
    pid = health["pid"]
    assert out == f"started (pid {pid}) at {house.paths.socket}\n"
    assert os.getsid(pid) == pid
    if Path("/proc/self/fd").exists():
        assert Path(f"/proc/{pid}/cwd").readlink() == Path("/")
        assert [Path(f"/proc/{pid}/fd/{number}").readlink() for number in range(2)] == [Path("/dev/null")] * 2
    assert house.run("start")[:2] == (0, f"already running (pid {pid}) at {house.paths.socket}\n")
    code, out, _ = house.run("restart")
    again = house.answers()["pid"]
    assert (code, out) == (0, f"stopped (pid {pid})\nstarted (pid {again}) at {house.paths.socket}\n")
    assert house.run("stop")[:2] == (0, f"stopped (pid {again})\n")
    assert house.run("stop")[:2] == (0, f"not running at {house.paths.socket}\n")
    assert not house.paths.socket.exists()


def test_stop_never_signals_a_pid_that_only_the_file_remembers(house: House) -> None:
    bystander = subprocess.Popen(["sleep", "60"], text=True)
    house.children.append(bystander)
    house.paths.runtime.mkdir(parents=True, mode=0o700)
    house.paths.lock.write_text(f"{bystander.pid}\n")
    assert house.run("stop")[:2] == (0, f"not running at {house.paths.socket}\n")
    assert bystander.poll() is None


def test_restart_starts_what_did_not_run(house: House) -> None:
    code, out, _ = house.run("restart")
    assert code == 0
    assert out.startswith(f"not running at {house.paths.socket}\nstarted (pid ")


def test_a_start_that_fails_shows_what_the_daemon_said(house: House) -> None:
    house.paths.runtime.mkdir(parents=True, mode=0o700)
    house.paths.socket.write_text("not a socket")
    code, out, err = house.run("start")
    assert (code, out) == (1, "")
    assert "exists and is not a socket; move it away" in err
    long = "x" * SOCKET_PATH_LIMIT
    code, _, err = house.run("start", env={**house.env, "RATE_LIMIT_SOCKET": f"/{long}"})
    assert code == 1
    assert "set RATE_LIMIT_SOCKET to a shorter one" in err


def test_a_relative_socket_path_is_seen_from_where_it_was_started(house: House) -> None:
    env = {**house.env, "RATE_LIMIT_SOCKET": "run/s.sock"}
    assert house.run("start", env=env)[0] == 0
    assert stat.S_ISSOCK((house.home / "run" / "s.sock").stat().st_mode)
    assert house.run("stop", env=env)[0] == 0


def test_a_daemon_that_hangs_is_not_claimed_to_be_stopped_or_started(
    house: House, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    child = house.serve()
    monkeypatch.setattr(stop_command, "PATIENCE_S", 0.2)
    monkeypatch.setattr(start_command, "PATIENCE_S", 0.2)
    child.send_signal(signal.SIGSTOP)
    assert stop_command.stop(house.paths) == 1
    assert f"pid {child.pid} does not stop; as a last resort: kill -9 {child.pid}" in capsys.readouterr().err
    assert start_command.start(house.paths) == 1
    assert "does not answer after 0.2 s" in capsys.readouterr().err
    child.send_signal(signal.SIGCONT)
    assert child.wait(5) == 0


def test_start_waits_for_one_that_is_leaving_and_then_takes_its_place(house: House) -> None:
    leaving = house.serve()
    house.paths.socket.unlink()
    start = house.spawn("start")
    time.sleep(0.3)
    assert start.poll() is None
    leaving.terminate()
    out, _ = start.communicate(timeout=10)
    assert (start.returncode, out.split()[0]) == (0, "started")
    assert house.answers()["pid"] != leaving.pid


def test_an_older_daemon_is_pointed_out(
    house: House, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    child = house.serve()
    house.paths.config.parent.mkdir(parents=True)
    house.paths.config.write_text("{")
    child.send_signal(signal.SIGHUP)
    eventually(lambda: (house.health() or {})["state"] == "degraded", "it is read")
    monkeypatch.setattr("sidecar.__version__", "99.0")
    assert start_command.start(house.paths) == 0
    out = capsys.readouterr().out
    assert "it is version 0.1.0, not 99.0: rate-limit-sidecar restart" in out
    assert "warning: " in out


async def test_it_ends_when_its_socket_is_taken_away_and_leaves_the_state_to_its_successor(
    paths: Paths, env: dict[str, str], clock: Clock
) -> None:
    place = lifecycle.claim(paths)
    serving = asyncio.create_task(serve(place, paths, env, clock=clock, tick_s=0.02))
    await asyncio.to_thread(eventually, lambda: _post(paths, outcome()), "it answers")
    paths.socket.unlink()
    paths.lock.unlink()
    successor = lifecycle.claim(paths)
    paths.state.write_text("the successor's")
    assert await asyncio.wait_for(serving, 5) == 0
    place.release()
    assert successor.ours()
    assert paths.state.read_text() == "the successor's"
    successor.release()


async def test_a_daemon_that_cannot_serve_lets_go_of_everything(
    paths: Paths, env: dict[str, str], clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def broken(*_: object) -> None:
        raise OSError(24, "Too many open files")

    monkeypatch.setattr("aiohttp.web.SockSite.start", broken)
    place = lifecycle.claim(paths)
    with pytest.raises(OSError, match="Too many open files"):
        await serve(place, paths, env, clock=clock)
    place.release()
    assert lifecycle.running(paths) is None
    assert "stopped" in paths.log.read_text()


async def test_it_ends_in_order_with_streams_open_and_a_turn_running(
    paths: Paths, env: dict[str, str], clock: Clock
) -> None:
    place, stop = lifecycle.claim(paths), asyncio.Event()
    serving = asyncio.create_task(serve(place, paths, env, clock=clock, stop=stop))
    await asyncio.to_thread(eventually, lambda: _post(paths, limited()), "it answers")
    reader, writer = await asyncio.open_unix_connection(str(paths.socket))
    writer.write(b"GET /v1/stream HTTP/1.1\r\nHost: localhost\r\n\r\n")
    await asyncio.wait_for(reader.readuntil(b": connected"), 5)
    stop.set()
    rest = await asyncio.wait_for(reader.read(), 5)
    assert rest.endswith(b"0\r\n\r\n")
    assert await asyncio.wait_for(serving, 5) == 0
    writer.close()
    place.release()


def _post(paths: Paths, body: Any) -> bool:
    try:
        call(paths.socket, "POST", "/v1/outcome", body)
    except DaemonUnavailableError:
        return False
    return True
