"""Phrases that mean one thing, for the many errors whose codes say too little or that carry none.

Phrases are vocabulary, not quotations: the words a family of providers uses for one thing, in English and Chinese, in
any order the grammar allows; how they are written is told in `rules.py`. They are asked before loose codes and before
the status, because providers send empty wallets as 400 and 401. Digits alone are never evidence. What is too vague to
overrule a status belongs in `loose_words.py`.
"""

from sidecar.core.failure import Kind, Scope
from sidecar.core.refusals.rules import DAY_WORDS, MINUTE_WORDS, Rule, any_of, phrases

_RATES = any_of(MINUTE_WORDS, DAY_WORDS, phrases("rate limit*", "too many requests", "throttl*"))
_PERSON = "(account|organi[sz]ation|user|workspace|project|team|key|subscription)"
_STOPPED = "(suspended|disabled|deactivated|banned|terminated|blocked|locked|restricted)"
_MONEY = "(spend*|payment|balance|invoices?|billing|credits?|overdue|prepaid|funds|unpaid)"
_THING = "(images?|pixels?|dimensions?|width|height|strings?|arrays?|tools?|functions?|files?|pdfs?|pages|audio|video)"
_PROMPT = "(prompt|input|context|request|messages?|conversation|history|text)"

FIRM: tuple[Rule, ...] = (
    Rule(
        name="text.aborted",
        kind=Kind.ABORTED,
        why="the request was stopped on this side",
        text=phrases(
            "(operation|request|execution|message|stream|turn|response|generation)( was| has been| is)? "
            "(aborted|cancell?ed|interrupted)",
            "(aborted|interrupted|cancell?ed|stopped) by (the )?(user|client)",
            "user (aborted|cancell?ed|interrupted)",
            r"^(\w{1,20}: )?(aborted|cancell?ed)\.?$",
            "context cancell?ed",
            "und err aborted",
            "client (closed request|disconnected)",
            "signal is aborted",
        ),
        unanswered=True,
    ),
    Rule(
        name="text.output_cap",
        kind=Kind.BAD_REQUEST,
        why="the request asks for more output than the model gives",
        text=phrases(
            "number of output tokens",
            "output tokens for",
            "output tokens? (maximum|limit)",
            "max ?(output|completion)? ?tokens ... (exceeds?|range|must be|at most|not supported|too large|invalid)",
        ),
        unless=phrases("context", "input length", "prompt", "inputs?`? tokens", "per minute", "credits?", "afford"),
    ),
    Rule(
        name="text.part_too_large",
        kind=Kind.BAD_REQUEST,
        why="a part of the request, such as an image or a tool list, is too large",
        text=phrases(
            f"{_THING} ... (exceed*|too (long|large|many|big)|larger than|maximum)",
            "too many (images|tools|functions|files|pages)",
            "图片 .. (过大|超过)",
        ),
        unless=phrases("context", "prompt", "tokens?", "rate limit*", "requests? per", "上下文"),
        below_500=True,
    ),
    Rule(
        name="text.context_overflow",
        kind=Kind.CONTEXT_OVERFLOW,
        why="the conversation is longer than the model can read",
        text=phrases(
            f"{_PROMPT} ... too (long|large|big)",
            "(exceed*|over|beyond|greater|larger|longer|bigger|more than|outside) ... "
            "(context|prompt|input|sequence|token) ?(window|length|size|limit|count)",
            "(context|prompt|input|sequence|messages?) ... (exceed*|overflow*|larger|greater|longer)",
            r"(maximum|max|supported|allowed|model'?s?) (allowed |supported |model )?(context|prompt|input|sequence)"
            r" ?(length|window|tokens?|size) ... \d",
            "max (prompt |input |seq |model )?len(gth)? .. exceed*",
            "context (window|length|size|limit|the overflow|overflow)*",
            "fit .. context",
            "(shorten|reduce|trim|truncate|compact)* .. "
            "(length|size|prompt|messages?|input|context|conversation|history)",
            "range of input length",
            "tokens? ... (must|should) be (<=?|less|at most|within|below)",
            r"(less|fewer|at most|no more) than \d[\d,]{0,12} tokens",
            r"tokens? .. (> ?|exceed*|is greater than|over the|only supports?|above the) .. (\d{3}|context|max*|limit)",
            "token (limit|count)( was| is| has been)? (exceeded|reached)",
            "too many (input |prompt )?tokens ... (prompt|input|context|model)",
            r"^(\w{1,20}: )?too many (input |prompt )?tokens\.?$",
            "(payload|entity|body)( is)? too large",
            "maximum (allowed )?(number of bytes|request size)",
            "(输入|上下文|提示词?|请求|消息|prompt|tokens?) .. (超长|过长|超出|超过|太长)",
            "超(出|过) .. (上下文|最大长度|token|长度限制)",
        ),
        unless=any_of(
            _RATES,
            phrases(
                "(quota|insufficient|credits?|neurons|allowance|subscription|bedrock)",
                "(usage limit|extra usage|please wait|context deadline)",
            ),
        ),
    ),
    Rule(
        name="text.suspended_for_money",
        kind=Kind.BILLING,
        why="the account is stopped until it is paid or its spending limit raised",
        text=phrases(f"{_PERSON} ... {_STOPPED} ... {_MONEY}", f"{_MONEY} ... {_PERSON} ... {_STOPPED}"),
        below_500=True,
    ),
    Rule(
        name="text.suspended",
        kind=Kind.AUTH,
        why="the provider has closed this account or key",
        text=phrases(
            rf"{_PERSON} .. (is|was|were|been) (\w{{1,16}} )?{_STOPPED}",
            "(账户|账号|ak|密钥|用户) .. (封禁|禁用|停用|锁定|冻结|禁止访问|违规请求)",
        ),
        unless=phrases("rate", "too many", "limit"),
        below_500=True,
    ),
    Rule(
        name="text.region",
        kind=Kind.AUTH,
        why="the provider does not serve this region",
        text=phrases(
            "(location|country|region|territory) ... "
            "(not (supported|available|allowed)|unsupported|restricted|blocked)",
            "not (supported|available) in your (location|country|region)",
        ),
        unless=phrases("enable billing", "free tier", "model ... region"),
        scope=Scope.PROVIDER,
        below_500=True,
    ),
    Rule(
        name="text.content_filter",
        kind=Kind.CONTENT_FILTER,
        why="the provider refuses this content",
        text=phrases(
            "(prompt|input|content|request|message|output|response) ... (flagged|filtered)",
            "(flagged|filtered) ... (prompt|input|content|request|message|output|response)",
            "blocked .. (safety|policy|content)",
            "content safety",
            "moderation",
            "content (management |usage |safety )?(polic|filter|moderat|violation|guideline)*",
            "responsible ai",
            "safety (system|filter|guideline|reason|polic|check|setting|classifier|measure)*",
            "usage (guideline|polic)*",
            "acceptable use",
            "violat* ... (polic|guideline|terms|safety|rules)*",
            "(policy|policies|guidelines?|safety) .. violat*",
            "(inappropriate|unsafe|harmful|prohibited|objectionable|offensive|explicit|sensitive) .. "
            "(content|input|prompt|information|material|text|words)",
            "content .. (risk|blocked|violat*|inappropriate|prohibited|sensitive|not allowed)",
            "(prohibited content|block ?reason|recitation|cybersecurity risk)",
            "(considered|deemed)( as| to be)? high risk",
            "refused (the|this|your) (prompt|request)",
            "(敏感|不安全|违规内容|不合规)",
            "内容(安全|审核|违规)",
            "违反 .. (政策|规定|法律)",
        ),
        unless=phrases("too many requests", "rate limits?", "quota", "fair us*"),
        below_500=True,
    ),
    Rule(
        name="text.model_extra_money",
        kind=Kind.BILLING,
        why="this model is not part of the plan or its free allowance is spent",
        text=phrases(
            "extra usage .. long context",
            "model ... (extra|paid|additional) (usage|credits?)",
            "free (tier|quota|allowance) of (the|this) model",
            "model ... (not (available|included|supported|part of)|requires?|upgrade) ... (plan|subscription|tier)",
            "(plan|subscription|tier|package) ... (not|n't|cannot) .. (include|support|access|open|cover) ... model",
            "free (tier|plan) users? ... (access|use) ... model",
            "套餐 .. (暂未开放|不支持|不包含)",
        ),
        unless=phrases("rate limit*"),
        scope=Scope.MODEL,
        below_500=True,
    ),
    Rule(
        name="text.google_quota",
        kind=Kind.RATE_LIMIT,
        why="requests or tokens come faster than the project's quota allows",
        text=phrases("exceeded your current quota", "quota exceeded for", "resource (has been )?exhausted"),
        families=frozenset({"google"}),
        below_500=True,
    ),
    Rule(
        name="text.alibaba_quota",
        kind=Kind.RATE_LIMIT,
        why="requests or tokens come faster than the allocated rate",
        text=phrases("exceeded your current (quota|request)", "allocated quota exceeded", "request rate increased"),
        families=frozenset({"alibaba"}),
        below_500=True,
    ),
    Rule(
        name="text.no_money",
        kind=Kind.BILLING,
        why="the account has no money or credits left, or its bill is unpaid",
        text=phrases(
            r"insufficient (\w{1,16} ){0,4}?(balance|credits?|funds?|quota|tokens)",
            "(balance|funds)( is| are| was)? (too low|insufficient|not enough|negative|empty|exhausted|depleted)",
            "credit balance",
            r"credits? (\w{1,12} ){0,3}?(exhausted|depleted|used up|run out|expired|required|remaining)",
            r"(out of|no|not enough|never purchased|all( your)?( available)?|requires? more|r[au]n out of|lack|not have"
            r"|doesn't have|don't have|exceed* your) (\w{1,12} ){0,2}?credits?",
            "can only afford",
            r"(account )?balance .. (empty|zero|\$?0(\.0{1,4})?)",
            "payment (required|method|failed|overdue)",
            "credit card",
            "billing (hard limit|not active|is not|issue|information|is disabled|account)",
            "(overdue|arrears?|past due|unpaid)",
            "(spend|spending|budget) (limit|cap|alert)",
            r"budget (\w{1,12} ){0,3}?exceeded",
            r"exceed* (\w{1,12} ){0,3}?budget",
            "exceeded your current quota",
            "check your plan and billing",
            "(out of|from your) extra usage",
            "extra usage( is)? (required|balance|needed)",
            "enable billing",
            r"requires? (\w{1,12} ){0,2}?paid plan",
            "(plan|subscription|package|membership)( has| is| was)? (expired|inactive|ended|lapsed|not active)",
            "(余额不足|欠费|请充值|充值后|额度不足|未付费)",
            "余额 .. (不足|为零|耗尽)",
            "套餐 .. 到期",
        ),
        unless=phrases("free models per", "premium (model )?request", "rate limit reached", "daily .. allocation"),
        below_500=True,
    ),
    Rule(
        name="text.plan_window",
        kind=Kind.QUOTA,
        why="the plan's usage window is used up",
        text=phrases(
            "usage (limit|cap|quota)s?",
            r"(session|weekly|monthly|daily|hourly|\d{1,3} ?h(ou)?rs?) (\w{1,12} ){0,3}?"
            r"(limit|quota|allowance|allocation|cap)s?",
            "free usage (exceeded|limit)",
            "premium (model )?requests?",
            "(allowance|allocation)",
            r"quota( limit)?( will| has| is| was)?( been)? (\w{1,12} )?"
            r"(reset|reached|exceeded|exhausted|used up|refresh|renew|replenish)*",
            r"out of (\w{1,12} ){0,3}?(quota|usage)",
            "(daily|weekly|monthly) .. (exceeded|exhausted|reached|used|depleted)",
            "(配额|额度|用量|限额|次数) .. (用尽|用完|耗尽|上限|用光)",
            "(使用上限|已达 .. (上限|限额))",
        ),
        unless=phrases("rate limit* ... per (minute|second)", "not your usage limit"),
        below_500=True,
    ),
    Rule(
        name="text.service_overloaded",
        kind=Kind.SERVER,
        why="the provider is overloaded",
        text=phrases(
            "(servers?|service|system|cluster|api) ... (overload*|busy|at capacity)",
            "overload* .. servers?",
            "(服务|系统|集群|服务器) .. (繁忙|过载|负载)",
        ),
    ),
    Rule(
        name="text.overloaded",
        kind=Kind.SERVER,
        why="the provider is overloaded",
        text=phrases("overloaded"),
        families=frozenset({"anthropic"}),
    ),
    Rule(
        name="text.capacity",
        kind=Kind.SERVER,
        why="the provider is short of capacity",
        text=phrases(
            "overload(ed|ing)?",
            "(at|maximum|insufficient|out of|no|over) capacity",
            "capacity .. (exceeded|exhausted|reached|unavailable|constraints?)",
            r"(high|heavy|peak|increased) (\w{1,12} )?(demand|traffic|load|volume)",
            "(demand|traffic|load)( is)?( currently)? (high|heavy)",
            r"(model|engine)s?( is| are)? (\w{1,12} )?busy",
            "worker .. request limit reached",
            "queue( is)? (full|exceeded)",
            "maximum pending requests",
            "(访问量过大|繁忙|过载|饱和|算力不足)",
            "负载 .. (高|满)",
        ),
        unless=phrases(
            "exhausted your capacity", "temporarily rate limited", "per (minute|day)", "request rate increased"
        ),
        scope=Scope.MODEL,
    ),
    Rule(
        name="text.throttled",
        kind=Kind.RATE_LIMIT,
        why="requests or tokens come faster than the provider allows",
        text=phrases(
            "throttl(ed|ing)",
            "rate limit(s|ed|ing)? ... (reached|exceeded|hit|in place|for)",
            "(reached|exceeded?|hit) ... rate limits?",
            "too many (requests|tokens) ... (wait|slow|second|minute|again)",
            "too many (concurrent|parallel) requests",
            "requests? (rate|frequency) .. (high|exceed*|limit|quickly)",
            "concurren(t|cy) (requests? )?limit",
            "(tokens|requests) per (minute|min|hour|day) .. limit",
            "(limiting requests|too many requests)",
            "(请求过多|过于频繁|速率限制|限流)",
        ),
        below_500=True,
    ),
    Rule(
        name="text.no_such_model",
        kind=Kind.MODEL_NOT_FOUND,
        why="this model cannot be used here",
        text=phrases(
            "models? ... (not|no longer|doesn't|isn't|can't|cannot)( be)? "
            "(found|exist|supported|available|valid|loaded|accessible|recogni[sz]ed|enabled|deployed)",
            "models? ... (is|was|has been) (decommissioned|deactivated|deprecated|retired|shut ?down|sunset|removed"
            "|discontinued|unavailable|disabled|unknown|invalid)",
            "(invalid|unknown|unsupported|unrecogni[sz]ed|no such|nonexistent) (language ?)?model",
            "(not a valid|valid) model( id)?",
            "no models? (loaded|found|named|available)",
            "model not found",
            "no (endpoints?|((allowed|available) )?providers?|available channel) ... (found|available|for)",
            "access to (the |this )?model",
            "(failed|unable) to (load|access) (the )?model",
            "deployment ... (does not exist|not found)",
            "function ... not found for account",
            "publisher model",
            "inference profile",
            "try pulling it",
            "模型 .. (不存在|已下线|未开通|无权|不可用|不支持)",
            "(无可用渠道|未找到 .. 模型)",
        ),
        unless=phrases(
            "(parameter|tool|function call|image|field|temperature|system prompt|response format|reasoning|vision)s? "
            "... "
            "(supported|support|with this model)"
        ),
        below_500=True,
    ),
    Rule(
        name="text.wrong_key",
        kind=Kind.AUTH,
        why="the provider does not accept the key",
        text=phrases(
            r"(invalid|incorrect|wrong|expired|revoked|missing|no|bad) (\S{1,20} ){0,2}?"
            r"(api keys?|x api key|access tokens?|api tokens?|auth\w{0,12} (token|header|credential)s?|bearer tokens?"
            r"|client secret|credentials?)",
            "api key .. (not (valid|found|provided|authorized|active)|expired|missing|invalid|disabled|required|revoked"
            "|incorrect|deleted|blocked)",
            "provide (an|your|a valid) api key",
            "not logged in",
            "please (run /login|log ?in|sign in|try signing in|re ?authenticate)",
            "token .. (expired|invalidated|revoked|is invalid)",
            "authentication (failed|fails|error|required)",
            "(failed to|could not) (authenticate|validate credentials)",
            "insufficient permissions?",
            "missing scopes?",
            "credential*( is| are| was)? (only authorized|invalid|expired|missing)",
            "load credentials",
            "authori[sz]ation (header|failed|required)",
            "user not found",
            "must be verified",
            "(api ?key|密钥|令牌|token) .. (无效|错误|过期|不存在|失效)",
            "(无效的(令牌|密钥)|鉴权失败|认证失败|身份验证|未登录)",
        ),
        below_500=True,
    ),
)
"""In the order they are asked."""
