"""What `GET /metrics` says: counters since the daemon started and gauges of this moment, for Prometheus.

Counters only grow while the daemon lives. Labels are providers, models, agents and classes, never sessions or paths,
and of each family no more series are kept than `MOST_SERIES`: what comes after them is counted under `other`, so that
sums stay right whatever names come in.
"""

from bisect import bisect_left
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Final

from sidecar.core.decisions import Notice
from sidecar.core.records import AttemptEnded, Record, StepUsed, Tokens
from sidecar.core.snapshot import ModelStatus, ProviderStatus, Snapshot

CONTENT_TYPE: Final = "text/plain; version=0.0.4; charset=utf-8"
MOST_SERIES: Final = 300
MOST_TARGETS: Final = 100
OTHER: Final = "other"
_PREFIX = "rate_limit_sidecar_"
_FIRST_TOKEN_S = (0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0)
_LATENCY_S = (0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 120.0, 300.0, 600.0)

_Labels = tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Facts:
    """What the daemon says of itself: epoch seconds, seconds, and counts."""

    version: str
    started: float
    saves: int
    save_s: float
    history_queue: int
    history_written: int
    history_dropped: int


class Counter:
    """One family of counters, by label values; bounded."""

    def __init__(self, name: str, help_: str, *labels: str) -> None:
        self.name, self.help, self.labels = _PREFIX + name, help_, labels
        self._values: dict[_Labels, float] = {}

    def add(self, *values: str, amount: float = 1) -> None:
        """Count."""
        known = self._values.get(values)
        if known is None and len(self._values) >= MOST_SERIES:
            values = (OTHER,) * len(values)
            known = self._values.get(values)
        self._values[values] = (known or 0) + amount

    def lines(self, scale: float = 1) -> Iterator[str]:
        """Write the family; values are divided by `scale`."""
        yield from _head(self.name, "counter", self.help)
        for values, number in self._values.items():
            yield _line(self.name, self.labels, values, number / scale)


class Histogram:
    """One family of histograms of seconds, by target; bounded."""

    def __init__(self, name: str, help_: str, bounds: tuple[float, ...]) -> None:
        self.name, self._help, self._bounds = _PREFIX + name, help_, bounds
        self._seen: dict[_Labels, tuple[list[int], list[float]]] = {}

    def observe(self, target: _Labels, seconds: float) -> None:
        """Take one measurement."""
        found = self._seen.get(target)
        if found is None:
            if len(self._seen) >= MOST_TARGETS:
                target = (OTHER, OTHER)
            found = self._seen.setdefault(target, ([0] * (len(self._bounds) + 1), [0.0]))
        counts, total = found
        counts[bisect_left(self._bounds, seconds)] += 1
        total[0] += seconds

    def lines(self) -> Iterator[str]:
        """Write the family, buckets adding up as Prometheus wants them."""
        yield from _head(self.name, "histogram", self._help)
        labels = ("provider", "model")
        for target, (counts, (total,)) in self._seen.items():
            below = 0
            for bound, count in zip((*map(_number, self._bounds), "+Inf"), counts, strict=True):
                below += count
                yield _line(f"{self.name}_bucket", (*labels, "le"), (*target, bound), below)
            yield _line(f"{self.name}_sum", labels, target, total)
            yield _line(f"{self.name}_count", labels, target, below)


class Metrics:
    """Counts what is recorded and announced; `render` writes it down."""

    def __init__(self) -> None:
        self._attempts = Counter(
            "attempts_total", "Attempts that ended, by how they ended.", "provider", "model", "agent", "outcome"
        )
        self._failures = Counter("failures_total", "Attempts that were refused, by class.", "kind")
        self._switches = Counter(
            "switches_total", "Switches from one target to another, by reason.", "from", "to", "reason"
        )
        self._tokens = Counter("tokens_total", "Tokens of completed steps; input is without the cache.", "direction")
        for direction in Tokens._fields:
            self._tokens.add(direction, amount=0)
        # In nano-dollars, so that adding up cents does not drift.
        self._cost = Counter("cost_usd_total", "US dollars of completed steps, as the editor reports them.")
        self._cost.add(amount=0)
        self._first_token = Histogram(
            "time_to_first_token_seconds", "From sending an attempt to its first content.", _FIRST_TOKEN_S
        )
        self._latency = Histogram(
            "attempt_latency_seconds", "From sending an attempt to the end of its answer.", _LATENCY_S
        )

    def record(self, record: Record) -> None:
        """Count what the engine wrote down."""
        if isinstance(record, AttemptEnded):
            self._attempts.add(*record.target, record.agent, record.ended)
            if record.kind is not None:
                self._failures.add(record.kind)
            if record.ended == "ok" and record.latency_ms is not None:
                self._latency.observe(record.target, record.latency_ms / 1000)
            if record.ended == "ok" and record.first_token_ms is not None:
                self._first_token.observe(record.target, record.first_token_ms / 1000)
        elif isinstance(record, StepUsed):
            for direction, amount in zip(Tokens._fields, record.tokens, strict=True):
                if amount:
                    self._tokens.add(direction, amount=amount)
            self._cost.add(amount=round(record.cost * 1e9))
            if record.request:
                self._attempts.add(*record.target, record.agent, record.ended)
                if record.kind is not None:
                    self._failures.add(record.kind)

    def notice(self, notice: Notice) -> None:
        """Count what the engine announced."""
        if notice.event == "switch":
            self._switches.add(notice.source or "", notice.target or "", notice.reason.code)

    def render(self, snapshot: Snapshot, facts: Facts) -> str:
        """Write everything in the text format 0.0.4."""
        lines: list[str] = []
        for counter in (self._attempts, self._failures, self._switches, self._tokens):
            lines += counter.lines()
        lines += self._cost.lines(scale=1e9)
        lines += self._first_token.lines()
        lines += self._latency.lines()
        lines += _targets(snapshot)
        lines += _limits(snapshot)
        lines += _own(snapshot, facts)
        return "\n".join(lines) + "\n"


