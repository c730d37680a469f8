"""What a feed hands to the market state: one record for each thing that happened at a venue.

Prices and sizes are integers scaled by the decimals that `MarketListed` announced, never
binary floats: `61837.63` with 8 price decimals is `6183763000000`. A market is listed before
anything else is said of it.
"""

from dataclasses import dataclass
from enum import StrEnum


class Side(StrEnum):
    """The taker's side of a trade, or the side of an order."""

    BUY = "buy"
    SELL = "sell"


class BookStatus(StrEnum):
    """What a shown book is worth; only SYNCED may be trusted."""

    SYNCED = "SYNCED"
    GAP = "GAP"
    RESYNC = "RESYNC"
    STALE = "STALE"


class OrderRole(StrEnum):
    """What an order is for in a martingale cycle."""

    BASE = "base_order"
    SAFETY = "safety_order"
    TAKE_PROFIT = "take_profit"


Level = tuple[int, int]
"""(price, size), both scaled integers; size 0 removes the level."""


@dataclass(frozen=True, slots=True)
class MarketListed:
    venue: str
    market: str
    price_decimals: int
    size_decimals: int
    title: str = ""


@dataclass(frozen=True, slots=True)
class Trade:
    venue: str
    market: str
    trade_id: str
    price: int
    size: int
    taker_side: Side
    time_ms: int


@dataclass(frozen=True, slots=True)
class Turnover:
    """What a market traded in one past minute or hour, as a venue's candle tells it; not a trade to show."""

    venue: str
    market: str
    start_ms: int
    seconds: int
    """60 or 3600."""
    trades: int
    buys: int
    value: int
    """In the quote currency, scaled by the price's and the size's decimals together."""


@dataclass(frozen=True, slots=True)
class BookSnapshot:
    """The whole book; replaces what was known and makes it SYNCED."""

    venue: str
    market: str
    bids: list[Level]
    asks: list[Level]
    time_ms: int


@dataclass(frozen=True, slots=True)
class BookDelta:
    """Absolute new sizes of the named levels."""

    venue: str
    market: str
    bids: list[Level]
    asks: list[Level]
    time_ms: int


@dataclass(frozen=True, slots=True)
class BookIncrement:
    """A signed change of one level's size (Kalshi); `side` BUY is the bid side."""

    venue: str
    market: str
    side: Side
    price: int
    change: int
    time_ms: int


@dataclass(frozen=True, slots=True)
class BookStatusChanged:
    """The feed lost (GAP), is restoring (RESYNC) or no longer hears (STALE) a book."""

    venue: str
    market: str
    status: BookStatus
    cause: str
    time_ms: int


@dataclass(frozen=True, slots=True)
class Ticker:
    """Top of book and day figures; what the venue's message does not hold is None."""

    venue: str
    market: str
    time_ms: int
    bid: int | None = None
    bid_size: int | None = None
    ask: int | None = None
    ask_size: int | None = None
    last: int | None = None
    volume: int | None = None


@dataclass(frozen=True, slots=True)
class OrderUpdate:
    """The state of one order after something happened to it; sizes are cumulative."""

    venue: str
    account: str
    market: str
    order_id: str
    side: Side
    order_type: str
    status: str
    price: int
    size: int
    filled: int
    time_ms: int
    client_order_id: str = ""
    bot_id: str = ""
    role: OrderRole | None = None
    reason: str = ""


@dataclass(frozen=True, slots=True)
class OrdersListed:
    """Which orders of an account a venue may still have open, by its own word: all others have ended."""

    venue: str
    account: str
    orders: frozenset[tuple[str, str]]
    """(market, order id)."""


@dataclass(frozen=True, slots=True)
class OrderFill:
    """One execution. (venue, market, fill_id) is unique; `filled` is the order's total after it."""

    venue: str
    account: str
    market: str
    fill_id: str
    order_id: str
    side: Side
    price: int
    size: int
    filled: int | None
    """Of its order, with this one; None where nobody says."""
    order_size: int | None
    status: str
    time_ms: int
    fee: str = "0"
    fee_asset: str = ""
    is_maker: bool = False
    client_order_id: str = ""
    bot_id: str = ""
    role: OrderRole | None = None
    delay_ms: int | None = None
    """From placing the order to this fill, where the source knows it."""
    is_backfilled: bool = False
    """Found in the venue's history afterwards: the stream did not tell it when it happened."""


@dataclass(frozen=True, slots=True)
class FillsMissing:
    """Since when an account may have had fills at a venue that nobody told; None: all are told."""

    venue: str
    account: str
    since_ms: int | None
    """In the venue's time."""


@dataclass(frozen=True, slots=True)
class BotStatus:
    venue: str
    account: str
    bot_id: str
    name: str
    market: str
    status: str
    """`active`, `paused` or `stopped`."""
    cycles_completed: int
    profit: str
    """Realised profit in the quote currency, a decimal text."""
    time_ms: int


@dataclass(frozen=True, slots=True)
class BotCycle:
    """Where a bot's martingale cycle stands after a step of it."""

    venue: str
    account: str
    bot_id: str
    market: str
    cycle: int
    phase: str
    """`base_order`, `safety_order`, `take_profit` or `completed`."""
    safety_orders_filled: int
    safety_orders_max: int
    average_price: int
    take_profit_price: int
    position: int
    time_ms: int
    safety_order_delay_ms: int | None = None
    take_profit_delay_ms: int | None = None
    profit: str = "0"


@dataclass(frozen=True, slots=True)
class BotLifecycle:
    venue: str
    account: str
    bot_id: str
    name: str
    market: str
    action: str
    """`created`, `started`, `paused`, `stopped` or `deleted`."""
    time_ms: int


@dataclass(frozen=True, slots=True)
class AccountPast:
    """What is known of an account at a venue when its feed begins: where to look for what nobody told."""

    since_ms: int
    """Until when all of its fills are known, in the venue's time."""
    markets: frozenset[str]
    """In which it has had orders."""


Event = (
    MarketListed
    | Trade
    | Turnover
    | BookSnapshot
    | BookDelta
    | BookIncrement
    | BookStatusChanged
    | Ticker
    | OrderUpdate
    | OrdersListed
    | FillsMissing
    | OrderFill
    | BotStatus
    | BotCycle
    | BotLifecycle
)
