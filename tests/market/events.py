"""Short ways to make the events that the market tests feed in."""

from monitor.events import (
    BookDelta,
    BookSnapshot,
    Event,
    Level,
    MarketListed,
    OrderFill,
    OrderRole,
    OrderUpdate,
    Side,
    Trade,
)
from monitor.market.state import MarketState, Publication

NOW_MS = 1_700_000_000_000


def market_state(*markets: str) -> MarketState:
    state = MarketState(lambda channel: 2_000)
    for market in markets:
        state.apply(listing(market), NOW_MS)
    return state


def tell(state: MarketState, event: Event) -> list[Publication]:
    """Apply an event, and let what it publishes be out at once."""
    published = state.apply(event, NOW_MS)
    for publication in published:
        publication.note()
    return published


def listing(market: str = "BTCUSDT", price_decimals: int = 2, title: str = "Bitcoin") -> MarketListed:
    return MarketListed("sim", market, price_decimals, 3, title)


def trade(
    trade_id: object,
    price: int = 6_183_763,
    market: str = "BTCUSDT",
    time_ms: int = NOW_MS,
    size: int = 1_000,
) -> Trade:
    return Trade("sim", market, str(trade_id), price, size, Side.BUY, time_ms)


def snapshot(
    bids: list[Level], asks: list[Level], time_ms: int = NOW_MS, market: str = "BTCUSDT"
) -> BookSnapshot:
    return BookSnapshot("sim", market, bids, asks, time_ms)


def delta(bids: list[Level], asks: list[Level], time_ms: int = NOW_MS) -> BookDelta:
    return BookDelta("sim", "BTCUSDT", bids, asks, time_ms)


def order_update(order_id: str, status: str, filled: int = 0, account: str = "paper") -> OrderUpdate:
    return OrderUpdate(
        "sim", account, "BTCUSDT", order_id, Side.BUY, "LIMIT", status, 6_000_000, 500, filled, NOW_MS,
        bot_id="bot-1", role=OrderRole.SAFETY,
    )  # fmt: skip


def order_fill(fill_id: str, market: str = "BTCUSDT", account: str = "paper") -> OrderFill:
    return OrderFill(
        "sim", account, market, fill_id, "o1", Side.BUY, 6_000_000, 500, 500, 500, "FILLED", NOW_MS,
        fee="0.03", fee_asset="USDT", bot_id="bot-1", role=OrderRole.BASE, delay_ms=12,
    )  # fmt: skip
