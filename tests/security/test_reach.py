"""Nothing leaves this machine unless the user's own configuration names a receiver, and then only what it should."""

import asyncio
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from sidecar.daemon.webhooks import HttpPost
from tests.daemon.conftest import HELLO, InProcess, limited


class Receiver:
    """A receiver on loopback that keeps the headers of what it gets."""

    def __init__(self) -> None:
        self.got: list[dict[str, str]] = []
        app = web.Application()
        app.router.add_route("*", "/{rest:.*}", self._take)
        self.server = TestServer(app)

    async def _take(self, request: web.Request) -> web.Response:
        self.got.append({**request.headers, "path": request.raw_path})
        return web.Response()


async def switch(running: InProcess, directory: str = "") -> None:
    """Have something happen that webhooks are told of."""
    await running.post("/v1/hello", {**HELLO, "directory": directory})
    await running.post("/v1/outcome", limited(directory=directory))


async def test_without_a_receiver_nothing_is_sent(running: InProcess) -> None:
    await switch(running)
    assert running.daemon._post._session is None


async def test_a_projects_file_cannot_name_a_receiver(running: InProcess, home: Path) -> None:
    receiver = Receiver()
    async with receiver.server as server:
        file = home / "project" / ".opencode" / "rate-limit.jsonc"
        file.parent.mkdir(parents=True)
        file.write_text(f'{{"webhooks": [{{"url": "{server.make_url("/")}", "events": ["switch", "error"]}}]}}')
        await switch(running, str(file.parents[1]))
        await asyncio.sleep(0)
        assert running.daemon._post._session is None
    assert receiver.got == []


async def test_what_the_user_names_is_reached(running: InProcess) -> None:
    receiver = Receiver()
    async with receiver.server as server:
        running.paths.config.parent.mkdir(parents=True)
        running.paths.config.write_text(f'{{"webhooks": [{{"url": "{server.make_url("/mine")}"}}]}}')
        running.daemon.reload(force=True)
        await switch(running)
        await running.daemon._hooks.close()
    assert [one["path"] for one in receiver.got] == ["/mine"]


async def test_credentials_kept_for_other_hosts_are_not_sent(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "netrc").write_text("default login me password secret\n")
    monkeypatch.setenv("NETRC", str(tmp_path / "netrc"))
    receiver, post = Receiver(), HttpPost()
    async with receiver.server as server:
        assert await post(str(server.make_url("/x")), b"{}") == 200
    await post.close()
    assert "Authorization" not in receiver.got[0]


@pytest.mark.parametrize(("exempt", "through"), [("", True), ("127.0.0.1", False)])
async def test_a_proxy_is_used_only_where_the_users_environment_names_one(
    monkeypatch: pytest.MonkeyPatch, exempt: str, through: bool
) -> None:
    receiver, proxy, post = Receiver(), Receiver(), HttpPost()
    async with receiver.server as server, proxy.server as between:
        for name, value in (("http_proxy", str(between.make_url("/"))), ("no_proxy", exempt)):
            monkeypatch.setenv(name, value)
        url: Any = server.make_url("/x")
        assert await post(str(url), b"{}") == 200
    await post.close()
    assert (len(proxy.got), len(receiver.got)) == ((1, 0) if through else (0, 1))
