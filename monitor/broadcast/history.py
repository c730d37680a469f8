"""The last publications of a channel with their positions, bounded by count, bytes and age.

Decides whether what a client missed can be told: all of it, in order, or nothing. A part would
be shown as if it were the whole.
"""

from bisect import bisect_left, bisect_right
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import islice
from operator import attrgetter

from monitor.broadcast.item import DOCUMENT_BYTES, Publication, weigh

_OFFSET = attrgetter("offset")


@dataclass(frozen=True, slots=True)
class Position:
    """A place in a channel's stream: `offset` counts from 1, `epoch` is fixed for the stream's life."""

    offset: int
    epoch: str
    """Empty where a client asks for any."""


class History:
    """Keeps at most `size` publications of `limit_bytes` in all, none older than `seconds` (0: any age)."""

    __slots__ = ("_kept", "_limit_bytes", "_seconds", "_size", "bytes", "epoch", "offset")

    def __init__(self, size: int, limit_bytes: int, seconds: int, *, epoch: str) -> None:
        self._kept: deque[Publication] = deque()
        self._size = size
        self._limit_bytes = limit_bytes
        self._seconds = seconds
        self.bytes = 0
        """Of the payloads that are kept."""
        self.epoch = epoch
        self.offset = 0

    @property
    def count(self) -> int:
        """How many are kept."""
        return len(self._kept)

    @property
    def position(self) -> Position:
        return Position(self.offset, self.epoch)

    def append(self, publication: Publication) -> None:
        """Keep a publication that was given `offset + 1`."""
        self.offset = publication.offset
        self._kept.append(publication)
        self.bytes += publication.size_bytes
        while len(self._kept) > self._size or self.bytes > self._limit_bytes:
            self._forget_oldest()

    def restore(self, position: Position, kept: Sequence[Publication]) -> None:
        """Go on at a position, with the publications before it that are still known."""
        for publication in kept:
            self.append(publication)
        self.epoch = position.epoch
        self.offset = position.offset

    def clear(self) -> None:
        """Forget what is kept; offset and epoch survive."""
        self._kept.clear()
        self.bytes = 0

    def read(self, now_ns: int, *, since: int | None, limit: int | None, reverse: bool) -> list[Publication]:
        """Publications strictly after `since` (before it when `reverse`), oldest (newest) first.

        Args:
            since: an offset; None starts at the oldest (newest) one kept.
            limit: at most so many; None is all.
        """
        self._expire(now_ns)
        passed = 0
        if since is not None and reverse:
            passed = len(self._kept) - bisect_left(self._kept, since, key=_OFFSET)
        elif since is not None:
            passed = bisect_right(self._kept, since, key=_OFFSET)
        kept = reversed(self._kept) if reverse else iter(self._kept)
        return list(islice(kept, passed, None if limit is None else passed + limit))

    def missed(self, since: Position, now_ns: int, *, limit_bytes: int) -> tuple[Publication, ...] | None:
        """All that was published after a position, oldest first; None if it can't be told in full.

        Args:
            limit_bytes: what takes more, as the protocol's documents, is not told.
        """
        count = self.offset - since.offset
        if since.epoch not in ("", self.epoch) or count < 0:
            return None
        self._expire(now_ns)
        if count > min(len(self._kept), limit_bytes // DOCUMENT_BYTES):
            return None
        missed = tuple(islice(reversed(self._kept), count))[::-1]
        if missed and missed[0].offset != since.offset + 1:
            return None
        return missed if weigh(missed) <= limit_bytes else None

    def _expire(self, now_ns: int) -> None:
        if self._seconds:
            oldest_ns = now_ns - self._seconds * 1_000_000_000
            while self._kept and self._kept[0].stamp_ns < oldest_ns:
                self._forget_oldest()

    def _forget_oldest(self) -> None:
        self.bytes -= self._kept.popleft().size_bytes
