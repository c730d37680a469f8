"""Binance spot: trades, books, best prices and day figures of a list of symbols.

Decides what each stream of the combined connection means, and which silence is suspicious: what
one stream shows, another owes. Prices and sizes have 8 decimals at Binance, always; a number with
more is refused rather than rounded.
"""

import re
from collections.abc import Callable, Sequence
from typing import Any

import httpx
import orjson
import trio

from monitor.clock import wall_ms
from monitor.config import BinanceSettings
from monitor.errors import FeedError
from monitor.events import (
    BookDelta,
    BookSnapshot,
    BookStatus,
    Event,
    Level,
    MarketListed,
    Side,
    Ticker,
    Trade,
)
from monitor.feeds.book_sync import BookSync, Update
from monitor.feeds.dialect import Dialect, Fetch, Garbage, Reconnect, Send, moment, scaled, whole
from monitor.feeds.feed import Dial, Route, Sink, dial, run_feed
from monitor.feeds.rest import get, open_rest
from monitor.health.feeds import FeedHealth, Subscription

VENUE = "binance"
DECIMALS = 8
STREAMS_PER_COMMAND = 200
"""Keeps a SUBSCRIBE near 5 KB; a connection may hold 1,024 streams."""
DEEP_LEVELS, DEEP_SYMBOLS, SHALLOW_LEVELS = 5_000, 20, 1_000
"""A snapshot of 5,000 levels weighs 250 of the 6,000 a minute that an address has, of 1,000 levels 50."""
LEVELS_AT_ONCE = 250
"""Read between two looks at other tasks, about 0.2 ms."""
_ALL_EIGHT = re.compile(r"\d{1,20}\.\d{8}(?:,\d{1,20}\.\d{8})*", re.ASCII)

Handler = Callable[[Any, int], Sequence[Event]]


async def run_binance(
    settings: BinanceSettings,
    sink: Sink,
    health: FeedHealth,
    *,
    dial: Dial = dial,
    task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED,
) -> None:
    """Feed the symbols until cancelled."""
    dialect = BinanceDialect(settings.symbols, health)
    deep = len(settings.symbols) <= DEEP_SYMBOLS
    async with open_rest(settings.rest_url) as client:
        rest = Snapshots(client, dialect, DEEP_LEVELS if deep else SHALLOW_LEVELS)
        route = Route(f"{settings.url}/stream", fetch=rest.fetch)
        await run_feed(dialect, route, sink, dial=dial, task_status=task_status)


class _Market:
    """What the streams of one symbol have told so far."""

    __slots__ = ("book", "depth", "last_price", "last_trade_id", "mini", "symbol", "top", "trades")

    def __init__(self, symbol: str, health: FeedHealth) -> None:
        name = symbol.lower()
        self.symbol = symbol
        self.book = BookSync(VENUE, symbol)
        self.trades = health.subscription(f"{name}@trade")
        self.depth = health.subscription(f"{name}@depth@100ms")
        self.top = health.subscription(f"{name}@bookTicker")
        self.mini = health.subscription(f"{name}@miniTicker")
        self.last_trade_id: int | None = None
        self.last_price: int | None = None

    @property
    def subscriptions(self) -> tuple[Subscription, ...]:
        return self.trades, self.depth, self.top, self.mini


