"""What a `map` channel holds: its state by key, and the stream of the changes that made it.

Decides what a page and a catch-up hold, so that a client who reads page by page while keys
change has exactly the state at the end: a page leaves out what has changed since the first one,
because the stream after the first page's offset tells that. No IO, and no clock here.
"""

from bisect import bisect_left, bisect_right, insort
from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import takewhile

from monitor.broadcast.history import History
from monitor.broadcast.item import Publication
from monitor.errors import LanecastError

HIDDEN_STREAM = 1_000
"""Changes kept where the namespace shows no stream, for those who are still reading pages."""
KEY_BYTES = 255


class StreamLost(LanecastError):
    """The stream no longer reaches back to a position, or is another one."""


@dataclass(frozen=True, slots=True)
class Page:
    entries: list[Publication]
    cursor: str
    """The last key that was looked at; empty on the last page."""


class Keyed:
    """The entries of one channel, in the order of their last change and by key.

    Args of `__init__`:
        stream: gives and keeps positions, also where they are not shown.
        key_limit, limit_bytes: what it holds at most, keys counted in the bytes.
        ttl_seconds: a key that was not written for so long goes; 0 keeps it for ever.
    """

    __slots__ = ("_entries", "_key_limit", "_keys", "_limit_bytes", "_ttl_ns", "bytes", "stream")

    def __init__(self, stream: History, *, key_limit: int, limit_bytes: int, ttl_seconds: int) -> None:
        self.stream = stream
        self._key_limit = key_limit
        self._limit_bytes = limit_bytes
        self._ttl_ns = ttl_seconds * 1_000_000_000
        self._entries: dict[str, Publication] = {}
        self._keys: list[str] = []
        self.bytes = 0

    def __len__(self) -> int:
        return len(self._entries)

    def __iter__(self) -> Iterator[str]:
        return iter(self._keys)

    def get(self, key: str) -> Publication | None:
        return self._entries.get(key)

    def put(self, publication: Publication) -> Publication:
        """Set its key to a publication; returns it with its position.

        Raises:
            ValueError: the key is empty or too long, or the state would grow past its bounds.
        """
        self._check(publication)
        placed = replace(publication, offset=self.stream.offset + 1)
        if self._take_out(placed.key) is None:
            insort(self._keys, placed.key)
        self._entries[placed.key] = placed
        self.bytes += _size(placed)
        self.stream.append(placed)
        return placed

    def _check(self, publication: Publication) -> None:
        key = publication.key
        if not 0 < len(key.encode()) <= KEY_BYTES:
            raise ValueError(f"key {key[:40]!r} must have 1 to {KEY_BYTES} bytes")
        before = self._entries.get(key)
        if before is None and len(self._entries) >= self._key_limit:
            raise ValueError(f"it has {self._key_limit} keys, its limit (key_limit): remove some")
        size = self.bytes + _size(publication) - (_size(before) if before else 0)
        if size > self._limit_bytes:
            raise ValueError(
                f"its state would have {size} bytes, the limit is {self._limit_bytes} (limits.gather_bytes)"
            )

    def remove(self, key: str, kind: str, stamp_ns: int) -> Publication | None:
        """Take a key out; returns the publication that tells of it, None for an unknown key."""
        gone = self._take_out(key)
        if gone is None:
            return None
        del self._keys[bisect_left(self._keys, key)]
        told = Publication(
            b"null", kind, stamp_ns, self.stream.offset + 1, tags=gone.tags, key=key, removed=True
        )
        self.stream.append(told)
        return told

    def _take_out(self, key: str) -> Publication | None:
        gone = self._entries.pop(key, None)
        if gone is not None:
            self.bytes -= _size(gone)
        return gone

    def expire(self, now_ns: int) -> list[Publication]:
        """Remove what was not written in time; returns the publications that tell of it."""
        if not self._ttl_ns:
            return []
        oldest_ns = now_ns - self._ttl_ns
        late = list(takewhile(lambda entry: entry.stamp_ns <= oldest_ns, self._entries.values()))
        told = [self.remove(entry.key, entry.kind, now_ns) for entry in late]
        return [publication for publication in told if publication is not None]

    # What subscribers read

    def page(self, after: str, until_offset: int, *, count: int, limit_bytes: int) -> Page:
        """The entries behind a key that have not changed since an offset, at least one if there are any.

        Args:
            after: the cursor of the page before; empty for the first one.
        """
        entries: list[Publication] = []
        room = limit_bytes
        for at in range(bisect_right(self._keys, after), len(self._keys)):
            entry = self._entries[self._keys[at]]
            if entry.offset > until_offset:
                continue
            room -= _size(entry)
            if entries and (room < 0 or len(entries) == count):
                return Page(entries, entries[-1].key)
            entries.append(entry)
        return Page(entries, "")

    def since(self, offset: int, epoch: str, now_ns: int) -> list[Publication]:
        """All changes after a position, oldest first.

        Raises:
            StreamLost: the position is of another stream, or some of what came after it is gone.
        """
        if epoch != self.stream.epoch or offset > self.stream.offset:
            raise StreamLost
        changes = self.stream.read(now_ns, since=offset, limit=None, reverse=False)
        if len(changes) != self.stream.offset - offset:
            raise StreamLost
        return changes


def _size(publication: Publication) -> int:
    return len(publication.key) + len(publication.data) + len(publication.tags) + len(publication.info)
