"""Kalshi's message bodies as events: prices in 1/10,000 dollar, sizes in 1/100 contract.

Decides the outcome that is shown: YES. A bid for NO at 0.30 is an ask for YES at 0.70, and who
takes NO sells YES. Sizes are read from their text; a binary float would leave 1e-12 of a contract
as a phantom best bid.
"""

from collections.abc import Iterator, Sequence
from datetime import datetime
from typing import Any

from monitor.events import BookIncrement, BookSnapshot, Level, OrderFill, Side, Ticker, Trade
from monitor.feeds.dialect import Garbage, moment, plain, scaled, signed, text, whole

VENUE = "kalshi"
PRICE_DECIMALS, SIZE_DECIMALS = 4, 2
ONE_DOLLAR = 10_000


def read_snapshot(body: Any) -> BookSnapshot:
    """A side without orders is absent; levels come in either order."""
    bids = sorted(_levels(body.get("yes_dollars_fp", ())), reverse=True)
    asks = sorted((ONE_DOLLAR - price, size) for price, size in _levels(body.get("no_dollars_fp", ())))
    return BookSnapshot(VENUE, text(body["market_ticker"]), bids, asks, _time_ms(body))


def read_delta(body: Any) -> BookIncrement:
    """One level's signed change."""
    side = _side(body["side"])
    price, change = _price(body["price_dollars"]), signed(body["delta_fp"], SIZE_DECIMALS)
    price = price if side is Side.BUY else ONE_DOLLAR - price
    return BookIncrement(VENUE, text(body["market_ticker"]), side, price, change, _time_ms(body))


def read_trade(body: Any) -> Trade:
    """`taker_side` and `count` are the older names."""
    return Trade(
        VENUE,
        text(body["market_ticker"]),
        text(body["trade_id"]),
        _price(body["yes_price_dollars"]),
        _count(body),
        _side(body.get("taker_outcome_side") or body["taker_side"]),
        _time_ms(body),
    )


def read_ticker(body: Any) -> Ticker:
    """A market that never traded has an empty price; older messages hold no sizes."""
    return Ticker(
        VENUE,
        text(body["market_ticker"]),
        _time_ms(body),
        bid=_price(body["yes_bid_dollars"]),
        bid_size=_optional_size(body.get("yes_bid_size_fp")),
        ask=_price(body["yes_ask_dollars"]),
        ask_size=_optional_size(body.get("yes_ask_size_fp")),
        last=_price(body["price_dollars"]) if body.get("price_dollars") else None,
        volume=_optional_size(body.get("volume_fp")),
    )


def read_fill(body: Any, account: str) -> OrderFill:
    """The channel's or the history's, which tells the fill and nothing of its order."""
    return OrderFill(
        venue=VENUE,
        account=account,
        market=text(body.get("market_ticker") or body["ticker"]),
        fill_id=text(body["trade_id"]),
        order_id=text(body["order_id"]),
        side=_side(body["outcome_side"]),
        price=_price(body["yes_price_dollars"]),
        size=_count(body),
        filled=None,
        order_size=None,
        status="EXECUTED",
        time_ms=_time_ms(body),
        fee=plain(body.get("fee_cost") or "0"),
        fee_asset="USD",
        is_maker=body.get("is_taker") is False,
        client_order_id=text(body.get("client_order_id") or ""),
    )


def _levels(pairs: Sequence[Sequence[str]]) -> Iterator[Level]:
    return ((_price(price), scaled(size, SIZE_DECIMALS)) for price, size in pairs)


def _price(number: str) -> int:
    price = scaled(number, PRICE_DECIMALS)
    if price > ONE_DOLLAR:
        raise Garbage("a price of more than a dollar")
    return price


def _count(body: Any) -> int:
    """`count_fp`, or the whole contracts of messages from before 2026."""
    count = body.get("count_fp")
    return whole(body["count"]) * 10**SIZE_DECIMALS if count is None else scaled(count, SIZE_DECIMALS)


def _optional_size(number: str | None) -> int | None:
    return None if number is None else scaled(number, SIZE_DECIMALS)


def _side(outcome: object) -> Side:
    if outcome == "yes":
        return Side.BUY
    if outcome == "no":
        return Side.SELL
    raise Garbage("an outcome that is neither yes nor no")


def _time_ms(body: Any) -> int:
    """`ts_ms`; before mid 2026 `ts`, seconds or RFC 3339; a snapshot holds neither and has 0."""
    if "ts_ms" in body:
        return moment(body["ts_ms"])
    ts = body.get("ts", 0)
    seconds = datetime.fromisoformat(ts).timestamp() if isinstance(ts, str) else whole(ts)
    return moment(int(seconds * 1_000))
