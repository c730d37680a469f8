"""Publishing as a backend does: by the HTTP API, over one connection that is kept."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx

from monitor.client import websocket_url
from monitor.client.zstd import ENDPOINT
from monitor.errors import PeerError
from monitor.trust import trusting
from monitor.unreachable import unanswered, unreachable

TIMEOUT_SECONDS = 5.0


class Backend:
    def __init__(self, client: httpx.AsyncClient) -> None:
        self._client = client

    async def publish(self, channel: str, data: Any, kind: str) -> None:
        await self.call("publish", channel=channel, data=data, kind=kind)

    async def put(self, channel: str, key: str, data: Any, kind: str) -> None:
        """Set a key of a map."""
        await self.call("map_publish", channel=channel, key=key, data=data, kind=kind)

    async def forget(self, channel: str, *, is_map: bool) -> None:
        """Take out what a channel keeps. Journaled ones keep it: error 108."""
        await self.call("map_clear" if is_map else "history_remove", channel=channel)

    async def call(self, method: str, **params: Any) -> None:
        """A method of the API."""
        try:
            response = await self._client.post(f"/api/{method}", json=params)
        except httpx.ReadTimeout:
            raise PeerError(unanswered(str(self._client.base_url), TIMEOUT_SECONDS)) from None
        except httpx.TransportError as cause:
            raise PeerError(unreachable(str(self._client.base_url), cause)) from None
        if response.status_code == httpx.codes.UNAUTHORIZED:
            raise PeerError(
                f"{self._client.base_url} refused the API key; set LANECAST_API_KEY"
                " or --data-dir to the server's"
            )
        if response.status_code != httpx.codes.OK:
            raise PeerError(f"{method}: {self._client.base_url} answered {response.status_code}")
        if (error := response.json().get("error")) is not None:
            raise PeerError(f"{method}: {error['message']} ({error['code']})")


def base_url(url: str) -> str:
    """Where a server has its API, from its address or from that of its WebSocket endpoint."""
    parts = urlsplit(websocket_url(url))
    return f"{parts.scheme.replace('ws', 'http')}://{parts.netloc}{parts.path.removesuffix(ENDPOINT)}"


@asynccontextmanager
async def open_backend(address: str, api_key: str, certificate_file: Path | None) -> AsyncIterator[Backend]:
    """Entering asks whether the key is taken; that and all calls raise PeerError."""
    # Without trust_env: a proxy meant for the internet would be asked for 127.0.0.1.
    async with httpx.AsyncClient(
        base_url=base_url(address),
        headers={"X-API-Key": api_key},
        timeout=TIMEOUT_SECONDS,
        trust_env=False,
        verify=trusting(certificate_file),
    ) as client:
        backend = Backend(client)
        await backend.call("info")
        yield backend
