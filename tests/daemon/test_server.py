"""The routes on a real socket: right answers, errors that help, and no input that makes a 5xx."""

import asyncio
import contextlib
import json
import random
import socket
from typing import Any

import aiohttp
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sidecar.core.decisions import Decision, EventsReply, HelloReply, Toast
from sidecar.core.events import EditorEvents, Hello, Outcome, Route, TargetCommand
from sidecar.core.roster import Roster
from sidecar.daemon import push
from sidecar.daemon.gate import RefusalError
from sidecar.daemon.server import GETS, POSTS, ROUTES, parse
from sidecar.daemon.service import Done, Health, Status
from tests.daemon.conftest import HELLO, InProcess, limited, outcome, request, until


async def test_every_route_answers_with_its_model(running: InProcess) -> None:
    bodies: list[tuple[str, Any, Any]] = [
        ("/v1/hello", HELLO, HelloReply),
        ("/v1/route", request(), Decision),
        ("/v1/explain", request(), Decision),
        ("/v1/outcome", outcome(), Decision),
        ("/v1/events", {"events": [{"type": "session.idle"}]}, EventsReply),
        ("/v1/targets/disable", {"provider": "alpha", "for_s": 60}, Done),
        ("/v1/targets/enable", {"provider": "alpha"}, Done),
        ("/v1/targets/clear", {"provider": "alpha", "model": "m1"}, Done),
        ("/v1/targets/allow", {"provider": "alpha"}, Done),
        ("/v1/targets/use", {"provider": "alpha", "for_s": 5}, Done),
        ("/v1/reset", {}, Done),
    ]
    assert {path for path, _, _ in bodies} == {post.path for post in POSTS}
    for path, body, model in bodies:
        model.model_validate(await running.post(path, body))
    Status.model_validate(await running.get("/v1/status"))
    Health.model_validate(await running.get("/v1/health"))


async def test_what_there_is_to_use_can_be_asked_for(running: InProcess) -> None:
    await running.post("/v1/hello", HELLO)
    found = await running.get("/v1/providers")
    Roster.model_validate(found)
    assert [(one["id"], one["models"]) for one in found["providers"]] == [("alpha", []), ("beta", [])]
    alpha = (await running.get("/v1/providers?provider=alpha"))["providers"][0]
    assert [model["id"] for model in alpha["models"]] == ["m1"]
    text = (await running.get("/v1/providers?format=text&provider=beta&ascii=1"))["text"]
    assert text.startswith("beta: + Available\n")
    assert "alpha" not in text
    names = await running.get("/v1/providers?format=names")
    assert names == {"names": ["alpha", "alpha/m1", "beta", "beta/m1"]}
    refused = await running.ask("GET", "/v1/providers?provider=zzz")
    assert (refused.status, refused.body["error"]) == (404, "no provider 'zzz'; known are: alpha, beta")


async def test_an_address_is_told_without_the_password_in_it(running: InProcess) -> None:
    secret = "https://me:hunter2hunter2@relay.test/v1"
    await running.post("/v1/hello", {"providers": [{"id": "alpha", "base_url": secret}]})
    assert (await running.get("/v1/providers"))["providers"][0]["base_url"] == "https://[redacted]@relay.test/v1"


async def test_health_names_what_is_hardly_meant_so(running: InProcess) -> None:
    assert (await running.get("/v1/health"))["warnings"] == []
    running.paths.config.parent.mkdir(parents=True, exist_ok=True)
    running.paths.config.write_text('{"providers": {"alhpa": {}}}')
    running.daemon.reload(force=True)
    said = "providers.alhpa: no connected provider 'alhpa'; did you mean 'alpha'?"
    await running.post("/v1/hello", {**HELLO, "directory": "/code", "shim_version": "0.0.1"})
    health = await running.get("/v1/health")
    assert health["state"] == "ok"
    assert health["warnings"][0] == said
    assert health["warnings"][1].startswith("the plugin OpenCode runs in /code is version 0.0.1, the daemon ")
    assert f"  • {said}" in (await running.get("/v1/status?format=text&width=200"))["text"]
    running.paths.config.write_text("{}")
    running.daemon.reload(force=True)
    assert said not in (await running.get("/v1/health"))["warnings"]


async def test_health_says_who_serves(running: InProcess) -> None:
    health = await running.get("/v1/health")
    assert health["state"] == "ok"
    assert health["problems"] == []
    assert health["started"] == running.clock.now
    assert health["state_file"] == str(running.paths.state)


