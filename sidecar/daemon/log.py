"""The log: one readable line per event on a terminal, JSON lines in a rotated file, no key in either.

Goes through structlog into stdlib handlers, so that what libraries log comes along and is redacted too. Logging never
raises and never stops a decision: a line that cannot be written is lost.
"""

import json
import logging
import logging.handlers
import os
from collections.abc import Callable
from contextlib import suppress
from datetime import datetime
from pathlib import Path
from typing import Any, TextIO

import structlog
from aiohttp.http_exceptions import HttpProcessingError
from structlog.typing import EventDict, Processor, WrappedLogger

from sidecar.config.models import LogSettings
from sidecar.core.decisions import Notice
from sidecar.daemon.notices import fields, local_time, route_words
from sidecar.redact import redact, redact_value

NAME = "sidecar"
# Libraries whose warnings belong into our log; watchfiles reports every change as INFO.
_LIBRARIES = ("asyncio", "aiohttp", "watchfiles")
_LEVELS = {"failure": "warning", "all_limited": "warning", "budget": "warning"}
_FIRST = ("time", "level", "event")

Logger = structlog.stdlib.BoundLogger


class Log:
    """The handlers of one daemon: `logger` writes to `file` (JSON) and, if given, to `terminal` (text)."""

    def __init__(self, file: Path, settings: LogSettings, *, terminal: TextIO | None = None) -> None:
        self._root = logging.getLogger(NAME)
        self._root.propagate = False
        self._handlers: list[logging.Handler] = []
        self.problem: str | None = None
        self.logger: Logger = structlog.wrap_logger(
            self._root,
            processors=[
                structlog.stdlib.filter_by_level,
                *_COMMON,
                structlog.stdlib.ProcessorFormatter.wrap_for_formatter,
            ],
            wrapper_class=structlog.stdlib.BoundLogger,
        )
        if terminal is not None:
            handler = _Terminal(terminal)
            handler.setFormatter(_formatter(terminal_line))
            self._attach(handler)
        self._file_handler: _PrivateFile | None = None
        self.apply(file, settings)

    def apply(self, path: Path, settings: LogSettings) -> None:
        """Take new settings; also opens the file anew, so that a log that was moved away is let go."""
        self._root.setLevel(settings.level.upper())
        if self._file_handler is not None:
            self._detach(self._file_handler)
            self._file_handler = None
        try:
            path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            self._file_handler = _PrivateFile(path, settings.max_bytes, settings.backups)
        except OSError as error:
            self.problem = f"the log file {path} cannot be written: {error.strerror}"
            self.logger.warning("no log file", file=str(path), why=error.strerror)
            return
        self.problem = None
        self._file_handler.setFormatter(_formatter(json_line))
        self._attach(self._file_handler)

    def notice(self, notice: Notice) -> None:
        """Record what the engine announced."""
        getattr(self.logger, _LEVELS.get(notice.event, "info"))(notice.event, **fields(notice))

    def close(self) -> None:
        """Close the file and let go of the loggers."""
        for handler in list(self._handlers):
            self._detach(handler)

    def _attach(self, handler: logging.Handler) -> None:
        self._handlers.append(handler)
        self._root.addHandler(handler)
        for name in _LIBRARIES:
            library = logging.getLogger(name)
            library.addHandler(handler)
            library.setLevel(logging.WARNING)

    def _detach(self, handler: logging.Handler) -> None:
        self._handlers.remove(handler)
        for name in (NAME, *_LIBRARIES):
            logging.getLogger(name).removeHandler(handler)
        with suppress(OSError):  # the last lines may meet a full disk
            handler.close()


class _Quiet(logging.Handler):
    """A line that cannot be written is lost; nobody is told on a stream nobody may be reading.

    Who sends what is no HTTP is answered so by the server, which also reports it as an error of its own; it is none.
    """

    def filter(self, record: logging.LogRecord) -> bool:
        """Leave out what is another's mistake."""
        theirs = record.exc_info is not None and isinstance(record.exc_info[1], HttpProcessingError)
        return not theirs and bool(super().filter(record))

    def handleError(self, record: logging.LogRecord) -> None:  # noqa: N802 - the name is the base class's
        """Lose the line."""


