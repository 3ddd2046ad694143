"""The status report as text, for a terminal and for a dialog in a proportional font.

Pure formatting of a snapshot. What is said of a provider stands under it, what is said of one of its models under the
model. Without bars, lines are only indented and never aligned in columns, so that any font shows them well.
"""

from collections.abc import Iterator, Sequence
from datetime import datetime, tzinfo

from sidecar.core.limits import Unit
from sidecar.core.snapshot import CountsInfo, ModelStatus, Picked, ProviderStatus, ReadingInfo, Snapshot, State
from sidecar.core.words import span
from sidecar.report.look import BOLD, DIM, GREEN, PLAIN, RED, YELLOW, Gauge, Line, Look, lay_out

_STATES: dict[State, tuple[str, str, str]] = {
    "available": ("✓", "Available", GREEN),
    "limited": ("◐", "Limited", YELLOW),
    "unavailable": ("✗", "Unavailable", RED),
    "disabled": ("○", "Disabled", DIM),
}
_DAY_S = 86_400
_WEEK_S = 7 * _DAY_S
_THOUSANDS = ((1_000_000_000, "G"), (1_000_000, "M"), (1_000, "k"))
_EXACT_BELOW = 10_000
_SECOND_MS = 1_000
_UNITS: tuple[tuple[str, Unit], ...] = (("Requests", "requests"), ("Tokens", "tokens"), ("Cost", "usd"))
_WINDOWS = {
    "rpm": "this minute",
    "tpm": "this minute",
    "rph": "this hour",
    "tph": "this hour",
    "rpd": "today",
    "tpd": "today",
    "usd_per_day": "today",
    "plan_requests": "in the plan's window",
    "plan_tokens": "in the plan's window",
}

_Lines = Iterator[Line | Gauge]


def render(
    snapshot: Snapshot,
    look: Look = PLAIN,
    *,
    zone: tzinfo | None = None,
    problems: Sequence[str] = (),
    warnings: Sequence[str] = (),
) -> str:
    """Write the report; `zone` is where the reader lives (None: where this process runs).

    `problems` keep the daemon from doing all it can and come first; `warnings` are about the configuration and come
    last.
    """
    lines: list[Line | Gauge] = [Line(0, f"! {problem}", "!", RED) for problem in problems]
    for provider in snapshot.providers:
        lines += _Report(snapshot.at, zone, bars=look.bars).provider(provider)
    if not snapshot.providers:
        lines.append(Line(0, "Nothing is known yet: no provider is configured, and no editor has introduced itself."))
    if snapshot.picked is not None:
        lines.append(Line(0, f"Picked by hand: {_picked(snapshot.picked, snapshot.at, zone)}"))
    current = _current(snapshot.current)
    lines.append(Line(0, f"Current Provider: {current}", current if snapshot.current else "", BOLD))
    if warnings:
        lines.append(Line(0, "Warnings:", "Warnings", YELLOW))
        lines += [Line(1, f"• {warning}") for warning in warnings]
    return lay_out(lines, look)


def verdict(state: State, *, connected: bool = True) -> tuple[str, str]:
    """Give a state as people read it (`✓ Available`), and its colour."""
    if state == "available" and not connected:
        return "○ Not connected", DIM
    symbol, word, shade = _STATES[state]
    return f"{symbol} {word}", shade


def _picked(picked: Picked, now: float, zone: tzinfo | None) -> str:
    what = picked.provider if picked.model is None else f"{picked.provider}/{picked.model}"
    return what if picked.until is None else f"{what} until {clock(picked.until, now, zone)}"


def _current(target: str | None) -> str:
    if target is None:
        return "none used yet"
    provider, _, model = target.partition("/")
    return f"{provider} ({model})"


