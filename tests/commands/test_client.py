"""The client: one exchange with whatever may be at the socket, and the stream."""

import socket
import tempfile
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Self

import pytest

from sidecar.client import DaemonAnswerError, DaemonUnavailableError, Stream, call
from tests.commands.conftest import Home


@pytest.fixture
def place() -> Iterator[Path]:
    with tempfile.TemporaryDirectory(prefix="rls-") as made:
        yield Path(made) / "s.sock"


class Says:
    """Somebody at the socket who answers everything with the same bytes."""

    def __init__(self, place: Path, answer: bytes) -> None:
        self.asked = b""
        self._listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self._listener.bind(str(place))
        self._listener.listen()
        self._answer = answer
        self._thread = threading.Thread(target=self._serve)

    def _serve(self) -> None:
        connection, _ = self._listener.accept()
        with connection:
            self.asked = connection.recv(65_536)
            connection.sendall(self._answer)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._thread.join()
        self._listener.close()


def http(status: str, body: str) -> bytes:
    return f"HTTP/1.0 {status}\r\nContent-Length: {len(body)}\r\n\r\n{body}".encode()


def test_a_question_and_its_answer(place: Path) -> None:
    with Says(place, http("200 OK", '{"ok": true}')) as other:
        assert call(place, "POST", "/v1/x", {"a": "ä"}) == {"ok": True}
    head, _, body = other.asked.partition(b"\r\n\r\n")
    assert head.startswith(b"POST /v1/x HTTP/1.0\r\nHost: rate-limit-sidecar\r\n")
    assert b"Content-Type: application/json" in head
    assert body == b'{"a": "\\u00e4"}'


def test_a_refusal_comes_with_its_fix(place: Path) -> None:
    with (
        Says(place, http("422 Unprocessable", '{"error": "no such thing", "fix": "look"}')),
        pytest.raises(DaemonAnswerError) as refused,
    ):
        call(place, "GET", "/v1/x")
    assert (str(refused.value), refused.value.status, refused.value.fix) == ("no such thing\n  look", 422, "look")


@pytest.mark.parametrize(("body", "told"), [("oops", "oops"), ("[1]", "[1]"), ('{"error": "x"}', "x")])
def test_a_refusal_in_other_words_is_told_as_it_is(place: Path, body: str, told: str) -> None:
    with Says(place, http("500 Oops", body)), pytest.raises(DaemonAnswerError) as refused:
        call(place, "GET", "/v1/x")
    assert str(refused.value) == told


@pytest.mark.parametrize(
    "answer",
    [
        b"",
        b"SSH-2.0-x\r\n",
        b"HTTP/1.1 200 OK\r\n",
        b"HTTP/1.0 200 OK\r\nContent-Length: 9\r\n\r\n{}",
        b"HTTP/1.0 x\r\n\r\n",
    ],
)
def test_what_does_not_speak_as_the_daemon_does_is_no_daemon(place: Path, answer: bytes) -> None:
    with Says(place, answer), pytest.raises(DaemonUnavailableError, match="start it with"):
        call(place, "GET", "/v1/x")


def test_nobody_there(place: Path) -> None:
    for ask in (lambda: call(place, "GET", "/v1/x"), lambda: Stream(place)):
        with pytest.raises(DaemonUnavailableError, match="rate-limit-sidecar start"):
            ask()


def test_a_path_no_socket_can_have() -> None:
    with pytest.raises(DaemonUnavailableError, match="set RATE_LIMIT_SOCKET"):
        call(Path("/" + "x" * 200), "GET", "/v1/x")


def test_the_stream_gives_the_names_of_what_is_pushed_however_it_is_cut(place: Path) -> None:
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    listener.bind(str(place))
    listener.listen()
    stream = Stream(place)
    other, _ = listener.accept()
    assert stream.read() == []
    seen: list[str] = []
    for piece in (
        b"HTTP/1.0 200 OK\r\n\r\n: connected\n\nevent: no",
        b'tice\ndata: {"event: x"}\n\nevent: toast\n',
        b"data",
    ):
        other.sendall(piece)
        seen += stream.read()
    assert seen == ["notice", "toast"]
    other.close()
    with pytest.raises(DaemonUnavailableError, match="start it with"):
        stream.read()
    stream.close()
    listener.close()


def test_what_is_refused_is_told_with_its_fix(served: Home) -> None:
    told = served.inside("disable", "antropic", code=1).stderr
    assert told == (
        "rate-limit-sidecar: no provider 'antropic'; known are: anthropic, openrouter\n"
        "  rate-limit-sidecar status shows what there is\n"
    )