class _Terminal(_Quiet, logging.StreamHandler[TextIO]):
    """Standard error."""


class _PrivateFile(_Quiet, logging.handlers.RotatingFileHandler):
    """A rotated file only its owner can read."""

    def __init__(self, path: Path, max_bytes: int, backups: int) -> None:
        super().__init__(path, maxBytes=max_bytes, backupCount=backups, encoding="utf-8", errors="backslashreplace")

    def _open(self) -> Any:
        return open(self.baseFilename, "a", encoding="utf-8", errors="backslashreplace", opener=_private)

    def doRollover(self) -> None:  # noqa: N802 - the name is the base class's
        """Rotate; without backups, begin the file anew (the base class would let it grow)."""
        if not self.backupCount and self.stream:
            self.stream.truncate(0)
        super().doRollover()


def _private(path: str, flags: int) -> int:
    return os.open(path, flags | os.O_CLOEXEC, 0o600)


def _redact(_logger: WrappedLogger, _method: str, event: EventDict) -> EventDict:
    # Names with an underscore are structlog's own and never written.
    meta = {name: value for name, value in event.items() if name.startswith("_")}
    redacted: EventDict = redact_value({name: value for name, value in event.items() if name not in meta})
    return {**{name: _plain(value) for name, value in redacted.items()}, **meta}


def _plain(value: Any) -> Any:
    """Give JSON's own types; anything else as redacted text, because its text may hold a key."""
    return value if isinstance(value, str | int | float | list | dict | None) else redact(str(value))


_COMMON: tuple[Processor, ...] = (
    structlog.stdlib.add_log_level,
    structlog.stdlib.PositionalArgumentsFormatter(),
    structlog.processors.TimeStamper(fmt="iso", utc=True, key="time"),
    structlog.processors.StackInfoRenderer(),
    structlog.processors.format_exc_info,
    _redact,
)


def _formatter(render: Callable[[EventDict], str]) -> logging.Formatter:
    def last(_logger: WrappedLogger, _method: str, event: EventDict) -> str:
        return render(event)

    return structlog.stdlib.ProcessorFormatter(
        foreign_pre_chain=_COMMON,
        processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, last],
    )


def json_line(event: EventDict) -> str:
    """Write one event as a line of JSON, the time first."""
    ordered = {name: event[name] for name in _FIRST if name in event}
    return json.dumps({**ordered, **event}, default=str)


def terminal_line(event: EventDict) -> str:
    """Write one event for a person: local time, what, from → to, why, until when; a traceback follows on own lines."""
    rest = dict(event)
    moment = datetime.fromisoformat(str(rest.pop("time")))
    level, trace = rest.pop("level", "info"), rest.pop("exception", "")
    head = route_words(str(rest.pop("event", "")), rest.pop("from", None), rest.pop("to", None))
    why, until = rest.pop("why", ""), rest.pop("until", None)
    line = f"{moment.astimezone():%H:%M:%S} {'' if level == 'info' else f'{level.upper()} '}{head}"
    if why:
        line += f": {why}"
    if until:
        line += f" (until {local_time(datetime.fromisoformat(until).timestamp(), moment.timestamp())})"
    line += "".join(f"  {name}={_short(value)}" for name, value in rest.items() if value not in (None, ""))
    return _one_line(line) + (f"\n{trace}" if trace else "")


def _short(value: Any) -> str:
    text = value if isinstance(value, str) else json.dumps(value, default=str)
    return json.dumps(text, ensure_ascii=False) if " " in text else text


def _one_line(text: str) -> str:
    """Show control characters instead of obeying them: names come over the wire, and a terminal believes escapes."""
    return "".join(c if c.isprintable() else repr(c)[1:-1] for c in text)
