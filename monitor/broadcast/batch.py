"""Items of one tick that leave in one send: each is still a message of its own.

A send costs the kernel the same for 100 bytes as for several thousand, so one send for each frame
of a full tick costs each client as many times what it needs to.
"""

from collections.abc import Iterable, Iterator

from monitor.broadcast.client import SEND_BYTES
from monitor.broadcast.frames import Encoding
from monitor.broadcast.item import Item


class Batch(Item):
    __slots__ = ("_parts",)

    def __init__(self, parts: list[Item]) -> None:
        """`parts` are of one channel, in their order."""
        first = parts[0]
        super().__init__(
            b"\n".join([part.payload for part in parts]),
            first.lane,
            channel=first.channel,
            prefix=first.prefix,
            delivery=first.delivery,
            publications=tuple(publication for part in parts for publication in part.publications),
        )
        # As much as its parts, which some groups are given in its place.
        self.held_bytes = sum(part.held_bytes for part in parts)
        self._parts = parts

    @property
    def parts(self) -> list[Item]:
        return self._parts

    def _make_frame(self, encoding: Encoding) -> bytes:
        return b"".join([part.frame(encoding) for part in self._parts])


def batch(items: Iterable[Item]) -> Iterator[Item]:
    """Put together what follows each other, up to what one send takes; what is longer stays alone."""
    parts: list[Item] = []
    room = SEND_BYTES
    for item in items:
        if parts and len(item.payload) > room:
            yield _one_of(parts)
            parts, room = [], SEND_BYTES
        parts.append(item)
        room -= len(item.payload)
    if parts:
        yield _one_of(parts)


def _one_of(parts: list[Item]) -> Item:
    return parts[0] if len(parts) == 1 else Batch(parts)
