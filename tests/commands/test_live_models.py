"""Lists of models from providers themselves: read in every form, kept a while, and no key where it does not belong."""

import asyncio
import json
import os
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from unittest import mock

import pytest
from aiohttp import web

from sidecar.live_models import KEPT_S, LiveModelsError, live_models
from sidecar.paths import Paths, from_environment
from tests.commands.conftest import Home

LIST = {"data": [{"id": "m1"}, {"id": "m2"}, {"id": "m1"}, {"id": 7}, "odd", {"id": "bad\n"}]}


class Provider:
    """A provider on loopback, in a thread of its own: what it answers, and the headers it was asked with."""

    def __init__(self) -> None:
        self.status, self.body = 200, json.dumps(LIST)
        self.asked: list[dict[str, str]] = []
        self.more: dict[str, str] = {}
        self._loop = asyncio.new_event_loop()
        self._ready = threading.Event()
        self._thread = threading.Thread(target=self._run)

    async def _answer(self, request: web.Request) -> web.Response:
        self.asked.append({name.lower(): value for name, value in request.headers.items()})
        return web.Response(text=self.body, status=self.status, headers=self.more, content_type="application/json")

    def _run(self) -> None:
        asyncio.set_event_loop(self._loop)
        self._loop.run_until_complete(self._start())
        self._ready.set()
        self._loop.run_forever()
        self._loop.run_until_complete(self._runner.cleanup())
        self._loop.close()

    async def _start(self) -> None:
        app = web.Application()
        app.router.add_get("/v1/models", self._answer)
        self._runner = web.AppRunner(app, access_log=None)
        await self._runner.setup()
        await web.TCPSite(self._runner, "127.0.0.1", 0).start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._runner.addresses[0][1]}/v1"

    def open(self) -> None:
        self._thread.start()
        self._ready.wait()

    def close(self) -> None:
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()


@pytest.fixture
def provider() -> Iterator[Provider]:
    made = Provider()
    made.open()
    yield made
    made.close()


@pytest.fixture
def paths(tmp_path: Path) -> Iterator[Paths]:
    env = {"HOME": str(tmp_path), "PATH": os.environ["PATH"]}
    with mock.patch.dict(os.environ, env, clear=True):
        yield from_environment(env)


def opencode(paths: Paths, id_: str, url: str, key: str = "") -> None:
    options = {"baseURL": url, **({"apiKey": key} if key else {})}
    paths.opencode_config.mkdir(parents=True, exist_ok=True)
    (paths.opencode_config / "opencode.json").write_text(json.dumps({"provider": {id_: {"options": options}}}))


def ask(paths: Paths, id_: str, url: str = "", at: float = 0.0, directory: Path | None = None) -> tuple[str, ...]:
    return live_models(paths, id_, url, directory=directory or paths.data.parent, clock=lambda: at)


def test_the_list_is_read_and_kept_for_a_while(paths: Paths, provider: Provider) -> None:
    assert ask(paths, "alpha", provider.url, at=1000) == ("m1", "m2")
    provider.body = '{"data": []}'
    assert ask(paths, "alpha", provider.url, at=1000 + KEPT_S - 1) == ("m1", "m2")
    assert len(provider.asked) == 1
    assert ask(paths, "alpha", provider.url, at=1000 + KEPT_S) == ()
    assert ask(paths, "alpha", provider.url, at=10) == ()  # the clock was set back: what is kept is of no use
    assert len(provider.asked) == 3


def test_what_is_kept_is_of_its_address_only_and_may_be_damaged(paths: Paths, provider: Provider) -> None:
    ask(paths, "alpha", provider.url)
    (kept,) = (paths.state.parent / "models").iterdir()
    kept.write_text(json.dumps({**json.loads(kept.read_text()), "url": "http://elsewhere"}))
    ask(paths, "alpha", provider.url)
    kept.write_text("{")
    ask(paths, "alpha", provider.url)
    assert len(provider.asked) == 3


@pytest.mark.parametrize(
    ("body", "models"),
    [
        ({"models": [{"name": "models/gemini"}]}, ("gemini",)),
        ([{"id": "a"}, {"id": "b"}], ("a", "b")),
        ({"data": [{"name": "n"}]}, ("n",)),
    ],
)
def test_every_form_of_a_list_is_read(paths: Paths, provider: Provider, body: Any, models: tuple[str, ...]) -> None:
    provider.body = json.dumps(body)
    assert ask(paths, "alpha", provider.url) == models


@pytest.mark.parametrize("body", ["<html>", "7", '{"data": 7}', "{}"])
def test_what_is_no_list_is_an_error(paths: Paths, provider: Provider, body: str) -> None:
    provider.body = body
    with pytest.raises(LiveModelsError, match="is no list of models"):
        ask(paths, "alpha", provider.url)


