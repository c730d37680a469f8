"""One market's top of book and day figures, put together from messages that each hold a part.

A venue's book ticker knows no volume and its day ticker no bid: what a message leaves out
keeps its last known value.
"""

from monitor.events import Ticker
from monitor.market.decimals import decimal_text
from monitor.market.view import Sections

_PRICES = ("bid", "ask", "last")
_SIZES = ("bid_size", "ask_size", "volume")
_SHOWN = ("bid", "bid_size", "ask", "ask_size", "last", "volume")


class TickerState:
    """The newest known value of each figure."""

    def __init__(self, market: str | None, price_decimals: int = 0, size_decimals: int = 0) -> None:
        self.version = 0
        self._market = market
        self._decimals = dict.fromkeys(_PRICES, price_decimals) | dict.fromkeys(_SIZES, size_decimals)
        self._figures: dict[str, int] = {}
        self._time_ms: int | None = None

    def update(self, ticker: Ticker) -> None:
        figures = self._figures
        for name in _SHOWN:
            value = getattr(ticker, name)
            if value is not None:
                figures[name] = value
        self._time_ms = ticker.time_ms
        self.version += 1

    def sections(self) -> Sections:
        return {
            "market": self._market,
            **{name: self._text(name) for name in _SHOWN},
            "time": self._time_ms,
        }

    def _text(self, name: str) -> str | None:
        figure = self._figures.get(name)
        return None if figure is None else decimal_text(figure, self._decimals[name])
