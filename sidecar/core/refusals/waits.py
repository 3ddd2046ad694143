"""How long, in the words providers use: durations, dates and clock times in values and in running text.

Only reading: whether a wait that was read is to be believed is `hints.py`. Every function takes `now` in epoch seconds
and gives seconds from now, uncapped; nothing raises. Zone names are looked up in the time zone database.
"""

import math
import re
from datetime import UTC, datetime, timedelta, timezone, tzinfo
from email.utils import parsedate_to_datetime
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

_SECONDS = {
    "ms": 0.001, "msec": 0.001, "millisecond": 0.001, "毫秒": 0.001,
    "s": 1.0, "sec": 1.0, "second": 1.0, "秒": 1.0, "秒钟": 1.0,
    "m": 60.0, "min": 60.0, "minute": 60.0, "分": 60.0, "分钟": 60.0,
    "h": 3600.0, "hr": 3600.0, "hour": 3600.0, "小时": 3600.0,
    "d": 86400.0, "day": 86400.0, "天": 86400.0,
    "w": 604800.0, "week": 604800.0, "周": 604800.0,
    "month": 2592000.0,
}  # fmt: skip
_EPOCH_MS = 1e11
_EPOCH_S = 1e9
_DAY = 86400.0
_WEEKDAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
_WEEKDAY_NAMES = r"mon(?:day)?|tue(?:sday)?|wed(?:nesday)?|thu(?:rsday)?|fri(?:day)?|sat(?:urday)?|sun(?:day)?"
_MONTHS = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
_MONTH_NAMES = (
    r"jan(?:uary)?|feb(?:ruary)?|mar(?:ch)?|apr(?:il)?|may|june?|july?|aug(?:ust)?|sept?(?:ember)?|oct(?:ober)?"
    r"|nov(?:ember)?|dec(?:ember)?"
)
_ZONES = {
    "utc": 0.0, "gmt": 0.0, "z": 0.0, "est": -5.0, "edt": -4.0, "pst": -8.0, "pdt": -7.0, "cet": 1.0, "cest": 2.0,
    "jst": 9.0, "kst": 9.0,
}  # fmt: skip
_ZONE_WORDS = {"pt": "America/Los_Angeles", "pacific": "America/Los_Angeles", "et": "America/New_York"}

_UNIT = (
    r"(?:milliseconds?|msecs?|ms|seconds?|secs?|s|minutes?|mins?|m|hours?|hrs?|h|days?|d|weeks?|w|months?"
    r"|毫秒|秒钟?|分钟?|小时|天|周)(?![a-z])"
)
_AMOUNT = r"\d{1,12}(?:\.\d{1,12})?\s?"
_PART = re.compile(rf"({_AMOUNT})({_UNIT})")
_DURATION = rf"{_AMOUNT}{_UNIT}(?:[\s,]{{0,2}}(?:and )?{_AMOUNT}{_UNIT}){{0,4}}"
_CLOCK_SPAN = r"\d{1,3}:\d\d:\d\d"

# Words after which a time is one of waiting.
_CUE = (
    r"(?:retry(?:[-_ ]?after|delay)?|again|wait|reset(?:s|ting)?|refresh(?:es|ed)?|replenish(?:es|ed)?|renew(?:s|ed)?"
    r"|available|back|lifted|unlock(?:s|ed)?|expires?|resumes?|cool(?:s|ing)? ?down|delay)"
)
_CUE_GAP = rf"{_CUE}\b[^.\n\d]{{0,40}}?"
_CUED_DURATION = re.compile(rf"{_CUE_GAP}[\s:=~(]({_DURATION})|{_CUE_GAP}\b(?:in|after) ({_CLOCK_SPAN})(?!\d)")
_DURATION_LATER = re.compile(rf"({_DURATION})\s?(?:later|后|之后|以后|until|remaining|left)")
_RETRY_SECONDS = re.compile(
    r"\b(?:retry[-_ ]?after|retry[-_ ]?in|try again in)(?:[-_ ]?(?:seconds|secs))?[\"']?\s?[:=]?\s?[\"']?"
    r"(\d{1,12}(?:\.\d{1,9})?)(?![\w:/-]|\.\d|\s?[a-z%])"
)
_RETRY_MS = re.compile(r"\bretry[-_ ]?after[-_ ]?ms[\"']?\s?[:=]\s?[\"']?(\d{1,12}(?:\.\d{1,9})?)(?!\w)")
_EPOCH_IN_TEXT = re.compile(r"(?:\||reset(?:s|_at|-at)?[\"']?(?: at)?\s?[:=]?\s?)(\d{10}|\d{13})(?!\d)")
_DATE_CUE = re.compile(rf"{_CUE}|until|regain")

