"""HTTP over the unix socket: the table of routes, and the way from a body to an event and from an answer to a body.

Knows no policy and keeps no state: each entry of the table names the service's method that does the work. What is
allowed in at all is the gate's.
"""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from aiohttp import web
from pydantic import BaseModel, ValidationError

from sidecar.core.decisions import Answer
from sidecar.core.engine import Verb
from sidecar.core.events import EditorEvents, Event, Hello, Outcome, Route, TargetCommand
from sidecar.daemon.gate import BODY_LIMIT, RefusalError, body_of, make_gate, refuse_unknown
from sidecar.daemon.metrics import CONTENT_TYPE
from sidecar.daemon.push import Broadcaster, Subscriber, TooManyError
from sidecar.daemon.schemas import protocol_schemas
from sidecar.daemon.service import Service
from sidecar.redact import redact
from sidecar.report.look import Look
from sidecar.report.providers import render_providers
from sidecar.report.text import render

HEARTBEAT_S = 15.0
_PROBLEMS_SHOWN = 5
_WIDTHS = range(20, 1001)

E = TypeVar("E", bound=Event)


@dataclass(frozen=True, slots=True)
class Post(Generic[E]):
    """A route that takes an event: its path, the body's model, and the service's method."""

    path: str
    body: type[E]
    method: Callable[[Service, E], Awaitable[Answer]]


def _control(verb: Verb) -> Callable[[Service, TargetCommand], Awaitable[Answer]]:
    return lambda service, event: service.control(verb, event)


POSTS: tuple[Post[Any], ...] = (
    Post("/v1/hello", Hello, Service.hello),
    Post("/v1/route", Route, Service.route),
    Post("/v1/explain", Route, Service.explain),
    Post("/v1/outcome", Outcome, Service.outcome),
    Post("/v1/events", EditorEvents, Service.events),
    Post("/v1/reset", TargetCommand, _control("reset")),
    Post("/v1/targets/disable", TargetCommand, _control("disable")),
    Post("/v1/targets/enable", TargetCommand, _control("enable")),
    Post("/v1/targets/clear", TargetCommand, _control("clear")),
    Post("/v1/targets/allow", TargetCommand, _control("allow")),
    Post("/v1/targets/use", TargetCommand, _control("use")),
)
GETS = ("/v1/status", "/v1/providers", "/v1/stream", "/v1/schema", "/v1/health", "/metrics")
ROUTES: dict[str, tuple[str, ...]] = {**{post.path: ("POST",) for post in POSTS}, **dict.fromkeys(GETS, ("GET",))}


