"""The screen, driven by keys and clicks, with a model that the test fills."""

from typing import Any

import pytest

from monitor.client import CommandRejected, LinkState, Status
from tests.tui.reports import CLIENT, NOON_MS, alert, channel, connection, fill, health, kind, lane, ledger
from tests.tui.screen import Screen, run
from tui.app import VIEWS
from tui.figures import moment_text
from tui.help import HelpScreen
from tui.model import Call, Query
from tui.panels.header import Banner, Header, ViewBar
from tui.panels.kinds import KindsTable
from tui.panels.lanes import LanesTable
from tui.refusal import refusal_text
from tui.screens.alerts import AlertsTable, AlertsView
from tui.screens.channels import ChannelsTable
from tui.screens.connection import ConnectionView
from tui.screens.connections import ConnectionsTable
from tui.screens.feeds import FeedsTable
from tui.screens.fills import FillsTable
from tui.screens.ledger import LedgerTable


@pytest.mark.parametrize("size", [(80, 24), (160, 50)])
def test_overview_shows_lanes_kinds_and_fills_at_both_sizes(size: tuple[int, int]) -> None:
    async def story(screen: Screen) -> None:
        assert screen.lines(LanesTable)[1].split()[0] == "immediate"
        assert "order_fill" in screen.lines(KindsTable)[1]
        assert "61837.63" in screen.lines(FillsTable)[1]
        assert all(len(line) <= size[0] for line in screen.lines(KindsTable))

    run(story, size)


def test_kinds_stay_on_a_low_screen_however_many_alerts_there_are() -> None:
    async def story(screen: Screen) -> None:
        screen.model.set_alerts([alert(id=number, name=f"depth:{number}") for number in range(5)])
        screen.model.set_health(health(kinds=[kind(kind=f"kind{n}") for n in range(9)]), 4e9)
        await screen.draw()
        assert len(screen.lines(KindsTable)) >= 6
        assert len(screen.lines(AlertsTable)) == 3
        assert "5 active · +3 more" in str(screen.app.screen.query_one(AlertsTable).border_title)
        screen.model.set_alerts([])
        await screen.draw()
        assert not screen.app.screen.query_one(AlertsTable).display

    run(story, (80, 24))


def test_enter_on_a_kind_opens_the_client_that_waited_longest() -> None:
    async def story(screen: Screen) -> None:
        await screen.press("enter")
        assert isinstance(screen.app.screen, ConnectionView)
        assert screen.link.asked[-1] == (Call("ops.connection", {"client": "5e0f6a1c-77aa"}),)

    run(story)


def test_alerts_and_feeds_join_the_overview_where_there_is_room() -> None:
    async def story(screen: Screen) -> None:
        assert "order_fill is late" in screen.lines(AlertsTable)[1]
        assert "binance" in screen.lines(FeedsTable)[1]

    run(story)


def test_number_keys_change_the_view() -> None:
    async def story(screen: Screen) -> None:
        for number, view in reversed(list(enumerate(VIEWS, 1))):
            await screen.press(str(number))
            assert type(screen.app.screen) is view

    run(story, (80, 24))


def test_connections_are_asked_for_only_while_they_are_shown() -> None:
    async def story(screen: Screen) -> None:
        await screen.press("2", "1")
        methods = [[call.method for call in calls] for calls in screen.link.asked]
        assert methods[-2:] == [["ops.connections"], ["ops.accounts"]]

    run(story)


def test_keys_and_head_clicks_sort_the_connections() -> None:
    async def story(screen: Screen) -> None:
        await screen.press("2", "s")
        assert screen.query == Query("outbox_bytes", True)
        await screen.press("S")
        assert screen.query == Query("outbox_bytes", False)
        assert "waiting▲" in screen.lines(ConnectionsTable)[0]
        await screen.pilot.click(ConnectionsTable, offset=(4, 1))
        await screen.draw()
        assert screen.query == Query("address", False)

    run(story)


def test_filter_follows_what_is_typed_and_escape_clears_it() -> None:
    async def story(screen: Screen) -> None:
        await screen.press("2", "slash", "a", "d", "q")
        assert screen.query.filter == "adq"
        await screen.press("enter", "j", "escape")
        assert screen.query.filter == ""
        await screen.press("j")
        assert screen.app.focused is screen.app.screen.query_one(ConnectionsTable)

    run(story, (80, 24))


@pytest.mark.parametrize("keys", [("6",), ("tab",)], ids=["alerts", "overview"])
def test_enter_on_an_alert_reads_it_whole_and_enter_again_opens_the_client_that_it_names(
    keys: tuple[str, ...],
) -> None:
    async def story(screen: Screen) -> None:
        screen.model.set_alerts([alert(message=f"depth: 843 for client {CLIENT}", since=NOON_MS - 4_000)])
        await screen.press(*keys)
        assert "depth: 843 for client ccfd6e7f\n" in screen.text()
        await screen.press("enter")
        raised = moment_text(NOON_MS - 4_000, screen.app.now())
        assert all(text in screen.text() for text in (CLIENT, raised, "Enter opens client ccfd6e7f"))
        await screen.press("enter")
        assert isinstance(screen.app.screen, ConnectionView)
        assert screen.link.asked[-1] == (Call("ops.connection", {"client": CLIENT}),)

    run(story)


