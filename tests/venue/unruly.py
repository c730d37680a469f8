"""A way to a stand-in that spoils one thing, once: it drops, delays, reorders, garbles or closes.

What is spoiled is the first thing the venue says that holds a mark: the answer to an upgrade, a
WebSocket message, or an answer of its REST side. So every stage of a conversation can be met.
"""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from enum import StrEnum
from functools import partial
from pathlib import Path
from urllib.parse import urlsplit

import trio

from tests.serve.wire import Wire
from tests.venue.client import standing_in

DELAY_SECONDS = 0.3


class Fault(StrEnum):
    DROP = "drop"
    """It is never said; behind the answer to a request nothing is."""
    DELAY = "delay"
    REORDER = "reorder"
    """What follows comes first; of an answer to a request the second half does."""
    GARBLE = "garble"
    CLOSE = "close"
    """The connection ends in the middle of it."""


@dataclass(slots=True)
class Unruly:
    """Made by `unruly_venue`."""

    url: str
    _fault: Fault
    _mark: bytes
    _upstream_port: int
    has_struck: bool = False
    _scopes: set[trio.CancelScope] = field(default_factory=set)

    def cut(self) -> None:
        """End all connections."""
        for scope in self._scopes:
            scope.cancel()

    async def relay(self, client: trio.SocketStream) -> None:
        """One connection to the stand-in, until either side ends it."""
        venue = await trio.open_tcp_stream("127.0.0.1", self._upstream_port)
        async with client, venue, trio.open_nursery() as nursery:
            self._scopes.add(nursery.cancel_scope)
            nursery.start_soon(self._pass_on, client, venue, nursery.cancel_scope)
            with suppress(trio.BrokenResourceError, trio.ClosedResourceError, EOFError):
                await self._answer(_Venue(venue), client)
            nursery.cancel_scope.cancel()
        self._scopes.discard(nursery.cancel_scope)

    async def _pass_on(
        self, client: trio.SocketStream, venue: trio.SocketStream, scope: trio.CancelScope
    ) -> None:
        with suppress(trio.BrokenResourceError, trio.ClosedResourceError):
            async for data in client:
                await venue.send_all(data)
        scope.cancel()

    async def _answer(self, venue: "_Venue", client: trio.SocketStream) -> None:
        held = b""
        while True:
            unit = await venue.unit()
            if not self.has_struck and self._mark in unit.text:
                self.has_struck = True
                if self._fault is Fault.REORDER and unit.is_message:
                    held = unit.text
                else:
                    await self._spoil(unit, client)
                continue
            await client.send_all(unit.text + held)
            held = b""

    async def _spoil(self, unit: "_Unit", client: trio.SocketStream) -> None:
        half = len(unit.text) // 2
        match self._fault:
            case Fault.DROP:
                if not unit.is_message:
                    await trio.sleep_forever()
            case Fault.DELAY:
                await trio.sleep(DELAY_SECONDS)
                await client.send_all(unit.text)
            case Fault.REORDER:
                await client.send_all(unit.text[half:] + unit.text[:half])
            case Fault.GARBLE:
                await client.send_all(unit.text[: -unit.body_bytes] + b"!" * unit.body_bytes)
            case Fault.CLOSE:
                await client.send_all(unit.text[:half])
                raise EOFError


@dataclass(frozen=True, slots=True)
class _Unit:
    text: bytes
    body_bytes: int
    """The last ones of the text: what a message or an answer holds; all of an upgrade's answer."""
    is_message: bool


class _Venue:
    """Reads what a stand-in says, piece by piece."""

    def __init__(self, stream: trio.SocketStream) -> None:
        self._wire = Wire(stream)
        self._is_upgraded = False

    async def unit(self) -> _Unit:
        """The next one. Raises EOFError at the end."""
        if self._is_upgraded:
            return await self._message()
        head = await self._wire.take_until(b"\r\n\r\n")
        self._is_upgraded = head.startswith(b"HTTP/1.1 101 ")
        if self._is_upgraded:
            return _Unit(head, len(head), is_message=False)
        lines = dict(line.lower().split(b": ", 1) for line in head.split(b"\r\n")[1:-2])
        body = await self._wire.take(int(lines[b"content-length"]))
        return _Unit(head + body, len(body), is_message=False)

    async def _message(self) -> _Unit:
        start = await self._wire.take(2)
        length = start[1]
        if length > 125:
            more = await self._wire.take(2 if length == 126 else 8)
            start, length = start + more, int.from_bytes(more, "big")
        return _Unit(start + await self._wire.take(length), length, is_message=True)


@asynccontextmanager
async def unruly_venue(capture: Path, fault: Fault, mark: bytes, *, speed: float) -> AsyncIterator[Unruly]:
    """A stand-in, and the only way to it."""
    async with standing_in(capture, speed=speed) as base, trio.open_nursery() as nursery:
        listeners = await trio.open_tcp_listeners(0, host="127.0.0.1")
        port = listeners[0].socket.getsockname()[1]
        upstream = urlsplit(base).port
        assert upstream
        unruly = Unruly(f"ws://127.0.0.1:{port}", fault, mark, upstream)
        nursery.start_soon(partial(trio.serve_listeners, unruly.relay, listeners))
        yield unruly
        nursery.cancel_scope.cancel()
