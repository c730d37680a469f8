"""Binance's documented way to a local order book: snapshot, buffer, contiguous update ids.

Decides which updates count. It prevents the book that looks alive and is wrong: an update that
does not follow the last one invalidates the book until a fresh snapshot joins the stream.
"""

from collections import deque
from typing import NamedTuple

from monitor.events import BookDelta, BookSnapshot, BookStatus, BookStatusChanged, Event

BUFFER_LIMIT = 8_192
"""Updates kept while a snapshot is under way: 13 minutes at 10/s. The oldest go first; a snapshot
that needed them is refused and fetched again."""


class Update(NamedTuple):
    """One depthUpdate: the ids it covers (`U`, `u`), and what it changes."""

    first_id: int
    last_id: int
    delta: BookDelta


class BookSync:
    """One market's book; `is_synced` says whether updates pass."""

    __slots__ = ("_buffer", "_is_silent", "_market", "_venue", "last_id", "status")

    def __init__(self, venue: str, market: str) -> None:
        self._venue = venue
        self._market = market
        self._buffer: deque[Update] = deque(maxlen=BUFFER_LIMIT)
        self._is_silent = False
        self.last_id = 0
        self.status = BookStatus.STALE

    def apply(self, update: Update) -> list[Event]:
        """What to pass on: the delta, nothing (old, or buffered), or GAP and RESYNC."""
        if self.status is not BookStatus.SYNCED:
            self._buffer.append(update)
            return []
        if update.last_id <= self.last_id:
            return []
        if update.first_id > self.last_id + 1:
            return self._lose(update)
        self.last_id = update.last_id
        if self._is_silent:
            self._is_silent = False
            return [self._become(BookStatus.SYNCED, "updates again", update.delta.time_ms), update.delta]
        return [update.delta]

    def resync(self, time_ms: int, cause: str) -> list[Event]:
        """Start buffering for a snapshot that is now being fetched."""
        self._buffer.clear()
        return [self._become(BookStatus.RESYNC, cause, time_ms)]

    def restore(self, snapshot_id: int, snapshot: BookSnapshot) -> list[Event] | None:
        """The snapshot and what was buffered since; None when it is older than the stream's start."""
        while self._buffer and self._buffer[0].last_id <= snapshot_id:
            self._buffer.popleft()
        if self._buffer and self._buffer[0].first_id > snapshot_id + 1:
            return None
        buffered, self._buffer = self._buffer, deque(maxlen=BUFFER_LIMIT)
        self.status = BookStatus.SYNCED
        self.last_id = snapshot_id
        return [snapshot, *(event for update in buffered for event in self.apply(update))]

    def fall_silent(self, cause: str, time_ms: int) -> list[Event]:
        """Show a synced book as stale until its next update, which may still follow on."""
        if self.status is not BookStatus.SYNCED or self._is_silent:
            return []
        self._is_silent = True
        return [BookStatusChanged(self._venue, self._market, BookStatus.STALE, cause, time_ms)]

    def disconnect(self, cause: str, time_ms: int) -> list[Event]:
        """Give the book up until the next `resync`."""
        if self.status is BookStatus.STALE:
            return []
        return [self._become(BookStatus.STALE, cause, time_ms)]

    def _lose(self, update: Update) -> list[Event]:
        cause = f"update {update.first_id} after {self.last_id}"
        gap = self._become(BookStatus.GAP, cause, update.delta.time_ms)
        resync = self.resync(update.delta.time_ms, cause)
        self._buffer.append(update)
        return [gap, *resync]

    def _become(self, status: BookStatus, cause: str, time_ms: int) -> BookStatusChanged:
        self.status = status
        self._is_silent = False
        return BookStatusChanged(self._venue, self._market, status, cause, time_ms)
