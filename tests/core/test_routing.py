"""Who is next: order of candidates, strategies, tiers, and every rule a candidate can fail, through `explain`."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sidecar.config.models import Config
from sidecar.core.decisions import Decision
from sidecar.core.events import Hello, Needs, ProviderInfo, Route, TargetCommand
from sidecar.core.fleet import DIRECTORIES, Connected, Fleet
from sidecar.core.target import Target

from .world import RATE_LIMITED, World, model, provider, ref, to

FLEET = [
    provider("alpha", "claude-sonnet-4-5"),
    provider("beta", "anthropic/claude-sonnet-4.5"),
    provider("gamma", "x"),
]
PRICED = {"cost_input": 3.0, "cost_output": 15.0}


def explained(world: World, wanted: str, *, agent: str = "build", needs: Needs | None = None) -> Decision:
    event = Route(session="x", turn="x", agent=agent, target=ref(wanted), at="message", needs=needs or Needs())
    return world.engine.explain(event, world.now)


def order(world: World, wanted: str, *, agent: str = "build") -> list[tuple[str, str]]:
    """Give every candidate in order, with its origin."""
    decision = explained(world, wanted, agent=agent)
    assert decision.target is not None
    taken = (str(decision.target.target), decision.reason.code)
    return [taken, *((r.target, r.origin) for r in decision.rejected)]


def code_of(decision: Decision, target: str) -> str:
    return next(r.code for r in decision.rejected if r.target == target)


def test_with_no_configuration_the_same_model_elsewhere_is_next() -> None:
    assert order(World(*FLEET), "alpha/claude-sonnet-4-5") == [
        ("alpha/claude-sonnet-4-5", "chosen"),
        ("beta/anthropic/claude-sonnet-4.5", "same_model"),
        ("gamma/x", "tier"),
    ]


def test_same_model_then_chain_then_last_resort() -> None:
    config = {"chains": {"build": ["gamma/x"], "*": ["gamma/y"]}, "last_resort": "delta/z"}
    world = World(*FLEET, provider("delta", "z"), config=config)
    assert [t for t, _ in order(world, "alpha/claude-sonnet-4-5")] == [
        "alpha/claude-sonnet-4-5",
        "beta/anthropic/claude-sonnet-4.5",
        "gamma/x",
        "delta/z",
    ]


def test_a_chain_can_come_before_the_same_model() -> None:
    world = World(*FLEET, config={"chains": {"*": ["gamma/x"]}, "same_model_first": False})
    assert [origin for _, origin in order(world, "alpha/claude-sonnet-4-5")] == ["chosen", "chain", "same_model"]


def test_each_agent_has_its_own_chain_and_the_rest_share_one() -> None:
    config = Config.model_validate({"chains": {"plan": ["a/p"], "*": ["a/rest"]}})
    assert config.chain_for("plan") == ("a/p",)
    assert config.chain_for("build") == ("a/rest",)


def test_the_short_form_is_a_chain() -> None:
    config = Config.model_validate({"primary": "a/one", "fallback": ["b/two"]})
    assert config.chain_for("build") == ("a/one", "b/two")


def test_priority_orders_the_same_model_elsewhere() -> None:
    connected = [provider("alpha", "m1"), provider("beta", "m1"), provider("gamma", "m1"), provider("delta", "m1")]
    providers = {"gamma": {"priority": 1}, "delta": {"models": {"m1": {"priority": 0}}}}
    world = World(*connected, config={"providers": providers})
    assert [t for t, _ in order(world, "alpha/m1")] == ["alpha/m1", "delta/m1", "gamma/m1", "beta/m1"]


def test_a_mapping_names_the_same_model_where_names_do_not_tell() -> None:
    config = {"models": {"claude-sonnet-4-5": ["gamma/x"]}}
    found = order(World(*FLEET, config=config), "alpha/claude-sonnet-4-5")
    assert found[1] == ("gamma/x", "same_model")


def test_one_spelling_a_provider_is_enough() -> None:
    gateway = provider("gate", "vendor/m1", "m1", "m1:free")
    assert [t for t, _ in order(World(provider("alpha", "m1"), gateway), "alpha/m1")][1] == "gate/m1"
    assert len([o for _, o in order(World(provider("alpha", "m1"), gateway), "alpha/m1") if o == "same_model"]) == 1


def test_routers_of_the_same_name_are_not_the_same_model() -> None:
    connected = Connected([provider("alpha", "auto"), provider("beta", "auto")])
    assert connected.same_model(Target("alpha", "auto"), Config()) == []


# -- tiers -----------------------------------------------------------------------------------------------


def test_the_same_tier_then_higher_then_lower() -> None:
    names = {"a": "medium", "low": "fast", "same": "medium", "high": "large", "top": "reasoning"}
    connected = [provider(n, model("m" if n == "a" else f"{n}-model")) for n in names]
    config = {n: {"models": {("m" if n == "a" else f"{n}-model"): {"tier": t}}} for n, t in names.items()}
    found = order(World(*connected, config={"providers": config}), "a/m")
    assert [t.partition("/")[0] for t, _ in found] == ["a", "same", "high", "top", "low"]
    assert {origin for _, origin in found[1:]} == {"tier"}


def test_an_explicit_chain_is_a_no_to_tiers() -> None:
    world = World(provider("alpha", "m1"), provider("beta", "other"), config={"chains": {"*": ["alpha/m1"]}})
    assert order(world, "alpha/m1") == [("alpha/m1", "chosen")]


def test_a_gateway_nobody_chose_sees_nothing() -> None:
    gift = provider("gift", "free-model", has_key=False, uninvited=True)
    assert order(World(provider("alpha", "m1"), gift), "alpha/m1") == [("alpha/m1", "chosen")]
    wanted = World(provider("alpha", "m1"), gift, config={"providers": {"gift": {}}})
    assert [t for t, _ in order(wanted, "alpha/m1")] == ["alpha/m1", "gift/free-model"]


def test_within_a_provider_the_default_then_the_newest_model_stands_in() -> None:
    models = [
        model("old", released="2024-01-01"),
        model("new", released="2026-01-01"),
        model("unknown"),
        model("named"),
    ]
    beta = ProviderInfo(id="beta", models=models, default_model="named")
    config = {"providers": {"beta": {"models": {m.id: {"tier": "medium"} for m in models}}}}
    config["providers"]["alpha"] = {"models": {"m1": {"tier": "medium"}}}
    found = [t for t, _ in order(World(provider("alpha", "m1"), beta, config=config), "alpha/m1")]
    assert found == ["alpha/m1", "beta/named", "beta/new", "beta/old"]


def test_of_a_tier_the_catalogues_model_goes_first() -> None:
    gateway = provider("openrouter", "aaa/some-70b", "anthropic/claude-sonnet-4.6", "zzz/other-70b")
    world = World(provider("alpha", "llama-3.3-70b"), gateway)
    assert order(world, "alpha/llama-3.3-70b")[1] == ("openrouter/anthropic/claude-sonnet-4.6", "tier")


def test_models_without_tools_never_stand_in_by_tier() -> None:
    world = World(provider("alpha", "m1"), provider("beta", model("blind", tools=False)))
    assert order(world, "alpha/m1") == [("alpha/m1", "chosen")]


def test_the_same_provider_comes_last_within_a_tier() -> None:
    medium = {"tier": "medium"}
    config = {"providers": {"alpha": {"models": {"m1": medium, "m2": medium}}, "beta": {"models": {"x": medium}}}}
    world = World(provider("alpha", "m1", "m2"), provider("beta", "x"), config=config)
    assert [t for t, _ in order(world, "alpha/m1")] == ["alpha/m1", "beta/x", "alpha/m2"]


# -- strategies ------------------------------------------------------------------------------------------


def test_round_robin_spreads_sessions_and_keeps_each_where_it_is() -> None:
    world = World(provider("alpha", "m1"), provider("beta", "m1"), config={"strategy": "round_robin"})
    first = world.message("alpha/m1", session="one")
    second = world.message("alpha/m1", session="two")
    assert first.action == "proceed"
    assert to(second) == "beta/m1"
    assert second.reason.code == "round_robin"
    again = world.message("alpha/m1", session="two")
    assert to(again) == "beta/m1"
    assert again.arrival is None


def test_least_used_takes_the_most_headroom() -> None:
    limits = {"limits": {"rpm": 10}}
    config = {"strategy": "least_used", "providers": {"alpha": limits, "beta": limits}}
    world = World(provider("alpha", "m1"), provider("beta", "m1"), config=config)
    world.message("alpha/m1")
    world.answered("alpha/m1")
    assert [t for t, _ in order(world, "alpha/m1")] == ["beta/m1", "alpha/m1"]


def test_latency_takes_the_fastest_first_token() -> None:
    world = World(provider("alpha", "m1"), provider("beta", "m1"), config={"strategy": "latency"})
    world.message("alpha/m1")
    world.answered("alpha/m1", first_token_ms=900)
    world.answered("beta/m1", first_token_ms=100)
    assert [t for t, _ in order(world, "alpha/m1")] == ["beta/m1", "alpha/m1"]


def test_cost_takes_the_cheapest_and_what_has_no_price_last() -> None:
    dear, cheap = model("m1", **PRICED), model("m1", cost_input=1.0, cost_output=2.0)
    config = {"strategy": "cost", "chains": {"*": ["alpha/m1", "beta/m1", "unknown/m1"]}}
    world = World(ProviderInfo(id="alpha", models=[dear]), ProviderInfo(id="beta", models=[cheap]), config=config)
    assert [t for t, _ in order(world, "alpha/m1")] == ["beta/m1", "alpha/m1", "unknown/m1"]


# -- rules a candidate can fail --------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("config", "code"),
    [
        ({"deny": ["beta/*"]}, "denied"),
        ({"allow": ["gamma/*"]}, "not_allowed"),
        ({"providers": {"beta": {"enabled": False}}}, "disabled"),
        ({"providers": {"beta": {"models": {"m1": {"enabled": False}}}}}, "disabled"),
        ({"mode": "local", "providers": {"alpha": {"local": True}, "gamma": {"local": True}}}, "mode"),
        ({"mode": "cloud", "providers": {"beta": {"local": True}}}, "mode"),
    ],
)
def test_what_the_user_rules_out_is_not_taken(config: dict[str, Any], code: str) -> None:
    world = World(provider("alpha", "m1"), provider("beta", "m1"), provider("gamma", "m1"), config=config)
    world.message("alpha/m1")
    decision = world.refused("alpha/m1", **{**RATE_LIMITED, "headers": {"retry-after": "600"}})
    assert to(decision) == "gamma/m1"
    assert code_of(decision, "beta/m1") == code


def test_lists_never_keep_anyone_from_their_own_choice() -> None:
    world = World(provider("alpha", "m1"), config={"deny": ["alpha/*"], "allow": ["beta/*"]})
    assert explained(world, "alpha/m1").reason.code == "chosen"


def test_mode_local_moves_the_users_choice_to_a_local_model() -> None:
    config = {"mode": "local", "providers": {"home": {"local": True}}}
    world = World(provider("alpha", "m1"), provider("home", "m1"), config=config)
    assert to(world.message("alpha/m1")) == "home/m1"


def test_what_is_configured_decides_the_place_of_a_provider_nobody_reported() -> None:
    home = {"providers": {"home": {"local": True}}, "chains": {"*": ["away/m1", "home/m1"]}}
    assert to(explained(World(config={**home, "mode": "local"}), "alpha/m1")) == "home/m1"


def test_a_chain_target_the_editor_does_not_have_is_not_taken() -> None:
    world = World(
        provider("alpha", "m1"), config={"chains": {"*": ["ghost/m1"]}, "providers": {"alpha": {"enabled": False}}}
    )
    assert code_of(explained(world, "alpha/m1"), "ghost/m1") == "not_connected"


def test_before_any_editor_connected_a_chain_is_believed() -> None:
    world = World(config={"chains": {"*": ["beta/m1"]}, "providers": {"alpha": {"enabled": False}}})
    assert to(explained(world, "alpha/m1")) == "beta/m1"


def test_a_configured_limit_that_is_used_up_switches_before_the_provider_refuses() -> None:
    config = {"providers": {"alpha": {"limits": {"rpm": 2}}}}
    world = World(provider("alpha", "m1"), provider("beta", "m1"), config=config)
    world.message("alpha/m1")
    world.answered("alpha/m1")
    world.answered("alpha/m1")
    decision = world.attempt("alpha/m1")
    assert to(decision) == "beta/m1"
    assert decision.reason.code == "over_limit"
    assert "rpm" in decision.reason.text
    assert decision.until == pytest.approx(world.now + 60, abs=1)


def test_a_budget_in_dollars_is_a_limit_like_any_other() -> None:
    config = {"providers": {"alpha": {"limits": {"usd_per_day": 1, "resets": "00:00 UTC"}}}}
    world = World(provider("alpha", "m1"), provider("beta", "m1"), config=config)
    world.message("alpha/m1")
    world.answered("alpha/m1")
    info = {"role": "assistant", "providerID": "alpha", "modelID": "m1", "time": {"completed": 1}}
    world.events(("message.updated", {"info": {"id": "m", "sessionID": "s", "cost": 1.25, **info}}))
    decision = world.attempt("alpha/m1")
    assert to(decision) == "beta/m1"
    assert "usd_per_day" in decision.reason.text
    assert decision.until == (world.now // 86_400 + 1) * 86_400


def test_a_plan_window_opens_with_its_first_request() -> None:
    config = {"providers": {"alpha": {"limits": {"plan": {"length": "5h", "requests": 2}}}}}
    world = World(provider("alpha", "m1"), provider("beta", "m1"), config=config)
    world.message("alpha/m1")
    opened = world.now
    world.answered("alpha/m1")
    world.later(3_600)
    world.answered("alpha/m1")
    decision = world.attempt("alpha/m1")
    assert to(decision) == "beta/m1"
    assert decision.until == opened + 5 * 3_600


def test_switch_at_leaves_some_room() -> None:
    config = {"providers": {"alpha": {"models": {"m1": {"limits": {"rpm": 4}}}}}, "switch_at": 50}
    world = World(provider("alpha", "m1"), provider("beta", "m1"), config=config)
    world.message("alpha/m1")
    world.answered("alpha/m1")
    world.answered("alpha/m1")
    assert to(world.attempt("alpha/m1")) == "beta/m1"


def test_headers_that_say_nothing_remains_switch_at_once() -> None:
    world = World(provider("alpha", "m1"), provider("beta", "m1"))
    world.message("alpha/m1")
    headers = {
        "x-ratelimit-limit-requests": "60",
        "x-ratelimit-remaining-requests": "0",
        "x-ratelimit-reset-requests": "50s",
    }
    world.answered("alpha/m1", headers=headers)
    decision = world.attempt("alpha/m1")
    assert to(decision) == "beta/m1"
    assert "provider's own" in decision.reason.text


@pytest.mark.parametrize(
    ("needs", "facts"),
    [
        (Needs(tools=True), {"tools": False}),
        (Needs(images=True), {"images": False}),
        (Needs(reasoning=True), {"reasoning": False}),
    ],
)
def test_a_stand_in_can_do_what_the_conversation_needs(needs: Needs, facts: dict[str, Any]) -> None:
    world = World(
        provider("alpha", "m1"), provider("beta", model("m1", **facts)), provider("gamma", model("m1", reasoning=True))
    )
    world.engine.control("disable", TargetCommand(provider="alpha"), world.now)
    decision = explained(world, "alpha/m1", needs=needs)
    assert to(decision) == "gamma/m1"
    assert code_of(decision, "beta/m1") == "capability"


# -- what is connected -----------------------------------------------------------------------------------


def test_a_window_that_has_not_said_hello_shares_what_others_said() -> None:
    fleet = Fleet()
    assert not fleet.at("/a").known
    fleet.report("/b", [provider("beta", "m1", name="Beta!")])
    assert Target("beta", "m1") in fleet.at("/a").models
    fleet.report("/a", [provider("alpha", "m1")])
    assert set(fleet.at("/a").providers) == {"alpha"}
    assert (fleet.name_of("beta"), fleet.name_of("alpha"), fleet.name_of("gone")) == ("Beta!", "alpha", "gone")


def test_directories_are_bounded() -> None:
    fleet = Fleet()
    for i in range(DIRECTORIES + 10):
        fleet.report(f"/{i}", [])
    assert len(list(fleet.everything())) == DIRECTORIES


def test_a_variant_is_kept_where_the_target_knows_it() -> None:
    thinking = model("m1", variants=["high"])
    world = World(provider("alpha", thinking), ProviderInfo(id="beta", models=[thinking]), provider("gamma", "m1"))
    for provider_id, expected in (("alpha", "high"), ("beta", "high")):
        event = Route(session=f"s{provider_id}", turn="t", target=ref("alpha/m1", "high"), at="message")
        decision = world.engine.route(event, world.now)
        assert (decision.target.variant if decision.target else "high") == expected
        world.engine.control("disable", TargetCommand(provider=provider_id), world.now)
    event = Route(session="last", turn="t", target=ref("alpha/m1", "high"), at="message")
    decision = world.engine.route(event, world.now)
    assert decision.target is not None
    assert (str(decision.target.target), decision.target.variant) == ("gamma/m1", None)


@given(st.lists(st.sampled_from(["m1", "x", "claude-sonnet-4-5", "vendor/m1"]), max_size=4, unique=True))
def test_a_target_is_never_its_own_stand_in(models: list[str]) -> None:
    connected = Connected([provider("alpha", *models), provider("beta", *models)])
    for target in connected.models:
        assert target not in connected.same_model(target, Config())


def test_hello_replaces_what_the_window_said_before() -> None:
    world = World(provider("alpha", "m1"), provider("beta", "m1"))
    world.engine.hello(Hello(providers=[provider("alpha", "m1")]), world.now)
    assert order(world, "alpha/m1") == [("alpha/m1", "chosen")]
