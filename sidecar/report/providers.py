"""The providers report: what each is, who is connected to it, what limits it has; and one of them with its models.

Pure formatting of a roster: no I/O, no number that the roster does not hold.
"""

from collections.abc import Iterator
from datetime import tzinfo

from sidecar.config.models import Tier
from sidecar.core.roster import LearnedInfo, ModelFacts, ProviderFacts, Roster, WindowFacts
from sidecar.core.words import price, span
from sidecar.report.look import BOLD, PLAIN, Gauge, Line, Look, lay_out
from sidecar.report.text import blocked, used_of, verdict

_Lines = Iterator[Line | Gauge]
_SIZES = ((1_000_000, "M"), (1_000, "k"))
_UNIT_WORDS = {"requests": "requests", "tokens": "tokens", "usd": "dollars"}
_SECONDS_IN = "plan_length"


def render_providers(roster: Roster, look: Look = PLAIN, *, only: str | None = None, zone: tzinfo | None = None) -> str:
    """Write every provider down, or `only` one with its models; `zone` is where the reader lives."""
    lines: list[Line | Gauge] = []
    for provider in roster.providers:
        if only in (None, provider.id):
            lines += _provider(provider, roster, zone, models=only is not None)
    if not roster.providers:
        lines.append(
            Line(0, "No provider is known yet: none is configured, and no editor has introduced itself. Open OpenCode.")
        )
    return lay_out(lines, look)


def _provider(provider: ProviderFacts, roster: Roster, zone: tzinfo | None, *, models: bool) -> _Lines:
    said, shade = verdict(provider.state, connected=bool(provider.connected or not roster.windows))
    yield Line(0, f"{provider.id}: {said}", said, shade)
    why = blocked(provider.state, provider.until, provider.why, roster.at, zone)
    if provider.state != "available" and why:
        yield Line(1, why)
    yield Line(1, ", ".join(_facts(provider)))
    yield Line(1, _connected(provider, {window.directory: window for window in roster.windows}))
    yield Line(1, _models(provider))
    if provider.limits:
        yield Line(1, f"Limits: {_limits(provider.limits)}")
    if provider.learned:
        learned = (_learned(one) + (f" ({one.model})" if one.model else "") for one in provider.learned)
        yield Line(1, f"Learned limits: {', '.join(learned)}")
    if provider.documented:
        documented = ", ".join(f"{name} {limit}" for name, limit in provider.documented.items())
        yield Line(1, f"Documented, not enforced: {documented} for {provider.documented_for}")
    if models:
        yield from _details(provider)


def _facts(provider: ProviderFacts) -> Iterator[str]:
    if provider.name != provider.id:
        yield provider.name
    yield "local" if provider.local else "cloud"
    yield provider.billing.value if provider.billing else "metered, as far as anybody knows"
    yield "configured" if provider.configured else "not configured"
    yield f"priority {provider.priority}"
    if provider.account:
        yield f"account {provider.account}"


def _connected(provider: ProviderFacts, windows: dict[str, WindowFacts]) -> str:
    if not provider.connected:
        return "Not connected in any OpenCode window that introduced itself"
    by = ", ".join(_window(windows[directory]) for directory in provider.connected)
    uninvited = " by itself, nobody asked for it" if provider.uninvited else ""
    return f"Connected{uninvited} in {by}"


def _window(window: WindowFacts) -> str:
    client = " ".join(filter(None, (window.client, window.client_version)))
    return f"{window.directory or 'an unnamed directory'}" + (f" ({client})" if client else "")


def _models(provider: ProviderFacts) -> str:
    if not provider.models_count:
        return "Models: none known"
    tiers = ", ".join(f"{count} {tier.value}" for tier, count in provider.tiers.items())
    default = f"; default {provider.default_model}" if provider.default_model else ""
    return f"Models: {provider.models_count} ({tiers}){default}"


def _details(provider: ProviderFacts) -> _Lines:
    if provider.base_url:
        yield Line(1, f"Address: {provider.base_url}")
    if provider.key_env:
        yield Line(1, f"Key: usually in {' or '.join(provider.key_env)}")
    for tier in Tier:
        models = [model for model in provider.models if model.tier is tier]
        if models:
            yield Line(1, f"{tier.value.capitalize()}:", tier.value.capitalize(), BOLD)
        for model in models:
            yield Line(2, f"{model.id}: {', '.join(_model(model))}")


def _model(model: ModelFacts) -> Iterator[str]:
    yield model.state
    if not model.connected:
        yield "not connected"
    if model.context:
        yield f"{_size(model.context)} context"
    if model.connected:
        yield price(model.cost_input, model.cost_output)
    lacks = [what for what, has in (("tools", model.tools), ("images", model.images)) if not has]
    if lacks:
        yield f"no {' and no '.join(lacks)}"
    if model.reasoning:
        yield "reasoning"
    if model.limits:
        yield _limits(model.limits)
    yield from map(_learned, model.learned)
    if model.requests_day:
        yield f"{model.requests_day} requests today"


def _limits(limits: dict[str, float | str]) -> str:
    return ", ".join(f"{name} {_value(name, value)}" for name, value in limits.items())


def _value(name: str, value: float | str) -> str:
    if isinstance(value, str):
        return value
    return span(value) if name == _SECONDS_IN else f"{value:g}" if value < 1e6 else f"{value:.0f}"  # noqa: PLR2004 - where %g turns to powers


def _learned(reading: LearnedInfo) -> str:
    # A learned limit's name says its unit and nothing of its window, which the provider may not have told.
    return f"{used_of(reading)} {_UNIT_WORDS[reading.unit]}"


def _size(tokens: int) -> str:
    size, letter = next(((size, letter) for size, letter in _SIZES if tokens >= size), (1, ""))
    return f"{tokens / size:.1f}".removesuffix(".0") + letter
