"""Finding or installing OpenCode, with an npm and an OpenCode of our own."""

import json
import os
from pathlib import Path

import pytest

from sidecar.installation import shim_source
from sidecar.opencode_binary import (
    TESTED_VARIABLE,
    TESTED_VERSION,
    OpenCodeMissingError,
    known_good,
    on_this_machine,
    pinned,
    version_of,
)

MACHINE = "arm64" if os.uname().machine in ("arm64", "aarch64") else "x64"
SYSTEM = os.uname().sysname.lower()


@pytest.fixture
def tools(tmp_path: Path) -> Path:
    """A directory that is the whole PATH."""
    directory = tmp_path / "tools"
    directory.mkdir()
    return directory


def program(file: Path, text: str) -> Path:
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(f"#!/bin/sh\n{text}\n")
    file.chmod(0o755)
    return file


def environment(tools: Path, **more: str) -> dict[str, str]:
    return {"PATH": f"{tools}:/usr/bin:/bin", **more}


def binary(cache: Path, suffix: str = "") -> Path:
    return cache / "node_modules" / f"opencode-{SYSTEM}-{MACHINE}{suffix}" / "bin" / "opencode"


class TestOnThisMachine:
    def test_the_one_on_path(self, tools: Path) -> None:
        found = program(tools / "opencode", "true")
        assert on_this_machine(environment(tools)) == found

    def test_the_one_that_is_named_wins(self, tools: Path) -> None:
        program(tools / "opencode", "true")
        named = program(tools / "else" / "opencode", "true")
        assert on_this_machine(environment(tools, OPENCODE_BIN=str(named))) == named

    def test_none(self, tools: Path) -> None:
        assert on_this_machine({"PATH": str(tools)}) is None

    def test_a_name_that_leads_nowhere_is_an_error(self, tools: Path) -> None:
        with pytest.raises(OpenCodeMissingError, match="OPENCODE_BIN names /no/where"):
            on_this_machine(environment(tools, OPENCODE_BIN="/no/where"))


class TestVersion:
    @pytest.mark.parametrize(
        ("text", "version"),
        [
            ("echo 1.2.3", "1.2.3"),
            ("echo opencode v1.2.3-beta.1 x", "1.2.3-beta.1"),
            ("echo none", None),
            ("echo 1.2.3; exit 1", None),
        ],
    )
    def test_what_it_answers(self, tools: Path, text: str, version: str | None) -> None:
        assert version_of(program(tools / "opencode", text)) == version

    def test_what_is_no_program_has_none(self, tools: Path) -> None:
        assert version_of(tools / "missing") is None


class TestKnownGood:
    def test_the_tested_version_unless_others_are_named(self) -> None:
        assert known_good({}) == {TESTED_VERSION}
        assert known_good({TESTED_VARIABLE: ""}) == frozenset()
        assert known_good({TESTED_VARIABLE: "1.19.0,1.20.0"}) == {"1.19.0", "1.20.0"}

    def test_the_plugin_knows_the_same(self) -> None:
        package = json.loads((shim_source() / "package.json").read_text())
        assert package["opencode"]["tested"] == [TESTED_VERSION]


class TestPinned:
    def npm(self, tools: Path, cache: Path, *made: Path, version: str = TESTED_VERSION) -> Path:
        """An npm that records its call and makes executables."""
        lines = [f'echo "$@" > {cache}/called']
        for file in made:
            lines += [
                f"mkdir -p {file.parent}",
                f"printf '#!/bin/sh\\necho {version}' > {file}",
                f"chmod +x {file}",
            ]
        return program(tools / "npm", "\n".join(lines))

    def test_it_is_installed_once(self, tools: Path, tmp_path: Path) -> None:
        cache = tmp_path / "cache"
        npm = self.npm(tools, cache, binary(cache))
        assert pinned(cache, environment(tools)) == binary(cache)
        called = (cache / "called").read_text().split()
        assert called[0] == "install"
        assert called[-1] == f"opencode-ai@{TESTED_VERSION}"
        assert "--ignore-scripts" in called
        npm.unlink()
        assert pinned(cache, {"PATH": "/nowhere"}) == binary(cache)

    def test_another_version_in_the_cache_is_replaced(self, tools: Path, tmp_path: Path) -> None:
        cache = tmp_path / "cache"
        program(binary(cache), "echo 0.0.1")
        self.npm(tools, cache, binary(cache))
        assert pinned(cache, environment(tools)) == binary(cache)
        assert version_of(binary(cache)) == TESTED_VERSION

    def test_the_variant_that_runs_here_is_taken(self, tools: Path, tmp_path: Path) -> None:
        cache = tmp_path / "cache"
        program(binary(cache), "exit 132")  # illegal instruction: a processor without AVX2
        self.npm(tools, cache, binary(cache, "-baseline"))
        assert pinned(cache, environment(tools)) == binary(cache, "-baseline")

    def test_without_npm_it_says_what_to_do(self, tmp_path: Path) -> None:
        with pytest.raises(OpenCodeMissingError, match=r"npm is not on PATH.*install Node\.js.*or set OPENCODE_BIN"):
            pinned(tmp_path / "cache", {"PATH": "/nowhere"})

    def test_npms_own_words_when_it_fails(self, tools: Path, tmp_path: Path) -> None:
        program(tools / "npm", "echo 'npm error code E404' >&2; exit 1")
        with pytest.raises(OpenCodeMissingError, match="E404"):
            pinned(tmp_path / "cache", environment(tools))

    def test_npm_that_installs_nothing_for_this_machine(self, tools: Path, tmp_path: Path) -> None:
        self.npm(tools, tmp_path / "cache")
        with pytest.raises(OpenCodeMissingError, match="runs on this machine"):
            pinned(tmp_path / "cache", environment(tools))
