"""What a refusal says once its wrappings are off: codes, statuses, texts, headers and resets.

Providers and gateways wrap errors in objects, lists, strings, event streams, Python literals and HTML, often several
layers deep. This room only finds and normalises; what a finding means is `classify.py` and `hints.py`. Nothing here
may raise on any input, look at more than a bounded part of it, or pass on a prompt that an error echoes.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from sidecar.core.failure import Evidence
from sidecar.core.refusals.embedded import Parsed, pieces
from sidecar.core.refusals.families import families_of, families_of_text

LOOKED_AT = 65_536
"""Characters of a message or body that are examined: the head, and the tail where wrappers add their suffix."""

_TAIL = 8_192
_TEXT_PART = 3_000
_TEXT_ALL = 12_000
_NODES = 3_000
_DEEPEST = 24
_LAYERS = 6
_PROSE_SPACES = 3
_CODE_LENGTH = 120

# What the user sent, given back: no error speaks from these fields.
_ECHOES = frozenset({
    "failed_generation", "flagged_input", "input", "inputs", "prompt", "messages", "requestbodyvalues", "request_body",
    "request", "content", "tools", "tool", "tool_calls", "function", "text", "parts", "ctx", "loc", "url", "instance",
    "schema", "example", "arguments",
})  # fmt: skip
_CODES = frozenset({
    "code", "type", "status", "reason", "error_type", "errortype", "error_code", "errorcode", "errcode", "name",
    "__type", "class", "provider_error_code", "provider_code", "limit_source", "quotaid", "quota_id", "quotametric",
    "quota_metric", "limitname", "limit_type", "blockreason", "block_reason", "finish_reason", "finishreason",
    "native_finish_reason", "stop_reason", "kind", "statuscode", "status_code", "http_status", "httpstatus",
    "http_code", "error_status", "error", "title", "internal_code",
})  # fmt: skip
_TEXTS = frozenset({
    "message", "msg", "error", "detail", "details", "description", "error_description", "error_message",
    "errormessage", "errormsg", "error_msg", "errmsg", "status_msg", "status_message", "statusmessage", "statustext",
    "title", "reason", "raw", "cause", "uimessage", "errors", "warning", "responsebody", "response_body", "body",
    "response", "data", "reasons", "failure",
})  # fmt: skip
_HEADERS = frozenset({"headers", "responseheaders", "response_headers"})
_PROVIDERS = frozenset({"provider_name", "domain", "provider"})
_QUOTA_VALUES = frozenset({"quotavalue", "quota_value"})
_RESET_FIELD = re.compile(
    r"(?:quota|next|ratelimit|limit)?(?:resets?(?:after|in|at|on|time|stamp|delay|date|seconds?|secs?|ms){0,3}"
    r"|(?:retry|cooldown|wait|refresh)(?:after|in|at|time|stamp|delay|date|seconds?|secs?|ms){1,3})"
)

_ECHO_START = re.compile(
    r"""["'`]?\b(?:failed_generation|flagged_input|requestbodyvalues|input_value)["'`]?\s{0,9}[:=]""", re.IGNORECASE
)
# Names and values a message quotes are the request's or the catalogue's, not the error's own words.
_QUOTED = re.compile(
    r"""'[\w.:/@\[\]-]{1,120}'|"[\w.:/@\[\]-]{1,120}"|`[\w.:/@\[\]-]{1,120}`"""
    r"""|(?<=value: )(?:'[^']{0,300}'|"[^"]{0,300}")"""
)
_TAG = re.compile(r"<[^<>]{0,300}>")
_ENTITY = re.compile(r"&#?\w{1,10};")
_MARKUP = re.compile(r"<!doctype html|<html|<head|<title", re.IGNORECASE)
_HTTP_CODE = re.compile(r"[1-5]\d\d")
_HUMP = re.compile(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])")
_NOT_WORD = re.compile(r"[^a-z0-9]+")
_CODES_IN_TEXT = (
    re.compile(r"^([A-Za-z][\w.:/-]{2,90})$"),
    re.compile(r"\blitellm\.(\w{3,60})"),
    re.compile(r"(?:\b|_)([A-Z][A-Za-z]{3,60}(?:Error|Exception|Exhausted))\b(?=\s?[:({\]]|$)"),
    re.compile(r"^([A-Za-z]\w{0,60}_\w{1,60}):(?=\s|$)"),
    re.compile(r"""\b(?:code|type)["']?\s?[:=]\s?["'`]?([A-Za-z]\w{0,60}_\w{1,60})""", re.IGNORECASE),
    re.compile(r"""\bquota_?id["']?\s?[:=]\s?["']?([\w.-]{3,100})""", re.IGNORECASE),
)
_NUMBERS_IN_TEXT = (
    re.compile(r"^\[(\d{3,6})\]"),
    re.compile(r"\[(\d{4})\]\["),
    re.compile(r"\((\d{4})\)\W*$"),
    re.compile(r"\berror(?:[ _]code)?[:= ]{1,3}(\d{4,6})\b", re.IGNORECASE),
)
_HTTP_PHRASES = (
    r"bad request|unauthorized|payment required|forbidden|not found|request timeout|conflict|payload too large"
    r"|request entity too large|unprocessable|too many requests|client closed|internal server error|bad gateway"
    r"|service unavailable|gateway time-?out|status code|error\b|<"
)
_STATUS_IN_TEXT = (
    re.compile(
        r"^\W{0,3}(?:api |http |error )?([45]\d\d)"
        rf"(?:\W{{0,3}}$|[\]\"':)]|\s+[\"`'{{A-Z\u4e00-\u9fff]|\s+(?i:{_HTTP_PHRASES}))"
    ),
    re.compile(
        r"\b(?:http(?:/\d(?:\.\d)?)?|status|status[ _]?code|error[ _]?code|api error)\s?[:=(]?\s?([45]\d\d)\b(?![.\d])",
        re.IGNORECASE,
    ),
    re.compile(r"(?:\(|, |: )([45]\d\d)\):"),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Findings:
    """What was found in one refusal.

    `status` is the HTTP status that counts: the innermost one stated, else the response's own. `codes` are names in
    snake_case (`FreeUsageLimitError` -> `free_usage_limit_error`), `numbers` business codes that mean something only
    under their own provider. `text` is lower case, one line per message found; `headers` are the response's and those
    quoted inside the body; `resets` are `(field, value)` pairs that speak of time. `families` are the provider's own
    vocabulary and that of providers it relays; `relayed` says that the error is an upstream's, not the gateway's own.
    """

    status: int | None
    codes: tuple[str, ...]
    numbers: tuple[int, ...]
    text: str
    headers: Mapping[str, str]
    resets: tuple[tuple[str, str], ...]
    families: tuple[str, ...]
    relayed: bool
    markup: bool


def dig(evidence: Evidence) -> Findings:
    """Take the wrappings off one refusal; never raises, looks at a bounded part of the input."""
    finder = _Finder()
    for name, value in list(evidence.headers.items())[:200]:
        finder.add_header(name, value)
    finder.add_amazon_type()
    for raw in (evidence.message, evidence.body):
        if raw:
            finder.read(_bounded(raw), layer=0)
    text = finder.text()
    own = families_of(evidence.provider)
    return Findings(
        status=_counting_status(evidence.status, finder.statuses, text),
        codes=tuple(dict.fromkeys(finder.codes)),
        numbers=tuple(dict.fromkeys(finder.numbers)),
        text=text.lower(),
        headers=finder.headers,
        resets=tuple(finder.resets),
        families=tuple(dict.fromkeys((*own, *finder.families, *families_of_text(text)))),
        relayed=finder.relayed,
        markup=finder.markup,
    )


def normalise(code: str) -> str:
    """Write a code in snake_case: `ThrottlingException` and `throttling-exception` are the same word."""
    return _NOT_WORD.sub("_", _HUMP.sub("_", code).lower()).strip("_")


def _bounded(raw: str) -> str:
    """Keep the head and the tail of what is too long to read whole."""
    return raw if len(raw) <= LOOKED_AT else raw[: LOOKED_AT - _TAIL] + "\n" + raw[-_TAIL:]


def _counting_status(outer: int | None, inner: list[tuple[int, int]], text: str) -> int | None:
    """Choose the status to believe: the innermost in the body, else the response's own, else one the text states."""
    if inner:
        return max(inner, key=lambda layered: layered[0])[1]
    if outer is not None and not 200 <= outer < 300:  # noqa: PLR2004  (2xx: the error came inside a success)
        return outer
    for line in text.splitlines():
        for pattern in _STATUS_IN_TEXT:
            if found := pattern.search(line[:400]):
                return int(found[1])
    return outer


@dataclass(slots=True)
class _Finder:
    """Collects findings while walking through the layers of one refusal."""

    codes: list[str] = field(default_factory=list)
    numbers: list[int] = field(default_factory=list)
    statuses: list[tuple[int, int]] = field(default_factory=list)
    lines: list[str] = field(default_factory=list)
    headers: dict[str, str] = field(default_factory=dict)
    resets: list[tuple[str, str]] = field(default_factory=list)
    families: list[str] = field(default_factory=list)
    relayed: bool = False
    markup: bool = False
    nodes: int = 0

    def text(self) -> str:
        """Give every message found, each on its own line, without repetitions."""
        return "\n".join(dict.fromkeys(line for line in self.lines if line))[:_TEXT_ALL]

    def add_header(self, name: object, value: object) -> None:
        """Note one header, the first of its name winning."""
        if isinstance(value, list) and value:
            value = value[0]
        if isinstance(value, str | int | float) and not isinstance(value, bool):
            self.headers.setdefault(str(name).strip().lower()[:100], str(value).strip()[:500])

    def add_amazon_type(self) -> None:
        """Amazon names the exception in a header, sometimes followed by a colon and a URL."""
        if name := self.headers.get("x-amzn-errortype"):
            self.codes.append(normalise(name.split(":")[0]))

    def read(self, raw: str, layer: int) -> None:
        """Read text that may hold JSON, a Python literal, an event stream or HTML."""
        if layer >= _LAYERS:
            self.add_line(raw)
            return
        plain: list[str] = []
        for piece in pieces(raw):
            if isinstance(piece, Parsed):
                self.walk(piece.value, layer + 1)
            else:
                plain.append(piece)
        self.add_line(" ".join(plain))

    def add_line(self, raw: str) -> None:
        """Note one message, and the names, classes and numbers written inside it."""
        if echo := _ECHO_START.search(raw):
            raw = raw[: echo.start()]
        if _MARKUP.search(raw[:_TEXT_PART]):
            self.markup = True
            raw = _ENTITY.sub(" ", _TAG.sub(" ", raw[: 4 * _TEXT_PART]))
        line = " ".join(raw[: 2 * _TEXT_PART].split())[:_TEXT_PART]
        if not any(character.isalnum() for character in line):
            return
        self.lines.append(_QUOTED.sub("''", line))
        for pattern in _CODES_IN_TEXT:
            self.codes.extend(normalise(found) for found in pattern.findall(line)[:8])
        for pattern in _NUMBERS_IN_TEXT:
            self.numbers.extend(int(found) for found in pattern.findall(line)[:4])

    def walk(self, value: Any, layer: int) -> None:
        """Walk through parsed data, keeping what speaks of the error and skipping what echoes the request."""
        if layer > _DEEPEST:
            return
        if isinstance(value, dict):
            for key, item in value.items():
                self.take(str(key).lower(), item, layer)
        elif isinstance(value, list):
            for item in value[:_NODES]:
                if isinstance(item, str):
                    self.read(item, layer)
                else:
                    self.walk(item, layer + 1)

    def take(self, key: str, item: Any, layer: int) -> None:
        """Take one field for what its name says it is."""
        self.nodes += 1
        if self.nodes > _NODES or key in _ECHOES or item is None or isinstance(item, bool):
            return
        if key in _HEADERS and isinstance(item, dict):
            for name, value in list(item.items())[:100]:
                self.add_header(name, value)
        elif isinstance(item, dict | list):
            self.walk(item, layer + 1)
        else:
            self.take_plain(key, item if isinstance(item, str) else str(item)[:40], layer)

    def take_plain(self, key: str, raw: str, layer: int) -> None:
        """Take a field that holds text or a number."""
        if _RESET_FIELD.fullmatch(bare := _NOT_WORD.sub("", key[:60])):
            self.resets.append((bare, raw[:100]))
        if key in _CODES:
            self.add_code(raw.strip(), layer)
        if key in _TEXTS:
            self.relayed = self.relayed or key == "raw"
            self.read(raw, layer)
        elif key in _PROVIDERS:
            self.families.extend(families_of(raw[:80]))
        elif key in _QUOTA_VALUES:
            self.lines.append(f"limit: {raw[:20]}")

    def add_code(self, raw: str, layer: int) -> None:
        """Note a code: an HTTP status, a business number, or a name; prose in a code's place is text."""
        if _HTTP_CODE.fullmatch(raw):
            if raw[0] in "45":
                self.statuses.append((layer, int(raw)))
        elif raw.lstrip("-").isdecimal():
            self.numbers.append(int(raw.lstrip("-")[:12]))
        elif raw.count(" ") > _PROSE_SPACES:
            self.add_line(raw)
        else:
            self.codes.append(normalise(raw[:_CODE_LENGTH]))
