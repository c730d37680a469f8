"""A server's HTTP API as a backend calls it, over one connection that is kept.

What is published goes out byte for byte: parsing and writing it again would change long numbers.
"""

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
import orjson
import trio

from monitor.address import http_url
from monitor.errors import ConfigError, PeerError
from monitor.trust import trusting
from monitor.unreachable import unanswered, unreachable

TIMEOUT_SECONDS = 10.0
SHOWN_CHARACTERS = 80
"""Of what makes no sense, in the sentence that says so."""


class Backend:
    """Its calls raise PeerError for what the server makes of them."""

    def __init__(self, client: httpx.AsyncClient, address: str) -> None:
        self._client = client
        self._address = address

    async def publish(self, channel: str, data: Any, kind: str) -> None:
        await self.call("publish", channel=channel, data=data, kind=kind)

    async def put(self, channel: str, key: str, data: Any, kind: str) -> None:
        """Set a key of a map."""
        await self.call("map_publish", channel=channel, key=key, data=data, kind=kind)

    async def forget(self, channel: str, *, is_map: bool) -> None:
        """Take out what a channel keeps. Journaled ones keep it: error 108."""
        await self.call("map_clear" if is_map else "history_remove", channel=channel)

    async def call(self, method: str, **params: Any) -> Any:
        """The result of a method of the API."""
        return await self.post(method, orjson.dumps(params))

    async def post(self, method: str, body: bytes) -> Any:
        """As `call`, with the parameters as JSON text."""
        try:
            response = await self._client.post(f"/api/{method}", content=body)
        except httpx.ReadTimeout:
            raise PeerError(unanswered(self._address, TIMEOUT_SECONDS)) from None
        except httpx.TransportError as cause:
            raise PeerError(unreachable(self._address, cause)) from None
        return self._result(method, response)

    def _result(self, method: str, response: httpx.Response) -> Any:
        if response.status_code == httpx.codes.UNAUTHORIZED:
            raise PeerError(
                f"{self._address} refused the API key; set LANECAST_API_KEY or --data-dir to the server's"
            )
        try:
            answer = orjson.loads(response.content)
        except orjson.JSONDecodeError:
            answer = None
        match answer:
            case {"error": error}:
                raise PeerError(f"{self._address} did not {method}: {_described(error)}")
            case {"result": result}:
                return result
        shown = _shown(response.text.strip())
        raise PeerError(f"{self._address} answered with status {response.status_code}: {shown}")


def _described(error: Any) -> str:
    return f"{error['message']} ({error['code']})" if isinstance(error, dict) else _shown(str(error))


def _shown(text: str) -> str:
    return repr(text if len(text) <= SHOWN_CHARACTERS else f"{text[:SHOWN_CHARACTERS]}…")


@asynccontextmanager
async def open_backend(
    address: str, api_key: str, certificate_file: Path | None = None
) -> AsyncIterator[Backend]:
    """Whoever holds the key, to a server's base address or that of its WebSocket endpoint.

    With the file of a certificate the server must have that one, whatever names are in it.
    Raises ConfigError for what was given wrong.
    """
    # Without trust_env: a proxy meant for the internet would be asked for 127.0.0.1.
    async with httpx.AsyncClient(
        base_url=http_url(address),
        headers={"X-API-Key": api_key, "Content-Type": "application/json"},
        timeout=TIMEOUT_SECONDS,
        trust_env=False,
        verify=trusting(certificate_file),
    ) as client:
        yield Backend(client, address)


def publish_json(
    address: str, api_key: str, channel: str, payload: str, certificate_file: Path | None = None
) -> str:
    """Publish `payload` (JSON text) to `channel` and return the server's result as JSON text.

    Raises ConfigError for what was given wrong and PeerError for what the server made of it.
    """
    try:
        orjson.loads(payload)
    except orjson.JSONDecodeError as error:
        raise ConfigError(f"{_shown(payload)} is not JSON: {error}") from None
    body = f'{{"channel":{json.dumps(channel)},"data":{payload}}}'

    async def publish() -> Any:
        async with open_backend(address, api_key, certificate_file) as backend:
            return await backend.post("publish", body.encode())

    return json.dumps(trio.run(publish))
