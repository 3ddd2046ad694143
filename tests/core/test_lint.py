from typing import Any

import pytest

from sidecar.config.models import Config
from sidecar.core.events import Hello
from sidecar.core.fleet import Connected, Window
from sidecar.core.lint import lint

from .world import World, provider

CONNECTED = Connected([provider("alpha", "m1", "m2"), provider("beta", "m1")])


@pytest.mark.parametrize(
    ("config", "sentence"),
    [
        ({"providers": {"alhpa": {}}}, "providers.alhpa: no connected provider 'alhpa'; did you mean 'alpha'?"),
        ({"providers": {"zzz": {}}}, "providers.zzz: no connected provider 'zzz'; connected are: alpha, beta"),
        (
            {"providers": {"alpha": {"models": {"m11": {}}}}},
            "providers.alpha.models.m11: no connected model of alpha 'm11'; did you mean 'm1'?",
        ),
        ({"chains": {"plan": ["beta/m12"]}}, "chains.plan[0]: no connected model of beta 'm12'; did you mean 'm1'?"),
        ({"fallback": ["ghost/m1"]}, "fallback[0]: no connected provider 'ghost'; connected are: alpha, beta"),
        ({"last_resort": "ghost/m1"}, "last_resort: no connected provider 'ghost'; connected are: alpha, beta"),
        ({"primary": "ghost/m1"}, "primary: no connected provider 'ghost'; connected are: alpha, beta"),
        (
            {"error_patterns": [{"match": "x", "kind": "quota", "provider": "alhpa"}]},
            "error_patterns[0].provider: no connected provider 'alhpa'; did you mean 'alpha'?",
        ),
        ({"deny": ["x/*"]}, "deny[0]: 'x/*' matches no connected provider/model"),
        ({"models": {"m7": []}}, "models.m7: no connected provider has this model"),
        (
            {"models": {"m1": ["beta/zzz"]}},
            "models.m1[0]: no connected model of beta 'zzz'; connected are: m1",
        ),
    ],
)
def test_a_name_that_matches_nothing_is_named(config: dict[str, Any], sentence: str) -> None:
    assert lint(Config.model_validate(config), CONNECTED) == (sentence,)


@pytest.mark.parametrize(
    "config",
    [
        {},
        {"providers": {"alpha": {"models": {"m1": {}}}}, "chains": {"*": ["beta/m1"]}, "allow": ["alpha/*"]},
        {"providers": {"anthropic": {"limits": {"rpm": 5}}}},  # well known, merely not connected here
        {"models": {"m1": ["alpha/m2"]}},
        {"error_patterns": [{"match": "x", "kind": "quota", "provider": "alpha"}, {"match": "y", "kind": "auth"}]},
    ],
)
def test_names_that_match_are_not_mentioned(config: dict[str, Any]) -> None:
    assert lint(Config.model_validate(config), CONNECTED) == ()


def test_nothing_is_said_before_an_editor_connected() -> None:
    assert lint(Config.model_validate({"last_resort": "a/b"}), Connected()) == ()


def test_a_provider_without_models_has_nothing_to_suggest() -> None:
    connected = Connected([provider("empty")])
    sentences = lint(Config.model_validate({"last_resort": "empty/m"}), connected)
    assert sentences == ("last_resort: no connected model of empty 'm'; none is connected",)


AGENTS = Connected([provider("alpha", "m1")], Window(agents=("build", "plan")))


@pytest.mark.parametrize(
    ("agent", "sentence"),
    [
        ("biuld", "chains.biuld: the editor has no agent 'biuld'; did you mean 'build'?"),
        ("xyz", "chains.xyz: the editor has no agent 'xyz'; there are: build, plan"),
    ],
)
def test_a_chain_for_an_agent_nobody_has_is_named(agent: str, sentence: str) -> None:
    assert lint(Config.model_validate({"chains": {agent: ["alpha/m1"]}}), AGENTS) == (sentence,)


@pytest.mark.parametrize("agent", ["build", "*"])
def test_a_chain_for_an_agent_there_is_or_for_all_is_not_mentioned(agent: str) -> None:
    assert lint(Config.model_validate({"chains": {agent: ["alpha/m1"]}}), AGENTS) == ()


def test_where_the_editor_names_no_agents_any_may_exist() -> None:
    assert lint(Config.model_validate({"chains": {"xyz": ["alpha/m1"]}}), CONNECTED) == ()


def hello(world: World, directory: str, name: str, *agents: str) -> None:
    world.engine.hello(Hello(directory=directory, providers=[provider(name, "m1")], agents=list(agents)), world.now)


def test_the_users_own_names_may_match_in_any_window() -> None:
    world = World(config={"providers": {"beta": {}, "gamma": {}}, "chains": {"plan": ["alpha/m1"]}})
    assert world.engine.unmatched() == ()
    hello(world, "/a", "alpha", "build")
    hello(world, "/b", "beta", "plan")
    assert world.engine.unmatched() == ("providers.gamma: no connected provider 'gamma'; connected are: alpha, beta",)


def test_what_can_be_named_is_what_is_configured_connected_or_was_used() -> None:
    world = World(provider("beta", "m2", "m1"), config={"providers": {"gamma": {}}})
    assert world.engine.target_names() == ("beta", "beta/m1", "beta/m2", "gamma")
    world.message("alpha/m9")
    world.answered("alpha/m9")
    assert world.engine.target_names() == ("alpha", "alpha/m9", "beta", "beta/m1", "beta/m2", "gamma")


def test_a_projects_names_must_match_in_its_own_window() -> None:
    world = World()
    hello(world, "/a", "alpha")
    hello(world, "/b", "beta")
    world.engine.configure(Config(last_resort="beta/m1"), world.now, directory="/a")
    assert world.engine.unmatched() == ("last_resort: no connected provider 'beta'; connected are: alpha",)
    assert world.engine.unmatched() == world.engine.unmatched()
    world.engine.configure(Config(last_resort="alpha/m1"), world.now, directory="/a")
    assert world.engine.unmatched() == ()
