"""The ends of the members that keep up, in the order in which they are served.

A plain socket is sent to as it is: one system call and nothing else. What is encrypted
on its way passes the wire's own `send_now`, and costs more; so the clock is looked at more often.
"""

import socket
from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import TYPE_CHECKING, Generic, TypeVar

if TYPE_CHECKING:
    from monitor.broadcast.client import Client

BROKEN = -1

End = TypeVar("End")


class Line(ABC, Generic[End]):
    """Wherever a member stands in its group, its end stands here."""

    __slots__ = ("_ends",)

    clients_per_look: int
    """Sends between two looks at the clock."""

    def __init__(self) -> None:
        self._ends: list[End] = []

    @abstractmethod
    def append(self, client: "Client") -> None: ...

    def move(self, source: int, target: int) -> None:
        self._ends[target] = self._ends[source]

    def pop(self) -> None:
        self._ends.pop()

    def write(self, frame: bytes, start: int, clock_ns: Callable[[], int], until_ns: int) -> tuple[int, int]:
        """Write a frame to the members from `start` on, until one doesn't take all of it or the time is up.

        Returns:
            The place of the first that has not got all, and how much of it that one took: the frame's
            length if it was not its turn yet, `BROKEN` if its socket is.
        """
        place, taken, last = start, len(frame), len(self._ends)
        while place < last and taken == len(frame):
            place, taken = self._write_some(frame, place)
            if clock_ns() >= until_ns:
                break
        return place, taken

    @abstractmethod
    def _write_some(self, frame: bytes, place: int) -> tuple[int, int]:
        """Write to those between two looks at the clock."""


class Sockets(Line[socket.socket]):
    """`send` on them costs the kernel 4 % less than `write` to their descriptors."""

    __slots__ = ()

    clients_per_look = 64
    """They cost about 0.2 ms."""

    def append(self, client: "Client") -> None:
        assert client.plain is not None
        self._ends.append(client.plain)

    def _write_some(self, frame: bytes, place: int) -> tuple[int, int]:
        length = taken = len(frame)
        try:
            for end in self._ends[place : place + self.clients_per_look]:
                taken = end.send(frame)
                if taken != length:
                    break
                place += 1
        except BlockingIOError:
            taken = 0
        except OSError:
            taken = BROKEN
        return place, taken


class Wires(Line[Callable[[bytes], int]]):
    """Of what must not be written past."""

    __slots__ = ()

    clients_per_look = 32
    """As long as the plain ones."""

    def append(self, client: "Client") -> None:
        self._ends.append(client.send_now)

    def _write_some(self, frame: bytes, place: int) -> tuple[int, int]:
        length = taken = len(frame)
        try:
            for send_now in self._ends[place : place + self.clients_per_look]:
                taken = send_now(frame)
                if taken != length:
                    break
                place += 1
        except OSError:
            taken = BROKEN
        return place, taken
