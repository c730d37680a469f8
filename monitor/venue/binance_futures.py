"""Binance USD-M futures as a stand-in: the spot dialect behind routes.

Decides which streams a route carries. A stream asked for on the wrong route is acknowledged and
silent, as at the venue; the old addresses without a route carry all.
"""

from monitor.venue.binance import BinanceVenue
from monitor.venue.script import Answer, Conversation, Request

PUBLIC_KINDS = ("depth", "bookTicker")


class BinanceFuturesVenue(BinanceVenue):
    name = "Binance USD-M"
    depth_path = "/fapi/v1/depth"
    ping_seconds = 180.0

    def accept(self, request: Request) -> Conversation | Answer:
        route, _, rest = request.path[1:].partition("/")
        if route not in ("public", "market", "private"):
            return self.listen(request.path, request)
        return self.listen(f"/{rest}", request, {s for s in self.script.streams if route_of(s) == route})


def route_of(stream: str) -> str:
    """`btcusdt@depth@100ms` is public, `btcusdt@aggTrade` market."""
    kind = stream.rpartition("!")[2].partition("@")[2] or stream
    return "public" if kind.startswith(PUBLIC_KINDS) else "market"
