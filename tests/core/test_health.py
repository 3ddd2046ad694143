"""Who may be used: scopes, probes, successes, people's orders."""

import pytest

from sidecar.config.models import Config
from sidecar.core.cooldowns.cooldown import DEFAULTS
from sidecar.core.cooldowns.health import PROBE_LEASE_S, Block, Health
from sidecar.core.failure import Failure, Kind, Scope
from sidecar.core.target import Target

NOW = 1_790_000_000.0
CONFIG = Config.model_validate(
    {
        "providers": {
            "work": {"account": "team"},
            "home": {"account": "team"},
            "ollama": {"local": True},
            "lmstudio": {"local": True},
        }
    }
)
A, A2, B, C = Target("a", "m"), Target("a", "other"), Target("b", "m"), Target("c", "m")
WORK, HOME = Target("work", "m"), Target("home", "n")
LOCAL = Target("ollama", "m")
EVERYONE = (A, A2, B, C, WORK, HOME, LOCAL)


def failure(kind: Kind = Kind.RATE_LIMIT, scope: Scope = Scope.MODEL, wait: float | None = None) -> Failure:
    return Failure(kind=kind, scope=scope, retry_after_s=wait, why=f"words about {kind}")


NETWORK = failure(Kind.NETWORK, Scope.PROVIDER)


def blocked(health: Health, at: float) -> dict[Target, str]:
    """Give the code of everyone who is blocked at NOW + at."""
    blocks = {target: health.blocked(target, CONFIG, NOW + at) for target in EVERYONE}
    return {target: block.code for target, block in blocks.items() if block is not None}


def until(health: Health, target: Target, at: float) -> float | None:
    block = health.blocked(target, CONFIG, NOW + at)
    return None if block is None or block.until is None else block.until - NOW


# ---------------------------------------------------------------------------------------------------- what cools whom


@pytest.mark.parametrize("kind", [kind for kind in DEFAULTS if kind is not Kind.NETWORK])
@pytest.mark.parametrize(
    ("target", "scope", "who", "place"),
    [
        (A, Scope.MODEL, {A}, Scope.MODEL),
        (A, Scope.PROVIDER, {A, A2}, Scope.PROVIDER),
        (A, Scope.ACCOUNT, {A, A2}, Scope.PROVIDER),
        (WORK, Scope.MODEL, {WORK}, Scope.MODEL),
        (WORK, Scope.PROVIDER, {WORK}, Scope.PROVIDER),
        (WORK, Scope.ACCOUNT, {WORK, HOME}, Scope.ACCOUNT),
    ],
)
def test_a_failure_cools_its_scope_for_as_long_as_its_class_says(
    kind: Kind, target: Target, scope: Scope, who: set[Target], place: Scope
) -> None:
    health = Health()
    block = health.fail(target, failure(kind, scope), CONFIG, NOW)
    length = DEFAULTS[kind].initial
    assert block == Block("cooling", NOW + length, place, kind, f"words about {kind}")
    assert block == health.blocked(target, CONFIG, NOW)
    assert blocked(health, 0) == blocked(health, length - 0.01) == dict.fromkeys(who, "cooling")
    assert blocked(health, length) == {}


@pytest.mark.parametrize("kind", sorted(set(Kind) - set(DEFAULTS)))
@pytest.mark.parametrize("scope", Scope)
def test_what_is_the_requests_own_fault_cools_nobody_and_counts_for_nobody(kind: Kind, scope: Scope) -> None:
    health = Health()
    assert health.fail(A, failure(kind, scope, 60), CONFIG, NOW) is None
    assert blocked(health, 0) == {}
    assert health.errors("a") is None


def test_a_failure_without_a_scope_is_counted_and_cools_nobody() -> None:
    health = Health()
    assert health.fail(A, failure(scope=Scope.NONE), CONFIG, NOW) is None
    assert blocked(health, 0) == {}
    errors = health.errors("a")
    assert errors is not None
    assert errors.count == 1


def test_a_failure_below_the_threshold_cools_nobody() -> None:
    health = Health()
    config = Config.model_validate({"cooldowns": {"server": {"threshold": 2, "initial": 7}}})
    assert health.fail(A, failure(Kind.SERVER), config, NOW) is None
    assert health.blocked(A, config, NOW) is None
    block = health.fail(A, failure(Kind.SERVER), config, NOW + 1)
    assert block is not None
    assert block.until == NOW + 8


def test_failures_are_counted_and_the_last_is_remembered() -> None:
    health = Health()
    health.fail(A, failure(Kind.SERVER), CONFIG, NOW)
    health.fail(A2, failure(Kind.QUOTA), CONFIG, NOW + 1)
    model, provider = health.errors("a", "m"), health.errors("a")
    assert model is not None
    assert provider is not None
    assert (model.count, model.kind, model.at, model.why) == (1, Kind.SERVER, NOW, "words about server")
    assert (provider.count, provider.kind, provider.at) == (2, Kind.QUOTA, NOW + 1)
    assert health.errors("b") is None


