"""What error codes, types and exception names mean.

Codes come in snake_case without regard to who sent them (`ThrottlingException`, `Throttling.RateQuota` and
`throttling_exception` belong together); a business number counts only under its own provider and comes as
`family:number`. `FIRM` codes mean one thing wherever they appear. `LOOSE` ones name a family of errors
(`invalid_request_error`) and are asked only after the phrases. `LAST` ones say nothing by themselves.
Sources: the providers' public error references.
"""

from sidecar.core.failure import Kind, Scope
from sidecar.core.refusals.rules import DAY_WORDS, MINUTE_WORDS, Rule, any_of, codes

_PER_TIME = any_of(MINUTE_WORDS, DAY_WORDS)

FIRM: tuple[Rule, ...] = (
    Rule(
        name="code.aborted",
        kind=Kind.ABORTED,
        why="the request was stopped on this side",
        codes=codes(
            r"^(?:message_aborted_error|abort_error|abort_err|und_err_aborted|request_aborted|user_aborted|cancell?ed)$"
        ),
        unanswered=True,
    ),
    Rule(
        name="code.context_overflow",
        kind=Kind.CONTEXT_OVERFLOW,
        why="the conversation is longer than the model can read",
        codes=codes(
            r"context_(?:length|window|size|limit|overflow)|(?:max|maximum)_(?:prompt|context|input)_tokens",
            r"(?:prompt|input|request)_(?:is_)?too_l(?:ong|arge)$|(?:prompt|input)_(?:length|tokens?|size)_?\w{0,12}exceed",
            r"^tokens?_limit_(?:reached|exceeded)|exceed_context|exceeds?_max_(?:prompt|input|context)|^string_too_long$",
            r"^request_entity_too_large|payload_too_large|^zai:1261$|^cloudflare:3006$",
        ),
        unless=_PER_TIME,
    ),
    Rule(
        name="code.limit_source_key",
        kind=Kind.BILLING,
        why="the key's own spending limit is reached",
        codes=codes(r"^openrouter_key_limit$"),
    ),
    Rule(
        name="code.in_flight",
        kind=Kind.RATE_LIMIT,
        why="too many requests are under way at once",
        codes=codes(r"in_flight|inflight|max_parallel|concurren(?:t|cy)_\w{0,20}(?:limit|exceed)"),
        scope=Scope.ACCOUNT,
        fixed=True,
    ),
    Rule(
        name="code.throttle_named_quota",
        kind=Kind.RATE_LIMIT,
        why="requests or tokens come faster than the allocated rate",
        codes=codes(r"^insufficient_quota$|^throttling_allocation_quota$|^limit_requests$"),
        families=frozenset({"alibaba"}),
    ),
    Rule(
        name="code.model_not_in_plan",
        kind=Kind.BILLING,
        why="this model is not part of the plan or its free allowance is spent",
        codes=codes(
            r"free_tier_only|^zai:1311$|^minimax:2061$|usage_not_included|restricted_models_error",
            r"^access_denied_unpurchased$|^commodity_not_purchased$",
        ),
        scope=Scope.MODEL,
    ),
    Rule(
        name="code.billing",
        kind=Kind.BILLING,
        why="the account has no money or credits left, or its bill is unpaid",
        codes=codes(
            r"insufficient_(?:\w{1,20}_)?(?:balance|quota|credits?|funds?|tokens|credit_limit)|(?:balance|quota)_not_enough",
            r"not_enough_(?:balance|credits?|quota|funds?)|credits?_?(?:balance_)?(?:exhausted|depleted|too_low|required)",
            r"^credits?_error$|^credit_limit|(?:^|_)billing(?:_|$)|(?:^|_)payment(?:_|$)|arrear|overdue|spend(?:ing)?_limit",
            r"spend_alert|budget_exceeded|exceeded_current_quota|hard_limit_reached|^pre_consume_token_quota_failed$",
            r"^zai:(?:1113|1309)$|^minimax:1008$|^siliconflow:30001$|^monthly_limit_error$|^user_limit_error$|^key_limit",
        ),
        not_families=frozenset({"alibaba"}),
    ),
    Rule(
        name="code.billing_alibaba",
        kind=Kind.BILLING,
        why="the account's bill is unpaid",
        codes=codes(r"arrear|overdue|insufficient_balance"),
        families=frozenset({"alibaba"}),
    ),
    Rule(
        name="code.plan_window",
        kind=Kind.QUOTA,
        why="the plan's usage window is used up",
        codes=codes(
            r"^usage_limit_(?:reached|exceeded)|^(?:\w{1,12}_)?usage_limit_error$|^zai:(?:1304|1308|1310)$|^minimax:2056$",
            r"^cloudflare:(?:3036|4006)$|^qianfan:(?:17|19)$|^(?:free|premium_model|monthly|daily)_quota_exceeded$",
            r"^overage_limit_reached$|^interaction_(?:monthly|daily|weekly|session)_|^user_(?:weekly|monthly)_rate_limited",
            r"^quota_for_entity_exceeded$|^access_terminated_quota|^account_quota_exceeded$|^set_limit_exceeded$",
        ),
        fixed=True,
    ),
    Rule(
        name="code.day_limit",
        kind=Kind.QUOTA,
        why="the day's allowance is used up",
        codes=codes(r"^limit_rpd(?:_|$)|free_models_per_day|per_day_per|(?:requests|tokens)_per_day"),
    ),
    Rule(
        name="code.capacity",
        kind=Kind.SERVER,
        why="the provider is short of capacity",
        codes=codes(
            r"overload|^model_capacity|capacity_(?:exceeded|exhausted)|^no_?_capacity|queue_exceeded|^out_of_capacity$",
            r"^slow_down$|^server_busy$|^zai:(?:1305|1312)$|^cloudflare:3040$|^mistral:3505$|^model_not_ready",
            r"^minimax:2062$|^engine_busy$|^siliconflow:50505$|^qianfan:336100$|^server_is_overloaded$",
        ),
        scope=Scope.MODEL,
        not_families=frozenset({"anthropic"}),
    ),
    Rule(
        name="code.overloaded",
        kind=Kind.SERVER,
        why="the provider is overloaded",
        codes=codes(r"overload"),
        families=frozenset({"anthropic"}),
    ),
    Rule(
        name="code.content_filter",
        kind=Kind.CONTENT_FILTER,
        why="the provider refuses this content",
        codes=codes(
            r"content_(?:policy|filter|filtered|violation|moderation|management|safety|risk|blocked)|sensitive|moderation",
            r"data_?inspection|prohibited_content|^blocklist$|responsible_ai|^safety$|safety_(?:check|violation|error)",
            r"cyber_policy|(?:^|_)flagged(?:_|$)|^recitation$|^refusal$|ip_infringement|^zai:1301$|^minimax:(?:1026|1027)$",
            r"bio_policy|^guardrail|usage_policy",
        ),
    ),
    Rule(
        name="code.wrong_key",
        kind=Kind.AUTH,
        why="the provider does not accept the key",
        codes=codes(
            r"invalid_?_?(?:x_)?api_?key|incorrect_api_key|api_key_(?:invalid|expired|not_found|service_blocked|missing)",
            r"wrong_api_key|missing_api_key|invalid_authentication|^invalid_token$|^token_(?:expired|invalid|revoked)",
            r"^token_invalidated$|^expired_(?:token|key)|unrecognized_client|invalid_signature|incomplete_signature",
            r"provider_auth_error|^invalid_grant$|^invalid_client|account_(?:deactivated|disabled|locked|not_found)",
            r"token_not_found_in_db|consumer_(?:suspended|invalid)|missing_authentication|^unauthenticated$|oauth_token",
            r"^zai:(?:1000|1001|1002|1003|1004|1100|1110|1111|1112|1120|1121|1220)$|^minimax:(?:1004|2049)$",
            r"^qianfan:(?:6|14|100|110|111)$|^cloudflare:(?:10000|3023)$|organization_(?:disabled|restricted)",
            r"access_token_(?:expired|scope_insufficient)|^deactivated_workspace$",
        ),
    ),
    Rule(
        name="code.region",
        kind=Kind.AUTH,
        why="the provider does not serve this region",
        codes=codes(r"unsupported_country|location_policy|region_not_(?:supported|allowed)|country_not_supported"),
        scope=Scope.PROVIDER,
    ),
    Rule(
        name="code.no_such_model",
        kind=Kind.MODEL_NOT_FOUND,
        why="this model cannot be used here",
        codes=codes(
            r"model_?(?:is_)?_?not_?_?(?:found|exist|supported|available|open|allowed)|^no_such_model|^unknown_model|^invalid_model",
            r"model_(?:is_)?(?:decommissioned|deactivated|deprecated|retired|disabled|access_denied|terms_required|unavailable|not_exist)",
            r"unsupported_model|deployment_not_found|invalid_endpoint_or_model|invalid_endpoint|no_available_channel",
            r"(?:key|team|user|org)_model_access_denied|model_permission_blocked|^model_error$",
            r"^unsupported_api_for_model$|^zai:(?:1211|1212|1221|1222)$|^mistral:1500$|^cloudflare:(?:3042|5007|5018|5016|3041)$",
            r"^siliconflow:(?:20012|30003)$|^provider_model_not_found",
        ),
    ),
    Rule(
        name="code.network",
        kind=Kind.NETWORK,
        why="no connection to the provider",
        codes=codes(
            r"^e(?:conn(?:refused|reset|aborted)|notfound|ai_?again|pipe|hostunreach|netunreach|hostdown|timedout)$",
            r"^und_err_(?:socket|connect_timeout)$|^connection_(?:refused|reset|closed)|^failed_to_open_socket$",
            r"^(?:cert_|self_signed_cert|unable_to_(?:verify|get_issuer)|depth_zero_self|err_tls_|err_ssl)",
        ),
        unanswered=True,
    ),
    Rule(
        name="code.timeout",
        kind=Kind.TIMEOUT,
        why="the provider did not answer in time",
        codes=codes(
            r"^(?:request_|gateway_|read_|response_|stream_|upstream_|model_)?time_?d?_?out(?:_error|_exception)?$",
            r"deadline_exceeded|^und_err_(?:headers|body)_timeout$|^request_time_out$|_timeout$",
            r"^minimax:1001$|^cloudflare:3007$|^internal_error_timeout$",
        ),
    ),
)
"""Codes that mean one thing, whatever the status or the text."""

