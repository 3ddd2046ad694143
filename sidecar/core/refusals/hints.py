"""The waits and limits a provider names: in headers, in fields of the body, in its text.

`named_wait` says how long to stay away, `learn_limits` what the headers teach about the limits themselves. Nothing in
here decides what kind of failure it was (`classify.py`) or how long to cool down without a named wait (`health.py`).
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, timedelta, timezone, tzinfo

from sidecar.core.failure import Evidence
from sidecar.core.limits import LearnedLimit, Unit
from sidecar.core.refusals.evidence import Findings, dig
from sidecar.core.refusals.families import families_of
from sidecar.core.refusals.waits import duration_s, moment_s, text_wait_s

LONGEST_WAIT_S = 31 * 86400.0
"""No named wait is believed beyond this (a month's quota)."""

_MINUTE, _HOUR, _DAY, _MONTH = 60.0, 3600.0, 86400.0, 2592000.0
_SHORT_FOR_A_DAY_S = 900.0

# Providers whose zone-less times are those of Beijing.
_BEIJING = frozenset({"zai", "alibaba", "moonshot", "minimax", "volcengine", "qianfan", "siliconflow"})

_MILLISECONDS = ("retry-after-ms", "x-ms-retry-after-ms", "x-retry-after-ms")
_SECONDS = ("retry-after", "x-retry-after", "x-ratelimit-timeremaining", "x-ratelimit-reset-after")
_CLAIMS = {"five_hour": "5h-", "seven_day": "7d-"}

_PER = {"second": 1.0, "minute": _MINUTE, "min": _MINUTE, "hour": _HOUR, "day": _DAY, "month": _MONTH}
_TOKEN_FAMILIES = frozenset({"tokenlimit", "ratelimitbysize"})
_HEADER = re.compile(
    r"(?:x-)?(anthropic-)?(ratelimit|rate-limit|ratelimitbysize|tokenlimit)-"
    r"(?:(requests|tokens|input-tokens|output-tokens)-)?(limit|remaining|reset)"
    r"(?:-(requests?|req|tokens?|tokens-prompt|tokens-generated))?(?:-(second|minute|min|hour|day|month))?"
)
_DRAFT_ITEM = re.compile(r'"?([\w.-]{1,60})"?((?:\s?;\s?\w{1,12}=[^;,]{1,40}){1,8})')
_DRAFT_FIELD = re.compile(r'(\w{1,12})\s?=\s?"?(-?[\w.]{1,40})"?')

# Windows the documentation states for header names that do not say it themselves, by family and unit.
_DOCUMENTED: dict[tuple[str, Unit], float] = {
    ("groq", "requests"): _DAY,
    ("groq", "tokens"): _MINUTE,
    ("azure", "tokens"): _MINUTE,
    ("anthropic", "requests"): _MINUTE,
    ("anthropic", "tokens"): _MINUTE,
}

_LIMIT_NUMBER = re.compile(r"\blimit:? ~?(\d{1,15})\b")
_REQUESTED_NUMBER = re.compile(r"\brequested:? ~?(\d{1,15})\b")
_THOUSANDS = re.compile(r"(?<=\d),(?=\d{3}\b)")
_LIMIT_ZERO = re.compile(r"\blimit: ?0\b(?!\.)")
_GOOGLE_DAY = re.compile(r"per_?day")


@dataclass(slots=True)
class _Window:
    """One limit as its headers describe it, while they are being read."""

    limit: float | None = None
    remaining: float | None = None
    reset: str | None = None
    per_s: float | None = None


def named_wait(evidence: Evidence, now: float) -> float | None:
    """Give the wait a refusal names in seconds, between 0 and 31 days; None when it names none that can be believed."""
    return wait_in(dig(evidence), now)


def wait_in(findings: Findings, now: float) -> float | None:
    """Give the believable wait in what was dug out of a refusal; see `named_wait`.

    A header or a field of the body that names the wait decides (the longer of both: coming early fails again); then
    the text; then the resets of exhausted limits (OpenAI's tell when the limit is full again, which is later than when
    there is room again). A past date means now, so 0.
    """
    if not believable(findings):
        return None
    local = _local_zone(findings)
    stated = [*_header_waits(findings.headers, now), *_field_waits(findings, now, local)]
    wait = max(stated) if stated else text_wait_s(findings.text, now, local)
    if wait is None:
        wait = max(_exhausted_resets(findings.headers, now), default=None)
    if wait is None:
        return None
    if _is_google_day(findings) and wait < _SHORT_FOR_A_DAY_S:
        return None
    return min(max(wait, 0.0), LONGEST_WAIT_S)


def believable(findings: Findings) -> bool:
    """Say whether a wait can help at all: not when the limit is 0 or the request alone is larger than the limit."""
    return not (is_limit_zero(findings) or never_fits(findings))


def is_limit_zero(findings: Findings) -> bool:
    """Say whether the limit in question is 0: no waiting opens it (Google writes `limit: 0` for unavailable models)."""
    return bool(_LIMIT_ZERO.search(findings.text))


def never_fits(findings: Findings) -> bool:
    """Say whether the request asks for more than the whole limit ("Limit 6000, Requested 12089")."""
    text = _THOUSANDS.sub("", findings.text)
    limit, requested = _LIMIT_NUMBER.search(text), _REQUESTED_NUMBER.search(text)
    return bool(limit and requested and int(requested[1]) > int(limit[1]))


def _is_google_day(findings: Findings) -> bool:
    """Google answers a spent day with a retryDelay of seconds; obeying it only repeats the refusal."""
    return "google" in findings.families and any(_GOOGLE_DAY.search(code) for code in (*findings.codes, findings.text))


def _local_zone(findings: Findings) -> tzinfo:
    return timezone(timedelta(hours=8)) if _BEIJING & set(findings.families) else UTC


def _header_waits(headers: Mapping[str, str], now: float) -> list[float]:
    """Read the headers whose whole meaning is a wait: milliseconds are the finer word for the same wait."""
    milliseconds = [_number(headers.get(name)) for name in _MILLISECONDS]
    if waits := [max(wait, 0.0) / 1000 for wait in milliseconds if wait is not None]:
        return waits
    seconds = [_moment(headers.get(name), now) for name in _SECONDS]
    if waits := [wait for wait in seconds if wait is not None]:
        return waits
    if headers.get("anthropic-ratelimit-unified-status") == "rejected":
        claim = _CLAIMS.get(headers.get("anthropic-ratelimit-unified-representative-claim", ""), "")
        for part in (claim, ""):
            if (wait := _moment(headers.get(f"anthropic-ratelimit-unified-{part}reset"), now)) is not None:
                return [wait]
    return []


def _field_waits(findings: Findings, now: float, local: tzinfo) -> list[float]:
    """Read the fields of a body that name a wait, such as `resets_in_seconds`, `retryDelay` or `resetsAt`."""
    waits: list[float] = []
    for name, value in findings.resets:
        wait = moment_s(value, now, local)
        if wait is not None and name.endswith("ms") and duration_s(value) is None:
            wait /= 1000
        if wait is not None:
            waits.append(wait)
    return waits


def _exhausted_resets(headers: Mapping[str, str], now: float) -> list[float]:
    """Read the resets of those limits that have nothing left.

    A reset without a `remaining` beside it counts only where a response has no other limits it could belong to
    (Mistral's `ratelimitbysize-reset`, the plain `x-ratelimit-reset`).
    """
    waits: list[float] = []
    for (_, unit, _), window in _windows(headers).items():
        spent = window.remaining <= 0 if window.remaining is not None else unit == ""
        if spent and window.limit != 0 and (value := _moment(window.reset, now)) is not None:
            waits.append(value)
    for drafted in _drafted(headers):
        if drafted.remaining is not None and drafted.remaining <= 0:
            waits.extend(value for value in [_moment(drafted.reset, now)] if value is not None)
    return waits


def learn_limits(provider: str | None, headers: Mapping[str, str], now: float) -> tuple[LearnedLimit, ...]:
    """Read what a response's headers state about limits; headers have lower-case names.

    Covers `x-ratelimit-*` with and without unit and window (OpenAI, Azure, Groq, Cerebras, Mistral, Together, xAI,
    Fireworks, OpenRouter), `anthropic-ratelimit-*` and the IETF drafts. Limits of 0 and below are placeholders and
    left out, a negative rest is unknown. `per_s` is None where neither the header's name nor the documentation says it.
    """
    family = next(iter(families_of(provider)), "")
    learned: list[LearnedLimit] = []
    for (family_of_name, unit_word, _), window in _windows(headers).items():
        unit: Unit = "tokens" if family_of_name in _TOKEN_FAMILIES or "token" in unit_word else "requests"
        per_s = window.per_s or _DOCUMENTED.get(("anthropic" if family_of_name == "anthropic" else family, unit))
        learned.extend(_learned(unit, window, per_s, now))
    for drafted in _drafted(headers):
        learned.extend(_learned("requests", drafted, drafted.per_s, now))
    return tuple(learned)


def _learned(unit: Unit, window: _Window, per_s: float | None, now: float) -> list[LearnedLimit]:
    if window.limit is None or window.limit <= 0:
        return []
    remaining = window.remaining if window.remaining is not None and window.remaining >= 0 else None
    reset = _moment(window.reset, now)
    return [
        LearnedLimit(
            unit=unit,
            limit=window.limit,
            remaining=remaining,
            per_s=per_s,
            resets_at=None if reset is None else now + min(reset, LONGEST_WAIT_S),
        )
    ]


def _windows(headers: Mapping[str, str]) -> dict[tuple[str, str, str], _Window]:
    """Gather the `limit`, `remaining` and `reset` that belong together, by (family, unit, window) of their names."""
    windows: dict[tuple[str, str, str], _Window] = {}
    for name, value in headers.items():
        found = _HEADER.fullmatch(name)
        if not found:
            continue
        anthropic, kind, unit_before, field, unit_after, per = found.groups()
        key = ("anthropic" if anthropic else kind, unit_before or unit_after or "", per or "")
        window = windows.setdefault(key, _Window(per_s=_PER.get(per or "")))
        if field == "reset":
            window.reset = value
        elif field == "remaining":
            window.remaining = _number(value)
        else:
            window.limit = _number(re.split("[,;]", value)[0])
    return windows


def _drafted(headers: Mapping[str, str]) -> list[_Window]:
    """Read the IETF drafts' `RateLimit` and `RateLimit-Policy`.

    Both notations: `"default";r=0;t=30` with `"default";q=100;w=60`, and `limit=100, remaining=0, reset=30`.
    """
    windows: dict[str, _Window] = {}
    for header in ("ratelimit-policy", "ratelimit"):
        value = headers.get(header, "")[:500]
        items = _DRAFT_ITEM.findall(value)
        if not items and "=" in value:
            items = [("default", value)]
        for name, parameters in items:
            fields = dict(_DRAFT_FIELD.findall(parameters))
            if fields.get("qu", "requests") != "requests":
                continue
            window = windows.setdefault(name, _Window())
            window.limit = _first(_number(fields.get("q")), _number(fields.get("limit")), window.limit)
            window.remaining = _first(_number(fields.get("r")), _number(fields.get("remaining")), window.remaining)
            window.per_s = _first(_number(fields.get("w")), window.per_s)
            window.reset = fields.get("t") or fields.get("reset") or window.reset
    return list(windows.values())


def _first(*values: float | None) -> float | None:
    return next((value for value in values if value is not None), None)


def _moment(value: str | None, now: float) -> float | None:
    """Read a header as seconds from now, the past as 0."""
    wait = moment_s(value, now) if value else None
    return None if wait is None else max(wait, 0.0)


def _number(value: str | None) -> float | None:
    """Read a plain number of a header; None for anything else, infinities included."""
    try:
        number = float((value or "")[:40])
    except ValueError:
        return None
    return number if abs(number) < 1e18 else None  # noqa: PLR2004  (beyond any real limit; also not a number)