@pytest.mark.parametrize(
    ("status", "told"), [(401, "wants a key, and there is none"), (404, "has no list of models"), (500, "HTTP 500")]
)
def test_a_refusal_is_told(paths: Paths, provider: Provider, status: int, told: str) -> None:
    provider.status = status
    with pytest.raises(LiveModelsError, match=told):
        ask(paths, "alpha", provider.url)


@pytest.mark.parametrize(
    ("id_", "header", "value"),
    [("alpha", "authorization", "Bearer k-1"), ("anthropic", "x-api-key", "k-1"), ("google", "x-goog-api-key", "k-1")],
)
def test_a_key_goes_to_the_address_the_users_own_file_names(
    paths: Paths, provider: Provider, id_: str, header: str, value: str
) -> None:
    opencode(paths, id_, provider.url, "k-1")
    ask(paths, id_)
    assert provider.asked[0][header] == value
    assert "k-1" not in next((paths.state.parent / "models").iterdir()).read_text()
    provider.status = 401
    with pytest.raises(LiveModelsError, match="refuses the key"):
        ask(paths, id_, at=KEPT_S)


def test_no_key_goes_to_an_address_only_a_project_or_an_editor_names(paths: Paths, provider: Provider) -> None:
    with mock.patch.dict(os.environ, {"OPENAI_API_KEY": "k-secret"}):
        ask(paths, "openai", provider.url)
        project = paths.data.parent / "project"
        project.mkdir(parents=True)
        config = {"provider": {"openai": {"options": {"baseURL": provider.url}}}}
        (project / "opencode.json").write_text(json.dumps(config))
        ask(paths, "openai", at=KEPT_S, directory=project)
    assert len(provider.asked) == 2
    assert "k-secret" not in str(provider.asked)


def test_our_own_configuration_names_address_and_variable(paths: Paths, provider: Provider) -> None:
    paths.config.parent.mkdir(parents=True)
    mine = {"providers": {"mine": {"base_url": provider.url, "key_env": ["MY_KEY"]}}}
    paths.config.write_text(json.dumps(mine))
    with mock.patch.dict(os.environ, {"MY_KEY": "k-2"}):
        assert ask(paths, "mine") == ("m1", "m2")
    assert provider.asked[0]["authorization"] == "Bearer k-2"
    paths.config.write_text("{")
    with pytest.raises(LiveModelsError, match="nobody knows the address of mine"):
        ask(paths, "mine", at=KEPT_S)


def test_a_key_does_not_follow_a_redirect(paths: Paths, provider: Provider) -> None:
    opencode(paths, "alpha", provider.url, "k-1")
    provider.status, provider.more = 302, {"Location": provider.url + "/models"}
    with pytest.raises(LiveModelsError, match="HTTP 302"):
        ask(paths, "alpha")
    assert len(provider.asked) == 1


@pytest.mark.parametrize("url", ["", "https://x.test/${ACCOUNT}/v1"])
def test_without_an_address_it_says_where_to_write_one(paths: Paths, url: str) -> None:
    with pytest.raises(LiveModelsError, match=r"write it as providers\.alpha\.base_url"):
        ask(paths, "alpha", url)


def test_nobody_there(paths: Paths) -> None:
    with pytest.raises(LiveModelsError, match=r"cannot be asked at http://127\.0\.0\.1:9/v1/models"):
        ask(paths, "alpha", "http://127.0.0.1:9/v1")


def test_a_place_that_cannot_be_written_costs_only_the_keeping(paths: Paths, provider: Provider) -> None:
    paths.state.parent.mkdir(parents=True)
    (paths.state.parent / "models").write_text("a file where the directory should be")
    assert ask(paths, "alpha", provider.url) == ("m1", "m2")


def test_providers_shows_what_only_one_side_knows(home: Home, provider: Provider) -> None:
    home.run("start")
    here = {"id": "alpha", "base_url": provider.url, "models": [{"id": "m1"}, {"id": "old"}]}
    home.post("hello", directory=str(home.project), providers=[here])
    shown = home.inside("providers", "alpha", "--live").stdout
    assert shown.endswith(
        "  The provider itself lists 2 models.\n"
        "  OpenCode does not know: m2\n"
        "  OpenCode knows and the provider does not list: old\n"
    )
    assert json.loads(home.inside("providers", "alpha", "--live", "--json").stdout)["live"] == ["m1", "m2"]
    provider.status = 500
    home.post("hello", directory=str(home.project), providers=[{**here, "base_url": provider.url + "/"}])
    (home.paths.state.parent / "models" / "alpha.json").unlink()
    assert "has no list of models at" in home.inside("providers", "alpha", "--live", code=1).stderr
