"""The engine as a whole: counting once, control by hand, configuration, saving and loading."""

from typing import Any

import pytest

from sidecar.config.models import Config
from sidecar.core.events import EditorEvent, EditorEvents, Hello, Route, TargetCommand
from sidecar.core.memory import NewerStateError

from .world import RATE_LIMITED, World, provider, ref, to

LONG_WAIT: dict[str, Any] = {**RATE_LIMITED, "headers": {"retry-after": "600"}}


@pytest.fixture
def world() -> World:
    return World(provider("alpha", "m1", "m2", name="Alpha"), provider("beta", "m1"))


def counts(world: World, provider_id: str) -> tuple[int, int, float]:
    found = next(p for p in world.engine.snapshot(world.now).providers if p.id == provider_id)
    return found.counts.requests_day, found.counts.tokens_day, found.counts.cost_day


def completed(message: str, target: str = "alpha/m1", session: str = "s", **info: Any) -> tuple[str, dict[str, Any]]:
    asked = ref(target)
    body = {
        "id": message,
        "sessionID": session,
        "role": "assistant",
        "providerID": asked.provider,
        "modelID": asked.model,
        "tokens": {"input": 100, "output": 10, "reasoning": 0, "cache": {"read": 0, "write": 0}},
        "cost": 0.5,
        "time": {"created": 1, "completed": 2},
        **info,
    }
    return "message.updated", {"info": body}


def test_an_attempt_counts_once_whatever_is_reported_of_it(world: World) -> None:
    world.message("alpha/m1")
    world.answered("alpha/m1")
    world.outcome("alpha/m1", "ok", status=200)
    world.outcome("alpha/m1", "ok", status=200, attempt="never-asked")
    assert counts(world, "alpha") == (2, 0, 0)


def test_messages_bring_tokens_and_cost_once(world: World) -> None:
    world.message("alpha/m1")
    world.answered("alpha/m1")
    world.events(completed("m"), completed("m"))
    assert counts(world, "alpha") == (1, 110, 0.5)


def test_an_agent_that_reports_only_messages_is_counted_by_messages(world: World) -> None:
    world.events(completed("m", session="other"))
    assert counts(world, "alpha") == (1, 110, 0.5)
    error = {"name": "APIError", "data": {"statusCode": 429, "message": "Rate limit reached"}}
    world.events(completed("n", session="other", error=error, tokens={}, cost=0))
    assert counts(world, "alpha")[0] == 2
    assert to(world.message("alpha/m1", session="third")) == "beta/m1"


def test_an_aborted_message_is_no_success_and_no_failure(world: World) -> None:
    world.events(completed("m", session="other", error={"name": "MessageAbortedError", "data": {}}))
    assert counts(world, "alpha")[0] == 1
    assert world.said == []


def test_a_retry_of_an_agent_that_reports_only_messages_cools_where_the_session_is(world: World) -> None:
    running = completed("m", session="other", time={"created": 1})
    retry = {"sessionID": "other", "status": {"type": "retry", "message": "Rate limit reached, slow down"}}
    world.events(running, ("session.status", retry))
    assert to(world.message("alpha/m1", session="third")) == "beta/m1"


@pytest.mark.parametrize("text", ["The weather is fine", ""])
def test_a_retry_nobody_understands_or_nobody_knows_cools_nothing(world: World, text: str) -> None:
    running = completed("m", session="other", time={"created": 1})
    retry = {"sessionID": "other", "status": {"type": "retry", "message": text}}
    unknown = {"sessionID": "nobody", "status": {"type": "retry", "message": "Rate limit reached"}}
    world.events(running, ("session.status", retry), ("session.status", unknown))
    assert world.message("alpha/m1", session="third").action == "proceed"


def test_events_of_a_session_whose_attempts_are_seen_say_nothing_new(world: World) -> None:
    world.message("alpha/m1")
    world.answered("alpha/m1")
    error = {"name": "APIError", "data": {"statusCode": 429, "message": "Rate limit reached"}}
    world.events(("session.error", {"sessionID": "s", "error": error}), completed("m", error=error))
    assert counts(world, "alpha")[0] == 1
    assert world.message("alpha/m1").action == "proceed"