LOOSE: tuple[Rule, ...] = (
    Rule(
        name="code.throttled",
        kind=Kind.RATE_LIMIT,
        why="requests or tokens come faster than the provider allows",
        codes=codes(
            r"rate_?_?limit|throttl|too_?many_?requests|limit_rpm|(?:^|_)(?:rpm|tpm|qps)_|(?:rpm|tpm)_?exceeded",
            r"limit_requests|request_limit|concurren|^model_cooldown$|burst_|agent_mode_limit|rate_increase|^free_models_per_min",
            r"^(?:requests|tokens)$|resource_(?:has_been_)?exhausted|_limited$|^limit_burst",
            r"^zai:(?:1302|1303|1313)$|^mistral:1300$|^minimax:(?:1002|1039|1041|2045)$|^qianfan:(?:4|18|336501|336502)$",
            r"^siliconflow:(?:50603|50604)$|request_quota_exceeded|token_quota_exceeded|service_quota_exceeded_exception",
        ),
    ),
    Rule(
        name="code.quota",
        kind=Kind.QUOTA,
        why="the account's quota is used up",
        codes=codes(
            r"quota_(?:exceeded|exhausted|reached|limit|exceed)|exceeded_\w{0,12}quota|(?:daily|weekly|monthly)_\w{0,16}limit"
        ),
    ),
    Rule(
        name="code.server",
        kind=Kind.SERVER,
        why="the provider failed to answer",
        codes=codes(
            r"^(?:internal_)?(?:server|service)_?_?(?:error|exception|unavailable|temporarily_unavailable)|^internal(?:_error)?$",
            r"internal_(?:server|service|failure)|internal_error(?:_algo)?$|service_unavailable|^unavailable$|bad_gateway",
            r"^upstream|^provider_(?:error|unavailable|overloaded)|^backend|unreachable_backend|^model_(?:serving|stream|error)_?_?e",
            r"^zai:(?:500|1200|1230|1234)$|^minimax:(?:1000|1013|1024|1033)$|^qianfan:(?:1|2)$|^no_healthy",
            r"^api_internal|^server_shutting_down|^processing_error|model_unavailable|^unexpected_output$",
        ),
        unless=codes(r"invalid_?parameter|range of input"),
    ),
    Rule(
        name="code.no_access",
        kind=Kind.AUTH,
        why="the provider does not allow this key to do that",
        codes=codes(
            r"authenti|unauthori[sz]ed|permission|access_denied|^forbidden|auth_error|missing_scope|service_disabled",
            r"insufficient_(?:scope|permissions?|authentication)|^credentials|ip_not_authorized|^access_terminated",
        ),
    ),
    Rule(
        name="code.not_found",
        kind=Kind.MODEL_NOT_FOUND,
        why="the provider does not know this model",
        codes=codes(r"^(?:resource_)?not_found(?:_error|_exception)?$|^resource_not_found|^no_such_"),
        statuses=frozenset({400, 404, 410}),
    ),
    Rule(
        name="code.connection",
        kind=Kind.NETWORK,
        why="no connection to the provider",
        codes=codes(r"api_connection_error|^fetch_error$|socket_error|connection_error"),
        unanswered=True,
    ),
)
"""Codes that name a family of errors; phrases are asked before them."""

