"""Loading: what wins, what a project may not say, and how a mistake is reported."""

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sidecar.config.load import SIZE_LIMIT, VARIABLE, Loaded, load
from sidecar.config.problems import ConfigError


@pytest.fixture
def user(tmp_path: Path) -> Path:
    return tmp_path / "user.jsonc"


@pytest.fixture
def project(tmp_path: Path) -> Path:
    return tmp_path / "project.jsonc"


def refused(text: str, user: Path) -> list[str]:
    """Write a user's file and give the problems it has, without the file name."""
    user.write_text(text)
    with pytest.raises(ConfigError) as caught:
        load(user, None, None)
    assert caught.value.file == str(user)
    assert str(caught.value) == str(caught.value.problems[0])
    return [str(problem).removeprefix(f"{user}:") for problem in caught.value.problems]


def both(user: Path, project: Path, own: str, shared: str) -> Loaded:
    user.write_text(own)
    project.write_text(shared)
    return load(user, project, None)


class TestLayers:
    def test_nothing_at_all_is_a_complete_configuration(self, user: Path, project: Path) -> None:
        loaded = load(user, project, None)
        assert loaded == load(None, None, "", " ")
        assert loaded.config.max_hops == 3
        assert loaded.warnings == ()
        assert set(loaded.origins.values()) == {"default"}
        assert {"max_hops", "log.level", "cost_guard.usd_per_day", "providers"} <= set(loaded.origins)

    def test_later_layers_win_key_by_key(self, user: Path, project: Path) -> None:
        user.write_text(
            '{\n"providers": {"a": {"limits": {\n"rpm": 1,\n"rpd": 1, "tpm": 1}, "priority": 7}},"max_hops": 9}'
        )
        project.write_text('{"providers": {"a": {"limits": {"rpd": 2, "tpm": 2}}}}')
        loaded = load(user, project, '{"a": {"limits": {"tpm": 3, "tpd": 3}}}', '{"a": {"limits": {"tpd": 4}}}')
        limits = loaded.config.providers["a"].limits
        assert (limits.rpm, limits.rpd, limits.tpm, limits.tpd) == (1, 2, 3, 4)
        assert (loaded.config.providers["a"].priority, loaded.config.max_hops) == (7, 9)
        assert {key: value for key, value in loaded.origins.items() if value != "default"} == {
            "providers.a.limits.rpm": f"{user}:3",
            "providers.a.limits.rpd": f"{project}:1",
            "providers.a.limits.tpm": VARIABLE,
            "providers.a.limits.tpd": f"{VARIABLE} of the editor window",
            "providers.a.priority": f"{user}:4",
            "max_hops": f"{user}:4",
        }

    def test_lists_replace(self, user: Path, project: Path) -> None:
        loaded = both(user, project, '{"chains": {"plan": ["a/1", "a/2"], "x": []}}', '{"chains": {"plan": ["b/1"]}}')
        assert loaded.config.chains == {"plan": ["b/1"], "x": []}

    def test_null_takes_a_whole_object_back_with_its_origins(self, user: Path) -> None:
        user.write_text('{"providers": {"a": {"limits": {"plan": {"length": "5h", "requests": 3}}}}}')
        loaded = load(user, None, '{"a": {"limits": {"plan": null}}}', '{"a": {"limits": {"plan": {"tokens": 1}}}}')
        plan = loaded.config.providers["a"].limits.plan
        assert plan is not None
        assert (plan.requests, plan.tokens) == (0, 1)
        assert loaded.origins["providers.a.limits.plan.length"] == "default"
        assert load(user, None, '{"a": {"limits": {"plan": null}}}').config.providers["a"].limits.plan is None

    @pytest.mark.parametrize(
        ("own", "shared", "chain"),
        [
            ('{"chains": {"*": ["a/1"], "x": []}}', '{"fallback": ["b/1"]}', ("b/1",)),
            ('{"chains": {"*": ["a/1"]}}', '{"primary": "b/1"}', ("b/1",)),
            ('{"primary": "a/0", "fallback": ["a/1"]}', '{"chains": {"*": ["b/1"]}}', ("b/1",)),
            ('{"primary": "a/0", "fallback": ["a/1"]}', '{"fallback": ["b/1"]}', ("a/0", "b/1")),
            ('{"primary": "a/0"}', '{"chains": {"plan": ["b/1"]}}', ("a/0",)),
        ],
    )
    def test_the_short_form_and_the_long_form_replace_each_other(
        self, user: Path, project: Path, own: str, shared: str, chain: tuple[str, ...]
    ) -> None:
        assert both(user, project, own, shared).config.chain_for("build") == chain

    def test_a_name_with_a_dot_is_quoted_in_origins(self, user: Path) -> None:
        user.write_text('{"providers": {"a": {"models": {"m-4.5": {"priority": 1}}}}}')
        assert load(user, None, None).origins['providers.a.models."m-4.5".priority'] == f"{user}:1"

    @settings(max_examples=60, deadline=None)
    @given(
        *[
            st.dictionaries(
                st.sampled_from(["a", "b"]), st.dictionaries(st.sampled_from(["rpm", "rpd", "tpm"]), st.integers(0, 99))
            )
            for _ in range(2)
        ]
    )
    def test_a_layer_says_for_every_key_it_names(
        self, below: dict[str, dict[str, int]], above: dict[str, dict[str, int]]
    ) -> None:
        def text(layer: dict[str, dict[str, int]]) -> str:
            return str({name: {"limits": limits} for name, limits in layer.items()}).replace("'", '"')

        config = load(None, None, text(below), text(above)).config
        for name in below | above:
            wanted = below.get(name, {}) | above.get(name, {})
            assert config.providers[name].limits.model_dump(exclude_defaults=True) == {
                key: value for key, value in wanted.items() if value
            }


