"""What the daemon does with each request: event in, engine asked, notices handed on, state saved, answer out.

Holds the one engine and everything around it that lasts. It knows neither HTTP nor sockets, and takes no decision of
its own: those are the engine's.
"""

import logging
import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Literal

import sidecar
from sidecar.config.models import Config
from sidecar.core.changes import merge
from sidecar.core.decisions import Answer, Decision, EventsReply, HelloReply, Notice, Toast
from sidecar.core.engine import Engine, Verb
from sidecar.core.events import PROTOCOL, EditorEvents, Hello, Outcome, Route, TargetCommand
from sidecar.core.glance import Glance
from sidecar.core.records import Record
from sidecar.core.roster import Roster
from sidecar.core.snapshot import Snapshot
from sidecar.daemon.configs import Change, Configs
from sidecar.daemon.disk import Disk
from sidecar.daemon.log import Logger
from sidecar.daemon.selftests import Verdict
from sidecar.daemon.store import Store
from sidecar.redact import redact

_SAID = 512


class Health(Answer):
    """The answer to `GET /v1/health`: who serves, since when (epoch seconds), and what keeps it from doing all it can.

    `degraded` means that decisions go on but something around them does not work; `problems` says what. `warnings` are
    about things that work as they are but are hardly meant so: names in the configuration that match nothing, parts of
    a project's configuration that are not taken, a plugin of another version.
    """

    version: str
    protocol: int
    pid: int
    started: float
    state: Literal["ok", "degraded"]
    problems: tuple[str, ...]
    warnings: tuple[str, ...]
    state_file: str


class Status(Snapshot):
    """The answer to `GET /v1/status`: the engine's picture, and the daemon's own health."""

    daemon: Health


class Done(Answer):
    """The answer to a command that was carried out."""

    ok: bool = True


