"""What atheris drives: texts of unknown people through the classifier, the JSONC reader and redaction.

Run by `texts.py` in an environment of its own, because atheris is no dependency of anything here.
"""

import sys

import atheris  # type: ignore[import-untyped,import-not-found,unused-ignore]

with atheris.instrument_imports(include=["sidecar"]):
    from sidecar.config import jsonc
    from sidecar.config.jsonc import JsoncError
    from sidecar.core.failure import Evidence
    from sidecar.core.refusals.classify import classify
    from sidecar.core.refusals.hints import learn_limits
    from sidecar.redact import redact

_PROVIDERS = ("anthropic", "openai", "google", "openrouter", "groq", "amazon-bedrock", "zai", "x")
_HEADERS = ("retry-after", "retry-after-ms", "x-ratelimit-reset", "x-ratelimit-reset-tokens", "anthropic-ratelimit-x")
_NOW = 1_800_000_000.0


def one(data: bytes) -> None:
    """Try one input; whatever raises is a finding."""
    given = atheris.FuzzedDataProvider(data)
    provider = _PROVIDERS[given.ConsumeIntInRange(0, len(_PROVIDERS) - 1)]
    status = given.ConsumeIntInRange(99, 999)
    headers = {name: given.ConsumeUnicode(24) for name in _HEADERS if given.ConsumeBool()}
    text = given.ConsumeUnicode(4_000)
    failure = classify(
        Evidence(provider=provider, status=None if status == 99 else status, headers=headers, message=text, body=text),
        _NOW,
    )
    if failure.retry_after_s is not None and not 0 <= failure.retry_after_s < 10**9:
        raise AssertionError(failure)
    learn_limits(provider, headers, _NOW)
    once = redact(text)
    if redact(once) != once:
        raise AssertionError("redacting twice changes more")
    try:
        jsonc.parse(text)
    except JsoncError:
        return


if __name__ == "__main__":
    atheris.Setup(sys.argv, one)
    atheris.Fuzz()
