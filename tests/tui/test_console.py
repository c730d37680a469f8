"""The screen, driven by keys and clicks, with a model that the test fills."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from textual.command import CommandPalette
from textual.pilot import Pilot

from monitor.client import LinkState, Status
from tests.tui.reports import alert, connection, feed, fill, health, kind, lane
from tui.alerts import AlertsTable
from tui.app import Console
from tui.connection import ConnectionScreen
from tui.connections import ConnectionsTable
from tui.feeds import FeedsTable
from tui.fills import FillsTable
from tui.header import Banner, Header
from tui.help import HelpScreen
from tui.kinds import KindsTable
from tui.lanes import LanesTable
from tui.link import Link
from tui.model import Model, Query
from tui.table import Table


class RecordingLink(Link):
    """Keeps what it was asked instead of asking a server; both sides are one here."""

    def __init__(self, model: Model) -> None:
        super().__init__(model, "")
        self.queries: list[Query | None] = []
        self.reconnects = 0
        self.disconnected: list[str] = []

    def run_sync_soon(self, call: Callable[..., object], *arguments: object) -> None:
        call(*arguments)

    def ask_connections(self, query: Query | None) -> None:
        self.queries.append(query)

    def reconnect(self) -> None:
        self.reconnects += 1

    def disconnect(self, client_id: str) -> None:
        self.disconnected.append(client_id)


class Screen:
    """A running console and what its tables show."""

    def __init__(self, app: Console, link: RecordingLink, pilot: Pilot[None]) -> None:
        self.app, self.link, self.pilot, self.model = app, link, pilot, app.model

    async def press(self, *keys: str) -> None:
        await self.pilot.press(*keys)
        await self.draw()

    async def draw(self) -> None:
        self.app._draw()
        self.app._tick()
        await self.pilot.pause()

    def lines(self, table: type[Table], view: str = "") -> list[str]:
        """The visible lines of a table, head first."""
        shown = self.app.query_one(f"#{view or self.app.view}").query_ancestor("#views")
        widget = next(t for t in shown.query(table) if t.region and (not view or t.id == view))
        return [widget.render_line(y).text.rstrip() for y in range(widget.size.height)]


def run(story: Callable[[Screen], Awaitable[None]], size: tuple[int, int] = (160, 50)) -> None:
    """Tell the story to a fresh console with one server's reports."""

    async def tell() -> None:
        model = Model("http://127.0.0.1:8000")
        link = RecordingLink(model)
        app = Console(model, link)
        app.trio_token = link  # type: ignore[assignment]
        async with app.run_test(size=size) as pilot:
            model.set_link(Status(LinkState.CONNECTED), 0.0)
            model.set_health(health(), 4e9)
            model.set_alerts([alert()])
            model.set_feeds([feed()])
            model.set_fills("paper", [fill()])
            model.set_connections({"total": 2, "rows": [connection(), connection(id="c2", user="ada")]})
            screen = Screen(app, link, pilot)
            await screen.draw()
            try:
                await story(screen)
            finally:
                app.exit()  # or its timers would still draw while the pilot takes the screen apart

    asyncio.run(tell())


@pytest.mark.parametrize("size", [(80, 24), (160, 50)])
def test_overview_shows_lanes_kinds_and_fills_at_both_sizes(size: tuple[int, int]) -> None:
    async def story(screen: Screen) -> None:
        assert screen.lines(LanesTable)[1].split()[0] == "immediate"
        assert "order_fill" in screen.lines(KindsTable)[1]
        assert "61837.63" in screen.lines(FillsTable)[1]
        assert all(len(line) <= size[0] for line in screen.lines(KindsTable))

    run(story, size)


def test_alerts_and_feeds_join_the_overview_where_there_is_room() -> None:
    async def story(screen: Screen) -> None:
        assert "order_fill is late" in screen.lines(AlertsTable)[1]
        assert "binance" in screen.lines(FeedsTable)[1]

    run(story)


def test_number_keys_change_the_view() -> None:
    async def story(screen: Screen) -> None:
        for key, view in zip("23451", ("connections", "feeds", "alerts", "fills", "overview"), strict=True):
            await screen.press(key)
            assert screen.app.view == view

    run(story, (80, 24))


def test_connections_are_asked_for_only_while_they_are_shown() -> None:
    async def story(screen: Screen) -> None:
        await screen.press("2", "3")
        assert screen.link.queries == [None, Query(), None]

    run(story)