AFTER_STATUS: tuple[Rule, ...] = (
    Rule(
        name="code.bad_request",
        kind=Kind.BAD_REQUEST,
        why="the provider does not accept the form of this request",
        codes=codes(
            r"invalid_?_?(?:request|argument|param|value|prompt|type|image|tool|schema|function|message|body|json|input|data)",
            r"bad_request|validation|unsupported_(?:parameter|value|file|media|content|feature)|missing_(?:\w{1,20}_)?param",
            r"malformed|unprocessable|tool_use_failed|json_validate|^missing$|^value_error|failed_precondition|out_of_range",
            r"above_max|unknown_parameter|duplicate|unimplemented|_too_large$|_parsing$|^zai:12(?:10|13|14|15)$|^minimax:2013$",
            r"type_validation_error|^cloudflare:(?:3003|5004|5005)$|literal_error|extra_forbidden|^unsupported_",
        ),
        below_500=True,
    ),
)
"""Codes so common that the status knows better (`invalid_request_error` is also sent with 401 and 404)."""

LAST: tuple[Rule, ...] = (
    Rule(
        name="code.api_error",
        kind=Kind.SERVER,
        why="the provider failed to answer",
        codes=codes(r"^api_error$"),
    ),
)
"""Codes that say no more than that something failed."""
