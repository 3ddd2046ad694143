"""What a person sees: the status command in OpenCode without a model call, the report, the log."""

import asyncio

import pytest

from sidecar.demo.scripted import limited
from sidecar.demo.served import Served, ServedError, text_of

from .conftest import House

pytestmark = pytest.mark.e2e


async def test_the_status_command_makes_no_request(house: House) -> None:
    async with Served(house.home) as served:
        session = await served.session()
        with pytest.raises(ServedError):
            await served.post(f"/session/{session}/command", {"command": "rate_limit_status", "arguments": ""})
        said = "".join(map(text_of, await served.messages(session)))
    assert "Current Provider" in said
    assert house.providers.requests == []


async def test_the_status_command_of_run_makes_no_request(house: House) -> None:
    await house.home.run("run", "--command", "rate_limit_status")
    assert house.providers.requests == []


async def test_the_report_names_what_is_limited_until_when_and_where_the_session_is(house: House) -> None:
    house.home.limits({"providers": {"alpha": {"limits": {"rpm": 50}}, "beta": {"limits": {"rpm": 50}}}})
    house.providers.script("alpha/m1", limited(402, message="Insufficient credits"))
    await house.home.run("run", "hello")
    report = house.sidecar("status").stdout
    alpha, rest = report.split("beta: ")
    assert alpha.startswith("alpha: ✗ Unavailable")
    assert f"Requests: {house.asked('alpha/')}/50" in alpha
    assert "Cooldown until" in alpha
    assert "✓ Available" in rest
    assert "Current Provider: beta" in rest


async def test_the_log_says_from_where_to_where_and_why(house: House) -> None:
    house.providers.script("alpha/m1", limited(429, retry_after="90"))
    await house.home.run("run", "hello")
    lines = [line for line in house.sidecar("logs").stdout.splitlines() if "switch" in line]
    assert any("alpha/m1" in line and "beta/m1" in line and "rate" in line for line in lines), lines


async def test_opencode_s_own_log_names_the_switch(house: House) -> None:
    house.providers.script("alpha/m1", limited(429, retry_after="90"))
    # In serve mode, because `opencode run` exits before it has written the end of its own log.
    async with Served(house.home) as served:
        await served.prompt(await served.session(), "hello")
        logs = house.home.home / ".local/share/opencode/log"
        async with asyncio.timeout(10):
            while not any(_names_the_switch(line) for f in logs.glob("*") for line in f.read_text().splitlines()):
                await asyncio.sleep(0.1)


def _names_the_switch(line: str) -> bool:
    return "rate-limit-sidecar" in line and "alpha/m1" in line and "beta/m1" in line
