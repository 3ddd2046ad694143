"""`usage`: requests, tokens, cost, errors and times of a day, a week or a month, out of the usage history."""

import argparse
import json
from datetime import datetime, timedelta
from pathlib import Path

from sidecar.commands.history_file import find_history
from sidecar.paths import from_environment
from sidecar.report.book import opened
from sidecar.report.usage import PERIODS, render, total

HELP = """\
Show what was used: requests (every HTTP attempt), errors (attempts that failed or gave nothing), tokens in and out,
tokens read from and written to the cache, cost, and of answered requests the average time, the time 95 of 100 took at
the most (within a twentieth), and the average time to the first token. Needs no daemon."""
EXAMPLE = """
  rate-limit-sidecar usage                        today, by provider
  rate-limit-sidecar usage week --by model        the last 7 days
  rate-limit-sidecar usage month --by project     the last 30 days
  rate-limit-sidecar usage --json | jq .total.cost_usd
"""


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    parser.add_argument("period", nargs="?", choices=tuple(PERIODS), default="today", help="(default: today)")
    by = ("provider", "model", "agent", "project")
    parser.add_argument("--by", choices=by, default="provider", help="what to tell apart (default: provider)")
    parser.add_argument("--json", action="store_true", help="print every number as JSON")


def run(args: argparse.Namespace) -> int:
    """Print the report."""
    since = datetime.now().astimezone().date() - timedelta(days=PERIODS[args.period] - 1)
    with opened(find_history(from_environment())) as book:
        groups = book.usage(since.isoformat(), args.by)
    if args.json:
        rows = [{"name": name, **used.to_json()} for name, used in groups.items()]
        report = {"period": args.period, "since": since.isoformat(), "by": args.by}
        print(json.dumps({**report, "rows": rows, "total": total(groups).to_json()}, indent=2, ensure_ascii=False))
    else:
        print(render(groups, args.period, since, args.by, home=str(Path.home())), end="")
    return 0