class BinanceDialect(Dialect):
    """The combined stream; asks for a snapshot with `Fetch` and takes it by `restore`."""

    pace_seconds = 0.25
    """The venue cuts who sends more than 5 messages a second, pings included."""
    lifetime_seconds = 23.5 * 3_600
    """The venue cuts at 24 h, in the middle of whatever is going on."""

    def __init__(self, symbols: Sequence[str], health: FeedHealth) -> None:
        super().__init__(health)
        self._markets = {symbol: _Market(symbol, health) for symbol in symbols}
        self._handlers = self._bind()
        self._unlisted = list(self._markets)
        self._unanswered: dict[int, list[str]] = {}

    @property
    def unanswered(self) -> int:
        return len(self._unanswered)

    def connect(self) -> list[Event]:
        self.commands.clear()
        self._unanswered.clear()
        for market in self._markets.values():
            market.last_trade_id = None
        streams = [stream.name for market in self._markets.values() for stream in market.subscriptions]
        for start in range(0, len(streams), STREAMS_PER_COMMAND):
            self._subscribe(streams[start : start + STREAMS_PER_COMMAND])
        listed = [MarketListed(VENUE, symbol, DECIMALS, DECIMALS, symbol) for symbol in self._unlisted]
        self._unlisted.clear()
        return [*listed]

    def disconnect(self, cause: str) -> list[Event]:
        now_ms = wall_ms()
        return [event for market in self._markets.values() for event in market.book.disconnect(cause, now_ms)]

    def judge(self, now_ns: int) -> list[Event]:
        silent = [market for market in self._markets.values() if market.depth.is_overdue(now_ns)]
        return [event for market in silent for event in market.book.fall_silent("no depth", wall_ms())]

    def decode(self, message: Any, received_ns: int) -> Sequence[Event]:
        handler = self._handlers.get(message.get("stream"))
        if handler is not None:
            return handler(message["data"], received_ns)
        return self._control(message)

    def restore(self, symbol: str, update_id: int, bids: list[Level], asks: list[Level]) -> list[Event]:
        """The snapshot and what was buffered since; FeedError when the stream began after it."""
        book = self._markets[symbol].book
        events = book.restore(update_id, BookSnapshot(VENUE, symbol, bids, asks, wall_ms()))
        if events is None:
            raise FeedError(f"the snapshot at {update_id} is older than the stream's first update")
        self._note_gaps(symbol, events)
        return events

    def _bind(self) -> dict[str, Handler]:
        """What to do with each stream, looked up once a message."""

        def bound(market: _Market, method: Callable[[_Market, Any, int], Sequence[Event]]) -> Handler:
            return lambda data, received_ns: method(market, data, received_ns)

        handlers: dict[str, Handler] = {}
        for market in self._markets.values():
            handlers[market.trades.name] = bound(market, self._trade)
            handlers[market.depth.name] = bound(market, self._depth)
            handlers[market.top.name] = bound(market, self._top)
            handlers[market.mini.name] = bound(market, self._mini)
        return handlers

    def _subscribe(self, streams: list[str]) -> None:
        command = len(self._unanswered) + 1
        self._unanswered[command] = streams
        request = {"method": "SUBSCRIBE", "params": streams, "id": command}
        self.commands.append(Send(orjson.dumps(request).decode()))

    def _trade(self, market: _Market, data: Any, received_ns: int) -> Sequence[Event]:
        market.trades.hear(received_ns)
        trade_id = whole(data["t"])
        ((price, size),) = read_levels(((data["p"], data["q"]),))
        side = Side.SELL if data["m"] else Side.BUY
        time_ms = moment(data["T"])
        last_id = market.last_trade_id
        if last_id is not None:
            if trade_id <= last_id:
                return ()
            if missing := trade_id - last_id - 1:
                self.health.miss(f"{missing} trades of {market.symbol}")
        market.last_trade_id = trade_id
        market.last_price = price
        market.depth.owe(received_ns)
        market.top.owe(received_ns)
        return (Trade(VENUE, market.symbol, str(trade_id), price, size, side, time_ms),)

    def _depth(self, market: _Market, data: Any, received_ns: int) -> Sequence[Event]:
        market.depth.hear(received_ns)
        bids, asks = read_levels(data["b"]), read_levels(data["a"])
        delta = BookDelta(VENUE, market.symbol, bids, asks, moment(data["E"]))
        update = Update(whole(data["U"]), whole(data["u"]), delta)
        if update.first_id > update.last_id:
            raise Garbage("depth update that ends before it starts")
        events = market.book.apply(update)
        if len(events) > 1 or market.book.status is not BookStatus.SYNCED:
            self._note_gaps(market.symbol, events)
        return events

    def _top(self, market: _Market, data: Any, received_ns: int) -> Sequence[Event]:
        market.top.hear(received_ns)
        if whole(data["u"]) > market.book.last_id:
            market.depth.owe(received_ns)
        pairs = (data["b"], data["B"]), (data["a"], data["A"])
        (bid, bid_size), (ask, ask_size) = read_levels(pairs)
        return (Ticker(VENUE, market.symbol, wall_ms(), bid, bid_size, ask, ask_size),)

    def _mini(self, market: _Market, data: Any, received_ns: int) -> Sequence[Event]:
        market.mini.hear(received_ns)
        ((last, volume),) = read_levels(((data["c"], data["v"]),))
        if market.last_price is not None and market.last_price != last:
            market.trades.owe(received_ns)
        market.last_price = last
        return (Ticker(VENUE, market.symbol, moment(data["E"]), last=last, volume=volume),)

    def _note_gaps(self, symbol: str, events: Sequence[Event]) -> None:
        """Ask for a snapshot when the events end in a lost book."""
        if any(getattr(event, "status", None) is BookStatus.GAP for event in events):
            self.health.miss(f"changes of the book of {symbol}")
            self.commands.append(Fetch(symbol))

    def _control(self, message: Any) -> Sequence[Event]:
        if "result" in message or "code" in message or "error" in message:
            return self._answer(message)
        data = message.get("data", message)
        if data.get("e") == "serverShutdown":
            self.commands.append(Reconnect("the venue announced that its server goes away"))
            return ()
        raise Garbage("unknown stream" if "stream" in message else "unknown message")

    def _answer(self, message: Any) -> Sequence[Event]:
        streams = self._unanswered.pop(message.get("id"), [])
        if message.get("result", "") is not None:
            self.complain("the venue refused a subscription", str(message.get("error", message))[:300])
            return ()
        symbols = [stream.partition("@")[0].upper() for stream in streams if "@depth" in stream]
        return [event for symbol in symbols for event in self._resync(symbol)]

    def _resync(self, symbol: str) -> list[Event]:
        self.commands.append(Fetch(symbol))
        return self._markets[symbol].book.resync(wall_ms(), "subscribed")


