"""The trade tape: each trade is printed once, with the trade and nothing else in it.

What a trade changes elsewhere (hot markets, sparklines, analytics) travels in its own
channels; carried along here it was nine tenths of an older program's bytes. The tape of all
markets names the market, the tape of one the venue's id, which says nothing beyond that market.
"""

from typing import NamedTuple

from monitor.events import Trade
from monitor.market.market import Market
from monitor.market.payload import encode_payload
from monitor.recent import SeenIds

_SEEN_TRADES = 1_024


class Print(NamedTuple):
    """One trade's payloads."""

    of_market: bytes
    of_all: bytes


class Tape:
    """Prints trades, and knows the last ones so that a venue's repetition is not printed again."""

    def __init__(self) -> None:
        self._seen = SeenIds(_SEEN_TRADES)

    def print(self, market: Market, trade: Trade) -> Print | None:
        """The trade for its market's tape and for that of all, or None when it was printed before."""
        if not self._seen.add((market.key, trade.trade_id)):
            return None
        facts = {
            "price": market.price_text(trade.price),
            "size": market.size_text(trade.size),
            "side": trade.taker_side,
            "time": trade.time_ms,
        }
        return Print(
            of_market=encode_payload({"id": trade.trade_id, **facts}),
            of_all=encode_payload({"market": market.key, **facts}),
        )
