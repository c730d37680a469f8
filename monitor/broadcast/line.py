"""The ends of the members that keep up, in the order in which they are served.

A plain socket is written to by its descriptor: one system call and nothing else. What is encrypted
on its way passes the wire's own `send_now`, and costs more; so the clock is looked at more often.
"""

import os
from abc import ABC, abstractmethod
from array import array
from collections.abc import Callable, MutableSequence
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

    def __init__(self, ends: MutableSequence[End]) -> None:
        self._ends = ends

    @abstractmethod
    def append(self, client: "Client") -> None: ...

    def move(self, source: int, target: int) -> None:
        self._ends[target] = self._ends[source]

    def pop(self) -> None:
        self._ends.pop()

    @abstractmethod
    def write(self, frame: bytes, start: int, stop: int) -> tuple[int, int]:
        """Write a frame to the members from `start` on, until one doesn't take all of it.

        Returns:
            How many took all, and what the next one took: the frame's length if there was no next
            one, `BROKEN` if its socket is.
        """


class Descriptors(Line[int]):
    """Of plain sockets."""

    __slots__ = ()

    clients_per_look = 64
    """They cost about 0.2 ms."""

    def __init__(self) -> None:
        super().__init__(array("i"))

    def append(self, client: "Client") -> None:
        self._ends.append(client.fileno)

    def write(self, frame: bytes, start: int, stop: int) -> tuple[int, int]:
        length = taken = len(frame)
        served = 0
        write = os.write
        try:
            for descriptor in self._ends[start:stop]:
                taken = write(descriptor, frame)
                if taken != length:
                    break
                served += 1
        except BlockingIOError:
            taken = 0
        except OSError:
            taken = BROKEN
        return served, taken


class Wires(Line[Callable[[bytes], int]]):
    """Of what must not be written past."""

    __slots__ = ()

    clients_per_look = 32
    """As long as the plain ones."""

    def __init__(self) -> None:
        super().__init__([])

    def append(self, client: "Client") -> None:
        self._ends.append(client.send_now)

    def write(self, frame: bytes, start: int, stop: int) -> tuple[int, int]:
        length = taken = len(frame)
        served = 0
        try:
            for send_now in self._ends[start:stop]:
                taken = send_now(frame)
                if taken != length:
                    break
                served += 1
        except OSError:
            taken = BROKEN
        return served, taken
