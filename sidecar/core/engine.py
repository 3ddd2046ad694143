"""The one class the daemon holds: takes events, remembers, decides.

`Engine` is the only place where memory changes hands between the rooms of the core. It is pure in the sense of the
core: time comes in as `now`, what happened goes out as notices to be drained, and nothing in here waits for anything.
The rules of a switch stand in `switching.py`, what an editor's own events add in `watching.py`, what is shown in
`picture.py`, what is saved in `memory.py`.
"""

from typing import Any, Literal

from sidecar.config.models import Config
from sidecar.core import records, switching
from sidecar.core.checks import ample, settings_of
from sidecar.core.decisions import Decision, EventsReply, FailureInfo, HelloReply, Notice, Reason
from sidecar.core.editor import read
from sidecar.core.events import PROTOCOL, STEPS, EditorEvents, Hello, Outcome, Route, TargetCommand
from sidecar.core.failure import Failure
from sidecar.core.fleet import Window
from sidecar.core.glance import Glance, glance
from sidecar.core.lint import lint
from sidecar.core.memory import Memory
from sidecar.core.moment import Moment
from sidecar.core.news import News
from sidecar.core.picture import picture
from sidecar.core.pin import Pin
from sidecar.core.records import Record
from sidecar.core.refusals.hints import learn_limits
from sidecar.core.roster import Roster, WindowFacts, roster, windows
from sidecar.core.setback import fail, failure_of
from sidecar.core.snapshot import Snapshot
from sidecar.core.target import Target
from sidecar.core.watching import Watcher

Verb = Literal["reset", "disable", "enable", "clear", "allow", "use"]
# An outcome that says it happened longer ago than this is counted as of then: nothing longer is looked at anyway.
OLDEST_REPORT_S = 86_400.0
# Asking delays a request by the editor's own work that runs meanwhile, some ten milliseconds. Just after an answer
# nothing new is learned by it; after a second another window may have been refused.
PASS_S = 1.0
SESSIONS_SHOWN = 50