async def test_status_is_the_snapshot_as_json_or_text(running: InProcess) -> None:
    await running.post("/v1/hello", HELLO)
    await running.post("/v1/outcome", limited())
    status = await running.get("/v1/status")
    assert {p["id"]: p["state"] for p in status["providers"]} == {"alpha": "unavailable", "beta": "available"}
    assert status["daemon"]["state"] == "ok"
    plain = (await running.get("/v1/status?format=text"))["text"]
    assert "alpha" in plain
    assert "\x1b" not in plain
    colored = (await running.get("/v1/status?format=text&width=40&color=1"))["text"]
    assert "\x1b[" in colored


@pytest.mark.parametrize(
    ("query", "says"),
    [
        ("format=xml", "format is none of json, text"),
        ("format=text&width=wide", "width is not a number"),
        ("format=text&width=1", "width is not a number"),
        ("format=text&width=99999999999999999999", "width is not a number"),
        ("format=text&width=%C2%B2", "width is not a number"),
        ("format=text&width=", "width is not a number"),
    ],
)
async def test_a_wrong_query_is_explained(running: InProcess, query: str, says: str) -> None:
    reply = await running.ask("GET", f"/v1/status?{query}")
    assert reply.status == 422
    assert says in reply.body["error"]


async def test_the_schema_describes_every_request(running: InProcess) -> None:
    schema = await running.get("/v1/schema")
    assert "attempt" in json.dumps(schema)
    assert {"hello.request", "route.request", "outcome.request", "events.request", "targets.request"} <= schema.keys()


@pytest.mark.parametrize(
    "path", ["/", "/v1", "/v2/hello", "/v1/hello/", "/v1/../etc/passwd", "/v1/%00", "/v1/h%65llo2"]
)
async def test_an_unknown_route_names_those_there_are(running: InProcess, path: str) -> None:
    for method in ("GET", "POST"):
        reply = await running.ask(method, path, {} if method == "POST" else None)
        assert (reply.status, reply.body["error"]) == (404, "there is no such route")
        assert all(known in reply.body["fix"] for known in ROUTES)


@pytest.mark.parametrize("method", ["GET", "PUT", "DELETE", "OPTIONS", "PATCH", "PROPFIND"])
async def test_a_wrong_method_names_the_right_one(running: InProcess, method: str) -> None:
    reply = await running.ask(method, "/v1/hello")
    assert (reply.status, reply.headers["Allow"]) == (405, "POST")
    assert reply.body["fix"] == "use POST"


@pytest.mark.parametrize(
    ("body", "says"),
    [
        (b"", "session: Field required"),
        (b"{", "Invalid JSON"),
        (b"[]", "Input should be an object"),
        (b"null", "Input should be an object"),
        (b"\xff\xfe", "Invalid JSON"),
        (b"[" * 100_000, "Invalid JSON"),
        (b'{"a":' * 50_000, "Invalid JSON"),
        (b'{"session": "\\ud800"}', "Invalid JSON"),
        (json.dumps({**request(), "session": 5}).encode(), "session: Input should be a valid string"),
        (json.dumps({**request(), "session": ""}).encode(), "session: String should have at least 1 character"),
        (json.dumps({**request(), "session": "x" * 300}).encode(), "session: String should have at most 256"),
        (json.dumps({**request(), "target": {"provider": "a"}}).encode(), "target.model: Field required"),
        (json.dumps({**request(), "at": "noon"}).encode(), "at: Input should be 'message' or 'attempt'"),
        (json.dumps({**request(), "needs": {"context": -1}}).encode(), "needs.context: Input should be greater"),
        (b'{"needs": {"context": 1e400}}', "needs.context"),
        (b'{"needs": {"context": NaN}}', "needs.context"),
    ],
)
async def test_a_wrong_body_is_422_naming_the_field(running: InProcess, body: bytes, says: str) -> None:
    reply = await running.ask("POST", "/v1/route", body)
    assert reply.status == 422
    assert says in reply.body["error"]
    assert reply.body["fix"] == "GET /v1/schema describes every field"


def test_what_was_wrong_in_a_body_is_not_repeated_and_the_list_is_short() -> None:
    secret = "my-private-prompt"
    body = json.dumps({"events": [{"type": [secret], secret: secret}] * 50}).encode()
    with pytest.raises(RefusalError) as raised:
        parse(EditorEvents, body)
    assert secret not in raised.value.error
    assert raised.value.error.count("events.") == 5
    assert raised.value.error.endswith("; and 45 more")


