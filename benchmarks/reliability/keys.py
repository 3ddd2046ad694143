"""Keys of many shapes are sent in everywhere a key can get in; none may come out anywhere.

In: the configuration, the environment of a window, headers, URLs and bodies of requests, names of every kind, editor
events, wrong input, a damaged state file. Out: every file below the state directory, every answer, every GET route
there is, the stream, standard error. What is scanned is found, not named, so that what is added later is scanned too.
"""

import http.client
import json
import socket
import threading
from collections.abc import Iterable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

from benchmarks.reliability.findings import Finding
from benchmarks.reliability.process import Home, ended, eventually
from sidecar.daemon.server import GETS, POSTS

_RANDOM = "Zq7Rk2Vx9Lm4Tn8Wp3Yb6Hd1"
# No key was ever valid. Each is cut in two here, so that no scanner of repositories takes this file for a leak.
SHAPES = {
    "openai": f"sk-{'proj'}-{_RANDOM}",
    "anthropic": f"sk-{'ant'}-api03-{_RANDOM}-AA",
    "openrouter": f"sk-{'or'}-v1-{_RANDOM}",
    "groq": f"gsk{'_'}{_RANDOM}",
    "gemini": f"AI{'zaSy'}{_RANDOM}",
    "xai": f"xa{'i-'}{_RANDOM}",
    "github": f"gh{'p_'}{_RANDOM}",
    "aws": f"AK{'IA'}IOSFODNN7EXAMPLE",
    "slack": f"xo{'xb'}-{_RANDOM}",
    "jwt": f"ey{'Jhb'}GciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0NTY3ODkwIn0.dozjgNryP4J3jVmN{_RANDOM}",
}


def measure(shapes: Iterable[str] = tuple(SHAPES)) -> list[Finding]:
    """Seed and scan once per shape, each in a home of its own."""
    chosen = {shape: SHAPES[shape] for shape in shapes}
    places = files = answers = 0
    hits: list[str] = []
    for shape, key in chosen.items():
        with Home() as home:
            seeded = Seeded(home, key)
            seeded.sow()
            found = dict(seeded.harvest())
        places += seeded.sown
        files += sum(name.startswith("file ") for name in found)
        answers += len(found)
        hits += [f"{shape}: {name}" for name, text in found.items() if seeded.secret in text]
    return [
        Finding(
            f"Keys of {len(chosen)} shapes, sent in everywhere, come out nowhere",
            "configuration, headers, URLs, bodies, names, events, wrong input, damaged state; then every file of the "
            "state directory, every answer, every GET route, the stream and standard error are searched",
            f"{places} places seeded, {answers} texts searched ({files} of them files), {len(hits)} hits "
            f"{'; '.join(hits)}".strip(),
            not hits,
        )
    ]


