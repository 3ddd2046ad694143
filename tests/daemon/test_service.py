"""The daemon as a whole, in this process: events in, decisions out, everything around them told and saved."""

import asyncio
import json
import os
import threading
from pathlib import Path
from typing import Any

import pytest

from sidecar.daemon import service as service_module
from sidecar.daemon.disk import Disk
from sidecar.paths import Paths
from tests.daemon.conftest import HELLO, Clock, InProcess, limited, outcome, request, until


def project(home: Path, text: str | None) -> str:
    folder = home / "project" / ".opencode"
    folder.mkdir(parents=True, exist_ok=True)
    if text is not None:
        (folder / "rate-limit.jsonc").write_text(text)
    return str(home / "project")


def configure(paths: Paths, config: Any) -> None:
    paths.config.parent.mkdir(parents=True, exist_ok=True)
    paths.config.write_text(config if isinstance(config, str) else json.dumps(config))


async def test_a_429_moves_the_turn_and_everybody_hears_of_it(running: InProcess) -> None:
    await running.post("/v1/hello", HELLO)
    with running.daemon._push.subscribe() as listener:
        assert (await running.post("/v1/route", request()))["action"] == "proceed"
        decision = await running.post("/v1/outcome", limited())
        assert (decision["action"], decision["target"]["provider"]) == ("switch", "beta")
        pushed = [json.loads((await listener.next(1) or ("", ""))[1]) for _ in range(2)]
    assert {notice["event"] for notice in pushed} == {"failure", "switch"}
    (line,) = [line for line in running.logged() if line["event"] == "switch"]
    assert (line["from"], line["to"]) == ("alpha/m1", "beta/m1")
    assert line["why"]
    assert line["until"]
    assert running.saved()["providers"]["alpha"]["isAvailable"] is False
    assert (await running.post("/v1/route", request("a2")))["action"] == "switch"


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("/v1/outcome", outcome()),
        ("/v1/events", {"events": [{"type": "session.idle", "properties": {}}]}),
        ("/v1/reset", {}),
        ("/v1/targets/disable", {"provider": "beta"}),
    ],
)
async def test_what_is_acknowledged_is_on_disk_first(
    running: InProcess, monkeypatch: pytest.MonkeyPatch, path: str, body: Any
) -> None:
    await running.post("/v1/hello", HELLO)
    released, writing = threading.Event(), threading.Event()
    real = os.fsync

    def wait(fd: int) -> None:
        writing.set()
        released.wait(5)
        real(fd)

    monkeypatch.setattr(running.daemon.service.store, "_disk", Disk(fsync=wait))
    monkeypatch.setattr(running.daemon.service.store, "_patience_s", 5)
    answer = asyncio.create_task(running.post(path, body))
    await until(writing.is_set, "the write")
    await asyncio.sleep(0.02)
    assert not answer.done()
    # A question is answered at once all the same.
    assert (await running.post("/v1/route", request("a2")))["action"] == "proceed"
    released.set()
    await answer
    assert running.paths.state.exists()


async def test_simultaneous_outcomes_share_writes_and_none_is_lost(running: InProcess) -> None:
    await running.post("/v1/hello", HELLO)
    await asyncio.gather(*(running.post("/v1/outcome", outcome(f"a{number}")) for number in range(100)))
    assert running.daemon.service.store.writes == 1
    await until(lambda: running.saved()["providers"]["alpha"]["requestCount"] == 100, "the next document")


async def test_on_a_full_disk_decisions_go_on_and_status_says_so(
    running: InProcess, monkeypatch: pytest.MonkeyPatch
) -> None:
    await running.post("/v1/hello", HELLO)
    store = running.daemon.service.store

    def full(*_: object) -> int:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(store, "_disk", Disk(write=full))
    monkeypatch.setattr(store, "_retry_s", (0.01, 0.01))
    assert (await running.post("/v1/outcome", limited()))["action"] == "switch"
    assert (await running.post("/v1/route", request("a2")))["action"] == "switch"
    health = await running.get("/v1/health")
    assert health["state"] == "degraded"
    assert "No space left" in health["problems"][0]
    assert (await running.get("/v1/status?format=text"))["text"].startswith("! state is not saved")
    monkeypatch.setattr(store, "_disk", Disk())
    await until(lambda: store.problem is None, "it recovers")
    assert (await running.get("/v1/health"))["state"] == "ok"
    assert running.saved()["providers"]["alpha"]["isAvailable"] is False


async def test_a_new_daemon_knows_what_the_old_one_knew(paths: Paths, env: dict[str, str], clock: Clock) -> None:
    async with InProcess(paths, env, clock) as first:
        await first.post("/v1/hello", HELLO)
        await first.post("/v1/outcome", limited())
    async with InProcess(paths, env, clock) as second:
        status = await second.get("/v1/status")
        assert [(p["id"], p["state"]) for p in status["providers"]] == [("alpha", "unavailable")]


