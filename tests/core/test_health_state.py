"""What of the health survives a restart, how a mistake in the state is named, and that memory is bounded."""

import json
from typing import Any

import pytest

from sidecar.config.models import Config
from sidecar.core.cooldowns.health import MOST_PLACES, Health
from sidecar.core.cooldowns.health_state import Saved
from sidecar.core.failure import Kind, Scope
from sidecar.core.target import Target
from tests.core.test_health import CONFIG, EVERYONE, NOW, WORK, A, B, C, blocked, failure, until

COOLDOWN = {"scope": "account", "account": "team", "provider": "a", "model": "m", "kind": "quota", "start": 1.5,
            "length": 60, "failures": 2, "open": True}  # fmt: skip


def state(**changes: Any) -> dict[str, Any]:
    return {"clock": 10, "cooldowns": [COOLDOWN, {**COOLDOWN, **changes}], "disabled": [], "errors": []}


def test_a_newer_version_may_say_more() -> None:
    saved = Saved.model_validate({**state(novelty=1), "novelty": 2})
    assert saved.cooldowns[1].length == 60


def test_only_the_clock_is_needed() -> None:
    assert Saved.model_validate({"clock": 10}) == Saved(clock=10)


@pytest.mark.parametrize(
    ("scope", "place"),
    [("model", ("model", "a", "m")), ("provider", ("provider", "a", "")), ("account", ("account", "team", ""))],
)
def test_the_place_that_rests(scope: str, place: tuple[str, str, str]) -> None:
    assert Saved.model_validate(state(scope=scope)).cooldowns[1].place == place


@pytest.mark.parametrize(
    ("changes", "named"),
    [
        ({"scope": "none"}, "cooldowns.1.scope"),
        ({"provider": None}, "cooldowns.1.provider"),
        ({"kind": "mood"}, "cooldowns.1.kind"),
        ({"start": float("nan")}, "cooldowns.1.start"),
        ({"start": float("-inf")}, "cooldowns.1.start"),
        ({"length": -1}, "cooldowns.1.length"),
        ({"length": 1e9}, "cooldowns.1.length"),
        ({"failures": -1}, "cooldowns.1.failures"),
        ({"failures": 2**60}, "cooldowns.1.failures"),
        ({"open": "perhaps"}, "cooldowns.1.open"),
        ({"why": "a" * 301}, "cooldowns.1.why"),
    ],
)
def test_a_mistake_is_named_by_its_place(changes: dict[str, Any], named: str) -> None:
    with pytest.raises(ValueError, match=named):
        Health.from_json(state(**changes), 20)


@pytest.mark.parametrize(
    ("data", "named"),
    [
        (None, "Saved"),
        ([], "Saved"),
        ({}, "clock"),
        ({"clock": "noon"}, "clock"),
        ({"clock": 1, "cooldowns": {}}, "cooldowns"),
        ({"clock": 1, "disabled": [{"model": "m"}]}, "disabled.0.provider"),
        ({"clock": 1, "disabled": [{"provider": "a", "until": "soon"}]}, "disabled.0.until"),
        ({"clock": 1, "errors": [{"provider": "a", "count": -1, "kind": "auth", "at": 1}]}, "errors.0.count"),
    ],
)
def test_whatever_else_is_wrong_is_named_too(data: object, named: str) -> None:
    with pytest.raises(ValueError, match=named):
        Health.from_json(data, 20)


def lived() -> Health:
    health = Health()
    health.fail(A, failure(), CONFIG, NOW)
    health.fail(A, failure(), CONFIG, NOW + 6)
    health.fail(WORK, failure(Kind.QUOTA, Scope.ACCOUNT), CONFIG, NOW + 6)
    health.fail(B, failure(Kind.AUTH, Scope.PROVIDER), CONFIG, NOW + 6)
    health.fail(C, failure(Kind.SERVER), CONFIG, NOW + 6)
    health.succeed(C, CONFIG, NOW + 12)
    health.disable("c", "m", until=NOW + 99)
    health.disable("d")
    return health