class _Report:
    """Says everything about one provider; `now` is the moment of the snapshot in epoch seconds."""

    def __init__(self, now: float, zone: tzinfo | None, *, bars: bool) -> None:
        self._now, self._zone, self._bars = now, zone, bars

    def provider(self, provider: ProviderStatus) -> _Lines:
        said, shade = verdict(provider.state, connected=provider.connected)
        yield Line(0, f"{provider.id}: {said}", said, shade)
        # What limits only some models is said under them.
        blocked = provider.state in ("unavailable", "disabled")
        if blocked:
            yield from self._block(provider, 1)
        yield from self._amounts(provider, 1)
        if provider.documented and not provider.readings and provider.counts.requests_day:
            limits = ", ".join(f"{name} {limit}" for name, limit in provider.documented.items())
            yield Line(1, f"Documented, not enforced: {limits} for {provider.documented_for}")
        agents = {name: counts.requests_day for name, counts in provider.agents.items() if counts.requests_day}
        if len(agents) > 1:
            yield Line(1, "By agent: " + ", ".join(f"{name} {count}" for name, count in agents.items()) + " today")
        shown = [m for m in provider.models if m.readings or m.state != "available" or m.counts.requests_day]
        if provider.error_count and not any(model.error_count for model in shown):
            yield Line(1, _last_error(provider))
        if shown:
            yield Line(1, "Models:")
        for model in shown:
            yield from self._model(model, provider, said=blocked)

    def _model(self, model: ModelStatus, provider: ProviderStatus, *, said: bool) -> _Lines:
        state = "cooling down" if model.state == "unavailable" and model.until is not None else model.state
        speed = "" if model.first_token_ms is None else f", first token after {quick(model.first_token_ms)}"
        yield Line(2, f"{model.id}: {state}{speed}")
        if model.state != "available" and not (said and (model.until, model.why) == (provider.until, provider.why)):
            yield from self._block(model, 3)
        if model.readings or model.counts != provider.counts:
            yield from self._amounts(model, 3)
        if model.error_count:
            yield Line(3, _last_error(model))

    def _block(self, status: ProviderStatus | ModelStatus, depth: int) -> _Lines:
        said = blocked(status.state, status.until, status.why, self._now, self._zone)
        if said:
            yield Line(depth, said)

    def _amounts(self, status: ProviderStatus | ModelStatus, depth: int) -> _Lines:
        for label, unit in _UNITS:
            readings = [reading for reading in status.readings if reading.unit == unit]
            others = list(_unlimited(status.counts, unit, {reading.name for reading in readings}))
            if self._bars:
                yield from self._gauges(f"{label}:", readings, others, depth)
            elif readings or others:
                parts = [self._reading(reading) for reading in readings] + others
                yield Line(depth, f"{label}: {', '.join(parts)}")

    def _gauges(self, label: str, readings: list[ReadingInfo], others: list[str], depth: int) -> _Lines:
        for reading in readings:
            share = reading.used / reading.limit if reading.limit else 1.0
            yield Gauge(depth, label, used_of(reading), share, self._notes(reading))
            label = ""
        if others:
            yield Gauge(depth, label, ", ".join(others))

    def _reading(self, reading: ReadingInfo) -> str:
        notes = self._notes(reading)
        return used_of(reading) + (f" ({', '.join(notes)})" if notes else "")

    def _notes(self, reading: ReadingInfo) -> tuple[str, ...]:
        notes = ["the provider's own limit"] if reading.learned else []
        if reading.full and reading.frees_at is not None and reading.frees_at > self._now:
            notes.append(f"room at {clock(reading.frees_at, self._now, self._zone)}")
        return tuple(notes)


def blocked(state: State, until: float | None, why: str, now: float, zone: tzinfo | None) -> str:
    """Say why something cannot be used, and until when; "" when there is nothing to say."""
    reason = f" — {why}" if why else ""
    if until is not None and until > now:
        what = "Disabled" if state == "disabled" else "Cooldown"
        return f"{what} until {clock(until, now, zone)} (in {span(until - now)}){reason}"
    return f"Not used{reason}" if why else ""


def used_of(reading: ReadingInfo) -> str:
    """Say how much of a limit is used: `45/50 this hour`."""
    used, limit = (_amount(value, reading.unit) for value in (reading.used, reading.limit))
    return f"{used}/{limit}" + (f" {_WINDOWS[reading.name]}" if reading.name in _WINDOWS else "")


def _last_error(status: ProviderStatus | ModelStatus) -> str:
    count = f" ({status.error_count} errors)" if status.error_count > 1 else ""
    return f"Last error: {status.last_failure}{count}"


def _unlimited(counts: CountsInfo, unit: Unit, limited: set[str]) -> Iterator[str]:
    """Say what was used of windows without a limit: of the day, and of the hour where that is less."""
    hour, day, names = {
        "requests": (counts.requests_hour, counts.requests_day, ("rph", "rpd")),
        "tokens": (counts.tokens_hour, counts.tokens_day, ("tph", "tpd")),
        "usd": (counts.cost_hour, counts.cost_day, ("", "usd_per_day")),
    }[unit]
    if hour and hour != day and names[0] not in limited:
        yield f"{_amount(hour, unit)} this hour"
    if day and names[1] not in limited:
        yield f"{_amount(day, unit)} today"


def _amount(value: float, unit: Unit) -> str:
    if unit == "usd":
        return f"${value:.2f}"
    if unit == "tokens" and value >= _EXACT_BELOW:
        size, letter = next((size, letter) for size, letter in _THOUSANDS if value >= size)
        return f"{value / size:.1f}".removesuffix(".0") + letter
    return f"{value:.0f}"


def quick(milliseconds: float) -> str:
    """Say a short time: `812 ms`, `2.3 s`."""
    return f"{milliseconds:.0f} ms" if milliseconds < _SECOND_MS else f"{milliseconds / _SECOND_MS:.1f} s"


def clock(at: float, now: float, zone: tzinfo | None) -> str:
    """Write an epoch second as the reader's clock shows it, with the day where it is not today."""
    there, here = datetime.fromtimestamp(at, zone).astimezone(zone), datetime.fromtimestamp(now, zone).astimezone(zone)
    if there.date() == here.date():
        return f"{there:%H:%M:%S}"
    return f"{there:%a %H:%M}" if at - now < _WEEK_S - _DAY_S else f"{there:%Y-%m-%d %H:%M}"
