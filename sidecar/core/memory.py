"""Everything the engine remembers, and its form in the state file.

Holds the rooms' memories together, counts each attempt and each message exactly once, and reads and writes version 1
of the state. Decides nothing. Everything is bounded.
"""

from collections import deque
from collections.abc import Callable, Iterable
from datetime import UTC, datetime
from typing import Any, TypeVar

from sidecar.config.models import Config
from sidecar.core.cooldowns.health import Health
from sidecar.core.fleet import Fleet
from sidecar.core.leaves import Leaves
from sidecar.core.names.models import normalise
from sidecar.core.pace import Pace
from sidecar.core.pin import Pin
from sidecar.core.sessions import Sessions, Turn
from sidecar.core.snapshot import Snapshot
from sidecar.core.target import Target
from sidecar.core.usage.ledger import Usage

T = TypeVar("T")

VERSION = 1
DAY_S = 86_400
_KEPT = 4_000
SAVED_IDS = 256
# Answers of quick steps whose messages are still on their way.
_UNREAD = 20
# A target known to be limited is tried all the same this seldom, by all sessions together.
TRY_S = 60.0


class NewerStateError(ValueError):
    """The state was written by a newer version; reading it could lose what only that version knows."""


class Once:
    """A bounded memory of ids: the oldest are forgotten first."""

    def __init__(self, ids: Iterable[str] = ()) -> None:
        self._ids: dict[str, None] = dict.fromkeys(ids)
        self._new: deque[str] = deque(maxlen=SAVED_IDS)

    def add(self, new: str) -> bool:
        """Remember an id; False when it was known."""
        if new in self._ids:
            return False
        self._ids[new] = None
        self._new.append(new)
        if len(self._ids) > _KEPT:
            del self._ids[next(iter(self._ids))]
        return True

    def __contains__(self, known: str) -> bool:
        """Whether an id is remembered."""
        return known in self._ids

    def latest(self) -> list[str]:
        """Give the newest ids, oldest first: enough to recognise what is reported again after a restart."""
        return list(self._ids)[-SAVED_IDS:]

    def take_new(self) -> list[str]:
        """Give the ids that came since the last call, as far as they are among the newest."""
        new = list(self._new)
        self._new.clear()
        return new


