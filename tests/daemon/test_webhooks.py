"""Webhooks: what people configured gets posted, nothing waits for it, and URLs stay secret."""

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from sidecar.config.models import Webhook
from sidecar.core.decisions import Notice, Reason
from sidecar.daemon.webhooks import QUEUE, HttpPost, Webhooks
from sidecar.redact import MASK
from tests.daemon.conftest import Recorder, until

URL = "https://hooks.example.com/services/T0/B0/very-secret?token=alsosecret"
AT = 1_700_000_000.0


def notice(event: Any = "switch", text: str = "alpha is rate limited") -> Notice:
    return Notice(
        event=event,
        at=AT,
        source="alpha/m1",
        target="beta/m1",
        until=AT + 60,
        reason=Reason(code="rate_limit", text=text),
    )


class Receiver:
    """Answers posts as scripted: a status, or an error to raise."""

    def __init__(self, *script: int | Exception) -> None:
        self.script = list(script)
        self.posts: list[tuple[str, dict[str, Any]]] = []
        self.open = asyncio.Event()
        self.open.set()

    async def __call__(self, url: str, body: bytes) -> int:
        await self.open.wait()
        self.posts.append((url, json.loads(body)))
        step = self.script.pop(0) if self.script else 200
        if isinstance(step, Exception):
            raise step
        return step


class World:
    def __init__(self, receiver: Receiver) -> None:
        self.receiver, self.log, self.pauses = receiver, Recorder(), list[float]()
        log: Any = self.log
        self.hooks = Webhooks(receiver, log, sleep=self._sleep, jitter=lambda: 0.5)

    async def _sleep(self, seconds: float) -> None:
        self.pauses.append(seconds)

    def configure(self, *urls: str, **more: Any) -> None:
        self.hooks.configure([Webhook(url=url, **more) for url in urls or (URL,)])

    async def idle(self) -> None:
        for receiver in self.hooks._receivers:
            await asyncio.wait_for(receiver.queue.join(), 5)


@pytest.fixture
async def made() -> AsyncIterator[Callable[..., World]]:
    worlds: list[World] = []

    def make(*script: int | Exception) -> World:
        worlds.append(World(Receiver(*script)))
        return worlds[-1]

    yield make
    for world in worlds:
        world.receiver.open.set()
        await world.hooks.close()


async def test_a_notice_arrives_as_a_readable_line_with_its_fields(made: Callable[..., World]) -> None:
    world = made()
    world.configure()
    world.hooks.notice(notice())
    await world.idle()
    ((url, body),) = world.receiver.posts
    assert url == URL
    assert body.pop("text").startswith("switched alpha/m1 → beta/m1: alpha is rate limited (until ")
    assert body == {
        "event": "switch",
        "source": "alpha/m1",
        "target": "beta/m1",
        "reason": "alpha is rate limited",
        "code": "rate_limit",
        "until": "2023-11-14T22:14:20Z",
        "at": "2023-11-14T22:13:20Z",
    }


async def test_keys_do_not_leave_the_house(made: Callable[..., World]) -> None:
    world = made()
    world.configure()
    world.hooks.notice(notice(text="bad key sk-ant-api03-abcdefgh"))
    await world.idle()
    assert "abcdefgh" not in json.dumps(world.receiver.posts)
    assert MASK in world.receiver.posts[0][1]["reason"]


@pytest.mark.parametrize(
    ("wanted", "events", "arrive"),
    [
        (
            None,
            ["switch", "back", "all_limited", "failure", "cooldown", "control", "budget"],
            ["switch", "back", "all_limited", "budget"],
        ),
        (["budget"], ["switch", "budget"], ["budget"]),
        (["error"], ["switch", "failure"], ["error"]),
        ([], ["switch"], []),
    ],
)
async def test_each_receiver_gets_what_it_asked_for(
    made: Callable[..., World], wanted: list[str] | None, events: list[str], arrive: list[str]
) -> None:
    world = made()
    world.configure(**({} if wanted is None else {"events": wanted}))
    for event in events:
        world.hooks.notice(notice(event))
    await world.idle()
    assert [body["event"] for _, body in world.receiver.posts] == arrive


async def test_one_url_twice_hears_of_everything_asked_for_and_of_each_event_once(made: Callable[..., World]) -> None:
    world = made()
    world.hooks.configure([Webhook(url=URL, events=["switch", "error"]), Webhook(url=URL, events=["switch", "budget"])])
    for event in ("switch", "failure", "back", "budget"):
        world.hooks.notice(notice(event))
    await world.idle()
    assert [body["event"] for _, body in world.receiver.posts] == ["switch", "error", "budget"]
    world.hooks.configure([Webhook(url=URL, events=["back"]), Webhook(url=URL, events=[])])
    for event in ("switch", "back"):
        world.hooks.notice(notice(event))
    await world.idle()
    assert [body["event"] for _, body in world.receiver.posts[3:]] == ["back"]


