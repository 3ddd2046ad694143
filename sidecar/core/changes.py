"""Brings a saved state up to date with the changes that were written down after it.

Works on JSON alone: what `Memory.dump` gave, and what `Memory.changes` gave since. Says nothing about whether the
result makes sense: that is found when it is loaded. Merging something again changes nothing.
"""

from collections.abc import Iterable
from typing import Any

from sidecar.core.memory import SAVED_IDS
from sidecar.core.usage.usage_state import merge_rows


def merge(document: dict[str, Any], changes: Iterable[dict[str, Any]]) -> None:
    """Put changes, oldest first, into a document.

    Raises:
        ValueError, KeyError, TypeError, AttributeError: one of them is not of its form; the document is spoilt then.
    """
    rows: dict[tuple[str, str, str, str], dict[str, list[float]]] = {}
    places: dict[str, dict[tuple[str, ...], list[Any]]] = {"cooldowns": {}, "errors": {}}
    for change in changes:
        document.update(change["few"])
        _usage(document.setdefault("usage", {}).setdefault("providers", {}), change["usage"], rows)
        for name, known in places.items():
            for place, entries in change["health"][name]:
                # The one in which something happened last comes last.
                known.pop(tuple(place), None)
                known[tuple(place)] = entries
        document.setdefault("health", {})["clock"] = change["health"]["clock"]
        for key, session in change["sessions"].items():
            sessions = document.setdefault("sessions", {})
            sessions.pop(key, None)
            if session is not None:
                sessions[key] = session
        for name, ids in change["ids"].items():
            # Each where it came last, so that it makes no difference whether some of them are known.
            newest = dict.fromkeys(reversed([*document.get(name, []), *ids]))
            document[name] = list(newest)[:SAVED_IDS][::-1]
    for (provider, model, agent, tier), changed in rows.items():
        saved = document["usage"]["providers"][provider]["models"][model].setdefault("agents", {}).setdefault(agent, {})
        saved[tier] = merge_rows(saved.get(tier, []), changed)
    for name, at in places.items():
        if at:
            kept = [entry for entry in document["health"].get(name, []) if _place(entry) not in at]
            document["health"][name] = [*kept, *(entry for entries in at.values() for entry in entries)]


def _usage(
    providers: dict[str, Any], change: dict[str, Any], rows: dict[tuple[str, str, str, str], dict[str, list[float]]]
) -> None:
    """Put in all but the rows; those are gathered, because unpacking them is worth doing only once."""
    for provider, about in change.items():
        known = providers.setdefault(provider, {})
        known["plan"] = about["plan"]
        models = known.setdefault("models", {})
        for model, changed in about["models"].items():
            saved = models.setdefault(model, {})
            saved["plan"] = changed["plan"]
            if "learned" in changed:
                saved["learned"] = changed["learned"]
            for agent, tiers in changed["agents"].items():
                for tier, new in tiers.items():
                    rows.setdefault((provider, model, agent, tier), {}).update(new)


def _place(entry: dict[str, Any]) -> tuple[str, ...]:
    """Give where an entry belongs: scope, provider or account, model. Errors have no scope."""
    scope = entry.get("scope", "provider" if entry["model"] is None else "model")
    name = entry["account"] if scope == "account" else entry["provider"]
    return scope, name, entry["model"] if scope == "model" else ""