async def test_an_impossible_command_says_what_there_is(running: InProcess) -> None:
    await running.post("/v1/hello", HELLO)
    reply = await running.ask("POST", "/v1/targets/disable", {"provider": "gamma"})
    assert reply.status == 422
    assert "alpha, beta" in reply.body["error"]
    assert (await running.ask("POST", "/v1/targets/disable", {})).status == 422


def raw(running: InProcess, request: bytes) -> bytes:
    """Send bytes, say that no more come, and give everything that is answered."""
    with socket.socket(socket.AF_UNIX) as client:
        client.settimeout(5)
        client.connect(str(running.paths.socket))
        with contextlib.suppress(BrokenPipeError, ConnectionResetError):
            client.sendall(request)
            client.shutdown(socket.SHUT_WR)
        answer = b""
        with contextlib.suppress(ConnectionResetError):
            while piece := client.recv(65_536):
                answer += piece
        return answer


ODD = {
    "http/1.0": b"GET /v1/health HTTP/1.0\r\nHost: localhost\r\n\r\n",
    "no host": b"GET /v1/health HTTP/1.1\r\n\r\n",
    "two hosts": b"GET /v1/health HTTP/1.1\r\nHost: localhost\r\nHost: evil\r\n\r\n",
    "absolute": b"GET http://evil/v1/health HTTP/1.1\r\nHost: evil\r\n\r\n",
    "star": b"OPTIONS * HTTP/1.1\r\nHost: localhost\r\n\r\n",
    "connect": b"CONNECT evil:443 HTTP/1.1\r\nHost: localhost\r\n\r\n",
    "expect": b"POST /v1/hello HTTP/1.1\r\nHost: localhost\r\nExpect: the-unexpected\r\nContent-Length: 0\r\n\r\n",
    "tls": b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
    "garbage": b"\0" * 500 + b"\r\n\r\n",
    "long line": b"GET /" + b"x" * 100_000 + b" HTTP/1.1\r\nHost: localhost\r\n\r\n",
    "long header": b"GET / HTTP/1.1\r\nHost: localhost\r\nX: " + b"x" * 100_000 + b"\r\n\r\n",
    "many headers": b"GET / HTTP/1.1\r\nHost: localhost\r\n" + b"X: y\r\n" * 5_000 + b"\r\n",
    "bad length": b"POST /v1/hello HTTP/1.1\r\nHost: localhost\r\nContent-Length: -5\r\n\r\n",
    "both lengths": (
        b"POST /v1/hello HTTP/1.1\r\nHost: localhost\r\nContent-Length: 3\r\n"
        b"Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n"
    ),
    "bad chunks": (
        b"POST /v1/hello HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
        b"Transfer-Encoding: chunked\r\n\r\nzz\r\n{}\r\n0\r\n\r\n"
    ),
    "cut off": (
        b"POST /v1/hello HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: 50\r\n\r\n{"
    ),
    "bad path": b"GET /v1/\xff\xfe HTTP/1.1\r\nHost: localhost\r\n\r\n",
    "bad escape": b"GET /v1/status?format=%zz%ff HTTP/1.1\r\nHost: localhost\r\n\r\n",
    "upgrade": b"GET /v1/stream HTTP/1.1\r\nHost: evil\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n",
    "bad gzip": (
        b"POST /v1/hello HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Encoding: gzip\r\n"
        b"Content-Length: 3\r\n\r\nabc"
    ),
    "bad type": b"POST /v1/hello HTTP/1.1\r\nHost: localhost\r\nContent-Type: \xff/\xfe\r\nContent-Length: 2\r\n\r\n{}",
}


@pytest.mark.parametrize("sent", ODD.values(), ids=ODD)
async def test_odd_http_is_never_our_fault(running: InProcess, sent: bytes) -> None:
    answer = await asyncio.to_thread(raw, running, sent)
    assert not answer.startswith((b"HTTP/1.1 5", b"HTTP/1.0 5"))
    assert b"Traceback" not in answer
    assert [line for line in running.logged() if line["event"] == "request failed"] == []
    assert (await running.get("/v1/health"))["state"] == "ok"


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=10), inner, max_size=4),
    max_leaves=10,
)
fields = st.sampled_from(
    sorted({name for model in (Hello, Route, Outcome, EditorEvents, TargetCommand) for name in model.model_fields})
)