_ZONE = (
    r"([a-z]{1,12}/[a-z_]{1,20}(?:/[a-z_]{1,20})?|(?:utc|gmt)(?:[+-]\d{1,2})?|z|[ecp][sd]t|cest|cet|jst|kst|pt|et|pacific"
    r"|[+-]\d\d:?\d\d)(?!\w)"
)
_STAMP = re.compile(
    r"(?<![\w./-])(\d{4})[-/](\d\d?)[-/](\d\d?)(?:(?:t|,? at |,? )\s?(\d\d?):(\d\d)(?::(\d\d)(?:\.\d{1,9})?)?)?"
    rf"(?!\d)(?:\s?\(?{_ZONE})?"
)
_AFTER_CUE = re.compile(rf"{_CUE}\b([^\n]{{0,70}})")
_TIME = re.compile(r"(?<![\d:.])(?:(\d\d?)(?::(\d\d)(?::\d\d)?)?\s?([ap])\.?m\b|(\d\d?):(\d\d)(?![\d])|(midnight)\b)")
_WEEKDAY = re.compile(rf"\b({_WEEKDAY_NAMES})\b")
_MONTH_DAY = re.compile(rf"\b({_MONTH_NAMES})\.? (\d\d?)(?:st|nd|rd|th)?\b(?:,? (\d{{4}})\b)?")
_ZONE_AFTER = re.compile(rf"[\s(]{{0,3}}{_ZONE}")


def duration_s(text: str) -> float | None:
    """Read a duration such as `6m11.52s`, `125h58m`, `3 days 4 hours`, `900.2ms` or `12:30:15` in seconds."""
    text = text.strip().lower()[:100]
    if re.fullmatch(_CLOCK_SPAN, text):
        hours, minutes, seconds = text.split(":")
        return int(hours) * 3600.0 + int(minutes) * 60.0 + int(seconds)
    parts = _PART.findall(text)
    if not parts or not re.fullmatch(_DURATION, text):
        return None
    return math.fsum(float(number) * _SECONDS[_unit(unit)] for number, unit in parts)


def _unit(word: str) -> str:
    return word if word in _SECONDS else word.rstrip("s")


def moment_s(value: str, now: float, local: tzinfo = UTC) -> float | None:
    """Read a header's or field's value as seconds from now.

    Understands epoch seconds and milliseconds, plain seconds, durations, RFC 3339 and HTTP dates; dates without a zone
    are read in `local`. The answer may be negative (the past).
    """
    value = value.strip()[:100]
    try:
        number = float(value)
    except ValueError:
        pass
    else:
        return _from_number(number, now)
    if (span := duration_s(value)) is not None:
        return span
    if stamp := _STAMP.match(value.lower()):
        return _until(_stamp(stamp, local), now)
    try:
        return _until(parsedate_to_datetime(value), now)
    except (ValueError, OverflowError, TypeError):
        return None


def _from_number(number: float, now: float) -> float | None:
    if not math.isfinite(number):
        return None
    if number >= _EPOCH_MS:
        return number / 1000 - now
    return number - now if number >= _EPOCH_S else number


