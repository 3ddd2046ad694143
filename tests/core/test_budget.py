"""A budget that is used up is told once a day: a provider's, a model's, and the cost guard's cap."""

from typing import Any

from .world import World, model, provider

DAY = 86_400


def world(config: dict[str, Any]) -> World:
    made = World(
        provider("home", "m1"),
        provider("paid", model("m1", cost_input=3, cost_output=15)),
        config=config,
    )
    made.message("paid/m1")
    return made


def spend(world: World, cost: float, *, target: str = "paid", session: str = "s") -> None:
    spend.count += 1  # type: ignore[attr-defined]
    info = {
        "id": f"msg{spend.count}",  # type: ignore[attr-defined]
        "sessionID": session,
        "providerID": target,
        "modelID": "m1",
        "cost": cost,
        "time": {"completed": 1},
    }
    world.events(("message.updated", {"info": info}))


spend.count = 0  # type: ignore[attr-defined]


def told(world: World) -> list[tuple[str | None, str]]:
    return [(notice.source, notice.reason.text) for notice in world.heard("budget")]


def test_a_providers_and_a_models_budget_are_told_once_each() -> None:
    limits = {"limits": {"usd_per_day": 10}}
    made = world({"providers": {"paid": {**limits, "models": {"m1": {"limits": {"usd_per_day": 4}}}}}})
    spend(made, 3)
    assert told(made) == []
    spend(made, 1)
    spend(made, 5)
    assert told(made) == [("paid/m1", "$4.00 of $4 a day are spent")]
    spend(made, 2)
    spend(made, 2)
    assert told(made)[1:] == [("paid", "$11.00 of $10 a day are spent")]
    notice = made.heard("budget")[0]
    assert notice.until is not None
    assert notice.until > made.now
    assert notice.reason.code == "budget"


def test_a_budget_is_told_again_on_another_day_and_not_after_a_restart() -> None:
    made = world({"providers": {"paid": {"limits": {"usd_per_day": 1}}}})
    spend(made, 2)
    made.restart()
    spend(made, 2)
    assert len(told(made)) == 1
    made.later(2 * DAY)
    spend(made, 2)
    assert len(told(made)) == 2


def test_other_limits_and_other_providers_have_no_budget() -> None:
    made = world({"providers": {"paid": {"limits": {"rpd": 1}}, "home": {"limits": {"usd_per_day": 1}}}})
    spend(made, 2)
    assert told(made) == []


def test_the_cost_guards_cap_is_told_when_switches_have_used_it_up() -> None:
    made = World(
        provider("home", "m1"),
        provider("paid", model("m1", cost_input=3, cost_output=15)),
        config={"cost_guard": {"usd_per_day": 5}},
    )
    made.message("home/m1")
    made.refused("home/m1")
    spend(made, 4)
    assert told(made) == []
    spend(made, 1)
    spend(made, 1)
    assert told(made) == [("cost_guard", "today's $5 for switches to metered targets are spent")]


def test_a_guard_that_caps_nothing_tells_nothing() -> None:
    for guard in ({"mode": "allow"}, {"mode": "cap", "usd_per_day": 0}):
        made = World(
            provider("home", "m1"),
            provider("paid", model("m1", cost_input=3, cost_output=15)),
            config={"cost_guard": guard, "last_resort": "paid/m1"},
        )
        made.message("home/m1")
        made.refused("home/m1")
        spend(made, 100)
        assert told(made) == []