async def test_no_body_makes_a_5xx(running: InProcess) -> None:
    choose = random.Random(11)  # noqa: S311 - repeatable
    bodies: list[bytes] = []

    @given(st.dictionaries(fields, json_values, max_size=6), st.binary(max_size=40))
    @settings(max_examples=60)
    def collect(body: dict[str, Any], noise: bytes) -> None:
        bodies.append(json.dumps(body).encode())
        bodies.append(noise)
        bodies.append(json.dumps({**outcome(), **body}).encode())
        bodies.append(json.dumps({"events": [{"type": "message.updated", "properties": body}]}).encode())

    collect()
    for body in bodies:
        for path in {choose.choice(POSTS).path, "/v1/outcome", "/v1/events"}:
            reply = await running.ask("POST", path, body)
            assert reply.status in (200, 422), (path, body, reply)


async def lines(answer: aiohttp.ClientResponse, count: int) -> list[str]:
    """Read `count` messages of a stream."""
    return [(await asyncio.wait_for(answer.content.readuntil(b"\n\n"), 5)).decode().rstrip() for _ in range(count)]


async def test_the_stream_tells_notices_and_toasts_as_they_happen(running: InProcess) -> None:
    async with running.http.get("/v1/stream") as answer:
        assert answer.content_type == "text/event-stream"
        assert await lines(answer, 1) == [": connected"]
        await running.post("/v1/hello", HELLO)
        await running.post("/v1/targets/disable", {"provider": "alpha"})
        running.daemon._push.toast(Toast(title="t", message="m"))
        notice, toast = await lines(answer, 2)
        name, data = notice.split("\n")
        assert name == "event: notice"
        assert json.loads(data.removeprefix("data: "))["event"] == "control"
        assert toast.startswith("event: toast\ndata: {")


async def test_the_stream_tells_the_status_to_those_who_ask_for_it(running: InProcess) -> None:
    await running.post("/v1/hello", HELLO)
    async with running.http.get("/v1/stream?status=1") as answer:
        _, first = await lines(answer, 2)
        await running.post("/v1/route", request())
        (second,) = await lines(answer, 1)
    before, after = (json.loads(m.removeprefix("event: status\ndata: ")) for m in (first, second))
    assert [p["requests"] for p in before["providers"]] == [0, 0]
    assert [p["requests"] for p in after["providers"]] == [1, 0]
    assert after["sessions"] == {"s1": {"wanted": "alpha/m1", "current": "alpha/m1"}}
    assert (await running.ask("GET", "/v1/stream?status=yes")).status == 422


async def test_the_status_follows_the_clock_while_somebody_looks(running: InProcess) -> None:
    await running.post("/v1/hello", HELLO)
    await running.post("/v1/outcome", limited())
    async with running.http.get("/v1/stream?status=1") as answer:
        await lines(answer, 2)
        running.clock.now += 601
        running.daemon.tick()
        (later,) = await lines(answer, 1)
    assert json.loads(later.removeprefix("event: status\ndata: "))["providers"][0]["state"] == "available"


async def test_streams_have_a_heartbeat(running: InProcess, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sidecar.daemon.server.HEARTBEAT_S", 0.01)
    async with running.http.get("/v1/stream") as answer:
        assert await lines(answer, 3) == [": connected", ": still here", ": still here"]


async def test_a_stream_that_was_left_is_forgotten(running: InProcess, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sidecar.daemon.server.HEARTBEAT_S", 0.01)
    async with running.http.get("/v1/stream") as answer:
        await lines(answer, 1)
        assert len(running.daemon._push) == 1
        answer.close()
    await until(lambda: len(running.daemon._push) == 0, "the stream is forgotten")
    assert [line for line in running.logged() if line["level"] in ("error", "warning")] == []


async def test_a_reader_that_does_not_read_is_cut_off_and_nobody_waits_for_it(running: InProcess) -> None:
    with socket.socket(socket.AF_UNIX) as lazy:
        lazy.connect(str(running.paths.socket))
        lazy.sendall(b"GET /v1/stream HTTP/1.1\r\nHost: localhost\r\n\r\n")
        await until(lambda: len(running.daemon._push) == 1, "it listens")
        await until(lambda: _flood(running), "it is cut off")
        assert (await running.get("/v1/health"))["state"] == "ok"


async def _flood(running: InProcess) -> bool:
    for _ in range(50):
        running.daemon._push.toast(Toast(title="t", message="x" * 5_000))
    await asyncio.sleep(0)
    return len(running.daemon._push) == 0


async def test_too_many_streams_are_refused(running: InProcess, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(push, "SUBSCRIBERS", 0)
    reply = await running.ask("GET", "/v1/stream")
    assert (reply.status, reply.body) == (429, {"error": "there are too many streams", "fix": "close one"})


def test_the_table_has_no_path_twice() -> None:
    assert len(ROUTES) == len(POSTS) + len(GETS)