def test_ten_sessions_that_hit_the_same_429_cost_one_failure() -> None:
    health = Health()
    for i in range(10):
        block = health.fail(A, failure(), CONFIG, NOW + i / 10, started=NOW - 1)
        assert block is not None
        assert block.until == NOW + 5
    assert health.claim_probe(A, CONFIG, NOW + 6)
    block = health.fail(A, failure(), CONFIG, NOW + 7, started=NOW + 6)
    assert block is not None
    assert block.until == NOW + 17


def test_of_several_reasons_the_strongest_and_then_the_longest_is_named() -> None:
    health = Health()
    health.fail(A, failure(wait=10), CONFIG, NOW)
    health.fail(A, failure(Kind.SERVER, wait=20), CONFIG, NOW)
    health.fail(A2, failure(Kind.QUOTA, Scope.PROVIDER, wait=15), CONFIG, NOW)
    assert until(health, A, 0) == 20
    assert until(health, A2, 0) == 15
    health.disable("a", "m", until=NOW + 3)
    assert health.blocked(A, CONFIG, NOW) == Block("disabled", NOW + 3, Scope.MODEL, None, "disabled by hand")


def test_a_provider_is_blocked_by_what_speaks_about_all_its_models() -> None:
    health = Health()
    health.fail(A, failure(), CONFIG, NOW)
    assert health.provider_blocked("a", CONFIG, NOW) is None
    health.fail(WORK, failure(Kind.BILLING, Scope.ACCOUNT), CONFIG, NOW)
    block = health.provider_blocked("home", CONFIG, NOW)
    assert block is not None
    assert (block.code, block.scope) == ("cooling", Scope.ACCOUNT)


# ------------------------------------------------------------------------------------------------------------- probes


def test_after_a_cooldown_one_probe_goes_and_the_others_wait_for_it() -> None:
    health = Health()
    assert health.claim_probe(A, CONFIG, NOW), "a healthy target needs no probe"
    assert health.claim_probe(A, CONFIG, NOW)
    health.fail(A, failure(scope=Scope.PROVIDER), CONFIG, NOW)
    assert not health.claim_probe(A, CONFIG, NOW + 4)
    assert health.claim_probe(A, CONFIG, NOW + 5)
    assert not health.claim_probe(A, CONFIG, NOW + 5)
    assert not health.claim_probe(A2, CONFIG, NOW + 5)
    block = health.blocked(A2, CONFIG, NOW + 5)
    assert block is not None
    assert (block.code, block.until, block.scope) == ("probing", NOW + 5 + PROBE_LEASE_S, Scope.PROVIDER)
    assert health.succeed(A, CONFIG, NOW + 8, started=NOW + 5)
    assert blocked(health, 8) == {}
    assert health.claim_probe(A, CONFIG, NOW + 8)
    assert health.claim_probe(A, CONFIG, NOW + 8)


def test_a_probe_that_fails_cools_longer() -> None:
    health = Health()
    health.fail(A, failure(), CONFIG, NOW)
    health.claim_probe(A, CONFIG, NOW + 5)
    block = health.fail(A, failure(), CONFIG, NOW + 6, started=NOW + 5)
    assert block is not None
    assert block.until == NOW + 16


def test_a_probe_that_fails_for_another_reason_leaves_the_question_open() -> None:
    health = Health()
    health.fail(A, failure(), CONFIG, NOW)
    health.claim_probe(A, CONFIG, NOW + 5)
    health.fail(A, failure(Kind.BAD_REQUEST, Scope.NONE), CONFIG, NOW + 6, started=NOW + 5)
    assert health.claim_probe(A, CONFIG, NOW + 6)
    assert not health.claim_probe(A, CONFIG, NOW + 6)


def test_a_probe_that_never_reports_loses_its_place() -> None:
    health = Health()
    health.fail(A, failure(), CONFIG, NOW)
    assert health.claim_probe(A, CONFIG, NOW + 5)
    assert not health.claim_probe(A, CONFIG, NOW + 5 + PROBE_LEASE_S - 1)
    assert health.claim_probe(A, CONFIG, NOW + 5 + PROBE_LEASE_S)


