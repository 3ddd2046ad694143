"""What `enable`, `disable`, `clear` and `reset` share: naming a provider or model, and telling the daemon."""

import argparse

from sidecar.client import call
from sidecar.paths import from_environment


def add_target(parser: argparse.ArgumentParser, *, optional: bool = False) -> None:
    """Declare the argument that names a provider or model."""
    parser.add_argument(
        "target",
        metavar="PROVIDER[/MODEL]",
        nargs="?" if optional else None,
        help="a provider or model by OpenCode's ids, as status shows them",
    )


def tell(route: str, target: str | None, for_s: float | None = None) -> None:
    """Post a command about `target` (None: everything), for `for_s` seconds (None: until it is taken back)."""
    provider, _, model = (target or "").partition("/")
    body = {"provider": provider or None, "model": model or None, "for_s": for_s}
    call(from_environment().socket, "POST", route, body)
