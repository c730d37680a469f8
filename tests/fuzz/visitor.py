"""A connection that is bytes in memory, and a whole server for it: one input is one visit.

A resident is connected meanwhile, so that what a visitor publishes goes out to somebody, and calls
about users find one. Guests stay for many inputs, which costs less and gets further.
"""

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import trio

from monitor.config import Limits, Settings
from monitor.engine import build_engine
from monitor.health.metrics import Exposition
from monitor.keyring import Keyring
from monitor.serve.api import Api
from monitor.serve.connection import Connection
from monitor.serve.files import Files
from monitor.serve.front import FrontDoor
from tests.fuzz.loop import Loop, open_loop
from tests.serve.running import KEYS, NAMESPACES, Defects, sign
from tests.serve.wire import TEXT, UPGRADE, frame, request

VISITS_PER_SERVER = 5_000
"""Then a new one: what a channel keeps is bounded, and this is where it shows."""
FORMS = {
    "news": {"publish": True, "history_size": 10, "delta": True, "join_leave": True, "listed_in": ["here"]},
    "tagged": {"publish": True, "history_size": 10, "tags_filter": True},
    "here": {"delivery": "map", "lists": "clients", "key_seconds": 60},
    "notes": {"delivery": "map", "publish": True, "client_key": "user_id", "history_size": 10},
}
"""Namespaces of every form that a client may ask for."""
RESIDENT = [
    request("GET", "/connection/websocket", UPGRADE),
    frame(TEXT, b'{"id":1,"connect":{"token":"%s"}}' % sign(sub="ann").encode()),
    frame(TEXT, b'{"id":2,"subscribe":{"channel":"chat:a"}}\n{"id":3,"subscribe":{"channel":"feed:a"}}'),
    frame(TEXT, b'{"id":4,"subscribe":{"channel":"news:a","delta":"fossil"}}'),
    frame(TEXT, b'{"id":5,"subscribe":{"channel":"tagged:a","tf":{"key":"a","cmp":"eq","val":"b"}}}'),
]


class Visitor(Connection):
    """Sends what it was given, in segments, and takes everything."""

    __slots__ = ("_segments", "received")

    def __init__(self, *segments: bytes) -> None:
        self.address = "192.0.2.1:1"
        self.is_backend = False
        self._segments = [segment for segment in segments if segment][::-1]
        self.received = b""

    @property
    def plain(self) -> None:
        return None

    def send_now(self, data: bytes | memoryview) -> int:
        self.received += data
        return len(data)

    async def wait_writable(self) -> None:
        await trio.lowlevel.checkpoint()

    async def receive(self) -> bytes:
        return self._segments.pop() if self._segments else b""

    async def finish(self) -> None:
        pass

    def close(self) -> None:
        pass


class Guest(Visitor):
    """Stays until the server ends it, and says more when it is told to."""

    __slots__ = ("_more", "is_gone", "is_heard")

    def __init__(self, *segments: bytes) -> None:
        super().__init__(*segments)
        self._more = trio.Event()
        self.is_gone = False
        self.is_heard = False
        """The server took all that was said, and asks for more."""

    def say(self, *segments: bytes) -> None:
        self._segments = list(segments[::-1])
        self.received = b""
        self.is_heard = False
        self._more.set()

    async def receive(self) -> bytes:
        while not self._segments:
            self.is_heard = True
            self._more = trio.Event()
            await self._more.wait()
        return self._segments.pop()

    def close(self) -> None:
        self.is_gone = True


class Servers:
    """A server at a time, without a socket. Made by `open_servers`."""

    def __init__(self, loop: Loop) -> None:
        self._loop = loop
        self._files = Files(Path(__file__).parents[2] / "static")
        self._defects = Defects()
        self._visits = 0
        self._scope = trio.CancelScope()
        logging.getLogger("lanecast").addHandler(self._defects)
        loop.start(self._serve)
        self._resident = self.invite(*RESIDENT)

    def visit(self, *segments: bytes) -> bytes:
        """Serve one connection to its end; returns all that was answered. Fails if an error was logged."""
        visitor = Visitor(*segments)
        self._loop.run(lambda: self._door._serve(visitor))
        self._end_visit()
        return visitor.received

    def invite(self, *segments: bytes) -> Guest:
        """A connection that stays; all that it begins with has been heard."""
        guest = Guest(*segments)
        self._nursery.start_soon(self._door._serve, guest)
        self._loop.run(lambda: _listen(guest))
        return guest

    def tell(self, guest: Guest, *segments: bytes) -> bytes:
        """Have a guest say more; returns what it was answered. Fails as `visit` does."""
        guest.say(*segments)
        self._loop.run(lambda: _listen(guest))
        self._end_visit()
        return guest.received

    def _end_visit(self) -> None:
        if self._defects.lines:
            raise AssertionError(self._defects.lines.pop())
        self._visits += 1
        if self._visits % VISITS_PER_SERVER == 0:
            self._scope.cancel()
            self._loop.run(self._ended.wait)
            self._loop.start(self._serve)
        if self._resident.is_gone:
            self._resident = self.invite(*RESIDENT)

    def close(self) -> None:
        logging.getLogger("lanecast").removeHandler(self._defects)

    async def _serve(self, *, task_status: trio.TaskStatus[None]) -> None:
        settings = Settings(
            data_dir=Path("nowhere"),
            namespaces={**NAMESPACES, **FORMS},
            hosts=["lanecast"],
            trusted_proxies=["192.0.2.0/24"],
            limits=Limits(handshakes_per_second=100_000, commands_per_second=10_000),
        )
        keys = Keyring(KEYS)
        engine = build_engine(settings, keys, frozenset({"paper"}))
        door = FrontDoor(engine.house, Api(engine.house, keys), self._files, Exposition(engine.health))
        door.is_ready = True
        self._ended = trio.Event()
        with trio.CancelScope() as self._scope:
            async with trio.open_nursery() as self._nursery:
                await self._nursery.start(engine.run)
                self._door = door
                task_status.started()
        self._ended.set()


async def _listen(guest: Guest) -> None:
    while not (guest.is_heard or guest.is_gone):
        await trio.lowlevel.checkpoint()


@contextmanager
def open_servers() -> Iterator[Servers]:
    with open_loop() as loop:
        servers = Servers(loop)
        try:
            yield servers
        finally:
            servers.close()
