"""What may be rewritten in a model's name: prefixes, suffixes, spellings and second names, as data.

Each rule says how a model is served or how its name is spelled, never which model it is; a rule that cannot tell the
two apart has no place in here. Only data: how the rules are applied is `models.py`. Patterns see a name's words in
lower case, joined by dashes.
"""

import re

# Who made, hosts or sells it, where that stands in front of a name that is complete without it. `mistral-` only
# before names like `mistral-large`, because Mistral-Nemotron is a model's own name.
_VENDOR = (
    r"(?:ai21|aion-labs|alibaba|alicloud|amazon|anthropic|arcee(?:-ai)?|azure|bedrock|cohere|google|ibm|meta|microsoft|"
    r"minimax(?:ai)?|mistralai|mistral(?=-[a-z]+tral(?:-|$))|moonshot(?:ai)?|nvidia|openai|qwen|umans|vertex|writer|"
    r"x-?ai|xiaomi|z-?ai(?:-org)?)"
)
_FAMILY = (
    r"(?:aion|chatgpt|claude|codestral|codex|command|deepseek|devstral|gemini|gemma|glm|gpt|granite|grok|kimi|llama|"
    r"magistral|mimo|minimax|ministral|mistral|mixtral|nemotron|nova|o\d|palmyra|phi|pixtral|qwen|qwq|titan|trinity|"
    r"voxtral)(?=-|\d|$)"
)
_REGION = rf"(?:af|apac|au|ca|eu|global|il|in|jp|me|mx|sa|uk|us|us-gov)-(?=(?:{_VENDOR}|deepseek)-)"
_PREFIX = rf"^(?:{_REGION}|(?:databricks|duo-chat)-|(?:dola|doubao)-(?=seed-)|{_VENDOR}-(?={_FAMILY}))"

# Quantisation, hosting and price, behind any name.
_SERVING = (
    r"-(?:free|cloud|maas|tee|tput|hf|gguf|mlx|awq|gptq|exl2|bf16|fp16|(?:nv|mx)?fp[48]|fp8-dynamic|int[48]|"
    r"int4-(?:autoround|mixed-ar)|w\d+a\d+|[2-8]bit|(?:ud-)?i?q[2-8](?:-[01k])?(?:-(?:xxs|xs|s|m|l|xl|nl))?)$"
)
_SIZE = r"-(?:e?\d+[bt]|\d+x\d+b)(?=-|$)"
# Speed, behind a name that states its size: open weights, which hosts serve faster under such a suffix. Without a size
# these words name models of their own: `gpt-4-turbo`, `grok-4-fast`, `glm-5-turbo`.
_SPEED = rf"^(.*{_SIZE}.*)-(?:turbo|fast|instant|versatile)$"
# Tuned for dialogue, in a name that states its size: what hosts serve under the bare name as well (base weights are
# called `-base`). `gpt-3.5-turbo-instruct` and `gpt-5-chat` are models of their own and state no size.
_DIALOGUE = rf"^(?=.*{_SIZE})(.*?)-(?:instruct|it|chat)(?=-|$)"
_DIALOGUE_UNSIZED = r"^(kimi-.*?(?=-instruct-\d{4})|(?:mistral|phi)-.*?)-instruct(?=-|$)"

# A day behind a name. Claude's and OpenAI's dated snapshots are the model of the bare name, apart from the two named
# here; elsewhere (Qwen, DeepSeek, Kimi, Mistral, previews) a stamp tells revisions with other weights apart.
_DAY = r"20\d\d-?(?:0[1-9]|1[0-2])-?(?:0[1-9]|[12]\d|3[01])(?=-|$)"
_SNAPSHOT = (
    rf"^(?!claude-sonnet-3-5-20240620|gpt-4o-2024-(?:05-13|11-20)|.*-(?:preview|realtime|audio))"
    rf"((?:claude|gpt|o\d)(?:-.*?)?)-{_DAY}"
)

# Qwen 3 was published twice in each size, first thinking on demand, then (2507) apart: an id of it that has no stamp
# says less than it seems, so nothing is dropped from it.
_QWEN3 = r"(?!qwen-3-\d+b(?:-|$)(?!.*-2507(?:-|$)))"

