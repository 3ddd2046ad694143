"""What there is to use: facts from the editors, the configuration and the catalogue, laid over each other."""

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from sidecar.config.models import Billing, Tier
from sidecar.core.events import Hello, ProviderInfo, TargetCommand
from sidecar.core.roster import ProviderFacts

from .world import World, model, provider


def window(world: World, directory: str, *providers: ProviderInfo, **facts: Any) -> None:
    world.engine.hello(Hello(directory=directory, providers=list(providers), **facts), world.now)


def facts(world: World, id_: str, *, models: bool = False) -> ProviderFacts:
    found = world.engine.roster(world.now, models_of=id_ if models else None)
    return next(one for one in found.providers if one.id == id_)


def test_a_provider_names_the_windows_it_is_connected_in() -> None:
    world = World()
    window(world, "/a", provider("alpha", "m1"), client="opencode", client_version="1.18.33", shim_version="0.1.0")
    world.later(5)
    window(world, "/b", provider("alpha", "m2"), provider("beta", "m1"))
    assert facts(world, "alpha").connected == ("/a", "/b")
    assert facts(world, "beta").connected == ("/b",)
    first, last = world.engine.windows()
    assert (first.directory, first.client, first.client_version, first.shim_version) == (
        "/a",
        "opencode",
        "1.18.33",
        "0.1.0",
    )
    assert last.at == first.at + 5


def test_models_of_all_windows_are_counted_once() -> None:
    world = World()
    window(world, "/a", provider("alpha", "m1", "m2"))
    window(world, "/b", provider("alpha", model("m2", context=7), "m3"))
    alpha = facts(world, "alpha", models=True)
    assert [one.id for one in alpha.models] == ["m2", "m3", "m1"]
    assert alpha.models_count == 3
    assert alpha.models[0].context == 7
    assert sum(alpha.tiers.values()) == 3


def test_what_the_user_wrote_comes_before_what_the_catalogue_says() -> None:
    world = World(
        provider("anthropic", "claude-haiku-4-5", base_url="https://relay.test/v1"),
        config={
            "providers": {"anthropic": {"billing": "subscription", "models": {"claude-haiku-4-5": {"tier": "large"}}}}
        },
    )
    anthropic = facts(world, "anthropic", models=True)
    assert anthropic.billing is Billing.SUBSCRIPTION
    assert anthropic.models[0].tier is Tier.LARGE
    assert anthropic.models[0].configured
    assert anthropic.base_url == "https://relay.test/v1"
    assert anthropic.key_env == ("ANTHROPIC_API_KEY",)
    assert anthropic.documented == {"rpm": 1000}


def test_a_provider_nobody_is_connected_to_says_so() -> None:
    world = World(provider("alpha", "m1"), config={"providers": {"openai": {}}})
    openai = facts(world, "openai")
    assert (openai.connected, openai.has_key, openai.configured) == ((), None, True)
    assert openai.base_url == "https://api.openai.com/v1"
    assert [p.connected for p in world.engine.snapshot(world.now).providers] == [False, True]


def test_before_anybody_introduced_himself_everything_may_be_connected() -> None:
    world = World(config={"providers": {"openai": {}}})
    assert world.engine.snapshot(world.now).providers[0].connected


def test_what_headers_taught_is_told_with_its_model() -> None:
    world = World(provider("openai", "gpt-5.6"))
    world.message("openai/gpt-5.6")
    world.answered(
        "openai/gpt-5.6", headers={"x-ratelimit-limit-requests": "60", "x-ratelimit-remaining-requests": "59"}
    )
    (learned,) = facts(world, "openai").learned
    assert (learned.model, learned.limit, learned.used) == ("gpt-5.6", 60, 1)
    assert facts(world, "openai", models=True).models[0].learned == (learned,)


def test_models_are_only_listed_for_the_provider_that_was_asked_for() -> None:
    world = World(provider("alpha", "m1"), provider("beta", "m1"))
    found = world.engine.roster(world.now, models_of="beta")
    assert [len(one.models) for one in found.providers] == [0, 1]


def test_a_model_of_a_disabled_provider_is_disabled_too() -> None:
    world = World(provider("alpha", "m1"))
    world.engine.control("disable", TargetCommand(provider="alpha"), world.now)
    (only,) = facts(world, "alpha", models=True).models
    assert (only.state, only.why) == ("disabled", facts(world, "alpha").why)


def test_an_unused_model_beside_a_limited_one_is_available() -> None:
    world = World(
        provider("alpha", "m1", "m2"), config={"providers": {"alpha": {"models": {"m1": {"enabled": False}, "m3": {}}}}}
    )
    assert {one.id: one.state for one in facts(world, "alpha", models=True).models} == {
        "m1": "disabled",
        "m2": "available",
        "m3": "available",
    }


def test_limits_are_told_flat_and_only_where_they_are_written() -> None:
    limits = {"rpm": 5, "usd_per_day": 2.5, "resets": "00:00 UTC", "plan": {"length": "5h", "tokens": 9}}
    world = World(config={"providers": {"alpha": {"limits": limits}, "beta": {}}})
    assert facts(world, "alpha").limits == {
        "rpm": 5,
        "usd_per_day": 2.5,
        "resets": "00:00 UTC",
        "plan_length": 18_000.0,
        "plan_tokens": 9,
    }
    assert facts(world, "beta").limits == {}


IDS = st.lists(st.sampled_from(["alpha", "beta", "gamma"]), unique=True)


@given(st.dictionaries(st.sampled_from(["/a", "/b", "/c"]), st.dictionaries(st.sampled_from(["p", "q"]), IDS)), IDS)
def test_every_name_that_can_be_written_is_one_there_is(
    seen: dict[str, dict[str, list[str]]], written: list[str]
) -> None:
    world = World(config={"providers": {id_: {} for id_ in written}})
    for directory, providers in seen.items():
        window(world, directory, *(provider(id_, *models) for id_, models in providers.items()))
    expected = {*written, *(p for found in seen.values() for p in found)}
    expected |= {f"{p}/{m}" for found in seen.values() for p, models in found.items() for m in models}
    assert world.engine.target_names() == tuple(sorted(expected))
    roster = world.engine.roster(world.now)
    assert {one.id for one in roster.providers} == {name for name in expected if "/" not in name}
