"""`history`: switches, failures and what else happened, with the reasons, out of the usage history."""

import argparse
import json
import time
from collections.abc import Sequence

from sidecar.commands.history_file import find_history
from sidecar.paths import from_environment
from sidecar.report.book import Book, HistoryError, opened
from sidecar.report.history import render

HELP = "Show switches, failures and waits with their reasons, newest last; 90 days are kept. Needs no daemon."
EXAMPLE = """
  rate-limit-sidecar history                          the last 50 events
  rate-limit-sidecar history anthropic --since 2h     what happened at a provider in the last two hours
  rate-limit-sidecar history --session ses_1a2b --json
"""

_MOST = 100_000
_NAMED = 5


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    parser.add_argument(
        "target", nargs="?", metavar="PROVIDER[/MODEL]", help="only what is about this provider or model"
    )
    parser.add_argument("-n", "--number", type=_number, default=50, metavar="N", help="how many (default: 50)")
    parser.add_argument("--since", type=_span, metavar="SPAN", help="only of the last 90s, 15m, 2h, 1d …")
    parser.add_argument("--session", metavar="ID", help="only of this session; the beginning of its id is enough")
    parser.add_argument("--json", action="store_true", help="print the events as JSON")


def run(args: argparse.Namespace) -> int:
    """Print the events."""
    since = None if args.since is None else time.time() - args.since
    with opened(find_history(from_environment())) as book:
        session = None if args.session is None else the_session(book, args.session)
        rows = book.happened(args.number, since=since, session=session, target=args.target)
    print(json.dumps(rows, indent=2, ensure_ascii=False) + "\n" if args.json else render(rows), end="")
    return 0


def the_session(book: Book, beginning: str) -> str:
    """Give the session whose id begins so; the id itself where none is known.

    Raises:
        HistoryError: more than one begins so; the message names some.
    """
    found: Sequence[str] = book.sessions(beginning)
    if len(found) > 1:
        raise HistoryError(f"more than one session begins with {beginning!r}: {', '.join(found[:_NAMED])}")
    return found[0] if found else beginning


def _number(text: str) -> int:
    if not text.isdecimal() or not 0 < int(text[:10]) <= _MOST:
        raise argparse.ArgumentTypeError(f"{text!r} is not a number from 1 to {_MOST}")
    return int(text)


def _span(text: str) -> float:
    # Only here, because the models of the configuration load slowly.
    from sidecar.config.models import parse_duration  # noqa: PLC0415

    try:
        return parse_duration(int(text) if text.isdecimal() else text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from None
