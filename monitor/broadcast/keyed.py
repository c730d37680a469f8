"""What a `map` channel holds: its state by key, and the stream of the changes that made it.

Decides what a page and a catch-up hold, so that a client who reads page by page while keys
change has exactly the state at the end: a page leaves out what has changed since the first one,
because the stream after the first page's offset tells that. No IO, and no clock here.
"""

from bisect import bisect_left, bisect_right, insort
from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum
from itertools import takewhile

from msgspec.structs import replace

from monitor.broadcast.history import History
from monitor.broadcast.item import Publication
from monitor.errors import LanecastError

HIDDEN_STREAM = 1_000
"""Changes kept where the namespace shows no stream, for those who are still reading pages."""
KEY_BYTES = 255


class StreamLost(LanecastError):
    """The stream no longer reaches back to a position, or is another one."""


class KeyMode(StrEnum):
    """On which keys a publication is taken."""

    ANY = ""
    IF_NEW = "if_new"
    IF_EXISTS = "if_exists"


class Suppression(StrEnum):
    """Why a publication was not taken."""

    IDEMPOTENCY = "idempotency"
    VERSION = "version"
    KEY_EXISTS = "key_exists"
    KEY_NOT_FOUND = "key_not_found"


@dataclass(frozen=True, slots=True)
class Version:
    """What a publisher counts, so that an older value that comes late is not taken."""

    number: int
    epoch: str = ""
    """Numbers of different epochs don't compare: the newer publication is taken."""


@dataclass(frozen=True, slots=True)
class Page:
    entries: list[Publication]
    cursor: str
    """The last key that was looked at; empty on the last page."""


class Keyed:
    """The entries of one channel, in the order in which they were written or renewed, and by key.

    Args of `__init__`:
        stream: gives and keeps positions, also where they are not shown.
        key_limit, limit_bytes: what it holds at most, keys counted in the bytes.
        ttl_seconds: a key that was not written for so long goes; 0 keeps it for ever.
    """

    __slots__ = (
        "_entries",
        "_key_limit",
        "_keys",
        "_limit_bytes",
        "_ttl_ns",
        "_versions",
        "bytes",
        "sourced",
        "stream",
    )

    def __init__(self, stream: History, *, key_limit: int, limit_bytes: int, ttl_seconds: int) -> None:
        self.stream = stream
        self._key_limit = key_limit
        self._limit_bytes = limit_bytes
        self._ttl_ns = ttl_seconds * 1_000_000_000
        self._entries: dict[str, Publication] = {}
        self._keys: list[str] = []
        self._versions: dict[str, Version] = {}
        self.bytes = 0
        self.sourced: set[str] = set()
        """Keys that the market put, and so may take back."""

    def __len__(self) -> int:
        return len(self._entries)

    def __iter__(self) -> Iterator[str]:
        return iter(self._keys)

    def holds(self, key: str, data: bytes) -> bool:
        """Whether a key has just this value."""
        entry = self._entries.get(key)
        return entry is not None and entry.data == data

    def get(self, key: str) -> Publication | None:
        return self._entries.get(key)

    def objection(self, key: str, mode: KeyMode, version: Version | None) -> Suppression | None:
        """Why a publication to the key would not be taken."""
        if mode is KeyMode.IF_NEW and key in self._entries:
            return Suppression.KEY_EXISTS
        if mode is KeyMode.IF_EXISTS and key not in self._entries:
            return Suppression.KEY_NOT_FOUND
        known = self._versions.get(key)
        if version and known and version.epoch == known.epoch and version.number <= known.number:
            return Suppression.VERSION
        return None

    def put(self, publication: Publication, version: Version | None = None) -> Publication:
        """Set its key to a publication; returns it with its position.

        Raises:
            ValueError: the key is empty or too long, or the state would grow past its bounds.
        """
        self._check(publication)
        placed = replace(publication, offset=self.stream.offset + 1)
        if self._take_out(placed.key) is None:
            insort(self._keys, placed.key)
        self._entries[placed.key] = placed
        if version is not None:
            self._versions[placed.key] = version
        self.bytes += placed.size_bytes
        self.stream.append(placed)
        return placed

    def _check(self, publication: Publication) -> None:
        key = publication.key
        if not 0 < len(key.encode()) <= KEY_BYTES:
            raise ValueError(f"key {key[:40]!r} must have 1 to {KEY_BYTES} bytes")
        before = self._entries.get(key)
        if before is None and len(self._entries) >= self._key_limit:
            raise ValueError(f"it has {self._key_limit} keys, its limit (key_limit): remove some")
        size = self.bytes + publication.size_bytes - (before.size_bytes if before else 0)
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
        self._versions.pop(key, None)
        self.sourced.discard(key)
        told = Publication(
            b"null", kind, stamp_ns, self.stream.offset + 1, tags=gone.tags, key=key, removed=True
        )
        self.stream.append(told)
        return told

    def _take_out(self, key: str) -> Publication | None:
        gone = self._entries.pop(key, None)
        if gone is not None:
            self.bytes -= gone.size_bytes
        return gone

    def renew(self, key: str, stamp_ns: int) -> bool:
        """Let a key live on as if it had been written now; False for an unknown one."""
        entry = self._entries.pop(key, None)
        if entry is not None:
            self._entries[key] = replace(entry, stamp_ns=stamp_ns)
        return entry is not None

    def expire(self, now_ns: int) -> list[Publication]:
        """Remove what was not written in time; returns the publications that tell of it."""
        if not self._ttl_ns:
            return []
        oldest_ns = now_ns - self._ttl_ns
        late = list(takewhile(lambda entry: entry.stamp_ns <= oldest_ns, self._entries.values()))
        return [told for entry in late if (told := self.remove(entry.key, entry.kind, now_ns))]

    def clear(self, kind: str, stamp_ns: int) -> list[Publication]:
        """Take out every key; returns the publications that tell of it."""
        return [told for key in list(self._keys) if (told := self.remove(key, kind, stamp_ns))]

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
            room -= entry.size_bytes
            if entries and (room < 0 or len(entries) == count):
                return Page(entries, entries[-1].key)
            entries.append(entry)
        return Page(entries, "")

    def since(self, offset: int, epoch: str, now_ns: int, *, limit: int | None = None) -> list[Publication]:
        """The changes after a position, oldest first: all, or the first `limit`.

        Raises:
            StreamLost: the position is of another stream, or some of what came after it is gone.
        """
        if epoch != self.stream.epoch or offset > self.stream.offset:
            raise StreamLost
        changes = self.stream.read(now_ns, since=offset, limit=limit, reverse=False)
        if (changes[0].offset if changes else self.stream.offset + 1) != offset + 1:
            raise StreamLost
        return changes