def test_only_the_probe_itself_ends_the_probe() -> None:
    health = Health()
    health.fail(A, failure(scope=Scope.PROVIDER), CONFIG, NOW)
    health.claim_probe(A, CONFIG, NOW + 5)
    health.fail(A, failure(scope=Scope.PROVIDER), CONFIG, NOW + 6, started=NOW - 1)
    health.fail(A2, failure(Kind.ABORTED, Scope.NONE), CONFIG, NOW + 6)
    health.succeed(A, CONFIG, NOW + 6, started=NOW - 1)
    health.stopped(A2, CONFIG, NOW + 6)
    health.stopped(A, CONFIG, NOW + 4)
    assert blocked(health, 6) == {A: "probing", A2: "probing"}


def test_a_probe_the_user_stopped_makes_room_for_the_next() -> None:
    health = Health()
    health.fail(A, failure(), CONFIG, NOW)
    health.claim_probe(A, CONFIG, NOW + 5)
    health.stopped(A, CONFIG, NOW + 6)
    assert health.claim_probe(A, CONFIG, NOW + 6)


def test_every_target_in_trouble_is_named() -> None:
    health = Health()
    health.fail(A, failure(), CONFIG, NOW)
    health.fail(A2, failure(scope=Scope.PROVIDER), CONFIG, NOW)
    health.disable("b", "m")
    health.disable("c")
    assert health.targets() == {A, A2, B}


def test_a_probe_that_reported_is_in_nobodys_way_later() -> None:
    health = Health()
    health.fail(A, failure(scope=Scope.PROVIDER), CONFIG, NOW)
    health.claim_probe(A, CONFIG, NOW + 5)
    health.succeed(A, CONFIG, NOW + 6, started=NOW + 5)
    health.fail(A2, failure(scope=Scope.PROVIDER), CONFIG, NOW + 7)
    assert health.claim_probe(A2, CONFIG, NOW + 12)


def test_a_probe_of_several_cooldowns_holds_all_their_places() -> None:
    health = Health()
    health.fail(WORK, failure(), CONFIG, NOW)
    health.fail(WORK, failure(Kind.QUOTA, Scope.ACCOUNT, wait=5), CONFIG, NOW)
    assert health.claim_probe(WORK, CONFIG, NOW + 5)
    assert blocked(health, 5) == {WORK: "probing", HOME: "probing"}
    assert health.succeed(WORK, CONFIG, NOW + 6, started=NOW + 5)
    assert blocked(health, 6) == {}


# ---------------------------------------------------------------------------------------------------------- successes


@pytest.mark.parametrize(
    ("kind", "scope", "who", "started", "back"),
    [
        (Kind.SERVER, Scope.PROVIDER, A, None, False),
        (Kind.SERVER, Scope.PROVIDER, A, -1, False),
        (Kind.SERVER, Scope.PROVIDER, A, 1, True),
        (Kind.SERVER, Scope.PROVIDER, A2, 1, True),
        (Kind.SERVER, Scope.PROVIDER, B, 1, False),
        (Kind.SERVER, Scope.MODEL, A2, 1, False),
        (Kind.QUOTA, Scope.PROVIDER, A, -1, False),
        (Kind.QUOTA, Scope.PROVIDER, A, 1, True),
        (Kind.QUOTA, Scope.PROVIDER, A2, 1, False),
        (Kind.BILLING, Scope.ACCOUNT, A2, 1, False),
        (Kind.AUTH, Scope.PROVIDER, A2, 1, False),
    ],
)
def test_a_success_while_cooling(kind: Kind, scope: Scope, who: Target, started: float | None, back: bool) -> None:
    health = Health()
    health.fail(A, failure(kind, scope, 3600), CONFIG, NOW)
    began = None if started is None else NOW + started
    assert health.succeed(who, CONFIG, NOW + 2, started=began) is back
    assert (A2 in blocked(health, 2)) is (scope is not Scope.MODEL and not back)
    assert (A in blocked(health, 2)) is not (back and who == A)


def test_a_provider_that_serves_another_model_meanwhile_rests_for_the_refused_one_only() -> None:
    health = Health()
    health.fail(A, failure(scope=Scope.PROVIDER, wait=600), CONFIG, NOW)
    assert set(blocked(health, 1)) == {A, A2}
    assert health.succeed(A2, CONFIG, NOW + 2, started=NOW + 1)
    assert set(blocked(health, 2)) == {A}
    assert until(health, A, 2) == 600
    health.fail(A2, failure(scope=Scope.PROVIDER, wait=30), CONFIG, NOW + 4, started=NOW + 3)
    assert health.succeed(A2, CONFIG, NOW + 6, started=NOW + 5)
    assert blocked(health, 6) == {A: "cooling"}, "the target that was refused brings all of it back, but nobody else"


def test_the_longer_rest_of_a_model_stays_when_its_provider_is_back() -> None:
    health = Health()
    health.fail(A, failure(scope=Scope.MODEL, wait=900), CONFIG, NOW)
    health.fail(A, failure(scope=Scope.PROVIDER, wait=600), CONFIG, NOW)
    assert health.succeed(A2, CONFIG, NOW + 2, started=NOW + 1)
    assert until(health, A, 2) == 900


