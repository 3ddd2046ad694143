"""Names: every provider's spelling of one model has one key, and no two models share one."""

import string
import time
from itertools import combinations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sidecar.config.models import Tier
from sidecar.core.names.models import guess_tier, normalise, same_model

# Each line is one model as providers spell it; no two lines are the same model.
MODELS = {
    "claude-sonnet-4-5": """
        claude-sonnet-4-5 claude-sonnet-4.5 claude-sonnet-4-5-20250929 claude-sonnet-4-5@20250929 claude-4.5-sonnet
        anthropic/claude-sonnet-4.5 us.anthropic.claude-sonnet-4-5-20250929-v1:0 claude-sonnet-4-5@eu
        global.anthropic.claude-sonnet-4-5-20250929-v1:0 anthropic--claude-4.5-sonnet anthropic-claude-4.5-sonnet
        duo-chat-sonnet-4-5 databricks-claude-sonnet-4-5 ~anthropic/claude-sonnet-4-5 CLAUDE-SONNET-4.5
        arn:aws:bedrock:us-east-1:1:inference-profile/us.anthropic.claude-sonnet-4-5-20250929-v1:0
        publishers/anthropic/models/claude-sonnet-4-5@default claude-sonnet-4-5-latest claude-sonnet4-5""",
    "claude-sonnet-4": "claude-sonnet-4 claude-sonnet-4-0 claude-4.0-sonnet claude-sonnet-4-20250514 claude-4-sonnet",
    "claude-sonnet-4-5-thinking": "claude-sonnet-4.5:thinking claude-sonnet-4-5-20250929-thinking "
    "claude-sonnet-4-5-think",
    "claude-opus-4-1": "claude-opus-4.1 anthropic.claude-opus-4-1-20250805-v1:0",
    "claude-opus-4-6": "claude-opus-4-6 global.anthropic.claude-opus-4-6-v1 claude-opus-4-6@default",
    "claude-opus-4-8-fast": "claude-opus-4.8-fast claude-opus-4-8-fast",
    "claude-haiku-3": "claude-3-haiku claude-3-haiku-20240307 claude-haiku-3",
    "claude-haiku-3-5": "claude-3.5-haiku claude-3-5-haiku-20241022 claude-3-5-haiku-latest",
    "claude-sonnet-3-5": "claude-3.5-sonnet claude-3-5-sonnet-20241022 claude-3.5-sonnet-v2 claude-3.5-sonnet:beta "
    "anthropic.claude-3-5-sonnet-20241022-v2:0",
    "claude-sonnet-3-5-20240620": "claude-3-5-sonnet-20240620 claude-sonnet-3.5-june "
    "anthropic.claude-3-5-sonnet-20240620-v1:0",
    "claude-sonnet-latest": "~anthropic/claude-sonnet-latest claude-sonnet-latest",
    "gpt-4": "gpt-4 openai/gpt-4",
    "gpt-4-0613": "gpt-4-0613",
    "gpt-4-32k": "gpt-4-32k",
    "gpt-4-turbo": "gpt-4-turbo gpt-4-turbo-2024-04-09 openai/gpt-4-turbo",
    "gpt-4-1": "gpt-4.1 gpt-4-1 gpt-4.1-2025-04-14 openai-gpt-4.1 gpt-4.1@eu",
    "gpt-4-1-mini": "gpt-4.1-mini gpt-4.1-mini-2025-04-14",
    "gpt-4o": "gpt-4o gpt-4o-2024-08-06 azure/gpt-4o",
    "gpt-4o-2024-11-20": "gpt-4o-2024-11-20 openai-gpt-4o-2024-11-20",
    "gpt-4o-2024-05-13": "gpt-4o-2024-05-13",
    "chatgpt-4o-latest": "chatgpt-4o-latest openai/chatgpt-4o-latest",
    "gpt-4o-mini": "gpt-4o-mini gpt-4o-mini-2024-07-18",
    "gpt-3-5-turbo": "gpt-3.5-turbo gpt-35-turbo",
    "gpt-3-5-turbo-instruct": "gpt-3.5-turbo-instruct",
    "gpt-3-5-turbo-16k": "gpt-3.5-turbo-16k",
    "gpt-5": "gpt-5 gpt-5-2025-08-07 databricks-gpt-5",
    "gpt-5-fast": "gpt-5-fast",
    "gpt-5-chat": "gpt-5-chat gpt-5-chat-latest",
    "gpt-5-codex": "gpt-5-codex duo-chat-gpt-5-codex",
    "gpt-5-pro": "gpt-5-pro",
    "gpt-5-2": "gpt-5.2 openai-gpt-52 gpt-5-2",
    "gpt-5-6-luna": "gpt-5.6-luna in.openai.gpt-5.6-luna openai-gpt-56-luna",
    "gpt-oss-120b": "gpt-oss-120b gpt-oss:120b gpt-oss:120b-cloud openai.gpt-oss-120b-1:0 openai/gpt-oss-120b:free "
    "us-gov.openai.gpt-oss-120b-1:0 @cf/openai/gpt-oss-120b openai/gpt-oss-120b:exacto gpt-oss-120b-maas",
    "gpt-oss-20b": "gpt-oss-20b gpt-oss:20b",
    "gpt-oss-safeguard-20b": "gpt-oss-safeguard-20b",
    "o1": "o1 o1-2024-12-17 openai-o1",
    "o1-mini": "o1-mini",
    "o1-preview": "o1-preview",
    "o3": "o3 openai/o3",
    "o3-mini": "o3-mini o3-mini-2025-01-31",
    "o3-mini-high": "o3-mini-high",
    "gemini-2-5-pro": "gemini-2.5-pro models/gemini-2.5-pro google/gemini-2.5-pro@eu",
    "gemini-2-5-pro-preview-05-06": "gemini-2.5-pro-preview-05-06",
    "gemini-2-5-pro-preview-06-05": "gemini-2.5-pro-preview-06-05",
    "gemini-2-5-flash": "gemini-2.5-flash gemini-2-5-flash",
    "gemini-2-5-flash-lite": "gemini-2.5-flash-lite",
    "gemini-2-5-flash-nothinking": "gemini-2.5-flash-nothink gemini-2.5-flash-no-thinking",
    "gemini-2-flash": "gemini-2.0-flash gemini-2.0-flash-001",
    "gemini-3-pro": "gemini-3-pro gemini-3-pro-preview google/gemini-3.0-pro-preview",
    "gemini-3-flash": "gemini-3-flash-preview gemini-3-flash",
    "gemini-3-1-pro": "gemini-3.1-pro-preview gemini-3.1-pro",
    "gemini-3-1-pro-preview-customtools": "gemini-3.1-pro-preview-customtools",
    "gemini-3-1-flash-lite": "gemini-3.1-flash-lite",
    "gemini-3-1-flash-lite-preview": "gemini-3.1-flash-lite-preview",
    "gemini-flash-latest": "gemini-flash-latest ~google/gemini-flash-latest",
    "llama-3-1-8b": "llama-3.1-8b-instruct llama3.1:8b llama3.1-8b Meta-Llama-3.1-8B-Instruct-Turbo "
    "llama-3.1-8b-instant @cf/meta/llama-3.1-8b-instruct-fp8 accounts/fireworks/models/llama-v3p1-8b-instruct "
    "us.meta.llama3-1-8b-instruct-v1:0 llama3.1:8b-instruct-q4_K_M hf.co/x/Llama-3.1-8B-Instruct-GGUF:Q4_K_M",
    "llama-3-1-70b": "llama-3.1-70b-instruct meta-llama/Llama-3.1-70B-Instruct",
    "llama-3-1-405b": "Meta-Llama-3.1-405B-Instruct-Turbo",
    "llama-3-8b": "llama3-8b-instruct llama-3-8b-instruct",
    "llama-3-8b-base": "llama-3-8b-base",
    "llama-3-3-70b": "llama-3.3-70b-versatile @cf/meta/llama-3.3-70b-instruct-fp8-fast llama3.3:70b",
    "llama-3-3-70b-abliterated": "llama-3.3-70b-instruct-abliterated",
    "llama-3-2-11b-vision": "llama-3.2-11b-vision-instruct",
    "llama-4-scout": "llama-4-scout llama-4-scout-17b-16e-instruct meta.llama4-scout-17b-instruct-v1:0",
    "llama-4-maverick": "llama-4-maverick meta-llama/Llama-4-Maverick-17B-128E-Instruct-FP8",
    "qwen-3-32b": "qwen3-32b Qwen/Qwen3-32B-FP8 qwen-3-32b alibaba-qwen3-32b qwen.qwen3-32b-v1:0",
    "qwen-3-8b": "qwen3-8b qwen3:8b",
    "qwen-3-8-27b": "qwen3.8-27b qwen-3-8-27b Qwen/Qwen3.8-27B-TEE",
    "qwen-3-235b-a22b": "qwen3-235b-a22b qwen/qwen3-235b-a22b-fp8",
    "qwen-3-235b-2507": "qwen3-235b-a22b-2507 Qwen/Qwen3-235B-A22B-Instruct-2507-tput qwen3-235b-a22b-instruct-2507",
    "qwen-3-235b-thinking-2507": "Qwen/Qwen3-235B-A22B-Thinking-2507",
    "qwen-3-235b-a22b-instruct": "qwen3-235b-a22b-instruct",
    "qwen-3-coder-480b": "qwen3-coder-480b-a35b-instruct Qwen/Qwen3-Coder-480B-A35B-Instruct-FP8 "
    "qwen3-coder:480b-cloud",
    "qwen-3-coder-30b": "qwen3-coder:30b qwen3-coder-30b-a3b-instruct lmstudio-community/qwen3-coder-30b@q4_k_m",
    "qwen-3-next": "qwen3-next-80b-a3b-instruct qwen.qwen3-next-80b-a3b",
    "qwen-3-next-thinking": "qwen3-next-80b-a3b-thinking",
    "qwen-3-coder": "qwen3-coder qwen/qwen3-coder:free",
    "qwen-2-5-vl-7b": "qwen2.5vl:7b qwen2-5-vl-7b-instruct",
    "qwen-3-5-397b": "qwen3.5-397b-a17b qwen35-397b-a17b qwen3.5:397b",
    "qwen-3-8-2-4t": "qwen3.8-2.4t-a95b qwen3p8-2p4t-a95b qwen-3-8-2-4t-a95b",
    "qwen-max": "qwen-max",
    "qwen-max-2025-01-25": "qwen-max-2025-01-25",
    "qwen-max-latest": "qwen-max-latest",
    "qwen-turbo": "qwen-turbo",
    "deepseek-v3": "deepseek-v3 deepseek-ai/DeepSeek-V3",
    "deepseek-v3-0324": "deepseek-v3-0324 deepseek/deepseek-chat-v3-0324",
    "deepseek-v3-1": "deepseek-v3.1 deepseek-chat-v3.1 deepseek.v3-v1:0 accounts/fireworks/models/deepseek-v3p1",
    "deepseek-v3-1-terminus": "deepseek-v3.1-terminus",
    "deepseek-v3-2": "deepseek-v3.2 deepseek-3.2 deepseek.v3.2 deepseek-v3.2-maas",
    "deepseek-v3-2-exp": "deepseek-v3.2-exp deepseek-v3-2-exp",
    "deepseek-v4-flash": "deepseek-v4-flash deepseek-4-flash",
    "deepseek-v4-flash-0731": "deepseek-v4-flash:0731 deepseek-v4-flash-0731-284b",
    "deepseek-r1": "deepseek-r1 us.deepseek.r1-v1:0",
    "deepseek-r1-0528": "deepseek-r1-0528",
    "deepseek-r1-distill-llama-70b": "deepseek-r1-distill-llama-70b",
    "deepseek-r1-70b": "deepseek-r1:70b",
    "deepseek-chat": "deepseek-chat",
    "kimi-k2": "kimi-k2 moonshotai/kimi-k2:free",
    "kimi-k2-0905": "kimi-k2-0905-preview moonshotai/kimi-k2-instruct-0905 kimi-k2-0905",
    "kimi-k2-0711": "kimi-k2-0711-preview moonshotai/Kimi-K2-Instruct-0711",
    "kimi-k2-5": "kimi-k2.5 accounts/fireworks/models/kimi-k2p5 moonshotai.kimi-k2.5 kimi-k2_5",
    "kimi-k3": "kimi-k3 k3 moonshotai/Kimi-K3-TEE",
    "kimi-k2-thinking": "kimi-k2-thinking moonshot.kimi-k2-thinking",
    "kimi-k2-thinking-turbo": "kimi-k2-thinking-turbo",
    "glm-4-6": "glm-4.6 zai-org/GLM-4.6 accounts/fireworks/models/glm-4p6 zai-glm-4.6 glm-4.6:cloud zai-org-glm-4.6",
    "glm-4-6v": "glm-4.6v",
    "glm-4-5": "glm-4.5 zai-org/GLM-4.5-FP8",
    "glm-4-5-air": "glm-4.5-air z-ai/glm-4.5-air:free",
    "glm-5-turbo": "glm-5-turbo",
    "glm-5": "glm-5 glm-5-free",
    "glm-5-3": "glm5.3-754b glm-5p3 glm-5.3",
    "glm-5-3-flash": "glm-5.3-flash-fp4 glm5.3-flash",
    "glm-5-3-fast": "glm-5.3-fast glm-5.3:fast",
    "grok-4": "grok-4 grok-4-0709 x-ai/grok-4",
    "grok-4-fast": "grok-4-fast",
    "grok-4-fast-non-reasoning": "grok-4-fast-non-reasoning",
    "grok-4-fast-reasoning": "grok-4-fast-reasoning",
    "grok-4-20-reasoning": "grok-4.20-0309-reasoning grok-4-20-reasoning",
    "grok-4-2-beta": "grok-4.2-beta",
    "grok-code-fast-1": "grok-code-fast-1 grok-code",
    "minimax-m2": "minimax-m2 MiniMaxAI/MiniMax-M2 minimax.minimax-m2",
    "minimax-m2-5": "minimax-m2.5 minimax-m25",
    "mistral-large-3": "mistral-large-2512 mistral-large-3 mistralai/mistral-large-3-675b-instruct-2512 "
    "mistral.mistral-large-3-675b-instruct",
    "mistral-large-latest": "mistral-large-latest",
    "mistral-large-2407": "mistral-large-2407",
    "mistral-medium-3": "mistral-medium-2505 mistral-medium-3 mistralai/mistral-medium-3-instruct",
    "mistral-medium-3-1": "mistral-medium-2508 mistral-medium-3.1",
    "mistral-medium-3-5": "mistral-medium-2604 mistral-medium-3.5-128b",
    "mistral-large-2-1": "mistral-large-2411 mistralai/Mistral-Large-Instruct-2411",
    "mistral-small-3": "mistral-small-2501 mistral-small-24b-instruct-2501",
    "mistral-small-3-1": "mistral-small-2503 mistral-small-3-1-24b-instruct-2503 mistral-small-3.1-24b-instruct",
    "mistral-small-4": "mistral-small-2603 mistral-small-4-119b mistralai/mistral-small-4-119b-2603",
    "ministral-3-3b": "ministral-3b-2512 mistralai/Ministral-3-3B-Instruct-2512",
    "ministral-3-8b": "ministral-8b-2512 mistralai/Ministral-3-8B-Instruct-2512",
    "ministral-3-14b": "ministral-14b-2512 mistral.ministral-3-14b-instruct ministral-3-14b-instruct-2512",
    "ministral-8b": "ministral-8b",
    "devstral-small-2": "devstral-small-2 devstral-small-2512 labs-devstral-small-2512",
    "mistral-small-3-2": "mistral-small-2506 mistral-small-3.2-24b-instruct-2506 mistral-small3.2:24b",
    "mistral-nemo": "mistral-nemo open-mistral-nemo mistral-nemo-12b-instruct unsloth/Mistral-Nemo-Instruct-2407-TEE",
    "mistral-nemotron": "mistralai/mistral-nemotron",
    "devstral-2": "devstral-2512 devstral-2-123b-instruct-2512 mistral.devstral-2-123b",
    "devstral-small-2507": "devstral-small-2507",
    "devstral-small-2505": "devstral-small-2505",
    "nemotron-3-super": "nemotron-3-super nvidia/nemotron-3-super-120b-a12b:free nvidia.nemotron-super-3-120b "
    "@cf/nvidia/nemotron-3-120b-a12b",
    "nemotron-3-ultra": "nemotron-3-ultra-free nvidia/NVIDIA-Nemotron-3-Ultra-550B-A55B-BF16",
    "nemotron-3-5-lightning": "nemotron-3_5-lightning nemotron-lightning-3p5-30b-a3b",
    "nemotron-3-nano-30b": "nemotron-3-nano:30b nvidia.nemotron-nano-3-30b",
    "gemma-3-27b": "gemma-3-27b-it gemma3:27b google-gemma-3-27b-it",
    "gemma-3-4b-pt": "gemma-3-4b-pt",
    "gemma-3n-e4b": "google/gemma-3n-E4B-it",
    "nova-lite": "amazon.nova-lite-v1:0 nova-lite-v1 us.amazon.nova-lite-v1:0 amazon--nova-lite",
    "nova-2-lite": "amazon.nova-2-lite-v1:0 nova-2-lite-v1",
    "titan-embed-text-v2": "amazon.titan-embed-text-v2:0",
    "command-r-plus": "command-r+ command-r-plus",
    "command-r": "command-r",
    "command-r-08-2024": "command-r-08-2024",
    "command-a": "command-a cohere/command-a-03-2025 cohere-command-a",
    "phi-4-mini": "phi-4-mini microsoft/phi-4-mini-instruct",
    "seed-2-pro": "doubao-seed-2-0-pro bytedance/seed-2.0-pro",
    "mimo-v2-5": "xiaomi-mimo-v2.5-free mimo-v25 XiaomiMiMo/MiMo-V2.5",
}
SPELLINGS = [(key, spelling) for key, text in MODELS.items() for spelling in text.split()]
WORDS = """
    claude sonnet opus gpt openai anthropic us eu qwen qwen3 llama v3 deepseek chat nemotron super kimi mistral instruct
    it fp8 turbo fast free latest preview think no thinking 8b a3b 120b e4b 4 5 0 2507 0905 2024 01 1p5 q4 k m vl opus4
    grok 0709 minimax m25 20250929 v1 databricks duo-chat auto gemini 001 gguf cloud 25 base code-fast o1 seed doubao"""
