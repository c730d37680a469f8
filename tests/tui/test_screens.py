"""What the views of feeds, bots, alerts and logs show, and what their keys do."""

import re
from typing import Any, cast

import pytest
from textual.widgets import Static

from tests.tui.reports import NOON_MS, alert, connection, health
from tests.tui.screen import Screen, run
from tui.model import Call
from tui.panels.header import Banner
from tui.reading import Reading
from tui.reports import BookPageReport, BookReport, LineReport
from tui.screens.alerts import AlertsTable
from tui.screens.book import BookFacts, LevelsTable
from tui.screens.bots import BotsTable, OpenOrdersTable, bot_row, order_row
from tui.screens.connection import STEPS
from tui.screens.connections import ConnectionsTable
from tui.screens.feeds import BooksTable
from tui.screens.logs import LogsTable
from tui.table import Cell, Tone

FEEDS, BOTS, ALERTS, LOGS = "4", "5", "6", "8"


def book(market: str, status: str) -> BookReport:
    entry: Any = {"market": market, "status": status, "since": NOON_MS, "time": 0, "bids": 5, "asks": 7}
    return cast(BookReport, entry)


def line(number: int, level: str, message: str) -> LineReport:
    entry: Any = {"id": number, "time": NOON_MS, "level": level, "logger": "lanecast.feeds"}
    return cast(LineReport, entry | {"message": message})


@pytest.mark.parametrize("size", [(80, 24), (160, 50)])
def test_books_are_asked_for_and_shown_with_their_state(size: tuple[int, int]) -> None:
    async def story(screen: Screen) -> None:
        screen.model.set_books({"total": 2, "rows": [book("sim.A", "GAP"), book("sim.B", "SYNCED")]})
        await screen.press(FEEDS)
        assert screen.link.asked[-1] == (Call("ops.books", {"sort": "trouble", "descending": True}),)
        gap, synced = (line.split() for line in screen.lines(BooksTable)[1:3])
        assert gap[:3] == ["✖", "sim.A", "GAP"]
        assert synced[:3] == ["●", "sim.B", "SYNCED"]

    run(story, size)


@pytest.mark.parametrize("size", [(80, 24), (160, 50)])
def test_enter_on_a_book_shows_its_best_levels(size: tuple[int, int]) -> None:
    async def story(screen: Screen) -> None:
        screen.model.set_books({"total": 2, "rows": [book("sim.A", "GAP"), book("sim.B", "SYNCED")]})
        await screen.press(FEEDS, "tab", "down", "enter")
        assert screen.link.asked[-1] == (Call("ops.book", {"market": "sim.B"}),)
        levels = {"bids": {"9.5": "3", "9.25": "40"}, "asks": {"9.75": "1"}}
        page: Any = {"market": "sim.B", "status": "SYNCED", "since": NOON_MS, "time": NOON_MS, **levels}
        screen.model.set_book(page)
        screen.model.set_book(cast(BookPageReport, {**page, "market": "sim.A", "bids": {}}))
        await screen.draw()
        assert [row.split() for row in screen.lines(LevelsTable)[1:3]] == [
            ["1", "3", "9.5", "9.75", "1"],
            ["2", "40", "9.25"],
        ]
        assert "0.25" in str(screen.app.screen.query_one(BookFacts).content)
        assert "4 feeds ▸ sim.B" in screen.text()
        await screen.press("escape")
        assert screen.link.asked[-1][0].method == "ops.books"

    run(story, size)


@pytest.mark.parametrize("size", [(80, 24), (160, 50)])
def test_bots_and_their_orders_are_followed_only_while_they_are_shown(size: tuple[int, int]) -> None:
    async def story(screen: Screen) -> None:
        state = {"name": "Patient", "market": "sim.A", "status": "active", "cycle": 7, "phase": "take_profit"}
        state |= {"safety_orders": 2, "safety_orders_max": 6, "profit": "-1.25", "average_price": None}
        screen.model.set_map("botstate", "paper", {"bot-1": state, "junk": 3})
        order = {"market": "sim.A", "order": "o1", "side": "buy", "price": "9"}
        screen.model.set_map("open_orders", "paper", {"sim.A/o1": order})
        await screen.press(BOTS)
        assert set(screen.link.maps) == {"botstate", "open_orders"}
        shown = screen.lines(BotsTable)[1].split()
        assert (shown[1], shown[-1]) == ("Patient", "-1.25")
        assert "2/6" in shown
        assert "▲ buy" in screen.lines(OpenOrdersTable)[1]
        await screen.press("1")
        assert not screen.link.maps

    run(story, size)


def test_any_json_of_a_stranger_is_a_row_or_nothing() -> None:
    async def story(screen: Screen) -> None:
        screen.model.set_map("botstate", "x", {"a": {}, "b": {"profit": [1], "phase": 4, "status": None}})
        screen.model.set_map("open_orders", "x", {"a": {"side": 1, "time": "no"}, "b": None})
        await screen.press(BOTS)
        assert screen.lines(BotsTable)[1].split()[:2] == ["?", "a"]
        assert "-" in screen.lines(OpenOrdersTable)[1]

    run(story)


def test_alert_is_acknowledged_and_silenced_for_a_time() -> None:
    async def story(screen: Screen) -> None:
        await screen.press(ALERTS, "a")
        assert screen.link.acts == [Call("ops.alerts.ack", {"id": 1})]
        await screen.press("z", "backspace", "backspace", *"30m", "enter")
        assert screen.link.acts[1:] == [
            Call("ops.alerts.silence", {"name": "latency:order_fill", "seconds": 1_800})
        ]

    run(story)


