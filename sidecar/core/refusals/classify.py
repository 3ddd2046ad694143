"""Evidence becomes a `Failure`: what kind of refusal, how far it reaches, how long it lasts, whether leaving helps.

The order of trust: the user's own patterns; codes that mean one thing and numbers under their own provider; phrases
that mean one thing; codes that name a family; the status; loose words. The tables are `codes.py`, `phrases.py`,
`statuses.py` and `loose_words.py`, the wait is `hints.py`. Nothing here raises, whatever the input; nothing of the
provider's text gets out.
"""

import re
from collections.abc import Iterator, Sequence

from sidecar.config.models import ErrorPattern
from sidecar.core.failure import Evidence, Failure, Kind, Scope
from sidecar.core.refusals import codes, loose_words, phrases
from sidecar.core.refusals.evidence import Findings, dig
from sidecar.core.refusals.families import GATEWAYS
from sidecar.core.refusals.hints import is_limit_zero, never_fits, wait_in
from sidecar.core.refusals.rules import DAY_WORDS, LONG_WORDS, MINUTE_WORDS, Rule
from sidecar.core.refusals.statuses import plain_rule, rest_rule

PATTERN_TEXT = 4_096
"""Characters of message and body (each) a user's pattern is searched in."""

_LONG_WAIT_S = 3600.0
_SHORT_WAIT_S = 90.0

_STAYS = frozenset({Kind.CONTEXT_OVERFLOW, Kind.BAD_REQUEST, Kind.CONTENT_FILTER, Kind.ABORTED})
"""Kinds another target would refuse as well."""

_UNWAITABLE = _STAYS | {Kind.AUTH, Kind.MODEL_NOT_FOUND}
"""Kinds no wait heals; "please try again" after a malformed request is politeness."""

_SCOPES = {
    Kind.RATE_LIMIT: Scope.ACCOUNT,
    Kind.QUOTA: Scope.ACCOUNT,
    Kind.BILLING: Scope.ACCOUNT,
    Kind.AUTH: Scope.ACCOUNT,
    Kind.SERVER: Scope.PROVIDER,
    Kind.TIMEOUT: Scope.PROVIDER,
    Kind.NETWORK: Scope.PROVIDER,
    Kind.MODEL_NOT_FOUND: Scope.MODEL,
    Kind.UNKNOWN: Scope.MODEL,
}

# Providers that count requests and tokens per model, and those that count whole quotas per model.
_RATE_PER_MODEL = (GATEWAYS - {"vercel", "helicone"}) | {
    "openai", "azure", "anthropic", "google", "groq", "mistral", "xai", "cerebras", "together", "fireworks", "nvidia",
    "alibaba", "deepseek", "volcengine", "qianfan", "siliconflow", "sambanova", "bedrock", "moonshot",
}  # fmt: skip
_QUOTA_PER_MODEL = frozenset({"google", "groq", "azure"})
_BY_MODEL = re.compile(
    r"\b(?:this|the|on|for|and|your|selected|requested) (?:[\w.-]{1,30} )?model\b|_model_|by_?model|per_?model"
    r"|limit_rp[dm]|switch(?:ing)? (?:to auto|models?|to (?:another|a different) model)|模型|无权访问\w"
)
_BY_ACCOUNT = re.compile(r"\baccount(?:'s)? (?:quota|limit|rate)|_global_")

_EMPTY = Rule(name="empty_answer", kind=Kind.SERVER, why="the provider sent an empty answer", scope=Scope.MODEL)
_UNKNOWN = Rule(name="unknown", kind=Kind.UNKNOWN, why="the provider refused for a reason that is not understood")
_LIMIT_ZERO = Rule(
    name="limit_zero", kind=Kind.BILLING, why="the account's plan gives nothing of this model", scope=Scope.MODEL
)
_PLAN_HEADER = Rule(name="header.plan_window", kind=Kind.QUOTA, why="the plan's usage window is used up", fixed=True)
_NEVER_FITS = "this request alone is larger than what the model's limit allows at once"
_RELAYED_KEY = "the gateway's own access to this model is refused upstream"
_FIREWALL = "a firewall in front of the provider refuses this machine"
_WINDOW_NAMES = (
    (DAY_WORDS, "day"),
    (re.compile(r"(?:\b|_)week|seven_day|\b7[- ]day|每周|本周"), "week"),
    (re.compile(r"(?:\b|_)month|billing (?:cycle|period)|每月|本月"), "month"),
)


def classify(evidence: Evidence, now: float, patterns: Sequence[ErrorPattern] = ()) -> Failure:
    """Say what a refusal is.

    `patterns` are the user's own, tried first; `now` is epoch seconds. A 2xx without a word about an error is an empty
    answer. Never raises.
    """
    findings = dig(evidence)
    for index, pattern in enumerate(patterns):
        if _speaks_of(pattern, evidence):
            return _by_pattern(pattern, f"pattern[{index}]", findings, now)
    return _failure(_rule_for(findings), findings, now)


