"""Takes keys out of texts, so that none reaches a log, a state file, a webhook or a screen.

Pure: text in, text out; standard library only, so that every room can use it. It prefers hiding too much to showing a
key, but leaves what people need to read: editor session ids, model names, UUIDs, paths, counts.
"""

import re
from collections.abc import Mapping
from functools import lru_cache
from hashlib import sha256
from typing import Any

MASK = "[redacted]"
_MAX_DEPTH = 20

_NAMES = (
    r"(?:proxy-)?authorization|(?:x-)?(?:goog-)?api[-_]?key|x-[\w-]*(?:token|secret|key)|set-cookie|cookie"
    r"|(?:access|refresh|id|auth|session|bot)[-_]?token|token|(?:client[-_]?)?secret(?:[-_]?(?:access[-_]?)?key)?"
    r"|aws_\w*(?:key|token)\w*|password|passwd|passphrase|private[-_]?key|credentials?"
)
_SECRET_KEY = re.compile(rf"(?:{_NAMES})", re.IGNORECASE)

# A value ends where a quote, a line or a list ends; schemes such as "Bearer" belong to it.
_NAMED = re.compile(
    rf"""(?<![\w-])({_NAMES})(\\*["']?\s*[:=]\s*\\*["']?|\\*["']\s*,\s*\\*["'])(?!\[redacted\])"""
    r"""(?:(?:Bearer|Basic|Token|AWS4-HMAC-SHA256)\s+)?[^\s"'\\,;&<>()\[\]{}]+""",
    re.IGNORECASE,
)
_WHOLE_LINE = re.compile(
    r"""(?<![\w-])((?:proxy-)?authorization|(?:set-)?cookie)(\s*[:=]\s*)[^"'\r\n]+""", re.IGNORECASE
)
_SCHEME = re.compile(r"\b(Bearer|Basic)\s+(?!\[redacted\])[A-Za-z0-9+/=._~-]{6,}", re.IGNORECASE)
_USERINFO = re.compile(r"(?<=://)[^\s/@\"'<>?#]+@")
_QUERY = re.compile(
    r"([?&](?:[\w-]*key|[\w-]*token|[\w-]*secret|[\w-]*signature|[\w-]*credential|sig|password|auth|code)=)[^\s&#\"'<>]+",
    re.IGNORECASE,
)
_HOOK_PATH = re.compile(
    r"(https?://(?:hooks\.slack\.com|discord(?:app)?\.com/api/webhooks|[\w.-]*webhook\.office\.com))/[^\s\"'<>]+",
    re.IGNORECASE,
)
_SHAPES = re.compile(
    r"-----BEGIN [A-Z ]*PRIVATE KEY-----[^-]*(?:-----END [A-Z ]*-----)?"
    r"|(?<![A-Za-z0-9])(?:"
    r"sk-[\w-]{8,}|gsk_\w{8,}|AIza[\w-]{16,}|xai-[\w-]{8,}|hf_\w{8,}|pplx-\w{8,}|nvapi-[\w-]{8,}|csk-[\w-]{8,}"
    r"|r8_\w{8,}|fw_\w{8,}|tgp_v\d_[\w-]{8,}|gh[oprsu]_\w{8,}|github_pat_\w{8,}|glpat-[\w-]{8,}|xox[abeprs]-[\w-]{8,}"
    r"|ya29\.[\w-]{8,}|(?:AKIA|ASIA|ABIA|ACCA)[A-Z0-9]{12,}|eyJ[\w-]{5,}\.[\w-]{5,}(?:\.[\w-]*)*)"
)
# 32 is the shortest bare key in use; editor session and message ids are shorter (30).
_SOLID = re.compile(r"(?<![A-Za-z0-9])(?=[A-Za-z]*\d)(?=\d*[A-Za-z])[A-Za-z0-9]{32,}(?![A-Za-z0-9])")
_BASE64 = re.compile(
    r"(?<![\w+/-])[A-Z0-9+/]{32,}={0,2}(?![\w+/-])"
    r"|(?<![\w-])(?![0-9a-f]{8}-(?:[0-9a-f]{4}-){3}[0-9a-f]{12}(?![\w-]))[\w-]{32,}",
    re.IGNORECASE | re.ASCII,
)
_CLASSES = re.compile(r"[A-Z]+|[a-z]+|[0-9]+")
# Random base64 changes between upper case, lower case and digits at 62 % of its letters, names and paths below 35 %.
_RANDOM_SHARE = 0.42
# Names of models made of many words and sizes reach 48 %; in random base64url hyphens are rare.
_HYPHENS_OF_A_NAME, _HYPHENATED_SHARE = 4, 0.52


def redact(text: str) -> str:
    """Give `text` with everything that looks like a key replaced by `[redacted]`; names and hosts stay."""
    text = _SHAPES.sub(MASK, text)
    text = _WHOLE_LINE.sub(rf"\1\2{MASK}", text)
    text = _NAMED.sub(rf"\1\2{MASK}", text)
    text = _SCHEME.sub(rf"\1 {MASK}", text)
    text = _HOOK_PATH.sub(rf"\1/{MASK}", text)
    text = _USERINFO.sub(f"{MASK}@", text)
    text = _QUERY.sub(rf"\1{MASK}", text)
    text = _SOLID.sub(MASK, text)
    return _BASE64.sub(_mask_random, text)


@lru_cache(maxsize=1024)
def redact_place(path: str) -> str:
    """Give a path as `redact` does; the same few are asked for with every request."""
    return redact(path)


@lru_cache(maxsize=4096)
def redact_name(name: str) -> str:
    """Give a name (of a provider, a model, an agent) as it is, or a mark in its place when a key was sent as one.

    The mark is the same for the same name, so that what is counted under it stays apart from other names.
    """
    return name if redact(name) == name else _mark(name)


def redact_id(identifier: str) -> str:
    """Give an editor's id, or a mark when it has the shape of a known key; bare random text is what ids are made of."""
    return _mark(identifier) if _SHAPES.search(identifier) else identifier


def _mark(text: str) -> str:
    return f"redacted-{sha256(text.encode('utf-8', 'surrogatepass')).hexdigest()[:12]}"


def redact_value(value: Any, depth: int = _MAX_DEPTH) -> Any:
    """Give `value` with every text in it redacted, keys of mappings included; what is named like a key is masked whole.

    Texts, mappings, lists, tuples and sets are followed, `depth` levels deep (deeper parts are masked); other values
    stay as they are.
    """
    if isinstance(value, str):
        return redact(value)
    if isinstance(value, bytes):
        return redact(value.decode("utf-8", "replace"))
    if not isinstance(value, Mapping | list | tuple | set | frozenset):
        return value
    if depth <= 0:
        return MASK
    if isinstance(value, Mapping):
        return {
            redact_value(name, depth - 1): MASK
            if isinstance(name, str) and isinstance(item, str | bytes) and item and _SECRET_KEY.fullmatch(name)
            else redact_value(item, depth - 1)
            for name, item in value.items()
        }
    return [redact_value(item, depth - 1) for item in value]


def _mask_random(found: re.Match[str]) -> str:
    """Mask what changes between the classes of letters as often as random base64 does."""
    runs = [len(run) for run in _CLASSES.findall(found[0])]
    share = _HYPHENATED_SHARE if found[0].count("-") >= _HYPHENS_OF_A_NAME else _RANDOM_SHARE
    return MASK if len(runs) > share * sum(runs) else found[0]
