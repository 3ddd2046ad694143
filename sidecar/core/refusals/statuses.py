"""What an HTTP status means when nothing more trustworthy has spoken.

Statuses are asked after codes and phrases: providers send empty wallets as 400, content refusals as 403 and their own
overload as 429. A 2xx says nothing here; an error inside a 2xx is read like one without a status.
"""

from sidecar.core.failure import Kind
from sidecar.core.refusals.rules import Rule

_KINDS = (
    (Kind.AUTH, "the provider does not accept the key", {401}),
    (Kind.BILLING, "the provider asks for payment", {402}),
    (Kind.AUTH, "the provider does not allow this key to do that", {403}),
    (Kind.MODEL_NOT_FOUND, "the provider does not know this model", {404, 410}),
    (Kind.TIMEOUT, "the provider did not answer in time", {408, 504, 522, 524, 598, 599}),
    (Kind.CONTEXT_OVERFLOW, "the request is larger than the provider accepts", {413}),
    (Kind.SERVER, "the provider failed to answer", {424, 425}),
    (Kind.RATE_LIMIT, "requests or tokens come faster than the provider allows", {429}),
    (Kind.CONTENT_FILTER, "the provider refuses this content", {451}),
    (Kind.SERVER, "the provider is short of capacity", {498}),
    (Kind.ABORTED, "the request was stopped before the answer", {499}),
)
_BY_STATUS = {
    status: Rule(name=f"status.{status}", kind=kind, why=why) for kind, why, statuses in _KINDS for status in statuses
}
_SERVER = Rule(name="status.5xx", kind=Kind.SERVER, why="the provider failed to answer")
_CLIENT = Rule(name="status.4xx", kind=Kind.BAD_REQUEST, why="the provider does not accept this request")
_CLIENT_ERROR, _SERVER_ERROR = 400, 500


def plain_rule(status: int | None) -> Rule | None:
    """Give what a status means by itself; None for those that only say "4xx", for successes and for none."""
    if status is not None and status >= _SERVER_ERROR:
        return _BY_STATUS.get(status, _SERVER)
    return _BY_STATUS.get(status) if status is not None else None


def rest_rule(status: int | None) -> Rule | None:
    """Give the meaning of the 4xx that `plain_rule` leaves open: a request the provider does not accept."""
    return _CLIENT if status is not None and status >= _CLIENT_ERROR else None
