import argparse
import io
import json
from pathlib import Path
from typing import Any

import pytest

from sidecar.commands import classify


def run(monkeypatch: pytest.MonkeyPatch, lines: list[Any], *flags: str) -> int:
    raw = b"".join(line if isinstance(line, bytes) else json.dumps(line).encode() + b"\n" for line in lines)
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(raw)))
    parser = argparse.ArgumentParser()
    classify.configure(parser)
    return classify.run(parser.parse_args(flags))


def answers(capsys: pytest.CaptureFixture[str]) -> tuple[list[dict[str, Any]], list[str]]:
    out, err = capsys.readouterr()
    return [json.loads(line) for line in out.splitlines()], err.splitlines()


def test_one_answer_a_line(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    lines = [
        {"provider": "groq", "status": 429, "headers": {"Retry-After": 7}, "message": None},
        {"message": "Your limit resets at 14:45", "now": "2026-03-11T14:30:00Z"},
        {"body": '{"error": {"code": "invalid_api_key"}}', "now": 1_800_000_000},
    ]
    assert run(monkeypatch, lines) == 0
    found, errors = answers(capsys)
    assert errors == []
    assert [(answer["kind"], answer["scope"], answer["retry_after_s"], answer["switch"]) for answer in found] == [
        ("rate_limit", "model", 7.0, True),
        ("unknown", "model", 900.0, True),
        ("auth", "account", None, True),
    ]
    assert all(set(answer) == {"kind", "scope", "retry_after_s", "switch", "why"} for answer in found)


def test_a_body_may_be_json_and_blank_lines_are_nothing(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(monkeypatch, [b"\n", {"body": {"error": {"code": "invalid_api_key"}}}, b"  \n"]) == 0
    found, _ = answers(capsys)
    assert [answer["kind"] for answer in found] == ["auth"]


def test_the_users_own_patterns_decide_first(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    config = tmp_path / "rate-limit.jsonc"
    config.write_text('{"error_patterns": [{"match": "weekly budget", "kind": "quota"}]}')
    monkeypatch.setenv("RATE_LIMIT_CONFIG", str(config))
    case = {"message": "weekly budget gone", "status": 403}
    run(monkeypatch, [case], "--explain")
    run(monkeypatch, [case], "--no-config")
    config.write_text("{")
    run(monkeypatch, [case])
    found, errors = answers(capsys)
    assert [(answer["kind"], answer.get("rule")) for answer in found] == [
        ("quota", "pattern[0]"),
        ("auth", None),
        ("auth", None),
    ]
    assert "without your error_patterns" in errors[0]


def test_explain_names_the_rule(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(monkeypatch, [{"status": 402}], "--explain") == 0
    found, _ = answers(capsys)
    assert found[0]["rule"] == "status.402"


def test_the_clock_is_read_where_the_case_names_no_time(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("time.time", lambda: 1_800_000_000.0)
    run(monkeypatch, [{"status": 429, "body": '{"resets_at": 1800000060}'}, {"status": 429, "body": "{}", "now": None}])
    found, _ = answers(capsys)
    assert [answer["retry_after_s"] for answer in found] == [60.0, None]


def test_a_date_without_a_zone_is_utc(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    body = '{"resets_at": "2026-03-11T14:31:00Z"}'
    run(monkeypatch, [{"body": body, "now": now} for now in ("2026-03-11T14:30:00", "2026-03-11T15:30:00+01:00")])
    found, _ = answers(capsys)
    assert [answer["retry_after_s"] for answer in found] == [60.0, 60.0]


@pytest.mark.parametrize(
    ("line", "says"),
    [
        (b"not json\n", "write one object a line"),
        (b"\xff\xfe{}\n", "write one object a line"),
        (b"[" * 100_000 + b"\n", "write one object a line"),
        ([1], "a list; write an object with any of provider, status"),
        ({"stauts": 429}, "unknown field 'stauts'; write any of provider, status"),
        ({"status": "429"}, "status must be an HTTP status between 100 and 599"),
        ({"status": True}, "status must be an HTTP status between 100 and 599"),
        ({"status": 42}, "status must be an HTTP status between 100 and 599"),
        ({"headers": ["retry-after"]}, "headers must be an object of texts"),
        ({"headers": {"retry-after": None}}, "headers must be an object of texts"),
        ({"message": 5}, "message must be text or null"),
        ({"provider": []}, "provider must be text or null"),
        ({"now": "yesterday"}, "now must be an ISO 8601 time"),
        ({"now": True}, "now must be an ISO 8601 time"),
        ({"now": -1}, "now must be an ISO 8601 time"),
        ({"now": 10**400}, "now must be an ISO 8601 time"),
        (b'{"now": NaN}\n', "now must be an ISO 8601 time"),
    ],
)
def test_a_malformed_line_is_answered_in_its_place(
    line: Any, says: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(monkeypatch, [{"status": 500}, line, {"status": 401}]) == 1
    found, errors = answers(capsys)
    assert [answer.get("kind") for answer in found] == ["server", None, "auth"]
    assert found[1]["error"].startswith("line 2: ")
    assert says in found[1]["error"]
    assert errors == [f"rate-limit-sidecar classify: {found[1]['error']}"]


def test_nothing_in_nothing_out(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(monkeypatch, []) == 0
    assert answers(capsys) == ([], [])
