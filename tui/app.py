"""The operator's console: views of the model, the one on top drawn at its own pace.

Trio's side fills the model, a timer draws what changed four times a second; so however much
the server says, the terminal gets a fixed amount of work.
"""

import asyncio
import logging
import signal
import sys
import time
from collections.abc import Callable, Iterable, Mapping
from functools import partial
from pathlib import Path
from types import MappingProxyType
from typing import ClassVar

import trio
from platformdirs import user_config_path, user_state_path
from textual import events, work
from textual.app import App, SystemCommand
from textual.binding import Binding, BindingType
from textual.screen import Screen

from monitor.address import websocket_url
from monitor.errors import ConfigError
from tui.guest import run_guest
from tui.help import HelpScreen
from tui.keys import Scope, read_keys, scope_of
from tui.link import Link
from tui.model import Call, Model, Part
from tui.panels.header import ViewBar
from tui.prompt import no_past
from tui.refresh import REFRESH_SECONDS, faster, slower
from tui.screens.account import AccountView
from tui.screens.alerts import AlertsView
from tui.screens.book import BookView
from tui.screens.bots import BotsView
from tui.screens.channels import ChannelsView
from tui.screens.connection import ConnectionView
from tui.screens.connections import ConnectionsView
from tui.screens.feeds import FeedsView
from tui.screens.ledger import LedgerView
from tui.screens.logs import LogsView
from tui.screens.overview import OverviewView
from tui.screens.view import View
from tui.table import Table
from tui.terminal import Terminal
from tui.themes import THEMES, keep_theme, read_theme
from tui.typed import Typed, is_typed

CLOCK_SECONDS = 1.0
"""How often ages are written anew, at most."""
HURRY_SECONDS = 1.0
"""However slowly the screen is drawn, what was asked for just now is on it at once."""

ACCOUNTS_NAMED = 5
"""To who asked for one that there is not."""
ACCOUNT, CLIENT = "account", "client"
"""At the `:` prompt, before the name of one, or the id."""

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

OPENED: tuple[type[View], ...] = (ConnectionView, BookView)
"""Those that are opened from others."""


