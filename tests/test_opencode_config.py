"""OpenCode's own files: which count, which comes before which, and that of a login only its name is taken."""

import json
from pathlib import Path

import pytest

from sidecar import opencode_config
from sidecar.opencode_config import credentials, key_for, plugin_files, read


class User:
    """A home, a project in a repository, and an environment."""

    def __init__(self, root: Path) -> None:
        self.home, self.project = root / "home", root / "code" / "project"
        self.here = self.project / "deep"
        self.here.mkdir(parents=True)
        (self.project / ".git").mkdir()
        self.env = {"HOME": str(self.home)}

    def write(self, file: Path, text: object) -> Path:
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text if isinstance(text, str) else json.dumps(text))
        return file

    def own(self, text: object, name: str = "opencode.json") -> Path:
        return self.write(self.home / ".config" / "opencode" / name, text)

    def logins(self, **entries: object) -> None:
        self.write(self.home / ".local/share/opencode/auth.json", entries)

    def read(self) -> opencode_config.OpenCodeConfig:
        return read(self.here, self.env)


@pytest.fixture
def user(tmp_path: Path) -> User:
    return User(tmp_path)


def entry(url: str, *models: str, **options: str) -> dict[str, object]:
    return {"options": {"baseURL": url, **options}, "models": {model: {} for model in models}}


def test_nothing_is_nothing(user: User) -> None:
    found = user.read()
    assert (found.sources, found.problems, dict(found.providers), found.chosen_models()) == ((), (), {}, ())
    assert credentials(user.env) == {}
    assert list(plugin_files(user.here, user.env)) == []


def test_later_places_win_and_models_add_up(user: User) -> None:
    user.own({"provider": {"a": entry("https://one.test", "m1", apiKey="k")}, "model": "a/m1"}, "config.json")
    user.own('// with comments\n{"provider": {"a": {"name": "Alpha"}}, "small_model": "a/small",}', "opencode.jsonc")
    user.write(user.project / "opencode.json", {"provider": {"a": entry("https://two.test", "m2")}, "model": "a/m2"})
    user.write(user.here / ".opencode" / "opencode.json", {"agent": {"plan": {"model": "b/x"}, "odd": 7}})
    user.env["OPENCODE_CONFIG_CONTENT"] = '{"model": "a/m3"}'
    found = user.read()
    alpha = found.providers["a"]
    assert (alpha.name, alpha.base_url, alpha.own_url) == ("Alpha", "https://two.test", "https://one.test")
    assert (alpha.models, alpha.has_key) == (("m1", "m2"), True)
    assert found.chosen_models() == ("a/m3", "b/x", "a/m2", "a/small", "a/m1")
    assert [source.own for source in found.sources] == [True, True, False, False, True]


def test_places_the_environment_names(user: User) -> None:
    user.env["OPENCODE_CONFIG"] = str(user.write(user.home / "elsewhere.json", {"model": "a/1"}))
    user.env["OPENCODE_CONFIG_DIR"] = str(
        user.write(user.home / "dir" / "opencode.jsonc", {"small_model": "a/2"}).parent
    )
    user.env["XDG_CONFIG_HOME"] = str(user.home / "xdg")
    user.write(user.home / "xdg" / "opencode" / "opencode.json", {"model": "a/3"})
    assert set(user.read().chosen_models()) == {"a/1", "a/2", "a/3"}
    assert all(source.own for source in user.read().sources)


def test_outside_a_repository_nothing_further_up_counts(user: User) -> None:
    (user.project / ".git").rmdir()
    user.write(user.project / "opencode.json", {"model": "a/m"})
    assert user.read().sources == ()


def test_what_cannot_be_read_is_named_and_the_rest_counts(user: User) -> None:
    broken = user.own("{ nonsense", "config.json")
    other = user.own("[1]", "opencode.json")
    user.own({"model": "a/m", "provider": {"x": 7, "y": {"options": 7, "models": 7}}}, "opencode.jsonc")
    found = user.read()
    assert found.problems[0].startswith(f"{broken}:1: ")
    assert found.problems[1] == f"{other}: is not an object"
    assert found.chosen_models() == ("a/m",)
    assert found.providers["y"].models == ()


def test_a_provider_can_be_switched_off(user: User) -> None:
    user.own({"disabled_providers": ["a", 7]})
    assert [user.read().allows(id_) for id_ in ("a", "b")] == [False, True]
    user.own({"enabled_providers": ["c"]})
    assert [user.read().allows(id_) for id_ in ("a", "c")] == [False, True]


def test_of_logins_only_names_and_types_are_given(user: User) -> None:
    user.logins(a={"type": "api", "key": "k-1"}, b={"type": "oauth", "access": "t-1"}, c={"type": "new"}, d=7)
    assert credentials(user.env) == {"a": "api", "b": "oauth"}
    user.env["OPENCODE_AUTH_CONTENT"] = '{"z": {"type": "wellknown"}}'
    assert credentials(user.env) == {"z": "wellknown"}
    user.env["OPENCODE_AUTH_CONTENT"] = "[]"
    assert credentials(user.env) == {}
    user.env["OPENCODE_AUTH_CONTENT"] = "{"
    assert credentials(user.env) == {}


def test_logins_are_where_the_data_is(user: User) -> None:
    user.env["XDG_DATA_HOME"] = str(user.home / "data")
    user.write(user.home / "data" / "opencode" / "auth.json", {"a": {"type": "api", "key": "k"}})
    assert credentials(user.env) == {"a": "api"}


def test_a_key_is_found_where_opencode_finds_it(user: User) -> None:
    user.env |= {"A_KEY": "from-env", "OTHER": "other"}
    assert key_for("a", ("MISSING", "A_KEY"), user.here, user.env) == "from-env"
    user.logins(a={"type": "api", "key": "from-login"}, b={"type": "oauth", "access": "token"})
    assert key_for("a", ("A_KEY",), user.here, user.env) == "from-login"
    user.own(
        {"provider": {"a": {"options": {"apiKey": "{env:OTHER}-x"}}, "c": {"options": {"apiKey": "{file:key.txt}"}}}}
    )
    assert key_for("a", ("A_KEY",), user.here, user.env) == "other-x"
    assert key_for("c", (), user.here, user.env) == ""
    user.own("from-file\n", "key.txt")
    assert key_for("c", (), user.here, user.env) == "from-file"
    assert key_for("b", (), user.here, user.env) == ""


def test_a_projects_file_is_not_asked_for_a_key(user: User) -> None:
    user.env["SECRET"] = "s"
    user.write(user.project / "opencode.json", {"provider": {"a": {"options": {"apiKey": "{env:SECRET}"}}}})
    assert key_for("a", (), user.here, user.env) == ""


def test_plugins_are_found_in_lists_and_in_their_directories(user: User) -> None:
    own = user.own({"plugin": ["one@1", ["two", {"x": 1}], 7]})
    user.write(user.project / "opencode.json", {"plugin": "not a list"})
    assert list(user.read().plugins()) == [("one@1", str(own)), ("two", str(own))]
    first = user.own("", "plugins/b.ts")
    second = user.write(user.here / ".opencode" / "plugin" / "a.js", "")
    user.env["OPENCODE_CONFIG_DIR"] = str(user.home / "dir")
    third = user.write(user.home / "dir" / "plugin" / "c.ts", "")
    assert list(plugin_files(user.here, user.env)) == [first, second, third]