_Status = ProviderStatus | ModelStatus


def _statuses(snapshot: Snapshot) -> Iterator[tuple[_Labels, _Status]]:
    """Give every provider (its model is "") and the models that were used or configured, up to the bound."""
    left = MOST_TARGETS
    for provider in snapshot.providers:
        yield (provider.id, ""), provider
        for model in provider.models[:left]:
            yield (provider.id, model.id), model
        left = max(0, left - len(provider.models))


def _targets(snapshot: Snapshot) -> Iterator[str]:
    labels = ("provider", "model")
    usable = ("available", "limited")
    cooling = [(t, s.until) for t, s in _statuses(snapshot) if s.until is not None and s.state == "unavailable"]
    yield from _gauge(
        "target_available",
        'Whether a target may be used now; model "" is the provider as a whole.',
        labels,
        ((target, float(status.state in usable)) for target, status in _statuses(snapshot)),
    )
    yield from _gauge(
        "cooldown_until_timestamp_seconds", "When a target that may not be used is free.", labels, cooling
    )
    yield from _gauge(
        "cooldown_seconds",
        "How long until a target that may not be used is free.",
        labels,
        ((target, max(0.0, until - snapshot.at)) for target, until in cooling),
    )


def _limits(snapshot: Snapshot) -> Iterator[str]:
    labels = ("provider", "model", "limit")
    readings = {
        (*target, reading.name): reading for target, status in _statuses(snapshot) for reading in status.readings
    }
    yield from _gauge(
        "limit_used",
        "What is used of a limit's window, in its unit.",
        labels,
        ((key, reading.used) for key, reading in readings.items()),
    )
    yield from _gauge(
        "limit_maximum",
        "The limit itself, in its unit.",
        labels,
        ((key, reading.limit) for key, reading in readings.items()),
    )


def _own(snapshot: Snapshot, facts: Facts) -> Iterator[str]:
    yield from _gauge("info", "The daemon that answers.", ("version",), [((facts.version,), 1)])
    yield from _gauge("start_time_seconds", "When the daemon started.", (), [((), facts.started)])
    up = max(0.0, snapshot.at - facts.started)
    yield from _gauge("uptime_seconds", "How long the daemon has run.", (), [((), up)])
    name = f"{_PREFIX}state_save_seconds"
    yield from _head(name, "summary", "How long it took to write the state file.")
    yield _line(f"{name}_sum", (), (), facts.save_s)
    yield _line(f"{name}_count", (), (), facts.saves)
    yield from _gauge("history_queue", "Records waiting to be written.", (), [((), facts.history_queue)])
    for what, number in (("written", facts.history_written), ("dropped", facts.history_dropped)):
        name = f"{_PREFIX}history_{what}_total"
        yield from _head(name, "counter", f"Records of the usage history that were {what}.")
        yield _line(name, (), (), number)


def _gauge(name: str, help_: str, labels: _Labels, values: Iterable[tuple[_Labels, float]]) -> Iterator[str]:
    yield from _head(_PREFIX + name, "gauge", help_)
    for key, number in values:
        yield _line(_PREFIX + name, labels, key, number)


def _head(name: str, kind: str, help_: str) -> Iterator[str]:
    yield f"# HELP {name} {help_}"
    yield f"# TYPE {name} {kind}"


def _line(name: str, labels: _Labels, values: _Labels, number: float) -> str:
    named = ",".join(f'{label}="{_escaped(value)}"' for label, value in zip(labels, values, strict=True))
    return f"{name}{{{named}}} {_number(number)}" if named else f"{name} {_number(number)}"


def _escaped(value: str) -> str:
    return value.replace("\\", r"\\").replace('"', r"\"").replace("\n", r"\n")


_number: Callable[[float], str] = "{:.15g}".format
