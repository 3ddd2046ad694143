"""Which provider's vocabulary an error speaks, from the provider's id and from the addresses its text names.

Only the mapping from names to families: what a family's words mean is `rules.py`. An id nobody knows has no family.
"""

import re

GATEWAYS = frozenset({"openrouter", "vercel", "litellm", "helicone", "gateway"})
"""Families that relay other providers' errors as well as their own."""

# The first word of a provider id that is listed here names its family; ids are OpenCode's or the user's own.
_WORDS = {
    "openai": "openai", "codex": "openai", "chatgpt": "openai",
    "azure": "azure",
    "anthropic": "anthropic", "claude": "anthropic",
    "openrouter": "openrouter", "router": "gateway", "requesty": "gateway",
    "vercel": "vercel", "litellm": "litellm", "helicone": "helicone",
    "google": "google", "gemini": "google", "vertex": "google", "antigravity": "google", "googleapis": "google",
    "cloudcode": "google",
    "groq": "groq", "mistral": "mistral", "codestral": "mistral",
    "copilot": "copilot", "github": "copilot",
    "bedrock": "bedrock", "amazon": "bedrock", "aws": "bedrock",
    "deepseek": "deepseek", "xai": "xai", "grok": "xai",
    "together": "together", "togetherai": "together", "cerebras": "cerebras", "fireworks": "fireworks",
    "nvidia": "nvidia", "nim": "nvidia",
    "zai": "zai", "zhipu": "zai", "zhipuai": "zai", "bigmodel": "zai", "glm": "zai",
    "moonshot": "moonshot", "moonshotai": "moonshot", "kimi": "moonshot",
    "minimax": "minimax", "minimaxi": "minimax",
    "alibaba": "alibaba", "qwen": "alibaba", "dashscope": "alibaba", "bailian": "alibaba", "aliyun": "alibaba",
    "huggingface": "huggingface", "cloudflare": "cloudflare",
    "ollama": "ollama", "lmstudio": "lmstudio",
    "opencode": "opencode", "zen": "opencode",
    "volcengine": "volcengine", "volces": "volcengine", "ark": "volcengine", "doubao": "volcengine",
    "bytedance": "volcengine",
    "qianfan": "qianfan", "baidu": "qianfan", "wenxin": "qianfan",
    "siliconflow": "siliconflow", "siliconcloud": "siliconflow",
    "cohere": "cohere", "perplexity": "perplexity", "sambanova": "sambanova", "chutes": "chutes",
}  # fmt: skip

_SPLIT = re.compile(r"[^a-z0-9]+")

# Addresses in an error's text that tell whose error a gateway relays.
_ADDRESSES = (
    (re.compile(r"ai\.google\.dev|ai\.dev/|googleapis\.com|cloud\.google\.com", re.IGNORECASE), "google"),
    (re.compile(r"aliyun\.com|alibabacloud\.com|upstream error from alibaba", re.IGNORECASE), "alibaba"),
)


def families_of(name: str | None) -> tuple[str, ...]:
    """Give the family a provider id or name belongs to, as a tuple of none or one."""
    text = (name or "").lower()[:200]
    if "compatible" in text:
        return ()
    words = [word for word in _SPLIT.split(text.replace("z.ai", "zai").replace("z-ai", "zai")) if word]
    for word in ("router", *words) if "router" in words else words:
        if family := _WORDS.get(word):
            return (family,)
    return ()


def families_of_text(text: str) -> tuple[str, ...]:
    """Give the families whose addresses a text names."""
    return tuple(family for pattern, family in _ADDRESSES if pattern.search(text))