IDS = st.one_of(
    st.sampled_from([spelling for _, spelling in SPELLINGS]),
    st.builds(
        lambda words, glue: glue.join(words),
        st.lists(st.sampled_from(WORDS.split()), max_size=14),
        st.sampled_from("-._/:@"),
    ),
    st.text(max_size=30),
)


@pytest.mark.parametrize(("key", "spelling"), SPELLINGS)
def test_every_spelling_of_a_model_has_its_key(key: str, spelling: str) -> None:
    assert normalise(spelling) == key
    assert same_model(spelling, key)


def test_no_two_models_share_a_key() -> None:
    assert len(MODELS) == len({normalise(text.split()[0]) for text in MODELS.values()})
    assert not any(same_model(a, b) for a, b in combinations(MODELS, 2))


@pytest.mark.parametrize(
    ("a", "b"),
    [
        ("openrouter/auto", "kilo-auto/auto"),
        ("openrouter/free", "openrouter/free"),
        ("auto", "auto"),
        ("large:free", "large:free"),
        ("", ""),
        ("anthropic/", "anthropic/"),
    ],
)
def test_a_router_or_class_is_never_the_same_model(a: str, b: str) -> None:
    assert not same_model(a, b)


def test_a_router_keeps_its_vendor() -> None:
    assert normalise("OpenRouter/Auto") == "openrouter/auto"