async def test_a_damaged_state_is_set_aside_and_the_daemon_serves(
    paths: Paths, env: dict[str, str], clock: Clock
) -> None:
    paths.state.parent.mkdir(parents=True)
    for damaged in ('{"version": 1, "usage": 7}', '{"version": 99}', "[]"):
        paths.state.write_text(damaged)
        async with InProcess(paths, env, clock) as daemon:
            assert (await daemon.get("/v1/status"))["providers"] == []
    kept = sorted(path.name.split("-")[0] for path in paths.state.parent.glob("state.json.*"))
    assert kept == ["state.json.damaged", "state.json.damaged", "state.json.newer"]


async def test_deleting_the_state_file_resets_while_it_runs(
    running: InProcess, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(running.daemon.service.store, "_lazy_s", 0.01)
    await running.post("/v1/hello", HELLO)
    await running.post("/v1/outcome", limited())
    running.paths.state.unlink()
    assert running.daemon.tick()
    status = await running.get("/v1/status")
    assert {p["state"] for p in status["providers"]} == {"available"}
    await until(running.paths.state.exists, "it is written anew")
    assert running.saved()["providers"]["alpha"]["requestCount"] == 0


async def test_hello_brings_the_projects_configuration_into_force(running: InProcess, home: Path) -> None:
    directory = project(home, '{"enabled": false}')
    await running.post("/v1/hello", {**HELLO, "directory": directory})
    there, elsewhere = limited("a1", directory=directory), limited("a2", session="s2", turn="t2")
    await running.post("/v1/hello", HELLO)
    assert (await running.post("/v1/outcome", there))["action"] == "proceed"
    assert (await running.post("/v1/outcome", elsewhere))["action"] == "switch"


async def test_a_windows_own_overrides_count_in_its_directory(running: InProcess, home: Path) -> None:
    overrides = '{"beta": {"enabled": false}}'
    hello = {**HELLO, "directory": project(home, None), "overrides": overrides}
    await running.post("/v1/hello", hello)
    decision = await running.post("/v1/outcome", limited(directory=hello["directory"]))
    assert decision["action"] != "switch"


async def test_hello_tells_what_is_wrong_with_the_configuration(running: InProcess, home: Path) -> None:
    directory = project(home, '{"enabled":\n maybe}')
    reply = await running.post("/v1/hello", {**HELLO, "directory": directory})
    assert "rate-limit.jsonc:2" in reply["warnings"][0]
    assert (await running.get("/v1/health"))["state"] == "degraded"
    project(home, '{"providers": {"alhpa": {"limits": {"rpm": 5}}}}')
    reply = await running.post("/v1/hello", {**HELLO, "directory": directory})
    assert any("alhpa" in warning for warning in reply["warnings"])
    assert (await running.get("/v1/health"))["state"] == "ok"
    await running.post("/v1/hello", {**HELLO, "directory": directory})
    warned = [line["why"] for line in running.logged() if line["event"] == "check the configuration"]
    assert len([why for why in warned if "alhpa" in why]) == 1


async def test_hello_in_another_protocol_and_in_too_many_projects_is_warned_about(
    running: InProcess, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(running.daemon.service.configs, "open", lambda *_: None)
    reply = await running.post("/v1/hello", {**HELLO, "protocol": 2, "directory": "/p"})
    assert reply["warnings"] == [
        "/p: the project's own configuration is not used",
        "the plugin speaks protocol 2, the daemon 1; update both",
    ]


async def test_what_was_said_is_remembered_within_bounds(running: InProcess, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(service_module, "_SAID", 2)
    for number in range(5):
        await running.post("/v1/hello", {**HELLO, "directory": f"/nowhere/{number}"})
    assert len(running.daemon.service._said) <= 3


async def test_a_changed_file_is_in_force_without_a_restart(running: InProcess) -> None:
    await running.post("/v1/hello", HELLO)
    configure(running.paths, {"enabled": False})
    await until(lambda: not running.daemon.service.configs.user.enabled, "it is read")
    assert (await running.post("/v1/outcome", limited()))["action"] == "proceed"
    temporary = running.paths.config.with_suffix(".tmp")
    temporary.write_text("{}")
    temporary.rename(running.paths.config)
    await until(lambda: running.daemon.service.configs.user.enabled, "the replacement is read")


async def test_a_file_broken_while_it_runs_is_told_and_the_last_good_one_stays(running: InProcess) -> None:
    configure(running.paths, {"max_hops": 7})
    await until(lambda: running.daemon.service.configs.user.max_hops == 7, "it is read")
    with running.daemon._push.subscribe() as listener:
        configure(running.paths, '{\n"max_hops": "many"}')
        name, data = await listener.next(5) or ("", "")
        toast = json.loads(data)["toast"]
        assert (name, toast["variant"]) == ("toast", "error")
        assert "rate-limit.jsonc:2" in toast["message"]
        assert running.daemon.service.configs.user.max_hops == 7
        assert (await running.get("/v1/health"))["state"] == "degraded"
        (line,) = [line for line in running.logged() if line["level"] == "error"]
        assert "rate-limit.jsonc:2" in line["why"]
        configure(running.paths, {"max_hops": 8})
        events = [await listener.next(5) for _ in range(2)]
        assert any(event and "in order again" in event[1] for event in events)
    assert (await running.get("/v1/health"))["state"] == "ok"


async def test_a_project_file_that_appears_later_is_found(running: InProcess, home: Path) -> None:
    directory = project(home, None)
    await running.post("/v1/hello", {**HELLO, "directory": directory})
    project(home, '{"enabled": false}')
    engine = running.daemon.service.engine
    await until(lambda: not engine.config(directory).enabled, "it is read")


async def test_reloading_by_hand_reads_everything_and_reopens_the_log(running: InProcess) -> None:
    await asyncio.sleep(0)
    running.paths.log.rename(running.paths.log.with_suffix(".old"))
    configure(running.paths, {"log": {"level": "debug"}})
    running.daemon.reload(force=True)
    await running.post("/v1/route", request())
    assert "route" in [line["event"] for line in running.logged()]


async def test_a_reload_that_fails_is_logged_and_ends_nothing(
    running: InProcess, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(**_: object) -> None:
        raise RuntimeError("boom")

    monkeypatch.setattr(running.daemon.service, "reload", broken)
    running.daemon.reload()
    assert "reloading failed" in [line["event"] for line in running.logged()]
    assert (await running.get("/v1/health"))["state"] == "ok"


async def test_log_and_state_stand_where_the_configuration_says(
    paths: Paths, env: dict[str, str], clock: Clock, home: Path
) -> None:
    configure(paths, {"state_file": "kept/state.json", "log": {"file": str(home / "my.log")}})
    async with InProcess(paths, env, clock) as daemon:
        await daemon.post("/v1/outcome", outcome())
        health = await daemon.get("/v1/health")
        kept = paths.config.parent / "kept" / "state.json"
        assert health["state_file"] == str(kept)
        assert kept.exists()
        configure(paths, {"state_file": "elsewhere.json", "log": {"file": str(home / "my.log")}})
        daemon.daemon.reload()
    assert "state_file takes effect with: rate-limit-sidecar restart" in (home / "my.log").read_text()
    async with InProcess(paths, {**env, "RATE_LIMIT_STATE": str(paths.state)}, clock) as daemon:
        assert (await daemon.get("/v1/health"))["state_file"] == str(paths.state)


@pytest.mark.parametrize("name", ["\0x", "~nosuchuser/x"])
async def test_a_name_no_file_can_have_is_not_the_end(
    paths: Paths, env: dict[str, str], clock: Clock, name: str
) -> None:
    configure(paths, {"state_file": name, "log": {"file": name}})
    async with InProcess(paths, env, clock) as daemon:
        await daemon.post("/v1/outcome", outcome())
    assert paths.state.exists()
    assert paths.log.exists()


async def test_a_log_that_cannot_be_written_is_a_problem_in_health(
    paths: Paths, env: dict[str, str], clock: Clock
) -> None:
    paths.log.mkdir(parents=True)
    async with InProcess(paths, env, clock) as daemon:
        health = await daemon.get("/v1/health")
    assert health["state"] == "degraded"
    assert "log file" in health["problems"][0]


async def test_webhooks_come_from_the_configuration(running: InProcess, monkeypatch: pytest.MonkeyPatch) -> None:
    posts: list[str] = []

    async def post(url: str, _body: bytes) -> int:
        posts.append(url)
        return 200

    monkeypatch.setattr(running.daemon._hooks, "_post", post)
    configure(running.paths, {"webhooks": [{"url": "https://hooks.example.com/x"}]})
    await until(lambda: bool(running.daemon.service.configs.user.webhooks), "it is read")
    await running.post("/v1/hello", HELLO)
    await running.post("/v1/outcome", limited())
    await until(lambda: posts == ["https://hooks.example.com/x"], "it is posted")


async def test_a_socket_that_is_gone_is_the_end_of_the_daemon(running: InProcess) -> None:
    assert running.daemon.tick()
    running.paths.socket.unlink()
    assert not running.daemon.tick()
    assert "the socket was deleted or replaced, stopping" in [line["event"] for line in running.logged()]


async def test_keys_in_events_reach_neither_state_nor_log(running: InProcess) -> None:
    key = "sk-ant-api03-Zq7Rk2Vx9Lm4"
    configure(running.paths, {"log": {"level": "debug"}})
    running.daemon.reload(force=True)
    await running.post("/v1/hello", HELLO)
    await running.post("/v1/outcome", {**limited(), "body": f'{{"error": "bad key {key}"}}', "error": key})
    error = {"name": "APIError", "data": {"message": key, "statusCode": 401, "responseBody": key}}
    events = [{"type": "session.error", "properties": {"sessionID": "s9", "error": error}}]
    await running.post("/v1/events", {"events": events})
    for path in (running.paths.state, running.paths.log):
        assert "Zq7Rk2Vx9" not in path.read_text()
    assert "Zq7Rk2Vx9" not in json.dumps(await running.get("/v1/status"))
