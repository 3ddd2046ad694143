"""The OpenCode executable: the one on this machine, or the tested version from npm in a directory of our own.

The one place that names the version everything is tested against. `python -m sidecar.opencode_binary DIR` installs it
into DIR and prints the path of its executable. Standard library only.
"""

import os
import platform
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path

TESTED_VERSION = "1.18.33"
# Other versions to take for tested, separated by commas, instead; empty for none.
TESTED_VARIABLE = "RATE_LIMIT_SIDECAR_TESTED"

_INSTALL_TIMEOUT_S = 900
_VERSION_TIMEOUT_S = 30
_XDG = ("XDG_CONFIG_HOME", "XDG_DATA_HOME", "XDG_STATE_HOME", "XDG_CACHE_HOME")


class OpenCodeMissingError(Exception):
    """There is no OpenCode and it could not be installed; the message says why and what to do."""


def known_good(env: Mapping[str, str] = os.environ) -> frozenset[str]:
    """Give the versions that need no self-test."""
    named = env.get(TESTED_VARIABLE)
    return frozenset({TESTED_VERSION} if named is None else filter(None, named.split(",")))


def on_this_machine(env: Mapping[str, str] = os.environ) -> Path | None:
    """Give the executable OPENCODE_BIN names, else the one on PATH, else None.

    Raises:
        OpenCodeMissingError: OPENCODE_BIN names something that is not there.
    """
    named = env.get("OPENCODE_BIN")
    if named:
        found = shutil.which(named, path=env.get("PATH"))
        if found is None:
            raise OpenCodeMissingError(f"OPENCODE_BIN names {named}, which is not an executable; correct or unset it")
        return Path(found)
    found = shutil.which("opencode", path=env.get("PATH"))
    return Path(found) if found else None


def pinned(cache: Path, env: Mapping[str, str] = os.environ) -> Path:
    """Give the executable of exactly the tested version in the npm prefix `cache`, installing it when it is not there.

    Raises:
        OpenCodeMissingError: npm is missing or failed.
    """
    executable = _executable(cache)
    if executable is None:
        _install(cache, env)
        executable = _executable(cache)
    if executable is None:
        raise OpenCodeMissingError(f"npm installed no OpenCode executable that runs on this machine into {cache}")
    return executable


def version_of(executable: Path, env: Mapping[str, str] = os.environ) -> str | None:
    """Ask an executable for its version, such as `1.18.33`; None when it does not answer with one."""
    try:
        answer = subprocess.run(  # noqa: S603 - the path is the user's own OpenCode
            [executable, "--version"],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=_VERSION_TIMEOUT_S,
            check=False,
            env={**env, "OPENCODE_DISABLE_AUTOUPDATE": "1"},
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    found = re.search(r"\d+\.\d+\.\d+\S*", answer.stdout)
    return found[0] if found and answer.returncode == 0 else None


def _install(cache: Path, env: Mapping[str, str]) -> None:
    npm = shutil.which("npm", path=env.get("PATH"))
    if npm is None:
        raise OpenCodeMissingError(
            f"npm is not on PATH, so OpenCode {TESTED_VERSION} cannot be installed; install Node.js with npm, "
            "or set OPENCODE_BIN to an OpenCode executable"
        )
    cache.mkdir(parents=True, exist_ok=True)
    # A package.json of its own keeps npm from climbing to one further up. No scripts: OpenCode's only links the
    # executable, which is used directly here, and some npm versions refuse to run it.
    (cache / "package.json").write_text('{"private": true}\n', encoding="utf-8")
    result = subprocess.run(  # noqa: S603 - npm from PATH with fixed arguments
        [npm, "install", "--ignore-scripts", "--no-audit", "--no-fund", f"opencode-ai@{TESTED_VERSION}"],
        cwd=cache,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=_INSTALL_TIMEOUT_S,
        check=False,
        env=dict(env),
    )
    if result.returncode:
        last = (result.stderr.strip() or result.stdout.strip()).splitlines()[-5:]
        raise OpenCodeMissingError(f"npm could not install OpenCode {TESTED_VERSION} into {cache}:\n" + "\n".join(last))


def _executable(cache: Path) -> Path | None:
    """Find the binary of the tested version that runs here; there are several for one kind of machine."""
    system = {"Linux": "linux", "Darwin": "darwin"}.get(platform.system(), "windows")
    machine = "arm64" if platform.machine().lower() in ("arm64", "aarch64") else "x64"
    packages = sorted((cache / "node_modules").glob(f"opencode-{system}-{machine}*"))
    places = (package / "bin" / "opencode" for package in packages)
    # Even asked for its version only, OpenCode makes directories where the user's own would be.
    with tempfile.TemporaryDirectory() as elsewhere:
        env = {**os.environ, **dict.fromkeys(_XDG, elsewhere)}
        return next((place for place in places if version_of(place, env) == TESTED_VERSION), None)


if __name__ == "__main__":
    print(pinned(Path(sys.argv[1])))  # noqa: T201 - the path is what setup.sh asks for
