"""`test`: one small request to a provider, and what came back: its key and model are checked as OpenCode uses them."""

import argparse
import asyncio
import contextlib
import json
import sys
from pathlib import Path
from typing import Any

from sidecar.client import DaemonUnavailableError, call
from sidecar.commands.start import start
from sidecar.config.catalogue import tier_models
from sidecar.config.models import Tier
from sidecar.core.target import Target
from sidecar.core.words import KIND_WORDS, span
from sidecar.installation import InstallError
from sidecar.opencode_binary import TESTED_VERSION, OpenCodeMissingError, on_this_machine
from sidecar.paths import Paths, from_environment
from sidecar.probe import PATIENCE_S, Result, probe
from sidecar.report.text import quick

HELP = """Send one small request to a provider and say what came back: how the sidecar reads it, how long it took, and
which limits the provider named. OpenCode sends it, with its own key or login, which the sidecar never sees; it counts
like any other request and costs what a dozen words cost. Nothing is switched and nothing is tried again."""
EXAMPLE = """
  rate-limit-sidecar test anthropic/claude-haiku-4-5
  rate-limit-sidecar test groq                        a small model of this provider
"""


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    parser.add_argument("target", metavar="PROVIDER[/MODEL]", help="what to test, by OpenCode's ids")
    parser.add_argument("--json", action="store_true", help="print the result as JSON")


def run(args: argparse.Namespace) -> int:
    """Test, and print the result; 0 when an answer came."""
    paths = from_environment()
    try:
        executable = on_this_machine()
        if executable is None:
            return _failed(f"opencode is not on PATH; npm install -g opencode-ai@{TESTED_VERSION}")
        _daemon(paths)
        target = _target(paths, args.target)
        against = _against(paths, target)
        if not args.json:
            print(f"{target}: asking …", flush=True)
        result = asyncio.run(probe(target, paths, executable))
    except (OpenCodeMissingError, InstallError, ValueError) as error:
        return _failed(str(error))
    learned = _learned(paths, target)
    if args.json:
        print(json.dumps(_as_json(target, result, learned), indent=2, ensure_ascii=False))
    else:
        print("\n".join(_lines(target, result, learned)))
        if against:
            print(f"  in a turn it would not have been asked: {against}")
    return 0 if result.outcome is not None and result.outcome["ended"] == "ok" else 1


def _daemon(paths: Paths) -> None:
    """Make sure that somebody counts."""
    try:
        call(paths.socket, "GET", "/v1/health")
    except DaemonUnavailableError:
        with contextlib.redirect_stdout(sys.stderr):
            start(paths)


def _target(paths: Paths, named: str) -> Target:
    """Give the target that is meant; of a provider, a small model.

    Raises:
        ValueError: nobody knows a model of this provider.
    """
    provider, _, model = named.partition("/")
    if model:
        return Target(provider, model)
    found = call(paths.socket, "GET", "/v1/providers")["providers"]
    facts = next((one for one in found if one["id"] == provider), None)
    models = call(paths.socket, "GET", f"/v1/providers?provider={provider}") if facts else {"providers": []}
    connected = [
        model
        for one in models["providers"]
        if one["id"] == provider
        for model in one["models"]
        if model["connected"] or model["configured"]
    ]
    if not connected:
        raise ValueError(f"no model of {provider} is known yet; name one: rate-limit-sidecar test {provider}/MODEL")
    known = tier_models(provider)
    order = list(Tier)
    best = min(connected, key=lambda m: (order.index(Tier(m["tier"])), m["id"] not in known, m["cost_output"]))
    return Target(provider, str(best["id"]))


def _against(paths: Paths, target: Target) -> str:
    """Say why a turn would not be sent there now; "" when it would."""
    question = {
        "session": "test",
        "turn": "test",
        "directory": str(Path.cwd()),
        "target": {"provider": target.provider, "model": target.model},
        "at": "message",
    }
    rejected = call(paths.socket, "POST", "/v1/explain", question)["rejected"]
    return str(next((one["text"] for one in rejected if one["target"] == str(target)), ""))


def _learned(paths: Paths, target: Target) -> list[dict[str, Any]]:
    try:
        found = call(paths.socket, "GET", "/v1/providers")["providers"]
    except DaemonUnavailableError:
        return []
    facts = next((one for one in found if one["id"] == target.provider), None)
    return [one for one in facts["learned"] if one["model"] in (None, target.model)] if facts else []


def _lines(target: Target, result: Result, learned: list[dict[str, Any]]) -> list[str]:
    outcome = result.outcome
    if outcome is None:
        return _nothing_sent(target, result)
    times = [
        f"{words} {quick(outcome[name])}"
        for name, words in (("first_token_ms", "first token after"), ("latency_ms", "done after"))
        if outcome.get(name) is not None
    ]
    took = f"; {', '.join(times)}" if times else ""
    if outcome["ended"] == "ok":
        lines = [f"✓ {target} answers (HTTP {outcome.get('status', 200)}){took}"]
    else:
        status = f"HTTP {outcome['status']}" if outcome.get("status") else outcome.get("error") or outcome["ended"]
        lines = [f"✗ {target} does not answer ({status}){took}", *_class(target, result)]
    if learned:
        limits = (f"{one['used']:.0f}/{one['limit']:.0f} {one['unit']}" for one in learned)
        lines.append(f"  the provider's own limits: {', '.join(limits)}")
    return lines


def _nothing_sent(target: Target, result: Result) -> list[str]:
    if result.timed_out:
        return [f"✗ {target}: OpenCode sent no request within {PATIENCE_S:.0f} s"]
    said = result.said.splitlines()[-4:] or ["nothing"]
    return [
        f"✗ {target}: OpenCode sent no request; it says:",
        *(f"  {line}" for line in said),
        f"  is it connected? opencode auth login, or: rate-limit-sidecar providers {target.provider}",
    ]


def _class(target: Target, result: Result) -> list[str]:
    answer = result.answer
    failure = answer.get("failure") if answer else None
    if not failure:
        return ["  the daemon did not say what it makes of it"]
    words = {kind.value: text for kind, text in KIND_WORDS.items()}
    wait = "" if failure["retry_after_s"] is None else f"; again in {span(failure['retry_after_s'])}, it says"
    read = f"  read as {failure['kind']} ({words[failure['kind']]}) of the {failure['scope']}: {failure['why']}{wait}"
    fix = _FIXES.get(failure["kind"], "")
    return [read, *([f"  {fix.format(provider=target.provider)}"] if fix else [])]


_FIXES = {
    "auth": "log in again (opencode auth login) or renew the key, then: rate-limit-sidecar clear {provider}",
    "billing": "pay or raise the limit there, then: rate-limit-sidecar clear {provider}",
    "model_not_found": "the models there are: rate-limit-sidecar providers {provider} --live",
}


def _as_json(target: Target, result: Result, learned: list[dict[str, Any]]) -> dict[str, Any]:
    outcome, answer = result.outcome or {}, result.answer or {}
    return {
        "target": str(target),
        "answered": outcome.get("ended") == "ok",
        "sent": result.outcome is not None,
        "status": outcome.get("status"),
        "first_token_ms": outcome.get("first_token_ms"),
        "latency_ms": outcome.get("latency_ms"),
        "failure": answer.get("failure"),
        "learned": learned,
        "said": "" if result.outcome else result.said,
    }


def _failed(message: str) -> int:
    print(f"rate-limit-sidecar test: {message}", file=sys.stderr)
    return 1
