"""The configuration `init` writes: one whole picture, and that it is valid whatever was found."""

import json
import re

from hypothesis import given
from hypothesis import strategies as st

from sidecar.config import jsonc
from sidecar.config.models import Billing, Config, Tier
from sidecar.discovery import Discovery, Found
from sidecar.report.starter import in_order, starter

MODELS = {"big": Tier.LARGE, "mid": Tier.MEDIUM, "tiny": Tier.FAST}
FOUND = Discovery(
    (
        Found("openai", "OpenAI", ("by the variable OPENAI_API_KEY",), models={"gpt-5.4-mini": Tier.FAST}),
        Found("ollama", "Ollama", ("in OpenCode's configuration",), Billing.FREE, local=True, models=MODELS),
        Found(
            "anthropic",
            "Anthropic",
            ("connected in an open OpenCode", "with a login"),
            Billing.SUBSCRIPTION,
            login=True,
            models={f"claude-{n}": Tier.MEDIUM for n in range(8)},
        ),
        Found("nvidia", "Nvidia", ("with a key OpenCode keeps",), Billing.FREE),
    ),
    chosen=("anthropic/claude-1", "gone/model"),
    sources=("opencode models", "/home/me/.config/opencode/opencode.json"),
)

PICTURE = """\
// Written by `rate-limit-sidecar init` on 2026-01-02, from: opencode models,
// /home/me/.config/opencode/opencode.json.
//
// Nothing in here is needed; it is where to begin when you want to say more. Lower `priority` is tried earlier:
// subscriptions (paid already), then what is free, then your own machines (weaker), then what is paid per
// token. Take away the // in front of what you want.
{
  "$schema": "file:///schema.json",
  "providers": {
    // -- subscriptions --
    // Anthropic: connected in an open OpenCode, with a login.
    "anthropic": {
      "priority": 10,
      "billing": "subscription",
      // Documented for the Start tier, each class of models by itself (new accounts may begin below it):
      //"limits": {"rpm": 1000},
      // Its models, with how strong they are taken to be. Of 8; all: rate-limit-sidecar providers anthropic
      //"models": {
        //"claude-0": { "tier": "medium" },
        //"claude-1": { "tier": "medium" },
        //"claude-2": { "tier": "medium" },
        //"claude-3": { "tier": "medium" },
        //"claude-4": { "tier": "medium" },
        //"claude-5": { "tier": "medium" },
      //},
    },
    // -- free --
    // Nvidia: with a key OpenCode keeps.
    "nvidia": {
      "priority": 20,
      // Documented for trial accounts, as their account page shows by default; single models can be slower:
      //"limits": {"rpm": 40},
    },
    // -- on your own machines --
    // Ollama: in OpenCode's configuration.
    "ollama": {
      "priority": 30,
      // Its models, with how strong they are taken to be.
      //"models": {
        //"big": { "tier": "large" },
        //"mid": { "tier": "medium" },
        //"tiny": { "tier": "fast" },
      //},
    },
    // -- paid per token --
    // OpenAI: by the variable OPENAI_API_KEY.
    "openai": {
      "priority": 40,
      //"billing": "subscription",  // if you use it with a plan: switching to it then needs no allowance
      //"limits": { "rpm": 0, "usd_per_day": 0 },
      // Its models, with how strong they are taken to be.
      //"models": {
        //"gpt-5.4-mini": { "tier": "fast" },
      //},
    },
  },

  // Without a chain a model of the same strength is found by itself. With one, only these stand in, in this
  // order, for example for anthropic/claude-1; the same model at other providers still comes before it:
  //"chains": {
    //"*": ["ollama/mid", "openai/gpt-5.4-mini"],
  //},

  // When nothing else is left:
  //"last_resort": "ollama/big",
}
"""


def read(text: str) -> Config:
    return Config.model_validate_json(json.dumps(jsonc.parse(text).value), strict=True)


def test_the_whole_picture() -> None:
    assert starter(FOUND, "2026-01-02", "file:///schema.json") == PICTURE
    assert [(id_, one.priority) for id_, one in read(PICTURE).providers.items()] == [
        ("anthropic", 10),
        ("nvidia", 20),
        ("ollama", 30),
        ("openai", 40),
    ]


def uncommented(text: str) -> str:
    """Take the // away from everything that is a setting, as the reader is told to."""
    return re.sub(r'^(\s*)//(?=["}\]])', r"\1", text, flags=re.MULTILINE)


def test_everything_that_is_a_setting_can_be_taken_out_of_its_comment() -> None:
    config = read(uncommented(PICTURE))
    assert config.chains == {"*": ["ollama/mid", "openai/gpt-5.4-mini"]}
    assert config.last_resort == "ollama/big"
    assert config.providers["anthropic"].models["claude-3"].tier is Tier.MEDIUM
    assert config.providers["anthropic"].limits.rpm == 1000


NAMES = st.text(min_size=1, max_size=12)
PROVIDERS = st.lists(
    st.builds(
        Found,
        st.sampled_from(["anthropic", "openai", "ollama", "groq", "zai-coding-plan"])
        | NAMES.filter(lambda n: "/" not in n),
        NAMES,
        st.lists(NAMES, max_size=2).map(tuple),
        st.sampled_from(Billing),
        local=st.booleans(),
        login=st.booleans(),
        models=st.dictionaries(NAMES, st.sampled_from(Tier), max_size=8),
    ),
    unique_by=lambda found: found.id,
    min_size=1,
    max_size=14,
)


@given(PROVIDERS, st.lists(NAMES, max_size=2).map(tuple))
def test_whatever_was_found_what_is_written_is_valid_and_complete(
    providers: list[Found], sources: tuple[str, ...]
) -> None:
    text = starter(Discovery(tuple(providers), (), sources), "2026-01-02", None)
    assert set(read(text).providers) == {found.id for found in providers}
    assert set(read(uncommented(text)).providers) == {found.id for found in providers}


@given(PROVIDERS)
def test_what_is_paid_already_comes_before_what_is_paid_per_token(providers: list[Found]) -> None:
    ordered = in_order(providers)
    assert [priority for _, priority in ordered] == sorted(priority for _, priority in ordered)
    plans = [p for found, p in ordered if found.billing is Billing.SUBSCRIPTION]
    metered = [p for found, p in ordered if found.billing is Billing.METERED and not found.local]
    assert not plans or not metered or max(plans) < min(metered)
