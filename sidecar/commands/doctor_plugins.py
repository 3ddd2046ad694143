"""What else OpenCode loads that reacts to rate limits: found by its name, in OpenCode's own configuration.

Reads only, and says nothing of what it cannot read: OpenCode itself complains about that.
"""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from sidecar.config.jsonc import JsoncError, parse
from sidecar.installation import PLUGIN_FILE
from sidecar.paths import Paths

_CONFIGS = ("opencode.json", "opencode.jsonc", "config.json")
_FOLDERS = ("plugin", "plugins")
_FILES = frozenset({".ts", ".js", ".mjs", ".mts"})
_NAMES = re.compile(r"fall-?back|fail-?over|rate-?limit|auto-?retry|model-?(switch|rotat)|key-?rotat", re.IGNORECASE)
_OURS = re.compile(r"rate-limit-sidecar|plugin-shim")


def rivals(paths: Paths, project: Path) -> list[str]:
    """Give the plugins that by their name fall back or retry on their own, as OpenCode's configuration names them."""
    found = [*_named(paths.opencode_config), *_named(project), *_named(project / ".opencode")]
    return [name for name in dict.fromkeys(found) if _NAMES.search(name) and not _OURS.search(name)]


def _named(directory: Path) -> Iterator[str]:
    for name in _CONFIGS:
        try:
            config: Any = parse((directory / name).read_text(encoding="utf-8")).value
        except (OSError, UnicodeDecodeError, JsoncError):
            continue
        plugins = config.get("plugin") if isinstance(config, dict) else None
        for entry in plugins if isinstance(plugins, list) else []:
            spec = entry[0] if isinstance(entry, list) and entry else entry
            if isinstance(spec, str):
                yield spec
    for folder in _FOLDERS:
        place = directory / folder
        files = sorted(place.iterdir()) if place.is_dir() else []
        yield from (str(file) for file in files if file.suffix in _FILES and file.name != PLUGIN_FILE)
