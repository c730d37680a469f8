"""A console driven by keys and clicks, with a model that the test fills in place of a server."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

from textual import events
from textual.pilot import Pilot

from monitor.client import LinkState, Status
from tests.tui.reports import alert, connection, feed, fill, health
from tui.app import Console
from tui.link import Link
from tui.model import Call, Model, Query
from tui.table import Table

KEY_NAMES = {":": "colon", "/": "slash", "\r": "enter", "\x1b": "escape", "?": "question_mark", " ": "space"}


class RecordingLink(Link):
    """Keeps what it was asked instead of asking a server; both sides are one here."""

    def __init__(self, model: Model) -> None:
        super().__init__(model, "")
        self.asked: list[tuple[Call, ...]] = []
        self.maps: tuple[str, ...] = ()
        self.reconnects = 0
        self.acts: list[Call] = []

    def run_sync_soon(self, call: Callable[..., object], *arguments: object) -> None:
        call(*arguments)

    def ask(self, calls: tuple[Call, ...]) -> None:
        self.asked.append(calls)

    def follow_maps(self, namespaces: tuple[str, ...]) -> None:
        self.maps = namespaces

    def show_account(self, account: str) -> None:
        self._model.show_account(account)

    def reconnect(self) -> None:
        self.reconnects += 1

    def act(self, call: Call, words: str) -> None:
        self.acts.append(call)


class Last(events.InputEvent):
    """Has its turn once all is done that was typed before it."""

    def __init__(self) -> None:
        super().__init__()
        self.has_turn = asyncio.Event()

    def _set_forwarded(self) -> None:
        super()._set_forwarded()
        self.has_turn.set()


class Screen:
    """A running console and what its tables show."""

    def __init__(self, app: Console, link: RecordingLink, pilot: Pilot[None]) -> None:
        self.app, self.link, self.pilot, self.model = app, link, pilot, app.model

    async def press(self, *keys: str) -> None:
        await self.pilot.press(*keys)
        await self.draw()

    async def stuff(self, text: str) -> None:
        """Type all of it before any of it is looked at."""
        for letter in text:
            name = KEY_NAMES.get(letter, letter)
            self.app.post_message(events.Key(name, letter if letter.isprintable() else None))
        last = Last()
        self.app.post_message(last)
        await last.has_turn.wait()
        await self.draw()

    async def draw(self) -> None:
        self.app.age()
        self.app.draw()
        await self.pilot.pause()

    @property
    def query(self) -> Query:
        """What the server was asked for last."""
        (call,) = self.link.asked[-1]
        return Query(**call.params)

    def lines(self, table: type[Table]) -> list[str]:
        """The visible lines of a table, head first."""
        widget = self.app.screen.query_one(table)
        return [widget.render_line(y).text.rstrip() for y in range(widget.size.height)]

    def text(self) -> str:
        """All that stands on the screen, line by line."""
        strips = self.app.screen._compositor.render_strips()
        return "".join(f"{strip.text.rstrip()}\n" for strip in strips)


def run(
    story: Callable[[Screen], Awaitable[None]], size: tuple[int, int] = (160, 50), **options: Any
) -> None:
    """Tell the story to a fresh console with one server's reports; the options are the console's."""

    async def tell() -> None:
        model = Model("http://127.0.0.1:8000")
        link = RecordingLink(model)
        app = Console(model, link, **options)
        app.trio_token = link  # type: ignore[assignment]
        async with app.run_test(size=size) as pilot:
            model.set_link(Status(LinkState.CONNECTED), 0.0)
            model.set_health(health(time=4_000_000_000_000), 4e9)
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