async def test_a_name_in_the_text_calls_nobody_in_a_chat(made: Callable[..., World]) -> None:
    world = made()
    world.configure()
    world.hooks.notice(notice(text="<!channel> & co"))
    await world.idle()
    ((_, body),) = world.receiver.posts
    assert "&lt;!channel&gt; &amp; co" in body["text"]
    assert body["reason"] == "<!channel> & co"


@pytest.mark.parametrize(
    ("script", "posts", "pauses", "why"),
    [
        ((500, 200), 2, [1.0], None),
        ((OSError("refused"), TimeoutError(), 204), 3, [1.0, 2.0], None),
        ((503, 503, 503), 3, [1.0, 2.0], "status 503"),
        ((429, 200), 2, [1.0], None),
        ((404,), 1, [], "status 404"),
        ((302,), 1, [], "status 302"),
        ((OSError("a"), OSError("b"), TimeoutError()), 3, [1.0, 2.0], "TimeoutError"),
    ],
)
async def test_what_may_pass_is_tried_again_and_the_rest_is_not(
    made: Callable[..., World], script: tuple[Any, ...], posts: int, pauses: list[float], why: str | None
) -> None:
    world = made(*script)
    world.configure()
    world.hooks.notice(notice())
    await world.idle()
    assert len(world.receiver.posts) == posts
    assert world.pauses == pauses
    failures = [("warning", "webhook failed", {"receiver": "https://hooks.example.com", "why": why})]
    assert world.log.lines == ([] if why is None else failures)


async def test_a_burst_of_failures_is_one_line_and_the_next_burst_another(made: Callable[..., World]) -> None:
    world = made(404, 404, 404, 200, 404)
    world.configure()
    for _ in range(5):
        world.hooks.notice(notice())
    await world.idle()
    assert world.log.warnings() == ["webhook failed"] * 2
    assert "secret" not in str(world.log.lines)


async def test_a_dead_receiver_holds_up_nobody_and_its_queue_is_bounded(made: Callable[..., World]) -> None:
    world = made()
    world.receiver.open.clear()
    world.configure()
    for _ in range(QUEUE + 50):
        world.hooks.notice(notice())
    assert world.hooks._receivers[0].queue.qsize() == QUEUE
    assert world.log.warnings() == ["webhook failed"]
    assert "dropped" in world.log.lines[0][2]["why"]


async def test_receivers_come_and_go_with_the_configuration(made: Callable[..., World]) -> None:
    world = made()
    world.configure("http://a/1", "http://b/1")
    stays = world.hooks._receivers[1]
    world.configure("http://b/1", "http://c/1", events=["back"])
    assert world.hooks._receivers[0] is stays
    world.hooks.notice(notice("switch"))
    world.hooks.notice(notice("back"))
    await world.idle()
    assert sorted(url for url, _ in world.receiver.posts) == ["http://b/1", "http://c/1"]


async def test_closing_gives_what_is_queued_a_moment_and_no_more(made: Callable[..., World]) -> None:
    world = made()
    world.configure()
    world.hooks.notice(notice())
    await world.hooks.close()
    assert len(world.receiver.posts) == 1
    world.receiver.open.clear()
    world.configure()
    world.hooks.notice(notice())
    await world.hooks.close(patience_s=0)
    assert len(world.receiver.posts) == 1


async def test_over_real_http_redirects_are_not_followed_and_errors_are_errors() -> None:
    seen: list[Any] = []

    async def take(request: web.Request) -> web.Response:
        seen.append(await request.json())
        return web.Response(status=200)

    async def elsewhere(_request: web.Request) -> web.Response:
        raise web.HTTPFound("/take")

    app = web.Application()
    app.router.add_post("/take", take)
    app.router.add_route("*", "/elsewhere", elsewhere)
    post = HttpPost()
    async with TestServer(app) as server:
        assert await post(str(server.make_url("/take")), b'{"a": 1}') == 200
        assert await post(str(server.make_url("/elsewhere")), b"{}") == 302
        dead = str(server.make_url("/take"))
    assert seen == [{"a": 1}]
    for url in (dead, "http://[", "http://"):
        with pytest.raises(OSError, match=r"Error|URL") as raised:
            await post(url, b"{}")
        assert url not in str(raised.value)
    await post.close()
    await HttpPost().close()


async def test_it_is_slow_only_in_its_own_task(made: Callable[..., World]) -> None:
    world = made()
    world.receiver.open.clear()
    world.configure("http://dead/1", "http://dead/2")
    world.hooks.notice(notice())
    await until(lambda: all(r.queue.qsize() == 0 for r in world.hooks._receivers), "both work at the same time")
