"""The configurations in force: the user's, and one per directory an editor works in.

A configuration that cannot be used never replaces one that can: the last good one stays, and the problem is reported
once. A file that was emptied or is gone may be one that is just being saved, and is believed only a moment later. Which
files a directory has is `paths.py`, what is in them `config/load.py`; this room only keeps them up to date.
"""

import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import overload

from sidecar.config.load import Loaded, load
from sidecar.config.models import Config
from sidecar.config.problems import ConfigError
from sidecar.paths import Paths

DIRECTORIES = 128
# Many editors empty or rename a file before they write it; for this long that is no wish for the defaults.
SETTLE_S = 1.0

Loader = Callable[[Path | None, Path | None, str | None, str | None], Loaded]
Signature = tuple[int, int, int] | None


@dataclass(slots=True)
class Change:
    """What (re)loading one configuration brought.

    `directory` is "" for the user's own. `config` is None when the one in force stays; `problems` and `warnings` are
    what is wrong now, `news` whether that differs from what was said last.
    """

    directory: str
    config: Config | None
    problems: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()
    news: bool = True
    mended: bool = False


@dataclass(slots=True)
class _Entry:
    project: Path | None
    extra: str | None = None
    config: Config | None = None
    problems: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()
    seen: dict[Path, Signature] = field(default_factory=dict)
    own: bool = False
    """Ever differed from the user's, so that the engine was told about this directory by name."""
    fading: tuple[dict[Path, Signature], float] | None = None
    """Files that had content and have none now, and since when (monotonic seconds)."""


class Configs:
    """Loads `user`'s file and the projects' files; `environment` is the daemon's own RATE_LIMIT_PROVIDERS."""

    def __init__(
        self,
        user: Path,
        environment: str | None = None,
        *,
        loader: Loader = load,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._user, self._environment, self._loader, self._clock = user, environment, loader, clock
        self._entries: OrderedDict[str, _Entry] = OrderedDict({"": _Entry(None, own=True)})
        self.first = self._load("")
        """What loading the user's own configuration for the first time brought."""

    @property
    def user(self) -> Config:
        """The user's own configuration in force; the built-in defaults until one could be loaded."""
        return self._entries[""].config or Config()

    @property
    def files(self) -> tuple[Path, ...]:
        """Every file that belongs to a configuration in force, whether it exists or not."""
        return (self._user, *(entry.project for entry in self._entries.values() if entry.project))

    @property
    def problems(self) -> tuple[str, ...]:
        """What keeps configurations from being used now, each once."""
        return tuple(dict.fromkeys(text for entry in self._entries.values() for text in entry.problems))

    @property
    def warnings(self) -> tuple[str, ...]:
        """What configurations in force say in vain, each once."""
        return tuple(dict.fromkeys(text for entry in self._entries.values() for text in entry.warnings))

    @property
    def unsettled(self) -> bool:
        """Whether a file has to be looked at again, though nothing may report it."""
        return any(entry.fading for entry in self._entries.values())

    def open(self, directory: str, extra: str | None = None) -> Change | None:
        """Take a directory an editor works in, with that window's RATE_LIMIT_PROVIDERS; None when it has no place here.

        Only `DIRECTORIES` are kept; one that has no configuration of its own makes room, as it loses nothing by that.
        """
        if not directory.startswith("/"):
            return None
        if directory not in self._entries and len(self._entries) > DIRECTORIES:
            plain = next((name for name, entry in self._entries.items() if not entry.own), None)
            if plain is None:
                return None
            del self._entries[plain]
        entry = self._entries.setdefault(directory, _Entry(Paths.project_config(directory)))
        self._entries.move_to_end(directory)
        entry.extra = extra or None
        return self._load(directory)

    def reload(self, *, force: bool = False, patient: bool = False) -> list[Change]:
        """Load again whatever has a file that changed since it was read (all, if `force`).

        `patient` leaves alone, for `SETTLE_S`, what has a file that had content and has none now.
        """
        changes = []
        for directory, entry in list(self._entries.items()):
            if force or any(signature(path) != seen for path, seen in entry.seen.items()):
                wait = patient and not force
                change = None if wait and self._fades(entry) else self._load(directory, patient=wait)
                changes += [] if change is None else [change]
            else:
                entry.fading = None
        return changes

    def _fades(self, entry: _Entry) -> bool:
        """Whether a file lost its content so lately that it may just be on its way to new content."""
        gone = {path: signature(path) for path, seen in entry.seen.items() if _full(seen)}
        gone = {path: now for path, now in gone.items() if not _full(now)}
        if not gone:
            entry.fading = None
            return False
        now = self._clock()
        if entry.fading is None or entry.fading[0] != gone:
            entry.fading = (gone, now)
        return now - entry.fading[1] < SETTLE_S

    @overload
    def _load(self, directory: str) -> Change: ...
    @overload
    def _load(self, directory: str, *, patient: bool) -> Change | None: ...
    def _load(self, directory: str, *, patient: bool = False) -> Change | None:
        """Load and put in force; None (only if `patient`) when a file lost its content while it was read."""
        entry = self._entries[directory]
        # Looked at before reading: a change in between is then found by the next look.
        seen = {path: signature(path) for path in (self._user, entry.project) if path}
        before = (entry.problems, entry.warnings)
        config, problems, warnings = self._compose(entry)
        if patient and any(_full(known) and not _full(signature(path)) for path, known in seen.items()):
            return None
        entry.seen, entry.fading = seen, None
        entry.problems, entry.warnings = problems, warnings
        changed = config is not None and (config != entry.config if entry.own else config != self.user)
        entry.own = entry.own or changed
        entry.config = config or entry.config
        return Change(
            directory,
            config if changed else None,
            problems,
            warnings,
            news=before != (problems, warnings),
            mended=bool(before[0]) and not problems,
        )

    def _compose(self, entry: _Entry) -> tuple[Config | None, tuple[str, ...], tuple[str, ...]]:
        """Load all layers; when one is broken, keep the last good result, else leave out what is broken."""
        loaded, problems = self._try(self._user, entry.project, self._environment, entry.extra)
        if loaded is not None:
            return loaded.config, (), loaded.warnings
        if entry.config is not None:
            return None, problems, ()
        for user, project, environment, extra in (
            (self._user, entry.project, self._environment, None),
            (self._user, None, self._environment, entry.extra),
            (self._user, None, self._environment, None),
            (self._user, None, None, None),
            (None, None, self._environment, None),
        ):
            loaded, _ = self._try(user, project, environment, extra)
            if loaded is not None:
                return loaded.config, problems, loaded.warnings
        return Config(), problems, ()

    def _try(
        self, user: Path | None, project: Path | None, environment: str | None, extra: str | None
    ) -> tuple[Loaded | None, tuple[str, ...]]:
        try:
            return self._loader(user, project, environment, extra), ()
        except ConfigError as error:
            return None, tuple(map(str, error.problems))
        except Exception as error:  # noqa: BLE001 - a project's file must not be able to end the daemon, whatever is in it
            return None, (f"{project or user}: cannot be read: {type(error).__name__}",)


def _full(known: Signature) -> bool:
    return known is not None and known[1] > 0


def signature(path: Path) -> Signature:
    """Give what changes when a file is written or replaced; None when there is none."""
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_mtime_ns, found.st_size, found.st_ino
