"""One text for every phrase rule that fires, and one near miss that must not."""

from typing import Any

import pytest

from sidecar.core.failure import Evidence, Failure, Kind, Scope
from sidecar.core.refusals import loose_words, phrases
from sidecar.core.refusals.classify import classify

Case = str | tuple[str, dict[str, Any]]


def read(case: Case) -> Failure:
    text, rest = (case, {}) if isinstance(case, str) else case
    return classify(Evidence(message=text, **rest), 1_800_000_000.0)


AT_400, AT_500, AT_429, AT_403 = {"status": 400}, {"status": 500}, {"status": 429}, {"status": 403}
GOOGLE, QWEN, CLAUDE = {"provider": "google"}, {"provider": "alibaba-cn"}, {"provider": "anthropic"}

# rule: (kind, scope, texts that fire, near misses)
RULES: dict[str, tuple[Kind, Scope, list[Case], list[Case]]] = {
    "text.aborted": (
        Kind.ABORTED, Scope.NONE,
        ["The stream was cancelled", "aborted by the user", "Error: aborted", "signal is aborted", "context canceled"],
        [("The stream was cancelled", AT_429), "The road was aborted"],
    ),
    "text.output_cap": (
        Kind.BAD_REQUEST, Scope.NONE,
        ["max_output_tokens must be at most 8192", "the maximum number of output tokens is 4096"],
        ["max_tokens and the prompt must be within the context window"],
    ),
    "text.part_too_large": (
        Kind.BAD_REQUEST, Scope.NONE,
        ["The image exceeds 5 MB", "too many tools were given", ("tools: array too long", AT_400)],
        ["Too many requests per minute for images: maximum 5", ("The image exceeds 5 MB", AT_500)],
    ),
    "text.context_overflow": (
        Kind.CONTEXT_OVERFLOW, Scope.NONE,
        ["The prompt is too long", "1200 tokens exceed the limit of 1000", "It does not fit in the context",
         "This exceeds the context window", ("Please shorten your messages", AT_400), "maximum context length is 4096",
         ("context length exceeded", AT_500), "上下文过长, 请缩短", "Too many tokens."],
        ["The prompt is too long: 40000 tokens per minute are allowed", "The password is too long",
         "Too many tokens, please wait before the next call", "insufficient tokens over the prompt limit"],
    ),
    "text.suspended_for_money": (
        Kind.BILLING, Scope.ACCOUNT,
        [("Account x-1 is suspended because of unpaid invoices", {"status": 412})],
        ["Account x-1 is suspended because of abuse", ("Account x-1 is suspended, unpaid invoices", AT_500)],
    ),
    "text.suspended": (
        Kind.AUTH, Scope.ACCOUNT,
        [("This organization has been disabled.", AT_400), "该密钥已被封禁"],
        ["Your account was blocked for too many attempts", "The feature has been disabled."],
    ),
    "text.region": (
        Kind.AUTH, Scope.PROVIDER,
        [("Your country is not supported", AT_400), "not available in your region"],
        ["Your country is lovely", "The free tier is not available in your country"],
    ),
    "text.content_filter": (
        Kind.CONTENT_FILTER, Scope.NONE,
        ["Your prompt was flagged", ("It violates our usage policies", AT_403), "blocked for safety reasons",
         "输入包含敏感词", ("The output contains harmful content", AT_400)],
        ["You flagged too many requests", "The fair use policy was violated", ("blocked for safety reasons", AT_500)],
    ),
    "text.model_extra_money": (
        Kind.BILLING, Scope.MODEL,
        ["This model needs extra credits", "The model is not included in your plan",
         "Your plan does not include this model"],
        ["The model is rate limited on your plan: not included", "This model is good"],
    ),
    "text.google_quota": (
        Kind.RATE_LIMIT, Scope.MODEL,
        [("You exceeded your current quota, check your plan", GOOGLE), ("Resource has been exhausted", GOOGLE)],
        ["You exceeded your current quota, check your plan"],
    ),
    "text.alibaba_quota": (
        Kind.RATE_LIMIT, Scope.MODEL,
        [("You exceeded your current quota, check your plan", QWEN)],
        ["allocated quota exceeded"],
    ),
    "text.no_money": (
        Kind.BILLING, Scope.ACCOUNT,
        ["Insufficient balance", ("Your credit balance is low", AT_400), "You are out of credits", "Payment required",
         ("You exceeded your current quota, check your plan", AT_429), "The bill is overdue", "余额不足",
         "Monthly spending limit hit", ("No payment method", {"status": 401}), "can only afford 20"],
        ["Insufficient permissions", ("insufficient credit in the database", AT_500),
         "The daily free allocation is gone, no credits"],
    ),
    "text.plan_window": (
        Kind.QUOTA, Scope.ACCOUNT,
        ["The usage limit is reached", "weekly limit hit", ("session limit", AT_403), "out of free usage today",
         "Your quota will be refreshed", "额度已用尽", "premium requests are used up"],
        ["A limit", ("usage limit service down", AT_500), "limiting requests (not your usage limit)"],
    ),
    "text.service_overloaded": (
        Kind.SERVER, Scope.PROVIDER,
        ["The server is overloaded", ("Our servers are busy", AT_429), "服务繁忙"],
        ["The model is overloaded"],
    ),
    "text.overloaded": (
        Kind.SERVER, Scope.PROVIDER, [("It is overloaded", CLAUDE)], ["It is overloaded", ("It is loaded", CLAUDE)],
    ),
    "text.capacity": (
        Kind.SERVER, Scope.MODEL,
        ["The model is overloaded", ("high demand right now", AT_429), "Traffic is currently high",
         "访问量过大"],
        ["You have exhausted your capacity", "x is temporarily rate-limited by high demand"],
    ),
    "text.throttled": (
        Kind.RATE_LIMIT, Scope.ACCOUNT,
        [("Rate limit reached for you", AT_400), "Too many requests", ("Throttling: wait", AT_400),
         ("You reached the concurrent request limit", AT_403), "请求过于频繁"],
        [("Rate limit reached", AT_500), "Your rate is fine"],
    ),
    "text.no_such_model": (
        Kind.MODEL_NOT_FOUND, Scope.MODEL,
        ["model x-0429 not found", ("The model x has been retired", AT_400), "no endpoints found for x",
         "unknown model", "模型不存在", "AI_NoSuchModel: no such model"],
        ["The model does not like the parameter temperature, not supported", ("model not found", AT_500),
         "The file was not found"],
    ),
    "text.wrong_key": (
        Kind.AUTH, Scope.ACCOUNT,
        [("Invalid API key", AT_400), "The token has expired", "Missing scopes: read", "Please sign in again",
         "无效的令牌"],
        ["The key to success", ("invalid api key cache", AT_500)],
    ),
    "words.proxy": (
        Kind.SERVER, Scope.PROVIDER, ["upstream connect failure", "Bad Gateway"], ["upstream of the river"],
    ),
    "words.timeout": (
        Kind.TIMEOUT, Scope.PROVIDER,
        ["The read timed out", "context deadline exceeded", "请求超时"],
        ["connect ETIMEDOUT 10.0.0.1 timed out", "A timely answer"],
    ),
    "words.network": (
        Kind.NETWORK, Scope.PROVIDER,
        ["read ECONNRESET", "fetch failed", "Unable to connect.", "no such host", "terminated",
         "self-signed certificate"],
        [("read ECONNRESET", {"status": 502}), "the connected graph"],
    ),
    "words.throttled": (
        Kind.RATE_LIMIT, Scope.ACCOUNT,
        ["Please slow down", "Request limit met", "5 calls per minute", "并发过高"],
        ["a moderate pace"],
    ),
    "words.quota": (
        Kind.QUOTA, Scope.ACCOUNT,
        ["Some quota", "You have reached your limit"], ["quota database unreachable", "the sky is the limit"],
    ),
    "words.money": (
        Kind.BILLING, Scope.ACCOUNT, ["Please add more credits", "Upgrade to a paid tier"], ["credits roll"],
    ),
    "words.broken_answer": (
        Kind.SERVER, Scope.MODEL, ["It ended with finish_reason: error"], ["finish_reason: stop"],
    ),
    "words.server": (
        Kind.SERVER, Scope.PROVIDER,
        ["Internal server error", "Something went wrong", "Please try again later.", "内部错误"],
        ["Invalid body. Please try again later.", "a server"],
    ),
    "words.no_access": (
        Kind.AUTH, Scope.ACCOUNT, ["It is forbidden", "Access denied", "无权访问"], ["an accessible path"],
    ),
    "words.bad_request": (
        Kind.BAD_REQUEST, Scope.NONE,
        ["Expected ',' after a value in JSON", "messages must alternate", "参数错误", "Bad Request",
         "a tool call has no result"],
        ["all is well"],
    ),
}  # fmt: skip


@pytest.mark.parametrize(
    ("name", "case"), [(name, case) for name, (_, _, cases, _) in RULES.items() for case in cases], ids=str
)
def test_fires(name: str, case: Case) -> None:
    kind, scope, _, _ = RULES[name]
    failure = read(case)
    assert (failure.rule, failure.kind, failure.scope) == (name, kind, scope)
    assert failure.switch == (scope is not Scope.NONE)


@pytest.mark.parametrize(
    ("name", "case"), [(name, case) for name, (_, _, _, misses) in RULES.items() for case in misses], ids=str
)
def test_a_near_miss_does_not(name: str, case: Case) -> None:
    assert read(case).rule != name


def test_every_rule_has_its_cases() -> None:
    rules = (*phrases.FIRM, *loose_words.LOOSE)
    assert [rule.name for rule in rules] == [*dict.fromkeys(rule.name for rule in rules)]
    assert {rule.name for rule in rules} == set(RULES)