class Engine:
    """Everything known and every decision taken, for all windows of one user.

    `run` tells one life of the daemon from the next, in the seal of the leaves it gives.
    """

    def __init__(self, config: Config, *, version: str = "", run: str = "") -> None:
        self.version = version
        self._run = run
        self._configs: dict[str, Config] = {"": config}
        self._memory = Memory()
        self._news = News()
        self._unmatched: tuple[str, ...] | None = None

    def configure(self, config: Config, now: float, *, directory: str = "") -> tuple[str, ...]:
        """Take a new configuration for every directory ("") or one; gives warnings about names that match nothing.

        A provider whose settings changed is forgiven what only a change of key or account could mend.
        """
        old = self._configs.get(directory)
        self._configs[directory] = config
        self._unmatched = None
        self._memory.leaves.recall()
        if old is not None and old != config:
            for provider in {*old.providers, *config.providers}:
                if old.providers.get(provider) != config.providers.get(provider):
                    self._memory.health.forgive(provider, config)
            reason = Reason(code="configured", text="a new configuration is in force")
            self._news.notify(Notice(event="control", at=now, directory=directory, reason=reason))
        return lint(config, self._memory.fleet.at(directory))

    @property
    def seal(self) -> str:
        """Give the text under which leaves hold; it is another one as soon as any of them might not (see `leaves`)."""
        return f"{self._run}.{self._memory.leaves.number}"

    def config(self, directory: str) -> Config:
        """Give the configuration in force for an editor working in `directory`."""
        return self._configs.get(directory) or self._configs[""]

    def hello(self, event: Hello, now: float) -> HelloReply:
        """Take a window's introduction; its connected providers replace what that directory said before."""
        self._memory.health.observe(now)
        config = self.config(event.directory)
        window = Window(
            client=event.client,
            client_version=event.client_version,
            shim_version=event.shim_version,
            agents=tuple(event.agents),
            at=now,
        )
        self._memory.leaves.recall()
        connected = self._memory.fleet.report(event.directory, event.providers, window)
        self._unmatched = None
        self._memory.said_hello_at = now
        slow = {p: settings_of(p, config, connected).first_token_timeout for p in connected.providers}
        timeouts = {p: t for p, t in slow.items() if t is not None}
        return HelloReply(
            protocol=PROTOCOL,
            version=self.version,
            warnings=lint(config, connected),
            toasts=config.toasts,
            stderr=config.stderr,
            first_token_timeout_s={"*": config.first_token_timeout, **timeouts},
        )

    def route(self, event: Route, now: float) -> Decision:
        """Decide about a message that opens a turn, or about one attempt before it is sent.

        An attempt that may be sent is counted here, under its id; its outcome confirms it.
        """
        self._memory.health.observe(now)
        moment = self._moment(event, now)
        if event.passed:
            decision = switching.opened(moment) if event.at == "message" else switching.sent()
        else:
            decision = switching.message(moment) if event.at == "message" else switching.attempt(moment)
            if event.at == "message" or decision.action == "switch":
                decision = _with_pass(decision, moment)
        if event.at == "attempt" and event.attempt and decision.action == "proceed":
            self._memory.attempt(event.attempt, event.target.target, event.agent, now)
            self._used(event.target.target, moment.config, now)
            self._news.record(records.began(event, event.attempt, now))
        return self._decided(event, decision, now)

    def outcome(self, event: Outcome, now: float) -> Decision:
        """Take how an attempt ended, or that a probe has begun to answer; decides what a failure costs the step.

        A report for an attempt that has already been reported changes nothing.
        """
        return self._decided(event, self._outcome(event, now), now)

    def events(self, event: EditorEvents, now: float) -> EventsReply:
        """Take raw editor events: tokens and cost, and, from agents that report no attempts, requests and failures."""
        self._memory.health.observe(now)
        watcher = Watcher(self._memory, event, self.config(event.directory), self._news)
        for raw in event.events:
            watcher.take(read(raw), now - min(raw.age_s, OLDEST_REPORT_S))
        return EventsReply(accepted=len(event.events))

    def control(self, verb: Verb, event: TargetCommand, now: float) -> None:
        """Carry out what a person asked for: on one target, one provider, or (reset, clear) everything.

        `use` without a provider takes back what was picked.

        Raises:
            ValueError: the provider or model is unknown, or the verb needs a provider.
        """
        memory, provider, model = self._memory, event.provider, event.model
        memory.health.observe(now)
        if provider is None and (model is not None or verb not in ("reset", "clear", "use")):
            raise ValueError(f"{verb} needs a provider, for example: rate-limit-sidecar {verb} anthropic")
        if provider is not None:
            self._known(provider, model)
        memory.leaves.recall()
        match verb, provider:
            case "disable", str():
                memory.health.disable(provider, model, until=None if event.for_s is None else now + event.for_s)
            case "enable", str():
                memory.health.enable(provider, model)
            case "allow", str():
                memory.permitted[provider] = now
            case "use", _:
                until = None if event.for_s is None else now + event.for_s
                memory.pick(None if provider is None else Pin(provider, model, until))
            case "clear", _:
                memory.health.clear(self.config(""), provider, model)
            case _:
                memory.reset(self.config(""), provider, model)
        nothing = "what comes by itself" if verb == "use" else "everything"
        what = nothing if provider is None else str(Target(provider, model)) if model else provider
        reason = Reason(code=verb, text=f"{verb} {what}, by hand")
        self._news.notify(Notice(event="control", at=now, source=what, reason=reason))

    def explain(self, event: Route, now: float) -> Decision:
        """Say what `route` would decide, with every candidate's reason; changes nothing."""
        config = self.config(event.directory)
        return switching.explain(Moment.imagined(self._memory, event, config, now, self._news.notify))

    def observe(self, now: float) -> None:
        """Read the clock while nothing happens: a step back is taken for no more than the time since the last look."""
        self._memory.health.observe(now)

    def drain(self) -> tuple[Notice, ...]:
        """Give what happened since the last call, oldest first."""
        return self._news.drain()

    def drain_records(self) -> list[Record]:
        """Give what is to be written down since the last call, oldest first."""
        return self._news.drain_records()

    def snapshot(self, now: float) -> Snapshot:
        """Give what status shows."""
        return picture(self._memory, self._configs[""], now)

    def glance(self, now: float) -> Glance:
        """Give what an editor keeps on the screen."""
        return glance(self.snapshot(now), self._memory.sessions.latest(SESSIONS_SHOWN))

    def roster(self, now: float, *, models_of: str | None = None) -> Roster:
        """Give what there is to use, and who is connected to it; with the models of one provider."""
        return roster(self._memory, self._configs[""], now, models_of=models_of)

    def windows(self) -> tuple[WindowFacts, ...]:
        """Give the editor windows that introduced themselves, the last one last."""
        return windows(self._memory)

    def target_names(self) -> tuple[str, ...]:
        """Give every known provider and target as they are written, sorted: what can be named in a command."""
        memory = self._memory
        known = memory.providers() | set(self._configs[""].providers)
        return tuple(sorted({*known, *(f"{p}/{m}" for p in known for m in memory.models(p))}))

    def unmatched(self) -> tuple[str, ...]:
        """Give a sentence for every configured name that matches nothing now.

        What the user wrote for every directory is held against what is connected in any of them, so that a project
        with fewer providers is no reason to warn; a directory's own configuration against what is connected there.
        """
        if self._unmatched is None:
            fleet = self._memory.fleet
            found = list(lint(self._configs[""], fleet.together()))
            for directory, connected in fleet.by_directory().items():
                config = self._configs.get(directory)
                if directory and config is not None:
                    found += lint(config, connected)
            self._unmatched = tuple(dict.fromkeys(found))
        return self._unmatched

    def dump(self, now: float) -> dict[str, Any]:
        """Give the content of the state file."""
        return self._memory.dump(picture(self._memory, self._configs[""], now, brief=True))

    def changes(self) -> dict[str, Any] | None:
        """Give what became different in the state file's content since the last call; None when it must be all."""
        return self._memory.changes()

    def load(self, data: object, now: float) -> None:
        """Take the content of a state file.

        Raises:
            NewerStateError: written by a newer version.
            ValueError: damaged; the message names the place. The engine is unchanged either way.
        """
        loaded = Memory.load(data, now)
        loaded.fleet = self._memory.fleet
        self._memory = loaded

    def _outcome(self, event: Outcome, now: float) -> Decision:
        at = now - min(event.age_s, OLDEST_REPORT_S)
        target = event.target.target
        memory = self._memory
        memory.health.observe(now)
        if event.ended in ("began", "aborted"):
            return self._untold(event, at, now)
        if not memory.attempt_ended(event.attempt, target, event.agent, at):
            return Decision(reason=Reason(code="known", text="already reported"))
        memory.usage.learn(target, learn_limits(target.provider, event.headers, at), at)
        memory.sessions.saw_attempt(event.session, target.provider)
        if event.mobility in STEPS:
            memory.current = target
        if event.ended == "ok":
            self._news.record(records.ended(event, at))
            return self._answered(event, at, now)
        config = self.config(event.directory)
        failure = failure_of(event, at, config.error_patterns)
        self._news.record(records.ended(event, at, failure))
        if event.age_s:
            # Its turn may be long over: nothing of it may touch the one that runs now.
            fail(target, failure, memory, self._news, config=config, at=at, event=event)
            return Decision(reason=Reason(code="late", text="reported too late to act on"), failure=_info(failure))
        moment = self._moment(event, now)
        if event.ended == "empty" and switching.may_continue(moment):
            return switching.again(moment)
        fail(target, failure, memory, self._news, config=config, at=at, event=event)
        decision = switching.failed(moment, failure).model_copy(update={"failure": _info(failure)})
        return _with_pass(decision, moment) if decision.action == "switch" else decision

    def _decided(self, event: Route | Outcome, decision: Decision, now: float) -> Decision:
        """Write a decision down where somebody may ask for its reason."""
        self._news.record(records.decided(event, decision, now))
        return decision

    def _moment(self, event: Route | Outcome, now: float) -> Moment:
        return Moment.of(self._memory, event, self.config(event.directory), now, self._news.notify)

    def _untold(self, event: Outcome, at: float, now: float) -> Decision:
        """Take what is not yet, or will never be, an answer: a probe's first content, an attempt the user stopped.

        Who waits for what a probe finds out need not wait for the end of a long answer.
        """
        target, health, config = event.target.target, self._memory.health, self.config(event.directory)
        if event.ended == "aborted":
            if self._memory.attempt_stopped(event.attempt):
                health.stopped(target, config, at)
                self._news.record(records.ended(event, at))
            return Decision(reason=Reason(code="aborted", text="the user stopped it"))
        if health.succeed(target, config, at, started=at - (event.first_token_ms or 0.0) / 1000):
            self._news.back(event, now)
        return Decision(reason=Reason(code="began", text="answers"))

    def _answered(self, event: Outcome, at: float, now: float) -> Decision:
        target, memory = event.target.target, self._memory
        started = None if event.latency_ms is None else at - event.latency_ms / 1000
        if event.first_token_ms is not None:
            memory.pace.record(target, event.first_token_ms)
        if memory.health.succeed(target, self.config(event.directory), at, started=started):
            self._news.back(event, now)
        answered = Decision(reason=Reason(code="ok", text="answered"))
        if event.mobility in ("reroute", "same_wire") and event.agent != "title":
            memory.answered_beside(event.session, event.agent, target)
        if event.age_s:
            return answered
        moment = self._moment(event, now)
        moment.turn.progressed()
        self._used(target, moment.config, now)
        if switching.at_home(moment):
            memory.leaves.give()
            answered = answered.model_copy(update={"leave": self.seal})
        return _with_pass(answered, moment)

    def _used(self, target: Target, config: Config, now: float) -> None:
        """Take back every leave where a limit has less than ample room left."""
        leaves = self._memory.leaves
        if leaves.given and not ample(target, self._memory.usage, config, now):
            leaves.recall()

    def _known(self, provider: str, model: str | None) -> None:
        known = self._memory.providers() | set(self._configs[""].providers)
        if provider not in known:
            names = ", ".join(sorted(known)) or "none yet; open the editor once"
            raise ValueError(f"no provider {provider!r}; known are: {names}")
        models = self._memory.models(provider)
        if model is not None and model not in models:
            names = ", ".join(sorted(models)[:20]) or "none yet"
            raise ValueError(f"no model {model!r} at {provider}; known are: {names}")


def _with_pass(decision: Decision, moment: Moment) -> Decision:
    """Spare the next attempt its question where nothing is in sight that could change the answer."""
    next_at = moment.target if decision.target is None else decision.target.target
    return decision.model_copy(update={"pass_s": PASS_S}) if switching.at_ease(moment, next_at) else decision


def _info(failure: Failure) -> FailureInfo:
    return FailureInfo(
        kind=failure.kind,
        scope=failure.scope,
        retry_after_s=failure.retry_after_s,
        why=failure.why,
        rule=failure.rule,
    )