class Seeded:
    """One daemon into which one key is sent."""

    def __init__(self, home: Home, key: str) -> None:
        self._home, self._key = home, key
        # The random part alone would be a leak, too.
        self.secret = (key.removesuffix("-AA"))[-16:]
        self.sown = 0
        self._answers: list[tuple[str, str]] = []
        self._stream: list[str] = []

    def sow(self) -> None:
        """Start a daemon on seeded files and send the key in everywhere."""
        home, key = self._home, self._key
        home.paths.state.parent.mkdir(parents=True)
        home.paths.config.parent.mkdir(parents=True)
        home.paths.config.write_text(json.dumps(self._configuration()))
        self.sown += 8
        home.serve()
        self._listening = threading.Thread(target=self._listen)
        self._listening.start()
        eventually(lambda: bool(self._stream), "the stream begins")
        for path, body in self._bodies():
            self._post(path, body)
        for path in {post.path for post in POSTS}:
            for body in ("{" + key, f'"{key}"', json.dumps({key: key}), json.dumps({"provider": [key], "session": 5})):
                self._post(path, body)
        for headers in ({"Host": key}, {"Origin": f"https://{key}"}, {"Authorization": f"Bearer {key}"}):
            self._ask("GET", f"/v1/{key}?token={key}", "", headers)
            self._ask("POST", "/v1/route", "{}", {"Content-Type": key, **headers})
        for query in (f"format={key}", f"format=text&width={key}", f"{key}={key}"):
            self._ask("GET", f"/v1/status?{query}", "", {})
        # A configuration that is broken where the key stands, and one whose names match nothing.
        for text in (
            '{"providers": {"alpha": {"apiKey": "' + key,
            json.dumps({"chains": {"build": [key, f"a/{key}"]}}),
        ):
            home.paths.config.write_text(text)
            home.children[0].send_signal(1)
            self.sown += 1
            self._post("/v1/hello", self._hello())
        project = home.path / "project" / ".opencode"
        project.mkdir(parents=True)
        (project / "rate-limit.jsonc").write_text(json.dumps({"webhooks": [{"url": f"http://x/{key}"}], key: key}))
        self._post("/v1/hello", {**self._hello(), "directory": str(project.parent)})

    def harvest(self) -> Iterator[tuple[str, str]]:
        """Give everything that can be read of the daemon, by where it was found."""
        home = self._home
        for number, (what, text) in enumerate(self._answers):
            yield f"answer {number} to {what}", text
        for path in GETS:
            if path != "/v1/stream":
                for query in ("", "?format=text&width=200"):
                    yield f"GET {path}{query}", self._ask("GET", path + query, "", {})
        # Another start reads what was saved, and a state file that is damaged where the key stands.
        for name, content in (("again", None), ("damaged", json.dumps({"version": self._key, self._key: self._key}))):
            said = self._stop()
            yield f"standard error, {name}", said
            kept = home.paths.state.read_bytes()
            if content is not None:
                yield "file state.json before it was damaged", kept.decode()
                home.paths.state.write_text(content)
            home.serve()
        yield "standard error at the end", self._stop()
        self._listening.join(30)
        yield "the stream", "".join(self._stream)
        for found in sorted(home.paths.state.parent.rglob("*")):
            if found.is_file() and ".damaged-" not in found.name:
                yield f"file {found.name}", found.read_bytes().decode(errors="replace")

    def _configuration(self) -> dict[str, Any]:
        key = self._key
        hook = f"http://user:{key}@127.0.0.1:9/hook/{key}?token={key}"
        return {
            "webhooks": [{"url": hook, "events": ["switch", "error"]}],
            "error_patterns": [{"match": key, "class": "quota"}],
            "providers": {
                "alpha": {"base_url": f"https://user:{key}@host/v1?key={key}", "key_env": key},
                key: {"models": {key: {"priority": 3}}},
            },
        }

    def _hello(self) -> dict[str, Any]:
        key = self._key
        model = {"id": key, "name": f"M {key}", "variants": [key]}
        address = f"https://user:{key}@host/v1?api_key={key}"
        return {
            "client": key,
            "client_version": key,
            "shim_version": key,
            "directory": str(self._home.path / key),
            "overrides": '{"alpha": {"apiKey": "' + key + '"}, "priority": "' + key + '"}',
            "providers": [
                {"id": "alpha", "name": f"Alpha {key}", "base_url": address, "models": [model, {"id": "m1"}]},
                {"id": key, "name": key, "default_model": key, "models": [model]},
                {"id": "beta", "models": [{"id": "m1"}]},
            ],
        }

    def _bodies(self) -> Iterator[tuple[str, Any]]:
        key = self._key
        yield "/v1/hello", self._hello()
        text = f"Incorrect API key provided: {key}. See https://host/x?key={key} (Authorization: Bearer {key})"
        headers = {"authorization": f"Bearer {key}", "x-api-key": key, "retry-after": "60", f"x-ratelimit-{key}": key}
        for status in (400, 401, 402, 403, 429, 500, None):
            refusal = {"status": status, "headers": headers, "body": json.dumps({"error": {"message": text}})}
            yield "/v1/outcome", ended(f"a{status}", "failed", error=text, **refusal)
        named = {"provider": key, "model": key, "session": key}
        more = {"turn": key, "agent": key, "directory": f"/home/{key}", "parent": key}
        yield "/v1/route", {**ended(key, **named), **more}
        yield "/v1/explain", {**ended(key, **named), **more}
        for provider, model in ((key, key), ("alpha", key), (key, "m1")):
            target = {"provider": provider, "model": model, "variant": key}
            about_it = {**ended(f"{key}-{provider}-{model}", "failed", status=429, body=text), "target": target, **more}
            yield "/v1/outcome", about_it
            yield "/v1/route", {**about_it, "attempt": f"{key}.{provider}.{model}", "session": key}
        error = {"name": key, "data": {"message": text, "responseBody": text, "responseHeaders": headers}}
        step = {"id": key, "sessionID": key, "parentID": key, "providerID": key, "modelID": key, "agent": key}
        events = [
            {"type": "session.error", "properties": {"sessionID": key, "error": error}},
            {"type": "session.error", "properties": {"sessionID": "s1", "error": error}},
            {"type": "session.status", "properties": {"sessionID": key, "status": {"type": "retry", "message": text}}},
            {"type": "message.updated", "properties": {"info": {**step, "time": {"created": 1}}}},
            {"type": "message.updated", "properties": {"info": {**step, "time": {"completed": 1}, "error": error}}},
            {"type": key, "properties": {key: key}},
        ]
        yield "/v1/events", {"directory": f"/home/{key}", "events": events}
        for verb in ("disable", "enable", "clear", "allow"):
            yield f"/v1/targets/{verb}", {"provider": key, "model": key}
            yield f"/v1/targets/{verb}", {"provider": "alpha", "model": f"unknown {key}"}
        yield "/v1/targets/disable", {"provider": key}
        yield "/v1/reset", {"provider": f"unknown {key}"}

    def _post(self, path: str, body: Any) -> None:
        text = body if isinstance(body, str) else json.dumps(body)
        self._ask("POST", path, text, {"Content-Type": "application/json"})

    def _ask(self, method: str, path: str, body: str, headers: dict[str, str]) -> str:
        """Ask over a connection of its own, as headers and paths are wrong on purpose; keeps and gives the answer."""
        self.sown += 1
        connection = _Unix(self._home.paths.socket)
        try:
            connection.request(method, path, body.encode() or None, {"Host": "localhost", **headers})
            answer = connection.getresponse()
            text = f"{answer.status} {answer.reason}\n{answer.headers}\n{answer.read().decode(errors='replace')}"
        finally:
            connection.close()
        assert answer.status < 500, (method, path, text)
        self._answers.append((f"{method} {path.partition('?')[0]}".replace(self._key, "KEY"), text))
        return text

    def _stop(self) -> str:
        child = self._home.children.pop()
        child.terminate()
        return child.communicate(timeout=20)[1]

    def _listen(self) -> None:
        """Keep what the stream says until the daemon ends it."""
        with closing(_Unix(self._home.paths.socket)) as connection:
            connection.request("GET", "/v1/stream", None, {"Host": "localhost"})
            answer = connection.getresponse()
            with closing(answer):
                while line := answer.readline():
                    self._stream.append(line.decode())


class _Unix(http.client.HTTPConnection):
    def __init__(self, path: Path) -> None:
        super().__init__("localhost", timeout=60)
        self._path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(self.timeout)
        self.sock.connect(str(self._path))
