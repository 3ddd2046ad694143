"""What Prometheus reads: valid for its own parser, monotone, bounded, and the sums of what was recorded."""

from collections import Counter
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st
from prometheus_client import Metric
from prometheus_client.parser import text_string_to_metric_families

from sidecar.core.decisions import Reason
from sidecar.core.records import Tokens
from sidecar.core.snapshot import ModelStatus, ProviderStatus, ReadingInfo, Snapshot
from sidecar.core.target import Target
from sidecar.daemon.metrics import MOST_SERIES, MOST_TARGETS, Facts, Metrics
from tests.daemon.conftest import HELLO, InProcess, limited, outcome, request
from tests.daemon.history_world import began, decided, ended, notice, used

FACTS = Facts(
    version="0.1.0",
    started=1_000.0,
    saves=3,
    save_s=0.25,
    history_queue=2,
    history_written=40,
    history_dropped=1,
)
PREFIX = "rate_limit_sidecar_"
EMPTY = Snapshot(at=1_060.0)


def families(text: str) -> dict[str, Metric]:
    found = {family.name.removeprefix(PREFIX): family for family in text_string_to_metric_families(text)}
    assert all(family.documentation and family.type != "unknown" for family in found.values())
    return found


def samples(text: str, name: str) -> dict[tuple[str, ...], float]:
    """Give the samples of that exact name by their label values."""
    return {
        tuple(sample.labels.values()): sample.value
        for family in families(text).values()
        for sample in family.samples
        if sample.name == PREFIX + name
    }


def test_attempts_failures_and_switches_are_counted_by_their_labels() -> None:
    metrics = Metrics()
    for record in (began(), ended("a1"), ended("a2"), ended("a3", "failed"), ended("a4", "aborted"), decided()):
        metrics.record(record)
    metrics.record(used("m1"))
    metrics.record(used("m2", request=True, ended="failed", kind="quota"))
    for event in ("switch", "switch", "failure", "back"):
        metrics.notice(notice(event))
    text = metrics.render(EMPTY, FACTS)
    assert samples(text, "attempts_total") == {
        ("alpha", "m1", "build", "ok"): 2,
        ("alpha", "m1", "build", "failed"): 2,
        ("alpha", "m1", "build", "aborted"): 1,
    }
    assert samples(text, "failures_total") == {("rate_limit",): 1, ("quota",): 1}
    assert samples(text, "switches_total") == {("alpha/m1", "beta/m1", "rate_limit"): 2}
    assert samples(text, "tokens_total") == {
        ("input",): 200,
        ("output",): 40,
        ("reasoning",): 10,
        ("cache_read",): 2_000,
        ("cache_write",): 14,
    }
    assert samples(text, "cost_usd_total") == {(): 0.5}


def test_times_of_answers_fall_into_buckets_that_add_up() -> None:
    metrics = Metrics()
    for first, whole in ((50.0, 600.0), (100.0, 1_000.0), (700.0, 2_000.0), (90_000.0, 9e6)):
        metrics.record(ended(latency_ms=whole, first_token_ms=first))
    metrics.record(ended(how="failed", latency_ms=5.0, first_token_ms=5.0))
    text = metrics.render(EMPTY, FACTS)
    bucket = samples(text, "time_to_first_token_seconds_bucket")
    assert (bucket["alpha", "m1", "0.1"], bucket["alpha", "m1", "1"], bucket["alpha", "m1", "60"]) == (2, 3, 3)
    assert bucket["alpha", "m1", "+Inf"] == 4
    assert samples(text, "time_to_first_token_seconds_count") == {("alpha", "m1"): 4}
    assert samples(text, "time_to_first_token_seconds_sum")["alpha", "m1"] == 90.85
    assert samples(text, "attempt_latency_seconds_bucket")["alpha", "m1", "600"] == 3


def test_gauges_show_who_may_be_used_and_how_full_limits_are() -> None:
    reading = ReadingInfo(name="rpm", unit="requests", limit=50, used=49, full=False, frees_at=None, learned=False)
    model = ModelStatus(id="m1", state="unavailable", until=1_100.0)
    gone = ProviderStatus(id="gone", state="disabled", why="by hand", until=1_100.0)
    provider = ProviderStatus(id="alpha", state="limited", until=1_100.0, readings=(reading,), models=(model,))
    text = Metrics().render(Snapshot(at=1_060.0, providers=(provider, gone)), FACTS)
    assert samples(text, "target_available") == {("alpha", ""): 1, ("alpha", "m1"): 0, ("gone", ""): 0}
    assert samples(text, "cooldown_seconds") == {("alpha", "m1"): 40}
    assert samples(text, "cooldown_until_timestamp_seconds") == {("alpha", "m1"): 1_100}
    assert samples(text, "limit_used") == {("alpha", "", "rpm"): 49}
    assert samples(text, "limit_maximum") == {("alpha", "", "rpm"): 50}