def test_a_session_that_was_forgotten_is_not_counted_twice_by_its_messages(world: World) -> None:
    kind, properties = completed("m", session="before the restart")
    raw = EditorEvent(type=kind, properties=properties)
    running = EditorEvent(type=kind, properties=completed("n", session="other", time={"created": 1})[1])
    world.engine.events(EditorEvents(events=[raw, running], reports_attempts=True), world.now)
    assert counts(world, "alpha") == (0, 110, 0.5)
    assert world.engine.dump(world.now)["sessions"] == {}


def test_late_news_of_an_old_turn_does_not_touch_the_running_one(world: World) -> None:
    world.message("alpha/m1", turn="old")
    world.attempt("alpha/m1")
    late = world.last
    world.message("alpha/m1", turn="new")
    world.refused("alpha/m1", **LONG_WAIT)
    world.turn = "old"
    world.outcome("alpha/m1", "failed", attempt=late, age_s=5.0, **RATE_LIMITED)
    world.turn = "new"
    decision = world.refused("beta/m1", **LONG_WAIT)
    assert "alpha/m1" in [r.target for r in decision.rejected if r.code == "failed_in_turn"]


def test_titles_are_not_what_is_used_now_and_cost_no_hop(world: World) -> None:
    world.message("alpha/m1")
    world.answered("alpha/m1")
    world.attempt("beta/m1", agent="title", mobility="reroute")
    world.outcome("beta/m1", "ok", agent="title", mobility="reroute", status=200)
    assert world.engine.snapshot(world.now).current == "alpha/m1"


def test_a_deleted_session_is_forgotten(world: World) -> None:
    world.message("alpha/m1")
    world.events(("session.deleted", {"sessionID": "s"}), ("session.compacted", {"sessionID": "s"}))
    assert world.engine.dump(world.now)["sessions"] == {}


def test_agents_are_counted_separately_and_together(world: World) -> None:
    world.message("alpha/m1", agent="plan")
    world.attempt("alpha/m1", agent="plan")
    world.attempt("alpha/m1", agent="build")
    world.attempt("alpha/m1", agent="build")
    alpha = world.engine.snapshot(world.now).providers[0]
    assert alpha.counts.requests_day == 3
    assert {a: c.requests_day for a, c in alpha.agents.items()} == {"plan": 1, "build": 2}


# -- by hand -------------------------------------------------------------------------------------------------------


def test_disable_enable(world: World) -> None:
    world.engine.control("disable", TargetCommand(provider="alpha"), world.now)
    assert to(world.message("alpha/m1")) == "beta/m1"
    world.engine.control("enable", TargetCommand(provider="alpha"), world.now)
    assert world.message("alpha/m1", session="t").action == "proceed"


def test_disable_for_a_while(world: World) -> None:
    world.engine.control("disable", TargetCommand(provider="alpha", model="m1", for_s=60), world.now)
    assert to(world.message("alpha/m1")) == "beta/m1"
    world.later(61)
    assert world.message("alpha/m1", session="t").action == "proceed"


@pytest.mark.parametrize("verb", ["clear", "reset"])
@pytest.mark.parametrize("which", [TargetCommand(), TargetCommand(provider="alpha")])
def test_clear_and_reset_end_cooldowns(world: World, verb: Any, which: TargetCommand) -> None:
    world.message("alpha/m1")
    world.refused("alpha/m1", **LONG_WAIT)
    world.engine.control(verb, which, world.now)
    assert world.message("alpha/m1", session="t").action == "proceed"
    assert counts(world, "alpha")[0] == (0 if verb == "reset" else 1)
    assert [n.reason.code for n in world.heard("control")] == [verb]


@pytest.mark.parametrize(
    ("verb", "command", "words"),
    [
        ("disable", TargetCommand(), "disable needs a provider"),
        ("clear", TargetCommand(model="m1"), "clear needs a provider"),
        ("disable", TargetCommand(provider="alhpa"), "no provider 'alhpa'; known are: alpha, beta"),
        ("clear", TargetCommand(provider="alpha", model="m9"), "no model 'm9' at alpha; known are: m1, m2"),
    ],
)
def test_commands_that_name_nothing_say_what_there_is(
    world: World, verb: Any, command: TargetCommand, words: str
) -> None:
    with pytest.raises(ValueError, match=words.split(";", maxsplit=1)[0]) as error:
        world.engine.control(verb, command, world.now)
    assert words in str(error.value)


