"""Numbers as people say them: durations, money, the names of failure classes.

Pure formatting shared by reasons and toasts. No clock times: which zone a reader lives in is not the core's to know.
"""

from itertools import pairwise

from sidecar.core.failure import Kind

KIND_WORDS: dict[Kind, str] = {
    Kind.RATE_LIMIT: "rate limit",
    Kind.QUOTA: "quota used up",
    Kind.BILLING: "payment needed",
    Kind.AUTH: "key refused",
    Kind.SERVER: "server trouble",
    Kind.TIMEOUT: "no answer in time",
    Kind.NETWORK: "not reachable",
    Kind.MODEL_NOT_FOUND: "model not found",
    Kind.CONTEXT_OVERFLOW: "conversation too long for the model",
    Kind.BAD_REQUEST: "request refused",
    Kind.CONTENT_FILTER: "content filter",
    Kind.ABORTED: "aborted",
    Kind.UNKNOWN: "unknown error",
}

_STEPS = ((86_400, "d"), (3_600, "h"), (60, "min"), (1, "s"))


def span(seconds: float) -> str:
    """Say a duration in its two largest units: `4 min 10 s`, `2 h`, `3 d 4 h`; below a second `1 s`."""
    left = max(1, round(seconds))
    for (size, unit), (small, small_unit) in pairwise(_STEPS):
        if left >= size:
            rest = left % size // small
            return f"{left // size} {unit}" + (f" {rest} {small_unit}" if rest else "")
    return f"{left} s"


def price(input_cost: float, output_cost: float) -> str:
    """Say a price per million tokens: `$3/$15 per million tokens`, or `free`."""
    return f"${input_cost:g}/${output_cost:g} per million tokens" if input_cost or output_cost else "free"
