"""What the lines at the foot take: commands with a filter behind them, and what was typed before."""

from tests.tui.screen import Screen, run
from tui.help import HelpScreen, command_words
from tui.prompt import Prompt
from tui.screens.alerts import AlertsView
from tui.screens.connections import ConnectionsView
from tui.screens.logs import LogsView
from tui.screens.overview import OverviewView


def value(screen: Screen, prompt: str) -> str:
    return screen.app.screen.query_one(prompt, Prompt).value


def test_arrows_recall_commands_of_all_views_each_once() -> None:
    async def story(screen: Screen) -> None:
        await screen.stuff(":alerts\r:logs\r:alerts\r:")
        recalled = []
        for key in ("up", "up", "up", "down", "down"):
            await screen.press(key)
            recalled.append(value(screen, "#command"))
        assert recalled == ["alerts", "logs", "logs", "alerts", ""]
        await screen.press("up", "up", "enter")
        assert isinstance(screen.app.screen, LogsView)

    run(story)


def test_recalled_filter_shows_its_rows_before_it_is_taken() -> None:
    async def story(screen: Screen) -> None:
        await screen.stuff("2/ada\r\x1b/")
        assert (value(screen, "#filter"), screen.query.filter) == ("", "")
        await screen.press("up")
        assert (value(screen, "#filter"), screen.query.filter) == ("ada", "ada")

    run(story)


def test_view_is_shown_with_the_filter_behind_it() -> None:
    async def story(screen: Screen) -> None:
        await screen.stuff(":conn /ada\r")
        assert isinstance(screen.app.screen, ConnectionsView)
        assert screen.query.filter == "ada"
        await screen.stuff(":alerts /!late\r")
        assert isinstance(screen.app.screen, AlertsView)
        assert screen.app.screen.filter_text == "!late"
        await screen.stuff("\x1b")
        assert screen.app.screen.filter_text == ""

    run(story)


def test_empty_command_leads_nowhere() -> None:
    async def story(screen: Screen) -> None:
        await screen.stuff("8:\r")
        assert isinstance(screen.app.screen, LogsView)
        await screen.stuff("1: /ada\r")
        assert isinstance(screen.app.screen, OverviewView)
        assert screen.app.screen.filter_text == ""

    run(story)


def test_help_tells_every_word_that_a_command_can_be() -> None:
    async def story(screen: Screen) -> None:
        await screen.press("f1")
        assert isinstance(screen.app.screen, HelpScreen)
        words = command_words(screen.app.commands)
        assert words["overview"] == "ov, home"
        assert words["quit"] == "q"
        assert {"help", "reconnect", "theme"} <= words.keys()
        await screen.press("f1")
        assert isinstance(screen.app.screen, OverviewView)

    run(story)