class Server:
    """The aiohttp application of one service."""

    def __init__(
        self,
        service: Service,
        push: Broadcaster,
        uid: int,
        metrics: Callable[[], str] = str,
        *,
        asked: Callable[[web.Request], None] = lambda _request: None,
    ) -> None:
        self._service, self._push, self._write_metrics = service, push, metrics
        gate: Any = make_gate(uid, service.log, asked=asked)
        self.app = web.Application(middlewares=[gate], client_max_size=BODY_LIMIT)
        for post in POSTS:
            self.app.router.add_route("POST", post.path, self._taking(post))
        handlers = (self._status, self._providers, self._stream, self._schema, self._health, self._metrics)
        for path, handler in zip(GETS, handlers, strict=True):
            self.app.router.add_route("GET", path, handler)
        self.app.router.add_route("*", "/{rest:.*}", self._unknown)

    def _taking(self, post: Post[Any]) -> Callable[[web.Request], Awaitable[web.Response]]:
        async def handle(request: web.Request) -> web.Response:
            event = parse(post.body, await body_of(request))
            try:
                return _json(await post.method(self._service, event))
            except ValueError as error:
                # Only a person's command can be impossible; everything else that is wrong the models have refused.
                if post.body is not TargetCommand:
                    raise
                raise RefusalError(422, redact(str(error)), "rate-limit-sidecar status shows what there is") from None

        return handle

    async def _status(self, request: web.Request) -> web.Response:
        if _format(request) == "json":
            return _json(self._service.status())
        look, health = _look(request), self._service.health()
        text = render(self._service.snapshot(), look, problems=health.problems, warnings=health.warnings)
        return web.json_response({"text": text})

    async def _providers(self, request: web.Request) -> web.Response:
        """Say what there is to use: all providers, one with its models, or only how they are named."""
        wanted = _format(request, "names")
        if wanted == "names":
            return web.json_response({"names": self._service.engine.target_names()})
        provider = request.query.get("provider")
        try:
            roster = self._service.roster(provider)
        except ValueError as error:
            raise RefusalError(404, redact(str(error)), "rate-limit-sidecar providers shows what there is") from None
        if wanted == "json":
            return _json(roster)
        return web.json_response({"text": render_providers(roster, _look(request), only=provider)})

    async def _health(self, _request: web.Request) -> web.Response:
        return _json(self._service.health())

    async def _schema(self, _request: web.Request) -> web.Response:
        return web.json_response(protocol_schemas())

    async def _metrics(self, _request: web.Request) -> web.Response:
        return web.Response(body=self._write_metrics().encode(), headers={"Content-Type": CONTENT_TYPE})

    async def _stream(self, request: web.Request) -> web.StreamResponse:
        """Send notices, toasts and, if asked, the status as server-sent events until the asker or the daemon goes."""
        wish = request.query.get("status", "0")
        if wish not in ("0", "1"):
            raise RefusalError(422, "status is neither 0 nor 1", "say status=1")
        response = web.StreamResponse(headers={"Content-Type": "text/event-stream", "Cache-Control": "no-cache"})
        try:
            with self._push.subscribe(lambda: _cut(request), status=wish == "1") as subscriber:
                await response.prepare(request)
                await response.write(b": connected\n\n")
                while not subscriber.ended.is_set():
                    await response.write(await _next(subscriber))
        except TooManyError:
            raise RefusalError(429, "there are too many streams", "close one") from None
        except ConnectionError:
            pass  # the reader has gone
        return response

    async def _unknown(self, request: web.Request) -> web.Response:
        refuse_unknown(request.path, request.method, ROUTES)


def _format(request: web.Request, *more: str) -> str:
    """Give the format that is asked for: json (also when none is named), text, or one of `more`."""
    asked = request.query.get("format", "json")
    if asked not in ("json", "text", *more):
        raise RefusalError(422, f"format is none of {', '.join(('json', 'text', *more))}", "say format=text")
    return asked


def _look(request: web.Request) -> Look:
    query = request.query
    width = query.get("width", "80")
    if not width.isdecimal() or len(width) > len("1000") or int(width) not in _WIDTHS:
        raise RefusalError(422, "width is not a number from 20 to 1000", "say width=80")
    color, bars, ascii_only = (query.get(name) == "1" for name in ("color", "bars", "ascii"))
    return Look(width=int(width), color=color, bars=bars, ascii=ascii_only)


async def _next(subscriber: Subscriber) -> bytes:
    """Give the next server-sent event; a comment when nothing happened for a while, or nothing more will."""
    try:
        message = await subscriber.next(HEARTBEAT_S)
    except TimeoutError:
        return b": still here\n\n"
    return b": the end\n\n" if message is None else f"event: {message[0]}\ndata: {message[1]}\n\n".encode()


def _cut(request: web.Request) -> None:
    if request.transport is not None:
        request.transport.abort()


def parse(model: type[E], body: bytes) -> E:
    """Read a JSON body as `model`; an empty one is `{}`.

    Raises:
        RefusalError: 422, naming the fields that are wrong and never what was in them.
    """
    try:
        return model.model_validate_json(body or b"{}")
    except ValidationError as error:
        found = error.errors(include_url=False, include_context=False, include_input=False)
        wrong = "; ".join(f"{_place(problem['loc'])}{problem['msg']}" for problem in found[:_PROBLEMS_SHOWN])
        more = f"; and {len(found) - _PROBLEMS_SHOWN} more" if len(found) > _PROBLEMS_SHOWN else ""
        raise RefusalError(422, redact(wrong) + more, "GET /v1/schema describes every field") from None


def _place(path: tuple[int | str, ...]) -> str:
    return ".".join(str(part)[:100] for part in path) + ": " if path else ""


def _json(answer: BaseModel) -> web.Response:
    return web.Response(text=answer.model_dump_json(), content_type="application/json")
