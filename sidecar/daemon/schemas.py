"""JSON Schema of every request and answer of the wire protocol, made from the models the daemon itself uses."""

from typing import Any

from pydantic import BaseModel
from pydantic.json_schema import GenerateJsonSchema

from sidecar.config.schema import headed
from sidecar.core.decisions import Decision, EventsReply, HelloReply, Notice
from sidecar.core.events import PROTOCOL, EditorEvents, Hello, Outcome, Route, TargetCommand
from sidecar.core.glance import Glance
from sidecar.core.roster import Roster
from sidecar.daemon.push import PushedToast
from sidecar.daemon.service import Done, Health, Status

_REQUESTS: dict[str, type[BaseModel]] = {
    "hello.request": Hello,
    "route.request": Route,
    "outcome.request": Outcome,
    "events.request": EditorEvents,
    "targets.request": TargetCommand,
}
_ANSWERS: dict[str, type[BaseModel]] = {
    "hello.answer": HelloReply,
    "route.answer": Decision,
    "outcome.answer": Decision,
    "events.answer": EventsReply,
    "targets.answer": Done,
    "status.answer": Status,
    "providers.answer": Roster,
    "health.answer": Health,
    "notice.push": Notice,
    "toast.push": PushedToast,
    "status.push": Glance,
}


class _Complete(GenerateJsonSchema):
    """Answers are always written in full: a field with a default is there too."""

    def field_is_required(self, field: Any, total: bool) -> bool:  # noqa: ARG002 - the signature is the base class's
        """Say so of every field."""
        return True


def protocol_schemas() -> dict[str, dict[str, Any]]:
    """Give the schema of every request and answer, by the name of its file without ending."""
    schemas = {name: model.model_json_schema(mode="validation") for name, model in _REQUESTS.items()}
    for name, model in _ANSWERS.items():
        schemas[name] = model.model_json_schema(mode="serialization", schema_generator=_Complete)
    return {
        name: headed(f"rate-limit-sidecar protocol {PROTOCOL}: {name}", f"protocol:{PROTOCOL}:{name}", schema)
        for name, schema in schemas.items()
    }
