"""The provider picked by hand: it comes first in every session while it is free, and changes nothing else."""

import pytest

from sidecar.core.events import Needs, Route, TargetCommand
from sidecar.core.pin import Pin
from sidecar.core.target import Target

from .world import RATE_LIMITED, World, model, provider, ref, to

PLENTY = [provider("alpha", "m1", "small"), provider("beta", "m1", "small"), provider("gamma", "big")]


@pytest.fixture
def world() -> World:
    return World(*PLENTY)


def use(world: World, target: str | None, for_s: float | None = None) -> None:
    name, _, model_ = (target or "").partition("/")
    command = TargetCommand(provider=name or None, model=model_ or None, for_s=for_s)
    world.engine.control("use", command, world.now)
    world.said += world.engine.drain()


def test_the_next_turn_of_every_session_opens_at_it(world: World) -> None:
    world.message("alpha/m1", session="old")
    use(world, "beta")
    for session in ("old", "new"):
        decision = world.message("alpha/m1", session=session)
        assert to(decision) == "beta/m1"
        assert decision.reason.code == "picked"
        assert decision.arrival is not None
        assert decision.arrival.title == "Now on beta/m1"
        assert decision.arrival.message == "Picked by hand."


def test_the_running_turn_moves_with_its_next_request_and_is_told_once(world: World) -> None:
    world.message("alpha/m1")
    world.answered("alpha/m1")
    use(world, "beta")
    decision = world.attempt("alpha/m1")
    assert to(decision) == "beta/m1"
    assert decision.arrival is not None
    assert decision.arrival.title == "Now on beta/m1"
    assert world.attempt("beta/m1").action == "proceed"
    again = world.message("alpha/m1")
    assert to(again) == "beta/m1"
    assert again.arrival is None


def test_a_request_that_cannot_leave_its_step_is_left_alone(world: World) -> None:
    world.message("alpha/m1")
    use(world, "beta")
    assert world.attempt("alpha/m1", mobility="reroute").action == "proceed"
    assert world.attempt("alpha/m1", mobility="fixed").action == "proceed"


def test_without_a_model_it_is_the_chosen_one_there_or_the_one_most_like_it(world: World) -> None:
    use(world, "gamma")
    assert to(world.message("alpha/m1")) == "gamma/big"
    assert world.message("gamma/big", session="there").action == "proceed"


def test_a_model_can_be_named(world: World) -> None:
    use(world, "beta/small")
    assert to(world.message("alpha/m1")) == "beta/small"
    assert world.engine.snapshot(world.now).picked is not None


def test_while_it_is_limited_everything_goes_on_as_if_nothing_was_picked(world: World) -> None:
    use(world, "beta")
    world.message("alpha/m1")
    assert to(world.refused("beta/m1", **RATE_LIMITED)) == "alpha/m1"
    assert world.attempt("alpha/m1").action == "proceed"
    assert world.message("alpha/m1").action != "switch"


def test_what_does_not_fit_is_not_used_but_what_it_costs_is_no_reason() -> None:
    dear = provider("beta", model("m1", cost_input=3, cost_output=15, context=1000))
    config = {"cost_guard": {"mode": "never"}, "deny": ["beta/*"]}
    world = World(provider("alpha", "m1"), dear, config=config)
    use(world, "beta")
    decision = world.message("alpha/m1")
    assert to(decision) == "beta/m1"
    assert decision.arrival is not None
    assert decision.arrival.message == "Picked by hand. beta costs $3/$15 per million tokens."
    event = Route(session="long", turn="t", target=ref("alpha/m1"), at="message", needs=Needs(context=5000))
    assert world.engine.route(event, world.now).action == "proceed"


def test_a_provider_that_came_by_itself_is_used_when_it_is_picked() -> None:
    world = World(provider("alpha", "m1"), provider("zen", "other", uninvited=True))
    assert world.message("alpha/m1").action == "proceed"
    use(world, "zen")
    assert to(world.message("alpha/m1")) == "zen/other"


def test_it_ends_when_it_is_taken_back_or_its_time_is_over(world: World) -> None:
    use(world, "beta")
    world.message("alpha/m1")
    use(world, None)
    back = world.message("alpha/m1")
    assert back.action == "proceed"
    assert world.engine.snapshot(world.now).picked is None
    use(world, "beta", for_s=60)
    assert to(world.message("alpha/m1")) == "beta/m1"
    world.later(60)
    assert world.message("alpha/m1").action == "proceed"
    assert [n.reason.text for n in world.heard("control")] == [
        "use beta, by hand",
        "use what comes by itself, by hand",
        "use beta, by hand",
    ]


def test_a_model_picked_in_the_editor_afterwards_wins_in_its_session(world: World) -> None:
    use(world, "beta")
    world.message("alpha/m1")
    assert world.message("gamma/big").action == "proceed"
    assert world.attempt("gamma/big").action == "proceed"
    assert to(world.message("alpha/m1", session="other")) == "beta/m1"
    use(world, "alpha")
    assert to(world.message("gamma/big")) == "alpha/m1"


def test_a_balancing_strategy_comes_after_it() -> None:
    world = World(*PLENTY, config={"strategy": "round_robin"})
    use(world, "gamma")
    assert to(world.message("alpha/m1")) == "gamma/big"
    world.refused("gamma/big", **RATE_LIMITED)
    world.later(1)
    assert world.message("alpha/m1", session="next").action in ("proceed", "switch")
    use(world, "alpha")
    assert world.message("alpha/m1", session="third").action == "proceed"


def test_where_it_has_nothing_to_stand_in_nothing_changes(world: World) -> None:
    world.hello(*PLENTY, provider("empty"))
    use(world, "empty")
    assert world.message("alpha/m1").action == "proceed"


def test_it_survives_a_restart(world: World) -> None:
    use(world, "beta/m1", for_s=600)
    world.restart()
    world.hello(*PLENTY)
    assert to(world.message("alpha/m1")) == "beta/m1"


@pytest.mark.parametrize(
    "data",
    [
        5,
        {},
        {"provider": 1},
        {"provider": "a", "model": 1},
        {"provider": "a", "until": "soon"},
        {"provider": "a", "until": True},
        {"provider": "a", "until": float("nan")},
    ],
)
def test_a_damaged_one_is_an_error_that_names_the_place(data: object) -> None:
    with pytest.raises(ValueError, match="pin"):
        Pin.from_json(data)


def test_what_is_written_is_what_is_read() -> None:
    for pin in (Pin("a"), Pin("a", "m"), Pin("a", "m", 5.0)):
        assert Pin.from_json(pin.to_json()) == pin
    assert Pin.from_json(None) is None
    assert [str(Pin("a")), str(Pin("a", "m/x"))] == ["a", "a/m/x"]
    assert Pin("a").target(Target("b", "m"), []) is None
