"""The usage history of a real OpenCode: every request a row with what it used, every switch with its why."""

import asyncio
import json
import sqlite3
from typing import Any

import pytest

from sidecar.demo.scripted import Reply, limited
from sidecar.demo.served import Served

from .conftest import House

pytestmark = pytest.mark.e2e


def rows(house: House, query: str) -> list[tuple[Any, ...]]:
    state = house.health()["state_file"]
    db = sqlite3.connect(f"file:{state.removesuffix('state.json')}history.db?mode=ro", uri=True)
    try:
        return db.execute(query).fetchall()
    finally:
        db.close()


async def usage(house: House, requests: int, *arguments: str) -> dict[str, Any]:
    """Give the report once it counts so many requests; what is written takes a moment."""
    async with asyncio.timeout(15):
        while True:
            report: dict[str, Any] = json.loads(house.sidecar("usage", *arguments, "--json").stdout)
            if report["total"]["requests"] >= requests:
                return report
            await asyncio.sleep(0.2)


async def test_every_request_is_counted_and_tokens_stand_with_theirs(house: House) -> None:
    house.providers.script("alpha/m1", limited(429, retry_after="90"))
    async with Served(house.home) as served:
        session = await served.session()
        await served.prompt(session, "hello")
        await served.prompt(session, "and again")
        asked = len(house.providers.requests)
        report = await usage(house, asked, "--by", "model")
        async with asyncio.timeout(10):
            while (await usage(house, asked))["total"]["tokens"]["input"] < 20:
                await asyncio.sleep(0.2)
    found = {row["name"]: row for row in report["rows"]}
    for target in {seen.target for seen in house.providers.requests}:
        assert found[target]["requests"] == house.asked(target)
    assert found["alpha/m1"]["failed"] == 1
    answered = rows(house, "SELECT provider, requests, ended, input, output FROM attempts WHERE message <> ''")
    assert answered == [("beta", 1, "ok", 10, 5)] * 2
    assert rows(house, "SELECT count(*) FROM attempts WHERE ended = ''") == [(0,)]
    assert found["beta/m1"]["latency_ms"]["count"] == found["beta/m1"]["first_token_ms"]["count"] == 2

    told = house.sidecar("history", "--session", session).stdout
    assert "switched alpha/m1 → beta/m1" in told
    why = house.sidecar("why").stdout
    assert f"Session {session}" in why
    assert "status 429, rate limit" in why
    assert "✓ beta/m1 (the same model elsewhere): taken" in why


async def test_a_step_with_tools_finds_the_right_request(house: House) -> None:
    call = ("bash", {"command": "true", "description": "nothing"})
    house.providers.script("alpha/m1", Reply(tools=[call]), Reply(tools=[call]), Reply(text="done"))
    async with Served(house.home) as served:
        session = await served.session()
        await served.prompt(session, "three steps")
        async with asyncio.timeout(15):
            while (await usage(house, 3))["total"]["tokens"]["input"] < 30:
                await asyncio.sleep(0.2)
    found = rows(house, "SELECT requests, ended, input FROM attempts WHERE message <> '' ORDER BY id")
    assert found == [(1, "ok", 10)] * 3
    messages = [message for (message,) in rows(house, "SELECT message FROM attempts WHERE message <> '' ORDER BY id")]
    assert messages == sorted(messages), "ids ascend in time, and so do the requests they came from"
