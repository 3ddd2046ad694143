"""OpenCode as a server, driven over HTTP as its own front ends do."""

import asyncio
import json
import time
from collections.abc import AsyncIterator, Callable
from contextlib import suppress
from types import TracebackType
from typing import Any, Self

import aiohttp

from sidecar.demo.isolated import Isolated, free_port

_START_S = 30.0


class ServedError(Exception):
    """The server answered with an error status."""

    def __init__(self, status: int, text: str) -> None:
        super().__init__(f"{status}: {text[:500]}")
        self.status = status


class Served:
    """One `opencode serve` process; an async context manager. `toasts` are (epoch seconds, properties) as they came."""

    def __init__(self, home: Isolated, *, clock: Callable[[], float] = time.time) -> None:
        self._home = home
        self._port = free_port()
        self.url = f"http://127.0.0.1:{self._port}"
        self._clock = clock
        self._toasted = asyncio.Event()
        self.toasts: list[tuple[float, dict[str, Any]]] = []

    async def __aenter__(self) -> Self:
        """Start the server and wait until it answers.

        Raises:
            TimeoutError: it does not, within 20 seconds.
        """
        self._http = aiohttp.ClientSession(self.url)
        self._process = await self._home.spawn("serve", "--port", str(self._port), "--hostname", "127.0.0.1")
        try:
            async with asyncio.timeout(_START_S):
                await self._listens()
        except BaseException:
            await self._stop()
            raise
        self._listening = asyncio.create_task(self._listen())
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Stop the server."""
        self._listening.cancel()
        await self._stop()

    async def _listens(self) -> None:
        """Wait until requests are answered; one sent too early can hang, so each attempt is given up quickly."""
        async for line in self._output():
            if b"listening" in line:
                break
        while True:
            with suppress(aiohttp.ClientError, TimeoutError):
                await self._ask("GET", "/session", None, timeout_s=3)
                return
            await asyncio.sleep(0.1)

    async def _output(self) -> AsyncIterator[bytes]:
        stream = self._process.stdout
        while stream is not None and (line := await stream.readline()):
            yield line

    async def _stop(self) -> None:
        await self._http.close()
        if self._process.returncode is None:
            self._process.terminate()
        await self._process.communicate()

    async def get(self, path: str) -> Any:
        """Ask for JSON."""
        return await self._ask("GET", path, None)

    async def post(self, path: str, body: Any) -> Any:
        """Send JSON.

        Raises:
            ServedError: the answer is an error.
        """
        return await self._ask("POST", path, body)

    async def session(self, title: str | None = None) -> str:
        """Open a session; one that has a title needs no request for one."""
        made = await self.post("/session", {} if title is None else {"title": title})
        return str(made["id"])

    async def prompt(self, session: str, text: str, **more: Any) -> Any:
        """Send a user message and wait for its answer."""
        return await self.post(f"/session/{session}/message", {"parts": [{"type": "text", "text": text}], **more})

    async def messages(self, session: str) -> list[Any]:
        """Give a session's messages with their parts."""
        found: list[Any] = await self.get(f"/session/{session}/message")
        return found

    async def toast(self, *, within_s: float) -> None:
        """Wait until a toast has been shown, at most `within_s` seconds."""
        with suppress(TimeoutError):
            await asyncio.wait_for(self._toasted.wait(), within_s)

    async def _ask(self, method: str, path: str, body: Any, *, timeout_s: float = 90) -> Any:
        timeout = aiohttp.ClientTimeout(total=timeout_s)
        async with self._http.request(method, path, json=body, params=self._query, timeout=timeout) as answer:
            text = await answer.text()
            if answer.status >= 400:  # noqa: PLR2004 - the HTTP error range
                raise ServedError(answer.status, text)
            return json.loads(text) if text else None

    @property
    def _query(self) -> dict[str, str]:
        return {"directory": str(self._home.project)}

    async def _listen(self) -> None:
        """Collect the toasts from the event stream a front end would show them from."""
        timeout = aiohttp.ClientTimeout(total=None)
        async with self._http.get("/event", params=self._query, timeout=timeout) as stream:
            async for line in stream.content:
                if not line.startswith(b"data:"):
                    continue
                event = json.loads(line[5:])
                if event.get("type") == "tui.toast.show":
                    self.toasts.append((self._clock(), event["properties"]))
                    self._toasted.set()


def text_of(message: Any) -> str:
    """Give what a message says."""
    return "".join(part.get("text", "") for part in message["parts"] if part["type"] == "text")
