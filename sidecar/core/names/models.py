"""The same model elsewhere, and how strong a model probably is: both from its name.

Pure text and numbers: nothing in here knows a provider or the network. The rule of the room: **a false match is much
worse than a miss**. A miss leaves a model out of the candidates; a false match hands a developer's turn to another
model without a word. So a part of a name is dropped only where it is known to say how a model is served (who sells
it, where, how it is quantised, what it costs), never where it says which model it is (family, generation, version,
size, speciality, revision). What is in doubt stays in the key.
"""

import re
from functools import lru_cache

from sidecar.config.models import Tier
from sidecar.core.names.spellings import ALIASES, RULES

_LONGEST = 200
# Variants behind a colon that are routing or billing; `:thinking` and `:extended` are not.
_ROUTING = frozenset({"beta", "cloud", "exacto", "floor", "free", "latest", "nitro"})
# What stands behind an @ when it is no revision: the default one, or where it runs.
_PLACE = frozenset({"default", "eu", "global", "latest", "us"})
_BEDROCK_REVISION = re.compile(r"(?<!deepseek\.v3)-(?:v1|\d):0$|:0$")
_SEPARATORS = re.compile(r"[\W_]+")

# Words that alone name a router or a class of models, another thing at every provider.
_GENERIC = re.compile(
    r"[\W_]*(?:(?:auto|balanced|basic|best|cheap|chat|code|coding|custom|default|efficient|fast|free|frontier|fusion|high|"
    r"large|latest|low|max|medium|mini|model|premium|pro|router|small|smart|standard|text)(?:[\W_]+|$))*"
)

# What names say of a model's class, in the words of its vendor; the first that fits decides. A small word beats every
# other (`gemini-2.5-flash-thinking`), and so does a small size beside a word for reasoning (`qwen3-4b-thinking`).
_CLASSES = tuple(
    (re.compile(pattern), tier)
    for pattern, tier in (
        (r"^o\d-mini(?=-|$)", Tier.MEDIUM),
        (
            (
                r"(?:^|-)(?:haiku|mini|nano|micro|flash|flashx|lite|luna|tiny|small|instant|air|airx|edge|ministral)(?=-|$)"
                r"|^grok-.*-fast(?=-|$)|-codex-spark(?=-|$)|^gpt-3|^qwen-turbo|^mistral-nemo$|^nemotron-.*-lightning"
            ),
            Tier.FAST,
        ),
        (r"^o\d(?=-|$)|^gpt-.*-pro(?=-|$)|^deepseek-r1(?:-\d{4})?$|-reasoner(?=-|$)|^qwq-|^magistral-", Tier.REASONING),
        (r"^(?!.*-(?:e?\d|[1-3]\d)b(?:-|$)).*(?<!-non)-(?:reasoning|thinking|speciale)(?=-|$)", Tier.REASONING),
        (
            (
                r"(?:^|-)(?:opus|fable|mythos|ultra|premier|max|large)(?=-|$)|^gpt-(?:4-5|[5-9](?!.*-terra))(?=-|$)"
                r"|^gemini-.*pro(?=-|$)|^grok-[4-9](?=-|$)|^kimi-k[3-9]|^deepseek-v\d-pro"
            ),
            Tier.LARGE,
        ),
        (r"(?:^|-)(?:sonnet|medium|plus|terra)(?=-|$)|^gpt-4", Tier.MEDIUM),
    )
)
# Families whose plain models are their vendor's workhorses; asked after the size, because they come in many sizes.
_WORKHORSE = re.compile(
    r"^(?:claude|codestral|command|deepseek|devstral|gemini|glm|grok|kimi|llama|mimo|minimax|mistral|nemotron|qwen)-"
)

_SIZE = re.compile(r"(?:^|-)(?:(\d+)x)?e?(\d+)([bt])(?=-|$)")
_BILLIONS = ((40, Tier.FAST), (250, Tier.MEDIUM))
_USD = ((3.0, Tier.FAST), (20.0, Tier.MEDIUM), (60.0, Tier.LARGE))


def normalise(model_id: str) -> str:
    """Give the canonical key of a model id: lower-case words and numbers joined by dashes.

    Two ids have the same key exactly when their names say that they are the same model, whatever the provider's
    spelling. A key is its own key; letter case and vendor prefixes do not matter. Ids without a model's name (routers
    such as `openrouter/auto`) and ids longer than 200 characters are given back in lower case and otherwise as they
    are. Never raises.
    """
    text = model_id.strip().lower()
    tail = text.rpartition("/")[2]
    if len(text) > _LONGEST or _is_generic(tail):
        return text
    return _key(tail) or text


def same_model(a: str, b: str) -> bool:
    """Say whether two model ids name the same model; routers and classes (`auto`, `fast`) are never the same."""
    key = normalise(a)
    return key == normalise(b) and not _is_generic(key.rpartition("/")[2])


def guess_tier(model_id: str, *, reasoning: bool | None = None, output_cost: float | None = None) -> Tier:
    """Guess how strong a model is.

    The first evidence decides: what its name says of its class; its size (fast up to 40 billion parameters, medium up
    to 250); a family whose plain models are workhorses (medium); its price (fast up to 3 dollars, medium up to 20,
    large up to 60). Without any it is medium.

    Args:
        model_id: The id in any provider's spelling.
        reasoning: Whether the catalogue says that the model can reason. False keeps it out of the reasoning tier; True
            is no evidence of strength, because small models can as well.
        output_cost: US dollars per million output tokens; None and 0 (free, or not known) are no evidence.
    """
    tier = _by_name(normalise(model_id)) or _by_price(output_cost) or Tier.MEDIUM
    return Tier.LARGE if tier is Tier.REASONING and reasoning is False else tier


def _is_generic(name: str) -> bool:
    return _GENERIC.fullmatch(name) is not None


def _words(tail: str) -> str:
    """Join the words of an id's last path segment by dashes, without the variants that are routing or place."""
    name, _, place = tail.partition("@")
    name, *variants = _BEDROCK_REVISION.sub("", name).split(":")
    variants = [variant for variant in variants if variant not in _ROUTING]
    if place not in _PLACE:
        variants.append(place)
    return _SEPARATORS.sub("-", "-".join((name, *variants)).replace("+", "-plus")).strip("-")


@lru_cache(maxsize=8192)  # a catalogue's worth: the same few ids are asked for again at every decision
def _key(tail: str) -> str:
    """Rewrite the words of a name until nothing is left to rewrite, so that a key is its own key."""
    key, before = _words(tail), ""
    while key != before:
        before = key
        for pattern, into in RULES:
            key = pattern.sub(into, key)
        key = ALIASES.get(key, key)
    return key


@lru_cache(maxsize=8192)
def _by_name(key: str) -> Tier | None:
    for pattern, tier in _CLASSES:
        if pattern.search(key):
            return tier
    if size := _SIZE.search(key):
        billions = int(size[1] or 1) * int(size[2]) * (1000 if size[3] == "t" else 1)
        return next((tier for limit, tier in _BILLIONS if billions <= limit), Tier.LARGE)
    return Tier.MEDIUM if _WORKHORSE.search(key) else None


def _by_price(output_cost: float | None) -> Tier | None:
    if not output_cost:
        return None
    return next((tier for limit, tier in _USD if output_cost <= limit), Tier.REASONING)
