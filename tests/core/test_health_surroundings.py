"""Network failures and clocks: what is not the provider's fault must not cost the provider."""

from hypothesis import given, settings
from hypothesis import strategies as st

from sidecar.config.models import Config
from sidecar.core.cooldowns.cooldown import DEFAULTS
from sidecar.core.cooldowns.health import PROBE_LEASE_S, Health
from sidecar.core.failure import Kind, Scope
from sidecar.core.target import Target
from tests.core.test_health import A2, CONFIG, LOCAL, NETWORK, NOW, A, B, C, blocked, failure, until


def test_when_everyone_is_unreachable_nobody_cools() -> None:
    health = Health()
    for at in range(20):
        for target in (A, B, C):
            assert health.fail(target, NETWORK, CONFIG, NOW + at) is None
    assert blocked(health, 20) == {}
    assert not health.succeed(B, CONFIG, NOW + 21)
    assert blocked(health, 21) == {}


def test_when_it_repeats_here_while_others_answer_it_cools() -> None:
    health = Health()
    for at in (0, 10):
        health.fail(A, NETWORK, CONFIG, NOW + at)
        assert blocked(health, at) == {}
        health.succeed(B, CONFIG, NOW + at + 1)
    assert blocked(health, 11) == {A: "cooling", A2: "cooling"}
    assert until(health, A, 11) == 16
    block = health.fail(A, NETWORK, CONFIG, NOW + 12)
    assert block is not None
    assert block.until == NOW + 16


def test_a_refusal_elsewhere_is_an_answer_too_but_silence_is_none() -> None:
    for kind in Kind:
        health = Health()
        health.fail(A, NETWORK, CONFIG, NOW)
        health.fail(A, NETWORK, CONFIG, NOW + 1)
        health.fail(B, failure(kind, Scope.NONE), CONFIG, NOW + 2)
        silent = kind in {Kind.NETWORK, Kind.TIMEOUT, Kind.ABORTED, Kind.UNKNOWN}
        assert (A in blocked(health, 2)) is not silent


def test_with_one_provider_it_cannot_be_told() -> None:
    health = Health()
    for at in range(50):
        health.fail(A, NETWORK, CONFIG, NOW + at)
        health.succeed(A, CONFIG, NOW + at)
    assert blocked(health, 50) == {}


def test_a_well_known_local_provider_needs_no_configuration() -> None:
    health = Health()
    for at in (0, 1):
        health.fail(LOCAL, NETWORK, Config(), NOW + at)
    block = health.blocked(LOCAL, Config(), NOW + 1)
    assert block is not None
    assert block.kind is Kind.NETWORK


def test_a_local_provider_is_not_behind_the_link_and_tells_nothing_about_it() -> None:
    health = Health()
    for at in (0, 1):
        health.fail(A, NETWORK, CONFIG, NOW + at)
        health.fail(LOCAL, NETWORK, CONFIG, NOW + at)
    health.succeed(Target("lmstudio", "m"), CONFIG, NOW + 2)
    assert blocked(health, 2) == {LOCAL: "cooling"}


def test_a_confirmed_suspicion_respects_its_scope() -> None:
    health = Health()
    for scope in (Scope.NONE, Scope.MODEL):
        for at in (0, 1):
            health.fail(A, failure(Kind.NETWORK, scope), CONFIG, NOW + at)
        health.succeed(B, CONFIG, NOW + 2)
        assert blocked(health, 2) == ({A: "cooling"} if scope is Scope.MODEL else {})


def test_a_clock_stepped_back_leaves_what_was_left() -> None:
    health = Health()
    health.fail(A, failure(wait=3600), CONFIG, NOW)
    health.fail(B, failure(), CONFIG, NOW)
    health.claim_probe(B, CONFIG, NOW + 600)
    assert until(health, A, -86400) == -86400 + 3000, "time stands still before it is observed"
    assert until(health, B, -86400) == -86400 + PROBE_LEASE_S
    health.observe(NOW - 86400)
    assert until(health, A, -86400) == -86400 + 3000
    assert set(blocked(health, -86400 + 2999)) == {A}
    assert blocked(health, -86400 + 3000) == {}
    errors = health.errors("a")
    assert errors is not None
    assert errors.at == NOW - 86400 - 600


def test_a_question_about_an_attempt_reads_the_clock_and_a_late_report_does_not() -> None:
    health = Health()
    health.fail(A, failure(wait=3600), CONFIG, NOW)
    late = [
        health.fail(B, failure(wait=700), CONFIG, NOW - 600),
        health.fail(C, failure(wait=500), CONFIG, NOW - 600),
    ]
    assert not health.succeed(LOCAL, CONFIG, NOW - 600)
    health.stopped(LOCAL, CONFIG, NOW - 600)
    assert [block and block.until for block in late] == [NOW + 100, None]
    assert (until(health, A, 0), until(health, B, 0)) == (3600, 100)
    assert health.claim_probe(LOCAL, CONFIG, NOW - 86400)
    assert (until(health, A, -86400), until(health, B, -86400)) == (-86400 + 3600, -86400 + 100)


def test_a_report_from_later_than_the_last_reading_moves_the_clock() -> None:
    health = Health()
    health.fail(A, failure(wait=60), CONFIG, NOW)
    health.succeed(B, CONFIG, NOW + 40)
    assert until(health, A, 0) == 20, "40 s have passed"
    health.observe(NOW)
    assert until(health, A, 0) == 20


def test_suspicions_move_with_the_clock_too() -> None:
    health = Health()
    health.fail(A, NETWORK, CONFIG, NOW)
    health.observe(NOW - 86400)
    health.succeed(B, CONFIG, NOW - 86400 + 61)
    health.fail(A, NETWORK, CONFIG, NOW - 86400 + 62)
    health.succeed(B, CONFIG, NOW - 86400 + 63)
    assert blocked(health, -86400 + 63) == {}, "the first was too old to be confirmed"


def test_a_clock_set_forward_ends_a_cooldown_and_setting_it_right_does_not_revive_it() -> None:
    health = Health()
    health.fail(A, failure(wait=3600), CONFIG, NOW)
    health.observe(NOW + 86400)
    health.observe(NOW + 1)
    assert blocked(health, 1) == {}


def test_what_the_user_disabled_until_a_time_ends_at_that_time_of_the_wall_clock() -> None:
    health = Health()
    health.disable("a", until=NOW + 10)
    health.observe(NOW + 100)
    health.observe(NOW)
    assert until(health, A, 0) == 10


@given(
    st.lists(st.tuples(st.sampled_from(["pass", "jump", "fail"]), st.floats(0, 5000), st.floats(-1e9, 1e9))),
    st.floats(0, 5000),
)
@settings(max_examples=200)
def test_no_cooldown_outlives_its_own_length_whatever_the_clock_does(
    script: list[tuple[str, float, float]], wait: float
) -> None:
    health, clock, passed, deadline = Health(), NOW, 0.0, 0.0
    for what, seconds, step in script:
        if what == "pass":
            clock, passed = clock + seconds, passed + seconds
        elif what == "jump":
            clock += step
        else:
            health.observe(clock)
            health.fail(A, failure(wait=wait), CONFIG, clock)
            deadline = max(deadline, passed + max(wait, DEFAULTS[Kind.RATE_LIMIT].maximum))
        health.observe(clock)
        block = health.blocked(A, CONFIG, clock)
        if passed > deadline + 0.001:
            assert block is None
        elif block is not None:
            assert block.until is not None
            assert block.until - clock <= deadline - passed + 0.001