class TestProject:
    @pytest.mark.parametrize(
        ("text", "key"),
        [
            ('{"webhooks": [{"url": "https://example.invalid"}]}', "webhooks"),
            ('{"self_test": false}', "self_test"),
            ('{"state_file": "/etc/passwd"}', "state_file"),
            ('{"log": {"file": "/etc/passwd"}}', "log"),
            ('{"error_patterns": [{"match": "(a+)+$", "kind": "quota"}]}', "error_patterns"),
            ('{"cost_guard": {"mode": "allow"}}', "cost_guard"),
            ('{"providers": {"a": {"base_url": "http://x"}}}', "providers.a.base_url"),
            ('{"providers": {"a": {"key_env": ["X"]}}}', "providers.a.key_env"),
            ('{"providers": {"a": {"account": "x"}}}', "providers.a.account"),
            ('{"providers": {"a": {"billing": "free"}}}', "providers.a.billing"),
            ('{"providers": {"a": {"local": true}}}', "providers.a.local"),
            ('{"providers": {"a": {"limits": {"usd_per_day": 9}}}}', "providers.a.limits.usd_per_day"),
            (
                '{"providers": {"a": {"models": {"m": {"limits": {"usd_per_day": 9}}}}}}',
                "providers.a.models.m.limits.usd_per_day",
            ),
        ],
    )
    def test_money_secrets_files_and_network_are_the_users_own(
        self, user: Path, project: Path, text: str, key: str
    ) -> None:
        loaded = both(user, project, "{}", "\n" + text)
        assert loaded.warnings == (f"{project}:2: {key} is not taken from a project's file (it belongs in {user})",)
        assert set(loaded.origins.values()) == {"default"}
        user.write_text(text)
        assert load(user, None, None).warnings == ()

    @pytest.mark.parametrize(
        ("own", "shared", "key"),
        [
            ('{"enabled": false}', '{"enabled": true}', "enabled"),
            (
                '{"providers": {"a": {"enabled": false}}}',
                '{"providers": {"a": {"enabled": true}}}',
                "providers.a.enabled",
            ),
            (
                '{"providers": {"a": {"models": {"m": {"enabled": false}}}}}',
                '{"providers": {"a": {"models": {"m": {"enabled": true}}}}}',
                "providers.a.models.m.enabled",
            ),
            ('{"mode": "local"}', '{"mode": "cloud"}', "mode"),
            ('{"allow": ["a/*"]}', '{"allow": []}', "allow"),
        ],
    )
    def test_what_the_user_forbids_stays_forbidden(
        self, user: Path, project: Path, own: str, shared: str, key: str
    ) -> None:
        loaded = both(user, project, own, shared)
        assert len(loaded.warnings) == 1
        assert loaded.warnings[0].startswith(f"{project}:1: {key} cannot")
        user.write_text(own)
        assert loaded.config == load(user, None, None).config

    @pytest.mark.parametrize(
        ("own", "shared"),
        [
            ("{}", '{"enabled": true, "mode": "cloud", "allow": ["a/*"], "deny": ["b/*"], "max_hops": 1}'),
            ('{"enabled": true, "mode": "cloud"}', '{"enabled": false, "mode": "local"}'),
            ('{"mode": "local"}', '{"mode": "local"}'),
            (
                "{}",
                '{"providers": {"a": {"limits": {"rpm": 5}, "enabled": false, "priority": 1}}, "last_resort": "a/b"}',
            ),
        ],
    )
    def test_a_project_may_narrow_and_order(self, user: Path, project: Path, own: str, shared: str) -> None:
        loaded = both(user, project, own, shared)
        assert loaded.warnings == ()
        project_alone = load(project, None, None).config
        assert loaded.config.model_dump(exclude_defaults=True) == project_alone.model_dump(exclude_defaults=True)

    def test_what_either_denies_is_denied(self, user: Path, project: Path) -> None:
        loaded = both(user, project, '{"deny": ["a/*"]}', '{"deny": ["b/*"]}')
        assert loaded.config.deny == ["a/*", "b/*"]

    def test_the_environment_is_the_users_own(self, user: Path, project: Path) -> None:
        project.write_text('{"providers": {"a": {"enabled": false}}}')
        assert load(user, project, '{"a": {"enabled": true, "billing": "free"}}').config.providers["a"].enabled