def test_a_users_own_alias_is_a_name() -> None:
    assert same_model("m1", "m1")


def test_what_has_no_words_is_given_back() -> None:
    assert normalise("a/--") == "a/--"


@given(IDS)
@settings(max_examples=200)
def test_a_key_is_its_own_key(model_id: str) -> None:
    key = normalise(model_id)
    assert normalise(key) == key


@given(IDS.filter(str.isascii))
@settings(max_examples=100)
def test_letter_case_does_not_matter(model_id: str) -> None:
    assert normalise(model_id.upper()) == normalise(model_id.lower()) == normalise(f" {model_id}\n")


@given(
    st.sampled_from([spelling for _, spelling in SPELLINGS]),
    st.sampled_from(
        ["anthropic/", "accounts/fireworks/models/", "@cf/meta/", "models/", "hf:org/", "~openai/", "Pro/x/"]
    ),
)
@settings(max_examples=100)
def test_where_it_is_hosted_does_not_matter(model_id: str, path: str) -> None:
    assert normalise(path + model_id) == normalise(model_id)


@given(st.text(alphabet=string.ascii_letters + string.digits + "-./:@", min_size=201, max_size=400))
@settings(max_examples=50)
def test_a_very_long_id_is_given_back(model_id: str) -> None:
    assert normalise(model_id) == model_id.lower()


