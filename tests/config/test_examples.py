"""Every example a reader may copy is loaded by the real loader, and says what the code does."""

import json
import plistlib
import re
from pathlib import Path

import pytest

from sidecar.config import jsonc
from sidecar.config.explain import setting_names
from sidecar.config.load import DEFAULT, load
from sidecar.config.models import Config
from sidecar.core.cooldowns.cooldown import DEFAULTS, rule_for
from sidecar.opencode_binary import TESTED_VERSION

ROOT = Path(__file__).resolve().parents[2]
EXAMPLES = ROOT / "examples"
EXAMPLE = EXAMPLES / "rate-limit.jsonc"
LIMITS = sorted(EXAMPLES.glob("limits-*.jsonc"))
# Settings whose default is "none", so that the example shows something else.
SHOWN = {
    "schema_", "providers", "models", "primary", "fallback", "chains", "last_resort", "allow", "deny", "cooldowns",
    "error_patterns", "webhooks", "state_file", "log",
}  # fmt: skip


@pytest.fixture
def uncommented(tmp_path: Path) -> Path:
    """The example with every setting in force: a setting's // has no space after it, a comment's has."""
    file = tmp_path / "rate-limit.jsonc"
    file.write_text(re.sub(r"^(\s*)//(?=\S)", r"\1", EXAMPLE.read_text(encoding="utf-8"), flags=re.MULTILINE))
    return file


def test_the_example_changes_nothing() -> None:
    loaded = load(EXAMPLE, None, None)
    assert {key for key, origin in loaded.origins.items() if origin != DEFAULT} == {"$schema"}
    assert loaded.warnings == ()


def test_the_example_shows_the_defaults(uncommented: Path) -> None:
    shown = load(uncommented, None, None).config
    assert shown.model_dump(exclude=SHOWN) == Config().model_dump(exclude=SHOWN)
    assert shown.log.model_dump(exclude={"file"}) == Config().log.model_dump(exclude={"file"})
    for kind, rule in DEFAULTS.items():
        assert rule_for(kind, "any", shown) == rule
    assert set(shown.cooldowns) == set(DEFAULTS)


def test_the_example_shows_every_setting(uncommented: Path) -> None:
    document = jsonc.parse(uncommented.read_text(encoding="utf-8"))
    shown = {tuple(part for part in path if isinstance(part, str)) for path in document.lines}
    named = {re.sub(r"\.NAME\.", ".", name) for name in setting_names(Config)}
    present = {".".join(path) for path in shown}
    for name in ("anthropic", "claude-sonnet-4-5", *DEFAULTS):
        present = {path.replace(f".{name}.", ".") for path in present}
    # The limits of a model are those of a provider and need not be shown twice.
    missing = {name for name in named - present if not name.startswith("providers.models.limits.")}
    assert missing == set()


def test_the_example_reads_well_in_a_terminal() -> None:
    for file in [EXAMPLE, *LIMITS]:
        assert max(map(len, file.read_text(encoding="utf-8").splitlines())) <= 120, file.name


@pytest.mark.parametrize("file", LIMITS, ids=lambda file: file.stem)
def test_limits_for_a_tier_load_and_say_where_they_are_from(file: Path) -> None:
    loaded = load(file, None, None)
    assert loaded.warnings == ()
    assert len(loaded.config.providers) == 1
    head = file.read_text(encoding="utf-8").partition("{")[0].replace("\n// ", " ")
    assert "change" in head or "your own" in head
    assert re.search(r"From|refers to|reported", head)


def test_there_is_one_for_each_tier_people_start_with() -> None:
    assert {file.stem.split("-")[1] for file in LIMITS} == {"anthropic", "openai", "groq", "gemini", "openrouter"}


def test_no_example_holds_a_key() -> None:
    config = json.loads((ROOT / "opencode.json.example").read_text(encoding="utf-8"))
    assert set(config["provider"]) == {"anthropic", "openrouter", "helicone", "togetherai"}
    for provider in config["provider"].values():
        assert re.fullmatch(r"\{env:[A-Z_]+\}", provider["options"]["apiKey"])


def test_the_units_start_the_daemon_in_the_foreground() -> None:
    unit = (EXAMPLES / "systemd" / "rate-limit-sidecar.service").read_text(encoding="utf-8")
    assert re.search(r"^ExecStart=\S+/rate-limit-sidecar serve --quiet$", unit, re.MULTILINE)
    assert re.search(r"^RestartPreventExitStatus=2 3$", unit, re.MULTILINE)
    with (EXAMPLES / "launchd" / "rate-limit-sidecar.plist").open("rb") as file:
        assert plistlib.load(file)["ProgramArguments"][1:] == ["serve", "--quiet"]


def test_the_tested_version_stands_in_one_place() -> None:
    package = json.loads((ROOT / "plugin-shim" / "package.json").read_text(encoding="utf-8"))
    assert package["devDependencies"]["@opencode-ai/plugin"] == TESTED_VERSION
    assert TESTED_VERSION not in (ROOT / "setup.sh").read_text(encoding="utf-8")
