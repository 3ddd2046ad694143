"""`schema`: the JSON Schema of the configuration, or of the protocol for people who write another shim."""

import argparse
from pathlib import Path

from sidecar.config.schema import config_schema, written

HELP = "Print the JSON Schema of the configuration file, or of every request and answer of the protocol."
EXAMPLE = """
  rate-limit-sidecar schema config > rate-limit.schema.json
  rate-limit-sidecar schema protocol --write examples/protocol    one file per request and answer
"""


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    parser.add_argument("what", choices=("config", "protocol"))
    parser.add_argument("--write", type=Path, metavar="DIR", help="write NAME.schema.json into DIR instead of printing")


def run(args: argparse.Namespace) -> int:
    """Print or write."""
    if args.what == "config":
        schemas = {"rate-limit": config_schema()}
    else:
        # Only here, because the daemon's models load slowly.
        from sidecar.daemon.schemas import protocol_schemas  # noqa: PLC0415

        schemas = protocol_schemas()
    if args.write is None:
        print(written(schemas["rate-limit"] if args.what == "config" else schemas), end="")
        return 0
    args.write.mkdir(parents=True, exist_ok=True)
    for name, schema in schemas.items():
        (args.write / f"{name}.schema.json").write_text(written(schema), encoding="utf-8")
    print(f"wrote {len(schemas)} to {args.write}")
    return 0
