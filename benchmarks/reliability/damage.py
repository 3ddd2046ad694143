"""A state file cut off at every byte, with single bits flipped, of another version, with impossible numbers and times.

What can be read is read; everything else is set aside, with one warning, and the daemon starts afresh. A flipped bit
can leave a file that is still in order (a digit of a count): such a file is read.
"""

import json
import random
import tempfile
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from benchmarks.reliability.findings import Finding
from benchmarks.reliability.process import ended, limited
from sidecar.config.models import Config
from sidecar.core.engine import Engine
from sidecar.core.events import EditorEvents, Outcome
from sidecar.daemon.store import Store

NOW = 1_800_000_000.0


class Warnings:
    """A log that counts."""

    def __init__(self) -> None:
        self.said: list[str] = []

    def info(self, event: str, **fields: Any) -> None:
        """Ignore what is well."""

    def warning(self, event: str, **_fields: Any) -> None:
        """Remember what is not."""
        self.said.append(event)


def lived() -> bytes:
    """Give the state file of a daemon that has seen something of everything."""
    engine = Engine(Config(), version="test")
    for number, provider in enumerate(("alpha", "beta", "gamma")):
        engine.outcome(Outcome.model_validate(ended(f"a{number}", provider=provider)), NOW)
        engine.outcome(Outcome.model_validate(limited(f"b{number}", provider=provider)), NOW + 1)
    step = {"id": "m", "sessionID": "s", "providerID": "beta", "modelID": "m1", "tokens": {"input": 7}, "cost": 0.5}
    step["time"] = {"completed": 1}
    event = {"type": "message.updated", "properties": {"info": step}}
    engine.events(EditorEvents.model_validate({"reports_attempts": True, "events": [event]}), NOW + 2)
    return json.dumps(engine.dump(NOW + 3)).encode()


def measure(every: int = 1, flips: int = 20_000) -> list[Finding]:
    """Cut at every `every`-th byte, flip `flips` single bits, and put odd values in every `every`-th place."""
    whole = lived()
    choose = random.Random(3)  # noqa: S311 - repeatable
    cuts = _try(whole[:length] for length in range(0, len(whole), every))
    flipped = _try(_flip(whole, choose.randrange(len(whole) * 8)) for _ in range(flips))
    odd = _try(_odd(whole, every))
    return [
        Finding(
            "A state file cut off anywhere is set aside, with one warning, and the daemon starts",
            f"a file of {len(whole)} bytes, cut at {'every byte' if every == 1 else f'every {every}th byte'}",
            f"{cuts.tried} files, {cuts.aside} set aside, {len(cuts.wrong)} otherwise",
            not cuts.wrong and cuts.aside == cuts.tried,
        ),
        Finding(
            "A flipped bit never stops the daemon, never makes a wait longer than a year or a count negative",
            "single bits at random places",
            f"{flipped.tried} files, {flipped.aside} set aside, {flipped.tried - flipped.aside} still in order and "
            f"read, {len(flipped.wrong)} otherwise",
            not flipped.wrong,
        ),
        Finding(
            "Another version, NaN, infinity, wrong types and times in the future are set aside or held to sense",
            "one field at a time, each replaced by 20 odd values",
            f"{odd.tried} files, {odd.aside} set aside, {odd.tried - odd.aside} read, {len(odd.wrong)} otherwise",
            not odd.wrong,
        ),
    ]


class Tried:
    """What became of a number of files."""

    def __init__(self) -> None:
        self.tried = self.aside = 0
        self.wrong: list[str] = []


def _try(files: Iterable[bytes]) -> Tried:
    result = Tried()
    with tempfile.TemporaryDirectory(prefix="rls-") as made:
        for content in files:
            result.tried += 1
            _one(Path(made) / "state.json", content, result)
    return result


def _one(path: Path, content: bytes, result: Tried) -> None:
    path.write_bytes(content)
    engine, log = Engine(Config(), version="test"), Warnings()
    Store(path, dict, log).read(lambda data: engine.load(data, NOW + 60))
    beside = [found for found in path.parent.iterdir() if found != path]
    if path.exists():
        path.unlink()
        if beside or log.said or not sane(engine):
            result.wrong.append(f"read, but {beside or log.said or 'not sane'}")
        return
    result.aside += 1
    if len(beside) != 1 or beside[0].read_bytes() != content or len(log.said) != 1:
        result.wrong.append(f"{len(beside)} files beside, {len(log.said)} warnings")
    for found in beside:
        found.unlink()


def sane(engine: Engine, now: float = NOW + 60) -> bool:
    """Whether the engine shows nothing impossible, and saves what can be loaded again."""
    for provider in engine.snapshot(now).providers:
        counts = provider.counts
        if min(counts.requests_day, counts.tokens_day, counts.cost_day, provider.error_count) < 0:
            return False
        if provider.until is not None and provider.until - now > 366 * 86_400:
            return False
    again = json.loads(json.dumps(engine.dump(now), allow_nan=False))
    Engine(Config()).load(again, now)
    return True


def _flip(whole: bytes, bit: int) -> bytes:
    changed = bytearray(whole)
    changed[bit // 8] ^= 1 << bit % 8
    return bytes(changed)


_ODD: tuple[str, ...] = (
    "NaN", "Infinity", "-Infinity", "1e999", "-1", "0", "1.5", "1e300", "99999999999999999999999999", "null", "true",
    '""', '"x"', "[]", "{}", "[[]]", '{"a": 1}', f"{NOW + 10**9}", f"{NOW + 86_400}", '"\\ud800"',
)  # fmt: skip


def _odd(whole: bytes, every: int = 1) -> Iterator[bytes]:
    """Give the document once for every place in it and every odd value, as text, because JSON has no NaN."""
    mark = "here"
    for path in list(_places(json.loads(whole)))[::every]:
        document = json.loads(whole)
        inner = document
        for key in path[:-1]:
            inner = inner[key]
        inner[path[-1]] = mark
        text = json.dumps(document)
        for odd in _ODD:
            yield text.replace(json.dumps(mark), odd).encode()


def _places(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """Give the way to every value of a document."""
    if path:
        yield path
    inner = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, item in inner:
        yield from _places(item, (*path, key))
