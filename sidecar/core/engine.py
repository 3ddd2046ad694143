"""The one class the daemon holds: takes events, remembers, decides.

`Engine` is the only place where memory changes hands between the rooms of the core. It is pure in the sense of the
core: time comes in as `now`, what happened goes out as notices to be drained, and nothing in here waits for anything.
The rules of a switch stand in `switching.py`, what is shown in `picture.py`, what is saved in `memory.py`.
"""

from collections.abc import Sequence
from typing import Any, Literal

from sidecar.config.models import Config, ErrorPattern
from sidecar.core.checks import metered, settings_of
from sidecar.core.decisions import Decision, EventsReply, FailureInfo, HelloReply, Notice, Reason
from sidecar.core.editor import SessionDeleted, SessionFailed, StepBegan, StepEnded, read
from sidecar.core.events import PROTOCOL, EditorEvents, Hello, Outcome, Route, TargetCommand
from sidecar.core.failure import Evidence, Failure, Kind, Scope
from sidecar.core.lint import lint
from sidecar.core.memory import Memory
from sidecar.core.picture import picture
from sidecar.core.refusals.hints import learn_limits
from sidecar.core.sessions import Session
from sidecar.core.snapshot import Snapshot
from sidecar.core.switching import Mover
from sidecar.core.target import Target
from sidecar.core.words import KIND_WORDS, span

Verb = Literal["reset", "disable", "enable", "clear", "allow"]
# An outcome that says it happened longer ago than this is counted as of then: nothing longer is looked at anyway.
OLDEST_REPORT_S = 86_400.0
# Asking delays a request by the editor's own work that runs meanwhile, some ten milliseconds. Just after an answer
# nothing new is learned by it; after a second another window may have been refused.
PASS_S = 1.0