def test_time_that_is_none_silences_nothing() -> None:
    async def story(screen: Screen) -> None:
        await screen.press(ALERTS, "z", *"x", "enter")
        assert screen.link.acts == []
        assert "'x' is no time: write it as 90s, 15m, 2h or 1d, or 0" in screen.text()
        await screen.press("backspace", *"8d", "enter")
        assert screen.link.acts == []
        assert " at most 7d " in screen.text()

    run(story)


def test_alert_shows_what_was_done_about_it() -> None:
    async def story(screen: Screen) -> None:
        silent = alert(silenced_until=int(screen.app.now() * 1_000) + 600_000)
        screen.model.set_alerts([alert(id=2, acknowledged=True, raised=NOON_MS + 1), silent])
        await screen.press(ALERTS)
        shown = screen.lines(AlertsTable)
        assert "acknowledged" in shown[1]
        assert "silent 9m" in shown[2]

    run(story)


def test_ages_are_by_the_servers_clock_wherever_the_consoles_is() -> None:
    async def story(screen: Screen) -> None:
        there = screen.app.now() + 600
        screen.model.set_health(health(time=round(there * 1_000)), screen.app.now())
        rows = [connection(connected=round((there - 75) * 1_000))]
        screen.model.set_connections({"total": 1, "rows": rows})
        await screen.press("2")
        assert re.search("1m1[5-9]s", screen.lines(ConnectionsTable)[1])
        assert not screen.app.screen.query_one(Banner).display

    run(story)


def test_who_may_only_look_is_not_offered_what_changes_alerts() -> None:
    async def story(screen: Screen) -> None:
        screen.app.is_read_only = True
        await screen.press(ALERTS, "a", "z")
        assert screen.link.acts == []
        assert not isinstance(screen.app.screen, Reading)

    run(story)


def test_tuning_is_undone_from_the_overview_unless_one_may_only_look() -> None:
    async def story(screen: Screen) -> None:
        await screen.press("u", "enter")
        assert screen.link.acts == [Call("ops.tuning", {"action": "revert"})]
        await screen.press("u", *"of", "enter")
        assert "'of' is none of on, off and revert" in screen.text()
        await screen.press("escape")
        screen.app.is_read_only = True
        await screen.press("u")
        assert screen.app.screen is screen.app.view
        assert len(screen.link.acts) == 1

    run(story)


def test_log_shows_the_newest_line_first_from_the_chosen_level_on() -> None:
    async def story(screen: Screen) -> None:
        screen.model.add_logs({"lines": [line(1, "info", "up"), line(2, "error", "down\nfar")]})
        await screen.press(LOGS)
        assert [text.split()[3] for text in screen.lines(LogsTable)[1:3]] == ["down·far", "up"]
        await screen.press("v", "v")
        assert screen.lines(LogsTable)[2] == ""
        assert "warning and above" in str(screen.app.screen.query_one(LogsTable).border_title)
        await screen.press("v", "v")
        assert len([text for text in screen.lines(LogsTable)[1:] if text]) == 2

    run(story)


def test_enter_shows_all_of_a_row_that_leads_nowhere() -> None:
    async def story(screen: Screen) -> None:
        message = "order_fill: " + "11 of 12 took longer than its 10 ms; " * 5 + "that is all"
        screen.model.set_alerts([alert(message=message)])
        await screen.press(ALERTS, "enter")
        assert isinstance(screen.app.screen, Reading)
        said = " ".join(str(line.content) for line in screen.app.screen.query(Static))
        assert message in said
        assert "latency:order_fill" in said
        await screen.press("enter")
        assert not isinstance(screen.app.screen, Reading)

    run(story, (80, 24))


def test_profit_is_read_in_short_and_exported_exactly() -> None:
    row = bot_row("paper", "bot-1", {"profit": "-13.00220391"})
    assert (row.cells[-1].content, row.cells[-1].exact) == ("-13.0022", "-13.00220391")


def test_price_of_a_bot_that_holds_nothing_is_a_dash() -> None:
    row = bot_row("paper", "bot-1", {"average_price": "0", "take_profit_price": "61.50", "safety_orders": 0})
    texts = [cell.content for cell in row.cells]
    assert texts[7:10] == ["0/-", "-", "61.50"]
    assert bot_row("paper", "bot-1", {}).cells[7].content == "-"


def test_profit_that_nobody_told_is_no_loss() -> None:
    assert bot_row("paper", "bot-1", {}).cells[-1] == Cell("-", Tone.DIM)


def test_order_is_called_as_its_venue_does_without_the_market_in_its_key() -> None:
    assert order_row("paper", "sim.A/o1", {"order": "o1"}, 0).cells[-1].content == "o1"


def test_list_is_not_called_empty_before_the_server_has_said_so() -> None:
    async def story(screen: Screen) -> None:
        await screen.press(BOTS)
        assert screen.lines(BotsTable)[1] == " nothing heard yet"
        screen.model.set_map("botstate", "paper", {})
        await screen.draw()
        assert screen.lines(BotsTable)[1] == " no bot yet"

    run(story)


def test_question_for_a_step_names_them_all_on_a_low_screen() -> None:
    async def story(screen: Screen) -> None:
        await screen.press("2", "enter", "m")
        assert all(step in screen.text() for step in (*STEPS, "auto"))

    run(story, (80, 24))


def test_foot_offers_no_key_that_a_prompt_takes_for_a_letter() -> None:
    async def story(screen: Screen) -> None:
        assert "/ Filter" in screen.text()
        await screen.press("colon")
        assert "/ Filter" not in screen.text()

    run(story, (80, 24))
