"""How well names alone find the same model elsewhere, measured on a real catalogue of providers and models.

Takes OpenCode's executable (the catalogue is inside, as JavaScript) or a catalogue as JSON
(`{provider: {"models": {id: {"name", "release_date", "limit": {"context"}}}}}`) and prints what merged, what looks
wrong about it, a random sample of merged pairs to be read by a person, and what should have merged and did not. It
decides nothing: the catalogue's names and dates are often wrong themselves.

    python -m benchmarks.same_model node_modules/opencode-linux-x64/bin/opencode
"""

import argparse
import json
import mmap
import random
import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator
from datetime import date
from itertools import combinations
from pathlib import Path
from typing import NamedTuple

from sidecar.core.names.models import normalise

_START = re.compile(rb'\((\{(?:"[^"]+"|\w+):\{id:"[^"]+",env:\[)')
_TOKEN = re.compile(
    rb"""(?P<string>"(?:[^"\\]|\\.)*"|'(?:[^'\\]|\\.)*'|`(?:[^`\\]|\\.)*`)|(?P<key>[A-Za-z_$][\w$]*|\d+)(?=:)"""
    rb"""|(?P<number>-?(?:\d+\.?\d*|\.\d+)(?:e[-+]?\d+)?)|(?P<word>!0|!1|null|void 0)|(?P<mark>[{}\[\],:])"""
)
_WORDS = {b"!0": "true", b"!1": "false", b"null": "null", b"void 0": "null"}
_ESCAPE = re.compile(r"\\(?:x([0-9a-fA-F]{2})|([^\"\\/bfnrtu]))")


class Listing(NamedTuple):
    """One model of one provider as the catalogue has it; `released` and `context` (tokens) may be unknown."""

    provider: str
    model: str
    name: str
    released: date | None
    context: int


def read(path: Path) -> list[Listing]:
    """Read a catalogue from JSON or from OpenCode's executable.

    Raises:
        ValueError: there is no catalogue in the file.
    """
    with path.open("rb") as file:
        is_json = file.read(1) == b"{"
    providers = json.loads(path.read_bytes() if is_json else extract(path))
    return [
        Listing(provider, model, facts["name"], _day(facts.get("release_date", "")), int(facts["limit"]["context"]))
        for provider, entry in providers.items()
        for model, facts in entry["models"].items()
    ]


def extract(path: Path) -> str:
    """Find the catalogue in an executable and give it as JSON.

    Raises:
        ValueError: there is none, or it is written in a way this reader does not know.
    """
    with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
        start = _START.search(data)
        if not start:
            raise ValueError(f"{path}: no catalogue inside")
        return "".join(_as_json(data, start.start(1)))


def _as_json(data: mmap.mmap, at: int) -> Iterator[str]:
    """Translate the JavaScript literal that begins at byte `at`, token by token, to its closing brace."""
    depth = 0
    while token := _TOKEN.match(data, at):
        at, text = token.end(), token[0]
        depth += {b"{": 1, b"[": 1, b"}": -1, b"]": -1}.get(text, 0)
        match token.lastgroup:
            case "string":
                body = _ESCAPE.sub(lambda found: f"\\u00{found[1]}" if found[1] else found[2], text[1:-1].decode())
                yield '"' + (body if text[:1] == b'"' else body.replace('"', '\\"')) + '"'
            case "key":
                yield f'"{text.decode()}"'
            case "number":
                yield repr(float(text)) if re.search(rb"[.e]", text) else text.decode()
            case "word":
                yield _WORDS[text]
            case _:
                yield text.decode()
        if depth == 0:
            return
    raise ValueError(f"byte {at}: not a literal: {bytes(data[at : at + 40])!r}")


def _day(text: str) -> date | None:
    """Read a date that may lack its day or month."""
    parts = [int(part) for part in text.split("-") if part.isdigit()]
    return date(*[*parts, 1, 1][:3]) if parts and parts[0] > 2000 else None


def light(name: str) -> str:
    """Give what is left of a display name without vendor, notes in brackets, order of words and punctuation."""
    name = re.sub(r"\([^)]*\)|\[[^\]]*\]", "", name.lower()).rpartition("/")[2]
    name = re.sub(r"^[\w. &-]{2,20}:\s*", "", name).replace(".0", "")
    name = re.sub(r"\b(?:free|latest|instruct|it|fp8|fp4|nvfp4|bf16|tee|maas|a\d+b)\b", " ", name)
    name = re.sub(
        r"\b(?:anthropic|openai|google|meta|xai|nvidia|amazon|z\.?ai|moonshot|tencent|bytedance)\b", " ", name
    )
    return "".join(sorted(re.findall(r"[a-z]+|\d+(?:\.\d+)?", name)))


