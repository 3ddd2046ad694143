"""Scripted providers: an OpenAI-compatible server on loopback that answers each model as its script says.

One server plays any number of providers, by path: `/NAME/v1/chat/completions`. It records every request with its time,
so that a timeline or a test can say who was asked what, and when.
"""

import asyncio
import json
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from types import TracebackType
from typing import Any, Self

from aiohttp import web


@dataclass(frozen=True, slots=True, kw_only=True)
class Reply:
    """One scripted answer.

    A `status` other than 200 is answered with `body` as JSON. Status 200 streams `text` and then the `tool` calls
    ((name, arguments) pairs); `events` replaces the whole stream by raw SSE payloads; `cut` closes the connection
    after what was sent; `hold` waits for the event before the first byte.
    """

    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)
    body: Any = None
    text: str = ""
    tools: Sequence[tuple[str, dict[str, Any]]] = ()
    events: Sequence[str] | None = None
    cut: bool = False
    hold: asyncio.Event | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    """One request as it arrived; `at` is from the wall clock, in epoch seconds."""

    at: float
    provider: str
    model: str
    body: dict[str, Any]
    headers: dict[str, str]

    @property
    def target(self) -> str:
        """The target that was asked."""
        return f"{self.provider}/{self.model}"

    @property
    def texts(self) -> list[str]:
        """What users and tools said in it, oldest first."""
        found: list[str] = []
        for message in self.body.get("messages", []):
            content = message.get("content")
            if message.get("role") in ("user", "tool"):
                parts = content if isinstance(content, list) else [{"text": content}]
                found += [str(part.get("text")) for part in parts if part.get("text")]
        return found


Script = Callable[[Seen], Reply]


def limited(status: int = 429, *, message: str = "Rate limit reached", retry_after: str | None = None) -> Reply:
    """Give a refusal the way OpenAI-compatible providers word it."""
    headers = {} if retry_after is None else {"retry-after": retry_after}
    return Reply(status=status, headers=headers, body={"error": {"message": message, "type": "error"}})


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

    def base_url(self, provider: str) -> str:
        """Give the base URL of one provider."""
        return f"http://127.0.0.1:{self.port}/{provider}/v1"

    def asked(self, prefix: str) -> list[Seen]:
        """Give the requests to a target, or to every target of a provider (`alpha/`)."""
        return [seen for seen in self.requests if seen.target.startswith(prefix)]

    async def __aenter__(self) -> Self:
        """Listen on a free port of the loopback interface."""
        app = web.Application(client_max_size=64 * 1024 * 1024)
        app.router.add_post("/{provider}/v1/chat/completions", self._answer)
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

    async def _answer(self, request: web.Request) -> web.StreamResponse:
        body = await request.json()
        seen = Seen(
            at=time.time(),
            provider=request.match_info["provider"],
            model=str(body.get("model")),
            body=body,
            headers={k.lower(): v for k, v in request.headers.items()},
        )
        self.requests.append(seen)
        reply = self._next(seen)
        if reply.hold is not None:
            await reply.hold.wait()
        if reply.status != 200:  # noqa: PLR2004 - HTTP OK
            return web.json_response(reply.body, status=reply.status, headers=reply.headers)
        return await self._stream(request, seen, reply)

    async def _stream(self, request: web.Request, seen: Seen, reply: Reply) -> web.StreamResponse:
        response = web.StreamResponse(headers={"content-type": "text/event-stream", **reply.headers})
        await response.prepare(request)
        payloads = reply.events if reply.events is not None else list(map(json.dumps, _chunks(seen.model, reply)))
        for payload in payloads:
            await response.write(f"data: {payload}\n\n".encode())
        if reply.cut:
            if request.transport is not None:
                request.transport.close()
            return response
        await response.write(b"data: [DONE]\n\n")
        return response


def _chunks(model: str, reply: Reply) -> list[dict[str, Any]]:
    """Give the chat-completion chunks of a healthy answer."""

    def chunk(delta: dict[str, Any], finish: str | None = None, **more: Any) -> dict[str, Any]:
        choice = {"index": 0, "delta": delta, "finish_reason": finish}
        base = {"id": "chatcmpl-scripted", "object": "chat.completion.chunk", "created": 1_700_000_000, "model": model}
        return {**base, "choices": [choice], **more}

    chunks = [chunk({"role": "assistant", "content": ""})]
    if reply.text:
        chunks.append(chunk({"content": reply.text}))
    for i, (name, arguments) in enumerate(reply.tools):
        call = {"name": name, "arguments": json.dumps(arguments)}
        chunks.append(
            chunk(
                {"tool_calls": [{"index": i, "id": f"call_{time.time_ns()}_{i}", "type": "function", "function": call}]}
            )
        )
    usage = {"prompt_tokens": 10, "completion_tokens": 5, "total_tokens": 15}
    chunks.append(chunk({}, "tool_calls" if reply.tools else "stop", usage=usage))
    return chunks
