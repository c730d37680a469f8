"""What Kalshi's fill channel did not tell: own fills since a time, from the REST history, page by page."""

from typing import TYPE_CHECKING, Any

import httpx
import orjson

from monitor.errors import FeedError
from monitor.events import Event
from monitor.feeds.dialect import UNREADABLE, text
from monitor.feeds.kalshi_key import Signer, sign_upgrade
from monitor.feeds.rest import get

if TYPE_CHECKING:
    from monitor.feeds.kalshi import KalshiDialect

PATH = "/trade-api/v2/portfolio/fills"
PAGE_ROWS = 1_000
PAGES_LIMIT = 100
"""Beyond 100,000 fills the oldest are left out."""


class KalshiFills:
    """The fetcher of a `KalshiDialect`."""

    def __init__(
        self, client: httpx.AsyncClient, dialect: "KalshiDialect", key_id: str, signer: Signer
    ) -> None:
        self._client = client
        self._dialect = dialect
        self._key_id = key_id
        self._signer = signer

    async def fetch(self, channel: str) -> list[Event]:
        """The fills since the dialect's gap began; FeedError when they must be asked for again."""
        rows: list[dict[str, Any]] = []
        params = {"limit": str(PAGE_ROWS), "min_ts": str(self._dialect.gap_ms // 1_000)}
        try:
            for _ in range(PAGES_LIMIT):
                page = orjson.loads(await self._get(params))
                rows += page["fills"]
                if not page.get("cursor"):
                    break
                params["cursor"] = text(page["cursor"])
            # The venue tells the newest first.
            return self._dialect.backfill(reversed(rows))
        except UNREADABLE as error:
            raise FeedError(f"the fills are none ({type(error).__name__})") from None

    async def _get(self, params: dict[str, str]) -> bytes:
        return await get(self._client, PATH, params, sign_upgrade(self._key_id, self._signer, PATH))
