"""Configurations in force: what is broken never replaces what works, and everything is said once."""

import json
from pathlib import Path

import pytest

from sidecar.config.load import Loaded, load
from sidecar.config.models import Config
from sidecar.daemon import configs as configs_module
from sidecar.daemon.configs import Change, Configs

GOOD = '{"providers": {"alpha": {"priority": 1}}}'
BETTER = '{"providers": {"alpha": {"priority": 2}}}'
BROKEN = '{"providers": {"alpha": {"priority": "high"}}}'


class World:
    def __init__(self, home: Path) -> None:
        self.user = home / "rate-limit.jsonc"
        self.projects = home / "projects"

    def directory(self, name: str, text: str | None = None) -> str:
        folder = self.projects / name / ".opencode"
        folder.mkdir(parents=True, exist_ok=True)
        file = folder / "rate-limit.jsonc"
        file.unlink(missing_ok=True)
        if text is not None:
            file.write_text(text)
        return str(self.projects / name)


def priority(change: Change | None) -> int | None:
    """Give alpha's priority in the configuration a change puts in force."""
    if change is None or change.config is None:
        return None
    return change.config.providers["alpha"].priority


@pytest.fixture
def world(home: Path) -> World:
    return World(home)


def test_without_any_file_the_defaults_are_in_force(world: World) -> None:
    configs = Configs(world.user)
    assert configs.first.config == configs.user
    assert (configs.first.problems, configs.first.warnings, configs.problems) == ((), (), ())


def test_a_project_like_the_users_needs_nothing_of_its_own(world: World) -> None:
    world.user.write_text(GOOD)
    configs = Configs(world.user)
    assert priority(configs.first) == 1
    change = configs.open(world.directory("plain"))
    assert change == Change(world.directory("plain"), None, news=False)


def test_a_project_file_and_a_window_are_laid_over_the_users(world: World) -> None:
    world.user.write_text(GOOD)
    configs = Configs(world.user)
    assert priority(configs.open(world.directory("a", BETTER))) == 2
    assert priority(configs.open(world.directory("b"), '{"alpha": {"priority": 7}}')) == 7
    assert priority(configs.open(world.directory("b"), "")) == 1
    assert priority(configs.open(world.directory("b"), None)) is None
    assert configs.user.providers["alpha"].priority == 1


def test_the_daemons_own_environment_counts_everywhere(world: World) -> None:
    configs = Configs(world.user, '{"alpha": {"priority": 5}}')
    assert priority(configs.first) == 5


@pytest.mark.parametrize("directory", ["", "relative", "~/x"])
def test_a_window_without_a_real_directory_has_the_users(world: World, directory: str) -> None:
    assert Configs(world.user).open(directory) is None


def test_a_broken_first_file_means_defaults_and_a_problem_with_its_line(world: World) -> None:
    world.user.write_text(BROKEN)
    configs = Configs(world.user, '{"alpha": {"priority": 5}}')
    assert len(configs.first.problems) == 1
    assert f"{world.user}:1" in configs.first.problems[0]
    assert priority(configs.first) == 5
    assert configs.problems == configs.first.problems


@pytest.mark.parametrize("error", [RecursionError, RuntimeError, ValueError])
def test_a_file_that_breaks_the_loader_itself_is_a_problem_like_any_other(world: World, error: type[Exception]) -> None:
    def broken(user: Path | None, project: Path | None, environment: str | None, extra: str | None) -> Loaded:
        if user:
            raise error("deep inside")
        return load(user, project, environment, extra)

    configs = Configs(world.user, loader=broken)
    assert configs.first.problems == (f"{world.user}: cannot be read: {error.__name__}",)
    assert configs.user.enabled


def test_when_everything_is_broken_there_are_still_defaults(world: World) -> None:
    world.user.write_text(BROKEN)
    configs = Configs(world.user, "{")
    assert len(configs.first.problems) == 2
    assert configs.user.providers == {}


@pytest.mark.parametrize(
    ("project", "extra", "expected"),
    [
        (BROKEN, '{"alpha": {"priority": 7}}', 7),
        (BETTER, "{", 2),
        (BROKEN, "{", None),
    ],
)
def test_only_the_broken_layer_of_a_new_project_is_left_out(
    world: World, project: str, extra: str, expected: int | None
) -> None:
    world.user.write_text(GOOD)
    configs = Configs(world.user)
    change = configs.open(world.directory("a", project), extra)
    assert priority(change) == expected
    assert change is not None
    assert change.problems


