"""`test` as far as it goes without an OpenCode: what is chosen, what is said, what is missing. The rest is in e2e."""

import json
import subprocess
from typing import Any
from unittest import mock

import pytest

from sidecar.core.target import Target
from sidecar.probe import Result
from tests.commands.conftest import Home

ASKED = "anthropic/claude-sonnet-4-5"
OK = {"ended": "ok", "status": 200, "first_token_ms": 412.0, "latency_ms": 1_520.0}
REFUSED = {"ended": "failed", "status": 401, "latency_ms": 88.0}
AUTH = {"failure": {"kind": "auth", "scope": "account", "retry_after_s": None, "why": "does not accept the key"}}
LIMIT = {"failure": {"kind": "rate_limit", "scope": "model", "retry_after_s": 600.0, "why": "too fast"}}


def ran(home: Home, *arguments: str, code: int, result: Result) -> tuple[str, list[Target]]:
    """Run the command with an OpenCode that ends like this; gives what it prints and what was asked."""
    home.program("opencode", "#!/bin/sh\n")
    asked: list[Target] = []

    async def probe(target: Target, *_: Any) -> Result:
        asked.append(target)
        return result

    with mock.patch("sidecar.commands.test.probe", probe):
        return home.inside("test", *arguments, code=code).stdout, asked


def test_an_answer_with_its_times_and_what_speaks_against_it_in_a_turn(served: Home) -> None:
    shown, asked = ran(served, ASKED, code=0, result=Result(OK, {}))
    assert asked == [Target.parse(ASKED)]
    assert shown.splitlines() == [
        f"{ASKED}: asking …",
        f"✓ {ASKED} answers (HTTP 200); first token after 412 ms, done after 1.5 s",
        "  in a turn it would not have been asked: requests or tokens come faster than the provider allows",
    ]


@pytest.mark.parametrize(
    ("outcome", "answer", "lines"),
    [
        (
            REFUSED,
            AUTH,
            [
                "✗ openrouter/x does not answer (HTTP 401); done after 88 ms",
                "  read as auth (key refused) of the account: does not accept the key",
                "  log in again (opencode auth login) or renew the key, then: rate-limit-sidecar clear openrouter",
            ],
        ),
        (
            {"ended": "failed", "status": 429},
            LIMIT,
            [
                "✗ openrouter/x does not answer (HTTP 429)",
                "  read as rate_limit (rate limit) of the model: too fast; again in 10 min, it says",
            ],
        ),
        (
            {"ended": "failed", "error": "connection refused"},
            None,
            ["✗ openrouter/x does not answer (connection refused)", "  the daemon did not say what it makes of it"],
        ),
        ({"ended": "empty", "status": 200}, {}, ["✗ openrouter/x does not answer (HTTP 200)"]),
    ],
)
def test_a_refusal_says_how_it_is_read_and_what_to_do(
    served: Home, outcome: dict[str, Any], answer: dict[str, Any] | None, lines: list[str]
) -> None:
    shown, _ = ran(served, "openrouter/x", code=1, result=Result(outcome, answer))
    assert shown.splitlines()[1 : 1 + len(lines)] == lines


def test_where_nothing_was_sent_opencode_s_words_are_given(served: Home) -> None:
    shown, _ = ran(served, "nope/x", code=1, result=Result(said="one\ntwo\nModel not found: nope/x"))
    assert "OpenCode sent no request; it says:\n  one\n  two\n  Model not found: nope/x\n" in shown
    shown, _ = ran(served, "nope/x", code=1, result=Result(timed_out=True))
    assert "OpenCode sent no request within 120 s" in shown


def test_json_is_the_result(served: Home) -> None:
    shown, _ = ran(served, "openrouter/x", "--json", code=1, result=Result(REFUSED, AUTH))
    told = json.loads(shown)
    assert (told["target"], told["answered"], told["sent"], told["status"]) == ("openrouter/x", False, True, 401)
    assert told["failure"] == AUTH["failure"]


def test_learned_limits_are_told(home: Home) -> None:
    home.run("start")
    attempt = {"session": "s", "turn": "t", "target": {"provider": "openrouter", "model": "x"}}
    home.post("route", **attempt, attempt="learn-1")
    headers = {"x-ratelimit-limit-requests": "200", "x-ratelimit-remaining-requests": "150"}
    home.post("outcome", **attempt, attempt="learn-1", ended="ok", status=200, headers=headers)
    shown, _ = ran(home, "openrouter/x", code=0, result=Result(OK, {}))
    assert "  the provider's own limits: 50/200 requests\n" in shown


def test_of_a_provider_a_small_model_is_taken(home: Home) -> None:
    home.run("start")
    models = [{"id": id_, "cost_output": 1} for id_ in ("claude-opus-4-8", "claude-haiku-4-5", "claude-haiku-3")]
    home.post("hello", directory="/small", providers=[{"id": "anthropic", "models": models}])
    _, asked = ran(home, "anthropic", code=0, result=Result(OK, {}))
    assert asked == [Target("anthropic", "claude-haiku-4-5")]


def test_of_a_provider_without_known_models_one_must_be_named(served: Home) -> None:
    served.program("opencode", "#!/bin/sh\n")
    assert "name one: rate-limit-sidecar test nope/MODEL" in served.inside("test", "nope", code=1).stderr


def test_without_an_opencode_it_says_where_to_get_one(home: Home) -> None:
    assert "npm install -g opencode-ai@" in home.inside("test", ASKED, code=1).stderr
    assert "OPENCODE_BIN names" in home.inside("test", ASKED, code=1, OPENCODE_BIN="/no/where").stderr


def test_without_a_daemon_it_starts_one(home: Home) -> None:
    home.program("opencode", "#!/bin/sh\necho I am no OpenCode\n")
    done = home.run("test", ASKED, "--json", code=1)
    assert done.stderr.startswith("started (pid ")
    told = json.loads(done.stdout)
    assert (told["sent"], told["said"]) == (False, "I am no OpenCode")


def test_a_script_around_opencode_leaves_nothing_running(home: Home) -> None:
    home.program("opencode", f"#!/bin/sh\nsleep 300 &\necho $! > {home.root}/pid\nexit 0\n")
    home.run("start")
    home.run("test", ASKED, code=1)
    pid = (home.root / "pid").read_text().strip()
    state = subprocess.run(["ps", "-o", "stat=", "-p", pid], capture_output=True, text=True, check=False).stdout
    assert state.strip()[:1] in ("", "Z")  # gone, or waiting for somebody to take note of it
