"""What can happen: the events an editor reports, which are the requests of the wire protocol `/v1`.

Only data. The models are the protocol's one definition: the daemon parses bodies straight into them and the JSON Schema
under `examples/protocol/` is made from them. Nothing here knows OpenCode's API; ids are whatever the editor uses.
Unknown fields are ignored, so that an older daemon understands a newer shim; every text is bounded.
"""

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, StringConstraints

from sidecar.core.target import Target

PROTOCOL = 1
BODY_LIMIT = 65_536

Id = Annotated[str, StringConstraints(min_length=1, max_length=256)]
Name = Annotated[str, StringConstraints(max_length=512)]
Text = Annotated[str, StringConstraints(max_length=BODY_LIMIT)]
Seconds = Annotated[float, Field(ge=0, le=1e12, allow_inf_nan=False)]
Milliseconds = Annotated[float, Field(ge=0, le=1e9, allow_inf_nan=False)]
Amount = Annotated[int, Field(ge=0, le=10**12)]
Dollars = Annotated[float, Field(ge=0, le=1e9, allow_inf_nan=False)]

Wire = Literal["openai-chat", "openai-responses", "anthropic", "gemini", "unknown"]
Mobility = Literal["handover", "reroute", "fixed"]


class Event(BaseModel):
    """The base of every wire model: immutable, bounded, tolerant of fields it does not know."""

    model_config = ConfigDict(frozen=True, extra="ignore")


class TargetRef(Event):
    """A model at a provider, by the editor's ids."""

    provider: Id
    model: Id
    variant: Name | None = Field(None, description="the editor's variant of the model, for example a reasoning effort")

    @property
    def target(self) -> Target:
        """Give the pair without the variant."""
        return Target(self.provider, self.model)


class ModelInfo(Event):
    """What the editor knows of one connected model; costs are US dollars per million tokens, sizes are tokens."""

    id: Id
    name: Name = ""
    context: Amount = 0
    output: Amount = 0
    cost_input: Dollars = 0
    cost_output: Dollars = 0
    tools: bool = True
    images: bool = True
    reasoning: bool = False
    released: Name = Field("", description="YYYY-MM-DD")
    wire: Wire = "unknown"
    variants: list[Name] = []


class ProviderInfo(Event):
    """What the editor knows of one connected provider."""

    id: Id
    name: Name = ""
    base_url: Name = ""
    has_key: bool = True
    uninvited: bool = Field(False, description="connected by itself, without a key and without anybody asking for it")
    default_model: Name = ""
    models: Annotated[list[ModelInfo], Field(max_length=5_000)] = []


class Hello(Event):
    """`POST /v1/hello`: an editor window introduces itself and what it is connected to."""

    protocol: int = PROTOCOL
    client: Name = "unknown"
    client_version: Name = ""
    shim_version: Name = ""
    directory: Name = ""
    overrides: Text | None = Field(None, description="RATE_LIMIT_PROVIDERS of that window: JSON, laid over `providers`")
    providers: Annotated[list[ProviderInfo], Field(max_length=1_000)] = []


class Needs(Event):
    """What the conversation so far asks of a model; 0 and False mean nothing is known to be needed."""

    context: Amount = Field(0, description="tokens of the conversation so far")
    tools: bool = False
    images: bool = False
    reasoning: bool = False


class _Request(Event):
    """What every question about one request carries."""

    session: Id
    parent: Id | None = Field(None, description="the session that started this one as a subagent")
    directory: Name = ""
    agent: Name = "build"
    turn: Id = Field(description="the user message being answered; stays the same through every handover")
    target: TargetRef
    wire: Wire = "unknown"
    mobility: Mobility = Field(
        "handover",
        description="handover: the step can move to any target; reroute: this one request can go to a target of the "
        "same wire; fixed: it can only be sent or not",
    )
    needs: Needs = Needs()


class Route(_Request):
    """`POST /v1/route`: may this be sent? `message`: a user message opens a turn; `attempt`: one request."""

    at: Literal["message", "attempt"] = "attempt"
    attempt: Id | None = Field(None, description="the id its outcome will carry; counted once under it")


class Outcome(_Request):
    """`POST /v1/outcome`: how one attempt ended.

    `failed` with a `status` is a refusal, without one a network failure (`error` has its text) or, with the `error`
    `first_token_timeout`, an answer that did not begin in time; `empty` is a success without content. `headers` hold
    rate-limit headers only (lower case), `body` at most 64 KiB.
    """

    attempt: Id
    ended: Literal["ok", "empty", "failed", "aborted"]
    status: Annotated[int, Field(ge=100, le=999)] | None = None
    headers: Annotated[dict[Name, Text], Field(max_length=100)] = {}
    body: Text | None = None
    error: Text | None = None
    content_sent: bool = Field(False, description="content had already reached the editor: the step cannot move")
    age_s: Seconds = Field(0, description="how long ago it ended, for reports kept while the daemon was away")
    latency_ms: Milliseconds | None = Field(None, description="from sending it to its end")
    first_token_ms: Milliseconds | None = Field(None, description="from sending it to its first content")


class EditorEvent(Event):
    """One raw event of the editor's bus, as it came: `session.error`, `message.updated` and so on."""

    type: Name
    properties: dict[str, Any] = {}
    age_s: Seconds = 0


class EditorEvents(Event):
    """`POST /v1/events`: a batch of raw editor events, oldest first."""

    directory: Name = ""
    reports_attempts: bool = Field(
        False, description="the sender also reports each attempt, so that messages need not be counted as requests"
    )
    events: Annotated[list[EditorEvent], Field(max_length=1_000)]


class TargetCommand(Event):
    """`POST /v1/targets/{disable,enable,clear,allow,use}` and `POST /v1/reset`: a provider, or one of its models.

    `use` without a provider takes back what was picked.
    """

    provider: Id | None = None
    model: Id | None = None
    for_s: Seconds | None = Field(None, description="disable or use only for this long")
