"""The providers report: whole pictures, from a real engine."""

from datetime import UTC
from typing import Any

from sidecar.core.events import TargetCommand
from sidecar.core.roster import Roster
from sidecar.report.look import Look
from sidecar.report.providers import render_providers
from tests.core.world import World, model, provider

CONFIG: dict[str, Any] = {
    "providers": {
        "groq": {
            "priority": 5,
            "account": "work",
            "limits": {"rpm": 30, "resets": "00:00 UTC", "plan": {"length": "5h", "requests": 40}},
            "models": {"big": {"limits": {"tpd": 2_500_000}}, "gone": {}},
        },
        "ghost": {},
    }
}


def world() -> World:
    made = World(config=CONFIG)
    groq = provider(
        "groq",
        model("openai/gpt-oss-20b", context=131_072, cost_input=0.1, cost_output=0.5, reasoning=True),
        model("big", context=1_000_000, tools=False, images=False),
        name="Groq",
        base_url="https://api.groq.com/openai/v1",
        default_model="big",
    )
    zen = provider("opencode", "free", name="Zen", uninvited=True, has_key=False)
    made.hello(groq, zen)
    made.message("groq/big")
    headers = {"x-ratelimit-limit-requests": "100", "x-ratelimit-remaining-requests": "25"}
    made.refused("groq/big", status=429, headers=headers)
    return made


def roster(**options: Any) -> Roster:
    made = world()
    return made.engine.roster(made.now, **options)


OVERVIEW = """\
groq: ◐ Limited
  Cooldown until 08:00:05 (in 5 s) — rate limit
  Groq, cloud, metered, configured, priority 5, account work
  Connected in an unnamed directory (unknown)
  Models: 3 (1 fast, 2 medium); default big
  Limits: rpm 30, resets 00:00 UTC, plan_length 5 h, plan_requests 40
  Learned limits: 75/100 requests (big)
  Documented, not enforced: rpm 30 for the free plan, each model by itself (most models; requests a day and tokens
      differ by model)
ghost: ○ Not connected
  cloud, metered, as far as anybody knows, configured, priority 100
  Not connected in any OpenCode window that introduced itself
  Models: none known
opencode: ✓ Available
  Zen, cloud, metered, not configured, priority 100
  Connected by itself, nobody asked for it in an unnamed directory (unknown)
  Models: 1 (1 medium)
"""


def test_all_providers() -> None:
    assert render_providers(roster(), Look(width=120), zone=UTC) == OVERVIEW


DETAILS = """\
  Address: https://api.groq.com/openai/v1
  Key: usually in GROQ_API_KEY
  Fast:
    openai/gpt-oss-20b: available, 131.1k context, $0.1/$0.5 per million tokens, reasoning
  Medium:
    big: unavailable, 1M context, free, no tools and no images, tpd 2500000, 75/100 requests, 1 requests today
    gone: available, not connected
"""


def test_one_provider_with_its_models() -> None:
    text = render_providers(roster(models_of="groq"), Look(width=120), only="groq", zone=UTC)
    assert text.startswith("groq: ◐ Limited\n")
    assert text.endswith(DETAILS)
    assert "ghost" not in text


def test_models_of_a_provider_that_rests_as_a_whole_rest_with_it() -> None:
    made = world()
    made.engine.control("disable", TargetCommand(provider="opencode"), made.now)
    facts = made.engine.roster(made.now, models_of="opencode").providers[-1]
    assert [(one.state, one.why) for one in facts.models] == [("disabled", facts.why)]


def test_nothing_known_yet() -> None:
    assert render_providers(World().engine.roster(0)).startswith("No provider is known yet")
