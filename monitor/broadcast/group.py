"""A send group: the clients of one channel with one encoding, the unit of a fan-out.

A fan-out is a cursor into the members that can stop after a millisecond and go on later.
A client that joins while one is under way is put in line behind what was published before:
its snapshot covers that already.
"""

from collections import deque
from collections.abc import Callable

from monitor.broadcast.client import Client
from monitor.broadcast.item import Item

CLIENTS_PER_LOOK = 64
"""Sends between two looks at the clock: 64 cost about 0.2 ms."""


class SendGroup:
    __slots__ = ("_cursor", "_members", "_places", "_queue", "_waiting")

    def __init__(self) -> None:
        self._members: list[Client] = []
        self._places: dict[Client, int] = {}
        self._queue: deque[Item | Client] = deque()
        self._waiting: set[Client] = set()
        self._cursor = 0

    def __len__(self) -> int:
        return len(self._members) + len(self._waiting)

    @property
    def is_idle(self) -> bool:
        return not self._queue

    def push(self, item: Item) -> None:
        self._queue.append(item)

    def add(self, client: Client) -> None:
        """From here on the client gets what is pushed; nothing that was pushed before."""
        if self._queue:
            self._waiting.add(client)
            self._queue.append(client)
        else:
            self._admit(client)

    def remove(self, client: Client) -> None:
        if client in self._waiting:
            self._waiting.discard(client)
            self._queue.remove(client)
            return
        place = self._places.pop(client)
        if place < self._cursor:
            # The hole is filled from just before the cursor, and that place from the end, so
            # that nobody is served twice or skipped by the fan-out under way.
            self._cursor -= 1
            self._move(self._cursor, place)
            place = self._cursor
        self._move(len(self._members) - 1, place)
        self._members.pop()

    def _move(self, source: int, target: int) -> None:
        if source != target:
            moved = self._members[target] = self._members[source]
            self._places[moved] = target

    def _admit(self, client: Client) -> None:
        self._places[client] = len(self._members)
        self._members.append(client)

    def advance(self, clock_ns: Callable[[], int], until_ns: int, done: Callable[[Item], None]) -> bool:
        """Go on with the fan-out until the time is up; True once nothing is left to do.

        `done` is called with each item when the last member has been offered it.
        """
        while self._queue:
            head = self._queue[0]
            if isinstance(head, Client):
                self._waiting.discard(head)
                self._admit(head)
            else:
                if not self._offer(head, clock_ns, until_ns):
                    return False
                self._cursor = 0
                done(head)
            self._queue.popleft()
        return True

    def _offer(self, item: Item, clock_ns: Callable[[], int], until_ns: int) -> bool:
        while self._cursor < len(self._members):
            stop = self._cursor + CLIENTS_PER_LOOK
            for client in self._members[self._cursor : stop]:
                client.offer(item)
            self._cursor = min(stop, len(self._members))
            if clock_ns() >= until_ns:
                return self._cursor == len(self._members)
        return True