def test_a_file_broken_later_leaves_the_last_good_one_and_is_news_once(world: World) -> None:
    world.user.write_text(GOOD)
    configs = Configs(world.user)
    world.user.write_text(BROKEN)
    (broken,) = configs.reload()
    assert (broken.config, broken.news, broken.mended, len(broken.problems)) == (None, True, False, 1)
    assert configs.user.providers["alpha"].priority == 1
    assert configs.reload() == []
    (again,) = configs.reload(force=True)
    assert not again.news
    world.user.write_text(BETTER)
    (mended,) = configs.reload()
    assert (priority(mended), mended.news, mended.mended, mended.problems) == (2, True, True, ())
    assert configs.problems == ()


def test_only_what_changed_is_loaded_again(world: World) -> None:
    configs = Configs(world.user)
    one, two = world.directory("one", GOOD), world.directory("two", GOOD)
    configs.open(one)
    configs.open(two)
    assert configs.reload() == []
    world.directory("two", BETTER)
    assert [(change.directory, priority(change)) for change in configs.reload()] == [(two, 2)]
    world.directory("one")
    (gone,) = configs.reload()
    assert (gone.directory, gone.config) == (one, configs.user)


@pytest.mark.parametrize("how", ["emptied", "gone"])
def test_a_file_on_its_way_to_new_content_is_waited_for(world: World, how: str) -> None:
    now = [0.0]
    world.user.write_text(GOOD)
    configs = Configs(world.user, clock=lambda: now[0])

    def lose() -> None:
        world.user.unlink() if how == "gone" else world.user.write_text("")

    lose()
    assert configs.reload(patient=True) == []
    assert (configs.unsettled, configs.user.providers["alpha"].priority) == (True, 1)
    now[0] = 0.9
    assert configs.reload(patient=True) == []
    world.user.write_text(BETTER)
    assert [priority(change) for change in configs.reload(patient=True)] == [2]
    assert not configs.unsettled
    lose()
    assert configs.reload(patient=True) == []
    now[0] = 2.0
    (change,) = configs.reload(patient=True)
    assert change.config == configs.user == Config()
    assert not configs.unsettled
    assert configs.reload(patient=True) == []


def test_a_file_that_is_back_as_it_was_changes_nothing(world: World) -> None:
    world.user.write_text(GOOD)
    configs = Configs(world.user)
    kept = world.user.with_suffix(".away")
    world.user.rename(kept)
    assert configs.reload(patient=True) == []
    kept.rename(world.user)
    assert configs.reload(patient=True) == []
    assert not configs.unsettled


def test_a_file_emptied_while_it_is_read_is_read_again(world: World) -> None:
    world.user.write_text(GOOD)
    emptied: list[bool] = []

    def loader(user: Path | None, project: Path | None, environment: str | None, extra: str | None) -> Loaded:
        if emptied == [True]:
            emptied.append(False)
            world.user.write_text("")
        return load(user, project, environment, extra)

    configs = Configs(world.user, loader=loader)
    world.user.write_text(BETTER)
    emptied.append(True)
    assert configs.reload(patient=True) == []
    assert configs.user.providers["alpha"].priority == 1
    world.user.write_text(BETTER)
    assert [priority(change) for change in configs.reload(patient=True)] == [2]


def test_the_users_file_is_under_every_project(world: World) -> None:
    configs = Configs(world.user)
    mixed = world.directory("mixed", '{"mode": "local"}')
    configs.open(mixed)
    plain = world.directory("plain")
    configs.open(plain)
    world.user.write_text(GOOD)
    changes = {change.directory: priority(change) for change in configs.reload()}
    assert changes == {"": 1, mixed: 1, plain: None}


def test_a_project_file_that_appears_is_found(world: World) -> None:
    configs = Configs(world.user)
    directory = world.directory("late")
    configs.open(directory)
    assert Path(directory) / ".opencode" / "rate-limit.jsonc" in configs.files
    world.directory("late", GOOD)
    assert [priority(change) for change in configs.reload()] == [1]


def test_what_a_project_may_not_say_is_a_warning(world: World) -> None:
    configs = Configs(world.user)
    change = configs.open(world.directory("a", json.dumps({"webhooks": [{"url": "https://evil.example"}]})))
    assert change is not None
    assert "webhooks" in change.warnings[0]
    assert configs.user.webhooks == []


def test_places_are_bounded_and_projects_without_their_own_make_room(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(configs_module, "DIRECTORIES", 3)
    configs = Configs(world.user)
    own = [world.directory(f"own{number}", GOOD) for number in range(2)]
    for directory in own:
        configs.open(directory)
    for number in range(5):
        assert configs.open(world.directory(f"plain{number}")) is not None
    assert len(configs.files) == 1 + 3
    assert priority(configs.open(world.directory("own2", GOOD))) == 1
    assert configs.open(world.directory("own3", GOOD)) is None
    assert configs.open(own[0]) is not None
    assert len(configs.files) == 1 + 3