@pytest.mark.parametrize("part", ["-fp8", "8b-", "openai-", "-0", "1p", "q4-k-", "kimi-instruct-", "a", "-1", "/", ":"])
def test_long_ids_cost_no_more_than_their_length(part: str) -> None:
    begin = time.perf_counter()
    normalise(("x" + part * 200)[:200])
    normalise(part * 500_000)
    assert time.perf_counter() - begin < 1


@pytest.mark.parametrize(
    ("model_id", "tier"),
    [
        ("claude-haiku-4-5", Tier.FAST),
        ("anthropic/claude-3.5-haiku", Tier.FAST),
        ("gpt-5-mini", Tier.FAST),
        ("gpt-4.1-nano", Tier.FAST),
        ("gpt-3.5-turbo", Tier.FAST),
        ("gpt-5.3-codex-spark", Tier.FAST),
        ("gemini-2.5-flash-lite", Tier.FAST),
        ("gemini-2.5-flash-preview-09-2025-thinking", Tier.FAST),
        ("grok-4-fast-reasoning", Tier.FAST),
        ("llama3.1:8b", Tier.FAST),
        ("google/gemma-3n-e4b-it", Tier.FAST),
        ("qwen3-30b-a3b-thinking-2507", Tier.FAST),
        ("mistral-nemo", Tier.FAST),
        ("claude-sonnet-4-5", Tier.MEDIUM),
        ("gpt-4o", Tier.MEDIUM),
        ("gpt-4.1", Tier.MEDIUM),
        ("o4-mini", Tier.MEDIUM),
        ("gpt-5.6-terra", Tier.MEDIUM),
        ("kimi-k2.6", Tier.MEDIUM),
        ("minimax-m2.5", Tier.MEDIUM),
        ("glm-4.6", Tier.MEDIUM),
        ("llama-3.3-70b-versatile", Tier.MEDIUM),
        ("mixtral-8x22b-instruct", Tier.MEDIUM),
        ("gpt-oss-120b", Tier.MEDIUM),
        ("grok-3", Tier.MEDIUM),
        ("big-pickle", Tier.MEDIUM),
        ("claude-opus-4.5", Tier.LARGE),
        ("gpt-5.2-codex", Tier.LARGE),
        ("gemini-2.5-pro", Tier.LARGE),
        ("grok-4.20-0309-non-reasoning", Tier.LARGE),
        ("mistral-large-2512", Tier.LARGE),
        ("llama-3.1-405b-instruct", Tier.LARGE),
        ("inclusionai/ling-1t", Tier.LARGE),
        ("o3", Tier.REASONING),
        ("o1-pro", Tier.REASONING),
        ("gpt-5-pro", Tier.REASONING),
        ("deepseek-r1-0528", Tier.REASONING),
        ("deepseek-reasoner", Tier.REASONING),
        ("kimi-k2-thinking", Tier.REASONING),
        ("qwq-32b", Tier.REASONING),
        ("claude-sonnet-4.5:thinking", Tier.REASONING),
    ],
)
def test_the_tier_comes_from_the_name(model_id: str, tier: Tier) -> None:
    assert guess_tier(model_id) is tier
    assert guess_tier(model_id, output_cost=0.0) is tier