def test_everything_that_matters_survives_a_restart() -> None:
    health = lived()
    data = json.loads(json.dumps(health.to_json(), allow_nan=False))
    again = Health.from_json(data, NOW + 13)
    assert again.to_json() == {**data, "clock": NOW + 13}
    for target in (*EVERYONE, Target("d", "x")):
        assert again.blocked(target, CONFIG, NOW + 13) == health.blocked(target, CONFIG, NOW + 13)
        assert again.errors(target.provider) == health.errors(target.provider)
        assert again.errors(*target) == health.errors(*target)
    block = again.fail(A, failure(), CONFIG, NOW + 20)
    assert block is not None
    assert block.until == NOW + 40, "growth survives too"


def test_the_state_reads_well_and_keeps_nothing_of_the_healed() -> None:
    data = lived().to_json()
    assert data["cooldowns"][1] == {
        "scope": "account",
        "account": "team",
        "provider": "work",
        "model": "m",
        "kind": "quota",
        "start": NOW + 6,
        "length": 3600,
        "failures": 1,
        "open": True,
        "why": "words about quota",
    }
    assert [(c["scope"], c["provider"]) for c in data["cooldowns"]] == [
        ("model", "a"), ("account", "work"), ("provider", "b"),
    ]  # fmt: skip
    assert data["disabled"] == [
        {"provider": "c", "model": "m", "until": NOW + 99},
        {"provider": "d", "model": None, "until": None},
    ]
    last = {"count": 2, "kind": "rate_limit", "at": NOW + 6, "why": "words about rate_limit"}
    assert data["errors"][:2] == [
        {"provider": "a", "model": "m", **last},
        {"provider": "a", "model": None, **last},
    ]


def test_failures_below_the_threshold_survive_too() -> None:
    health = Health()
    config = Config.model_validate({"cooldowns": {"server": {"threshold": 2}}})
    health.fail(A, failure(Kind.SERVER), config, NOW)
    health = Health.from_json(health.to_json(), NOW + 1)
    assert health.fail(A, failure(Kind.SERVER), config, NOW + 1) is not None


def test_a_health_that_saw_nothing_survives_too() -> None:
    assert blocked(Health.from_json(json.loads(json.dumps(Health().to_json(), allow_nan=False)), NOW), 0) == {}


def test_a_clock_stepped_back_while_nobody_watched() -> None:
    health = Health.from_json(lived().to_json(), NOW - 1e6)
    assert until(health, A, -1e6) == -1e6 + 4, "12 s had passed of 16"


def test_what_starts_after_its_own_clock_starts_at_it() -> None:
    data = lived().to_json()
    data["cooldowns"][0]["start"] = data["errors"][0]["at"] = NOW + 1e9
    health = Health.from_json(data, NOW + 12)
    assert until(health, A, 12) == 22
    errors = health.errors("a", "m")
    assert errors is not None
    assert errors.at == NOW + 12


def test_memory_is_bounded_and_the_healthy_go_first() -> None:
    health = Health()
    health.disable("p", "m1")
    for i in range(MOST_PLACES):
        health.fail(Target("p", f"m{i}"), failure(wait=3600), CONFIG, NOW + i)
        health.disable("p", f"m{i}")
        if i >= MOST_PLACES - 50:
            health.succeed(Target("p", f"m{i}"), CONFIG, NOW + i + 1, started=NOW + i + 0.5)
    health._leases[("model", "p", "m0")] = Target("p", "m0"), NOW
    health.fail(A, failure(), CONFIG, NOW + MOST_PLACES)
    health.disable("a")
    assert not health._leases
    assert A in blocked(health, MOST_PLACES)
    assert len(health._cooldowns) <= MOST_PLACES
    for i, kept in [(MOST_PLACES - 1, False), (0, False), (49, False), (60, True), (MOST_PLACES - 51, True)]:
        assert (("model", "p", f"m{i}") in health._cooldowns) is kept
    assert health.enable("p", "m1")
    assert not health.enable("p", "m0")
    assert health.errors("p", "m0") is None
    errors = health.errors("p")
    assert errors is not None
    assert errors.count == MOST_PLACES
    assert len(health.to_json()["errors"]) == MOST_PLACES


def test_what_is_read_is_bounded() -> None:
    data: dict[str, Any] = lived().to_json()
    for key in ("cooldowns", "disabled", "errors"):
        data[key] = [{**data[key][0], "model": f"m{i}"} for i in range(3 * MOST_PLACES)]
    again = Health.from_json(data, NOW).to_json()
    assert all(len(again[key]) <= MOST_PLACES for key in ("cooldowns", "disabled", "errors"))
