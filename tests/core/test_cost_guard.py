"""The cost guard: what a switch to a metered target may cost, and what the person at the editor is told of it."""

from typing import Any

import pytest

from sidecar.core.decisions import Decision
from sidecar.core.events import ProviderInfo, Route, TargetCommand

from .world import RATE_LIMITED, World, model, provider, ref, to

PRICED = {"cost_input": 3.0, "cost_output": 15.0}


def explained(world: World, wanted: str) -> Decision:
    return world.engine.explain(Route(session="x", turn="x", target=ref(wanted), at="message"), world.now)


def code_of(decision: Decision, target: str) -> str:
    return next(r.code for r in decision.rejected if r.target == target)


def guarded(**guard: Any) -> World:
    free = provider("alpha", "m1")
    paid = ProviderInfo(id="beta", models=[model("m1", **PRICED)])
    world = World(free, paid, config={"cost_guard": guard})
    world.message("alpha/m1")
    return world


LONG: dict[str, Any] = {**RATE_LIMITED, "headers": {"retry-after": "60000"}}


def test_within_the_allowance_a_switch_to_a_metered_target_names_the_price() -> None:
    world = guarded()
    decision = world.refused("alpha/m1", **LONG)
    assert to(decision) == "beta/m1"
    assert decision.arrival is not None
    assert "beta costs $3/$15 per million tokens." in decision.arrival.message


def test_beyond_the_allowance_nothing_more_is_spent_that_day() -> None:
    world = guarded(usd_per_day=1)
    world.refused("alpha/m1", **LONG)
    world.answered("beta/m1")
    info = {"role": "assistant", "providerID": "beta", "modelID": "m1", "time": {"completed": 1}}
    world.events(("message.updated", {"info": {"id": "m", "sessionID": "s", "cost": 1.5, **info}}))
    decision = world.message("alpha/m1", session="other")
    assert decision.action == "proceed"
    assert code_of(decision, "beta/m1") == "cost_guard"
    world.restart()
    world.hello(provider("alpha", "m1"), ProviderInfo(id="beta", models=[model("m1", **PRICED)]))
    assert world.message("alpha/m1", session="third").action == "proceed"
    world.later(86_400)
    world.refused("alpha/m1", **LONG)
    assert to(world.message("alpha/m1", session="fourth")) == "beta/m1"


def test_an_allowance_used_up_within_a_turn_ends_what_costs() -> None:
    world = guarded(usd_per_day=1)
    world.hello(
        provider("alpha", "m1"), ProviderInfo(id="beta", models=[model("m1", **PRICED)]), provider("gamma", "other")
    )
    assert to(world.refused("alpha/m1", **LONG)) == "beta/m1"
    world.answered("beta/m1")
    assert world.attempt("beta/m1").action == "proceed"
    info = {"role": "assistant", "providerID": "beta", "modelID": "m1", "time": {"completed": 1}}
    world.events(("message.updated", {"info": {"id": "m", "sessionID": "s", "cost": 1.5, **info}}))
    assert to(world.attempt("beta/m1")) == "gamma/other"


def test_an_allowance_used_up_with_nowhere_else_to_go_is_not_overdrawn() -> None:
    world = guarded(usd_per_day=1)
    world.refused("alpha/m1", **LONG)
    world.answered("beta/m1")
    info = {"role": "assistant", "providerID": "beta", "modelID": "m1", "time": {"completed": 1}}
    world.events(("message.updated", {"info": {"id": "m", "sessionID": "s", "cost": 1.5, **info}}))
    decision = world.attempt("beta/m1")
    assert (decision.action, decision.reason.code) == ("refuse", "nothing_free")
    assert "today's $1 for such switches are spent" in decision.reason.text
    assert "soonest is alpha/m1 in" in decision.reason.text


def test_cost_of_what_the_user_chose_is_nobodys_business() -> None:
    world = guarded(usd_per_day=1)
    world.message("beta/m1")
    world.answered("beta/m1")
    info = {"role": "assistant", "providerID": "beta", "modelID": "m1", "time": {"completed": 1}}
    world.events(("message.updated", {"info": {"id": "m", "sessionID": "s", "cost": 9.0, **info}}))
    world.message("alpha/m1", session="other")
    assert to(world.refused("alpha/m1", session="other", **LONG)) == "beta/m1"