class TestMistakes:
    @pytest.mark.parametrize(
        ("text", "told"),
        [
            ('{\n"max_hop": 1}', "2: max_hop: unknown setting (did you mean 'max_hops'? known here: $schema, enabled,"),
            ('{"maxHops": 1}', "1: maxHops: unknown setting (did you mean 'max_hops'?"),
            ('{"rpm": 1}', "1: rpm: unknown setting (did you mean 'providers.NAME.limits.rpm'?"),
            (
                '{"providers": {"a":\n{"rpm": 1}}}',
                "2: providers.a.rpm: unknown setting (did you mean 'limits.rpm'? known here: enabled, priority,",
            ),
            (
                '{"providers": {"a": {"limits": {"requests_per_minute": 1}}}}',
                "1: providers.a.limits.requests_per_minute: unknown setting (",
            ),
            (
                '{"providers": {"a": {"limits": {"fallback": 1}}}}',
                "1: providers.a.limits.fallback: unknown setting (did you mean 'fallback'? known here: rpm,",
            ),
            (
                '{"providers": {"a": {"models": {"m.1": {"tear": "fast"}}}}}',
                """1: providers.a.models."m.1".tear: unknown setting (did you mean 'tier'? known here: enabled,""",
            ),
            ('{"error_patterns": [{"match": "x",\n"kint": "quota"}]}', "1: error_patterns.0.kind: is missing"),
            ('{"mode": "clod"}', "1: mode: should be 'auto', 'cloud' or 'local', not 'clod' (did you mean 'cloud'?)"),
            ('{"mode": 3}', "1: mode: should be 'auto', 'cloud' or 'local', not 3"),
            ('{"cooldowns": {"ratelimit": {}}}', "1: cooldowns.ratelimit: should be 'rate_limit', 'quota',"),
            ('{"max_hops": "3"}', "1: max_hops: should be a valid integer, not '3'"),
            ('{"enabled": 1}', "1: enabled: should be a valid boolean, not 1"),
            ('{"max_hops": {"deep": 1}}', "1: max_hops: should be a valid integer"),
            ('{"log": 5}', "1: log: should be an object, not 5"),
            ('{"switch_after": "1 fortnight"}', "1: switch_after: '1 fortnight' is not a duration; write seconds"),
            ('{"primary": "claude"}', "1: primary: 'claude' is not a target; write provider/model"),
            ('{\n\n"primary": "a/b", "chains": {"*": []}}', '3: primary/fallback and chains["*"] say the same thing'),
            ('{"chains": 5, "fallback": ["a/b"]}', "1: chains: should be an object, not 5"),
            ('{"primary": "\\ud800/x"}', "1: "),
            ("[]", "1: the file must hold one object"),
            ("{\n} x", "2: not JSON: extra data"),
        ],
    )
    def test_a_mistake_is_reported_with_its_line_and_fix(self, user: Path, text: str, told: str) -> None:
        assert refused(text, user)[0].startswith(told)

    def test_all_problems_of_all_layers_are_reported_together(self, user: Path, project: Path) -> None:
        user.write_text('{"log": {"level": 1},\n"max_hops": -1, "no": 1}')
        project.write_text("{")
        with pytest.raises(ConfigError) as caught:
            load(user, project, "[", '{"a": {"rpm": 1}}')
        told = [(problem.file, problem.line) for problem in caught.value.problems]
        window = f"{VARIABLE} of the editor window"
        assert told == [(str(user), 1), (str(user), 2), (str(user), 2), (str(project), 1), (VARIABLE, 0), (window, 0)]
        assert str(caught.value.problems[-2]).startswith(f"{VARIABLE}: not JSON")
        assert (caught.value.line, caught.value.reason[:10]) == (1, "log.level:")

    def test_a_setting_that_may_hold_a_secret_is_not_repeated(self, user: Path) -> None:
        told = refused('{"webhooks": [{"url": "ftp://tok3n"}], "providers": {"a": {"base_url": 77}}}', user)
        assert len(told) == 2
        assert "tok3n" not in "".join(told)
        assert "77" not in "".join(told)

    def test_a_file_that_is_no_file_is_told(self, tmp_path: Path) -> None:
        with pytest.raises(ConfigError, match="is not a file"):
            load(tmp_path, None, None)
        device = tmp_path / "endless.jsonc"
        device.symlink_to("/dev/zero")
        with pytest.raises(ConfigError, match="is not a file"):
            load(None, device, None)

    def test_a_path_below_a_file_is_as_good_as_missing(self, tmp_path: Path) -> None:
        (tmp_path / "file").touch()
        assert load(tmp_path / "file" / "rate-limit.jsonc", None, None).warnings == ()

    def test_a_huge_file_is_refused(self, user: Path) -> None:
        user.write_text(" " * (SIZE_LIMIT - 2) + "{}")
        assert load(user, None, None).warnings == ()
        user.write_text(" " * (SIZE_LIMIT - 1) + "{}")
        with pytest.raises(ConfigError, match="larger than 256 KiB"):
            load(user, None, None)

    def test_a_file_that_is_not_text_is_refused_by_line(self, user: Path) -> None:
        user.write_bytes(b'{\n"a": "\xff"}')
        with pytest.raises(ConfigError, match=":2: is not UTF-8 text"):
            load(user, None, None)

    def test_a_file_that_cannot_be_read_is_told(self, tmp_path: Path) -> None:
        with pytest.raises(ConfigError, match="cannot be read: File name too long"):
            load(tmp_path / ("x" * 300), None, None)
