"""One daemon per socket, and nobody else's hands on it."""

import fcntl
import os
import socket
import stat
from pathlib import Path

import pytest

from sidecar.daemon.lifecycle import AlreadyRunningError, PlaceError, claim, running
from sidecar.paths import SOCKET_PATH_LIMIT, Paths, from_environment


def at(path: Path) -> Paths:
    return from_environment({"HOME": "/nowhere", "RATE_LIMIT_SOCKET": str(path)})


def never(_seconds: float) -> None:
    """Do not wait."""


def mode(path: Path) -> int:
    return stat.S_IMODE(path.lstat().st_mode)


def test_a_claim_makes_private_places_and_a_release_leaves_no_socket(home: Path) -> None:
    paths = at(home / "a" / "b" / "s.sock")
    before = os.umask(0)
    try:
        place = claim(paths)
    finally:
        os.umask(before)
    assert (mode(paths.runtime), mode(paths.socket), mode(paths.lock)) == (0o700, 0o600, 0o600)
    assert stat.S_ISSOCK(paths.socket.lstat().st_mode)
    assert running(paths, pause=never) == os.getpid()
    assert place.ours()
    place.release()
    place.release()
    assert not paths.socket.exists()
    assert running(paths, pause=never) is None
    assert paths.lock.read_bytes() == b""


