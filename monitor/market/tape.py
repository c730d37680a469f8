"""The trade tape: each trade is printed once, with the trade and nothing else in it.

What a trade changes elsewhere (hot markets, sparklines, analytics) travels in its own
channels; carried along here it was nine tenths of an older program's bytes.
"""

from monitor.events import Trade
from monitor.market.market import Market
from monitor.market.payload import encode_payload
from monitor.seen import SeenIds

_SEEN_TRADES = 1_024


class Tape:
    """Prints trades, and knows the last ones so that a venue's repetition is not printed again."""

    def __init__(self) -> None:
        self._seen = SeenIds(_SEEN_TRADES)

    def print(self, market: Market, trade: Trade) -> bytes | None:
        """The trade's payload, or None when it was printed before."""
        if not self._seen.add((market.key, trade.trade_id)):
            return None
        return encode_payload(
            {
                "market": market.key,
                "id": trade.trade_id,
                "price": market.price_text(trade.price),
                "size": market.size_text(trade.size),
                "side": trade.taker_side,
                "time": trade.time_ms,
            }
        )
