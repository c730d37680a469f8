"""The operator's console: one screen of the model, drawn at its own pace.

Trio's side fills the model, a timer draws what changed four times a second; so however much
the server says, the terminal gets a fixed amount of work.
"""

import asyncio
import signal
import sys
import time
from collections.abc import Callable, Iterable
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import ClassVar

import trio
from textual.app import App, ComposeResult, SystemCommand
from textual.binding import Binding, BindingType
from textual.containers import Container
from textual.screen import Screen
from textual.widgets import ContentSwitcher, Footer, Input

from monitor.client import websocket_url
from monitor.errors import ConfigError
from tui.alerts import AlertsTable
from tui.connection import ConnectionScreen
from tui.connections import SORT_COLUMNS, ConnectionsTable
from tui.feeds import FeedsTable, feed_of
from tui.fills import FillsTable
from tui.guest import run_guest
from tui.header import VIEWS, Banner, Header, ViewBar
from tui.help import HelpScreen
from tui.kinds import KindsTable
from tui.lanes import LanesTable
from tui.link import Link
from tui.model import Model, Part, Query
from tui.table import Table
from tui.terminal import Terminal

DRAW_SECONDS = 0.25
CLOCK_SECONDS = 1.0
"""How often ages are written anew."""


class Console(App[None]):
    TITLE = "lanecast"
    CSS_PATH = "console.tcss"
    AUTO_FOCUS = None
    HORIZONTAL_BREAKPOINTS = [(0, "-narrow"), (120, "-wide")]  # noqa: RUF012 - Textual types it as no ClassVar
    VERTICAL_BREAKPOINTS = [(0, "-low"), (36, "-high")]  # noqa: RUF012 - the same
    BINDINGS: ClassVar[list[BindingType]] = [
        *(Binding(str(number), f"view('{view}')", view, show=False) for number, view in enumerate(VIEWS, 1)),
        Binding("slash", "filter", "Filter"),
        Binding("s", "sort", "Sort"),
        Binding("S", "reverse", "Reverse", show=False),
        Binding("r", "reconnect", "Reconnect"),
        Binding("question_mark", "help", "Help"),
        Binding("q", "quit", "Quit"),
        Binding("ctrl+c", "quit", "Quit", show=False, priority=True),
        Binding("escape", "clear_filter", "Clear filter", show=False),
    ]

    def __init__(self, model: Model, link: Link) -> None:
        super().__init__(driver_class=Terminal)
        self.model = model
        self._link = link
        self.trio_token: trio.lowlevel.TrioToken | None = None

    def compose(self) -> ComposeResult:
        """The head, one of five views, the foot."""
        yield Header(id="header")
        yield ViewBar(id="views-bar")
        yield Banner(id="banner")
        with ContentSwitcher(initial="overview", id="views"):
            with Container(id="overview"):
                with Container(id="top"):
                    with Container(id="left"):
                        yield LanesTable()
                        yield KindsTable()
                    yield FillsTable()
                yield FeedsTable()
                yield AlertsTable()
            yield ConnectionsTable(id="connections")
            yield FeedsTable(id="feeds")
            yield AlertsTable(id="alerts")
            yield FillsTable(id="fills")
        yield Input(placeholder="part of an address, user, client or channel", id="filter")
        yield Footer()

    def on_mount(self) -> None:
        """Start drawing."""
        self._show_view("overview")
        self._tick()
        self.set_interval(DRAW_SECONDS, self._draw)
        self.set_interval(CLOCK_SECONDS, self._tick)

    @property
    def view(self) -> str:
        """The name of the view on the screen."""
        return self.query_one(ContentSwitcher).current or VIEWS[0]

    def _tables(self) -> list[Table]:
        """Those that can be seen."""
        return [
            table for table in self.query(f"#{self.view}, #{self.view} Table").results(Table) if table.display
        ]

    def _draw(self) -> None:
        """Draw what changed since the last time."""
        changes = self.model.take_changes()
        if not changes:
            return
        for table in self._tables():
            if table.SHOWS & changes:
                table.show(self.model, time.time())
        if changes & {Part.HEALTH, Part.LINK}:
            self.query_one(Header).show(self.model)
        if changes & {Part.ALERTS, Part.LINK}:
            self._tick()

    def _tick(self) -> None:
        """Draw what ages."""
        now = time.time()
        self.set_class(self.model.is_stale(now), "-stale")
        self.query_one(Banner).show(self.model, now)
        self.query_one(ViewBar).show(self.view, self.model)
        for table in self._tables():
            if table.AGES:
                table.show(self.model, now)

    def _show_view(self, view: str) -> None:
        self.query_one(ContentSwitcher).current = view
        for table in self._tables():
            table.show(self.model, time.time())
        self._ask(self.model.query if view == "connections" else None)
        next(table for table in self._tables() if table.can_focus).focus()
        self.refresh_bindings()

    def _ask(self, query: Query | None) -> None:
        if query is not None:
            self.model.query = query
            self.query_one(ConnectionsTable).mark_sorted(query.sort, query.descending)
        self._tell(self._link.ask_connections, query)

    def _tell(self, call: Callable[..., None], *arguments: object) -> None:
        if self.trio_token is not None:
            self.trio_token.run_sync_soon(call, *arguments)

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """Offer sorting only where there is something to sort."""
        return self.view == "connections" if action in {"sort", "reverse"} else True

    def action_view(self, view: str) -> None:
        self._show_view(view)
        self._tick()

    def action_filter(self) -> None:
        """Open the filter of the connections."""
        self.action_view("connections")
        entry = self.query_one("#filter", Input)
        entry.display = True
        entry.focus()

    def action_clear_filter(self) -> None:
        entry = self.query_one("#filter", Input)
        entry.value = ""
        entry.display = False
        self._show_view(self.view)

    def on_view_bar_picked(self, event: ViewBar.Picked) -> None:
        self.action_view(event.view)

    def on_input_changed(self, event: Input.Changed) -> None:
        self._ask(replace(self.model.query, filter=event.value))

    def on_input_submitted(self, event: Input.Submitted) -> None:
        event.input.display = bool(event.value)
        self.query_one(ConnectionsTable).focus()

    def action_sort(self) -> None:
        """Sort the connections by the next column."""
        place = SORT_COLUMNS.index(self.model.query.sort) if self.model.query.sort in SORT_COLUMNS else -1
        self._sort_by(SORT_COLUMNS[(place + 1) % len(SORT_COLUMNS)])

    def action_reverse(self) -> None:
        self._sort_by(self.model.query.sort)

    def _sort_by(self, column: str) -> None:
        self._ask(self.model.query.by(column))

    def on_table_head_clicked(self, event: Table.HeadClicked) -> None:
        self._sort_by(event.column)

    def on_table_chosen(self, event: Table.Chosen) -> None:
        if isinstance(event.table, FeedsTable):
            self.model.toggle_feed(feed_of(event.key))
            self._draw()
        elif isinstance(event.table, ConnectionsTable):
            self._open_connection(event.key)

    def _open_connection(self, client_id: str) -> None:
        rows = self.model.connections["rows"] if self.model.connections else []
        entry = next((entry for entry in rows if entry["id"] == client_id), None)
        if entry is None:
            return

        def close(is_wanted: bool | None) -> None:
            if is_wanted:
                self._tell(self._link.disconnect, client_id)

        self.push_screen(ConnectionScreen(entry), close)

    def action_reconnect(self) -> None:
        self._tell(self._link.reconnect)

    def action_help(self) -> None:
        self.push_screen(HelpScreen())

    def get_system_commands(self, screen: Screen[object]) -> Iterable[SystemCommand]:
        """What the command palette offers."""
        for view in VIEWS:
            yield SystemCommand(f"Show {view}", f"Go to the view of {view}", partial(self.action_view, view))
        for column in SORT_COLUMNS:
            words = column.replace("_", " ")
            yield SystemCommand(
                f"Sort connections by {words}", "Again: the other way round", partial(self._sort, column)
            )
        yield SystemCommand("Filter connections", "By a part of any text", self.action_filter)
        yield SystemCommand("Reconnect", "Drop the link and dial now", self.action_reconnect)
        yield SystemCommand("Theme", "Choose other colours", self.action_change_theme)
        yield SystemCommand("Help", "Keys and signs", self.action_help)
        yield SystemCommand("Quit", "Leave at once", self.exit)

    def _sort(self, column: str) -> None:
        self.action_view("connections")
        self._sort_by(column)


def run_console(url: str, token: str, certificate_file: Path | None = None) -> int:
    """Run the console until the operator quits; returns the exit code.

    With the file of a certificate the server must have that one, whatever names are in it.
    The terminal is left as it was, also on SIGTERM, SIGHUP and SIGINT. Raises ConfigError
    when `url` is no server's address, or when there is no terminal.
    """
    websocket_url(url)
    # Textual draws on standard error and would wait for keys for ever.
    if not all(stream.isatty() for stream in (sys.stdin, sys.stdout, sys.stderr)):
        raise ConfigError("the console needs a terminal; without one, /metrics tells how the server is")
    return asyncio.run(_run(url, token, certificate_file))


async def _run(url: str, token: str, certificate_file: Path | None) -> int:
    model = Model(url)
    link = Link(model, token, certificate_file)
    app = Console(model, link)
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGHUP, signal.SIGINT):
        loop.add_signal_handler(number, app.exit)
    async with run_guest(link.run, app.exit) as app.trio_token:
        await app.run_async()
    return app.return_code or 0