def test_the_socket_is_private_before_anybody_can_look(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    seen = []
    listen = socket.socket.listen

    def look(self: socket.socket, backlog: int) -> None:
        seen.append(mode(Path(self.getsockname())))
        listen(self, backlog)

    monkeypatch.setattr(socket.socket, "listen", look)
    before = os.umask(0)
    try:
        claim(at(home / "s.sock")).release()
    finally:
        assert os.umask(before) == 0
    assert seen == [0o600]


def test_a_second_claim_names_the_first_and_leaves_it_alone(home: Path) -> None:
    paths = at(home / "s.sock")
    place = claim(paths)
    pauses: list[float] = []
    with pytest.raises(AlreadyRunningError, match=rf"already running \(pid {os.getpid()}\).*s\.sock") as raised:
        claim(paths, pause=pauses.append)
    assert raised.value.pid == os.getpid()
    assert sum(pauses) < 0.5
    assert place.ours()
    with socket.socket(socket.AF_UNIX) as client:
        client.connect(str(paths.socket))
    place.release()
    claim(paths).release()


def test_a_lock_held_for_a_moment_by_a_question_is_waited_for(home: Path) -> None:
    paths = at(home / "s.sock")
    claim(paths).release()
    asking = os.open(paths.lock, os.O_RDONLY)
    fcntl.flock(asking, fcntl.LOCK_SH)
    place = claim(paths, pause=lambda _: fcntl.flock(asking, fcntl.LOCK_UN))
    os.close(asking)
    assert place.ours()
    place.release()


def test_a_lock_without_a_pid_is_a_daemon_that_is_just_starting(home: Path) -> None:
    paths = at(home / "s.sock")
    holder = os.open(paths.lock, os.O_RDWR | os.O_CREAT, 0o600)
    fcntl.flock(holder, fcntl.LOCK_EX)
    assert running(paths, pause=never) == 0
    with pytest.raises(AlreadyRunningError, match="just starting"):
        claim(paths, pause=never)
    os.close(holder)


def test_the_pid_a_killed_daemon_left_is_not_believed(home: Path) -> None:
    paths = at(home / "s.sock")
    paths.lock.write_text("1\n")
    assert running(paths, pause=never) is None
    holder = os.open(paths.lock, os.O_RDWR)
    fcntl.flock(holder, fcntl.LOCK_EX)

    def write_its_own(_seconds: float) -> None:
        paths.lock.write_text("4242\n")

    # The next one has the lock and writes its pid between two looks.
    assert running(paths, pause=write_its_own) == 4242
    os.close(holder)


def test_a_deleted_lock_file_is_no_lock(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    paths = at(home / "s.sock")
    real = fcntl.flock

    def delete_first(fd: int, operation: int) -> None:
        real(fd, operation)
        monkeypatch.setattr(fcntl, "flock", real)
        paths.lock.unlink()

    monkeypatch.setattr(fcntl, "flock", delete_first)
    place = claim(paths, pause=never)
    assert fcntl.flock is real
    assert running(paths, pause=never) == os.getpid()
    place.release()


@pytest.mark.parametrize("listening", [True, False])
def test_a_stale_socket_is_replaced(home: Path, listening: bool) -> None:
    paths = at(home / "s.sock")
    old = socket.socket(socket.AF_UNIX)
    old.bind(str(paths.socket))
    if listening:
        old.listen()
    else:
        old.close()
    place = claim(paths)
    assert mode(paths.socket) == 0o600
    old.close()
    assert place.ours()
    place.release()


def test_what_is_not_a_socket_is_never_removed(home: Path) -> None:
    paths = at(home / "s.sock")
    paths.socket.write_text("precious")
    with pytest.raises(PlaceError, match="exists and is not a socket; move it away"):
        claim(paths)
    assert paths.socket.read_text() == "precious"
    assert running(paths, pause=never) is None


def test_deleted_and_replaced_sockets_are_not_ours(home: Path) -> None:
    paths = at(home / "s.sock")
    first = claim(paths)
    paths.socket.unlink()
    assert not first.ours()
    paths.lock.unlink()
    second = claim(paths)
    assert not first.ours()
    first.release()
    assert second.ours()
    second.release()


def test_a_path_of_the_longest_length_works_and_one_more_is_explained(home: Path) -> None:
    longest = home / ("x" * (SOCKET_PATH_LIMIT - len(str(home)) - 1))
    claim(at(longest)).release()
    with pytest.raises(PlaceError, match=r"has 104 bytes, the system allows 103; set RATE_LIMIT_SOCKET"):
        claim(at(Path(f"{longest}y")))
    accented = home / ("é" * (SOCKET_PATH_LIMIT - len(str(home)) - 1))
    with pytest.raises(PlaceError, match="set RATE_LIMIT_SOCKET"):
        claim(at(accented))


@pytest.mark.parametrize(
    ("before", "entries", "after"),
    [
        (0o755, (), 0o700),
        (0o777, ("s.lock",), 0o700),
        (0o755, ("notes.txt",), 0o755),
        (0o700, ("notes.txt",), 0o700),
    ],
)
def test_a_directory_of_our_own_is_closed_and_a_shared_one_kept(
    home: Path, before: int, entries: tuple[str, ...], after: int
) -> None:
    directory = home / "d"
    directory.mkdir()
    directory.chmod(before)
    for entry in entries:
        (directory / entry).touch()
    claim(at(directory / "s.sock")).release()
    assert mode(directory) == after


def test_a_directory_others_can_write_in_is_refused(home: Path) -> None:
    home.chmod(0o777)
    (home / "notes.txt").touch()
    with pytest.raises(PlaceError, match=r"others can write in .* set RATE_LIMIT_SOCKET"):
        claim(at(home / "s.sock"))
    assert mode(home) == 0o777


def test_somebody_elses_directory_is_refused(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: home.stat().st_uid + 1)
    with pytest.raises(PlaceError, match=r"belongs to user .*, not to you"):
        claim(at(home / "s.sock"))


def test_a_directory_that_cannot_be_made_is_explained(home: Path) -> None:
    (home / "file").touch()
    with pytest.raises(PlaceError, match=r"cannot use .*; fix that or set RATE_LIMIT_SOCKET"):
        claim(at(home / "file" / "s.sock"))


def test_a_socket_that_cannot_be_bound_gives_the_lock_back(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(_self: socket.socket, _address: str) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(socket.socket, "bind", full)
    with pytest.raises(PlaceError, match=r"cannot listen at .*: No space left on device"):
        claim(at(home / "s.sock"))
    assert running(at(home / "s.sock"), pause=never) is None
