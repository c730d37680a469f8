"""A GET from a venue's REST side, bounded in bytes and as slow as the venue asks for.

Prevents the banned address: who goes on after a 429 is locked out for days.
"""

from collections.abc import Mapping

import httpx
import trio

from monitor.errors import FeedError
from monitor.feeds.feed import Headers
from monitor.trust import trusting

BODY_BYTES = 32 * 2**20
WEIGHT_LIMIT = 4_800
"""Of the 6,000 a minute that Binance gives an address."""
WEIGHT_PAUSE_SECONDS = 10.0
RETRY_AFTER_LIMIT_SECONDS = 300.0
TIMEOUT_SECONDS = 10


def open_rest(url: str) -> httpx.AsyncClient:
    """As the socket does: with the system's certificates, and past a proxy that is meant for pages."""
    return httpx.AsyncClient(base_url=url, timeout=TIMEOUT_SECONDS, verify=trusting(None), trust_env=False)


class Refused(FeedError):
    """The venue answered with another status than 200."""

    def __init__(self, path: str, status: int, body: bytes) -> None:
        super().__init__(f"{path}: HTTP {status}: {body[:200].decode(errors='replace')}")
        self.body = body


async def get(
    client: httpx.AsyncClient, path: str, params: Mapping[str, str], headers: Headers | None = None
) -> bytes:
    """The body of a 200; FeedError for everything else, after the pause that the venue asks for."""
    try:
        async with client.stream("GET", path, params=dict(params), headers=headers) as response:
            body = await _read(response)
    except httpx.HTTPError as error:
        raise FeedError(f"no answer to {path}: {error or type(error).__name__}") from None
    await _respect(response)
    if response.status_code != 200:
        raise Refused(path, response.status_code, body)
    return body


async def _respect(response: httpx.Response) -> None:
    if response.status_code in (418, 429):
        await trio.sleep(min(_number(response, "retry-after", 60), RETRY_AFTER_LIMIT_SECONDS))
    elif _number(response, "x-mbx-used-weight-1m", 0) > WEIGHT_LIMIT:
        await trio.sleep(WEIGHT_PAUSE_SECONDS)


def _number(response: httpx.Response, header: str, default: float) -> float:
    text = response.headers.get(header, "")
    return float(text) if text.isdecimal() else default


async def _read(response: httpx.Response) -> bytes:
    body = bytearray()
    async for chunk in response.aiter_bytes():
        body += chunk
        if len(body) > BODY_BYTES:
            raise FeedError(f"a body of more than {BODY_BYTES} bytes")
    return bytes(body)
