"""One listed market and all that is kept of it; every scaled integer becomes text here or below."""

from monitor.events import MarketListed
from monitor.market.book import Book
from monitor.market.decimals import decimal_text, quote_value
from monitor.market.sparkline import Sparkline
from monitor.market.ticker import TickerState


class Market:
    """A market's book, ticker and sparkline, and the decimals of its numbers."""

    __slots__ = ("book", "key", "price_decimals", "size_decimals", "sparkline", "ticker", "title")

    def __init__(self, listing: MarketListed, now_ms: int) -> None:
        self.key = f"{listing.venue}.{listing.market}"
        self.title = listing.title
        self.price_decimals = listing.price_decimals
        self.size_decimals = listing.size_decimals
        self.book = Book(self.price_decimals, self.size_decimals, now_ms)
        self.ticker = TickerState(self.key, self.price_decimals, self.size_decimals)
        self.sparkline = Sparkline(self.price_decimals)

    def has_scale_of(self, listing: MarketListed) -> bool:
        scale = listing.price_decimals, listing.size_decimals
        return (self.price_decimals, self.size_decimals) == scale

    def price_text(self, scaled: int) -> str:
        return decimal_text(scaled, self.price_decimals)

    def size_text(self, scaled: int) -> str:
        return decimal_text(scaled, self.size_decimals)

    def quote_value(self, scaled: int) -> int:
        """A price times a size of this market at the scale of all turnovers."""
        return quote_value(scaled, self.price_decimals + self.size_decimals)
