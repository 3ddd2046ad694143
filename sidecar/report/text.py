"""The status report as text, for a terminal and for a dialog in a proportional font.

Pure formatting of a snapshot. Lines are indented, never aligned in columns, so that any font shows them well; what is
said of a provider stands under it, what is said of one of its models under the model.
"""

import textwrap
from collections.abc import Iterator
from datetime import datetime, tzinfo

from sidecar.core.limits import Unit
from sidecar.core.snapshot import CountsInfo, ModelStatus, Picked, ProviderStatus, ReadingInfo, Snapshot, State
from sidecar.core.words import span

_STATES: dict[State, tuple[str, str, str]] = {
    "available": ("✓", "Available", "32"),
    "limited": ("◐", "Limited", "33"),
    "unavailable": ("✗", "Unavailable", "31"),
    "disabled": ("○", "Disabled", "2"),
}
_STEP = "  "
_DAY_S = 86_400
_WEEK_S = 7 * _DAY_S
_THOUSANDS = ((1_000_000_000, "G"), (1_000_000, "M"), (1_000, "k"))
_EXACT_BELOW = 10_000
_SECOND_MS = 1_000
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

_Line = tuple[int, str]


def render(snapshot: Snapshot, *, color: bool = False, width: int = 80, zone: tzinfo | None = None) -> str:
    """Write the report; `width` is in characters, `zone` is where the reader lives (None: where this process runs)."""
    paragraphs: list[str] = []
    for provider in snapshot.providers:
        symbol, word, shade = _STATES[provider.state]
        verdict = f"{symbol} {word}"
        head, *rest = _provider(provider, verdict, snapshot.at, zone)
        first = _wrapped([head], width)
        paragraphs.append(first.replace(verdict, f"\033[{shade}m{verdict}\033[0m", 1) if color else first)
        paragraphs += [_wrapped([line], width) for line in rest]
    if not snapshot.providers:
        paragraphs.append("Nothing is known yet: no provider is configured, and no editor has introduced itself.")
    if snapshot.picked is not None:
        paragraphs.append(_wrapped([(0, f"Picked by hand: {_picked(snapshot.picked, snapshot.at, zone)}")], width))
    paragraphs.append(_wrapped([(0, f"Current Provider: {_current(snapshot.current)}")], width))
    return "\n".join(paragraphs) + "\n"


def _current(target: str | None) -> str:
    if target is None:
        return "none used yet"
    provider, _, model = target.partition("/")
    return f"{provider} ({model})"


def _picked(picked: Picked, now: float, zone: tzinfo | None) -> str:
    what = picked.provider if picked.model is None else f"{picked.provider}/{picked.model}"
    return what if picked.until is None else f"{what} until {_clock(picked.until, now, zone)}"


def _provider(provider: ProviderStatus, verdict: str, now: float, zone: tzinfo | None) -> Iterator[_Line]:
    yield 0, f"{provider.id}: {verdict}"
    # What limits only some models is said under them.
    blocked = provider.state in ("unavailable", "disabled")
    if blocked:
        yield from _block(provider, 1, now, zone)
    yield from _amounts(provider, 1, now, zone)
    if provider.documented and not provider.readings and provider.counts.requests_day:
        limits = ", ".join(f"{name} {limit}" for name, limit in provider.documented.items())
        yield 1, f"Documented, not enforced: {limits} for {provider.documented_for}"
    agents = {name: counts.requests_day for name, counts in provider.agents.items() if counts.requests_day}
    if len(agents) > 1:
        yield 1, "By agent: " + ", ".join(f"{name} {count}" for name, count in agents.items()) + " today"
    shown = [m for m in provider.models if m.readings or m.state != "available" or m.counts.requests_day]
    if provider.error_count and not any(model.error_count for model in shown):
        yield 1, _last_error(provider)
    if shown:
        yield 1, "Models:"
    for model in shown:
        yield from _model(model, provider, now, zone, said=blocked)


def _model(
    model: ModelStatus, provider: ProviderStatus, now: float, zone: tzinfo | None, *, said: bool
) -> Iterator[_Line]:
    state = "cooling down" if model.state == "unavailable" and model.until is not None else model.state
    speed = "" if model.first_token_ms is None else f", first token after {_quick(model.first_token_ms)}"
    yield 2, f"{model.id}: {state}{speed}"
    if model.state != "available" and not (said and (model.until, model.why) == (provider.until, provider.why)):
        yield from _block(model, 3, now, zone)
    if model.readings or model.counts != provider.counts:
        yield from _amounts(model, 3, now, zone)
    if model.error_count:
        yield 3, _last_error(model)


def _block(status: ProviderStatus | ModelStatus, depth: int, now: float, zone: tzinfo | None) -> Iterator[_Line]:
    why = f" — {status.why}" if status.why else ""
    if status.until is not None and status.until > now:
        what = "Disabled" if status.state == "disabled" else "Cooldown"
        yield depth, f"{what} until {_clock(status.until, now, zone)} (in {span(status.until - now)}){why}"
    elif status.why:
        yield depth, f"Not used{why}"


def _last_error(status: ProviderStatus | ModelStatus) -> str:
    count = f" ({status.error_count} errors)" if status.error_count > 1 else ""
    return f"Last error: {status.last_failure}{count}"


def _amounts(status: ProviderStatus | ModelStatus, depth: int, now: float, zone: tzinfo | None) -> Iterator[_Line]:
    units: tuple[tuple[str, Unit], ...] = (("Requests", "requests"), ("Tokens", "tokens"), ("Cost", "usd"))
    for label, unit in units:
        readings = [reading for reading in status.readings if reading.unit == unit]
        parts = [_reading(reading, now, zone) for reading in readings]
        parts += _unlimited(status.counts, unit, {reading.name for reading in readings})
        if parts:
            yield depth, f"{label}: {', '.join(parts)}"


def _reading(reading: ReadingInfo, now: float, zone: tzinfo | None) -> str:
    notes = ["the provider's own limit"] if reading.learned else []
    if reading.full and reading.frees_at is not None and reading.frees_at > now:
        notes.append(f"room at {_clock(reading.frees_at, now, zone)}")
    used, limit = (_amount(value, reading.unit) for value in (reading.used, reading.limit))
    window = f" {_WINDOWS[reading.name]}" if reading.name in _WINDOWS else ""
    return f"{used}/{limit}{window}" + (f" ({', '.join(notes)})" if notes else "")


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


def _quick(milliseconds: float) -> str:
    return f"{milliseconds:.0f} ms" if milliseconds < _SECOND_MS else f"{milliseconds / _SECOND_MS:.1f} s"


def _clock(at: float, now: float, zone: tzinfo | None) -> str:
    """Write an epoch second as the reader's clock shows it, with the day where it is not today."""
    there, here = datetime.fromtimestamp(at, zone).astimezone(zone), datetime.fromtimestamp(now, zone).astimezone(zone)
    if there.date() == here.date():
        return f"{there:%H:%M:%S}"
    return f"{there:%a %H:%M}" if at - now < _WEEK_S - _DAY_S else f"{there:%Y-%m-%d %H:%M}"


def _wrapped(lines: list[_Line], width: int) -> str:
    return "\n".join(
        textwrap.fill(
            # Names come from outside; a control character in one must not reach the terminal.
            "".join(character if character.isprintable() else "?" for character in text),
            max(width, 40),
            initial_indent=_STEP * depth,
            subsequent_indent=_STEP * (depth + 2),
            break_long_words=False,
            break_on_hyphens=False,
        )
        for depth, text in lines
    )
