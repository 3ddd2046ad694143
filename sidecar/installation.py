"""What `install` puts where, and how it is found again: the plugin's files, the line that loads them, the example.

The plugin's own files go to our data directory; OpenCode is told of them by a file of one line in a `plugins`
directory, which it loads by itself, so that nobody's opencode.json is ever edited. Its terminal interface knows no such
directory; it reads `tui.json` and `tui.jsonc` and puts them together, so the one that is not there becomes ours.
What was made stands in a record, and only that is ever removed. Knows files only; the commands say what is done when.
"""

import hashlib
import json
import os
import re
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sidecar.config.schema import config_schema, written
from sidecar.paths import Paths

PLUGIN_FILE = "rate-limit-sidecar.ts"
MARK = "// Made by `rate-limit-sidecar install`; `rate-limit-sidecar uninstall` removes it."

# tui.jsonc first: OpenCode moves old settings into a tui.json only while there is none.
INTERFACE_FILES = ("tui.jsonc", "tui.json")

_PACKAGE = Path(__file__).resolve().parent
_EXAMPLE = "rate-limit.jsonc"
_SCHEMA_LINE = '"$schema": "./rate-limit.schema.json"'


class InstallError(Exception):
    """It cannot be installed here; the message names the path and the fix."""


@dataclass(frozen=True, slots=True)
class Installation:
    """Everything `install` makes for one user."""

    paths: Paths

    @property
    def shim(self) -> Path:
        """The directory the plugin's files are copied to."""
        return self.paths.data / "plugin-shim"

    @property
    def entry(self) -> Path:
        """The plugin's first file, which the plugin files of OpenCode name."""
        return self.shim / "src" / "server.ts"

    @property
    def interface_entry(self) -> Path:
        """The first file of the part for the terminal interface."""
        return self.shim / "src" / "tui.tsx"

    @property
    def schema(self) -> Path:
        """The schema the example names, for completion in an editor."""
        return self.paths.data / "rate-limit.schema.json"

    @property
    def record(self) -> Path:
        """The list of what was made outside our data directory."""
        return self.paths.data / "installed.json"

    @property
    def user_plugin(self) -> Path:
        """The file that makes OpenCode load the plugin in every project."""
        return self.paths.opencode_config / "plugins" / PLUGIN_FILE

    @staticmethod
    def project_plugin(directory: Path) -> Path:
        """Give the file that makes OpenCode load the plugin in one project."""
        return directory.resolve() / ".opencode" / "plugins" / PLUGIN_FILE

    def plugin_text(self) -> str:
        """Give the content of a plugin file."""
        return f"{MARK}\nexport {{ default }} from {json.dumps(str(self.entry))}\n"

    def interface_text(self) -> str:
        """Give the content of a file that makes the terminal interface load its part."""
        config = {"$schema": "https://opencode.ai/tui.json", "plugin": [self.interface_entry.as_uri()]}
        return f"{MARK}\n{json.dumps(config, indent=2)}\n"

    def example_text(self) -> str:
        """Give the example configuration, naming the installed schema."""
        text = _shipped(_EXAMPLE, "examples").read_text(encoding="utf-8")
        return text.replace(_SCHEMA_LINE, f'"$schema": {json.dumps(self.schema.as_uri())}')

    def copy_shim(self) -> None:
        """Put the plugin's files and the schema into our data directory, replacing older ones.

        Raises:
            InstallError: this installation of the sidecar lacks the plugin.
        """
        source = shim_source()
        fresh = self.shim.with_name("plugin-shim.new")
        shutil.rmtree(fresh, ignore_errors=True)
        fresh.mkdir(parents=True)
        shutil.copy(source / "package.json", fresh)
        shutil.copytree(source / "src", fresh / "src")
        shutil.rmtree(self.shim, ignore_errors=True)
        fresh.rename(self.shim)
        _write(self.schema, written(config_schema()))

    def put_plugin(self, file: Path) -> None:
        """Write a plugin file and remember it, with the directories made for it.

        Raises:
            InstallError: another file is there.
        """
        if file.exists() and not is_ours(file):
            raise InstallError(f"{file} exists and was not made by install; move it away and try again")
        made = [str(parent) for parent in file.parents if not parent.exists()]
        file.parent.mkdir(parents=True, exist_ok=True)
        _write(file, self.plugin_text())
        known = self._recorded()
        known["plugins"][str(file)] = known["plugins"].get(str(file)) or made
        self._remember(known)

    def take_plugin(self, file: Path) -> bool:
        """Remove a plugin file of ours, and the directories made for it that are empty again; False when not there."""
        known = self._recorded()
        made = known["plugins"].pop(str(file), [])
        there = file.exists() and is_ours(file)
        if there:
            file.unlink()
            for directory in made:
                if not _remove_empty(Path(directory)):
                    break
        self._remember(known)
        return there

    def plugins(self) -> Iterator[Path]:
        """Give every plugin file that was made, the user's first; some may have been removed by hand."""
        recorded = [Path(file) for file in self._recorded()["plugins"]]
        yield from dict.fromkeys([self.user_plugin, *recorded])

    def put_interface(self, directory: Path) -> Path | None:
        """Have the terminal interface load its part, told in `directory`; gives the file that says so.

        None when both files are somebody else's: then the entry has to be added to one of them by hand.
        """
        files = [directory / name for name in INTERFACE_FILES]
        for file in files:
            if file.exists() and self._names_interface(file):
                return file
        free = next((file for file in files if not file.exists() or self._unchanged(file)), None)
        if free is None:
            return None
        made = [str(parent) for parent in free.parents if not parent.exists()]
        free.parent.mkdir(parents=True, exist_ok=True)
        _write(free, self.interface_text())
        known = self._recorded()
        before = known["interfaces"].get(str(free), {}).get("made")
        known["interfaces"][str(free)] = {"made": before or made, "digest": _digest(self.interface_text())}
        self._remember(known)
        return free

    def take_interface(self, file: Path) -> bool:
        """Undo `put_interface`: remove the file, or of one that was changed only our entry; False if neither."""
        known = self._recorded()
        if not file.exists() or not self._names_interface(file):
            return False
        unchanged = self._unchanged(file)
        made = known["interfaces"].pop(str(file), {}).get("made", [])
        self._remember(known)
        if unchanged:
            file.unlink()
            for directory in made:
                if not _remove_empty(Path(directory)):
                    break
        else:
            entry = re.escape(json.dumps(self.interface_entry.as_uri()))
            text = file.read_text(encoding="utf-8").removeprefix(f"{MARK}\n")
            _write(file, re.sub(rf"{entry}\s*,?\s*", "", text))
        return True

    def interfaces(self) -> Iterator[Path]:
        """Give every file that may tell the terminal interface of its part, the user's first."""
        recorded = [Path(file) for file in self._recorded()["interfaces"]]
        yield from dict.fromkeys([*(self.paths.opencode_config / name for name in INTERFACE_FILES), *recorded])

    def interface(self) -> Path | None:
        """Give the file by which the terminal interface loads its part; None when none does."""
        return next((file for file in self.interfaces() if file.exists() and self._names_interface(file)), None)

    def _names_interface(self, file: Path) -> bool:
        text = file.read_text(encoding="utf-8", errors="replace")
        return json.dumps(self.interface_entry.as_uri()) in text

    def _unchanged(self, file: Path) -> bool:
        """Whether a file is exactly what was put there."""
        put = self._recorded()["interfaces"].get(str(file), {}).get("digest")
        return put is not None and put == _digest(file.read_text(encoding="utf-8", errors="replace"))

    def put_example(self) -> bool:
        """Write the commented example where the configuration belongs; False when there is one already."""
        if self.paths.config.exists():
            return False
        self.paths.config.parent.mkdir(parents=True, exist_ok=True)
        text = self.example_text()
        _write(self.paths.config, text)
        self._remember({**self._recorded(), "example": _digest(text)})
        return True

    def example_is_untouched(self) -> bool:
        """Say whether the configuration there is exactly the example that was put there."""
        if not self.paths.config.exists():
            return False
        text = self.paths.config.read_text(encoding="utf-8", errors="replace")
        return bool(self._recorded()["example"] == _digest(text))

    def take_example(self) -> bool:
        """Remove the configuration if it is still exactly what was put there; says whether it is gone."""
        if not self.paths.config.exists():
            return True
        if not self.example_is_untouched():
            return False
        self.paths.config.unlink()
        _remove_empty(self.paths.config.parent)
        return True

    def take_data(self) -> None:
        """Remove what is in our data directory, and it too unless something of others (a virtual environment) is."""
        shutil.rmtree(self.shim, ignore_errors=True)
        for file in (self.schema, self.record):
            file.unlink(missing_ok=True)
        _remove_empty(self.paths.data)

    def _recorded(self) -> dict[str, Any]:
        """Read the record: files made, each with the directories made for it, and digests of what may be changed."""
        try:
            data = json.loads(self.record.read_text(encoding="utf-8"))
            interfaces = {file: dict(entry) for file, entry in dict(data.get("interfaces", {})).items()}
            return {"plugins": dict(data["plugins"]), "interfaces": interfaces, "example": data["example"]}
        except (OSError, ValueError, TypeError, KeyError, AttributeError):
            return {"plugins": {}, "interfaces": {}, "example": None}

    def _remember(self, known: dict[str, Any]) -> None:
        if self.paths.data.exists():
            _write(self.record, json.dumps(known, indent=2) + "\n")


def is_ours(file: Path) -> bool:
    """Say whether a plugin file was made by `install`."""
    return file.read_text(encoding="utf-8", errors="replace").startswith(MARK)


def shim_source() -> Path:
    """Give the directory of the plugin's files that came with this installation of the sidecar.

    Raises:
        InstallError: it lacks them.
    """
    return _shipped("plugin-shim", "")


def _shipped(name: str, folder: str) -> Path:
    """Find what comes with the package: inside it when installed, beside it in a checkout."""
    places = (_PACKAGE / "_shipped" / name, _PACKAGE.parent / folder / name)
    for place in places:
        if place.exists():
            return place
    raise InstallError(f"this installation lacks {name} (looked at {places[0]} and {places[1]}); install it again")


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def _write(file: Path, text: str) -> None:
    """Replace a file in one step: OpenCode or an editor may be reading it."""
    temporary = file.with_name(f".{file.name}.{os.getpid()}.new")
    temporary.write_text(text, encoding="utf-8")
    temporary.replace(file)


def _remove_empty(directory: Path) -> bool:
    try:
        directory.rmdir()
    except OSError:
        return False
    return True
