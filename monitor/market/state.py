"""Events in; what goes out at once, and a view of everything that is kept, out.

Pure: no socket, no task, no clock; `now_ms` is an argument. What costs more than a few
microseconds (texts, patches, rankings) is done when somebody looks, not when a venue speaks.
"""

from collections.abc import Callable, Iterator
from operator import methodcaller
from typing import Any, NamedTuple

from monitor.errors import FeedError
from monitor.events import (
    AccountPast,
    BookDelta,
    BookIncrement,
    BookSnapshot,
    BookStatusChanged,
    BotCycle,
    BotLifecycle,
    BotStatus,
    Event,
    FillsMissing,
    MarketListed,
    OrderFill,
    OrdersListed,
    OrderUpdate,
    Side,
    Ticker,
    Trade,
    Turnover,
)
from monitor.market.analytics import Analytics
from monitor.market.book import DEPTH_SHOWN, Book, NoBook
from monitor.market.bots import Bots, tell_cycle, tell_lifecycle, tell_status
from monitor.market.hot import HotMarkets
from monitor.market.market import Market
from monitor.market.orders import Orders, fill_key, tell_fill, tell_update
from monitor.market.payload import encode_payload
from monitor.market.sparkline import SparklineBoard
from monitor.market.tape import Tape
from monitor.market.ticker import TickerState
from monitor.market.told import BadTold, Told, read_told
from monitor.market.view import LatestView, MapView, StateView, StreamView, View

MARKET_LIMIT = 20_000
"""Twice what one venue can be asked for; a book of 50 levels takes about 20 KB."""


ACCOUNT_LIMIT = 10_000
"""Of those that backends tell of; the settings name the others."""


def _nothing() -> None:
    pass


class Publication(NamedTuple):
    """What goes out at once."""

    channel: str
    kind: str
    payload: bytes
    key: str = ""
    """What it is known by in its channel, where it must not go out twice."""
    note: Callable[[], None] = _nothing
    """Makes it part of the state; called in the step in which it goes out, so that nobody who comes
    meanwhile starts from what is not yet out, and is then sent it again."""
    is_known: bool = False
    """A fill that is part of the state already."""

    @property
    def is_told_once(self) -> bool:
        """Whether it must not be lost, as one trade of many may: it is part of an account's state."""
        return self.note is not _nothing


class Account:
    """One account's orders and bots."""

    __slots__ = ("bots", "orders")

    def __init__(self, *, awaits_past: bool = False) -> None:
        self.orders = Orders(awaits_past=awaits_past)
        self.bots = Bots(awaits_past=awaits_past)

    def recall(self, before: "Account") -> None:
        """Be as if what `before` was told had been told first; it is used up by that."""
        self.orders.recall(before.orders)
        self.bots.recall(before.bots)


