"""What a person can change by hand: reset, clear, disable, enable, allow; and what status shows of it."""

import json

from tests.commands.conftest import Home


def test_status_shows_text_and_json(served: Home) -> None:
    text = served.run("status").stdout
    assert text.startswith("anthropic: ✗ Unavailable\n")
    assert "\n  Cooldown until " in text
    assert text.splitlines()[-1] == "Current Provider: anthropic (claude-sonnet-4-5)"
    assert "\033" not in text
    assert served.states() == {"anthropic": "unavailable", "openrouter": "available"}
    assert json.loads(served.inside("status", "--json").stdout)["daemon"]["state"] == "ok"


def test_status_fits_the_terminal(served: Home) -> None:
    assert max(map(len, served.inside("status", COLUMNS="44").stdout.splitlines())) <= 44
    served.inside("status", COLUMNS="5")
    served.inside("status", COLUMNS="5000")


def test_clear_ends_a_cooldown_and_keeps_the_counters(served: Home) -> None:
    assert served.inside("clear", "anthropic/claude-sonnet-4-5").stdout == (
        "the cooldown of anthropic/claude-sonnet-4-5 is over\n"
    )
    assert served.states()["anthropic"] == "available"
    assert "Requests: 1 today" in served.inside("status").stdout


def test_reset_forgets_the_counters_too(served: Home) -> None:
    assert served.inside("reset", "anthropic").stdout == "anthropic is reset\n"
    assert served.states()["anthropic"] == "available"
    assert "Requests:" not in served.inside("status").stdout
    assert served.inside("reset").stdout == "everything is reset\n"


def test_disable_for_a_while_and_enable(served: Home) -> None:
    assert served.inside("disable", "openrouter", "--for", "1h30m").stdout == "openrouter is not used for 1 h 30 min\n"
    assert served.states()["openrouter"] == "disabled"
    assert served.inside("enable", "openrouter").stdout == "openrouter is used again\n"
    assert served.states()["openrouter"] == "available"
    assert served.inside("disable", "openrouter").stdout == "openrouter is not used until it is enabled again\n"
    assert "Disabled until" not in served.inside("status").stdout


def test_plain_seconds_are_a_time_too(served: Home) -> None:
    assert served.inside("disable", "openrouter", "--for", "90").stdout == "openrouter is not used for 1 min 30 s\n"


def test_allow_answers_the_cost_guard(served: Home) -> None:
    assert served.inside("allow", "openrouter").stdout == "turns may move to openrouter for a day\n"


def test_an_unknown_provider_is_refused_with_those_there_are(served: Home) -> None:
    told = served.inside("disable", "antropic", code=1).stderr
    assert "no provider 'antropic'" in told
    assert "anthropic, openrouter" in told


def test_reset_without_a_daemon_says_what_else_would_do(home: Home) -> None:
    assert f"deleting {home.paths.state} resets everything" in home.inside("reset", code=1).stderr
    home.configure('{"state_file": "mine.json"}')
    mine = home.paths.config.parent / "mine.json"
    assert f"deleting {mine} resets everything" in home.inside("reset", code=1).stderr


def test_use_picks_a_provider_for_every_session_until_it_is_taken_back(served: Home) -> None:
    assert served.inside("use", "openrouter").stdout == (
        "openrouter is used first, until you say: rate-limit-sidecar use --auto\n"
    )
    assert "Picked by hand: openrouter\n" in served.inside("status").stdout
    assert served.inside("use", "openrouter", "--for", "2h").stdout == "openrouter is used first, for 2 h\n"
    assert "Picked by hand: openrouter until " in served.inside("status").stdout
    assert served.inside("use", "--auto").stdout == "every session uses what is selected in it\n"
    assert "Picked" not in served.inside("status").stdout


def test_use_names_what_it_misses(served: Home) -> None:
    assert "name a provider, or say --auto" in served.inside("use", code=2).stderr
    assert "name a provider, or say --auto" in served.inside("use", "openrouter", "--auto", code=2).stderr
    assert "no provider 'nobody'; known are: " in served.inside("use", "nobody", code=1).stderr
