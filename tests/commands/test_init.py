"""`init`: finds what OpenCode is connected to, and never writes over what somebody wrote."""

import json

import pytest

from sidecar.config.load import load
from sidecar.config.models import Billing
from tests.commands.conftest import PROVIDERS, Home

KEYS = {
    "anthropic": {"type": "oauth", "access": "secret-1", "refresh": "secret-2"},
    "openai": {"type": "api", "key": "secret-3"},
}


@pytest.fixture
def connected(home: Home) -> Home:
    """An OpenCode with a local server in its configuration, two logins, and one key in the environment; none runs."""
    home.paths.opencode_config.mkdir(parents=True)
    ollama = {"options": {"baseURL": "http://127.0.0.1:11434/v1"}, "models": {"qwen3-coder": {}}}
    config = {"provider": {"ollama": ollama, "off": {}}, "model": "openai/gpt-5.6", "disabled_providers": ["off"]}
    (home.paths.opencode_config / "opencode.json").write_text(json.dumps(config))
    logins = home.root / ".local/share/opencode/auth.json"
    logins.parent.mkdir(parents=True)
    logins.write_text(json.dumps(KEYS))
    home.environment["GROQ_API_KEY"] = "secret-4"
    return home


def test_it_finds_configuration_logins_and_variables_in_sensible_order(connected: Home) -> None:
    done = connected.inside("init")
    assert "with 4 providers: " in done.stdout
    assert "it takes effect when it is saved" in done.stdout
    config = load(connected.paths.config, None, None).config
    assert [(id_, one.priority) for id_, one in config.providers.items()] == [
        ("anthropic", 10),
        ("ollama", 30),
        ("openai", 40),
        ("groq", 41),
    ]
    assert config.providers["anthropic"].billing is Billing.SUBSCRIPTION
    text = connected.paths.config.read_text()
    assert "secret" not in text + done.stdout
    assert "// Groq: by the variable GROQ_API_KEY.\n" in text
    assert '//"gpt-5.6": { "tier": "large" }' in text
    assert "for example for openai/gpt-5.6" in text
    assert '//"last_resort": "ollama/qwen3-coder",' in text
    connected.inside("config", "check")


def test_what_the_open_windows_are_connected_to_comes_first(connected: Home) -> None:
    connected.run("start")
    uninvited = {"id": "opencode", "uninvited": True, "has_key": False, "models": [{"id": "free"}]}
    connected.post("hello", directory="/code", providers=[*PROVIDERS, uninvited])
    shown = connected.inside("init", "--print").stdout
    assert "from: the open OpenCode windows,\n" in shown
    assert "// anthropic: connected in an open OpenCode, with a login.\n" in shown
    assert '//"anthropic/claude-sonnet-4.5": { "tier": "medium" },' in shown
    assert '"opencode"' not in shown
    assert not connected.paths.config.exists()


def test_opencode_itself_is_asked_where_no_window_has_told(home: Home) -> None:
    home.program("opencode", "#!/bin/sh\nprintf 'alpha/m1\\nalpha/m2\\nopencode/free\\nnot a model\\n\\033[1mx/y\\n'\n")
    shown = home.inside("init", "--print").stdout
    assert "from: opencode models.\n" in shown
    assert '"alpha": {' in shown
    assert '//"m2": ' in shown
    assert '"opencode"' not in shown
    assert '"x"' not in shown


@pytest.mark.parametrize("program", ["#!/bin/sh\nexit 1\n", "not a program", "#!/no/such/interpreter\n"])
def test_an_opencode_that_does_not_answer_is_no_hindrance(connected: Home, program: str) -> None:
    connected.program("opencode", program)
    assert '"openai": {' in connected.inside("init", "--print").stdout
    assert '"openai": {' in connected.inside("init", "--print", OPENCODE_BIN="/no/where").stdout


def test_where_nothing_is_found_it_says_what_to_do(home: Home) -> None:
    told = home.inside("init", code=1).stderr
    assert "opencode auth login" in told
    assert not home.paths.config.exists()


def test_what_somebody_wrote_stays(connected: Home) -> None:
    connected.configure('{"max_hops": 9}')
    told = connected.inside("init", code=1).stderr
    assert "--force" in told
    assert connected.paths.config.read_text() == '{"max_hops": 9}'
    connected.paths.config.chmod(0o600)
    shown = connected.inside("init", "--force").stdout
    (kept,) = connected.paths.config.parent.glob("rate-limit.jsonc.before-*")
    assert f"kept the old one as {kept}\n" in shown
    assert kept.read_text() == '{"max_hops": 9}'
    assert kept.stat().st_mode & 0o777 == 0o600
    connected.inside("init", "--force")
    assert len(list(connected.paths.config.parent.glob("rate-limit.jsonc.before-*"))) == 2


def test_the_example_install_put_there_is_replaced_without_asking(connected: Home) -> None:
    connected.inside("install")
    assert "kept" not in connected.inside("init").stdout
    text = connected.paths.config.read_text()
    assert text.startswith("// Written by `rate-limit-sidecar init`")
    assert f'"$schema": "file://{connected.root}' in text
    connected.inside("uninstall")
    assert connected.paths.config.read_text() == text


def test_an_opencode_configuration_that_cannot_be_read_is_named(connected: Home) -> None:
    broken = connected.project / "opencode.json"
    broken.write_text("{ nonsense")
    assert f"cannot be read: {broken}:1: " in connected.inside("init", "--print").stderr
