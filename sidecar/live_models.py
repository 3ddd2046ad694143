"""The list of models a provider itself gives (`GET BASE_URL/models`), kept for ten minutes.

A key is read at that moment, sent to an address the user's own files or the built-in catalogue name (never to one a
project's file names), over TLS or to this machine only, and kept nowhere. What is kept are names of models.
"""

import asyncio
import json
import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlsplit

import aiohttp

from sidecar import opencode_config
from sidecar.config.catalogue import CATALOGUE, is_local_url, settings_for
from sidecar.config.load import load
from sidecar.config.models import ProviderSettings
from sidecar.config.problems import ConfigError
from sidecar.paths import Paths

KEPT_S = 600.0
_PATIENCE_S = 10.0
_LARGEST = 8 * 1024 * 1024
_MOST, _LONGEST_NAME = 5_000, 256
_REFUSED = (401, 403)


class LiveModelsError(ValueError):
    """The provider gives no list; the message says why and what to do."""


def live_models(
    paths: Paths,
    provider: str,
    reported_url: str = "",
    *,
    directory: Path | None = None,
    clock: Callable[[], float] = time.time,
) -> tuple[str, ...]:
    """Give the ids of the models `provider` lists, as it orders them; asked again when older than `KEPT_S` seconds.

    `reported_url` is the address OpenCode uses, asked without a key when nobody else names it.

    Raises:
        LiveModelsError: there is no address, no answer, or it is no list of models.
    """
    here = directory or Path.cwd()
    mine = _configured(paths, provider)
    url, trusted = _address(paths, provider, mine, reported_url, here)
    file = paths.state.parent / "models" / f"{quote(provider, safe='')}.json"
    kept = _kept(file, url, clock())
    if kept is not None:
        return kept
    headers = _headers(provider, mine, here) if trusted else {}
    models = asyncio.run(_ask(provider, url, headers))
    _keep(file, {"at": clock(), "url": url, "models": models})
    return models


def _address(
    paths: Paths, provider: str, mine: ProviderSettings | None, reported: str, directory: Path
) -> tuple[str, bool]:
    """Give where to ask, and whether a key may go there."""
    entry = opencode_config.read(directory).providers.get(provider)
    catalogued = CATALOGUE[provider].settings.base_url if provider in CATALOGUE else None
    own = (mine.base_url if mine else "") or (entry.own_url if entry else "")
    url = own or reported or (entry.base_url if entry else "") or catalogued or ""
    if not url or "$" in url:
        raise LiveModelsError(
            f"nobody knows the address of {provider}; write it as providers.{provider}.base_url in {paths.config}"
        )
    trusted = _origin(url) in {_origin(known) for known in (own, catalogued) if known}
    return url.rstrip("/"), trusted and (url.startswith("https://") or is_local_url(url))


def _configured(paths: Paths, provider: str) -> ProviderSettings | None:
    try:
        return load(paths.config, None, None).config.providers.get(provider)
    except ConfigError:
        return None


def _origin(url: str) -> tuple[str, str]:
    parts = urlsplit(url)
    return parts.scheme, parts.netloc.rpartition("@")[2].lower()


def _headers(provider: str, mine: ProviderSettings | None, directory: Path) -> dict[str, str]:
    names = settings_for(provider, mine).key_env or ()
    key = opencode_config.key_for(provider, tuple(names), directory, os.environ)
    if not key:
        return {}
    if provider == "anthropic":
        return {"x-api-key": key, "anthropic-version": "2023-06-01"}
    if provider == "google":
        return {"x-goog-api-key": key}
    return {"Authorization": f"Bearer {key}"}


async def _ask(provider: str, url: str, headers: dict[str, str]) -> tuple[str, ...]:
    timeout = aiohttp.ClientTimeout(total=_PATIENCE_S)
    try:
        # Where a redirect leads has not been chosen by the user: a key must not follow it.
        async with (
            aiohttp.ClientSession(timeout=timeout, trust_env=True) as session,
            session.get(f"{url}/models", headers=headers, allow_redirects=False) as answer,
        ):
            body = await answer.content.read(_LARGEST)
            status = answer.status
    except (aiohttp.ClientError, TimeoutError, ValueError) as error:
        why = "no answer in time" if isinstance(error, TimeoutError) else type(error).__name__
        raise LiveModelsError(f"{provider} cannot be asked at {url}/models: {why}") from None
    if status in _REFUSED:
        lack = "refuses the key" if headers else "wants a key, and there is none to be read here (a login has none)"
        raise LiveModelsError(f"{provider} {lack} (HTTP {status} from {url}/models)")
    if status != 200:  # noqa: PLR2004 - HTTP OK
        raise LiveModelsError(f"{provider} has no list of models at {url}/models (HTTP {status})")
    models = _names(body)
    if models is None:
        raise LiveModelsError(f"what {url}/models answers is no list of models")
    return models


def _names(body: bytes) -> tuple[str, ...] | None:
    """Read the list in the forms providers give it: `data` or `models`, with `id` or `name`."""
    try:
        said: Any = json.loads(body)
    except ValueError:
        return None
    entries = said.get("data", said.get("models")) if isinstance(said, dict) else said
    if not isinstance(entries, list):
        return None
    named = (entry.get("id") or entry.get("name") for entry in entries if isinstance(entry, dict))
    names = (name.removeprefix("models/") for name in named if isinstance(name, str))
    return tuple(dict.fromkeys(n for n in names if 0 < len(n) <= _LONGEST_NAME and n.isprintable()))[:_MOST]


def _kept(file: Path, url: str, now: float) -> tuple[str, ...] | None:
    try:
        kept = json.loads(file.read_text(encoding="utf-8"))
        fresh = kept["url"] == url and 0 <= now - kept["at"] < KEPT_S
        return tuple(map(str, kept["models"])) if fresh else None
    except (OSError, ValueError, KeyError, TypeError):
        return None


def _keep(file: Path, content: dict[str, Any]) -> None:
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        fresh = file.with_name(f".{file.name}.{os.getpid()}.new")
        fresh.write_text(json.dumps(content), encoding="utf-8")
        fresh.replace(file)
    except OSError:
        return  # it is asked for again the next time