class Console(App[None]):
    TITLE = "lanecast"
    CSS_PATH = "console.tcss"
    MODES: ClassVar = {view.NAME: view for view in VIEWS}
    DEFAULT_MODE = VIEWS[0].NAME
    NOTIFICATION_TIMEOUT = 4.0
    HORIZONTAL_BREAKPOINTS = [(0, "-narrow"), (140, "-wide")]  # noqa: RUF012 - Textual types it as no ClassVar
    VERTICAL_BREAKPOINTS = [(0, "-low"), (42, "-high")]  # noqa: RUF012 - the same
    BINDINGS: ClassVar[list[BindingType]] = [
        *(
            Binding(str(number), f"go('{view.NAME}')", "The views at the top", show=False, id=view.NAME)
            for number, view in enumerate(VIEWS, 1)
        ),
        Binding("r", "reconnect", "Reconnect", show=False, id="reconnect"),
        Binding("plus", "faster", "Draw more often", show=False, id="faster"),
        Binding("minus", "slower", "Draw less often", show=False, id="slower"),
        Binding("T", "change_theme", "Theme", show=False, id="theme"),
        Binding("question_mark,f1", "help", "Help", id="help"),
        Binding("q", "quit", "Quit", id="quit"),
        Binding("ctrl+p", "command_palette", "Palette", id="palette"),
        Binding("ctrl+c", "quit", "Quit", show=False, priority=True),
    ]

    def __init__(
        self,
        model: Model,
        link: Link,
        *,
        is_read_only: bool = False,
        keys: Mapping[str, str] = MappingProxyType({}),
        theme_file: Path | None = None,
    ) -> None:
        """`keys` are the operator's own, by action; in the file the theme is kept that he chooses."""
        super().__init__(driver_class=Terminal)
        self.is_read_only = is_read_only
        self.model = model
        self.link = link
        self._asked: tuple[Call, ...] = ()
        self._maps: tuple[str, ...] = ()
        self._drawn_at = 0.0
        self._hurried_at = 0.0
        self.trio_token: trio.lowlevel.TrioToken | None = None
        self._typed = Typed(self)
        self.keys = keys
        self.set_keymap(dict(keys))
        for theme in THEMES:
            self.register_theme(theme)
        self._theme_file: Path | None = None
        if theme_file is not None and (chosen := read_theme(theme_file)) in self.available_themes:
            self.theme = chosen
        self._theme_file = theme_file
        self.commands = _commands(self.available_themes)
        """What the `:` prompt takes, and what is done then."""
        self.past_commands, self.past_filters = no_past(), no_past()

    def watch_theme(self, name: str) -> None:
        """Remember what the operator chose."""
        if self._theme_file is None:
            return
        try:
            keep_theme(self._theme_file, name)
        except ConfigError as error:
            self.notify(str(error), severity="warning", markup=False)

    def key_of(self, action: str) -> str:
        """The key for one of the console's own actions, as it is shown."""
        bound = next(each for each in self.BINDINGS if isinstance(each, Binding) and each.id == action)
        first, *_ = self.keys.get(action, bound.key).split(",")
        return self.get_key_display(bound.with_key(first))

    def on_mount(self) -> None:
        """Start drawing."""
        self.set_interval(REFRESH_SECONDS[0], self.beat)
        self.set_interval(CLOCK_SECONDS, self.age)
        # Back from the shell (SIGTSTP, fg) the screen is empty, and only what changes would be drawn.
        self.app_resume_signal.subscribe(self, lambda _: self.refresh(layout=True))
        self._obey_typed()

    async def on_event(self, event: events.Event) -> None:
        """Keep what is typed for its turn; leaving never waits for one."""
        is_leaving = isinstance(event, events.Key) and event.key == "ctrl+c"
        if is_typed(event) and not is_leaving:
            self._typed.add(event)
        else:
            await super().on_event(event)

    @work
    async def _obey_typed(self) -> None:
        await self._typed.obey(super().on_event)

    @property
    def view(self) -> View:
        """The one on top; what is asked of the operator may stand before it."""
        return next(screen for screen in reversed(self.screen_stack) if isinstance(screen, View))

    def now(self) -> float:
        """The wall clock's seconds since 1970."""
        return time.time()

    def beat(self) -> None:
        """Draw, if it is time, or something was asked for a moment ago."""
        now, slack = time.monotonic(), REFRESH_SECONDS[0] / 2
        is_due = now - self._drawn_at >= self.model.refresh_seconds - slack
        if is_due or now - self._hurried_at < HURRY_SECONDS:
            self._drawn_at = now
            self.draw()

    def age(self) -> None:
        """Have what ages drawn with the next beat that draws."""
        self.model.changed.add(Part.TIME)

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

    def ask(self, calls: tuple[Call, ...], maps: tuple[str, ...] = ()) -> None:
        """Have this asked every second and these maps followed; of several views the last one counts."""
        self._hurried_at = time.monotonic()
        if calls != self._asked:
            self._asked = calls
            self._tell(self.link.ask, calls)
        if maps != self._maps:
            self._maps = maps
            self._tell(self.link.follow_maps, maps)

    def act(self, call: Call, words: str) -> None:
        """Have the server do this; the operator is told of it in these words."""
        self._hurried_at = time.monotonic()
        self._tell(self.link.act, call, words)

    def _tell(self, call: Callable[..., None], *arguments: object) -> None:
        if self.trio_token is not None:
            self.trio_token.run_sync_soon(call, *arguments)

    @property
    def words(self) -> list[str]:
        """What the `:` prompt offers."""
        return [*self.commands, *(f"{ACCOUNT} {name}" for name in self.model.account_names)]

    async def obey(self, command: str) -> None:
        """Do what was typed at the `:` prompt; the first word that begins so counts.

        Behind a view may stand a filter: `connections /ada`.
        """
        first, _, rest = command.strip().partition(" ")
        if first.casefold() == ACCOUNT and rest:
            await self.action_account(rest.strip())
            return
        if first.casefold() == CLIENT and rest:
            self.push_screen(ConnectionView(rest.strip()))
            return
        name, slash, wanted = command.partition("/")
        if not (word := name.strip().casefold()):
            return
        found = word if word in self.commands else next((w for w in self.commands if w.startswith(word)), "")
        if not found:
            self.notify(f"no view or command is called {word!r}", severity="warning", markup=False)
            return
        await self.run_action(self.commands[found])
        if slash:
            self.view.filter(wanted.strip())

    async def action_go(self, view: str) -> None:
        """Show a view as it was left; if it is the current one, what was opened in it goes."""
        if view != self.current_mode:
            await self.switch_mode(view)
        else:
            while len(self.screen_stack) > 1:
                await self.pop_screen()

    async def on_view_bar_picked(self, event: ViewBar.Picked) -> None:
        await self.action_go(event.view)

    async def action_account(self, text: str) -> None:
        """Show the fills and bots of the account that is called so, or begins so."""
        if (account := self.model.find_account(text)) is None:
            known = ", ".join(self.model.account_names[:ACCOUNTS_NAMED]) or "none yet"
            self.notify(f"no account is called {text!r}; there are {known}", severity="warning", markup=False)
            return
        self._tell(self.link.show_account, account)
        self._hurried_at = time.monotonic()
        if not isinstance(self.view, AccountView):
            await self.action_go(BotsView.NAME)

    async def action_next_account(self) -> None:
        """In the order of their names, that of what was last heard being another with each event."""
        names = sorted(self.model.account_names)
        following = [name for name in names if name > self.model.account]
        if names:
            await self.action_account(following[0] if following else names[0])

    def action_reconnect(self) -> None:
        self._tell(self.link.reconnect)

    def action_faster(self) -> None:
        self._refresh_every(faster(self.model.refresh_seconds))

    def action_slower(self) -> None:
        self._refresh_every(slower(self.model.refresh_seconds))

    def _refresh_every(self, seconds: float) -> None:
        self.model.refresh_seconds = seconds
        self.model.changed.add(Part.LINK)
        self.draw()

    def action_theme(self, name: str) -> None:
        self.theme = name

    def action_help(self) -> None:
        self.push_screen(HelpScreen(self.view))

    def get_system_commands(self, screen: Screen[object]) -> Iterable[SystemCommand]:
        """What the command palette offers."""
        for view in self.MODES:
            yield SystemCommand(f"Show {view}", f"Go to the view of {view}", partial(self.action_go, view))
        yield SystemCommand("Reconnect", "Drop the link and dial now", self.action_reconnect)
        yield SystemCommand("Theme", "Choose other colours", self.action_change_theme)
        yield SystemCommand("Help", "Keys and signs", self.action_help)
        yield SystemCommand("Quit", "Leave at once", self.exit)


