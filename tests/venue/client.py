"""A stand-in in the test's own nursery, and a client that speaks to it over a real socket."""

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from typing import Any

import orjson
import trio

from monitor.feeds.feed import Headers, Socket, dial
from monitor.venue.server import run_venue
from tests.patience import PATIENCE_SECONDS


@asynccontextmanager
async def standing_in(capture: Path, *, speed: float | None = None) -> AsyncIterator[str]:
    """The base URL of a stand-in that ends with the block."""
    async with trio.open_nursery() as nursery:
        yield await nursery.start(partial(run_venue, capture, port=0, speed=speed))
        nursery.cancel_scope.cancel()


class Client:
    """Sends objects, receives objects."""

    def __init__(self, socket: Socket) -> None:
        self.socket = socket

    async def say(self, message: object) -> None:
        await self.socket.send_message(orjson.dumps(message).decode())

    async def hear(self) -> Any:
        with trio.fail_after(PATIENCE_SECONDS):
            return orjson.loads(await self.socket.get_message())

    async def hear_until(self, is_last: Callable[[Any], bool]) -> list[Any]:
        heard = [await self.hear()]
        while not is_last(heard[-1]):
            heard.append(await self.hear())
        return heard

    async def hear_some(self, count: int) -> list[Any]:
        return [await self.hear() for _ in range(count)]

    async def ask(self, message: object) -> Any:
        await self.say(message)
        return await self.hear()


@asynccontextmanager
async def connected(url: str, headers: Headers | None = None) -> AsyncIterator[Client]:
    """A client over the feeds' own way to a socket."""
    async with dial(url, headers or []) as socket:
        yield Client(socket)
