"""The catalogue: well-formed entries, and the user's words over them, field by field."""

from urllib.parse import urlsplit

import pytest

from sidecar.config.catalogue import (
    CATALOGUE,
    TIER_MODELS,
    Entry,
    is_local_url,
    lay_over,
    looks_bridged,
    settings_for,
    tier_models,
)
from sidecar.config.models import Billing, Limits, ModelSettings, PlanWindow, ProviderSettings, Tier
from sidecar.core.names.models import guess_tier

EVERYBODY_EXPECTS = """
    anthropic openai openrouter google groq mistral nvidia chutes cerebras cloudflare-workers-ai cloudflare-ai-gateway
    togetherai deepseek xai github-copilot opencode opencode-go helicone ollama lmstudio llama.cpp vllm"""


@pytest.mark.parametrize("provider", EVERYBODY_EXPECTS.split())
def test_well_known_providers_are_in_it(provider: str) -> None:
    assert provider in CATALOGUE


@pytest.mark.parametrize("entry", CATALOGUE.values(), ids=CATALOGUE)
def test_an_entry_is_complete(entry: Entry) -> None:
    settings = entry.settings
    assert entry.name
    assert settings.billing is not None
    assert settings.local is not None
    assert settings.key_env or settings.local
    assert all(key.isupper() and key.isascii() for key in settings.key_env or [])
    if settings.base_url is not None:
        assert urlsplit(settings.base_url).scheme == ("http" if settings.local else "https")
        assert is_local_url(settings.base_url) == settings.local
        assert not settings.base_url.endswith("/")


@pytest.mark.parametrize("entry", CATALOGUE.values(), ids=CATALOGUE)
def test_no_limit_of_the_catalogue_is_enforced(entry: Entry) -> None:
    assert entry.settings.limits == Limits()
    assert not entry.settings.models


@pytest.mark.parametrize("entry", CATALOGUE.values(), ids=CATALOGUE)
def test_a_documented_limit_says_for_whom(entry: Entry) -> None:
    assert (entry.documented_limits is None) == (entry.documented_for == "")
    assert entry.documented_limits != Limits()


@pytest.mark.parametrize(
    ("provider", "billing", "local"),
    [
        ("anthropic", Billing.METERED, False),
        ("github-copilot", Billing.SUBSCRIPTION, False),
        ("opencode-go", Billing.SUBSCRIPTION, False),
        ("opencode", Billing.METERED, False),
        ("nvidia", Billing.FREE, False),
        ("ollama", Billing.FREE, True),
        ("nobody-knows", None, None),
    ],
)
def test_settings_without_a_word_of_the_user(provider: str, billing: Billing | None, local: bool | None) -> None:
    for settings in (settings_for(provider, None), settings_for(provider, ProviderSettings())):
        assert (settings.billing, settings.local) == (billing, local)


def test_local_servers_get_time_to_load() -> None:
    assert settings_for("ollama", None).first_token_timeout == 300
    assert settings_for("ollama", ProviderSettings(first_token_timeout=20)).first_token_timeout == 20
    assert settings_for("openai", None).first_token_timeout is None


def test_the_user_overrides_field_by_field() -> None:
    user = ProviderSettings.model_validate({"billing": "subscription", "limits": {"rpm": 7}, "priority": 1})
    settings = settings_for("anthropic", user)
    assert settings.billing is Billing.SUBSCRIPTION
    assert settings.limits == Limits(rpm=7)
    assert settings.priority == 1
    assert settings.key_env == ["ANTHROPIC_API_KEY"]
    assert settings.base_url == "https://api.anthropic.com/v1"


def test_a_field_written_with_its_default_counts_as_written() -> None:
    settings = settings_for("nvidia", ProviderSettings.model_validate({"billing": None, "key_env": []}))
    assert settings.billing is None
    assert settings.key_env == []


def test_the_catalogue_itself_never_changes() -> None:
    before = settings_for("groq", None).model_copy(deep=True)
    settings_for("groq", ProviderSettings(priority=3, models={"m": ModelSettings()}))
    assert settings_for("groq", None) == before