def test_acknowledged_is_the_alert_that_was_seen_whatever_is_raised_meanwhile() -> None:
    async def story(screen: Screen) -> None:
        await screen.press("6")
        screen.model.set_alerts([alert(id=2, name="journal", raised=NOON_MS + 1_000), alert()])
        await screen.draw()
        await screen.press("a")
        assert screen.link.acts == [Call("ops.alerts.ack", {"id": 1})]

    run(story)


def test_nothing_is_acknowledged_or_silenced_while_no_alert_has_the_cursor() -> None:
    async def story(screen: Screen) -> None:
        await screen.press("6", "tab")
        screen.model.set_alerts([alert(id=2, name="journal", raised=NOON_MS + 1_000), alert()])
        await screen.draw()
        await screen.press("a", "z")
        assert isinstance(screen.app.screen, AlertsView)
        assert screen.link.acts == []
        assert {notice.message for notice in screen.app._notifications} == {
            "no alert is chosen; Tab leads to the alerts"
        }
        await screen.press("shift+tab", "a")
        assert screen.link.acts == [Call("ops.alerts.ack", {"id": 2})]

    run(story)


def test_console_for_reading_says_so_at_the_top() -> None:
    async def story(screen: Screen) -> None:
        assert "read-only" in screen.text().splitlines()[0]

    run(story, (80, 24), is_read_only=True)


@pytest.mark.parametrize("size", [(80, 24), (160, 50)])
def test_channels_are_listed_as_the_server_sorts_them(size: tuple[int, int]) -> None:
    async def story(screen: Screen) -> None:
        await screen.press("3")
        assert screen.link.asked[-1][0].method == "ops.channels"
        rows = [channel(), channel(channel="market:hot", offset=None, rate=None)]
        screen.model.set_channels({"total": 2, "rows": rows})
        await screen.draw()
        assert screen.lines(ChannelsTable)[1].split()[0] == "trades:all"
        await screen.press("s")
        assert screen.query.sort == "rate"

    run(story, size)


def test_ledger_is_shown_by_channel_and_by_client() -> None:
    async def story(screen: Screen) -> None:
        screen.model.set_channels({"total": 1, "rows": [channel(ledger=ledger(dropped=7))]})
        await screen.press("colon", *"ledger", "enter")
        (call,) = screen.link.asked[-1]
        assert (call.method, call.params["ledgers"]) == ("ops.channels", True)
        assert screen.lines(LedgerTable)[1].split()[0] == "trades:all"
        await screen.press("t")
        assert screen.link.asked[-1][0].method == "ops.connections"
        assert screen.lines(LedgerTable)[1].split()[:2] == ["desk", "127.0.0.1:40001"]

    run(story)


@pytest.mark.parametrize("way", [("4",), ("shift+tab",) * 2], ids=["its own view", "the overview"])
def test_enter_unfolds_a_feed(way: tuple[str, ...]) -> None:
    async def story(screen: Screen) -> None:
        await screen.press(*way, "enter")
        assert "btcusdt@trade" in screen.lines(FeedsTable)[2]
        await screen.press("enter")
        assert not any("btcusdt@trade" in line for line in screen.lines(FeedsTable))

    run(story)


def test_lost_link_dims_the_screen_and_says_so_until_it_is_back() -> None:
    async def story(screen: Screen) -> None:
        screen.model.set_link(Status(LinkState.CONNECTING, "shutdown", 3001, failures=1), 1.0)
        await screen.draw()
        banner = screen.app.screen.query_one(Banner)
        assert (banner.display, screen.app.has_class("-stale")) == (True, True)
        assert "shutdown (code 3001)" in str(banner.content)
        screen.model.set_link(Status(LinkState.CONNECTED), 4e9)
        await screen.draw()
        assert (banner.display, screen.app.has_class("-stale")) == (False, False)

    run(story)


@pytest.mark.parametrize(("size", "is_told"), [((40, 8), True), ((79, 24), True), ((80, 24), False)])
def test_window_that_is_too_small_is_told(size: tuple[int, int], is_told: bool) -> None:
    async def story(screen: Screen) -> None:
        assert ("is too small: 80x24" in screen.text()) is is_told

    run(story, size)


