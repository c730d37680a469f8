"""Keys and clicks, each done to its end before the next one is looked at, however fast they come.

Textual hands a key from queue to queue, and what it leads to (another view, a question, the keys for a
prompt) comes some turns later. The next key would meet what was there before: `:alerts` typed at once,
or behind a key for another view, could sort a list, open a row and disconnect whom it finds there.
"""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, TypeGuard

from textual import events
from textual.app import App
from textual.message_pump import MessagePump

QUIET_ROUNDS = 2
"""The first may begin while something is under way; what that leads to, the second one finds."""
WAITING_MAX = 1_000
"""Keys; nobody types so far ahead, and what comes beyond is lost."""

Input = events.InputEvent | events.Paste


class Typed:
    """What waits for its turn."""

    def __init__(self, app: App[Any]) -> None:
        self._app = app
        self._waiting: asyncio.Queue[Input] = asyncio.Queue(WAITING_MAX)

    def add(self, event: Input) -> None:
        if not self._waiting.full():
            self._waiting.put_nowait(event)

    async def obey(self, do: Callable[[Input], Awaitable[None]]) -> None:
        """Do what is typed, for as long as the console runs."""
        while True:
            event = await self._waiting.get()
            await self._settle()
            await do(event)

    async def _settle(self) -> None:
        """Wait until nothing is left of what was done before."""
        quiet = 0
        while quiet < QUIET_ROUNDS:
            pumps = [self._app, *self._app.screen.walk_children(with_self=True)]
            quiet = 0 if any(pump.message_queue_size for pump in pumps) else quiet + 1
            await _go_round(pumps)


async def _go_round(pumps: Sequence[MessagePump]) -> None:
    """Wait until each of them has done what it had to do when this was called."""
    left = len(pumps)
    is_done = asyncio.Event()

    def pass_by() -> None:
        nonlocal left
        left -= 1
        if not left:
            is_done.set()

    for pump in pumps:
        if not pump.call_later(pass_by):  # it is about to go
            pass_by()
    await is_done.wait()


def is_typed(event: events.Event) -> TypeGuard[Input]:
    """Whether it has to wait for its turn: moves of the mouse only light up what they pass."""
    is_input = isinstance(event, Input) and not isinstance(event, events.MouseMove)
    return is_input and not event.is_forwarded
