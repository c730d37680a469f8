"""The operator's console: views of the model, the one on top drawn at its own pace.

Trio's side fills the model, a timer draws what changed four times a second; so however much
the server says, the terminal gets a fixed amount of work.
"""

import asyncio
import signal
import sys
import time
from collections.abc import Callable, Iterable
from functools import partial
from pathlib import Path
from typing import ClassVar

import trio
from textual.app import App, SystemCommand
from textual.binding import Binding, BindingType
from textual.screen import Screen

from monitor.client import websocket_url
from monitor.errors import ConfigError
from tui.guest import run_guest
from tui.help import HelpScreen
from tui.link import Link
from tui.model import Call, Model, Part
from tui.panels.header import ViewBar
from tui.screens.alerts import AlertsView
from tui.screens.bots import BotsView
from tui.screens.channels import ChannelsView
from tui.screens.connections import ConnectionsView
from tui.screens.feeds import FeedsView
from tui.screens.ledger import LedgerView
from tui.screens.logs import LogsView
from tui.screens.overview import OverviewView
from tui.screens.view import View
from tui.terminal import Terminal

DRAW_SECONDS = 0.25
CLOCK_SECONDS = 1.0
"""How often ages are written anew."""

VIEWS: tuple[type[View], ...] = (
    OverviewView,
    ConnectionsView,
    ChannelsView,
    FeedsView,
    BotsView,
    AlertsView,
    LedgerView,
    LogsView,
)
"""In the order of their number keys."""


class Console(App[None]):
    TITLE = "lanecast"
    CSS_PATH = "console.tcss"
    MODES: ClassVar = {view.NAME: view for view in VIEWS}
    DEFAULT_MODE = VIEWS[0].NAME
    HORIZONTAL_BREAKPOINTS = [(0, "-narrow"), (120, "-wide")]  # noqa: RUF012 - Textual types it as no ClassVar
    VERTICAL_BREAKPOINTS = [(0, "-low"), (36, "-high")]  # noqa: RUF012 - the same
    BINDINGS: ClassVar[list[BindingType]] = [
        *(
            Binding(str(number), f"go('{view.NAME}')", view.NAME, show=False)
            for number, view in enumerate(VIEWS, 1)
        ),
        Binding("r", "reconnect", "Reconnect"),
        Binding("question_mark", "help", "Help"),
        Binding("q", "quit", "Quit"),
        Binding("ctrl+c", "quit", "Quit", show=False, priority=True),
    ]
    commands: ClassVar[dict[str, str]] = {
        **{word: f"go('{view.NAME}')" for view in VIEWS for word in (view.NAME, *view.ALIASES)},
        **{word: word for word in ("quit", "help", "reconnect")},
        "q": "quit",
    }
    """What the `:` prompt takes, and what is done then."""

    def __init__(self, model: Model, link: Link, *, is_read_only: bool = False) -> None:
        super().__init__(driver_class=Terminal)
        self.is_read_only = is_read_only
        self.model = model
        self._link = link
        self._asked: tuple[Call, ...] = ()
        self._maps: tuple[str, ...] = ()
        self.trio_token: trio.lowlevel.TrioToken | None = None

    def on_mount(self) -> None:
        """Start drawing."""
        self.set_interval(DRAW_SECONDS, self.draw)
        self.set_interval(CLOCK_SECONDS, self.tick)

    @property
    def view(self) -> View:
        """The one on top; what is asked of the operator may stand before it."""
        return next(screen for screen in reversed(self.screen_stack) if isinstance(screen, View))

    def now(self) -> float:
        """The wall clock's seconds since 1970."""
        return time.time()

    def draw(self) -> None:
        """Draw what changed since the last time."""
        if changes := self.model.take_changes():
            self.set_class(self.model.is_stale(self.now()), "-stale")
            self._show_notices()
            self.view.show(changes)

    def _show_notices(self) -> None:
        while self.model.notices:
            text, is_bad = self.model.notices.popleft()
            self.notify(text, severity="error" if is_bad else "information", markup=False)

    def tick(self) -> None:
        """Draw what ages."""
        self.model.changed.add(Part.TIME)
        self.draw()

    def ask(self, calls: tuple[Call, ...], maps: tuple[str, ...] = ()) -> None:
        """Have this asked every second and these maps followed; of several views the last one counts."""
        if calls != self._asked:
            self._asked = calls
            self._tell(self._link.ask, calls)
        if maps != self._maps:
            self._maps = maps
            self._tell(self._link.follow_maps, maps)

    def act(self, call: Call, words: str) -> None:
        """Have the server do this; the operator is told of it in these words."""
        self._tell(self._link.act, call, words)

    def _tell(self, call: Callable[..., None], *arguments: object) -> None:
        if self.trio_token is not None:
            self.trio_token.run_sync_soon(call, *arguments)

    async def obey(self, command: str) -> None:
        """Do what was typed at the `:` prompt; the first word that begins so counts."""
        word = command.strip().casefold()
        found = word if word in self.commands else next((w for w in self.commands if w.startswith(word)), "")
        if found:
            await self.run_action(self.commands[found])
        else:
            self.notify(f"no view or command is called {word!r}", severity="warning", markup=False)

    async def action_go(self, view: str) -> None:
        """Show a view as it was left; if it is the current one, what was opened in it goes."""
        if view != self.current_mode:
            await self.switch_mode(view)
        else:
            while len(self.screen_stack) > 1:
                await self.pop_screen()

    async def on_view_bar_picked(self, event: ViewBar.Picked) -> None:
        await self.action_go(event.view)

    def action_reconnect(self) -> None:
        self._tell(self._link.reconnect)

    def action_help(self) -> None:
        self.push_screen(HelpScreen())

    def get_system_commands(self, screen: Screen[object]) -> Iterable[SystemCommand]:
        """What the command palette offers."""
        for view in self.MODES:
            yield SystemCommand(f"Show {view}", f"Go to the view of {view}", partial(self.action_go, view))
        yield SystemCommand("Reconnect", "Drop the link and dial now", self.action_reconnect)
        yield SystemCommand("Theme", "Choose other colours", self.action_change_theme)
        yield SystemCommand("Help", "Keys and signs", self.action_help)
        yield SystemCommand("Quit", "Leave at once", self.exit)


def run_console(
    url: str, token: str, certificate_file: Path | None = None, *, is_read_only: bool = False
) -> int:
    """Run the console until the operator quits; returns the exit code.

    One that is for reading only offers nothing that does something to a client.
    With the file of a certificate the server must have that one, whatever names are in it.
    The terminal is left as it was, also on SIGTERM, SIGHUP and SIGINT. Raises ConfigError
    when `url` is no server's address, or when there is no terminal.
    """
    websocket_url(url)
    # Textual draws on standard error and would wait for keys for ever.
    if not all(stream.isatty() for stream in (sys.stdin, sys.stdout, sys.stderr)):
        raise ConfigError("the console needs a terminal; without one, /metrics tells how the server is")
    return asyncio.run(_run(url, token, certificate_file, is_read_only=is_read_only))


async def _run(url: str, token: str, certificate_file: Path | None, *, is_read_only: bool) -> int:
    model = Model(url)
    link = Link(model, token, certificate_file)
    app = Console(model, link, is_read_only=is_read_only)
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGHUP, signal.SIGINT):
        loop.add_signal_handler(number, app.exit)
    async with run_guest(link.run, app.exit) as app.trio_token:
        await app.run_async()
    return app.return_code or 0