def doubts(group: Iterable[Listing]) -> list[str]:
    """Say what the catalogue's facts hold against these listings being one model."""
    listings = list(group)
    found = []
    names = Counter(light(listing.name) for listing in listings)
    if len(names) > 1:
        odd = min(names, key=lambda name: names[name])
        examples = [next(f"{x.name!r} ({x.model})" for x in listings if light(x.name) == n) for n in (max(names), odd)]
        found.append("names: " + " / ".join(examples))
    days = sorted(listing.released for listing in listings if listing.released)
    if days and (days[-1] - days[0]).days > 120:
        found.append(f"released {days[0]} to {days[-1]}")
    contexts = sorted(listing.context for listing in listings if listing.context)
    if contexts and contexts[-1] >= 8 * contexts[0]:
        found.append(f"context {contexts[0]} to {contexts[-1]}")
    return found


def _pairs(group: Iterable[Listing]) -> list[tuple[str, str]]:
    return list(combinations(sorted({listing.model for listing in group}), 2))


def _plain(model: str) -> str:
    """Give an id without its path, letter case and punctuation."""
    return re.sub(r"[\W_]+", "", model.rpartition("/")[2].lower())


def _why(a: str, b: str) -> str:
    """Name the words by which two keys of one display name differ."""
    return " ".join(sorted(set(a.split("-")) ^ set(b.split("-")))) or "order of words"


def main() -> None:
    """Print the measurement."""
    parser = argparse.ArgumentParser(description=main.__doc__)
    parser.add_argument("catalogue", type=Path, help="OpenCode's executable, or a catalogue as JSON")
    parser.add_argument("--sample", type=int, default=200, help="pairs to print of each kind")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--doubts", action="store_true", help="print every doubtful group as well")
    options = parser.parse_args()

    try:
        listings = read(options.catalogue)
    except (OSError, ValueError) as error:
        parser.error(str(error))
    groups: dict[str, list[Listing]] = defaultdict(list)
    for listing in listings:
        groups[normalise(listing.model)].append(listing)
    ids = {listing.model for listing in listings}
    pairs = {key: _pairs(group) for key, group in groups.items()}
    merged = [pair for key in sorted(pairs) for pair in pairs[key]]
    print(
        f"{len(listings)} listings, {len({x.provider for x in listings})} providers, {len(ids)} ids, {len(groups)} keys"
    )
    spelled = [pair for pair in merged if len({_plain(model) for model in pair}) > 1]
    print(f"{sum(bool(p) for p in pairs.values())} keys with more than one id, {len(merged)} merged pairs of ids,")
    print(f"{len(spelled)} of them spelled differently apart from case, punctuation and path")
    elsewhere = [x for x in listings if len({y.provider for y in groups[normalise(x.model)]}) > 1]
    print(f"{len(elsewhere)} listings ({len(elsewhere) / len(listings):.1%}) have the same model at another provider")

    doubtful = {key: found for key in sorted(groups) if (found := doubts(groups[key]))}
    print(f"{len(doubtful)} keys the catalogue's own facts raise a doubt about")
    for key, found in doubtful.items() if options.doubts else ():
        print(f"  {key}: {'; '.join(found)}")

    chance = random.Random(options.seed)  # noqa: S311
    for title, population in (("merged pairs", merged), ("merged pairs spelled differently", spelled)):
        print(f"\n{options.sample} {title}, seed {options.seed}:")
        for a, b in chance.sample(population, min(options.sample, len(population))):
            print(f"  {a}  =  {b}    [{normalise(a)}]")

    named: dict[str, Counter[str]] = defaultdict(Counter)
    for listing in listings:
        named[re.sub(r"[\W_]+", "", listing.name.lower())][normalise(listing.model)] += 1
    total = sum(n * (n - 1) // 2 for keys in named.values() for n in [keys.total()])
    together = sum(n * (n - 1) // 2 for keys in named.values() for n in keys.values())
    print(f"\n{together} of {total} pairs of listings with one display name have one key ({together / total:.1%})")
    misses: Counter[str] = Counter()
    for keys in named.values():
        for a, b in combinations(sorted(keys), 2):
            misses[_why(a, b)] += keys[a] * keys[b]
    for words, count in misses.most_common(20):
        print(f"  {count:5}  {words}")


if __name__ == "__main__":
    main()
