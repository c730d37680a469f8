"""What can be typed behind a colon, and the palette."""

import re
from typing import Any

import pytest
from textual.command import CommandPalette

from tests.tui.reports import CLIENT, NOON_MS
from tests.tui.screen import Screen, run
from tui.model import Call
from tui.prompt import Prompt
from tui.screens.connection import ConnectionView


def test_client_that_is_gone_is_opened_by_its_id() -> None:
    async def story(screen: Screen) -> None:
        await screen.stuff(f":client {CLIENT}\r")
        assert isinstance(screen.app.screen, ConnectionView)
        assert screen.link.asked[-1] == (Call("ops.connection", {"client": CLIENT}),)
        assert not re.search("state +gone", screen.text())
        screen.model.set_connection({"client": CLIENT, "row": None, "ledgers": {}, "closes": []})
        await screen.draw()
        assert re.search("state +gone", screen.text())

    run(story)


def test_tab_completes_a_command_and_leaves_a_filter_as_it_is() -> None:
    async def story(screen: Screen) -> None:
        await screen.stuff(":THEME COL")
        await screen.press("tab")
        prompt = screen.app.screen.query_one("#command", Prompt)
        assert prompt.value == "theme colour-blind-dark"
        await screen.stuff("\r/al")
        await screen.press("tab")
        assert screen.app.screen.query_one("#filter", Prompt).value == "al"

    run(story)


def test_palette_offers_views() -> None:
    async def story(screen: Screen) -> None:
        offered = {c.title for c in screen.app.get_system_commands(screen.app.screen)}
        assert {"Show feeds", "Reconnect", "Quit"} <= offered
        await screen.press("ctrl+p")
        assert isinstance(screen.app.screen, CommandPalette)

    run(story)


@pytest.mark.parametrize("typed", ["feeds", "fd", "fe"])
def test_colon_goes_to_a_view_by_name_alias_or_beginning(typed: str) -> None:
    async def story(screen: Screen) -> None:
        await screen.press("colon", *typed, "enter")
        assert screen.app.current_mode == "feeds"
        await screen.press("1")
        assert screen.app.screen.query_one("#command").display is False

    run(story)


def test_account_is_changed_by_key_and_by_name_and_named_where_it_is_shown() -> None:
    async def story(screen: Screen) -> None:
        rows: Any = [{"account": name, "active": NOON_MS} for name in ("bob", "ann", "Cleo")]
        screen.model.set_accounts({"total": 3, "rows": rows})
        screen.link.show_account("bob")
        await screen.press("5")
        assert "Fills · bob, one of 3 accounts" in screen.text()
        assert "5 bots ▸ bob" in screen.text()
        await screen.press("a")
        assert "5 bots ▸ Cleo" in screen.text()
        await screen.press("2")
        await screen.stuff(":account a\r")
        assert "5 bots ▸ ann" in screen.text()
        await screen.stuff(":account cl\r")
        assert screen.model.account == "Cleo"
        await screen.stuff(":account dan\r")
        (notice,) = screen.app._notifications
        assert notice.message == "no account is called 'dan'; there are bob, ann, Cleo"

    run(story)


def test_colon_q_quits() -> None:
    async def story(screen: Screen) -> None:
        await screen.pilot.press("colon", "q", "enter")
        assert screen.app._exit

    run(story)


def test_word_that_is_no_command_is_told_and_nothing_else_happens() -> None:
    async def story(screen: Screen) -> None:
        await screen.press("colon", *"[x]", "enter")
        (notice,) = screen.app._notifications
        assert notice.message == "no view or command is called '[x]'"
        assert screen.app.current_mode == "overview"

    run(story)
