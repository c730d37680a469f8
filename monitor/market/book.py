"""One market's exact order book: all levels kept, the best 50 a side shown.

A book is trusted only from a snapshot on and until a gap: in between its old levels stay for
the eye, marked, and deltas are ignored, because a book rebuilt from half of its changes looks
right and is wrong.
"""

from bisect import bisect_left, insort
from collections.abc import Iterable

from monitor.events import BookDelta, BookIncrement, BookSnapshot, BookStatus, BookStatusChanged, Level, Side
from monitor.market.decimals import decimal_text
from monitor.market.view import Sections

DEPTH_SHOWN = 50


class BookSide:
    """Sizes by price, with the prices kept in order so that the best is last.

    A bid's key is its price and an ask's is its negated price: changes cluster near the best
    price, and there a list grows and shrinks without moving its thousands of other entries.
    """

    __slots__ = ("_keys", "_sign", "_sizes")

    def __init__(self, sign: int) -> None:
        self._sign = sign
        self._keys: list[int] = []
        self._sizes: dict[int, int] = {}

    def __len__(self) -> int:
        return len(self._keys)

    def replace(self, levels: Iterable[Level]) -> None:
        sizes = dict(levels)
        if 0 in sizes.values():
            sizes = {price: size for price, size in sizes.items() if size}
        self._sizes = sizes
        # Venues send their levels in order; to see that is all that sorting does then.
        prices = sorted(sizes, reverse=self._sign < 0)
        self._keys = prices if self._sign > 0 else [-price for price in prices]

    def set(self, levels: Iterable[Level]) -> bool:
        """Set absolute sizes, 0 removes; True when a shown level changed."""
        keys, sizes, sign = self._keys, self._sizes, self._sign
        floor = keys[-DEPTH_SHOWN] if len(keys) >= DEPTH_SHOWN else None
        is_seen = False
        for price, size in levels:
            key = price * sign
            if size:
                if price not in sizes:
                    insort(keys, key)
                sizes[price] = size
            elif sizes.pop(price, None) is None:
                continue
            else:
                del keys[bisect_left(keys, key)]
            if floor is None or key >= floor:
                is_seen = True
        return is_seen

    def size_at(self, price: int) -> int:
        return self._sizes.get(price, 0)

    def top(self, depth: int = DEPTH_SHOWN) -> list[Level]:
        """The best levels, best first."""
        sign, sizes = self._sign, self._sizes
        return [(key * sign, sizes[key * sign]) for key in self._keys[: -depth - 1 : -1]]


class Book:
    """Both sides and what they are worth."""

    def __init__(self, price_decimals: int, size_decimals: int, now_ms: int) -> None:
        self.bids = BookSide(1)
        self.asks = BookSide(-1)
        self.status = BookStatus.STALE
        self.since_ms = now_ms
        self.time_ms = 0
        self.version = 0
        self._is_continuous = False
        self._price_decimals = price_decimals
        self._size_decimals = size_decimals

    def replace(self, snapshot: BookSnapshot, now_ms: int) -> None:
        self.bids.replace(snapshot.bids)
        self.asks.replace(snapshot.asks)
        self._is_continuous = True
        self._touch(snapshot.time_ms)
        self._become(BookStatus.SYNCED, now_ms)

    def change(self, delta: BookDelta, now_ms: int) -> None:
        if not self._is_continuous:
            return
        are_bids_seen = self.bids.set(delta.bids)
        if self.asks.set(delta.asks) or are_bids_seen:
            self._touch(delta.time_ms)
        self._become(BookStatus.SYNCED, now_ms)

    def increment(self, event: BookIncrement, now_ms: int) -> None:
        """Add a signed change to one level; a size below nothing proves that something was missed."""
        if not self._is_continuous:
            return
        side = self.bids if event.side is Side.BUY else self.asks
        size = side.size_at(event.price) + event.change
        if size < 0:
            self._break(BookStatus.GAP, now_ms)
            return
        if side.set([(event.price, size)]):
            self._touch(event.time_ms)
        self._become(BookStatus.SYNCED, now_ms)

    def judge(self, event: BookStatusChanged, now_ms: int) -> None:
        """Take the feed's word; SYNCED only while nothing was missed since the snapshot."""
        if event.status in (BookStatus.GAP, BookStatus.RESYNC):
            self._break(event.status, now_ms)
        elif event.status is BookStatus.STALE or self._is_continuous:
            self._become(event.status, now_ms)

    def sections(self, depth: int = DEPTH_SHOWN) -> Sections:
        return {
            "status": self.status,
            "since": self.since_ms,
            "time": self.time_ms,
            "bids": self._texts(self.bids, depth),
            "asks": self._texts(self.asks, depth),
        }

    def _texts(self, side: BookSide, depth: int) -> dict[str, str]:
        price_decimals, size_decimals = self._price_decimals, self._size_decimals
        return {
            decimal_text(price, price_decimals): decimal_text(size, size_decimals)
            for price, size in side.top(depth)
        }

    def _touch(self, time_ms: int) -> None:
        self.version += 1
        self.time_ms = time_ms

    def _break(self, status: BookStatus, now_ms: int) -> None:
        self._is_continuous = False
        self._become(status, now_ms)

    def _become(self, status: BookStatus, now_ms: int) -> None:
        if status is not self.status:
            self.status = status
            self.since_ms = now_ms
            self.version += 1


class NoBook:
    """What is shown of a market that nobody has listed yet."""

    version = 0

    def sections(self, depth: int = DEPTH_SHOWN) -> Sections:
        return {"status": BookStatus.STALE, "since": None, "time": None, "bids": {}, "asks": {}}
