import pytest

from sidecar.core.refusals.families import GATEWAYS, families_of, families_of_text


@pytest.mark.parametrize(
    ("name", "families"),
    [
        ("anthropic", ("anthropic",)),
        ("google-vertex", ("google",)),
        ("amazon-bedrock", ("bedrock",)),
        ("zai-coding-plan", ("zai",)),
        ("Z.AI", ("zai",)),
        ("z-ai", ("zai",)),
        ("moonshotai-cn", ("moonshot",)),
        ("my-openai-proxy", ("openai",)),
        ("openai-compatible", ()),
        ("claude-code-router", ("gateway",)),
        ("openrouter", ("openrouter",)),
        ("groq", ("groq",)),
        ("grok", ("xai",)),
        ("somebody", ()),
        ("", ()),
        (None, ()),
    ],
)
def test_a_provider_id_names_its_family(name: str | None, families: tuple[str, ...]) -> None:
    assert families_of(name) == families


def test_addresses_tell_whose_error_a_gateway_relays() -> None:
    assert families_of_text("see https://ai.google.dev/gemini-api/docs/rate-limits") == ("google",)
    assert families_of_text("see https://help.aliyun.com/x") == ("alibaba",)
    assert families_of_text("google it") == ()


def test_gateways_are_families() -> None:
    assert {*families_of("vercel"), *families_of("litellm"), *families_of("helicone")} <= GATEWAYS
