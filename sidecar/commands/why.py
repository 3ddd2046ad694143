"""`why`: the reasons of a decision, afterwards: the error, the rule that read it, every candidate."""

import argparse
import json
from pathlib import Path

from sidecar.commands.history import the_session
from sidecar.commands.history_file import find_history
from sidecar.paths import from_environment
from sidecar.report.book import Book, Row, opened
from sidecar.report.why import render, render_plain

HELP = """\
Say why: the last switch, or the decisions of a session, each with the error it answers, the rule that read the error,
and every candidate with the reason why it was taken or not. Two weeks are kept. Needs no daemon."""
EXAMPLE = """
  rate-limit-sidecar why             the last switch
  rate-limit-sidecar why ses_1a2b    what was decided in a session; the beginning of its id is enough
"""

_MOST = 1_000


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    parser.add_argument(
        "session", nargs="?", metavar="SESSION", help="the session to explain (default: the last switch)"
    )
    parser.add_argument("--json", action="store_true", help="print the decisions as JSON")


def run(args: argparse.Namespace) -> int:
    """Print the decisions."""
    with opened(find_history(from_environment())) as book:
        if args.session is None:
            rows, otherwise = _last_switch(book), "There was no switch yet.\n"
        else:
            session = the_session(book, args.session)
            rows = book.decisions(_MOST, session=session)
            otherwise = "" if rows else render_plain(session, book.attempts(session))
    if args.json:
        print(json.dumps(rows, indent=2, ensure_ascii=False))
    else:
        print(render(rows, home=str(Path.home())) if rows else otherwise, end="")
    return 0


def _last_switch(book: Book) -> list[Row]:
    """Give the decision that made the last switch."""
    switch = book.last_switch()
    if switch is None:
        return []
    rows = book.decisions(_MOST, session=switch["session"], at=switch["at"])
    return [row for row in rows if row["target"] == switch["target"]][-1:]
