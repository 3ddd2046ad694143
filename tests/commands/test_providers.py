"""`providers`: what there is to use, from the daemon."""

import json

from tests.commands.conftest import Home


def test_every_provider_says_what_it_is_and_where_it_is_connected(served: Home) -> None:
    shown = served.inside("providers", COLUMNS="110").stdout
    assert shown.startswith("anthropic: ✗ Unavailable\n")
    assert f"  Connected in {served.project} (unknown)\n" in shown
    assert "  Documented, not enforced: rpm 1000 for the Start tier" in shown
    assert "openrouter: ✓ Available\n" in shown


def test_one_provider_has_its_models(served: Home) -> None:
    shown = served.inside("providers", "openrouter").stdout
    assert "anthropic: " not in shown
    assert "    anthropic/claude-sonnet-4.5: available, 200k context, free\n" in shown


def test_json_is_the_roster(served: Home) -> None:
    found = json.loads(served.inside("providers", "--json").stdout)
    assert [one["id"] for one in found["providers"]] == ["anthropic", "openrouter"]
    (only,) = json.loads(served.inside("providers", "openrouter", "--json").stdout)["providers"]
    assert [model["id"] for model in only["models"]] == ["anthropic/claude-sonnet-4.5"]


def test_a_provider_nobody_knows_is_refused_with_those_there_are(served: Home) -> None:
    told = served.inside("providers", "antropic", code=1).stderr
    assert "no provider 'antropic'; known are: anthropic, openrouter" in told
    assert "\n  rate-limit-sidecar providers shows what there is" in told


def test_a_live_list_is_of_one_provider(served: Home) -> None:
    assert "--live needs a PROVIDER" in served.inside("providers", "--live", code=2).stderr