def test_unknown_names_before_any_editor_connected() -> None:
    world = World(config={"providers": {"alpha": {}}})
    with pytest.raises(ValueError, match="no model 'm' at alpha; known are: none yet"):
        world.engine.control("clear", TargetCommand(provider="alpha", model="m"), world.now)
    with pytest.raises(ValueError, match="known are: alpha"):
        world.engine.control("clear", TargetCommand(provider="x"), world.now)


# -- configuration ---------------------------------------------------------------------------------------------------


def test_a_new_key_is_forgiven_at_once(world: World) -> None:
    world.message("alpha/m1")
    world.refused("alpha/m1", status=401, body="Invalid API key")
    assert to(world.message("alpha/m1", session="t")) == "beta/m1"
    world.engine.configure(Config.model_validate({"providers": {"beta": {}}}), world.now)
    assert to(world.message("alpha/m1", session="t")) == "beta/m1"
    changed = Config.model_validate({"providers": {"alpha": {"priority": 1}, "beta": {}}})
    assert world.engine.configure(changed, world.now) == ()
    assert world.message("alpha/m1", session="u").action == "proceed"


def test_the_same_configuration_again_changes_nothing(world: World) -> None:
    world.engine.configure(Config(), world.now)
    assert world.engine.drain() == ()


def test_a_project_has_a_configuration_of_its_own(world: World) -> None:
    strict = Config.model_validate({"providers": {"alpha": {"enabled": False}}})
    world.engine.configure(strict, world.now, directory="/project")
    event = Route(session="p", directory="/project", turn="t", target=ref("alpha/m1"), at="message")
    assert to(world.engine.route(event, world.now)) == "beta/m1"
    assert world.message("alpha/m1").action == "proceed"


def test_hello_answers_with_warnings_and_timeouts() -> None:
    world = World(config={"providers": {"alpha": {"first_token_timeout": "5m"}}, "last_resort": "alpha/m17"})
    reply = world.engine.hello(Hello(providers=[provider("alpha", "m1")]), world.now)
    assert reply.warnings == ("last_resort: no connected model of alpha 'm17'; did you mean 'm1'?",)
    assert reply.first_token_timeout_s == {"*": 60, "alpha": 300}
    assert reply.version == "test"


# -- saving and loading ------------------------------------------------------------------------------------------------


def test_everything_that_matters_survives_a_restart(world: World) -> None:
    world.message("alpha/m1")
    world.refused("alpha/m1", **LONG_WAIT)
    world.answered("beta/m1")
    reported = world.last
    world.events(completed("m", "beta/m1"))
    world.restart()
    world.hello(provider("alpha", "m1", "m2"), provider("beta", "m1"))
    assert to(world.message("alpha/m1")) == "beta/m1"
    assert world.heard("switch")[1:] == []  # the session was already there
    world.events(completed("m", "beta/m1"))
    world.outcome("beta/m1", "ok", attempt=reported)
    assert counts(world, "beta") == (1, 110, 0.5)


def test_the_state_has_the_documented_shape(world: World) -> None:
    config = Config.model_validate({"providers": {"alpha": {"limits": {"rph": 10, "rpd": 100}}}})
    world.engine.configure(config, world.now)
    world.message("alpha/m1")
    world.refused("alpha/m1", status=402, body="Insufficient credits")
    world.answered("beta/m1")
    state = world.engine.dump(world.now)
    assert state["version"] == 1
    assert state["currentProvider"] == "beta"
    assert state["modelMapping"] == {"m1": ["alpha", "beta"]}
    alpha = state["providers"]["alpha"]
    assert (alpha["requestCount"], alpha["dailyCount"], alpha["errorCount"]) == (1, 1, 1)
    assert (alpha["hourlyLimit"], alpha["dailyLimit"], alpha["isAvailable"]) == (10, 100, False)
    assert alpha["cooldownUntil"].endswith("Z")
    assert state["providers"]["beta"]["cooldownUntil"] is None


GOOD: dict[str, Any] = {"version": 1}


