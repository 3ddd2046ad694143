"""`route`: what a new turn would be sent to, and why every other candidate was or was not taken."""

import argparse
import json
import shutil
import sys
import time
from pathlib import Path

from sidecar.client import call
from sidecar.paths import from_environment
from sidecar.report.decision import explain, headline

HELP = "Say what a new turn that asks for a model would be sent to; with --explain, why every other candidate is not."
EXAMPLE = """
  rate-limit-sidecar route anthropic/claude-sonnet-4-5
  rate-limit-sidecar route --explain anthropic/claude-sonnet-4-5 --agent build
"""


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    parser.add_argument("target", metavar="PROVIDER/MODEL", help="the model asked for, by OpenCode's ids")
    parser.add_argument("--agent", default="build", help="the agent that asks (default: build)")
    parser.add_argument("--directory", metavar="DIR", default=".", help="the project (default: here)")
    parser.add_argument("--explain", action="store_true", help="give every candidate with its reason")
    parser.add_argument("--json", action="store_true", help="print the decision as JSON")


def run(args: argparse.Namespace) -> int:
    """Ask the daemon; changes nothing there."""
    provider, slash, model = args.target.partition("/")
    if not (provider and slash and model):
        print(f"rate-limit-sidecar route: {args.target!r} is not a target; write provider/model", file=sys.stderr)
        return 2
    question = {
        "session": "explain",
        "turn": "explain",
        "agent": args.agent,
        "directory": str(Path(args.directory).absolute()),
        "target": {"provider": provider, "model": model},
        "at": "message",
    }
    decision = call(from_environment().socket, "POST", "/v1/explain", question)
    if args.json:
        print(json.dumps(decision, indent=2, ensure_ascii=False))
        return 0
    if args.explain:
        print(explain(args.target, decision, time.time(), width=shutil.get_terminal_size().columns))
    else:
        print(headline(args.target, decision))
    return 0
