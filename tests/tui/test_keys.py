"""Keys of the operator's own: what his file may say, and that the screen goes by it."""

import re
from pathlib import Path

import pytest

from monitor.errors import ConfigError
from tests.tui.screen import Screen, run
from tui.app import OPENED, VIEWS, Console
from tui.help import HelpScreen, key_groups
from tui.keys import read_keys, scope_of
from tui.panels.header import ViewBar
from tui.table import Table

SCOPES = [scope_of((Table, view, Console)) for view in VIEWS + OPENED]


def read(tmp_path: Path, text: str) -> dict[str, str]:
    file = tmp_path / "console.toml"
    file.write_text(text)
    return read_keys(file, SCOPES)


def test_without_a_file_every_key_is_as_it_comes(tmp_path: Path) -> None:
    assert read_keys(tmp_path / "none.toml", SCOPES) == {}


def test_keys_are_taken_by_action_and_written_as_one_likes(tmp_path: Path) -> None:
    given = read(tmp_path, "[keys]\nquit = 'ctrl+x'\nhelp = '?, f1'\nsort = 'p'\ntroubles = 's'")
    assert given == {"quit": "ctrl+x", "help": "question_mark,f1", "sort": "p", "troubles": "s"}


def test_keys_proposed_to_those_from_k9s_are_taken(tmp_path: Path) -> None:
    _, proposed, _ = (Path(__file__).parents[2] / "docs" / "console.md").read_text().split("```")
    given = read(tmp_path, proposed.removeprefix("toml"))
    assert given["open"] == "enter,d"


def test_one_key_may_do_two_things_in_two_views(tmp_path: Path) -> None:
    assert read(tmp_path, "[keys]\ndisconnect = 'd'\nacknowledge = 'd'") == {
        "disconnect": "d",
        "acknowledge": "d",
    }


@pytest.mark.parametrize(
    ("text", "trouble"),
    [
        ("[keys]\nsrot = 'o'", "keys.srot is no action; did you mean sort?"),
        ("[keys]\nsort = 'ctlr+x'", "keys.sort is 'ctlr+x', must be keys as 'x', '?', 'f5'"),
        ("[keys]\nsort = ''", "keys.sort is '', must be keys"),
        ("[keys]\nsort = 3", "keys.sort is 3, must be keys"),
        ("[keys]\nsort = 'p'", "keys.sort is 'p', which is the key of troubles already"),
        ("[keys]\nsort = 'o'\npause = 'o'", "'o', which is the key of "),
        ("[keys]\nacknowledge = 'q'", "keys.acknowledge is 'q', which is the key of quit already"),
        ("[keys]\nsort = 'ctrl+q'", "keys.sort is 'ctrl+q', which is the key of Quit already"),
        ("keys = 3", "keys is 3, must be a table"),
        ("theme = 'nord'", "theme is not known; the table [keys] is all that is read"),
        ("[keys", "can't be read"),
    ],
)
def test_what_makes_no_sense_is_told_with_its_place(tmp_path: Path, text: str, trouble: str) -> None:
    with pytest.raises(ConfigError) as raised:
        read(tmp_path, text)
    assert str(raised.value).startswith(str(tmp_path))
    assert trouble in str(raised.value)


def test_every_key_of_a_view_does_one_thing() -> None:
    """Of those that the operator can change, else nobody could tell which one he changes."""
    for scope in SCOPES:
        named = [binding for binding in scope.values() if binding.id]
        assert len({(binding.id, binding.action) for binding in named}) == len({b.id for b in named})


def test_what_is_said_of_ones_own_keys_names_every_action() -> None:
    text = Path("docs/console.md").read_text().split("[keys]")[1].split("## ")[0]
    actions = {binding.id for scope in SCOPES for binding in scope.values() if binding.id}
    views = {view.NAME for view in VIEWS}
    assert {action for action in actions - views if action not in re.findall(r"\w+", text)} == set()


def test_console_goes_by_the_operators_keys_and_shows_them() -> None:
    async def story(screen: Screen) -> None:
        assert "f2 connections" in str(screen.app.screen.query_one(ViewBar).content)
        await screen.press("2")
        assert screen.app.current_mode == "overview"
        await screen.press("f2")
        assert screen.app.current_mode == "connections"
        await screen.press("w")
        await screen.press("f1")
        assert isinstance(screen.app.screen, HelpScreen)
        await screen.press("f1")
        assert not isinstance(screen.app.screen, HelpScreen)

    run(story, keys={"connections": "f2", "help": "f1"})


def test_help_lists_the_keys_as_they_are_bound_in_this_view() -> None:
    async def story(screen: Screen) -> None:
        groups = key_groups(screen.app.view, screen.app)
        views, *_ = (keys for keys, what in groups["Everywhere"].items() if what == "The views at the top")
        assert set(views.split()) == {"1", "f2", *"345678"}
        (leaving,) = (keys for keys, what in groups["Everywhere"].items() if what == "Quit")
        assert set(leaving.split()) == {"q", "^c", "^q"}
        assert groups["Lists"]["w"] == "Troubles only"
        assert groups["Lists"]["↑ k"] == "Up"
        assert groups["Here"] == {"u": "Tuning on, off or undone"}
        await screen.press("6")
        assert set(key_groups(screen.app.view, screen.app)["Here"]) == {"a", "z"}
        screen.app.is_read_only = True
        assert key_groups(screen.app.view, screen.app)["Here"] == {}

    run(story, keys={"connections": "f2", "troubles": "w"})


def test_help_can_be_read_to_its_end_on_a_low_screen() -> None:
    async def story(screen: Screen) -> None:
        await screen.press("question_mark")
        box = screen.app.screen.query_one("#help")
        for end, top in (("end", "home"), ("G", "g")):
            await screen.press(end)
            assert box.scroll_target_y == box.max_scroll_y > 0
            await screen.press(top, "j")
            assert box.scroll_target_y == 1

    run(story, (80, 24))
