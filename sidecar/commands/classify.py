"""`classify`: say what refusals on standard input are, one JSON case a line; to try a new error or one's own records.

Needs no daemon; the user's own `error_patterns` count here as they do there. The clock is read here, never in the core.
"""

import argparse
import json
import math
import sys
import time
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from sidecar.config.load import load
from sidecar.config.models import ErrorPattern
from sidecar.config.problems import ConfigError
from sidecar.core.failure import Evidence, Failure
from sidecar.core.refusals.classify import classify
from sidecar.paths import from_environment

HELP = """\
Say what the sidecar makes of a provider's error. Reads one refusal per line as JSON from standard input (provider,
status, headers, message, body, now; each optional) and prints what it is, one JSON line each: kind, scope,
retry_after_s, switch, why."""
EXAMPLE = """
  echo '{"provider": "groq", "status": 429, "headers": {"retry-after": "7"}}' | rate-limit-sidecar classify --explain
"""

_FIELDS = ("provider", "status", "headers", "message", "body", "now")
_LOWEST_STATUS, _HIGHEST_STATUS = 100, 599
_LATEST = 253402300799.0  # the last second a calendar date can name


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    parser.add_argument("--explain", action="store_true", help="also print the name of the rule that decided")
    parser.add_argument("--no-config", action="store_true", help="leave out the error_patterns of the configuration")


def run(args: argparse.Namespace) -> int:
    """Classify every line; a line that is not a case is answered with an error in its place. Gives 1 if any was."""
    patterns = () if args.no_config else _patterns()
    status = 0
    for number, line in enumerate(sys.stdin.buffer, start=1):
        if not line.strip():
            continue
        try:
            evidence, now = _case(line)
        except ValueError as error:
            status = 1
            print(f"rate-limit-sidecar classify: line {number}: {error}", file=sys.stderr)
            print(json.dumps({"error": f"line {number}: {error}"}), flush=True)
        else:
            print(json.dumps(_answer(classify(evidence, now, patterns), explain=args.explain)), flush=True)
    return status


def _patterns() -> Sequence[ErrorPattern]:
    try:
        return load(from_environment().config, None, None).config.error_patterns
    except ConfigError as error:
        print(f"rate-limit-sidecar classify: without your error_patterns: {error}", file=sys.stderr)
        return ()


def _answer(failure: Failure, *, explain: bool) -> dict[str, Any]:
    answer: dict[str, Any] = {
        "kind": failure.kind,
        "scope": failure.scope,
        "retry_after_s": failure.retry_after_s,
        "switch": failure.switch,
        "why": failure.why,
    }
    return answer | {"rule": failure.rule} if explain else answer


def _case(line: bytes) -> tuple[Evidence, float]:
    """Read one line.

    Raises:
        ValueError: not a case; the message says what to write instead.
    """
    try:
        case = json.loads(line.decode())
    except (ValueError, RecursionError):
        raise ValueError('not JSON; write one object a line, for example {"status": 429, "message": "..."}') from None
    if not isinstance(case, dict):
        raise ValueError(f"a {type(case).__name__}; write an object with any of {', '.join(_FIELDS)}")
    if unknown := sorted(case.keys() - set(_FIELDS)):
        raise ValueError(f"unknown field {unknown[0]!r}; write any of {', '.join(_FIELDS)}")
    return (
        Evidence(
            provider=_text(case, "provider"),
            status=_status(case.get("status")),
            headers=_headers(case.get("headers")),
            message=_text(case, "message"),
            body=_body(case),
        ),
        _now(case.get("now")),
    )


def _body(case: Mapping[str, Any]) -> str | None:
    body = case.get("body")
    return json.dumps(body, ensure_ascii=False) if isinstance(body, dict | list) else _text(case, "body")


def _text(case: Mapping[str, Any], name: str) -> str | None:
    value = case.get(name)
    if value is not None and not isinstance(value, str):
        raise ValueError(f"{name} must be text or null")
    return value


def _status(value: object) -> int | None:
    if value is None:
        return None
    if isinstance(value, int) and not isinstance(value, bool) and _LOWEST_STATUS <= value <= _HIGHEST_STATUS:
        return value
    raise ValueError("status must be an HTTP status between 100 and 599, or null")


def _headers(value: object) -> dict[str, str]:
    if value is None:
        return {}
    if isinstance(value, dict) and all(isinstance(item, str | int | float) for item in value.values()):
        return {name.lower(): str(item) for name, item in value.items()}
    raise ValueError('headers must be an object of texts, for example {"retry-after": "30"}')


def _now(value: object) -> float:
    """Read `now`: missing is the current time, a date without a zone is UTC."""
    if value is None:
        return time.time()
    try:
        if isinstance(value, str):
            moment = datetime.fromisoformat(value)
            return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()
        if isinstance(value, int | float) and not isinstance(value, bool):
            seconds = float(value)
            if math.isfinite(seconds) and 0 <= seconds <= _LATEST:
                return seconds
    except (ValueError, OverflowError):
        pass
    raise ValueError("now must be an ISO 8601 time (2026-01-31T12:00:00Z) or epoch seconds")