def _speaks_of(pattern: ErrorPattern, evidence: Evidence) -> bool:
    """Say whether a user's pattern fits this refusal."""
    if pattern.provider is not None and pattern.provider != evidence.provider:
        return False
    if pattern.status is not None and pattern.status != evidence.status:
        return False
    text = "\n".join(part[:PATTERN_TEXT] for part in (evidence.message, evidence.body) if part)
    return re.search(pattern.match, text, re.IGNORECASE) is not None


def _by_pattern(pattern: ErrorPattern, name: str, findings: Findings, now: float) -> Failure:
    wait = pattern.retry_after
    if wait is None and pattern.kind not in _UNWAITABLE:
        wait = wait_in(findings, now)
    return Failure(
        kind=pattern.kind,
        scope=pattern.scope or _SCOPES.get(pattern.kind, Scope.NONE),
        retry_after_s=wait,
        switch=pattern.kind not in _STAYS,
        why="one of your own error patterns says so",
        rule=name,
    )


def _rule_for(findings: Findings) -> Rule:
    """Find the first rule that fits."""
    numbers = (f"{family}:{number}" for family in findings.families for number in findings.numbers)
    names = (*numbers, *findings.codes)
    for rule in _in_order(findings):
        if rule.fits(names, findings.text, findings.status, findings.families):
            return rule
    succeeded = findings.status is not None and findings.status < 300  # noqa: PLR2004  (2xx)
    return _EMPTY if succeeded and not findings.text else _UNKNOWN


def _in_order(findings: Findings) -> Iterator[Rule]:
    """Give every rule that may be asked, the most trusted first."""
    yield from codes.FIRM
    if findings.headers.get("anthropic-ratelimit-unified-status") == "rejected":
        yield _PLAN_HEADER
    if "quota" in findings.text and is_limit_zero(findings):
        yield _LIMIT_ZERO
    yield from phrases.FIRM
    yield from codes.LOOSE
    if by_status := plain_rule(findings.status):
        yield by_status
    yield from codes.AFTER_STATUS
    if rest := rest_rule(findings.status):
        yield rest
    yield from loose_words.LOOSE
    yield from codes.LAST


def _failure(rule: Rule, findings: Findings, now: float) -> Failure:
    """Make the failure a rule means here: its window, its scope, its wait."""
    wait = wait_in(findings, now)
    kind = rule.kind if rule.fixed else _by_window(rule.kind, findings, wait)
    scope = rule.scope or _scope(kind, findings)
    if kind is Kind.AUTH and findings.markup and rule.name == "status.403":
        scope = Scope.PROVIDER
    return Failure(
        kind=kind,
        scope=scope,
        retry_after_s=None if kind in _UNWAITABLE else wait,
        switch=kind not in _STAYS,
        why=_why(rule, kind, scope, findings),
        rule=rule.name,
    )


def _by_window(kind: Kind, findings: Findings, wait: float | None) -> Kind:
    """Tell a burst limit from a used-up window: by the window's words, else by the length of the named wait."""
    if kind not in {Kind.RATE_LIMIT, Kind.QUOTA}:
        return kind
    said = _said(findings)
    short, long = MINUTE_WORDS.search(said) is not None, LONG_WORDS.search(said) is not None
    if short != long:
        return Kind.QUOTA if long else Kind.RATE_LIMIT
    if wait is not None and wait >= _LONG_WAIT_S:
        return Kind.QUOTA
    if short or (wait is not None and wait <= _SHORT_WAIT_S):
        return Kind.RATE_LIMIT
    return kind


def _scope(kind: Kind, findings: Findings) -> Scope:
    """Say how far a failure of this kind reaches at this provider."""
    families, said = set(findings.families), _said(findings)
    of_model = _BY_MODEL.search(said) is not None
    if kind is Kind.RATE_LIMIT and (of_model or families & _RATE_PER_MODEL) and not _BY_ACCOUNT.search(said):
        return Scope.MODEL
    if kind is Kind.QUOTA and (
        of_model or families & _QUOTA_PER_MODEL or ("openai" in families and DAY_WORDS.search(said))
    ):
        return Scope.MODEL
    if kind is Kind.AUTH and (of_model or findings.relayed):
        return Scope.MODEL
    return _SCOPES.get(kind, Scope.NONE)


def _why(rule: Rule, kind: Kind, scope: Scope, findings: Findings) -> str:
    """Say in our own words what happened."""
    if kind is Kind.QUOTA:
        said = _said(findings)
        named = next((name for pattern, name in _WINDOW_NAMES if pattern.search(said)), None)
        if named:
            return f"the quota of the {named} is used up"
        return rule.why if rule.kind is Kind.QUOTA else "the account's quota is used up"
    if kind is Kind.RATE_LIMIT and never_fits(findings):
        return _NEVER_FITS
    if kind is Kind.AUTH and findings.relayed and scope is Scope.MODEL:
        return _RELAYED_KEY
    if kind is Kind.AUTH and findings.markup and scope is Scope.PROVIDER:
        return _FIREWALL
    return rule.why


def _said(findings: Findings) -> str:
    return "\n".join((findings.text, *findings.codes))