def text_wait_s(text: str, now: float, local: tzinfo = UTC) -> float | None:
    """Find the wait running text names, in seconds from now; of several the longest.

    `text` is lower case, one message per line. Clock times and dates without a zone are read in `local`.
    """
    found: list[float | None] = []
    for line in text.splitlines():
        found.extend(duration_s(match[1] or match[2]) for match in _CUED_DURATION.finditer(line))
        found.extend(duration_s(match[1]) for match in _DURATION_LATER.finditer(line))
        found.extend(float(match[1]) / 1000 for match in _RETRY_MS.finditer(line))
        found.extend(_from_number(float(match[1]), now) for match in _EPOCH_IN_TEXT.finditer(line))
        if not any(wait is not None for wait in found):
            found.extend(float(match[1]) for match in _RETRY_SECONDS.finditer(line))
            found.extend(_date_waits(line, now, local))
    return max((wait for wait in found if wait is not None), default=None)


def _date_waits(line: str, now: float, local: tzinfo) -> list[float | None]:
    """Find dates and clock times after a word that speaks of waiting."""
    if not _DATE_CUE.search(line):
        return []
    stamps = [wait for match in _STAMP.finditer(line) if (wait := _until(_stamp(match, local), now)) is not None]
    if recent := [wait for wait in stamps if wait > -_DAY]:
        return [*recent]
    return [_clock(match[1], now, local) for match in _AFTER_CUE.finditer(line)]


def _until(then: datetime | None, now: float) -> float | None:
    if then is None:
        return None
    return (then if then.tzinfo else then.replace(tzinfo=UTC)).timestamp() - now


def _stamp(match: re.Match[str], local: tzinfo) -> datetime | None:
    """Build the moment a written date names."""
    year, month, day, hour, minute, second, zone = match.groups()
    try:
        return datetime(
            int(year),
            int(month),
            int(day),
            int(hour or 0),
            int(minute or 0),
            int(second or 0),
            tzinfo=_zone(zone, local),
        )
    except ValueError:
        return None


def _clock(words: str, now: float, local: tzinfo) -> float | None:
    """Build the next moment that fits "3pm", "Mon 9:00 am", "Nov 12th, 2025 4:39 PM" or "midnight" in a few words."""
    time, weekday, date = _TIME.search(words), _WEEKDAY.search(words), _MONTH_DAY.search(words)
    if not (time or weekday or date):
        return None
    hour = minute = 0
    if time:
        hour12, minute12, half, hour24, minute24, _ = time.groups()
        hour = int(hour12) % 12 + (12 if half == "p" else 0) if half else int(hour24 or 0)
        minute = int(minute12 or minute24 or 0)
    zone = _ZONE_AFTER.match(words, time.end()) if time else None
    try:
        here = datetime.fromtimestamp(now, tz=_zone(zone[1] if zone else None, local))
        then = here.replace(hour=hour, minute=minute, second=0, microsecond=0)
        if date:
            then = then.replace(month=_MONTHS.index(date[1][:3]) + 1, day=int(date[2]), year=int(date[3] or here.year))
            if not date[3] and then < here - timedelta(days=31):
                then = then.replace(year=here.year + 1)
            return _until(then, now)
        if weekday:
            then += timedelta(days=(_WEEKDAYS.index(weekday[1][:3]) - here.weekday()) % 7)
        if then <= here:
            then += timedelta(days=7 if weekday else 1)
    except (ValueError, OverflowError, OSError):
        return None
    return _until(then, now)


def _zone(name: str | None, local: tzinfo) -> tzinfo:
    """Read a zone as written in an error, `local` when there is none or nobody knows it."""
    if not name:
        return local
    if name in _ZONES:
        return timezone(timedelta(hours=_ZONES[name]))
    if name[0] in "+-":
        hours, minutes = int(name[1:3]), int(name[-2:])
        return timezone((-1 if name[0] == "-" else 1) * timedelta(hours=min(hours, 23), minutes=min(minutes, 59)))
    if name[:3] in {"utc", "gmt"}:
        return timezone(timedelta(hours=max(-23, min(23, int(name[3:])))))
    area = _ZONE_WORDS.get(name) or "/".join(
        "_".join(word.capitalize() for word in part.split("_")) for part in name.split("/")
    )
    try:
        return ZoneInfo(area)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        return local
