"""One connection's page, and what an operator can do to its client."""

from typing import Any, cast

import pytest

from tests.tui.reports import close, connection, ledger
from tests.tui.screen import Screen, run
from tui.confirm import ConfirmScreen
from tui.model import Call, Query
from tui.panels.header import ViewBar
from tui.question import Question
from tui.reports import ConnectionPageReport
from tui.screens.connection import ClosesTable, ConnectionFacts, ConnectionView, LedgersTable
from tui.screens.connections import ConnectionsTable

PAGE: Any = {
    "client": "c2",
    "row": connection(id="c2"),
    "ledgers": {"trades:all": ledger()},
    "closes": [close()],
}


async def open_page(screen: Screen) -> None:
    """The page of the second client, as the server answers."""
    await screen.press("2", "j", "enter")
    screen.model.set_connection(PAGE)
    await screen.draw()


@pytest.mark.parametrize("size", [(80, 24), (160, 50)])
def test_enter_opens_a_connection_and_escape_leads_back(size: tuple[int, int]) -> None:
    async def story(screen: Screen) -> None:
        await open_page(screen)
        assert isinstance(screen.app.screen, ConnectionView)
        assert screen.link.asked[-1] == (Call("ops.connection", {"client": "c2"}),)
        assert "trades:all" in screen.lines(LedgersTable)[1]
        assert "slow" in screen.lines(ClosesTable)[1]
        assert "2 connections ▸ ada 127.0.0.1:40001" in str(screen.app.screen.query_one(ViewBar).content)
        await screen.press("escape")
        assert screen.query == Query("depth")

    run(story, size)


def test_page_stays_open_while_another_view_is_looked_at() -> None:
    async def story(screen: Screen) -> None:
        await open_page(screen)
        await screen.press("1", "2")
        assert isinstance(screen.app.screen, ConnectionView)
        await screen.press("2")
        assert screen.app.screen.query_one(ConnectionsTable)

    run(story)


ACTS: list[tuple[str, str, Call]] = [
    ("x", "", Call("ops.disconnect", {"client": "c2"})),
    ("m", "3", Call("ops.ladder", {"client": "c2", "step": 3})),
    ("m", "auto", Call("ops.ladder", {"client": "c2", "step": None})),
    (
        "b",
        "100 5000",
        Call("ops.limit", {"client": "c2", "messages_per_second": 100, "bytes_per_second": 5000}),
    ),
]


@pytest.mark.parametrize(("key", "typed", "call"), ACTS)
def test_what_is_done_to_a_client_is_confirmed_first(key: str, typed: str, call: Call) -> None:
    async def story(screen: Screen) -> None:
        await open_page(screen)
        for answer in ("n", "y"):
            assert screen.link.acts == []
            await screen.press(key)
            if typed:
                await screen.press(*("space" if letter == " " else letter for letter in typed), "enter")
            assert isinstance(screen.app.screen, ConfirmScreen)
            await screen.press(answer)
        assert screen.link.acts == [call]
        screen.model.tell("Disconnect desk: done")
        await screen.draw()
        assert [notice.message for notice in screen.app._notifications] == ["Disconnect desk: done"]

    run(story)


@pytest.mark.parametrize(
    ("key", "typed", "trouble"),
    [
        ("m", "6", "'6' is neither 0 to 5 nor auto"),
        ("m", "x", "'x' is neither"),
        ("b", "100", "'100' is not two whole numbers"),
        ("b", "1 -1", "'1 -1' is not two"),
    ],
)
def test_value_that_makes_no_sense_is_not_taken(key: str, typed: str, trouble: str) -> None:
    async def story(screen: Screen) -> None:
        await open_page(screen)
        await screen.press(key, *("space" if letter == " " else letter for letter in typed), "enter")
        assert isinstance(screen.app.screen, Question)
        assert trouble in screen.text()
        await screen.press("escape")
        assert isinstance(screen.app.screen, ConnectionView)
        assert screen.link.acts == []

    run(story)


def test_console_for_reading_offers_nothing_that_does_something() -> None:
    async def story(screen: Screen) -> None:
        screen.app.is_read_only = True
        await open_page(screen)
        await screen.press("x", "m", "b")
        assert isinstance(screen.app.screen, ConnectionView)
        offered = {binding.binding.action for binding in screen.app.screen.active_bindings.values()}
        assert offered.isdisjoint({"disconnect", "move", "limit"})

    run(story)


def test_client_that_has_gone_is_shown_as_it_was() -> None:
    async def story(screen: Screen) -> None:
        await open_page(screen)
        screen.model.set_connection(
            {"client": "c2", "row": None, "ledgers": {}, "closes": [close(code=3001)]}
        )
        screen.model.set_connection(cast(ConnectionPageReport, {**PAGE, "client": "c1"}))
        await screen.draw()
        shown = str(screen.app.screen.query_one(ConnectionFacts).content)
        assert "gone" in shown
        assert "when it was last seen" in shown
        assert "trades:all" in screen.lines(LedgersTable)[1]
        assert "3001" in screen.lines(ClosesTable)[1]

    run(story)