class MarketState:
    """All venues' state.

    `interval_ms` names a channel's least time between two changes; analytics stretches it when
    trades are few.
    """

    def __init__(self, interval_ms: Callable[[str], int]) -> None:
        self._interval_ms = interval_ms
        self._markets: dict[str, Market] = {}
        self._accounts: dict[str, Account] = {}
        self._heard: list[str] = []
        self._awaits_past = False
        self._tape = Tape()
        self._hot = HotMarkets()
        self._sparklines = SparklineBoard()
        self._analytics = Analytics()
        self._appliers: dict[type, Callable[[Any, int], list[Publication]]] = {
            MarketListed: self._list,
            Trade: self._trade,
            Turnover: self._turnover,
            BookSnapshot: self._book_snapshot,
            BookDelta: self._book_delta,
            BookIncrement: self._book_increment,
            BookStatusChanged: self._book_status,
            Ticker: self._ticker,
            OrderUpdate: self._order_update,
            OrdersListed: self._orders_listed,
            OrderFill: self._order_fill,
            FillsMissing: self._fills_missing,
            BotStatus: self._bot_status,
            BotCycle: self._bot_cycle,
            BotLifecycle: self._bot_lifecycle,
        }

    def apply(self, event: Event, now_ms: int) -> list[Publication]:
        """Take an event and return what goes out at once.

        Raises FeedError for a market that was not listed before, or one market too many.
        """
        return self._appliers[type(event)](event, now_ms)

    def view(self, channel: str, depth: int = DEPTH_SHOWN) -> View | None:
        """A view of a channel's state for as long as somebody watches; None when it is not ours.

        Of a book, at most `depth` levels a side are shown.
        """
        namespace, _, name = channel.partition(":")
        match namespace:
            case "book" | "ticker":
                return self._market_view(channel, namespace, name, depth)
            case "market":
                return self._shared_view(channel, name)
            case "orders" | "bots" | "botstate" | "open_orders" if name:
                return self._account_view(channel, namespace, name)
        return None

    def knows(self, channel: str) -> bool:
        """Whether there is anything to show in a channel: a market that was heard of, or what all share."""
        namespace, _, name = channel.partition(":")
        match namespace:
            case "book" | "ticker" | "trades":
                return name in self._markets or channel == "trades:all"
            case "market":
                return self._shared_view(channel, name) is not None
            case "orders" | "bots" | "botstate" | "open_orders":
                return name in self._accounts
        return False

    def take_heard(self) -> list[str]:
        """The markets and accounts that were heard of first since this was asked last."""
        heard, self._heard = self._heard, []
        return heard

    def _market_view(self, channel: str, namespace: str, key: str, depth: int) -> View | None:
        venue, _, market = key.partition(".")
        if not (venue and market):
            return None
        markets, interval = self._markets, self._interval(channel)
        if namespace == "book":
            no_book = NoBook()
            return StateView(
                lambda: markets[key].book if key in markets else no_book,
                interval,
                methodcaller("sections", depth),
            )
        no_ticker = TickerState(None)
        return LatestView(lambda: markets[key].ticker if key in markets else no_ticker, interval)

    def _shared_view(self, channel: str, name: str) -> View | None:
        interval = self._interval(channel)
        match name:
            case "hot":
                return StateView(lambda: self._hot, interval)
            case "sparkline":
                return StateView(lambda: self._sparklines, interval)
            case "analytics.hour" | "analytics.day":
                series = self._analytics.hour if name == "analytics.hour" else self._analytics.day
                return StateView(lambda: series, lambda: interval() * self._analytics.slowdown())
        return None

    def _account_view(self, channel: str, namespace: str, name: str) -> View:
        accounts, unknown = self._accounts, Account()
        interval = self._interval(channel)
        match namespace:
            case "orders":
                return StreamView(lambda: accounts.get(name, unknown).orders)
            case "bots":
                return StreamView(lambda: accounts.get(name, unknown).bots)
            case "botstate":
                return MapView(lambda: accounts.get(name, unknown).bots, interval)
        return MapView(lambda: accounts.get(name, unknown).orders.open, interval)

    def _interval(self, channel: str) -> Callable[[], float]:
        seconds = self._interval_ms(channel) / 1_000
        return lambda: seconds

    def _market(self, event: Any) -> Market:
        key = f"{event.venue}.{event.market}"
        try:
            return self._markets[key]
        except KeyError:
            raise FeedError(
                f"{key}: {type(event).__name__} before MarketListed; list a market first"
            ) from None

    def _account(self, name: str) -> Account:
        account = self._accounts.get(name)
        if account is None:
            account = self._accounts[name] = Account(awaits_past=self._awaits_past)
            self._heard.append(name)
        return account

    def _list(self, listing: MarketListed, now_ms: int) -> list[Publication]:
        market = Market(listing, now_ms)
        known = self._markets.get(market.key)
        if known is None and len(self._markets) >= MARKET_LIMIT:
            raise FeedError(f"{market.key}: more than {MARKET_LIMIT} markets; subscribe to fewer")
        if known is not None and known.has_scale_of(listing):
            known.title = listing.title
        else:
            self._markets[market.key] = market
            self._heard.append(market.key)
        return []

    def _trade(self, trade: Trade, now_ms: int) -> list[Publication]:
        market = self._market(trade)
        printed = self._tape.print(market, trade)
        if printed is None:
            return []
        self._count(market, trade, min(trade.time_ms, now_ms))
        return [
            Publication(f"trades:{market.key}", "trade", printed.of_market),
            Publication("trades:all", "trade", printed.of_all),
        ]

    def _count(self, market: Market, trade: Trade, time_ms: int) -> None:
        value = market.quote_value(trade.price * trade.size)
        if market.sparkline.add(trade.price, time_ms):
            self._sparklines.publish(market.key, market.sparkline)
        self._hot.add(market, value, time_ms)
        self._analytics.add_trade(time_ms, trade.taker_side is Side.BUY, value)

    def _turnover(self, turnover: Turnover, now_ms: int) -> list[Publication]:
        value = self._market(turnover).quote_value(turnover.value)
        start_ms = min(turnover.start_ms, now_ms)
        self._analytics.add_turnover(start_ms, turnover.seconds, turnover.trades, turnover.buys, value)
        return []

    def _book_snapshot(self, snapshot: BookSnapshot, now_ms: int) -> list[Publication]:
        self._market(snapshot).book.replace(snapshot, now_ms)
        return []

    def _book_delta(self, delta: BookDelta, now_ms: int) -> list[Publication]:
        self._market(delta).book.change(delta, now_ms)
        return []

    def _book_increment(self, increment: BookIncrement, now_ms: int) -> list[Publication]:
        self._market(increment).book.increment(increment, now_ms)
        return []

    def _book_status(self, changed: BookStatusChanged, now_ms: int) -> list[Publication]:
        self._market(changed).book.judge(changed, now_ms)
        return []

    def _ticker(self, ticker: Ticker, now_ms: int) -> list[Publication]:
        self._market(ticker).ticker.update(ticker)
        return []

    def _order_update(self, update: OrderUpdate, now_ms: int) -> list[Publication]:
        orders = self._account(update.account).orders
        told = orders.doubt(tell_update(self._market(update), update))
        return [] if orders.knows(told) else [_tell(f"orders:{update.account}", told, orders)]

    def _orders_listed(self, listed: OrdersListed, now_ms: int) -> list[Publication]:
        orders = self._account(listed.account).orders
        return [_tell(f"orders:{listed.account}", told, orders) for told in orders.gone(listed)]

    def _order_fill(self, fill: OrderFill, now_ms: int) -> list[Publication]:
        orders = self._account(fill.account).orders
        told = orders.doubt(tell_fill(self._market(fill), fill))
        if orders.knows(told):
            return []
        return [_tell(f"orders:{fill.account}", told, orders, fill_key(told))]

    def _fills_missing(self, missing: FillsMissing, now_ms: int) -> list[Publication]:
        self._account(missing.account).orders.miss(missing.venue, missing.since_ms)
        return []

    def _bot_status(self, status: BotStatus, now_ms: int) -> list[Publication]:
        told = tell_status(self._market(status), status)
        return [_tell(f"bots:{status.account}", told, self._account(status.account).bots)]

    def _bot_cycle(self, cycle: BotCycle, now_ms: int) -> list[Publication]:
        told = tell_cycle(self._market(cycle), cycle)
        return [_tell(f"bots:{cycle.account}", told, self._account(cycle.account).bots)]

    def _bot_lifecycle(self, lifecycle: BotLifecycle, now_ms: int) -> list[Publication]:
        told = tell_lifecycle(self._market(lifecycle), lifecycle)
        return [_tell(f"bots:{lifecycle.account}", told, self._account(lifecycle.account).bots)]

    def books(self) -> Iterator[tuple[str, Book]]:
        """Those of which anything was heard, by market as its channel has it: `sim.BTCUSDT`."""
        return ((key, market.book) for key, market in list(self._markets.items()) if market.book.version)

    def book(self, market: str) -> Book | None:
        """That of one market, if anything was heard of it."""
        found = self._markets.get(market)
        return found.book if found is not None and found.book.version else None

    def past(self, account: str, venue: str) -> AccountPast | None:
        """What is known of an account's orders and fills at a venue; None if no time is."""
        return self._account(account).orders.past(venue)

    def read(self, channel: str, payload: bytes) -> Publication | None:
        """What somebody says of an account in its channel, as if a feed had; None for anything else.

        `payload` is JSON text without line breaks. Raises BadTold.
        """
        namespace, _, account = channel.partition(":")
        if namespace not in ("orders", "bots") or not account or (told := read_told(payload)) is None:
            return None
        if not self._has_room(account):
            raise BadTold(f"{channel}: more than {ACCOUNT_LIMIT} accounts")
        match namespace, told["type"]:
            case "orders", "order_fill":
                orders = self._account(account).orders
                said = _publication(channel, told, payload, orders, fill_key(told))
                return said._replace(is_known=orders.knows(told))
            case "orders", "order_update":
                return _publication(channel, told, payload, self._account(account).orders)
            case "bots", "bot_status" | "bot_cycle" | "bot_lifecycle":
                return _publication(channel, told, payload, self._account(account).bots)
        return None

    def await_past(self) -> None:
        """Before anything is told of accounts: what was told before may come late, to `recall`."""
        self._awaits_past = True

    def recall(self, before: "MarketState") -> Iterator[None]:
        """Be, of accounts, as if what `before` was told had been told first; it is used up by that.

        Each step does one account, wholly; between two of them more may be told.
        """
        for name in filter(self._has_room, before._accounts):
            self._account(name)
        self._awaits_past = False
        for name, account in list(self._accounts.items()):
            account.recall(before._account(name))
            yield

    def _has_room(self, account: str) -> bool:
        return account in self._accounts or len(self._accounts) < ACCOUNT_LIMIT


def _tell(channel: str, told: Told, state: Orders | Bots, key: str = "") -> Publication:
    return _publication(channel, told, encode_payload(told), state, key)


def _publication(
    channel: str, told: Told, payload: bytes, state: Orders | Bots, key: str = ""
) -> Publication:
    return Publication(channel, told["type"], payload, key, lambda: state.take(told, payload))
