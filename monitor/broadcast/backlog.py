"""What one client has still to be sent: the rest of a frame that is half out, and the outbox behind it.

Whoever keeps up has neither, and pays for neither. The rest goes before anything else: what came
between would be read as a part of its frame.
"""

from collections.abc import Callable, Iterator

from monitor.broadcast.item import Item
from monitor.broadcast.outbox import Outbox
from monitor.config import Lane

_NO_REST = memoryview(b"")
"""Of whoever got all: a view of its last frame's end would keep that frame for as long as it is idle."""


class Backlog:
    __slots__ = ("_limit_bytes", "begun", "outbox", "rest")

    def __init__(self, limit_bytes: int) -> None:
        self._limit_bytes = limit_bytes
        self.outbox: Outbox | None = None
        """While the client is behind."""
        self.rest = _NO_REST
        self.begun: list[Item] = []
        """What the rest is of."""

    def open(self) -> None:
        """The client is behind from here on."""
        self.outbox = Outbox(self._limit_bytes)

    def cut(self, items: list[Item], data: bytes | memoryview, taken: int) -> None:
        """The socket took so much of what the items are sent as."""
        self.rest, self.begun = memoryview(data)[taken:], items

    def finish(self) -> None:
        """Nothing is half out any more."""
        self.rest, self.begun = _NO_REST, []

    def clear(self) -> list[Item]:
        """Take out everything, begun or not; the rest stays, for who still has to end it."""
        gone = self.begun + [item for lane in Lane for item in self.of(lane)]
        self.begun, self.outbox = [], None
        return gone

    def discard(self, is_unwanted: Callable[[Item], bool]) -> list[Item]:
        """Take out what is not to be sent any more, if it is not half out; replies stay."""
        return [] if self.outbox is None else self.outbox.discard(is_unwanted)

    def of(self, lane: Lane) -> Iterator[Item]:
        """What waits in a lane, in its order; but for what is half out."""
        return iter(()) if self.outbox is None else self.outbox.of(lane)

    def has_reply(self, lane: Lane) -> bool:
        """Whether a reply waits in a lane; but for what is half out."""
        return self.outbox is not None and self.outbox.has_reply(lane)

    @property
    def bytes(self) -> int:
        waiting = self.outbox.bytes + self.outbox.held_bytes if self.outbox else 0
        return len(self.rest) + waiting

    @property
    def room_bytes(self) -> int:
        """Of the outbox; what is half out or held takes none."""
        return self._limit_bytes - (self.outbox.bytes if self.outbox else 0)

    @property
    def share(self) -> float:
        """Of what the outbox may hold."""
        return self.bytes / self._limit_bytes

    def depths(self) -> list[int]:
        """Publications waiting, by lane."""
        depths = [0 for _ in Lane] if self.outbox is None else self.outbox.depths()
        for item in self.begun:
            depths[item.lane] += item.count
        return depths

    def oldest_ns(self) -> list[int | None]:
        """Since when the first publication of each lane waits; None where none does."""
        heads = [next(self.of(lane), None) for lane in Lane]
        for item in reversed(self.begun):
            heads[item.lane] = item
        return [head.publications[0].stamp_ns if head and head.publications else None for head in heads]
