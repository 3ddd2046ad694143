"""What there is to tell, until somebody drains it: notices for people and machines, records for the history.

Nothing here decides whether something is told, and nothing in the core reads any of it back.
"""

from collections.abc import Iterable

from sidecar.core.budget import Reached
from sidecar.core.decisions import Notice, Reason
from sidecar.core.events import Outcome
from sidecar.core.failure import Failure
from sidecar.core.records import Record
from sidecar.core.target import Target
from sidecar.core.words import KIND_WORDS, span


class News:
    """Notices and records since they were last drained, oldest first."""

    def __init__(self) -> None:
        self._notices: list[Notice] = []
        self._records: list[Record] = []

    def notify(self, notice: Notice) -> None:
        """Take a notice."""
        self._notices.append(notice)

    def record(self, record: Record | None) -> None:
        """Take what is to be written down, if there is something."""
        if record is not None:
            self._records.append(record)

    def drain(self) -> tuple[Notice, ...]:
        """Give the notices since the last call, oldest first."""
        drained, self._notices = tuple(self._notices), []
        return drained

    def drain_records(self) -> list[Record]:
        """Give the records since the last call, oldest first."""
        drained, self._records = self._records, []
        return drained

    # -- the wording of what is told in more than one place -----------------------------------------------------------

    def failed(self, target: Target, failure: Failure, until: float | None, at: float, event: Outcome | None) -> None:
        """Say that a target failed, and until when (epoch seconds) it is not used for that."""
        rest = f"; not used for {span(until - at)}" if until is not None and until > at else ""
        reason = Reason(code=failure.kind.value, text=f"{failure.why or KIND_WORDS[failure.kind]}{rest}")
        told = Notice(event="failure", at=at, source=str(target), reason=reason, kind=failure.kind, until=until)
        self.notify(told if event is None else _of(told, event))

    def back(self, event: Outcome, at: float) -> None:
        """Say that the target of an attempt answers again."""
        reason = Reason(code="back", text="answers again")
        self.notify(_of(Notice(event="back", at=at, source=str(event.target.target), reason=reason), event))

    def budgets(self, used_up: Iterable[Reached], directory: str, at: float) -> None:
        """Say of each budget that it is used up."""
        for subject, text, until in used_up:
            reason = Reason(code="budget", text=text)
            self.notify(Notice(event="budget", at=at, directory=directory, source=subject, reason=reason, until=until))


def _of(notice: Notice, event: Outcome) -> Notice:
    return notice.model_copy(update={"session": event.session, "agent": event.agent, "directory": event.directory})
