"""Redaction: every shape of key goes, everything people need to read stays."""

import random
import string
import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sidecar.redact import MASK, redact, redact_id, redact_name, redact_value

BODY = "Zq7Rk2Vx9Lm4Tn8Wp3Yb6Hd1"
JWT = "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0NTY3ODkwIn0.dozjgNryP4J3jVmNHl0w5N_XgL0n3I9PlFUP0THsR8U"
KEYS = {
    "openai": f"sk-proj-{BODY}",
    "anthropic": f"sk-ant-api03-{BODY}-AA",
    "openrouter": f"sk-or-v1-{BODY}",
    "groq": f"gsk_{BODY}",
    "gemini": f"AIzaSy{BODY}",
    "xai": f"xai-{BODY}",
    "huggingface": f"hf_{BODY}",
    "perplexity": f"pplx-{BODY}",
    "nvidia": f"nvapi-{BODY}",
    "cerebras": f"csk-{BODY}",
    "replicate": f"r8_{BODY}",
    "fireworks": f"fw_{BODY}",
    "together": f"tgp_v1_{BODY}",
    "github": f"ghu_{BODY}",
    "github fine grained": f"github_pat_{BODY}",
    "gitlab": f"glpat-{BODY}",
    "slack": f"xoxb-{BODY}",
    "google oauth": f"ya29.{BODY}",
    "aws id": "AKIAIOSFODNN7EXAMPLE",
    "jwt": JWT,
    "32 hex digits": "9f86d081884c7d659a2feaa0c55ad015",
    "32 letters and digits": "aB3dE6gH9jK2mN5pQ8sT1vW4yZ7bC0eF",
    "base64 with slashes": "wJ9lrX4tnF3MI/K7MD2NG/bPx8fiCY5zA6pL1kQe",
    "base64url": "aB3-dE6_gH9-jK2_mN5-pQ8_sT1-vW4_yZ7-bC0",
}
FRAMES = ["{}", "bad key {} given", '{{"k":"{}"}}', "['{}']", "https://host/path/{}", "\n{}\n", "key={}.", "({})"]


@pytest.mark.parametrize("frame", FRAMES)
@pytest.mark.parametrize("key", KEYS.values(), ids=KEYS)
def test_a_key_goes_wherever_it_stands(key: str, frame: str) -> None:
    text = redact(frame.format(key))
    assert key not in text
    assert MASK in text


@pytest.mark.parametrize(
    ("text", "secret"),
    [
        ("Authorization: Bearer abc123", "abc123"),
        ("authorization: Basic dXNlcjpwYXNz", "dXNlcjpwYXNz"),
        ("'authorization', 'Bearer tiny1'", "tiny1"),
        ("Authorization: Token short, other", "short"),
        ("Authorization: AWS4-HMAC-SHA256 Credential=X/us, SignedHeaders=host, Signature=f00d", "f00d"),
        ("x-api-key: tiny", "tiny"),
        ("X-Goog-Api-Key=tiny", "tiny"),
        ('{"api_key": "tiny"}', "tiny"),
        (r"{\"apiKey\":\"tiny\"}", "tiny"),
        ("password=hunter2", "hunter2"),
        ("client_secret: hunter2", "hunter2"),
        ("aws_secret_access_key = wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY", "wJalrXUtnFEMI"),
        ("Set-Cookie: sid=abc; token=def", "abc"),
        ("sent Bearer abcdef1", "abcdef1"),
        ("https://user:pw@host/x", "pw"),
        ("https://host/x?key=tiny&y=1", "tiny"),
        ("https://host/x?y=1&access_token=tiny", "tiny"),
        ("https://host/x?X-Amz-Signature=tiny", "tiny"),
        ("https://hooks.slack.com/services/T0/B0/xyz", "xyz"),
        ("https://discord.com/api/webhooks/1/xyz", "xyz"),
        ("-----BEGIN RSA PRIVATE KEY-----\nMIIE\nab/+\n-----END RSA PRIVATE KEY-----", "MIIE"),
        ("-----BEGIN PRIVATE KEY-----\nMIIE", "MIIE"),
    ],
)
def test_what_is_named_like_a_key_goes_even_when_short(text: str, secret: str) -> None:
    assert secret in text
    assert secret not in redact(text)