class Memory:
    """What the engine remembers."""

    def __init__(self) -> None:
        self.usage = Usage()
        self.health = Health()
        self.fleet = Fleet()
        self.sessions = Sessions()
        self.pace = Pace()
        self.leaves = Leaves()
        self.current: Target | None = None
        self.turns = 0
        self.said_hello_at: float | None = None
        self.waited_for: dict[Target, float] = {}
        self._tried: dict[Target, float] = {}
        self._beside: dict[tuple[str, str], deque[Target]] = {}
        self.permitted: dict[str, float] = {}
        self.pin: Pin | None = None
        self._guard: tuple[int, float] = (0, 0.0)
        self._told_budgets: dict[str, int] = {}
        self._side_turns: dict[str, Turn] = {}
        self._counted = Once()
        self._ended = Once()
        self._messages = Once()

    def attempt(self, attempt: str, target: Target, agent: str, at: float) -> None:
        """Count an attempt under its id, once."""
        if self._counted.add(attempt):
            self.usage.attempt(target, agent, at)

    def attempt_ended(self, attempt: str, target: Target, agent: str, at: float) -> bool:
        """Take the end of an attempt, counting it if that has not been done; False when it ended before."""
        if not self._ended.add(attempt):
            return False
        self.attempt(attempt, target, agent, at)
        return True

    def attempt_stopped(self, attempt: str) -> bool:
        """Take note that the user stopped an attempt; False when it had ended before, or was never sent."""
        return self._ended.add(attempt) and attempt in self._counted

    def side_turn(self, *key: str) -> Turn:
        """Give the bookkeeping of requests beside the running turn (titles, compactions); the oldest is dropped."""
        name = "\n".join(key)
        turn = self._side_turns.pop(name, None) or Turn(key[-1])
        self._side_turns[name] = turn
        if len(self._side_turns) > SAVED_IDS:
            del self._side_turns[next(iter(self._side_turns))]
        return turn

    def wait_for(self, target: Target, now: float, until: float) -> None:
        """Note that a session sits out a short wait at a target; waits that are over are dropped."""
        self.waited_for = {**{t: end for t, end in self.waited_for.items() if end > now}, target: until}

    def may_try(self, target: Target, now: float) -> bool:
        """Whether a target known to be limited may be asked all the same; who is told so is the one who does."""
        self._tried = {t: at for t, at in self._tried.items() if abs(now - at) < TRY_S}
        if target in self._tried:
            return False
        self._tried[target] = now
        return True

    def answered_beside(self, session: str, agent: str, target: Target) -> None:
        """Note who answered a request beside the turn; the editor's record names whom it meant to ask."""
        answers = self._beside.pop((session, agent), None) or deque(maxlen=_UNREAD)
        answers.append(target)
        self._beside[session, agent] = answers
        if len(self._beside) > SAVED_IDS:
            del self._beside[next(iter(self._beside))]

    def who_answered(self, session: str, agent: str, asked: Target) -> Target:
        """Give who answered the request a completed message came from; messages come in the order of the answers."""
        answers = self._beside.get((session, agent))
        return answers.popleft() if answers else asked

    def message_is_new(self, message: str) -> bool:
        """Whether a completed message is reported for the first time."""
        return self._messages.add(message)

    def add_guarded(self, cost: float, at: float) -> None:
        """Add US dollars to what today's switches to metered targets cost (days are UTC)."""
        day = int(at // DAY_S)
        self._guard = (day, cost + (self._guard[1] if self._guard[0] == day else 0.0))

    def guard_spent(self, now: float) -> float:
        """Give what today's switches to metered targets cost, in US dollars."""
        return self._guard[1] if self._guard[0] == int(now // DAY_S) else 0.0

    def tells_budget(self, subject: str, at: float) -> bool:
        """Whether a budget is told as used up for the first time today (days are UTC); notes it."""
        day = int(at // DAY_S)
        if self._told_budgets.get(subject) == day:
            return False
        self._told_budgets = {**{s: d for s, d in self._told_budgets.items() if d == day}, subject: day}
        return True

    def permitted_today(self, now: float) -> frozenset[str]:
        """Give the providers the user permitted within the last day."""
        return frozenset(p for p, at in self.permitted.items() if abs(now - at) < DAY_S)

    def pinned(self, now: float) -> Pin | None:
        """Give the pick in force."""
        return self.pin if self.pin is not None and self.pin.holds(now) else None

    def pick(self, pin: Pin | None) -> None:
        """Take a pick, or take it back; what was picked in running sessions before counts no more against it."""
        self.pin = pin
        self.sessions.follow()

    def providers(self) -> set[str]:
        """Give every provider that is connected, used or in trouble."""
        return {t.provider for t in self._targets()} | {p for c in self.fleet.everything() for p in c.providers}

    def models(self, provider: str) -> set[str]:
        """Give every model known of a provider."""
        connected = {t for c in self.fleet.everything() for t in c.models}
        return {t.model for t in connected | self._targets() if t.provider == provider}

    def used_models(self) -> dict[str, list[str]]:
        """Give, by provider, the models that were used or are in trouble, sorted."""
        used: dict[str, list[str]] = {}
        for target in sorted(self._targets()):
            used.setdefault(target.provider, []).append(target.model)
        return used

    def _targets(self) -> set[Target]:
        return {*self.usage.targets(), *self.health.targets()}

    def reset(self, config: Config, provider: str | None, model: str | None) -> None:
        """Forget counts and cooldowns of a target, a provider, or everything; never what is disabled by hand."""
        self.usage.reset(provider, model)
        self.health.clear(config, provider, model)
        if provider is None:
            self._guard = (0, 0.0)
            self.permitted.clear()

    def dump(self, snapshot: Snapshot) -> dict[str, Any]:
        """Give the state file's content; `providers`, `currentProvider` and `modelMapping` are for other readers."""
        return {
            "version": VERSION,
            "savedAt": _iso(snapshot.at),
            "currentProvider": None if self.current is None else self.current.provider,
            "currentTarget": None if self.current is None else str(self.current),
            "providers": {p.id: _for_readers(p.model_dump()) for p in snapshot.providers},
            "modelMapping": self._model_mapping(),
            "usage": self.usage.to_json(),
            "health": self.health.to_json(),
            "sessions": self.sessions.dump(),
            **self._few(),
            "counted": self._counted.latest(),
            "attempts": self._ended.latest(),
            "messages": self._messages.latest(),
        }

    def _few(self) -> dict[str, Any]:
        """Give what is so little that it is never worth telling in parts."""
        return {
            "permitted": dict(self.permitted),
            "guard": list(self._guard),
            "budgets": dict(self._told_budgets),
            "pin": None if self.pin is None else self.pin.to_json(),
            "turns": self.turns,
        }

    def changes(self) -> dict[str, Any] | None:
        """Give what `dump` says otherwise since the last call, for `changes.merge`; None when that is too much.

        It has values, not differences: to merge it twice does no harm.
        """
        usage, health, sessions = self.usage.changes(), self.health.changes(), self.sessions.changes()
        ids = {
            "counted": self._counted.take_new(),
            "attempts": self._ended.take_new(),
            "messages": self._messages.take_new(),
        }
        if usage is None or health is None or sessions is None:
            return None
        few = {"currentTarget": None if self.current is None else str(self.current), **self._few()}
        return {"usage": usage, "health": health, "sessions": sessions, "few": few, "ids": ids}

    def _model_mapping(self) -> dict[str, list[str]]:
        mapping: dict[str, list[str]] = {}
        for target in sorted(self._targets()):
            mapping.setdefault(normalise(target.model), []).append(target.provider)
        return mapping

    @classmethod
    def load(cls, data: object, now: float) -> "Memory":
        """Read what `dump` gave.

        Raises:
            NewerStateError: written by a newer version.
            ValueError: not of this form; the message names the place.
        """
        if not isinstance(data, dict):
            raise ValueError("the state is not a JSON object")
        version = data.get("version")
        if not isinstance(version, int) or isinstance(version, bool) or version < 1:
            raise ValueError(f"version: {version!r} is not a version")
        if version > VERSION:
            raise NewerStateError(f"version: {version} is newer than {VERSION}, the newest this program reads")
        made = cls()
        if "usage" in data:
            made.usage = _read("usage", lambda: Usage.from_json(data["usage"], now))
        if "health" in data:
            made.health = _read("health", lambda: Health.from_json(data["health"], now))
        made.sessions = Sessions.load(data.get("sessions", {}))
        current = data.get("currentTarget")
        made.current = Target.parse(_checked(current, str, "currentTarget")) if current is not None else None
        made.permitted = {
            str(k): _number(v, f"permitted.{k}")
            for k, v in _checked(data.get("permitted", {}), dict, "permitted").items()
        }
        guard = _checked(data.get("guard", [0, 0.0]), list, "guard")
        if len(guard) != 2:  # noqa: PLR2004 - a day and an amount
            raise ValueError("guard: not [day, US dollars]")
        made._guard = (int(_number(guard[0], "guard[0]")), _number(guard[1], "guard[1]"))
        made._told_budgets = {
            str(k): int(_number(v, f"budgets.{k}"))
            for k, v in _checked(data.get("budgets", {}), dict, "budgets").items()
        }
        made.pin = Pin.from_json(data.get("pin"))
        made.turns = int(_number(data.get("turns", 0), "turns"))
        made._ended = Once(map(str, _checked(data.get("attempts", []), list, "attempts")))
        made._counted = Once(map(str, _checked(data.get("counted", []), list, "counted")))
        made._messages = Once(map(str, _checked(data.get("messages", []), list, "messages")))
        return made


def _read(place: str, load: Callable[[], T]) -> T:
    try:
        return load()
    except ValueError as error:
        raise ValueError(f"{place}: {error}") from None


def _checked(value: object, kind: type[T], place: str) -> T:
    if not isinstance(value, kind):
        raise ValueError(f"{place}: {type(value).__name__} where {kind.__name__} belongs")
    return value


def _number(value: object, place: str) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value < 1e15:  # noqa: PLR2004 - NaN too
        raise ValueError(f"{place}: {value!r} is not a number of 0 or more")
    return float(value)


def _iso(at: float) -> str:
    return datetime.fromtimestamp(at, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _for_readers(provider: dict[str, Any]) -> dict[str, Any]:
    """Give one provider in the words of the state file's documented shape."""
    limits = {r["name"]: r["limit"] for r in provider["readings"]}
    until = provider["until"]
    return {
        "requestCount": provider["counts"]["requests_hour"],
        "hourlyLimit": limits.get("rph", 0),
        "dailyCount": provider["counts"]["requests_day"],
        "dailyLimit": limits.get("rpd", 0),
        "cooldownUntil": None if until is None else _iso(until),
        "isAvailable": provider["state"] in ("available", "limited"),
        "errorCount": provider["error_count"],
    }