def _commands(themes: Iterable[str]) -> dict[str, str]:
    """By what is typed, the action."""
    return {
        **{word: f"go('{view.NAME}')" for view in VIEWS for word in (view.NAME, *view.ALIASES)},
        **{word: word for word in ("quit", "help", "reconnect")},
        ACCOUNT: "next_account",
        CLIENT: f"go('{ConnectionsView.NAME}')",
        "q": "quit",
        "theme": "change_theme",
        **{f"theme {name}": f"theme('{name}')" for name in themes},
    }


def run_console(
    url: str, token: str, certificate_file: Path | None = None, *, is_read_only: bool = False
) -> int:
    """Run the console until the operator quits; returns the exit code.

    One that is for reading only offers nothing that does something to a client.
    With the file of a certificate the server must have that one, whatever names are in it.
    The terminal is left as it was, also on SIGTERM, SIGHUP and SIGINT. Raises ConfigError
    when `url` is no server's address, the operator's keys can't be used, or there is no terminal.
    """
    websocket_url(url)
    # Textual draws on standard error and would wait for keys for ever.
    if not all(stream.isatty() for stream in (sys.stdin, sys.stdout, sys.stderr)):
        raise ConfigError("the console needs a terminal; without one, --once prints what it would show")
    # What the client logs of the connection is in the head already, and a line would tear the screen.
    logging.getLogger("lanecast.client").addHandler(logging.NullHandler())
    keys = read_keys(user_config_path("lanecast") / "console.toml", [_scope(view) for view in VIEWS + OPENED])
    model = Model(url)
    link = Link(model, token, certificate_file)
    theme_file = user_state_path("lanecast") / "theme"
    return asyncio.run(
        _run(Console(model, link, is_read_only=is_read_only, keys=keys, theme_file=theme_file))
    )


def _scope(view: type[View]) -> Scope:
    """All that can be told by a key while a view is looked at."""
    return scope_of((Table, view, Console))


async def _run(app: Console) -> int:
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGHUP, signal.SIGINT):
        loop.add_signal_handler(number, app.exit)
    async with run_guest(app.link.run, app.exit) as app.trio_token:
        await app.run_async()
    return app.return_code or 0
