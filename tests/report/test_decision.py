"""What `route --explain` prints: whole pictures."""

from datetime import UTC
from typing import Any

from sidecar.report.decision import explain, headline

NOW = 1_760_000_000.0  # Thursday, 2025-10-09 08:53:20 UTC


def rejected(target: str, origin: str, code: str, text: str, until: float | None = None) -> dict[str, Any]:
    return {"target": target, "origin": origin, "code": code, "text": text, "until": until}


def decision(target: str | None, code: str, text: str, *others: dict[str, Any]) -> dict[str, Any]:
    provider, _, model = (target or "").partition("/")
    named = {"provider": provider, "model": model} if target else None
    return {"target": named, "reason": {"code": code, "text": text}, "rejected": list(others)}


SWITCHED = decision(
    "beta/m1",
    "same_model",
    "first free candidate (same_model)",
    rejected("alpha/m1", "chosen", "cooling", "rate limit", NOW + 60),
    rejected("gamma/m2", "chain", "not_needed", "an earlier candidate is free"),
    rejected("local/m3", "last_resort", "not_needed", "an earlier candidate is free"),
)
STUCK = decision(
    None,
    "nothing_free",
    "no target is free",
    rejected("alpha/m1", "chosen", "cooling", "quota used up", NOW + 86_400),
    rejected("beta/m1", "same_model", "disabled", "disabled in the configuration"),
    rejected("gamma/m1", "same_model", "over_limit", "the configured limit rpm is used up (50/50)", NOW + 30),
)


def test_candidates_stand_in_the_order_in_which_they_are_looked_at() -> None:
    assert explain("alpha/m1", SWITCHED, NOW, width=100, zone=UTC) == (
        "beta/m1: first free candidate (same_model)\n"
        "  1. ✗ alpha/m1  asked for                 cooling: rate limit (until 08:54:20)\n"
        "  2. ✓ beta/m1   the same model elsewhere  free: this one is taken\n"
        "  3. · gamma/m2  from the chain            not_needed: an earlier candidate is free\n"
        "  4. · local/m3  last resort               not_needed: an earlier candidate is free"
    )


def test_where_the_reasons_do_not_fit_beside_they_stand_below() -> None:
    assert explain("alpha/m1", STUCK, NOW, width=80, zone=UTC) == (
        "alpha/m1: no target is free\n"
        "  1. ✗ alpha/m1, asked for\n"
        "         cooling: quota used up (until 2025-10-10 08:53)\n"
        "  2. ✗ beta/m1, the same model elsewhere\n"
        "         disabled: disabled in the configuration\n"
        "  3. ✗ gamma/m1, the same model elsewhere\n"
        "         over_limit: the configured limit rpm is used up (50/50) (until 08:53:50)\n"
        "The first to be free again: gamma/m1, at 08:53:50."
    )


def test_when_none_becomes_free_by_itself_that_is_said() -> None:
    told = explain("a/m", decision(None, "nothing_free", "no", rejected("a/m", "chosen", "disabled", "by hand")), NOW)
    assert told.endswith("\nNone of them becomes free by itself.")


def test_a_decision_without_candidates_is_its_headline() -> None:
    alone = decision(None, "off", "switching is off in the configuration")
    assert explain("a/m", alone, NOW) == headline("a/m", alone) == "a/m: switching is off in the configuration"
