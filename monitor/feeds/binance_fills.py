"""What a Binance account's stream did not tell: its fills of a symbol from the REST history, page by page.

Each page is told before the next one is asked for, so one that fails, or is cut off, costs no other.
"""

from typing import TYPE_CHECKING

import httpx
import orjson

from monitor.clock import wall_ms
from monitor.errors import FeedError
from monitor.events import Event
from monitor.feeds.binance_key import RECEIVE_WINDOW_MS, sign
from monitor.feeds.dialect import UNREADABLE, Garbage
from monitor.feeds.rest import get

if TYPE_CHECKING:
    from monitor.feeds.binance_account import BinanceAccountDialect

PATH = "/api/v3/myTrades"
PAGE_ROWS = 1_000


class BinanceFills:
    """The fetcher of a `BinanceAccountDialect`."""

    def __init__(
        self, client: httpx.AsyncClient, dialect: "BinanceAccountDialect", api_key: str, secret: str
    ) -> None:
        self._client = client
        self._dialect = dialect
        self._headers = [(b"X-MBX-APIKEY", api_key.encode())]
        self._secret = secret

    async def fetch(self, symbol: str) -> list[Event]:
        """What is news of the next page in the symbol's gap; FeedError when it must be asked for again."""
        body = await self._page(symbol)
        try:
            rows = _rows(body)
            return self._dialect.backfill(symbol, rows, is_last=len(rows) < PAGE_ROWS)
        except UNREADABLE as error:
            raise FeedError(f"the fills are none ({type(error).__name__})") from None

    async def _page(self, symbol: str) -> bytes:
        params = {"symbol": symbol, "limit": str(PAGE_ROWS), **self._dialect.gap(symbol)}
        params |= {"recvWindow": str(RECEIVE_WINDOW_MS), "timestamp": str(wall_ms())}
        params = dict(sorted(params.items()))
        return await get(
            self._client, PATH, params | {"signature": sign(params, self._secret)}, self._headers
        )


def _rows(body: bytes) -> list[dict[str, object]]:
    rows = orjson.loads(body)
    if not isinstance(rows, list):
        raise Garbage("not a list")
    return rows
