"""The short picture for the editor: what the snapshot holds, and where the sessions are."""

from .world import RATE_LIMITED, World, provider


def test_it_shows_where_sessions_are_and_what_cannot_be_used() -> None:
    world = World(
        provider("alpha", "m1", "small", name="Alpha"),
        provider("beta", "m1"),
        config={"providers": {"alpha": {"limits": {"rpm": 50}}}},
    )
    world.message("alpha/m1", session="quiet")
    world.message("alpha/m1", session="moved")
    world.refused("alpha/m1", session="moved", **{**RATE_LIMITED, "headers": {"retry-after": "600"}})
    world.answered("beta/m1", session="moved")

    shown = world.engine.glance(world.now)

    assert [(key, w.wanted, w.current) for key, w in shown.sessions.items()] == [
        ("moved", "alpha/m1", "beta/m1"),
        ("quiet", "alpha/m1", "alpha/m1"),
    ]
    alpha, beta = shown.providers
    assert (alpha.id, alpha.name, alpha.state, alpha.requests, alpha.errors) == ("alpha", "Alpha", "unavailable", 1, 1)
    (reading,) = alpha.readings
    assert (reading.name, reading.used, reading.limit) == ("rpm", 1, 50)
    (model,) = alpha.models
    assert (model.id, model.state, model.until) == ("m1", "unavailable", world.now + 600)
    assert (beta.state, beta.requests, beta.models) == ("available", 1, ())
    assert shown.current == "beta/m1"


def test_time_alone_changes_nothing_in_it() -> None:
    world = World(provider("alpha", "m1"), provider("beta", "m1"))
    world.message("alpha/m1")
    world.refused("alpha/m1", **{**RATE_LIMITED, "headers": {"retry-after": "600"}})
    before = world.engine.glance(world.now)
    world.later(30)
    after = world.engine.glance(world.now)
    assert after.model_copy(update={"at": before.at}) == before


def test_only_the_latest_sessions_are_in_it() -> None:
    world = World(provider("alpha", "m1"))
    for number in range(60):
        world.message("alpha/m1", session=f"s{number}")
    assert list(world.engine.glance(world.now).sessions) == [f"s{n}" for n in range(59, 9, -1)]