def test_a_success_does_not_bring_back_what_is_blocked_for_another_reason() -> None:
    health = Health()
    health.fail(A, failure(Kind.SERVER), CONFIG, NOW)
    health.fail(A2, failure(Kind.QUOTA, Scope.PROVIDER), CONFIG, NOW)
    assert not health.succeed(A, CONFIG, NOW + 2, started=NOW + 1)
    assert until(health, A, 2) == 3600


def test_another_models_probe_brings_an_account_back_but_a_relapse_still_costs_more() -> None:
    health = Health()
    health.fail(A, failure(Kind.BILLING, Scope.ACCOUNT), CONFIG, NOW)
    assert health.succeed(A2, CONFIG, NOW + 1801, started=NOW + 1800)
    assert blocked(health, 1801) == {}
    block = health.fail(A, failure(Kind.BILLING, Scope.ACCOUNT), CONFIG, NOW + 1802, started=NOW + 1801)
    assert block is not None
    assert block.until == NOW + 1802 + 3600


def test_a_success_of_the_healthy_brings_nobody_back() -> None:
    health = Health()
    assert not health.succeed(A, CONFIG, NOW)


# -------------------------------------------------------------------------------------------------- what people order


def test_disabling_lasts_until_its_time_or_until_enabled() -> None:
    health = Health()
    health.disable("a")
    health.disable("b", "m", until=NOW + 10)
    assert blocked(health, 0) == {A: "disabled", A2: "disabled", B: "disabled"}
    assert blocked(health, 10) == {A: "disabled", A2: "disabled"}
    assert not health.claim_probe(A, CONFIG, NOW)
    assert not health.enable("a", "m"), "only exactly what was disabled"
    assert health.enable("a")
    assert not health.enable("a")
    assert blocked(health, 10) == {}


@pytest.mark.parametrize(
    ("provider", "model", "left"),
    [
        ("a", "m", {A2, B, WORK, HOME}),
        ("a", None, {B, WORK, HOME}),
        ("home", None, {A, A2, B, WORK}),
        ("work", None, {A, A2, B}),
        (None, None, set()),
    ],
)
def test_clearing_one_model_one_provider_or_all(provider: str | None, model: str | None, left: set[Target]) -> None:
    health = Health()
    for target in (A, A2, B, WORK):
        health.fail(target, failure(), CONFIG, NOW)
    health.fail(WORK, failure(Kind.QUOTA, Scope.ACCOUNT), CONFIG, NOW)
    health.disable("c")
    health.clear(CONFIG, provider, model)
    assert set(blocked(health, 0)) == {C, *left}
    errors = health.errors("a")
    assert errors is not None
    assert errors.count == 2


def test_clearing_forgets_growth_probes_and_suspicions() -> None:
    health = Health()
    health.fail(A, failure(scope=Scope.PROVIDER), CONFIG, NOW)
    health.claim_probe(A2, CONFIG, NOW + 5)
    health.clear(CONFIG, "a")
    block = health.fail(A, failure(scope=Scope.PROVIDER), CONFIG, NOW + 6)
    assert block is not None
    assert block.until == NOW + 11
    assert health.claim_probe(A, CONFIG, NOW + 11)
    health.fail(A, NETWORK, CONFIG, NOW + 12)
    health.fail(A, NETWORK, CONFIG, NOW + 13)
    health.clear(CONFIG)
    health.succeed(B, CONFIG, NOW + 14)
    assert blocked(health, 14) == {}


def test_a_mended_key_forgives_what_only_a_person_mends() -> None:
    health = Health()
    health.fail(A, failure(Kind.AUTH, Scope.PROVIDER), CONFIG, NOW)
    health.fail(A2, failure(Kind.BILLING), CONFIG, NOW)
    health.fail(A2, failure(Kind.QUOTA), CONFIG, NOW)
    health.fail(WORK, failure(Kind.BILLING, Scope.ACCOUNT), CONFIG, NOW)
    health.forgive("a", CONFIG)
    assert set(blocked(health, 0)) == {A2, WORK, HOME}
    assert until(health, A2, 0) == 3600
    assert health.claim_probe(HOME, CONFIG, NOW + 1800)
    health.forgive("home", CONFIG)
    assert set(blocked(health, 0)) == {A2}
    health.fail(WORK, failure(Kind.QUOTA, Scope.ACCOUNT, wait=5), CONFIG, NOW + 1801)
    assert health.claim_probe(WORK, CONFIG, NOW + 1806), "the probe of what is forgiven is over"
