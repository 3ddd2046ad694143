"""What an editor's own bus events add to what is remembered: tokens and cost of every step, and where sessions are.

Of agents that report no attempts they are also all there is to see, so their requests and failures are counted by them.
Nothing here is asked for an answer; what the events mean is read in `editor.py`.
"""

from collections.abc import Iterable
from dataclasses import replace

from sidecar.config.models import Config
from sidecar.core.budget import Reached, guard_reached, reached
from sidecar.core.checks import ample, metered
from sidecar.core.editor import Meaning, SessionDeleted, SessionFailed, StepBegan, StepEnded
from sidecar.core.events import EditorEvents
from sidecar.core.failure import Failure, Kind
from sidecar.core.memory import Memory
from sidecar.core.news import News
from sidecar.core.records import StepUsed
from sidecar.core.sessions import Session
from sidecar.core.setback import classify, fail
from sidecar.core.target import Target
from sidecar.redact import redact_place


class Watcher:
    """Takes the events of one batch, and is dropped after it."""

    def __init__(self, memory: Memory, batch: EditorEvents, config: Config, news: News) -> None:
        self._memory = memory
        self._batch = batch
        self._config = config
        self._news = news
        self._connected = memory.fleet.at(batch.directory)

    def take(self, meaning: Meaning | None, at: float) -> None:
        """Take one event, which happened at `at` (epoch seconds); None is one that means nothing here."""
        match meaning:
            case StepEnded() as step:
                self._step(step, at)
            case StepBegan() as began if not self._reported(began.session, began.target.provider):
                self._memory.sessions.at(began.session, began.turn, began.target).current = began.target
            case SessionFailed(aborted=False) as failed:
                self._session_failed(failed, at)
            case SessionDeleted(session=session):
                self._memory.sessions.forget(session)
            case _:
                pass

    def _reported(self, session: str, provider: str) -> bool:
        """Whether a session's attempts are reported one by one; of one we have forgotten, the sender says it."""
        found = self._memory.sessions.find(session)
        return self._batch.reports_attempts if found is None else provider in found.reporting

    def _step(self, step: StepEnded, at: float) -> None:
        memory, config = self._memory, self._config
        if not memory.message_is_new(step.message):
            return
        failed = step.failure is not None or step.aborted
        answered = step.target if failed else memory.who_answered(step.session, step.agent, step.target)
        if answered != step.target:
            step = replace(step, target=answered, cost=self._price(step, answered))
        counted, failure = not self._reported(step.session, step.target.provider), None
        if counted:
            memory.usage.attempt(step.target, step.agent, at)
            memory.current = step.target
            if step.failure is not None:
                failure = classify(step.failure, at, config.error_patterns)
                fail(step.target, failure, memory, self._news, config=config, at=at)
            elif not step.aborted:
                memory.health.succeed(step.target, config, at)
        if counted or any(step.used) or step.cost:
            self._news.record(_used(step, self._batch.directory, at, failure, counted=counted))
        if step.tokens or step.cost:
            memory.usage.spend(step.target, step.agent, tokens=step.tokens, cost=step.cost, at=at)
            if not ample(step.target, memory.usage, config, at):
                memory.leaves.recall()
            self._guard(memory.sessions.find(step.session), step, at)
            self._announce(reached(step.target, memory, config, at), at)

    def _price(self, step: StepEnded, target: Target) -> float:
        """Give what a step cost where it was answered (US dollars); the editor reckoned with another's prices."""
        model = self._connected.models.get(target)
        if model is None:
            return step.cost
        used = step.used
        read, written = used.input + used.cache_read + used.cache_write, used.output + used.reasoning
        return (read * model.cost_input + written * model.cost_output) / 1e6

    def _guard(self, session: Session | None, step: StepEnded, at: float) -> None:
        """Count what a metered stand-in cost against the allowance for such switches."""
        config, connected = self._config, self._connected
        if session is None or session.wanted.target == step.target or metered(session.wanted.target, config, connected):
            return
        if metered(step.target, config, connected):
            self._memory.add_guarded(step.cost, at)
            self._announce(guard_reached(self._memory, config, at), at)

    def _announce(self, used_up: Iterable[Reached], at: float) -> None:
        """Announce each budget that is used up once a day."""
        new = (budget for budget in used_up if self._memory.tells_budget(budget.subject, at))
        self._news.budgets(new, self._batch.directory, at)

    def _session_failed(self, failed: SessionFailed, at: float) -> None:
        """Take a session's error only where no attempt says more: from an agent whose requests we do not see."""
        session = self._memory.sessions.find(failed.session)
        if session is None or session.current.provider in session.reporting:
            return
        failure = classify(failed.evidence, at, self._config.error_patterns)
        if failure.kind is not Kind.UNKNOWN:
            fail(session.current.target, failure, self._memory, self._news, config=self._config, at=at)


def _used(step: StepEnded, directory: str, at: float, failure: Failure | None, *, counted: bool) -> StepUsed:
    return StepUsed(
        step.message,
        step.session,
        step.turn,
        step.agent,
        redact_place(directory),
        step.target,
        at,
        step.completed,
        step.used,
        step.cost,
        counted,
        "failed" if step.failure is not None else "aborted" if step.aborted else "ok",
        None if failure is None else failure.kind,
        "" if failure is None else failure.rule,
    )
