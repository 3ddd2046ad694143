"""The commands for which the real OpenCode matters: testing a provider, and finding what OpenCode is connected to."""

import asyncio
import json
import subprocess

import pytest

from sidecar.demo.scripted import limited

from .conftest import House

pytestmark = pytest.mark.e2e


def sidecar(house: House, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run a command where OpenCode is found, in the project."""
    return subprocess.run(
        [house.command, *arguments],
        cwd=house.home.project,
        env=house.home.environment | {"OPENCODE_BIN": str(house.home.binary)},
        capture_output=True,
        text=True,
        timeout=90,
        check=False,
    )


async def ran(house: House, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run a command while the scripted providers of this test go on answering."""
    return await asyncio.to_thread(sidecar, house, *arguments)


async def test_a_healthy_target_answers_one_small_request_that_counts(house: House) -> None:
    done = await ran(house, "test", "beta/small")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "✓ beta/small answers (HTTP 200); first token after " in done.stdout
    assert house.asked("") == house.asked("beta/small") == 1
    assert len(house.providers.requests[0].body.get("tools", [])) == 0
    assert house.provider("beta")["counts"]["requests_day"] == 1


async def test_a_refused_key_is_named_once_and_nothing_is_switched(house: House) -> None:
    house.providers.script("alpha/m1", limited(401, message="Incorrect API key provided"))
    done = await ran(house, "test", "alpha/m1")
    assert done.returncode == 1, done.stdout + done.stderr
    assert "✗ alpha/m1 does not answer (HTTP 401)" in done.stdout
    assert "read as auth (key refused) of the account" in done.stdout
    assert "then: rate-limit-sidecar clear alpha" in done.stdout
    assert house.asked("") == 1
    assert house.provider("alpha")["state"] == "unavailable"
    assert "switch" not in house.sidecar("logs").stdout


async def test_a_cooling_target_is_tested_all_the_same(house: House) -> None:
    house.providers.script("alpha/m1", limited(429, retry_after="600"))
    first = json.loads((await ran(house, "test", "alpha/m1", "--json")).stdout)
    assert (first["answered"], first["status"], first["failure"]["kind"]) == (False, 429, "rate_limit")
    assert first["failure"]["retry_after_s"] == pytest.approx(600, abs=5)
    again = await ran(house, "test", "alpha/m1")
    assert house.asked("alpha/m1") == 2
    assert "in a turn it would not have been asked: " in again.stdout


async def test_a_model_opencode_does_not_have_is_said_in_its_words(house: House) -> None:
    done = await ran(house, "test", "alpha/no-such-model")
    assert done.returncode == 1
    assert "OpenCode sent no request; it says:" in done.stdout
    assert house.providers.requests == []


async def test_nothing_of_a_test_is_left_in_opencode(house: House) -> None:
    await ran(house, "test", "beta/small")
    listed = await house.home.run("session", "list")
    assert "Test of a provider" not in listed.out


async def test_init_writes_what_opencode_is_connected_to(house: House) -> None:
    done = await ran(house, "init")
    assert done.returncode == 0, done.stderr
    written = (house.home.config / "rate-limit.jsonc").read_text()
    for name in ("alpha", "beta", "gamma"):
        assert f'"{name}": {{' in written
    assert '"opencode"' not in written  # the gateway nobody asked for
    assert "key-of-" not in written
    checked = await ran(house, "config", "check")
    assert checked.returncode == 0, checked.stdout
    assert (await ran(house, "init")).returncode == 1
    assert (house.home.config / "rate-limit.jsonc").read_text() == written


async def test_a_chain_for_an_agent_opencode_does_not_have_is_named(house: House) -> None:
    house.home.limits({"chains": {"biuld": ["beta/m1"], "plan": ["beta/m1"], "explore": ["beta/m1"]}})
    await house.home.run("run", "hello")
    checked = await ran(house, "config", "check")
    said = "warning: chains.biuld: the editor has no agent 'biuld'; did you mean 'build'?"
    assert [line for line in checked.stdout.splitlines() if line.startswith("warning")] == [said]


async def test_the_doctor_knows_the_opencode_that_introduced_itself(house: House) -> None:
    await house.home.run("run", "hello")
    shown = (await ran(house, "doctor")).stdout
    assert f" in {house.home.project} (opencode 1.18.33, plugin " in shown
    assert "✓ OpenCode loads the plugin by 'file://" in shown
    assert "✓ OpenCode 1.18.33 at " in shown