def test_settings_within_settings_are_laid_over_field_by_field() -> None:
    base = ProviderSettings(
        limits=Limits(rpm=10, rpd=100, plan=PlanWindow(requests=5)),
        models={"a": ModelSettings(tier=Tier.FAST, limits=Limits(tpm=1)), "b": ModelSettings(priority=4)},
    )
    over = ProviderSettings.model_validate(
        {
            "limits": {"rpm": 0, "plan": {"length": "1h"}},
            "models": {"a": {"limits": {"rpm": 2}}, "c": {"enabled": False}},
        }
    )
    assert lay_over(base, over) == ProviderSettings(
        limits=Limits(rpm=0, rpd=100, plan=PlanWindow(length=3600, requests=5)),
        models={
            "a": ModelSettings(tier=Tier.FAST, limits=Limits(tpm=1, rpm=2)),
            "b": ModelSettings(priority=4),
            "c": ModelSettings(enabled=False),
        },
    )


def test_nothing_laid_over_changes_nothing() -> None:
    base = settings_for("openrouter", None)
    assert lay_over(base, ProviderSettings()) == base


@pytest.mark.parametrize(
    ("url", "local", "bridged"),
    [
        ("http://127.0.0.1:3456/v1", True, True),
        ("http://localhost:8317", True, True),
        ("http://localhost/v1", True, True),
        ("http://api.localhost:4000", True, True),
        ("http://LOCALHOST.:4000", True, True),
        ("http://[::1]:3456", True, True),
        ("http://127.8.9.10:3456", True, True),
        ("http://0.0.0.0:3456", True, True),
        ("127.0.0.1:3456/v1", True, True),
        ("http://127.0.0.1:11434/v1", True, False),
        ("http://localhost:1234/v1", True, False),
        ("http://[::1]:8080", True, False),
        ("http://192.168.1.20:3456/v1", True, False),
        ("http://10.0.0.7", True, False),
        ("http://[fd00::1]:8000", True, False),
        ("http://workstation.local:3456", True, False),
        ("http://host.docker.internal:3456", True, False),
        ("https://api.anthropic.com/v1", False, False),
        ("https://8.8.8.8/v1", False, False),
        ("https://localhost.example.com", False, False),
        ("https://127.0.0.1.example.com", False, False),
        ("https://example.com/http://127.0.0.1", False, False),
        ("https://user:127.0.0.1@example.com", False, False),
        ("https://${HOST}/v1", False, False),
        ("http://[::1", False, False),
        ("http://127.0.0.1:port", False, False),
        ("", False, False),
    ],
)
def test_where_a_base_url_leads(url: str, local: bool, bridged: bool) -> None:
    assert is_local_url(url) == local
    assert looks_bridged(url, False) == bridged
    assert not looks_bridged(url, True)


@pytest.mark.parametrize(
    ("provider", "user", "local", "billing"),
    [
        ("anthropic", {"base_url": "http://127.0.0.1:3456"}, False, Billing.SUBSCRIPTION),
        ("my-bridge", {"base_url": "http://localhost:8317/v1"}, False, Billing.SUBSCRIPTION),
        ("my-bridge", {"base_url": "http://localhost:8317/v1", "key_env": []}, False, Billing.SUBSCRIPTION),
        ("my-bridge", {"base_url": "http://localhost:8317/v1", "billing": "metered"}, False, Billing.METERED),
        ("my-gateway", {"base_url": "http://localhost:8317/v1", "key_env": ["MY_KEY"]}, None, None),
        ("my-server", {"base_url": "http://localhost:8000/v1"}, True, Billing.FREE),
        ("my-server", {"base_url": "http://192.168.1.20:9000"}, True, Billing.FREE),
        ("my-server", {"base_url": "http://192.168.1.20:9000", "local": False}, False, Billing.FREE),
        ("my-cloud", {"base_url": "https://models.example.com"}, None, None),
        ("ollama", {"base_url": "http://127.0.0.1:5555/v1"}, True, Billing.FREE),
        ("openai", {"base_url": "https://gateway.example.com/v1"}, False, Billing.METERED),
        ("openai", {"base_url": None}, False, Billing.METERED),
    ],
)
def test_a_base_url_of_the_users_own_says_what_the_provider_is(
    provider: str, user: dict[str, object], local: bool | None, billing: Billing | None
) -> None:
    settings = settings_for(provider, ProviderSettings.model_validate(user))
    assert (settings.local, settings.billing) == (local, billing)
    assert settings.base_url == user["base_url"]


def test_the_models_asked_for_by_tier_belong_to_known_providers_and_their_names_agree() -> None:
    assert set(TIER_MODELS) <= set(CATALOGUE)
    for provider, models in TIER_MODELS.items():
        assert models
        assert dict(tier_models(provider)) == dict(models)
        assert all(guess_tier(model) == tier for model, tier in models.items()), provider
    assert tier_models("nobody") == {}