@pytest.mark.parametrize(
    ("cost", "tier"),
    [(0.5, Tier.FAST), (3, Tier.FAST), (15, Tier.MEDIUM), (25, Tier.LARGE), (180, Tier.REASONING)],
)
def test_the_tier_of_an_unknown_name_comes_from_the_price(cost: float, tier: Tier) -> None:
    assert guess_tier("somebody/ember-1", output_cost=cost) is tier


def test_a_known_name_beats_the_price() -> None:
    assert guess_tier("claude-haiku-4-5", output_cost=500) is Tier.FAST


@pytest.mark.parametrize("model_id", ["kimi-k2-thinking", "gpt-5-pro"])
def test_what_cannot_reason_is_in_no_reasoning_tier(model_id: str) -> None:
    assert guess_tier(model_id, reasoning=False) is Tier.LARGE
    assert guess_tier(model_id, reasoning=True) is Tier.REASONING


def test_being_able_to_reason_is_no_sign_of_strength() -> None:
    assert guess_tier("somebody/ember-1", reasoning=True) is guess_tier("somebody/ember-1") is Tier.MEDIUM


@given(IDS, st.sampled_from([None, True, False]), st.none() | st.floats(min_value=0, max_value=1e4))
@settings(max_examples=100)
def test_every_id_has_a_tier(model_id: str, reasoning: bool | None, cost: float | None) -> None:
    assert guess_tier(model_id, reasoning=reasoning, output_cost=cost) in Tier
