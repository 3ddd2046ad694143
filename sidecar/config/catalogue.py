"""The built-in catalogue: what is known of well-known providers before the user has written a word.

Only data and the laying of the user's words over it; nothing in here reads a file, an environment variable or the
network. The ids are OpenCode's. The user overrides every entry by the same keys in the configuration.

**Documented limits are shown, never enforced.** What a provider documents for its lowest tier is wrong for everybody
above it, and a wrong limit would stop a paying user from using what they pay for. So `documented_limits` stands
beside the settings, for the status report and for the user to copy; `settings.limits` stays unlimited until the user
writes a limit or the provider's own headers teach one.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from ipaddress import ip_address
from typing import TypeVar
from urllib.parse import urlsplit

from sidecar.config.models import Billing, Limits, ProviderSettings, Strict, Tier

_S = TypeVar("_S", bound=Strict)

# A local server loads the weights with the first request.
_LOADING = 300.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """One provider: its settings, and the limits its documents state for the tier named in `documented_for`."""

    name: str
    settings: ProviderSettings
    documented_limits: Limits | None = None
    documented_for: str = ""


def _cloud(
    name: str,
    key_env: str,
    base_url: str | None,
    billing: Billing = Billing.METERED,
    *,
    limits: Limits | None = None,
    limits_for: str = "",
) -> Entry:
    settings = ProviderSettings(billing=billing, local=False, base_url=base_url, key_env=key_env.split())
    return Entry(name=name, settings=settings, documented_limits=limits, documented_for=limits_for)


def _local(name: str, base_url: str, key_env: str = "") -> Entry:
    settings = ProviderSettings(
        billing=Billing.FREE,
        local=True,
        base_url=base_url,
        key_env=key_env.split(),
        first_token_timeout=_LOADING,
    )
    return Entry(name=name, settings=settings)


_PLAN = Billing.SUBSCRIPTION

# Where no limit is given, the provider documents none that holds for every model of a tier: OpenAI, Google, xAI and
# Mistral set them by model and account, Together and Fireworks adapt them to recent use, DeepSeek limits only
# simultaneous requests, Chutes and OpenCode Go count dollars per window. A provider that sells both a plan and single
# requests under one id counts as metered: the cost guard then asks once too often, not once too little. Whoever is
# logged in to `anthropic` or `openai` with a plan writes `"billing": "subscription"`.
CATALOGUE: Mapping[str, Entry] = {
    "alibaba": _cloud("Alibaba", "DASHSCOPE_API_KEY", "https://dashscope-intl.aliyuncs.com/compatible-mode/v1"),
    "alibaba-coding-plan": _cloud(
        "Alibaba Coding Plan", "ALIBABA_CODING_PLAN_API_KEY", "https://coding-intl.dashscope.aliyuncs.com/v1", _PLAN
    ),
    "amazon-bedrock": _cloud(
        "Amazon Bedrock", "AWS_BEARER_TOKEN_BEDROCK AWS_ACCESS_KEY_ID AWS_SECRET_ACCESS_KEY", None
    ),
    "anthropic": _cloud(
        "Anthropic",
        "ANTHROPIC_API_KEY",
        "https://api.anthropic.com/v1",
        limits=Limits(rpm=1000),
        limits_for="the Start tier, each class of models by itself (new accounts may begin below it)",
    ),
    "azure": _cloud("Azure", "AZURE_API_KEY", None),
    "baseten": _cloud("Baseten", "BASETEN_API_KEY", "https://inference.baseten.co/v1"),
    "cerebras": _cloud(
        "Cerebras",
        "CEREBRAS_API_KEY",
        "https://api.cerebras.ai/v1",
        limits=Limits(rpm=5, tpm=30_000, tph=1_000_000, tpd=1_000_000),
        limits_for="the free trial, each model by itself",
    ),
    "chutes": _cloud("Chutes", "CHUTES_API_KEY", "https://llm.chutes.ai/v1"),
    "cloudflare-ai-gateway": _cloud("Cloudflare AI Gateway", "CLOUDFLARE_API_TOKEN", None),
    "cloudflare-workers-ai": _cloud(
        "Cloudflare Workers AI",
        "CLOUDFLARE_API_KEY",
        "https://api.cloudflare.com/client/v4/accounts/${CLOUDFLARE_ACCOUNT_ID}/ai/v1",
        limits=Limits(rpm=300),
        limits_for="text generation, every account, unless the model states its own",
    ),
    "cohere": _cloud("Cohere", "COHERE_API_KEY", "https://api.cohere.com/v2"),
    "deepinfra": _cloud("Deep Infra", "DEEPINFRA_API_KEY", "https://api.deepinfra.com/v1/openai"),
    "deepseek": _cloud("DeepSeek", "DEEPSEEK_API_KEY", "https://api.deepseek.com"),
    "fireworks-ai": _cloud("Fireworks AI", "FIREWORKS_API_KEY", "https://api.fireworks.ai/inference/v1"),
    "github-copilot": _cloud("GitHub Copilot", "GITHUB_TOKEN", "https://api.githubcopilot.com", _PLAN),
    "google": _cloud(
        "Google",
        "GOOGLE_API_KEY GOOGLE_GENERATIVE_AI_API_KEY GEMINI_API_KEY",
        "https://generativelanguage.googleapis.com/v1beta",
    ),
    "google-vertex": _cloud("Vertex", "GOOGLE_APPLICATION_CREDENTIALS", None),
    "google-vertex-anthropic": _cloud("Vertex (Anthropic)", "GOOGLE_APPLICATION_CREDENTIALS", None),
    "groq": _cloud(
        "Groq",
        "GROQ_API_KEY",
        "https://api.groq.com/openai/v1",
        limits=Limits(rpm=30),
        limits_for="the free plan, each model by itself (most models; requests a day and tokens differ by model)",
    ),
    "helicone": _cloud("Helicone", "HELICONE_API_KEY", "https://ai-gateway.helicone.ai/v1"),
    "huggingface": _cloud("Hugging Face", "HF_TOKEN", "https://router.huggingface.co/v1"),
    "kimi-code-plan-global": _cloud("Kimi For Coding", "KIMI_API_KEY", "https://api.kimi.ai/coding/v1", _PLAN),
    "minimax": _cloud("MiniMax", "MINIMAX_API_KEY", "https://api.minimax.io/anthropic/v1"),
    "minimax-coding-plan": _cloud(
        "MiniMax Token Plan", "MINIMAX_API_KEY", "https://api.minimax.io/anthropic/v1", _PLAN
    ),
    "mistral": _cloud("Mistral", "MISTRAL_API_KEY", "https://api.mistral.ai/v1"),
    "moonshotai": _cloud("Moonshot AI", "MOONSHOT_API_KEY", "https://api.moonshot.ai/v1"),
    "nebius": _cloud("Nebius Token Factory", "NEBIUS_API_KEY", "https://api.tokenfactory.nebius.com/v1"),
    "nvidia": _cloud(
        "Nvidia",
        "NVIDIA_API_KEY",
        "https://integrate.api.nvidia.com/v1",
        Billing.FREE,
        limits=Limits(rpm=40),
        limits_for="trial accounts, as their account page shows by default; single models can be slower",
    ),
    "ollama-cloud": _cloud("Ollama Cloud", "OLLAMA_API_KEY", "https://ollama.com/v1", _PLAN),
    "openai": _cloud("OpenAI", "OPENAI_API_KEY", "https://api.openai.com/v1"),
    "opencode": _cloud("OpenCode Zen", "OPENCODE_API_KEY", "https://opencode.ai/zen/v1"),
    "opencode-go": _cloud("OpenCode Go", "OPENCODE_API_KEY", "https://opencode.ai/zen/go/v1", _PLAN),
    "openrouter": _cloud(
        "OpenRouter",
        "OPENROUTER_API_KEY",
        "https://openrouter.ai/api/v1",
        limits=Limits(rpm=20, rpd=50, resets="00:00 UTC"),
        limits_for="models ending in :free, all together, before 10 dollars were ever paid (1000 a day after)",
    ),
    "perplexity": _cloud("Perplexity", "PERPLEXITY_API_KEY", "https://api.perplexity.ai"),
    "synthetic": _cloud("Synthetic", "SYNTHETIC_API_KEY", "https://api.synthetic.new/openai/v1", _PLAN),
    "togetherai": _cloud("Together AI", "TOGETHER_API_KEY", "https://api.together.xyz/v1"),
    "venice": _cloud("Venice AI", "VENICE_API_KEY", "https://api.venice.ai/api/v1"),
    "vercel": _cloud("Vercel AI Gateway", "AI_GATEWAY_API_KEY", "https://ai-gateway.vercel.sh/v3/ai"),
    "xai": _cloud("xAI", "XAI_API_KEY", "https://api.x.ai/v1"),
    "zai": _cloud("Z.AI", "ZHIPU_API_KEY", "https://api.z.ai/api/paas/v4"),
    "zai-coding-plan": _cloud("Z.AI Coding Plan", "ZHIPU_API_KEY", "https://api.z.ai/api/coding/paas/v4", _PLAN),
    "atomic-chat": _local("Atomic Chat", "http://127.0.0.1:1337/v1", "ATOMIC_CHAT_API_KEY"),
    "llama.cpp": _local("llama.cpp", "http://127.0.0.1:8080/v1"),
    "lmstudio": _local("LM Studio", "http://127.0.0.1:1234/v1", "LMSTUDIO_API_KEY"),
    "ollama": _local("Ollama", "http://127.0.0.1:11434/v1"),
    "vllm": _local("vLLM", "http://127.0.0.1:8000/v1"),
}


def _tiers(**models: str) -> dict[str, Tier]:
    return {model: Tier(tier) for tier, names in models.items() for model in names.split()}


# The models each provider is first asked for when one of a tier must stand in, by OpenCode's ids of 1.18. Every other
# model has a tier too, by its name and price (`sidecar/core/names/models.py`); these only go first.
TIER_MODELS: Mapping[str, Mapping[str, Tier]] = {
    "anthropic": _tiers(fast="claude-haiku-4-5", medium="claude-sonnet-4-6", large="claude-opus-4-8"),
    "cerebras": _tiers(medium="gpt-oss-120b"),
    "deepseek": _tiers(fast="deepseek-v4-flash", large="deepseek-v4-pro"),
    "github-copilot": _tiers(fast="gpt-5.4-mini", medium="claude-sonnet-4.6", large="claude-opus-4.8"),
    "google": _tiers(fast="gemini-3.5-flash", large="gemini-3.1-pro-preview"),
    "groq": _tiers(fast="openai/gpt-oss-20b", medium="openai/gpt-oss-120b"),
    "mistral": _tiers(
        fast="mistral-small-latest",
        medium="mistral-medium-latest",
        large="mistral-large-latest",
        reasoning="magistral-medium-latest",
    ),
    "openai": _tiers(fast="gpt-5.4-mini", large="gpt-5.6"),
    "opencode": _tiers(fast="gpt-5.4-mini", medium="claude-sonnet-4-6", large="claude-opus-4-8"),
    "openrouter": _tiers(
        fast="google/gemini-3.5-flash",
        medium="anthropic/claude-sonnet-4.6",
        large="anthropic/claude-opus-4.8",
        reasoning="deepseek/deepseek-r1",
    ),
    "togetherai": _tiers(
        fast="openai/gpt-oss-20b",
        medium="openai/gpt-oss-120b",
        large="Qwen/Qwen3-Coder-480B-A35B-Instruct-FP8",
        reasoning="deepseek-ai/DeepSeek-R1",
    ),
    "xai": _tiers(large="grok-4.7"),
}
_NO_TIERS: Mapping[str, Tier] = {}
_UNKNOWN = ProviderSettings()


def tier_models(provider_id: str) -> Mapping[str, Tier]:
    """Give the models a provider is first asked for by tier; none where no choice is known to be good."""
    return TIER_MODELS.get(provider_id, _NO_TIERS)


def settings_for(
    provider_id: str, user: ProviderSettings | None, *, reported_url: str = "", has_key: bool = True
) -> ProviderSettings:
    """Give what is known of a provider: the fields the user wrote, over the catalogue's.

    A base URL on this machine or network, without a key, says more than the name of a provider: a bridge there is a
    subscription, and any other server is local and free. The user's own word (`base_url`, `key_env`) counts before
    what an editor reported (`reported_url`, `has_key`).
    """
    entry = CATALOGUE.get(provider_id)
    known = entry.settings if entry else _UNKNOWN
    url, keyless = reported_url, not has_key
    if user is not None and user.base_url:
        url, keyless = user.base_url, not user.key_env
    if url and keyless and not known.local and is_local_url(url):
        known = known.model_copy(update=_BRIDGED if looks_bridged(url, has_key=False) else _SERVED_HERE)
    return known if user is None else lay_over(known, user)


_BRIDGED = {"local": False, "billing": Billing.SUBSCRIPTION}
_SERVED_HERE = {"local": True, "billing": Billing.FREE, "first_token_timeout": _LOADING}


def lay_over(base: _S, over: _S) -> _S:
    """Give `base` with every field that was written in `over`; settings within settings field by field as well."""
    return base.model_copy(
        update={field: _laid(getattr(base, field), getattr(over, field)) for field in over.model_fields_set}
    )


def _laid(base: object, over: object) -> object:
    if isinstance(base, Strict) and isinstance(over, Strict):
        return lay_over(base, over)
    if isinstance(base, dict) and isinstance(over, dict):
        return base | {key: _laid(base.get(key), value) for key, value in over.items()}
    return over


def is_local_url(base_url: str) -> bool:
    """Say whether a base URL leads to this machine or the user's own network; what is no URL does not."""
    host = _host_and_port(base_url)[0]
    if _is_loopback(host) or host.endswith((".local", ".lan", ".internal")):
        return True
    try:
        return ip_address(host).is_private
    except ValueError:
        return False


def looks_bridged(base_url: str, has_key: bool) -> bool:
    """Say whether a base URL looks like a bridge on this machine to a subscription elsewhere.

    Such a bridge listens on loopback, needs no key because it holds a login, and on none of the ports by which model
    servers are known. It is not local (its limits and outages are the subscription's) and costs nothing by request.
    """
    host, port = _host_and_port(base_url)
    return not has_key and _is_loopback(host) and port not in _SERVER_PORTS


def _host_and_port(base_url: str) -> tuple[str, int | None]:
    try:
        url = urlsplit(base_url if "//" in base_url else f"//{base_url}")
        return (url.hostname or "").rstrip("."), url.port
    except ValueError:
        return "", None


def _is_loopback(host: str) -> bool:
    if host == "localhost" or host.endswith(".localhost"):
        return True
    try:
        address = ip_address(host)
    except ValueError:
        return False
    return address.is_loopback or address.is_unspecified


_SERVER_PORTS = frozenset(_host_and_port(e.settings.base_url or "")[1] for e in CATALOGUE.values() if e.settings.local)
