"""What a Binance account's stream did not tell: fills from the REST history, and which orders are open.

Fills come symbol by symbol and page by page. Each page is told before the next one is asked for, so
one that fails, or is cut off, costs no other.
"""

import hashlib
import hmac
from typing import TYPE_CHECKING, Any

import httpx
import orjson

from monitor.clock import wall_ms
from monitor.errors import FeedError
from monitor.events import Event
from monitor.feeds.dialect import UNREADABLE, Garbage
from monitor.feeds.rest import Refused, get

if TYPE_CHECKING:
    from monitor.feeds.binance_account import BinanceAccountDialect

FILLS_PATH = "/api/v3/myTrades"
ORDERS_PATH = "/api/v3/openOrders"
PAGE_ROWS = 1_000
NO_SUCH_SYMBOL = b'"code":-1121'
"""It was delisted: nothing is to be had of it any more, however often it is asked for."""
RECEIVE_WINDOW_MS = 5_000
OPEN_ORDERS = "open orders"
"""What is looked up, where it isn't a symbol's fills."""


class BinanceLookups:
    """The fetcher of a `BinanceAccountDialect`."""

    def __init__(
        self, client: httpx.AsyncClient, dialect: "BinanceAccountDialect", api_key: str, secret: str
    ) -> None:
        self._client = client
        self._dialect = dialect
        self._headers = [(b"X-MBX-APIKEY", api_key.encode())]
        self._secret = secret

    async def fetch(self, subject: str) -> list[Event]:
        """The open orders, or what is news of the next page in a symbol's gap.

        Raises:
            FeedError: it must be asked for again.
        """
        try:
            return await (self._open_orders() if subject == OPEN_ORDERS else self._fills(subject))
        except UNREADABLE as error:
            raise FeedError(f"not what was asked for ({type(error).__name__})") from None

    async def _open_orders(self) -> list[Event]:
        return self._dialect.list_open(await self._rows(ORDERS_PATH))

    async def _fills(self, symbol: str) -> list[Event]:
        gap = self._dialect.gap(symbol)
        try:
            rows = await self._rows(FILLS_PATH, symbol=symbol, limit=str(PAGE_ROWS), **gap)
        except Refused as error:
            if NO_SUCH_SYMBOL not in error.body:
                raise
            self._dialect.complain("look-up failed", f"{symbol}: {error}")
            rows = []
        return self._dialect.backfill(symbol, rows, is_last=len(rows) < PAGE_ROWS)

    async def _rows(self, path: str, **asked: str) -> list[Any]:
        params = asked | {"recvWindow": str(RECEIVE_WINDOW_MS), "timestamp": str(wall_ms())}
        params = dict(sorted(params.items()))
        signed = params | {"signature": sign(params, self._secret)}
        return _read_rows(await get(self._client, path, signed, self._headers))


def _read_rows(body: bytes) -> list[Any]:
    rows = orjson.loads(body)
    if not isinstance(rows, list):
        raise Garbage("not a list")
    return rows


def sign(params: dict[str, Any], secret: str) -> str:
    """A request to one's own account: HMAC-SHA256, hexadecimal, over the parameters sorted by name."""
    payload = "&".join(f"{name}={params[name]}" for name in sorted(params))
    return hmac.new(secret.encode(), payload.encode(), hashlib.sha256).hexdigest()
