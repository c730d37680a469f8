"""The last publications of a channel with their positions, bounded by count and age."""

import secrets
from collections import deque
from dataclasses import dataclass
from itertools import islice

from monitor.broadcast.item import Publication


@dataclass(frozen=True, slots=True)
class Position:
    """A place in a channel's stream: `offset` counts from 1, `epoch` is fixed for the stream's life."""

    offset: int
    epoch: str


class History:
    """Keeps at most `size` publications, none older than `seconds` (0: any age)."""

    __slots__ = ("_kept", "_seconds", "epoch", "offset")

    def __init__(self, size: int, seconds: int) -> None:
        self._kept: deque[Publication] = deque(maxlen=size)
        self._seconds = seconds
        self.epoch = secrets.token_hex(4)
        self.offset = 0

    @property
    def position(self) -> Position:
        return Position(self.offset, self.epoch)

    def append(self, publication: Publication) -> None:
        """Keep a publication that was given `offset + 1`."""
        self.offset = publication.offset
        self._kept.append(publication)

    def clear(self) -> None:
        """Forget what is kept; offset and epoch survive."""
        self._kept.clear()

    def read(self, now_ns: int, *, since: int | None, limit: int | None, reverse: bool) -> list[Publication]:
        """Publications strictly after `since` (before it when `reverse`), oldest (newest) first.

        Args:
            since: an offset; None starts at the oldest (newest) one kept.
            limit: at most so many; None is all.
        """
        self._expire(now_ns)
        kept = reversed(self._kept) if reverse else iter(self._kept)
        if since is not None and reverse:
            kept = (publication for publication in kept if publication.offset < since)
        elif since is not None:
            kept = (publication for publication in kept if publication.offset > since)
        return list(islice(kept, limit))

    def _expire(self, now_ns: int) -> None:
        if self._seconds:
            oldest_ns = now_ns - self._seconds * 1_000_000_000
            while self._kept and self._kept[0].stamp_ns < oldest_ns:
                self._kept.popleft()
