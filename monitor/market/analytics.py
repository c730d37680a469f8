"""Trades and turnover of all markets together, by minute for an hour and by hour for a day.

Buckets follow the newest trade's own time, never the clock on the wall: a recorded session
has its own now. The busier the market, the oftener the changed buckets are sent.
"""

from dataclasses import dataclass

from monitor.market.decimals import quote_text
from monitor.market.view import Sections

_BUSY_TRADES_A_MINUTE = 100
_CALM_TRADES_A_MINUTE = 20
_MINUTE_MS = 60_000


@dataclass(slots=True)
class Bucket:
    trades: int = 0
    buys: int = 0
    value: int = 0

    def shown(self) -> dict[str, int | str]:
        return {"trades": self.trades, "buys": self.buys, "volume": quote_text(self.value)}


_EMPTY = Bucket()


class Series:
    """The last `count` buckets of `bucket_seconds` each, empty ones included."""

    def __init__(self, bucket_seconds: int, count: int) -> None:
        self.version = 0
        self.bucket_seconds = bucket_seconds
        self._count = count
        self._bucket_ms = bucket_seconds * 1_000
        self._buckets: dict[int, Bucket] = {}
        self._newest_ms = -1

    def add(self, time_ms: int, trades: int, buys: int, value: int) -> None:
        """Count into the bucket of `time_ms`; what is older than the window is left out."""
        start_ms = time_ms - time_ms % self._bucket_ms
        if start_ms > self._newest_ms:
            self._advance(start_ms)
        elif start_ms < self._oldest_ms():
            return
        bucket = self._buckets.get(start_ms)
        if bucket is None:
            bucket = self._buckets[start_ms] = Bucket()
        bucket.trades += trades
        bucket.buys += buys
        bucket.value += value
        self.version += 1

    def sections(self) -> Sections:
        return {"bucket_seconds": self.bucket_seconds, "buckets": self._shown()}

    def trades_at(self, time_ms: int) -> int:
        return self._buckets.get(time_ms - time_ms % self._bucket_ms, _EMPTY).trades

    def _shown(self) -> dict[str, dict[str, int | str]]:
        if self._newest_ms < 0:
            return {}
        starts = range(self._oldest_ms(), self._newest_ms + 1, self._bucket_ms)
        return {str(start_ms): self._buckets.get(start_ms, _EMPTY).shown() for start_ms in starts}

    def _oldest_ms(self) -> int:
        return self._newest_ms - (self._count - 1) * self._bucket_ms

    def _advance(self, start_ms: int) -> None:
        self._newest_ms = start_ms
        oldest_ms = self._oldest_ms()
        for old_ms in [start for start in self._buckets if start < oldest_ms]:
            del self._buckets[old_ms]


class Analytics:
    """Both series and the pace at which they are worth sending."""

    def __init__(self) -> None:
        self.hour = Series(60, 60)
        self.day = Series(3_600, 24)
        self._newest_ms = 0

    def add_trade(self, time_ms: int, is_buy: bool, value: int) -> None:
        self._newest_ms = max(self._newest_ms, time_ms)
        self.hour.add(time_ms, 1, is_buy, value)
        self.day.add(time_ms, 1, is_buy, value)

    def add_turnover(self, start_ms: int, seconds: int, trades: int, buys: int, value: int) -> None:
        """Count a past bucket into the series that has buckets of its length."""
        for series in (self.hour, self.day):
            if series.bucket_seconds == seconds:
                series.add(start_ms, trades, buys, value)

    def trades_a_minute(self) -> float:
        """This minute's trades and, of the last minute's, the share that is less than a minute old."""
        minute_ms = self._newest_ms % _MINUTE_MS
        before = self.hour.trades_at(self._newest_ms - _MINUTE_MS)
        return self.hour.trades_at(self._newest_ms) + before * (1 - minute_ms / _MINUTE_MS)

    def slowdown(self) -> float:
        """How many times the least interval should pass between two publications."""
        rate = self.trades_a_minute()
        if rate > _BUSY_TRADES_A_MINUTE:
            return 1.0
        return 2.5 if rate > _CALM_TRADES_A_MINUTE else 5.0
