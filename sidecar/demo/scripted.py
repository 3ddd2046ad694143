"""Scripted providers: a server on loopback that speaks the four wire formats and answers each model as its script says.

One server plays any number of providers, by path: `/NAME/v1/chat/completions`, `/messages`, `/responses` and
`/models/MODEL:generateContent`. It records every request with its time, so that a timeline or a test can say who was
asked what, and when. How the formats look on the wire is `wires.py`.
"""

import asyncio
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial
from types import TracebackType
from typing import Any, Literal, Self

from aiohttp import web

from sidecar.demo.wires import WIRES, Answer, Json, Wire


@dataclass(frozen=True, slots=True)
class Break:
    """What becomes of a stream instead of its rest, after that many events.

    `error`: an error event. `cut`: the connection breaks. `end`: the stream ends as if it were complete. `stall`:
    nothing more comes, for ever. `when` is waited for before.
    """

    how: Literal["error", "cut", "end", "stall"]
    after: int = 0
    when: asyncio.Event | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Reply:
    """One scripted answer.

    A `status` other than 200 is answered with `body` as JSON; without a body, with `message` and `retry_after` (in
    seconds) as the wire format of the request words its errors. Status 200 gives `reasoning`, then `text` word by word,
    then the `tools` ((name, arguments) pairs); `breaks` says where that breaks off. `events` replaces the whole stream
    by raw SSE payloads, `body` by one object. `hold` waits for the event before the first byte; `reset` breaks the
    connection instead of an answer.
    """

    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)
    body: Any = None
    message: str = "scripted error"
    retry_after: str | None = None
    text: str = ""
    reasoning: str = ""
    tools: Sequence[tuple[str, dict[str, Any]]] = ()
    events: Sequence[str] | None = None
    breaks: Break | None = None
    hold: asyncio.Event | None = None
    reset: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    """One request as it arrived; `at` is from the wall clock, in epoch seconds, `wire` names its format."""

    at: float
    provider: str
    model: str
    wire: str
    stream: bool
    body: dict[str, Any]
    headers: dict[str, str]

    @property
    def target(self) -> str:
        """The target that was asked."""
        return f"{self.provider}/{self.model}"

    @property
    def texts(self) -> list[str]:
        """What users and tools said in it, oldest first."""
        return WIRES[self.wire].texts(self.body)


Script = Callable[[Seen], Reply]


def limited(status: int = 429, *, message: str = "Rate limit reached", retry_after: str | None = None) -> Reply:
    """Give a refusal the way the provider's wire format words it; `retry_after` in seconds."""
    return Reply(status=status, message=message, retry_after=retry_after)


class ScriptedProviders:
    """The server; an async context manager. `script` sets what a target answers, `requests` is what it was asked."""

    def __init__(self) -> None:
        self.requests: list[Seen] = []
        self._scripts: dict[str, list[Reply]] = {}
        self._runner: web.AppRunner | None = None
        self.port = 0

    def script(self, target: str, *replies: Reply) -> None:
        """Answer `provider/model` with these replies in order, the last one from then on."""
        self._scripts[target] = list(replies)

    def forget(self) -> None:
        """Drop every script and everything that was seen."""
        self._scripts.clear()
        self.requests.clear()

    def base_url(self, provider: str) -> str:
        """Give the base URL of one provider."""
        return f"http://127.0.0.1:{self.port}/{provider}/v1"

    def asked(self, prefix: str) -> list[Seen]:
        """Give the requests to a target, or to every target of a provider (`alpha/`)."""
        return [seen for seen in self.requests if seen.target.startswith(prefix)]

    async def __aenter__(self) -> Self:
        """Listen on a free port of the loopback interface."""
        app = web.Application(client_max_size=64 * 1024 * 1024)
        for path, wire in _PATHS.items():
            app.router.add_post(f"/{{provider}}/v1/{path}", partial(self._answer, WIRES[wire]))
        self._runner = web.AppRunner(app, access_log=None, handler_cancellation=True, shutdown_timeout=0.5)
        await self._runner.setup()
        site = web.TCPSite(self._runner, "127.0.0.1", 0)
        await site.start()
        self.port = self._runner.addresses[0][1]
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Stop listening."""
        if self._runner is not None:
            await self._runner.cleanup()

    def _next(self, seen: Seen) -> Reply:
        replies = self._scripts.get(seen.target)
        if not replies:
            return Reply(text=f"answer from {seen.target}")
        return replies.pop(0) if len(replies) > 1 else replies[0]

    async def _answer(self, wire: Wire, request: web.Request) -> web.StreamResponse:
        body = await request.json()
        method = request.match_info.get("method")
        seen = Seen(
            at=time.time(),
            provider=request.match_info["provider"],
            model=request.match_info.get("model", str(body.get("model"))),
            wire=wire.name,
            stream=bool(body.get("stream")) if method is None else method == "streamGenerateContent",
            body=body,
            headers={k.lower(): v for k, v in request.headers.items()},
        )
        self.requests.append(seen)
        reply = self._next(seen)
        if reply.hold is not None:
            await reply.hold.wait()
        if reply.reset:
            return _gone(request)
        if reply.status != 200:  # noqa: PLR2004 - HTTP OK
            return _refusal(wire, reply)
        answer = Answer(seen.model, reply.text, reply.reasoning, reply.tools)
        if reply.body is not None or not seen.stream:
            return web.json_response(wire.whole(answer) if reply.body is None else reply.body, headers=reply.headers)
        return await self._stream(request, wire, answer, reply)

    async def _stream(self, request: web.Request, wire: Wire, answer: Answer, reply: Reply) -> web.StreamResponse:
        response = web.StreamResponse(headers={"content-type": "text/event-stream", **reply.headers})
        await response.prepare(request)
        if reply.events is not None:
            said = [f"data: {payload}\n\n" for payload in reply.events]
        else:
            said = [wire.sse(event) for event in wire.events(answer)]
        breaks = reply.breaks
        for text in said if breaks is None else said[: breaks.after]:
            await response.write(text.encode())
        if breaks is not None and breaks.when is not None:
            await breaks.when.wait()
        if breaks is None:
            await response.write(wire.end.encode())
        elif breaks.how == "error":
            await response.write(wire.sse(wire.error_event(503, reply.message)).encode())
        elif breaks.how == "stall":
            await asyncio.Event().wait()
        elif breaks.how == "cut" and request.transport is not None:
            # What was sent arrives, as it would not after a reset.
            request.transport.close()
        return response


_PATHS = {
    "chat/completions": "openai-chat",
    "messages": "anthropic",
    "responses": "openai-responses",
    r"models/{model:[^/:]+}:{method:generateContent|streamGenerateContent}": "gemini",
}


def _gone(request: web.Request) -> web.StreamResponse:
    """Break the connection."""
    if request.transport is not None:
        request.transport.abort()
    return web.Response()


def _refusal(wire: Wire, reply: Reply) -> web.Response:
    body: Json = wire.error(reply.status, reply.message, reply.retry_after) if reply.body is None else reply.body
    # Gemini names the wait in the body only.
    named = {"retry-after": reply.retry_after} if reply.retry_after is not None and wire.name != "gemini" else {}
    return web.json_response(body, status=reply.status, headers={**named, **reply.headers})