def test_the_daemon_tells_of_itself() -> None:
    text = Metrics().render(EMPTY, FACTS)
    assert samples(text, "info") == {("0.1.0",): 1}
    assert samples(text, "uptime_seconds") == {(): 60}
    assert samples(text, "state_save_seconds_count") == {(): 3}
    assert samples(text, "history_queue") == {(): 2}
    assert samples(text, "history_dropped_total") == {(): 1}
    assert samples(text, "cost_usd_total") == {(): 0}


names = st.text(max_size=20)
targets = st.builds(Target, names, names)


@settings(deadline=None)
@given(st.lists(st.tuples(targets, names), max_size=30), names)
def test_no_name_breaks_the_format(attempts: list[tuple[Target, str]], text: str) -> None:
    metrics = Metrics()
    for target, agent in attempts:
        metrics.record(ended(target=target, agent=agent))
        metrics.notice(notice(source=text, target=str(target), reason=Reason(code=text, text="x")))
    found = samples(metrics.render(EMPTY, FACTS), "attempts_total")
    assert found == Counter((*target, agent, "ok") for target, agent in attempts)


def test_names_without_end_are_counted_together_and_nothing_is_lost() -> None:
    metrics = Metrics()
    many = MOST_SERIES + 50
    for i in range(many):
        metrics.record(ended(f"a{i}", target=Target("alpha", f"m{i}")))
    models = tuple(ModelStatus(id=f"m{i}", state="available") for i in range(many))
    providers = tuple(ProviderStatus(id=p, state="available", models=models) for p in ("alpha", "beta"))
    text = metrics.render(Snapshot(at=1.0, providers=providers), FACTS)
    attempts = samples(text, "attempts_total")
    assert (len(attempts), sum(attempts.values())) == (MOST_SERIES + 1, many)
    assert attempts[("other",) * 4] == 50
    latencies = samples(text, "attempt_latency_seconds_count")
    assert (len(latencies), sum(latencies.values())) == (MOST_TARGETS + 1, many)
    assert len(samples(text, "target_available")) == MOST_TARGETS + 2


records = st.one_of(
    st.builds(
        ended,
        st.just("a"),
        st.sampled_from(["ok", "failed", "aborted", "empty"]),
        target=st.sampled_from([Target("a", "m")]),
    ),
    st.builds(used, tokens=st.builds(Tokens, *[st.integers(0, 10**11)] * 5), cost=st.floats(0, 1e5)),
)


@settings(deadline=None, max_examples=30)
@given(st.lists(records, max_size=20))
def test_counters_never_go_back(written: list[Any]) -> None:
    metrics = Metrics()
    before: dict[tuple[str, ...], float] = {}
    for record in written:
        metrics.record(record)
        now = {
            (sample.name, *sample.labels.values()): sample.value
            for family in families(metrics.render(EMPTY, FACTS)).values()
            if family.type in ("counter", "histogram")
            for sample in family.samples
        }
        assert all(now[key] >= value for key, value in before.items())
        before = now


async def test_the_route_speaks_the_text_format(running: InProcess) -> None:
    await running.post("/v1/hello", HELLO)
    await running.post("/v1/route", request())
    await running.post("/v1/outcome", limited())
    await running.post("/v1/route", request("a2", target={"provider": "beta", "model": "m1"}))
    answered = outcome("a2", target={"provider": "beta", "model": "m1"}, latency_ms=900, first_token_ms=120)
    await running.post("/v1/outcome", answered)
    running.clock.now += 5
    async with running.http.get("/metrics") as answer:
        assert answer.headers["Content-Type"] == "text/plain; version=0.0.4; charset=utf-8"
        text = await answer.text()
    assert text.endswith("\n")
    assert samples(text, "attempts_total") == {
        ("alpha", "m1", "build", "failed"): 1,
        ("beta", "m1", "build", "ok"): 1,
    }
    assert samples(text, "switches_total") == {("alpha/m1", "beta/m1", "rate_limit"): 1}
    assert samples(text, "target_available")["alpha", "m1"] == 0
    assert samples(text, "cooldown_seconds")["alpha", "m1"] == 595
    assert samples(text, "uptime_seconds") == {(): 5}
    assert samples(text, "state_save_seconds_count")[()] >= 1
    assert "s1" not in text, "no session in a label"


async def test_the_route_is_behind_the_gate(running: InProcess) -> None:
    assert (await running.ask("GET", "/metrics", headers={"Origin": "http://evil"})).status == 403
    assert (await running.ask("POST", "/metrics", {})).status == 405
