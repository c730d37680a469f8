"""A connection that is bytes in memory, and a server for it: one input is one visit."""

import logging
from pathlib import Path

import trio

from monitor.config import Limits, Settings
from monitor.engine import build_engine
from monitor.keyring import Keyring
from monitor.serve.api import Api
from monitor.serve.connection import Connection
from monitor.serve.files import Files
from monitor.serve.front import FrontDoor
from tests.serve.running import KEYS, NAMESPACES

VISITS_PER_SERVER = 256
"""Then a new one: what a channel keeps is bounded, but it is not what is tested here."""


class Visitor(Connection):
    """Sends what it was given, in segments, and takes everything."""

    __slots__ = ("_segments", "received")

    def __init__(self, *segments: bytes) -> None:
        self.address = "192.0.2.1:1"
        self._segments = [segment for segment in segments if segment][::-1]
        self.received = b""

    def fileno(self) -> int:
        return -1

    def send_now(self, data: bytes | memoryview) -> int:
        self.received += data
        return len(data)

    async def receive(self) -> bytes:
        return self._segments.pop() if self._segments else b""

    async def finish(self) -> None:
        pass

    def close(self) -> None:
        pass


class Servers:
    """A server at a time, without a socket."""

    def __init__(self) -> None:
        self._visits = 0
        self._files = Files(Path(__file__).parents[2] / "static")
        self._door = self._open_door()
        self._defects = _Defects()
        logging.getLogger("lanecast").addHandler(self._defects)

    def visit(self, *segments: bytes) -> bytes:
        """Serve one connection to its end; returns all that was answered. Fails if an error was logged."""
        self._visits += 1
        if self._visits % VISITS_PER_SERVER == 0:
            self._door = self._open_door()
        visitor = Visitor(*segments)
        trio.run(self._door._serve, visitor)
        if self._defects.lines:
            raise AssertionError(self._defects.lines.pop())
        return visitor.received

    def _open_door(self) -> FrontDoor:
        settings = Settings(
            data_dir=Path("nowhere"),
            namespaces=NAMESPACES,
            hosts=["lanecast"],
            limits=Limits(handshakes_per_second=100_000),
        )
        keys = Keyring(KEYS)
        house = build_engine(settings, keys, frozenset({"paper"})).house
        door = FrontDoor(house, Api(house, keys), self._files, lambda: (b"", "text/plain"))
        door.is_ready = True
        return door


class _Defects(logging.Handler):
    def __init__(self) -> None:
        super().__init__(logging.ERROR)
        self.lines: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.lines.append(self.format(record))
