"""One simulated market: a fair price that wanders, quotes that follow it, trades that take them.

A side of the book is a run of neighbouring levels, so growing and shrinking at either end is
all that ever happens to it, and bids can't cross asks: a side only advances into a gap.
"""

from collections import deque
from math import floor
from random import Random

from monitor.events import BookDelta, BookSnapshot, Level, MarketListed, Side, Ticker, Trade
from monitor.feeds.simulator.catalogue import VENUE, MarketSpec

DEPTH = 60
_PULL = 0.004
"""How much of its distance to the anchor the fair price gives back with each trade."""
_TREND_SHARE = 0.12
"""A trend's strength beside the noise of one trade; over its life it moves more than the noise."""
_TREND_CHANGE = 1 / 150
"""How likely a trade is to begin another trend."""
_MARGIN_LEVELS = 6
"""The fair price stays this far from both ends of the scale."""


class Ladder:
    """One side of a book, from its best level outward; `direction` is +1 for asks, -1 for bids."""

    def __init__(self, direction: int, best: int, end: int) -> None:
        self.direction = direction
        self.best = best
        self.sizes: deque[int] = deque()
        self.changed: dict[int, int] = {}
        self._end = end

    def index(self, depth: int) -> int:
        return self.best + depth * self.direction

    def has_room(self) -> bool:
        return len(self.sizes) < DEPTH and self.index(len(self.sizes)) != self._end + self.direction

    def grow(self, size: int) -> None:
        """Add a level at the far end."""
        self.changed[self.index(len(self.sizes))] = size
        self.sizes.append(size)

    def advance(self, size: int) -> None:
        """Add a level before the best one, and let go the one beyond the depth."""
        self.best -= self.direction
        self.sizes.appendleft(size)
        self.changed[self.best] = size
        if len(self.sizes) > DEPTH:
            self.sizes.pop()
            self.changed[self.index(len(self.sizes))] = 0

    def retreat(self) -> None:
        """Take the best level away."""
        self.changed[self.best] = 0
        self.sizes.popleft()
        self.best += self.direction

    def resize(self, depth: int, size: int) -> None:
        self.sizes[depth] = size
        self.changed[self.index(depth)] = size


class FairPrice:
    """What a market is worth, in levels: noise and a passing trend around an anchor that drifts."""

    def __init__(self, spec: MarketSpec, random: Random) -> None:
        self.index = self._anchor = spec.price / spec.step
        self._random = random
        self._volatility = spec.volatility
        self._lowest = 1.0 + _MARGIN_LEVELS
        self._highest = float(spec.levels - _MARGIN_LEVELS)
        self._trend = 0.0

    def wander(self) -> None:
        """Move by one trade."""
        random, volatility = self._random, self._volatility
        if random.random() < _TREND_CHANGE:
            self._trend = random.gauss(0, _TREND_SHARE * volatility)
        self._anchor = self._within_scale(self._anchor + random.gauss(0, volatility * 0.1))
        pull = _PULL * (self._anchor - self.index)
        self.index = self._within_scale(self.index + random.gauss(self._trend, volatility) + pull)

    def _within_scale(self, index: float) -> float:
        return max(self._lowest, min(self._highest, index))


