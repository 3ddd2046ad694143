"""The configuration `init` writes: what was found, in an order that makes sense, with what could be said as comments.

Pure: what was found in, JSON with comments out.

The order is what a stand-in should cost: a subscription is paid for already; what is free costs nothing but is often
slow or narrow; a model on your own machine costs nothing and never ends, but is weaker and takes the machine; what is
paid per token comes last. Same models and equally strong ones are tried in this order, and `priority` writes it down.
"""

import json
from collections.abc import Iterable, Iterator

from sidecar.config.catalogue import CATALOGUE
from sidecar.config.models import Billing, Tier
from sidecar.discovery import Discovery, Found

_GROUPS = ("subscriptions", "free", "on your own machines", "paid per token")
# Sell a plan and single requests under one id; a plan used with a key cannot be told from the outside.
_SELL_BOTH = ("anthropic", "openai")
_STEP = 10
_SHOWN = 6
_WIDTH = 112


def starter(found: Discovery, day: str, schema: str | None) -> str:
    """Write the configuration; `day` stands in its first line, `schema` is the address of its schema."""
    ordered = in_order(found.providers)
    lines = [
        *_comment(f"Written by `rate-limit-sidecar init` on {day}, from: {', '.join(found.sources)}."),
        "//",
        *_comment(
            "Nothing in here is needed; it is where to begin when you want to say more. Lower `priority` is tried "
            "earlier: subscriptions (paid already), then what is free, then your own machines (weaker), then what is "
            "paid per token. Take away the // in front of what you want."
        ),
        "{",
    ]
    if schema:
        lines.append(f'  "$schema": {json.dumps(schema)},')
    lines.append('  "providers": {')
    group = -1
    for provider, priority in ordered:
        if _group(provider) != group:
            group = _group(provider)
            lines.append(f"    // -- {_GROUPS[group]} --")
        lines += [f"    {line}" for line in _provider(provider, priority)]
    lines.append("  },")
    lines += [f"  {line}" for line in _chain(found, [provider for provider, _ in ordered])]
    return "\n".join([*(line.rstrip() for line in lines), "}", ""])


def in_order(providers: Iterable[Found]) -> list[tuple[Found, int]]:
    """Give the providers in the order in which they should stand in, each with its priority."""
    counts = [0] * len(_GROUPS)
    ordered = []
    for provider in sorted(providers, key=_group):
        group = _group(provider)
        ordered.append((provider, (group + 1) * _STEP + min(counts[group], _STEP - 1)))
        counts[group] += 1
    return ordered


def _group(provider: Found) -> int:
    if provider.billing is Billing.SUBSCRIPTION:
        return 0
    if provider.local:
        return 2
    return 1 if provider.billing is Billing.FREE else 3


def _provider(provider: Found, priority: int) -> Iterator[str]:
    yield from _comment(f"{provider.name}: {', '.join(provider.how)}.")
    entry = CATALOGUE.get(provider.id)
    catalogued = entry.settings.billing if entry else None
    yield f"{json.dumps(provider.id)}: {{"
    yield f'  "priority": {priority},'
    if provider.billing is not (catalogued or Billing.METERED):
        yield f'  "billing": {json.dumps(provider.billing.value)},'
    elif provider.id in _SELL_BOTH:
        yield '  //"billing": "subscription",  // if you use it with a plan: switching to it then needs no allowance'
    yield from (f"  {line}" for line in _limits(provider))
    yield from (f"  {line}" for line in _models(provider))
    yield "},"


def _limits(provider: Found) -> Iterator[str]:
    entry = CATALOGUE.get(provider.id)
    if entry is not None and entry.documented_limits is not None:
        written = entry.documented_limits.model_dump(mode="json", exclude_defaults=True)
        yield from _comment(f"Documented for {entry.documented_for}:")
        yield f'//"limits": {json.dumps(written)},'
    elif provider.billing is Billing.SUBSCRIPTION:
        yield "// A plan's own window opens with its first request. What yours allows you can write here:"
        yield '//"limits": { "plan": { "length": "5h", "requests": 0, "tokens": 0 } },'
    elif provider.billing is Billing.METERED:
        yield '//"limits": { "rpm": 0, "usd_per_day": 0 },'


def _models(provider: Found) -> Iterator[str]:
    names = list(provider.models)
    if not names:
        return
    further = len(names) - _SHOWN
    more = f" Of {len(names)}; all: rate-limit-sidecar providers {provider.id}" if further > 0 else ""
    yield from _comment(f"Its models, with how strong they are taken to be.{more}")
    yield '//"models": {'
    for name in names[:_SHOWN]:
        yield f'  //{json.dumps(name)}: {{ "tier": {json.dumps(provider.models[name].value)} }},'
    yield "//},"


def _chain(found: Discovery, ordered: list[Found]) -> Iterator[str]:
    """Propose a chain for the model in use, and a last resort; as comments, because both narrow what is tried."""
    available = {f"{provider.id}/{model}": tier for provider in ordered for model, tier in provider.models.items()}
    usual = next((target for target, tier in available.items() if tier is Tier.MEDIUM), next(iter(available), None))
    wanted = next((target for target in found.chosen if target in available), usual)
    if wanted is None:
        return
    others = (_best(provider, available[wanted]) for provider in ordered if provider.id != wanted.partition("/")[0])
    chain = list(filter(None, others))
    if chain:
        yield ""
        yield from _comment(
            "Without a chain a model of the same strength is found by itself. With one, only these stand in, in this "
            f"order, for example for {wanted}; the same model at other providers still comes before it:"
        )
        yield '//"chains": {'
        yield f'  //"*": {json.dumps(chain)},'
        yield "//},"
    local = next((f"{p.id}/{next(iter(p.models))}" for p in ordered if p.local and p.models), None)
    if local is not None:
        yield ""
        yield "// When nothing else is left:"
        yield f'//"last_resort": {json.dumps(local)},'


def _best(provider: Found, tier: Tier) -> str | None:
    """Give a provider's model nearest in strength, stronger ones before weaker ones."""
    tiers = list(Tier)
    at = tiers.index(tier)

    def distance(model: str) -> int:
        step = tiers.index(provider.models[model]) - at
        return step if step >= 0 else len(tiers) - step

    model = min(provider.models, key=distance, default=None)
    return None if model is None else f"{provider.id}/{model}"


def _comment(text: str) -> Iterator[str]:
    """Write a comment of as many lines as it takes; what comes from outside cannot leave it."""
    clean = "".join(character if character.isprintable() else " " for character in text)
    line = "//"
    for word in clean.split():
        if len(line) + 1 + len(word) > _WIDTH and line != "//":
            yield line
            line = "//"
        line += f" {word}"
    yield line