@pytest.mark.parametrize(
    ("damage", "place"),
    [
        ([], "not a JSON object"),
        ({}, "version"),
        ({"version": True}, "version"),
        ({"version": 0}, "version"),
        ({**GOOD, "usage": 3}, "usage"),
        ({**GOOD, "health": 3}, "health"),
        ({**GOOD, "sessions": 3}, "sessions"),
        ({**GOOD, "sessions": {"s": {}}}, "sessions.s"),
        ({**GOOD, "currentTarget": 3}, "currentTarget"),
        ({**GOOD, "permitted": {"a": "x"}}, "permitted.a"),
        ({**GOOD, "guard": [1]}, "guard"),
        ({**GOOD, "guard": [1, float("nan")]}, "guard[1]"),
        ({**GOOD, "turns": -1}, "turns"),
        ({**GOOD, "attempts": 3}, "attempts"),
        ({**GOOD, "messages": {}}, "messages"),
    ],
)
def test_damage_is_named_and_changes_nothing(world: World, damage: object, place: str) -> None:
    world.message("alpha/m1")
    world.answered("alpha/m1")
    with pytest.raises(ValueError, match=r".") as error:
        world.engine.load(damage, world.now)
    assert place in str(error.value)
    assert counts(world, "alpha")[0] == 1


def test_a_newer_state_is_not_read(world: World) -> None:
    with pytest.raises(NewerStateError, match="version: 2 is newer than 1"):
        world.engine.load({"version": 2}, world.now)


def test_an_empty_state_is_complete(world: World) -> None:
    world.engine.load(GOOD, world.now)
    assert world.message("alpha/m1").action == "proceed"


def test_explain_gives_every_candidate_its_reason_and_changes_nothing(world: World) -> None:
    world.message("alpha/m1")
    world.refused("alpha/m1", **LONG_WAIT)
    before = world.engine.dump(world.now)
    event = Route(session="x", turn="x", target=ref("alpha/m1"), at="message")
    decision = world.engine.explain(event, world.now)
    assert to(decision) == "beta/m1"
    assert [(r.target, r.code) for r in decision.rejected] == [("alpha/m1", "cooling"), ("alpha/m2", "not_needed")]
    assert world.engine.dump(world.now) == before
    assert world.engine.drain() == ()


def test_explain_when_nothing_is_free() -> None:
    world = World(provider("alpha", "m1"), config={"providers": {"alpha": {"enabled": False}}})
    decision = world.engine.explain(Route(session="x", turn="x", target=ref("alpha/m1"), at="message"), world.now)
    assert decision.reason.code == "nothing_free"


def test_explain_when_the_wanted_target_is_free(world: World) -> None:
    decision = world.engine.explain(Route(session="x", turn="x", target=ref("alpha/m1"), at="message"), world.now)
    assert (decision.action, decision.reason.code) == ("proceed", "chosen")
    assert [r.code for r in decision.rejected] == ["not_needed", "not_needed"]


def test_explain_says_when_nothing_would_be_decided_at_all(world: World) -> None:
    unknown = Route(session="x", turn="x", target=ref("alpha/m7"), at="message")
    assert world.engine.explain(unknown, world.now).reason.code == "not_connected"
    world.engine.configure(Config(enabled=False), world.now)
    assert world.engine.explain(unknown, world.now).reason.code == "off"


def test_a_stopped_attempt_that_was_never_sent_counts_nothing(world: World) -> None:
    world.message("alpha/m1")
    world.outcome("alpha/m1", "aborted", attempt="waited only")
    assert counts(world, "alpha")[0] == 0


def test_a_late_success_counts_and_touches_no_turn(world: World) -> None:
    world.message("alpha/m1")
    world.outcome("alpha/m1", "ok", attempt="late", age_s=5.0)
    assert counts(world, "alpha")[0] == 1


def test_messages_count_where_attempts_at_that_provider_are_not_reported(world: World) -> None:
    world.message("alpha/m1")
    world.attempt("beta/m1", agent="title", mobility="reroute")
    world.events(completed("m"), completed("n"))
    assert counts(world, "alpha")[0] == 2


def test_a_clock_that_steps_back_lengthens_no_cooldown(world: World) -> None:
    world.message("alpha/m1")
    world.refused("alpha/m1", **LONG_WAIT)
    world.later(-86_400)
    world.message("alpha/m1", session="t")
    world.later(601)
    assert world.message("alpha/m1", session="u").action == "proceed"