class Engine:
    """Everything known and every decision taken, for all windows of one user."""

    def __init__(self, config: Config, *, version: str = "") -> None:
        self.version = version
        self._configs: dict[str, Config] = {"": config}
        self._memory = Memory()
        self._notices: list[Notice] = []

    def configure(self, config: Config, now: float, *, directory: str = "") -> tuple[str, ...]:
        """Take a new configuration for every directory ("") or one; gives warnings about names that match nothing.

        A provider whose settings changed is forgiven what only a change of key or account could mend.
        """
        old = self._configs.get(directory)
        self._configs[directory] = config
        if old is not None and old != config:
            for provider in {*old.providers, *config.providers}:
                if old.providers.get(provider) != config.providers.get(provider):
                    self._memory.health.forgive(provider, config)
            reason = Reason(code="configured", text="a new configuration is in force")
            self._notices.append(Notice(event="control", at=now, directory=directory, reason=reason))
        return lint(config, self._memory.fleet.at(directory))

    def config(self, directory: str) -> Config:
        """Give the configuration in force for an editor working in `directory`."""
        return self._configs.get(directory) or self._configs[""]

    def hello(self, event: Hello, now: float) -> HelloReply:
        """Take a window's introduction; its connected providers replace what that directory said before."""
        self._memory.health.observe(now)
        config = self.config(event.directory)
        connected = self._memory.fleet.report(event.directory, event.providers)
        self._memory.said_hello_at = now
        slow = {p: settings_of(p, config, connected).first_token_timeout for p in connected.providers}
        timeouts = {p: t for p, t in slow.items() if t is not None}
        return HelloReply(
            protocol=PROTOCOL,
            version=self.version,
            warnings=lint(config, connected),
            toasts=config.toasts,
            first_token_timeout_s={"*": config.first_token_timeout, **timeouts},
        )

    def route(self, event: Route, now: float) -> Decision:
        """Decide about a message that opens a turn, or about one attempt before it is sent.

        An attempt that may be sent is counted here, under its id; its outcome confirms it.
        """
        self._memory.health.observe(now)
        mover = self._mover(event, now)
        if event.passed:
            decision = Decision(reason=Reason(code="passed", text="sent with an earlier answer's leave"))
        else:
            decision = mover.message() if event.at == "message" else mover.attempt()
            if event.at == "message" or decision.action == "switch":
                decision = self._with_pass(decision, mover)
        if event.at == "attempt" and event.attempt and decision.action == "proceed":
            self._memory.attempt(event.attempt, event.target.target, event.agent, now)
        return decision

    def outcome(self, event: Outcome, now: float) -> Decision:
        """Take how an attempt ended; decides what happens to the step when it failed.

        A report for an attempt that has already been reported changes nothing.
        """
        at = now - min(event.age_s, OLDEST_REPORT_S)
        target = event.target.target
        memory = self._memory
        memory.health.observe(now)
        if event.ended == "aborted":
            if memory.attempt_stopped(event.attempt):
                memory.health.stopped(target, self.config(event.directory), at)
            return Decision(reason=Reason(code="aborted", text="the user stopped it"))
        if not memory.attempt_ended(event.attempt, target, event.agent, at):
            return Decision(reason=Reason(code="known", text="already reported"))
        memory.usage.learn(target, learn_limits(target.provider, event.headers, at), at)
        memory.sessions.saw_attempt(event.session, target.provider)
        if event.mobility == "handover":
            memory.current = target
        if event.ended == "ok":
            return self._answered(event, at, now)
        failure = self._classify(event, at)
        if event.age_s:
            # Its turn may be long over: nothing of it may touch the one that runs now.
            self._failed(target, failure, event.directory, at, event)
            return Decision(reason=Reason(code="late", text="reported too late to act on"), failure=_info(failure))
        mover = self._mover(event, now)
        if event.ended == "empty" and mover.may_continue():
            return mover.again()
        self._failed(target, failure, event.directory, at, event)
        decision = mover.failed(failure).model_copy(update={"failure": _info(failure)})
        return self._with_pass(decision, mover) if decision.action == "switch" else decision

    def events(self, event: EditorEvents, now: float) -> EventsReply:
        """Take raw editor events: tokens and cost, and, from agents that report no attempts, requests and failures."""
        self._memory.health.observe(now)
        for raw in event.events:
            at = now - min(raw.age_s, OLDEST_REPORT_S)
            match read(raw):
                case StepEnded() as step:
                    self._step(step, event, at)
                case StepBegan() as began if not self._reported(began.session, began.target.provider, event):
                    self._memory.sessions.at(began.session, began.turn, began.target).current = began.target
                case SessionFailed(aborted=False) as failed:
                    self._session_failed(failed, event, at)
                case SessionDeleted(session=session):
                    self._memory.sessions.forget(session)
                case _:
                    pass
        return EventsReply(accepted=len(event.events))

    def control(self, verb: Verb, event: TargetCommand, now: float) -> None:
        """Carry out what a person asked for: on one target, one provider, or (reset, clear) everything.

        Raises:
            ValueError: the provider or model is unknown, or the verb needs a provider.
        """
        memory, provider, model = self._memory, event.provider, event.model
        memory.health.observe(now)
        if provider is None and (model is not None or verb not in ("reset", "clear")):
            raise ValueError(f"{verb} needs a provider, for example: rate-limit-sidecar {verb} anthropic")
        if provider is not None:
            self._known(provider, model)
        match verb, provider:
            case "disable", str():
                memory.health.disable(provider, model, until=None if event.for_s is None else now + event.for_s)
            case "enable", str():
                memory.health.enable(provider, model)
            case "allow", str():
                memory.permitted[provider] = now
            case "clear", _:
                memory.health.clear(self.config(""), provider, model)
            case _:
                memory.reset(self.config(""), provider, model)
        what = "everything" if provider is None else str(Target(provider, model)) if model else provider
        reason = Reason(code=verb, text=f"{verb} {what}, by hand")
        self._notices.append(Notice(event="control", at=now, source=what, reason=reason))

    def explain(self, event: Route, now: float) -> Decision:
        """Say what `route` would decide, with every candidate's reason; changes nothing."""
        return self._mover(event, now, peek=True).explain()

    def drain(self) -> tuple[Notice, ...]:
        """Give what happened since the last call, oldest first."""
        drained, self._notices = tuple(self._notices), []
        return drained

    def snapshot(self, now: float) -> Snapshot:
        """Give what status shows."""
        return picture(self._memory, self._configs[""], now)

    def dump(self, now: float) -> dict[str, Any]:
        """Give the content of the state file."""
        return self._memory.dump(picture(self._memory, self._configs[""], now, brief=True))

    def load(self, data: object, now: float) -> None:
        """Take the content of a state file.

        Raises:
            NewerStateError: written by a newer version.
            ValueError: damaged; the message names the place. The engine is unchanged either way.
        """
        loaded = Memory.load(data, now)
        loaded.fleet = self._memory.fleet
        self._memory = loaded

    def _mover(self, event: Route | Outcome, now: float, *, peek: bool = False) -> Mover:
        return Mover(self._memory, event, self.config(event.directory), now, self._notices.append, peek=peek)

    def _answered(self, event: Outcome, at: float, now: float) -> Decision:
        target, memory = event.target.target, self._memory
        started = None if event.latency_ms is None else at - event.latency_ms / 1000
        if event.first_token_ms is not None:
            memory.pace.record(target, event.first_token_ms)
        if memory.health.succeed(target, self.config(event.directory), at, started=started):
            self._notice("back", now, event, Reason(code="back", text="answers again"), source=str(target))
        answered = Decision(reason=Reason(code="ok", text="answered"))
        if event.age_s:
            return answered
        mover = self._mover(event, now)
        mover.answered()
        return self._with_pass(answered, mover)

    def _with_pass(self, decision: Decision, mover: Mover) -> Decision:
        """Spare the next attempt its question where nothing is in sight that could change the answer."""
        next_at = mover.target if decision.target is None else decision.target.target
        return decision.model_copy(update={"pass_s": PASS_S}) if mover.at_ease(next_at) else decision

    def _classify(self, event: Outcome, at: float) -> Failure:
        if event.ended == "empty":
            return EMPTY_ANSWER
        if event.status is None and event.error == NO_FIRST_TOKEN.rule:
            return NO_FIRST_TOKEN
        evidence = Evidence(
            provider=event.target.provider,
            status=event.status,
            headers=event.headers,
            message=event.error,
            body=event.body,
        )
        return classify(evidence, at, self.config(event.directory).error_patterns)

    def _failed(
        self, target: Target, failure: Failure, directory: str, at: float, event: Outcome | None = None
    ) -> None:
        """Record a failure where it belongs and announce what it costs the target."""
        latency = None if event is None else event.latency_ms
        started = None if latency is None else at - latency / 1000
        block = self._memory.health.fail(target, failure, self.config(directory), at, started=started)
        until = None if block is None else block.until
        rest = f"; not used for {span(until - at)}" if until is not None and until > at else ""
        reason = Reason(code=failure.kind.value, text=f"{failure.why or KIND_WORDS[failure.kind]}{rest}")
        self._notice("failure", at, event, reason, source=str(target), kind=failure.kind, until=until)

    def _reported(self, session: str, provider: str, batch: EditorEvents) -> bool:
        """Whether a session's attempts are reported one by one; of one we have forgotten, the sender says it."""
        found = self._memory.sessions.find(session)
        return batch.reports_attempts if found is None else provider in found.reporting

    def _step(self, step: StepEnded, batch: EditorEvents, at: float) -> None:
        memory, directory = self._memory, batch.directory
        if not memory.message_is_new(step.message):
            return
        if not self._reported(step.session, step.target.provider, batch):
            memory.usage.attempt(step.target, step.agent, at)
            memory.current = step.target
            if step.failure is not None:
                failure = classify(step.failure, at, self.config(directory).error_patterns)
                self._failed(step.target, failure, directory, at)
            elif not step.aborted:
                memory.health.succeed(step.target, self.config(directory), at)
        if step.tokens or step.cost:
            memory.usage.spend(step.target, step.agent, tokens=step.tokens, cost=step.cost, at=at)
            self._guard(memory.sessions.find(step.session), step, directory, at)

    def _guard(self, session: Session | None, step: StepEnded, directory: str, at: float) -> None:
        """Count what a metered stand-in cost against the allowance for such switches."""
        config, connected = self.config(directory), self._memory.fleet.at(directory)
        if session is None or session.wanted.target == step.target or metered(session.wanted.target, config, connected):
            return
        if metered(step.target, config, connected):
            self._memory.add_guarded(step.cost, at)

    def _session_failed(self, failed: SessionFailed, batch: EditorEvents, at: float) -> None:
        """Take a session's error only where no attempt says more: from an agent whose requests we do not see."""
        session = self._memory.sessions.find(failed.session)
        if session is None or session.current.provider in session.reporting:
            return
        failure = classify(failed.evidence, at, self.config(batch.directory).error_patterns)
        if failure.kind is not Kind.UNKNOWN:
            self._failed(session.current.target, failure, batch.directory, at)

    def _known(self, provider: str, model: str | None) -> None:
        known = self._memory.providers() | set(self._configs[""].providers)
        if provider not in known:
            names = ", ".join(sorted(known)) or "none yet; open the editor once"
            raise ValueError(f"no provider {provider!r}; known are: {names}")
        models = self._memory.models(provider)
        if model is not None and model not in models:
            names = ", ".join(sorted(models)[:20]) or "none yet"
            raise ValueError(f"no model {model!r} at {provider}; known are: {names}")

    def _notice(
        self,
        event: Literal["back", "failure"],
        at: float,
        source_event: Outcome | None,
        reason: Reason,
        *,
        source: str,
        kind: Kind | None = None,
        until: float | None = None,
    ) -> None:
        where = {} if source_event is None else _where(source_event)
        self._notices.append(Notice(event=event, at=at, source=source, reason=reason, kind=kind, until=until, **where))


def classify(evidence: Evidence, at: float, patterns: Sequence[ErrorPattern]) -> Failure:
    """See `refusals.classify`, whose tables are loaded when the first refusal needs them, or when there is time."""
    from sidecar.core.refusals.classify import classify as decide  # noqa: PLC0415

    return decide(evidence, at, patterns)


EMPTY_ANSWER = Failure(
    kind=Kind.SERVER, scope=Scope.MODEL, why="answered with success and no content", rule="empty_answer"
)
NO_FIRST_TOKEN = Failure(kind=Kind.TIMEOUT, scope=Scope.MODEL, why="no first token in time", rule="first_token_timeout")


def _where(event: Outcome) -> dict[str, Any]:
    return {"session": event.session, "agent": event.agent, "directory": event.directory}


def _info(failure: Failure) -> FailureInfo:
    return FailureInfo(kind=failure.kind, scope=failure.scope, retry_after_s=failure.retry_after_s, why=failure.why)