class SimulatedMarket:
    """A market's fair price, book and counters; all chance comes from the one `random`."""

    def __init__(self, spec: MarketSpec, random: Random) -> None:
        self.spec = spec
        self.last = spec.price
        self.volume = 0
        self._random = random
        self._fair = FairPrice(spec, random)
        self._trades = 0
        self.bids, self.asks = self._ladders()

    @property
    def is_changed(self) -> bool:
        return bool(self.bids.changed or self.asks.changed)

    @property
    def best_ask(self) -> int:
        return self._price(self.asks.best)

    @property
    def best_bid(self) -> int:
        return self._price(self.bids.best)

    def listing(self) -> MarketListed:
        spec = self.spec
        return MarketListed(VENUE, spec.market, spec.price_decimals, spec.size_decimals, spec.title)

    def trade(self, time_ms: int) -> Trade:
        """Let the fair price wander, the quotes follow, and somebody take from the best level."""
        self._fair.wander()
        self._follow()
        lean = self._fair.index - (self.bids.best + self.asks.best) / 2
        is_buy = self._random.random() < 0.5 + max(-0.4, min(0.4, lean * 0.4))
        ladder = self.asks if is_buy else self.bids
        size = min(self._trade_size(), ladder.sizes[0])
        price = self._price(ladder.best)
        self._take(ladder, size)
        return self._print(price, size, Side.BUY if is_buy else Side.SELL, time_ms)

    def past_trade(self, time_ms: int) -> Trade:
        """A trade from before the book was there, at the fair price."""
        self._fair.wander()
        side = Side.BUY if self._random.random() < 0.5 else Side.SELL
        return self._print(self._price(round(self._fair.index)), self._trade_size(), side, time_ms)

    def churn(self) -> None:
        """Makers change their minds: a few levels get another size, mostly near the best."""
        if self.asks.best - self.bids.best > 1:
            self._tighten()
        for ladder in (self.bids, self.asks):
            depth = min(int(self._random.expovariate(0.15)), len(ladder.sizes) - 1)
            ladder.resize(depth, self._level_size(depth))

    def open_book(self) -> None:
        """Quote around the fair price as it is now."""
        self.bids, self.asks = self._ladders()
        self._fill()

    def snapshot(self, time_ms: int) -> BookSnapshot:
        bids, asks = self._levels(self.bids), self._levels(self.asks)
        self.bids.changed.clear()
        self.asks.changed.clear()
        return BookSnapshot(VENUE, self.spec.market, bids, asks, time_ms)

    def delta(self, time_ms: int) -> BookDelta:
        """What changed since the last delta or snapshot."""
        return BookDelta(VENUE, self.spec.market, self._changes(self.bids), self._changes(self.asks), time_ms)

    def ticker(self, time_ms: int) -> Ticker:
        return Ticker(
            VENUE,
            self.spec.market,
            time_ms,
            self.best_bid,
            self.bids.sizes[0],
            self.best_ask,
            self.asks.sizes[0],
            self.last,
            self.volume,
        )

    def _ladders(self) -> tuple[Ladder, Ladder]:
        bid = floor(self._fair.index)
        return Ladder(-1, bid, 1), Ladder(1, bid + 1, self.spec.levels)

    def _follow(self) -> None:
        """Bring the quotes to the fair price: none beyond it, and no wide gap around it."""
        bid = floor(self._fair.index)
        while self.bids.best > bid + 1 and len(self.bids.sizes) > 1:
            self.bids.retreat()
        while self.asks.best < bid and len(self.asks.sizes) > 1:
            self.asks.retreat()
        while self.asks.best - self.bids.best > 2:
            self._tighten()
        self._fill()

    def _take(self, ladder: Ladder, size: int) -> None:
        rest = ladder.sizes[0] - size
        if rest or len(ladder.sizes) == 1:
            ladder.resize(0, rest or self._level_size(0))
        else:
            ladder.retreat()
            self._fill()

    def _tighten(self) -> None:
        middle = (self.bids.best + self.asks.best) / 2
        ladder = self.bids if self._fair.index > middle else self.asks
        ladder.advance(self._level_size(0))

    def _fill(self) -> None:
        for ladder in (self.bids, self.asks):
            while ladder.has_room():
                ladder.grow(self._level_size(len(ladder.sizes)))

    def _print(self, price: int, size: int, side: Side, time_ms: int) -> Trade:
        self._trades += 1
        self.last = price
        self.volume += size
        return Trade(VENUE, self.spec.market, str(self._trades), price, size, side, time_ms)

    def _level_size(self, depth: int) -> int:
        scale = self.spec.typical_size * (0.4 + depth / 20)
        return max(1, int(scale * self._random.lognormvariate(0, 0.7)))

    def _trade_size(self) -> int:
        return max(1, int(self.spec.typical_size * 0.12 * self._random.lognormvariate(0, 1.2)))

    def _price(self, index: int) -> int:
        """A level's price: evenly spaced, but for a fixed offset that makes it look like a venue's."""
        step = self.spec.step
        return index * step + (index * 2_654_435_761 >> 7) % step

    def _levels(self, ladder: Ladder) -> list[Level]:
        return [(self._price(ladder.index(depth)), size) for depth, size in enumerate(ladder.sizes)]

    def _changes(self, ladder: Ladder) -> list[Level]:
        changes = [(self._price(index), size) for index, size in ladder.changed.items()]
        ladder.changed.clear()
        return changes