def test_the_rest_of_the_text_stays() -> None:
    assert redact("Incorrect API key provided: sk-abcdefgh1234. See https://u:p@x.com/keys?key=1&a=2 now") == (
        f"Incorrect API key provided: {MASK}. See https://{MASK}@x.com/keys?key={MASK}&a=2 now"
    )


@pytest.mark.parametrize(
    "text",
    [
        "anthropic/claude-sonnet-4-5-20250929 -> openrouter/anthropic/claude-sonnet-4.5",
        "accounts/fireworks/models/llama-v3p1-405b-instruct-long-context-preview",
        "Qwen/Qwen3-Coder-480B-A35B-Instruct-FP8 at nvidia/NVIDIA-Nemotron-3-Nano-30B-A3B-BF16",
        "meta-llama/Llama-4-Maverick-17B-128E-Instruct-FP8-Original-Release",
        "session ses_4f2c8d1e2ffeXYZabcdefghijk message msg_b0d37e1d0001AbCdEfGhIjKlMn",
        "ses_4f2c8d1e2ffeXYZabcdefghijk/msg_b0d37e1d0001AbCdEfGhIjKlMn",
        "550e8400-e29b-41d4-a716-446655440000",
        "input tokens: 1200, max_tokens 4096, requests per minute 60, first_token_timeout",
        "/home/Someone/Projects/MyFirstApp2/node_modules/@scope/package/dist/index.js",
        "AnthropicVertexClaudeSonnetModelResponseHandlerFactory",
        "basic plan; the bearer of this",
        "resets at 2026-01-01T00:00:00+00:00, retry after 12.5 s",
        "https://api.anthropic.com/v1/messages?beta=true",
        "12345678901234567890123456789012345678901234567890",
        "",
    ],
)
def test_what_people_need_stays(text: str) -> None:
    assert redact(text) == text


@pytest.mark.parametrize("key", KEYS.values(), ids=KEYS)
def test_a_key_sent_as_a_name_becomes_a_mark_that_tells_it_from_others(key: str) -> None:
    mark = redact_name(key)
    assert key not in mark
    assert mark == redact_name(key) == redact_name(mark)
    assert mark != redact_name(f"{key}x")


def test_ids_of_any_editor_stay_but_keys_of_known_shapes_do_not() -> None:
    for identifier in ("ses_4f2c8d1e2ffeXYZabcdefghijk", "9f86d081884c7d659a2feaa0c55ad015", "1"):
        assert redact_id(identifier) == identifier
    assert KEYS["groq"] not in redact_id(KEYS["groq"])


def test_values_are_followed_and_masked_by_name() -> None:
    value = {
        "headers": {"Authorization": "x", "x-api-key": "y", "retry-after": "3", "token": ""},
        "list": [KEYS["groq"], 1, None, ("Bearer abcdef1",)],
        KEYS["xai"]: b"Bearer abcdef1",
        "count": 3,
    }
    assert redact_value(value) == {
        "headers": {"Authorization": MASK, "x-api-key": MASK, "retry-after": "3", "token": ""},
        "list": [MASK, 1, None, [f"Bearer {MASK}"]],
        MASK: f"Bearer {MASK}",
        "count": 3,
    }


def test_values_too_deep_are_masked_whole() -> None:
    deep: object = "x"
    for _ in range(50):
        deep = [deep]
    assert MASK in str(redact_value(deep))


@given(st.text(max_size=300))
@settings(max_examples=150)
def test_redacting_twice_changes_nothing_more(text: str) -> None:
    once = redact(text)
    assert redact(once) == once


def test_random_keys_of_any_kind_are_found() -> None:
    choose = random.Random(7)  # noqa: S311 - repeatable, and no key is made to be used
    letters = string.ascii_letters + string.digits + "+/"
    missed = sum(
        MASK not in redact("the key " + "".join(choose.choices(letters, k=48)) + " was refused") for _ in range(500)
    )
    assert missed <= 5


@pytest.mark.parametrize(
    "piece", ["a", "-----BEGIN PRIVATE KEY-----", "key=", "eyJaaaaa.", "x-", "://", "aA1", "\\", "'"]
)
def test_long_hostile_texts_take_no_time(piece: str) -> None:
    text = (piece * 65_536)[:65_536]
    started = time.process_time()
    redact(text)
    assert time.process_time() - started < 1