# Names that come in one size only, and the size some hosts write behind them.
_ONE_SIZE = (
    ("deepseek-v4-flash-0731", "284b"),
    ("devstral-2", "123b"),
    ("glm-5-3", "754b"),
    ("llama-4-maverick", "17b(?:-128e)?"),
    ("llama-4-scout", "17b(?:-16e)?"),
    ("mistral-large-3", "675b"),
    ("mistral-medium-3-5", "128b"),
    ("mistral-nemo", "12b"),
    ("mistral-small-3-[12]", "24b"),
    ("mistral-small-4", "119b"),
    ("nemotron-3-5-lightning", "30b"),
    ("nemotron-3-super", "120b"),
    ("nemotron-3-ultra", "550b"),
    ("qwen-3-next", "80b"),
)
# Two names of one model: Mistral's versions and their stamps, Gemini 3 previews (which never had another release), and
# names of single hosts (Bedrock's first DeepSeek is V3.1, Poe's Sonnet of June 2024, OpenCode's Grok, Kimi's own plan).
ALIASES = {
    "claude-sonnet-3-5-june": "claude-sonnet-3-5-20240620",
    "claude-sonnet-3-5-v2": "claude-sonnet-3-5",
    "command-a-03-2025": "command-a",
    "deepseek-v3-v1": "deepseek-v3-1",
    "devstral-2512": "devstral-2",
    "devstral-2-2512": "devstral-2",
    "devstral-small-2512": "devstral-small-2",
    "labs-devstral-small-2512": "devstral-small-2",
    "gemini-3-flash-preview": "gemini-3-flash",
    "gemini-3-pro-preview": "gemini-3-pro",
    "gemini-3-1-pro-preview": "gemini-3-1-pro",
    "grok-code": "grok-code-fast-1",
    "k3": "kimi-k3",
    "ministral-3b-2512": "ministral-3-3b",
    "ministral-8b-2512": "ministral-3-8b",
    "ministral-14b-2512": "ministral-3-14b",
    "ministral-3-3b-2512": "ministral-3-3b",
    "ministral-3-8b-2512": "ministral-3-8b",
    "ministral-3-14b-2512": "ministral-3-14b",
    "mistral-large-2411": "mistral-large-2-1",
    "mistral-large-2512": "mistral-large-3",
    "mistral-large-3-2512": "mistral-large-3",
    "mistral-medium-2505": "mistral-medium-3",
    "mistral-medium-2508": "mistral-medium-3-1",
    "mistral-medium-2604": "mistral-medium-3-5",
    "mistral-nemo-2407": "mistral-nemo",
    "nemotron-3-120b": "nemotron-3-super",
    "open-mistral-nemo": "mistral-nemo",
    "mistral-small-24b-2501": "mistral-small-3",
    "mistral-small-2501": "mistral-small-3",
    "mistral-small-2503": "mistral-small-3-1",
    "mistral-small-3-1-2503": "mistral-small-3-1",
    "mistral-small-2506": "mistral-small-3-2",
    "mistral-small-3-2-2506": "mistral-small-3-2",
    "mistral-small-2603": "mistral-small-4",
    "mistral-small-4-2603": "mistral-small-4",
}

RULES = tuple(
    (re.compile(pattern), into)
    for pattern, into in (
        (_PREFIX, ""),
        (_SERVING, ""),
        (r"^((?:claude|gpt|o\d)-.*\d.*)-latest$", r"\1"),
        # Spelling.
        (r"(\d)p(?=\d+[bt]?(?:-|$))", r"\1-"),  # 4p5: a point where points are not allowed
        (r"(?<=\d)vl(?=-|$)", "-vl"),
        (r"(?:^|(?<=-))([a-z]{3,})(?=\d)", r"\1-"),  # qwen3, opus4
        (r"^(gpt|qwen)-([1-9])([1-9])(?=-|$)", r"\1-\2-\3"),  # gpt-35-turbo
        (r"^(minimax-m|mimo-v)([1-9])([1-9])(?=-|$)", r"\1\2-\3"),
        (r"(?<=\d)-0(?=-|$)", ""),  # 4.0 is 4
        (r"-non?-?think(?:ing)?(?=-|$)", "-nothinking"),
        (r"-think(?=-|$)", "-thinking"),
        # Order and forms of one family.
        (r"^(?=(?:opus|sonnet|haiku|fable|mythos)-\d)", "claude-"),
        (r"^claude-(\d(?:-\d)?)-([a-z]+)(?=-|$)", r"claude-\2-\1"),
        (r"^nemotron-([a-z]+)-(\d(?:-\d)?)(?=-\d+b(?:-|$))", r"nemotron-\2-\1"),
        (r"^llama-v(?=\d)", "llama-"),
        (r"^deepseek-(?:chat-)?v?(?=\d(?:-|$))", "deepseek-v"),
        (r"^((?:claude|nova|palmyra)-.+)-v1$", r"\1"),
        (r"^(kimi-.*-\d{4})-preview$", r"\1"),
        (r"^(grok-\d(?:-\d\d?)?)-\d{4}(?=-|$)", r"\1"),
        (r"^(gemini-2-.*)-001$", r"\1"),
        (_SNAPSHOT, r"\1"),
        # What a name says twice.
        (_SPEED, r"\1"),
        (_QWEN3 + _DIALOGUE, r"\1"),
        (_DIALOGUE_UNSIZED, r"\1"),
        (rf"^{_QWEN3}(.*-\d+[bt])-a\d+(?:-\d+)?b(?=-|$)", r"\1"),  # the active share of a size
        *((rf"^({stem})-{size}(?=-|$)", r"\1") for stem, size in _ONE_SIZE),
    )
)
