"""What can happen: the events an editor reports, which are the requests of the wire protocol `/v1`.

Only data. The models are the protocol's one definition: the daemon parses bodies straight into them and the JSON Schema
under `examples/protocol/` is made from them. Nothing here knows OpenCode's API; ids are whatever the editor uses.
Unknown fields are ignored, so that an older daemon understands a newer shim; every text is bounded. Ids and names are
kept, saved and shown, so a key that was sent as one is replaced right here.
"""

from functools import cached_property
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, StringConstraints

from sidecar.core.target import Target
from sidecar.redact import redact, redact_id, redact_name

PROTOCOL = 1
BODY_LIMIT = 65_536

ID_LIMIT = 256

Id = Annotated[str, StringConstraints(min_length=1, max_length=ID_LIMIT), AfterValidator(redact_id)]
Part = Annotated[str, StringConstraints(min_length=1, max_length=ID_LIMIT), AfterValidator(redact_name)]
"""One part of a target: a provider or a model."""
Name = Annotated[str, StringConstraints(max_length=512)]
Label = Annotated[str, StringConstraints(max_length=512), AfterValidator(redact_name)]
"""What something is called: an agent, a variant, a program."""
Words = Annotated[str, StringConstraints(max_length=512), AfterValidator(redact)]
"""What is shown to people as it is: a provider's own name, its address."""
Text = Annotated[str, StringConstraints(max_length=BODY_LIMIT)]
Seconds = Annotated[float, Field(ge=0, le=1e12, allow_inf_nan=False)]
Milliseconds = Annotated[float, Field(ge=0, le=1e9, allow_inf_nan=False)]
Amount = Annotated[int, Field(ge=0, le=10**12)]
Dollars = Annotated[float, Field(ge=0, le=1e9, allow_inf_nan=False)]

Wire = Literal["openai-chat", "openai-responses", "anthropic", "gemini", "unknown"]
Mobility = Literal["handover", "same_wire", "reroute", "fixed"]
# Requests that are steps of a turn; the others stand beside it.
STEPS: frozenset[Mobility] = frozenset({"handover", "same_wire"})


class Event(BaseModel):
    """The base of every wire model: immutable, bounded, tolerant of fields it does not know."""

    model_config = ConfigDict(frozen=True, extra="ignore")


class TargetRef(Event):
    """A model at a provider, by the editor's ids."""

    provider: Part
    model: Part
    variant: Label | None = Field(None, description="the editor's variant of the model, for example a reasoning effort")

    @cached_property
    def target(self) -> Target:
        """Give the pair without the variant; asked for ten times a decision."""
        return Target(self.provider, self.model)


class ModelInfo(Event):
    """What the editor knows of one connected model; costs are US dollars per million tokens, sizes are tokens."""

    id: Part
    name: Words = ""
    context: Amount = 0
    output: Amount = 0
    cost_input: Dollars = 0
    cost_output: Dollars = 0
    tools: bool = True
    images: bool = True
    reasoning: bool = False
    released: Name = Field("", description="YYYY-MM-DD")
    wire: Wire = "unknown"
    variants: list[Label] = []


class ProviderInfo(Event):
    """What the editor knows of one connected provider."""

    id: Part
    name: Words = ""
    base_url: Words = ""
    has_key: bool = True
    uninvited: bool = Field(False, description="connected by itself, without a key and without anybody asking for it")
    default_model: Label = ""
    models: Annotated[list[ModelInfo], Field(max_length=5_000)] = []


class Hello(Event):
    """`POST /v1/hello`: an editor window introduces itself and what it is connected to."""

    protocol: int = PROTOCOL
    client: Label = "unknown"
    client_version: Label = ""
    shim_version: Label = ""
    executable: Name = Field("", description="the editor's own program, absolute; a self-test of a new version runs it")
    directory: Name = ""
    overrides: Text | None = Field(None, description="RATE_LIMIT_PROVIDERS of that window: JSON, laid over `providers`")
    providers: Annotated[list[ProviderInfo], Field(max_length=1_000)] = []
    agents: Annotated[list[Name], Field(max_length=1_000)] = Field(
        [], description="the agents a chain can be written for; none when the editor does not say"
    )


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
    agent: Label = "build"
    turn: Id = Field(description="the user message being answered; stays the same through every handover")
    target: TargetRef
    wire: Wire = "unknown"
    mobility: Mobility = Field(
        "handover",
        description="handover: the step can move to any target; same_wire: its requests can go to targets of the same "
        "wire; reroute: the same for a request that is no step of a turn; fixed: it can only be sent or not",
    )
    needs: Needs = Needs()


class Route(_Request):
    """`POST /v1/route`: may this be sent? `message`: a user message opens a turn; `attempt`: one request."""

    at: Literal["message", "attempt"] = "attempt"
    attempt: Id | None = Field(None, description="the id its outcome will carry; counted once under it")
    passed: bool = Field(
        False, description="it was sent already, on the strength of an earlier `pass_s` or `leave`: it is only counted"
    )


class Outcome(_Request):
    """`POST /v1/outcome`: how one attempt ended.

    `failed` with a `status` is a refusal, without one a network failure (`error` has its text) or, with the `error`
    `first_token_timeout`, an answer that did not begin in time; `empty` is a success without content. `began` is no
    end: the first content of an attempt that is a probe, whose end is reported as ever. `headers` hold rate-limit
    headers only (lower case), `body` at most 64 KiB.
    """

    attempt: Id
    ended: Literal["began", "ok", "empty", "failed", "aborted"]
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

    provider: Part | None = None
    model: Part | None = None
    for_s: Seconds | None = Field(None, description="disable or use only for this long")
