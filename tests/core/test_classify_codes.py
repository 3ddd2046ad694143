"""One case for every rule on codes and statuses that fires, and one near miss that must not."""

import json
from typing import Any

import pytest

from sidecar.core.failure import Evidence, Failure, Kind, Scope
from sidecar.core.refusals import codes
from sidecar.core.refusals.classify import classify
from sidecar.core.refusals.statuses import plain_rule, rest_rule

Case = dict[str, Any]


def read(case: Case) -> Failure:
    """Classify `code`/`number` in an error body with `text` as its message, under `provider` and `status`."""
    error = {"code": case.get("code") or case.get("number"), "message": case.get("text", "it did not work")}
    evidence = Evidence(
        provider=case.get("provider"),
        status=case.get("status"),
        body=json.dumps({"error": {name: value for name, value in error.items() if value is not None}}),
    )
    return classify(evidence, 1_800_000_000.0)


# rule: (kind, scope, cases that fire, near misses)
RULES: dict[str, tuple[Kind, Scope, list[Case], list[Case]]] = {
    "code.aborted": (
        Kind.ABORTED, Scope.NONE,
        [{"code": "MessageAbortedError"}, {"code": "UND_ERR_ABORTED"}, {"code": "CANCELLED"}],
        [{"code": "ABORTED"}, {"code": "AbortError", "status": 429}],
    ),
    "code.context_overflow": (
        Kind.CONTEXT_OVERFLOW, Scope.NONE,
        [{"code": "context_length_exceeded", "status": 422}, {"code": "model_max_prompt_tokens_exceeded"},
         {"number": 1261, "provider": "zai"}, {"code": "exceed_context_size_error"}, {"code": "payload_too_large"}],
        [{"code": "context_length_exceeded", "text": "over 9000 tokens per minute"}, {"number": 1261},
         {"code": "string_above_max_length", "status": 400}],
    ),
    "code.limit_source_key": (
        Kind.BILLING, Scope.ACCOUNT, [{"code": "openrouter_key_limit"}], [{"code": "openrouter_account"}],
    ),
    "code.in_flight": (
        Kind.RATE_LIMIT, Scope.ACCOUNT,
        [{"code": "in_flight_budget_exhausted", "status": 402}, {"code": "concurrency_limit_exceeded"}],
        [{"code": "flight_budget"}],
    ),
    "code.throttle_named_quota": (
        Kind.RATE_LIMIT, Scope.MODEL,
        [{"code": "insufficient_quota", "provider": "alibaba-cn"},
         {"code": "Throttling.AllocationQuota", "provider": "alibaba"}],
        [{"code": "insufficient_quota", "provider": "openai"}],
    ),
    "code.model_not_in_plan": (
        Kind.BILLING, Scope.MODEL,
        [{"code": "AllocationQuota.FreeTierOnly", "status": 403}, {"number": "1311", "provider": "zai"},
         {"code": "usage_not_included"}, {"number": 2061, "provider": "minimax"}],
        [{"number": "1311", "provider": "minimax"}, {"code": "free_tier"}],
    ),
    "code.billing": (
        Kind.BILLING, Scope.ACCOUNT,
        [{"code": "insufficient_quota", "status": 429}, {"code": "CreditsError", "status": 401},
         {"code": "billing_hard_limit_reached"}, {"code": "enforced_spend_limit_reached", "status": 429},
         {"code": "AccountOverdueError", "status": 403}, {"number": 1113, "provider": "zhipuai"},
         {"code": "NOT_ENOUGH_BALANCE"}, {"code": "insufficient_user_quota"}],
        [{"code": "insufficient_permissions"}, {"number": 1113, "provider": "openai"}, {"code": "credit_score"}],
    ),
    "code.billing_alibaba": (
        Kind.BILLING, Scope.ACCOUNT,
        [{"code": "Arrearage", "status": 400, "provider": "alibaba"},
         {"code": "PostpaidBillOverdue", "status": 429, "provider": "dashscope"}],
        [{"code": "AccessDenied", "provider": "alibaba"}],
    ),
    "code.plan_window": (
        Kind.QUOTA, Scope.ACCOUNT,
        [{"code": "usage_limit_reached"}, {"code": "FreeUsageLimitError", "text": "5 per minute"},
         {"number": 1308, "provider": "zai"}, {"number": 2056, "provider": "minimax-cn"},
         {"number": 4006, "provider": "cloudflare-workers-ai"}, {"code": "AccountQuotaExceeded"},
         {"code": "quota_for_entity_exceeded", "status": 403}, {"code": "user_weekly_rate_limited"}],
        [{"number": 1308, "provider": "minimax"}, {"number": 2056}, {"code": "usage_report"}],
    ),
    "code.day_limit": (
        Kind.QUOTA, Scope.ACCOUNT, [{"code": "free-models-per-day"}, {"code": "requests_per_day"}],
        [{"code": "free-models-per-min"}],
    ),
    "code.capacity": (
        Kind.SERVER, Scope.MODEL,
        [{"code": "engine_overloaded_error", "status": 429}, {"code": "MODEL_CAPACITY_EXHAUSTED"},
         {"code": "queue_exceeded"}, {"number": 1305, "provider": "zai"}, {"code": "3505", "provider": "mistral"},
         {"number": 3040, "provider": "cloudflare-workers-ai", "status": 429}, {"code": "NoCapacity"}],
        [{"number": 1305, "provider": "minimax"}, {"code": "capacity_planning"}],
    ),
    "code.overloaded": (
        Kind.SERVER, Scope.PROVIDER,
        [{"code": "overloaded_error", "provider": "anthropic"}], [{"code": "overloaded_error"}],
    ),
    "code.content_filter": (
        Kind.CONTENT_FILTER, Scope.NONE,
        [{"code": "content_policy_violation"}, {"code": "ResponsibleAIPolicyViolation"}, {"code": "SAFETY"},
         {"code": "data_inspection_failed", "status": 400}, {"number": "1301", "provider": "zai"},
         {"number": 1027, "provider": "minimax"}, {"code": "InputTextSensitiveContentDetected"}],
        [{"code": "content_length"}, {"number": 1301, "provider": "mistral"}, {"code": "safety_identifier"}],
    ),
    "code.wrong_key": (
        Kind.AUTH, Scope.ACCOUNT,
        [{"code": "invalid_api_key", "status": 400}, {"code": "InvalidApiKey"}, {"code": "API_KEY_INVALID"},
         {"code": "ProviderAuthError"}, {"code": "ExpiredTokenException", "status": 403},
         {"number": 1002, "provider": "zai"}, {"number": 2049, "provider": "minimax"},
         {"number": 10000, "provider": "cloudflare-ai-gateway"}],
        [{"number": 1002, "provider": "minimax"}, {"code": "api_key_hint"}],
    ),
    "code.region": (
        Kind.AUTH, Scope.PROVIDER, [{"code": "unsupported_country_region_territory", "status": 403}],
        [{"code": "region"}],
    ),
    "code.no_such_model": (
        Kind.MODEL_NOT_FOUND, Scope.MODEL,
        [{"code": "model_not_found", "status": 503}, {"code": "DeploymentNotFound"}, {"code": "model_decommissioned"},
         {"code": "1500", "provider": "mistral"}, {"number": 1211, "provider": "zai"},
         {"number": 5007, "provider": "cloudflare-workers-ai", "status": 400}, {"code": "ModelNotOpen"},
         {"code": "key_model_access_denied", "status": 401}],
        [{"code": "1500", "provider": "zai"}, {"code": "model_timeout"}],
    ),
    "code.network": (
        Kind.NETWORK, Scope.PROVIDER,
        [{"code": "ECONNREFUSED"}, {"code": "EAI_AGAIN"}, {"code": "UND_ERR_SOCKET"},
         {"code": "SELF_SIGNED_CERT_IN_CHAIN"}],
        [{"code": "ECONNREFUSED", "status": 502}, {"code": "ECONOMY"}],
    ),
    "code.timeout": (
        Kind.TIMEOUT, Scope.PROVIDER,
        [{"code": "ModelTimeoutException", "status": 400}, {"code": "DEADLINE_EXCEEDED"}, {"code": "RequestTimeOut"},
         {"code": "UND_ERR_HEADERS_TIMEOUT"}, {"number": 3007, "provider": "cloudflare-workers-ai"}],
        [{"number": 3007}, {"code": "timeout_settings"}],
    ),
    "code.throttled": (
        Kind.RATE_LIMIT, Scope.ACCOUNT,
        [{"code": "ThrottlingException", "status": 400}, {"code": "rate_limit_exceeded", "status": 413},
         {"code": "user_global_rate_limited:pro"}, {"number": "1302", "provider": "zai"},
         {"number": 1002, "provider": "minimax"}, {"code": "RATE_LIMIT_EXCEEDED"}],
        [{"number": "1302", "provider": "minimax"}, {"code": "rate_card"}],
    ),
    "code.quota": (
        Kind.QUOTA, Scope.ACCOUNT,
        [{"code": "quota_exceeded"}, {"code": "QUOTA_EXHAUSTED"}], [{"code": "quota_project"}],
    ),
    "code.server": (
        Kind.SERVER, Scope.PROVIDER,
        [{"code": "server_error"}, {"code": "InternalServerException"}, {"code": "UNAVAILABLE", "status": 400},
         {"code": "provider_unavailable"}, {"number": 1234, "provider": "zai"}],
        [{"number": 1234}, {"code": "InternalError", "text": "Range of input length is [1, 9]"}],
    ),
    "code.no_access": (
        Kind.AUTH, Scope.ACCOUNT,
        [{"code": "permission_error"}, {"code": "UnauthorizedException"}, {"code": "AccessDenied", "status": 400}],
        [{"code": "access_log"}],
    ),
    "code.not_found": (
        Kind.MODEL_NOT_FOUND, Scope.MODEL,
        [{"code": "not_found_error", "status": 404}], [{"code": "not_found_error"}, {"code": "found", "status": 400}],
    ),
    "code.connection": (
        Kind.NETWORK, Scope.PROVIDER,
        [{"code": "APIConnectionError"}], [{"code": "APIConnectionError", "status": 500}],
    ),
    "code.bad_request": (
        Kind.BAD_REQUEST, Scope.NONE,
        [{"code": "invalid_request_error"}, {"code": "ValidationException", "status": 400}, {"code": "missing"},
         {"code": "tool_use_failed", "status": 400}, {"number": 1214, "provider": "zai"}],
        [{"code": "invalid_request_error", "status": 401}, {"code": "invalid_request_error", "status": 500},
         {"number": 1214}],
    ),
    "code.api_error": (
        Kind.SERVER, Scope.PROVIDER, [{"code": "api_error"}], [{"code": "api_error", "status": 404}, {"code": "api"}],
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
    rules = (*codes.FIRM, *codes.LOOSE, *codes.AFTER_STATUS, *codes.LAST)
    assert [rule.name for rule in rules] == [*dict.fromkeys(rule.name for rule in rules)]
    assert {rule.name for rule in rules} == set(RULES)


@pytest.mark.parametrize(
    ("status", "kind", "scope"),
    [
        (400, Kind.BAD_REQUEST, Scope.NONE),
        (401, Kind.AUTH, Scope.ACCOUNT),
        (402, Kind.BILLING, Scope.ACCOUNT),
        (403, Kind.AUTH, Scope.ACCOUNT),
        (404, Kind.MODEL_NOT_FOUND, Scope.MODEL),
        (408, Kind.TIMEOUT, Scope.PROVIDER),
        (410, Kind.MODEL_NOT_FOUND, Scope.MODEL),
        (413, Kind.CONTEXT_OVERFLOW, Scope.NONE),
        (418, Kind.BAD_REQUEST, Scope.NONE),
        (422, Kind.BAD_REQUEST, Scope.NONE),
        (424, Kind.SERVER, Scope.PROVIDER),
        (429, Kind.RATE_LIMIT, Scope.ACCOUNT),
        (451, Kind.CONTENT_FILTER, Scope.NONE),
        (498, Kind.SERVER, Scope.PROVIDER),
        (499, Kind.ABORTED, Scope.NONE),
        (500, Kind.SERVER, Scope.PROVIDER),
        (504, Kind.TIMEOUT, Scope.PROVIDER),
        (521, Kind.SERVER, Scope.PROVIDER),
        (524, Kind.TIMEOUT, Scope.PROVIDER),
        (529, Kind.SERVER, Scope.PROVIDER),
        (302, Kind.UNKNOWN, Scope.MODEL),
        (None, Kind.UNKNOWN, Scope.MODEL),
    ],
)
def test_a_status_alone(status: int | None, kind: Kind, scope: Scope) -> None:
    failure = classify(Evidence(status=status), 0.0)
    assert (failure.kind, failure.scope) == (kind, scope)


def test_statuses_that_say_nothing() -> None:
    assert plain_rule(None) is None
    assert plain_rule(200) is None
    assert plain_rule(400) is None
    assert rest_rule(None) is None
    assert rest_rule(200) is None