class Service:
    """One async method per route.

    `clock` gives epoch seconds. `listeners` hear every notice, `writers` every record, `toast` what people at the
    editors should see; `applied` is told of a new configuration of the user's, `opened` that there may be new files to
    watch, `changed` that what status shows may be another. `judge` says whether a window's running turns may be handed
    over. `shows` puts the seal of all leaves where editors look for it, and says whether they can see it.
    """

    def __init__(
        self,
        configs: Configs,
        state: Path,
        log: Logger,
        *,
        clock: Callable[[], float],
        listeners: Sequence[Callable[[Notice], None]] = (),
        writers: Sequence[Callable[[Record], None]] = (),
        toast: Callable[[Toast, str], None] = lambda _toast, _directory: None,
        applied: Callable[[Config], None] = lambda _config: None,
        opened: Callable[[], None] = lambda: None,
        judge: Callable[[Hello], Verdict] = lambda _hello: Verdict(handover=True),
        changed: Callable[[], None] = lambda: None,
        disk: Disk | None = None,
        shows: Callable[[str], bool] = lambda _seal: False,
    ) -> None:
        self.clock = clock
        self.started = clock()
        self.configs = configs
        self.log = log
        self.other_problems: Callable[[], tuple[str, ...]] = tuple
        self._writers = writers
        self._listeners, self._toast, self._applied, self._opened = listeners, toast, applied, opened
        self._judge, self._shows = judge, shows
        self._changed = changed
        self._said: dict[str, tuple[str, ...]] = {}
        self._sealed = False
        self.engine = self._new_engine()
        self.store = Store(
            state,
            lambda: self.engine.dump(self.clock()),
            log,
            changes=self._what_changed,
            merge=merge,
            lost=self._forget,
            disk=disk,
        )
        self.store.read(self._restore)
        self._report(configs.first, (), kept="the built-in settings are in force")

    async def hello(self, event: Hello) -> HelloReply:
        """Take a window's introduction; its directory's configuration is loaded anew."""
        problems: tuple[str, ...] = ()
        warnings: tuple[str, ...] = ()
        change = self.configs.open(event.directory, event.overrides)
        if change is not None:
            self._opened()
            self._apply(change)
            problems, warnings = change.problems, change.warnings
        elif event.directory:
            warnings = (f"{event.directory}: the project's own configuration is not used",)
        if event.protocol != PROTOCOL:
            warnings += (f"the plugin speaks protocol {event.protocol}, the daemon {PROTOCOL}; update both",)
        reply = self.engine.hello(event, self.clock())
        warnings = tuple(dict.fromkeys((*warnings, *reply.warnings)))
        self._warn(event.directory, warnings)
        self._announce()
        self.store.touch()
        verdict = self._judge(event)
        return reply.model_copy(
            update={
                "warnings": tuple(map(redact, (*problems, *warnings))),
                "handover": verdict.handover,
                "handover_why": verdict.why,
            }
        )

    async def route(self, event: Route) -> Decision:
        """Decide before something is sent; answered at once, saved within a second."""
        decision = self.engine.route(event, self.clock())
        self._decided("route", event, decision)
        self.store.touch()
        return decision

    async def outcome(self, event: Outcome) -> Decision:
        """Take how an attempt ended; answered when that outlives the process."""
        decision = self.engine.outcome(event, self.clock())
        self._decided("outcome", event, decision)
        await self.store.commit()
        return decision if self._sealed else decision.model_copy(update={"leave": None})

    async def events(self, event: EditorEvents) -> EventsReply:
        """Take raw editor events; answered when what they say outlives the process."""
        reply = self.engine.events(event, self.clock())
        self._announce()
        await self.store.commit()
        return reply

    async def control(self, verb: Verb, event: TargetCommand) -> Done:
        """Carry out what a person asked for.

        Raises:
            ValueError: it cannot be done; the message says why.
        """
        self.engine.control(verb, event, self.clock())
        self._announce()
        await self.store.commit()
        return Done()

    async def explain(self, event: Route) -> Decision:
        """Say what `route` would decide and why; changes nothing."""
        return self.engine.explain(event, self.clock())

    def roster(self, models_of: str | None = None) -> Roster:
        """Give what there is to use, with the models of one provider.

        Raises:
            ValueError: nobody knows this provider; the message names those there are.
        """
        found = self.engine.roster(self.clock(), models_of=models_of)
        if models_of is not None and all(provider.id != models_of for provider in found.providers):
            names = ", ".join(provider.id for provider in found.providers) or "none yet; open the editor once"
            raise ValueError(f"no provider {models_of!r}; known are: {names}")
        # An address can hold a password.
        safe = (p.model_copy(update={"base_url": redact(p.base_url)}) for p in found.providers)
        return found.model_copy(update={"providers": tuple(safe)})

    def snapshot(self) -> Snapshot:
        """Give the engine's picture of this moment."""
        return self.engine.snapshot(self.clock())

    def glance(self) -> Glance:
        """Give the short picture an editor keeps on the screen."""
        return self.engine.glance(self.clock())

    def status(self) -> Status:
        """Give everything status shows."""
        return Status(**dict(self.snapshot()), daemon=self.health())

    def health(self) -> Health:
        """Say whether everything works."""
        saving = () if self.store.problem is None else (self.store.problem,)
        # They quote what the user wrote, which may be a key in a wrong place.
        problems = tuple(map(redact, (*saving, *self.configs.problems, *self.other_problems())))
        return Health(
            version=sidecar.__version__,
            protocol=PROTOCOL,
            pid=os.getpid(),
            started=self.started,
            state="degraded" if problems else "ok",
            problems=problems,
            warnings=self._warnings(),
            state_file=str(self.store.path),
        )

    def reload(self, *, force: bool = False) -> None:
        """Read again the configuration files that changed (all, if `force`) and put them in force."""
        for change in self.configs.reload(force=force, patient=True):
            self._apply(change)
        self._announce()

    def tick(self) -> None:
        """Look after what nobody reports; called every few seconds."""
        self.engine.observe(self.clock())
        self.store.notice_deletion()

    def _warnings(self) -> tuple[str, ...]:
        # Only of the last window: of older ones nobody knows whether they are still open.
        versions = [
            f"the plugin OpenCode runs in {window.directory} is version {window.shim_version}, the daemon "
            f"{sidecar.__version__}; close and open that OpenCode, or: rate-limit-sidecar restart"
            for window in self.engine.windows()[-1:]
            if window.shim_version not in ("", sidecar.__version__)
        ]
        return tuple(dict.fromkeys((*self.configs.warnings, *self.engine.unmatched(), *versions)))

    def _new_engine(self) -> Engine:
        return Engine(self.configs.user, version=sidecar.__version__, run=f"{os.getpid()}-{self.started:.6f}")

    def _what_changed(self) -> dict[str, Any] | None:
        return self.engine.changes()

    def _restore(self, data: object) -> None:
        # A fresh engine, so that nothing is left of a document that turns out to be damaged half way.
        engine = self._new_engine()
        engine.load(data, self.clock())
        self.engine = engine

    def _forget(self) -> None:
        self.engine.control("reset", TargetCommand(), self.clock())
        self._announce()

    def _apply(self, change: Change) -> None:
        unmatched: tuple[str, ...] = ()
        if change.config is not None:
            unmatched = self.engine.configure(change.config, self.clock(), directory=change.directory)
            if not change.directory:
                self._applied(change.config)
        self._report(change, unmatched)

    def _report(self, change: Change, unmatched: tuple[str, ...], *, kept: str = "the last good one stays") -> None:
        if change.news:
            for problem in change.problems:
                self.log.error("configuration cannot be used", why=problem, instead=kept)
            if change.problems:
                message = f"{redact(change.problems[0])} - {kept}"
                self._toast(Toast(title="Configuration", message=message, variant="error"), change.directory)
        if change.mended:
            mended = Toast(title="Configuration", message="in order again", variant="success")
            self._toast(mended, change.directory)
        if change.config is not None:
            self.log.info("configuration in force", directory=change.directory or "every directory")
        if change.config is not None or change.news:
            self._warn(change.directory, (*change.warnings, *unmatched))

    def _warn(self, directory: str, warnings: tuple[str, ...]) -> None:
        """Log warnings that were not the last ones said about this directory."""
        known = self._said.get(directory, ())
        for warning in warnings:
            if warning not in known:
                self.log.warning("check the configuration", why=warning, directory=directory)
        if len(self._said) > _SAID:
            self._said.clear()
        self._said[directory] = warnings

    def _decided(self, what: str, event: Route | Outcome, decision: Decision) -> None:
        # Looked at first: making a line that nobody writes takes ten times as long as the decision.
        if self.log.isEnabledFor(logging.DEBUG):
            details: dict[str, Any] = {"from": str(event.target.target), "session": event.session, "agent": event.agent}
            if decision.target is not None:
                details["to"] = str(decision.target.target)
            self.log.debug(what, action=decision.action, why=decision.reason.text, **details)
        self._announce()

    def _announce(self) -> None:
        self._sealed = self._shows(self.engine.seal)
        for notice in self.engine.drain():
            for listener in self._listeners:
                listener(notice)
        for record in self.engine.drain_records():
            for write in self._writers:
                write(record)
        self._changed()
