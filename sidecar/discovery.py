"""What there is to configure: the providers and models OpenCode is connected to, found where it keeps them.

Three places are asked, the best first: the daemon, whom OpenCode's windows told; OpenCode itself (`opencode models`);
and OpenCode's files, of its logins only the names and types. Reads, decides no order and writes nothing.
"""

import os
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from sidecar import opencode_config
from sidecar.client import DaemonAnswerError, DaemonUnavailableError, call
from sidecar.config.catalogue import CATALOGUE, settings_for, tier_models
from sidecar.config.models import Billing, Tier
from sidecar.core.names.models import guess_tier
from sidecar.opencode_binary import OpenCodeMissingError, on_this_machine
from sidecar.paths import Paths

# The gateway every OpenCode is connected to without anybody having asked for it.
_UNINVITED = "opencode"
_PATIENCE_S = 60.0


@dataclass(frozen=True, slots=True)
class Found:
    """One provider: how it was found, in words; how it is paid; its models by tier, best known first.

    `login` says that it is used through a login and not a key.
    """

    id: str
    name: str
    how: tuple[str, ...] = ()
    billing: Billing = Billing.METERED
    local: bool = False
    login: bool = False
    models: Mapping[str, Tier] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Discovery:
    """Everything found; `chosen` are the models OpenCode's configuration names, `sources` where was looked."""

    providers: tuple[Found, ...]
    chosen: tuple[str, ...]
    sources: tuple[str, ...]
    problems: tuple[str, ...] = ()


@dataclass(slots=True)
class _Draft:
    how: list[str] = field(default_factory=list)
    name: str = ""
    base_url: str = ""
    has_key: bool = False
    uninvited: bool = False
    models: dict[str, float | None] = field(default_factory=dict)
    """Price of a million tokens of output by model, None where nobody says."""


def discover(paths: Paths, directory: Path, env: Mapping[str, str] = os.environ) -> Discovery:
    """Look everywhere, as seen from `directory`."""
    config = opencode_config.read(directory, env)
    drafts: dict[str, _Draft] = {}
    sources = []
    if _from_daemon(paths, drafts):
        sources.append("the open OpenCode windows")
    elif _from_opencode(directory, env, drafts):
        sources.append("opencode models")
    for entry in config.providers.values():
        draft = drafts.setdefault(entry.id, _Draft())
        draft.how.append("in OpenCode's configuration")
        draft.name = draft.name or entry.name
        draft.base_url = draft.base_url or entry.base_url
        draft.has_key = draft.has_key or entry.has_key
        draft.models = {**dict.fromkeys(entry.models), **draft.models}
    logins = opencode_config.credentials(env)
    for id_, kind in logins.items():
        draft = drafts.setdefault(id_, _Draft())
        draft.how.append("with a login" if kind == "oauth" else "with a key OpenCode keeps")
        draft.has_key = True
    for id_, known in CATALOGUE.items():
        names = [name for name in known.settings.key_env or () if env.get(name)]
        if names:
            draft = drafts.setdefault(id_, _Draft())
            draft.how.append(f"by the variable {names[0]}")
            draft.has_key = True
    sources += [source.name for source in config.sources]
    if logins:
        sources.append(f"{opencode_config.credentials_file(env)} (names only)")
    found = (
        _found(id_, draft, config, login=logins.get(id_) == "oauth")
        for id_, draft in drafts.items()
        if config.allows(id_) and not _came_by_itself(id_, draft)
    )
    return Discovery(tuple(found), config.chosen_models(), tuple(sources), config.problems)


def _came_by_itself(id_: str, draft: _Draft) -> bool:
    return draft.uninvited or (id_ == _UNINVITED and not draft.has_key and draft.how in ([], [_LISTED]))


_LISTED = "listed by opencode models"


def _from_daemon(paths: Paths, drafts: dict[str, _Draft]) -> bool:
    """Take what the editors told the daemon; False when it does not run or nobody told it anything."""
    try:
        roster = call(paths.socket, "GET", "/v1/providers")
        if not roster["windows"]:
            return False
        for facts in roster["providers"]:
            if facts["connected"]:
                detail: dict[str, Any] = call(paths.socket, "GET", f"/v1/providers?provider={facts['id']}")
                models = next(one["models"] for one in detail["providers"] if one["id"] == facts["id"])
                draft = drafts.setdefault(facts["id"], _Draft())
                draft.how.append("connected in an open OpenCode")
                draft.name, draft.base_url = facts["name"], facts["base_url"]
                draft.has_key, draft.uninvited = bool(facts["has_key"]), facts["uninvited"]
                draft.models = {model["id"]: model["cost_output"] for model in models if model["connected"]}
    except (DaemonUnavailableError, DaemonAnswerError):
        return False
    return bool(drafts)


def _from_opencode(directory: Path, env: Mapping[str, str], drafts: dict[str, _Draft]) -> bool:
    """Take what OpenCode lists; False when there is none or it does not answer."""
    try:
        executable = on_this_machine(env)
    except OpenCodeMissingError:
        return False
    if executable is None:
        return False
    try:
        listed = subprocess.run(  # noqa: S603 - the user's own OpenCode with fixed arguments
            [executable, "models"],
            cwd=directory,
            env={**env, "OPENCODE_DISABLE_AUTOUPDATE": "1"},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            errors="replace",
            timeout=_PATIENCE_S,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired):
        return False
    if listed.returncode:
        return False
    for line in listed.stdout.splitlines():
        provider, slash, model = line.strip().partition("/")
        if slash and model and provider and not {" ", "\033"} & set(line.strip()):
            draft = drafts.setdefault(provider, _Draft([_LISTED]))
            draft.models[model] = None
    return bool(drafts)


def _found(id_: str, draft: _Draft, config: opencode_config.OpenCodeConfig, *, login: bool) -> Found:
    settings = settings_for(id_, None, reported_url=draft.base_url, has_key=draft.has_key)
    found = Found(
        id_,
        name=draft.name or (CATALOGUE[id_].name if id_ in CATALOGUE else id_),
        how=tuple(dict.fromkeys(draft.how)),
        billing=settings.billing or Billing.METERED,
        local=bool(settings.local),
        login=login,
        models=_ordered(id_, draft, config),
    )
    # A login in place of a key is how a plan is used.
    return replace(found, billing=Billing.SUBSCRIPTION) if login else found


def _ordered(id_: str, draft: _Draft, config: opencode_config.OpenCodeConfig) -> dict[str, Tier]:
    """Give a provider's models with their tiers: those OpenCode is told to use, those known to be good, the rest."""
    chosen = [target.partition("/")[2] for target in config.chosen_models() if target.startswith(f"{id_}/")]
    known = tier_models(id_)
    good = [model for model in known if model in draft.models or not draft.models]
    names = dict.fromkeys([*chosen, *good, *draft.models])
    return {name: known.get(name) or guess_tier(name, output_cost=draft.models.get(name)) for name in names}
