"""The committed schemas are what the models say, and editors can use them."""

import json
from pathlib import Path
from typing import Any

import pytest

from sidecar.config.explain import setting_names
from sidecar.config.models import Config
from sidecar.config.schema import config_schema, written
from sidecar.daemon.schemas import protocol_schemas

EXAMPLES = Path(__file__).resolve().parents[2] / "examples"
RENEW = "run: rate-limit-sidecar schema {config > examples/rate-limit.schema.json, protocol --write examples/protocol}"


def test_the_committed_configuration_schema_is_the_present_one() -> None:
    committed = (EXAMPLES / "rate-limit.schema.json").read_text(encoding="utf-8")
    assert committed == written(config_schema()), RENEW


def test_the_committed_protocol_schemas_are_the_present_ones() -> None:
    schemas = protocol_schemas()
    committed = {file.name.removesuffix(".schema.json") for file in (EXAMPLES / "protocol").glob("*.schema.json")}
    assert committed == set(schemas), RENEW
    for name, schema in schemas.items():
        file = EXAMPLES / "protocol" / f"{name}.schema.json"
        assert file.read_text(encoding="utf-8") == written(schema), f"{name}: {RENEW}"


def nodes(schema: Any) -> list[dict[str, Any]]:
    """Give every object schema in a schema."""
    if isinstance(schema, list):
        return [node for item in schema for node in nodes(item)]
    if not isinstance(schema, dict):
        return []
    return [schema, *(node for item in schema.values() for node in nodes(item))]


def test_durations_are_numbers_or_text() -> None:
    properties = config_schema()["properties"]
    assert {branch["type"] for branch in properties["switch_after"]["anyOf"]} == {"number", "string"}


def test_unknown_settings_are_errors_in_the_schema_too() -> None:
    models = [node for node in nodes(config_schema()) if "properties" in node]
    assert models
    assert all(node["additionalProperties"] is False for node in models)


def test_every_setting_is_in_the_schema() -> None:
    known = {name for node in nodes(config_schema()) for name in node.get("properties", {})}
    assert {name.rpartition(".")[2] for name in setting_names(Config)} <= known


@pytest.mark.parametrize("name", sorted(protocol_schemas()))
def test_each_schema_has_a_name_of_its_own_and_is_json(name: str) -> None:
    schema = protocol_schemas()[name]
    assert schema["$id"].endswith(f":{name}")
    assert json.loads(written(schema)) == schema


def test_what_an_answer_always_holds_is_required() -> None:
    schemas = protocol_schemas()
    assert {"action", "reason", "target"} <= set(schemas["route.answer"]["required"])
    assert set(schemas["route.request"]["required"]) == {"session", "turn", "target"}
