"""The configuration from the command line: is it valid, what is in effect, where is it from."""

import json

from sidecar.config.models import Config
from sidecar.config.schema import config_schema
from sidecar.daemon.schemas import protocol_schemas
from tests.commands.conftest import PROVIDERS, Home


def test_a_valid_one_is_called_valid(home: Home) -> None:
    home.configure("{}")
    shown = home.inside("config", "check").stdout
    assert f"{home.paths.config}: valid\n" in shown
    assert f"{home.project}/.opencode/rate-limit.jsonc: not there, and not needed\n" in shown


def test_what_a_project_may_not_say_is_a_warning(home: Home) -> None:
    other = home.root / "other" / ".opencode"
    other.mkdir(parents=True)
    (other / "rate-limit.jsonc").write_text('{"webhooks": []}')
    home.inside("config", "check")
    shown = home.inside("config", "check", "--project", str(other.parent), code=1).stdout
    assert f"warning: {other}/rate-limit.jsonc:1: webhooks is not taken from a project's file" in shown


def test_what_is_in_effect_names_its_origin(home: Home) -> None:
    home.configure('{\n"switch_after": "5m"}')
    written, state = '{"a": {"limits": {"rpm": 3}}}', "/elsewhere/state.json"
    told = home.inside("config", "show", "--origin", RATE_LIMIT_PROVIDERS=written, RATE_LIMIT_STATE=state)
    shown = told.stdout
    assert shown == (
        f"config file: {home.paths.config}  (default)\n"
        "state file: /elsewhere/state.json  (RATE_LIMIT_STATE)\n"
        f"socket file: {home.paths.socket}  (default)\n"
        "providers.a.limits.rpm = 3  (RATE_LIMIT_PROVIDERS)\n"
        f"switch_after = 300.0  ({home.paths.config}:2)\n"
    )
    assert home.inside("config", "show").stdout == "switch_after = 300.0\n"
    assert "max_hops = 3  (default)" in home.inside("config", "show", "--all", "--origin").stdout
    as_json = json.loads(home.inside("config", "show", "--origin", "--json").stdout)
    assert as_json == {"switch_after": {"value": 300.0, "origin": f"{home.paths.config}:2"}}


def test_without_settings_there_is_no_origin_to_show(home: Home) -> None:
    assert home.inside("config", "show", "--origin").stdout.endswith("\nevery setting has its default\n")


def test_names_are_held_against_what_is_connected_where_the_daemon_knows_it(home: Home) -> None:
    home.configure('{"providers": {"anthropc": {}}}')
    assert "not held against what is connected" in home.inside("config", "check").stdout
    home.run("start")
    assert "not held against what is connected" in home.inside("config", "check").stdout
    home.post("hello", directory=str(home.project), providers=PROVIDERS, agents=["build", "plan"])
    said = "providers.anthropc: no connected provider 'anthropc'; did you mean 'anthropic'?"
    assert f"warning: {said}\n" in home.inside("config", "check", code=1).stdout
    told = json.loads(home.inside("config", "check", "--json", code=1).stdout)
    assert told["warnings"] == [said]
    assert told["names_checked"] is True
    assert f"  • {said}\n" in home.inside("status", COLUMNS="120").stdout
    assert f"· {said}\n" in home.inside("doctor", code=1).stdout


def test_without_settings_it_says_where_to_write_them(home: Home) -> None:
    assert (
        home.inside("config", "show").stdout == f"every setting has its default; your own go into {home.paths.config}\n"
    )


def test_the_whole_configuration_as_json(home: Home) -> None:
    home.configure('{"max_hops": 9}')
    shown = json.loads(home.inside("config", "show", "--json").stdout)
    assert Config.model_validate(shown) == Config(max_hops=9)


def test_schemas_are_printed_or_written(home: Home) -> None:
    assert json.loads(home.inside("schema", "config").stdout) == config_schema()
    assert json.loads(home.inside("schema", "protocol").stdout) == protocol_schemas()
    assert "wrote 1 " in home.inside("schema", "config", "--write", "made/here").stdout
    home.inside("schema", "protocol", "--write", "made/here")
    made = {file.name for file in (home.project / "made" / "here").iterdir()}
    assert made == {f"{name}.schema.json" for name in ("rate-limit", *protocol_schemas())}
