"""JSON Schema of the configuration file, made from its models; and how every schema of ours is headed and written.

Pure. What stands under `examples/` is what this gives, byte for byte; a test holds the two together.
"""

import json
from typing import Any

from sidecar.config.models import Config

DIALECT = "https://json-schema.org/draft/2020-12/schema"


def config_schema() -> dict[str, Any]:
    """Give the schema of `rate-limit.jsonc`."""
    return headed("rate-limit.jsonc", "config", Config.model_json_schema(by_alias=True))


def headed(title: str, name: str, schema: dict[str, Any]) -> dict[str, Any]:
    """Give a schema its dialect, its id and a title."""
    return {"$schema": DIALECT, "$id": f"urn:rate-limit-sidecar:{name}", **schema, "title": title}


def written(schema: dict[str, Any]) -> str:
    """Write a schema as it stands in a file."""
    return json.dumps(schema, indent=2, ensure_ascii=False) + "\n"