def test_keys_and_head_clicks_sort_the_connections() -> None:
    async def story(screen: Screen) -> None:
        await screen.press("2", "s")
        assert screen.link.queries[-1] == Query("outbox_bytes", True)
        await screen.press("S")
        assert screen.link.queries[-1] == Query("outbox_bytes", False)
        assert "waiting▲" in screen.lines(ConnectionsTable)[0]
        await screen.pilot.click("#connections", offset=(4, 1))
        await screen.draw()
        assert screen.link.queries[-1] == Query("address", False)

    run(story)


def test_filter_follows_what_is_typed_and_escape_clears_it() -> None:
    async def story(screen: Screen) -> None:
        await screen.press("slash", "a", "d", "q")
        assert (screen.app.view, screen.model.query.filter) == ("connections", "adq")
        await screen.press("escape")
        assert screen.model.query.filter == ""
        await screen.press("j")
        assert screen.app.focused is screen.app.query_one("#connections")

    run(story, (80, 24))


def test_enter_opens_a_connection_and_x_disconnects_it() -> None:
    async def story(screen: Screen) -> None:
        await screen.press("2", "j", "enter")
        assert isinstance(screen.app.screen, ConnectionScreen)
        await screen.press("x")
        assert screen.link.disconnected == ["c2"]
        await screen.press("enter", "escape")
        assert screen.link.disconnected == ["c2"]

    run(story)


def test_enter_unfolds_a_feed() -> None:
    async def story(screen: Screen) -> None:
        await screen.press("3", "enter")
        assert "btcusdt@trade" in screen.lines(FeedsTable, "feeds")[2]
        await screen.press("enter")
        assert "btcusdt@trade" not in screen.lines(FeedsTable, "feeds")[2]

    run(story)


def test_lost_link_dims_the_screen_and_says_so_until_it_is_back() -> None:
    async def story(screen: Screen) -> None:
        screen.model.set_link(Status(LinkState.CONNECTING, "shutdown", 3001, failures=1), 1.0)
        await screen.draw()
        banner = screen.app.query_one(Banner)
        assert (banner.display, screen.app.has_class("-stale")) == (True, True)
        assert "shutdown (code 3001)" in str(banner.content)
        screen.model.set_link(Status(LinkState.CONNECTED), 4e9)
        await screen.draw()
        assert (banner.display, screen.app.has_class("-stale")) == (False, False)

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
        table = screen.app.query_one("#connections", ConnectionsTable)
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
        table = screen.app.query_one("#overview LanesTable", LanesTable)
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
        await screen.press("5", "end", "up", "up")
        before = screen.lines(FillsTable, "fills")
        for number in range(100, 110):
            screen.model.add_fill("paper", fill(fill=str(number)))
        await screen.draw()
        assert screen.lines(FillsTable, "fills") == before

    run(story)


def test_control_characters_of_strangers_never_reach_the_screen() -> None:
    async def story(screen: Screen) -> None:
        screen.model.set_connections({"total": 1, "rows": [connection(name="x\x1b[2Jy", address="\r\n\t")]})
        await screen.press("2")
        assert "x·[2Jy" in screen.lines(ConnectionsTable, "connections")[1]

    run(story)


def test_resize_keeps_every_line_within_the_screen() -> None:
    async def story(screen: Screen) -> None:
        for width, height in ((60, 20), (200, 60), (100, 30), (20, 10)):
            await screen.pilot.resize_terminal(width, height)
            await screen.draw()
            assert all(len(line) <= width for line in screen.lines(LanesTable))

    run(story)


def test_palette_offers_views_and_sorting() -> None:
    async def story(screen: Screen) -> None:
        offered = {c.title: c.callback for c in screen.app.get_system_commands(screen.app.screen)}
        assert {"Show feeds", "Filter connections", "Reconnect", "Quit"} <= set(offered)
        offered["Sort connections by rtt ms"]()
        assert (screen.app.view, screen.model.query.sort) == ("connections", "rtt_ms")
        await screen.press("ctrl+p")
        assert isinstance(screen.app.screen, CommandPalette)

    run(story)


def test_head_is_written_only_when_it_changed() -> None:
    async def story(screen: Screen) -> None:
        header = screen.app.query_one(Header)
        before: Any = header.content
        screen.model.set_health(health(), 4e9)
        await screen.draw()
        assert header.content is before

    run(story)