def test_never_and_ask() -> None:
    assert code_of(guarded(mode="never").refused("alpha/m1", **LONG), "beta/m1") == "cost_guard"
    world = guarded(mode="ask")
    decision = world.refused("alpha/m1", **LONG)
    assert code_of(decision, "beta/m1") == "cost_ask"
    assert decision.action == "refuse"
    assert "rate-limit-sidecar allow beta" in decision.reason.text
    world.engine.control("allow", TargetCommand(provider="beta"), world.now)
    assert to(world.message("alpha/m1")) == "beta/m1"


def test_allow_asks_nothing_and_metered_to_metered_is_no_change() -> None:
    assert to(guarded(mode="allow").refused("alpha/m1", **LONG)) == "beta/m1"
    paid = [ProviderInfo(id=p, models=[model("m1", **PRICED)]) for p in ("alpha", "beta")]
    world = World(*paid, config={"cost_guard": {"mode": "never"}})
    world.message("alpha/m1")
    decision = world.refused("alpha/m1", **LONG)
    assert to(decision) == "beta/m1"
    assert decision.arrival is not None
    assert "costs" not in decision.arrival.message


def test_a_dearer_metered_target_is_named_with_both_prices() -> None:
    cheap = ProviderInfo(id="alpha", models=[model("m1", cost_input=1.0, cost_output=2.0)])
    world = World(cheap, ProviderInfo(id="beta", models=[model("m1", **PRICED)]))
    world.message("alpha/m1")
    decision = world.refused("alpha/m1", **LONG)
    assert decision.arrival is not None
    assert decision.arrival.message.endswith("It costs $3/$15 per million tokens instead of $1/$2.")


def test_the_cost_guard_asks_once_per_provider_and_session() -> None:
    world = guarded(mode="ask")
    assert "allow beta" in world.refused("alpha/m1", **LONG).reason.text
    world.message("alpha/m1")
    assert "allow beta" not in world.attempt("alpha/m1").reason.text
    world.message("alpha/m1", session="other")
    assert "allow beta" in world.attempt("alpha/m1", session="other").reason.text


@pytest.mark.parametrize(
    ("address", "mode", "expected"),
    [
        ({"base_url": "http://127.0.0.1:4141/v1", "has_key": False}, "auto", "beta/m1"),  # a bridged subscription
        ({"base_url": "https://api.example.com/v1"}, "auto", None),  # metered, and the guard says never
        ({"base_url": "http://127.0.0.1:8080/v1", "has_key": False}, "local", "beta/m1"),  # a local server
        ({"base_url": "http://127.0.0.1:4141/v1", "has_key": False}, "local", None),
    ],
)
def test_an_address_tells_bridges_and_local_servers(address: dict[str, Any], mode: str, expected: str | None) -> None:
    beta = ProviderInfo(id="beta", models=[model("m1", **PRICED)], **address)
    world = World(provider("alpha", "m1"), beta, config={"cost_guard": {"mode": "never"}, "mode": mode})
    world.engine.control("disable", TargetCommand(provider="alpha"), world.now)
    decision = explained(world, "alpha/m1")
    assert (str(decision.target.target) if decision.target else None) == expected


def test_a_target_of_unknown_price_is_nobodys_cost() -> None:
    world = World(config={"cost_guard": {"mode": "never"}, "chains": {"*": ["beta/m1"]}})
    world.message("alpha/m1")
    assert to(world.refused("alpha/m1", **LONG)) == "beta/m1"


def test_a_subscription_is_not_metered_whatever_its_list_price() -> None:
    plan = {"providers": {"beta": {"billing": "subscription"}}, "cost_guard": {"mode": "never"}}
    world = World(provider("alpha", "m1"), ProviderInfo(id="beta", models=[model("m1", **PRICED)]), config=plan)
    world.message("alpha/m1")
    assert to(world.refused("alpha/m1", **LONG)) == "beta/m1"