def test_token_of_a_client_is_told_with_what_to_do() -> None:
    async def story(screen: Screen) -> None:
        for code, words in ((103, "not an operator's token"), (3500, "this server did not sign the token")):
            if code == 103:
                refusal = CommandRejected("subscribe ops:health", code, "permission denied", False)
                screen.model.refuse("ops:health", refusal_text(refusal))
            else:
                screen.model.set_link(Status(LinkState.DISCONNECTED, "invalid token", code), 1.0)
            await screen.draw()
            told = " ".join(str(screen.app.screen.query_one(Banner).content).split())
            assert words in told
            assert "lanecast token NAME --operator" in told

    run(story)


def test_r_reconnects_and_question_mark_explains() -> None:
    async def story(screen: Screen) -> None:
        await screen.press("r", "question_mark")
        assert screen.link.reconnects == 1
        assert isinstance(screen.app.screen, HelpScreen)
        await screen.press("escape")
        assert not isinstance(screen.app.screen, HelpScreen)

    run(story)


@pytest.mark.parametrize("key", ["q", "ctrl+c"])
def test_quitting_asks_nothing(key: str) -> None:
    async def story(screen: Screen) -> None:
        await screen.pilot.press(key)
        assert screen.app._exit

    run(story)


def test_cursor_stays_with_its_row_when_the_order_changes() -> None:
    async def story(screen: Screen) -> None:
        await screen.press("2", "j")
        table = screen.app.screen.query_one(ConnectionsTable)
        assert table.cursor_key == "c2"
        rows = [connection(id="c3"), connection(id="c2"), connection()]
        screen.model.set_connections({"total": 3, "rows": [rows[0], rows[2], rows[1]]})
        await screen.draw()
        assert table.cursor_key == "c2"
        screen.model.set_connections({"total": 1, "rows": [connection()]})
        await screen.draw()
        assert table.cursor_key == "c1"

    run(story)


def test_only_lines_whose_cells_changed_are_painted_again() -> None:
    async def story(screen: Screen) -> None:
        table = screen.app.screen.query_one(LanesTable)
        painted: list[int] = []
        paint, table.render_line = table.render_line, lambda y: painted.append(y) or paint(y)  # type: ignore
        lanes = health()["lanes"]
        lanes[2] = lane(lane="normal", depth=7)
        screen.model.set_health(health(lanes=lanes), 4e9)
        await screen.draw()
        assert painted == [3]

    run(story)


def test_long_list_scrolls_with_the_cursor_under_a_fixed_head() -> None:
    async def story(screen: Screen) -> None:
        screen.model.set_health(health(kinds=[kind(kind=f"kind{n}") for n in range(40)]), 4e9)
        await screen.draw()
        await screen.press("end")
        shown = screen.lines(KindsTable)
        assert shown[0].split()[0] == "kind"
        assert "kind39" in shown[-1]
        await screen.press("home")
        assert "kind0 " in screen.lines(KindsTable)[1]

    run(story, (80, 24))


def test_row_that_is_read_keeps_its_place_while_new_ones_come_in_above() -> None:
    async def story(screen: Screen) -> None:
        screen.model.set_fills("paper", [fill(fill=str(number)) for number in range(100)])
        await screen.press("5", "tab", "tab", "end", "up", "up")
        before = screen.lines(FillsTable)
        for number in range(100, 110):
            screen.model.add_fill("paper", fill(fill=str(number)))
        await screen.draw()
        assert screen.lines(FillsTable) == before

    run(story)


def test_control_characters_of_strangers_never_reach_the_screen() -> None:
    async def story(screen: Screen) -> None:
        screen.model.set_connections({"total": 1, "rows": [connection(name="x\x1b[2Jy", address="\r\n\t")]})
        await screen.press("2")
        assert "x·[2Jy" in screen.lines(ConnectionsTable)[1]

    run(story)


def test_resize_keeps_every_line_within_the_screen() -> None:
    async def story(screen: Screen) -> None:
        for width, height in ((60, 20), (200, 60), (100, 30), (20, 10)):
            await screen.pilot.resize_terminal(width, height)
            await screen.draw()
            assert all(len(line) <= width for line in screen.lines(LanesTable))

    run(story)


def test_bar_names_all_views_where_they_fit_and_the_current_one_always() -> None:
    async def story(screen: Screen) -> None:
        bar = screen.app.screen.query_one(ViewBar)
        await screen.draw()
        assert (
            str(bar.content)
            == "1 overview 2 connections 3 channels 4 feeds 5 bots 6 alerts▲1 7 ledger 8 logs"
        )
        await screen.pilot.resize_terminal(40, 24)
        await screen.draw()
        assert str(bar.content) == "1 overview 2 3 4 5 6 alerts▲1 7 8"
        await screen.pilot.click(ViewBar, offset=(12, 0))
        assert screen.app.current_mode == "connections"

    run(story)


def test_head_is_written_only_when_it_changed() -> None:
    async def story(screen: Screen) -> None:
        header = screen.app.screen.query_one(Header)
        before: Any = header.content
        screen.model.set_health(health(), 4e9)
        await screen.draw()
        assert header.content is before

    run(story)
