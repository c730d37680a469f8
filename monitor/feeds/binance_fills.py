"""What a Binance account's stream did not tell: its fills of a symbol from the REST history, page by page."""

from typing import TYPE_CHECKING

import httpx
import orjson

from monitor.clock import wall_ms
from monitor.errors import FeedError
from monitor.events import Event
from monitor.feeds.binance_key import RECEIVE_WINDOW_MS, sign
from monitor.feeds.dialect import UNREADABLE, Garbage, whole
from monitor.feeds.rest import get

if TYPE_CHECKING:
    from monitor.feeds.binance_account import BinanceAccountDialect

PATH = "/api/v3/myTrades"
PAGE_ROWS = 1_000
PAGES_LIMIT = 100
"""Beyond 100,000 fills of one symbol the rest is left to the next connection."""


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
        """The fills that close the symbol's gap; FeedError when it must be tried again."""
        events: list[Event] = []
        start = self._dialect.gap(symbol)
        for _ in range(PAGES_LIMIT):
            body = await self._page(symbol, start)
            try:
                rows = _rows(body)
                events += self._dialect.backfill(rows)
                start = {"fromId": str(whole(rows[-1]["id"]) + 1)} if rows else start
            except UNREADABLE as error:
                raise FeedError(f"the fills are none ({type(error).__name__})") from None
            if len(rows) < PAGE_ROWS:
                self._dialect.close_gap(symbol)
                break
        return events

    async def _page(self, symbol: str, start: dict[str, str]) -> bytes:
        params = {"symbol": symbol, "limit": str(PAGE_ROWS), **start}
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