def read_levels(pairs: Sequence[Sequence[str]]) -> list[Level]:
    """`[["61837.63000000", "3.78800000"], …]`, in one go where the numbers have all their decimals.

    One by one costs three times as much, and levels are most of what Binance sends.
    """
    text = ",".join([number for price, size in pairs for number in (price, size)])
    if _ALL_EIGHT.fullmatch(text) is None:
        return [(scaled(price, DECIMALS), scaled(size, DECIMALS)) for price, size in pairs]
    numbers = map(int, text.replace(".", "").split(","))
    return list(zip(numbers, numbers, strict=True))


class Snapshots:
    """The REST side: one order book at a time, within the address's weight."""

    def __init__(self, client: httpx.AsyncClient, dialect: BinanceDialect, depth: int) -> None:
        self._client = client
        self._dialect = dialect
        self._depth = depth

    async def fetch(self, symbol: str) -> list[Event]:
        """The book's snapshot joined with its stream; FeedError when it must be tried again."""
        body = await get(self._client, "/api/v3/depth", {"symbol": symbol, "limit": str(self._depth)})
        try:
            snapshot = orjson.loads(body)
            bids, asks = await _read_levels(snapshot["bids"]), await _read_levels(snapshot["asks"])
            update_id = whole(snapshot["lastUpdateId"])
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise FeedError(f"the snapshot is not one ({type(error).__name__})") from None
        return self._dialect.restore(symbol, update_id, bids, asks)


async def _read_levels(pairs: list[list[str]]) -> list[Level]:
    read: list[Level] = []
    for start in range(0, len(pairs), LEVELS_AT_ONCE):
        read += read_levels(pairs[start : start + LEVELS_AT_ONCE])
        await trio.lowlevel.checkpoint()
    return read
