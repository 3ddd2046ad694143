"""`route`: what a turn would use, and why every other candidate is not taken; it changes nothing."""

import json

from tests.commands.conftest import Home

ASKED = "anthropic/claude-sonnet-4-5"


def test_it_says_what_would_be_used(served: Home) -> None:
    told = served.inside("route", ASKED).stdout
    assert told == "openrouter/anthropic/claude-sonnet-4.5: first free candidate (same_model)\n"


def test_explain_gives_every_candidate_its_reason(served: Home) -> None:
    shown = served.inside("route", "--explain", ASKED, "--agent", "plan", COLUMNS="200").stdout.splitlines()
    assert shown[0].startswith("openrouter/")
    assert shown[1].startswith(f"  1. ✗ {ASKED} ")
    assert "asked for" in shown[1]
    assert "cooling: requests or tokens come faster than the provider allows (until " in shown[1]
    assert shown[2].startswith(
        "  2. ✓ openrouter/anthropic/claude-sonnet-4.5  the same model elsewhere  free: this one"
    )


def test_json_is_the_decision(served: Home) -> None:
    decision = json.loads(served.inside("route", "--json", ASKED).stdout)
    assert decision["action"] == "switch"
    assert decision["rejected"][0]["code"] == "cooling"


def test_it_changes_nothing(served: Home) -> None:
    before = served.states()
    served.inside("route", ASKED)
    assert served.states() == before


def test_what_is_no_target_is_wrong_usage(home: Home) -> None:
    assert "write provider/model" in home.inside("route", "anthropic", code=2).stderr
