"""The snapshot: every state a provider and a model can be in, and the numbers beside it."""

from typing import Any

from sidecar.core.events import TargetCommand
from sidecar.core.snapshot import ModelStatus, ProviderStatus

from .world import RATE_LIMITED, World, provider

LONG: dict[str, Any] = {**RATE_LIMITED, "headers": {"retry-after": "600"}}


def status(world: World, provider_id: str) -> ProviderStatus:
    return next(p for p in world.engine.snapshot(world.now).providers if p.id == provider_id)


def model_of(world: World, provider_id: str, model: str) -> ModelStatus:
    return next(m for m in status(world, provider_id).models if m.id == model)


def test_what_is_configured_comes_first_then_what_was_used() -> None:
    world = World(provider("a", "m"), provider("b", "m"), provider("c", "m"), config={"providers": {"c": {}}})
    world.message("b/m")
    world.answered("b/m", first_token_ms=120)
    assert [p.id for p in world.engine.snapshot(world.now).providers] == ["c", "b", "a"]
    assert world.engine.snapshot(world.now).current == "b/m"
    assert model_of(world, "b", "m").first_token_ms == 120


def test_a_provider_one_of_whose_models_rests_is_limited() -> None:
    world = World(provider("alpha", "m1", "m2"))
    world.message("alpha/m1")
    world.answered("alpha/m2")
    world.engine.control("disable", TargetCommand(provider="alpha", model="m1", for_s=600), world.now)
    alpha = status(world, "alpha")
    assert (alpha.state, alpha.until) == ("limited", world.now + 600)
    assert model_of(world, "alpha", "m1").state == "disabled"
    assert model_of(world, "alpha", "m2").state == "available"


def test_a_provider_all_of_whose_models_rest_is_unavailable_until_the_first_is_back() -> None:
    limits = {"models": {"m1": {"limits": {"rpm": 1}}, "m2": {"limits": {"rph": 1}}}}
    world = World(provider("alpha", "m1", "m2"), config={"providers": {"alpha": limits}})
    world.message("alpha/m1")
    world.answered("alpha/m1")
    world.answered("alpha/m2")
    alpha = status(world, "alpha")
    assert alpha.state == "unavailable"
    assert "rpm" in alpha.why
    assert alpha.until == model_of(world, "alpha", "m1").until


def test_a_provider_all_of_whose_models_are_switched_off_is_disabled() -> None:
    world = World(provider("alpha", "m1"), config={"providers": {"alpha": {"models": {"m1": {"enabled": False}}}}})
    assert status(world, "alpha").state == "disabled"


def test_a_disabled_provider_says_who_did_it() -> None:
    world = World(provider("alpha", "m1"), provider("beta", "m1"), config={"providers": {"beta": {"enabled": False}}})
    world.engine.control("disable", TargetCommand(provider="alpha"), world.now)
    assert status(world, "alpha").state == "disabled"
    assert (status(world, "beta").state, status(world, "beta").why) == ("disabled", "disabled in the configuration")


def test_a_cooling_account_is_unavailable_with_its_errors() -> None:
    world = World(provider("alpha", "m1"), provider("beta", "m1"))
    world.message("alpha/m1")
    world.refused("alpha/m1", status=402, body="Insufficient credits")
    world.later(65)
    alpha = status(world, "alpha")
    assert (alpha.state, alpha.error_count) == ("unavailable", 1)
    assert alpha.last_failure == "payment needed, 1 min 5 s ago"
    assert alpha.until is not None


def test_a_full_limit_is_unavailable_until_the_window_moves_on() -> None:
    world = World(provider("alpha", "m1"), config={"providers": {"alpha": {"limits": {"rpm": 2}}}})
    world.message("alpha/m1")
    world.answered("alpha/m1")
    assert status(world, "alpha").state == "available"
    world.answered("alpha/m1")
    alpha = status(world, "alpha")
    (reading,) = alpha.readings
    assert (alpha.state, reading.name, reading.used, reading.limit) == ("unavailable", "rpm", 2, 2)
    assert alpha.until == reading.frees_at
    world.later(61)
    assert status(world, "alpha").state == "available"


def test_learned_limits_are_shown_as_learned() -> None:
    world = World(provider("alpha", "m1"))
    world.message("alpha/m1")
    headers = {"x-ratelimit-limit-tokens": "1000", "x-ratelimit-remaining-tokens": "400"}
    world.answered("alpha/m1", headers=headers)
    (reading,) = [r for r in model_of(world, "alpha", "m1").readings if r.unit == "tokens"]
    assert (reading.learned, reading.limit, reading.used) == (True, 1000, 600)


def test_documented_limits_are_shown_and_not_enforced() -> None:
    world = World(provider("groq", "m1"), provider("deepseek", "m1"), provider("mine", "m1"))
    groq = status(world, "groq")
    assert groq.documented == {"rpm": 30}
    assert groq.documented_for
    assert groq.readings == ()
    assert status(world, "deepseek").documented == status(world, "mine").documented == {}
