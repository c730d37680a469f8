"""One publication through a server's HTTP API, from outside.

The payload goes out byte for byte: parsing and writing it again would change long numbers.
"""

import json
import ssl
from pathlib import Path
from typing import Any

import httpx
import orjson

from monitor.address import check_no_password
from monitor.errors import ConfigError, PeerError
from monitor.trust import trusting
from monitor.unreachable import unanswered, unreachable

TIMEOUT_SECONDS = 10


def publish_json(
    address: str, api_key: str, channel: str, payload: str, certificate_file: Path | None = None
) -> str:
    """Publish `payload` (JSON text) to `channel` and return the server's result as JSON text.

    With the file of a certificate the server must have that one, whatever names are in it.
    Raises ConfigError for what was given wrong and PeerError for what the server made of it.
    """
    check_no_password(address)
    try:
        orjson.loads(payload)
    except orjson.JSONDecodeError as error:
        raise ConfigError(f"{_clipped(payload)} is not JSON: {error}") from None
    body = f'{{"channel":{json.dumps(channel)},"data":{payload}}}'
    return json.dumps(_result(address, _post(address, api_key, body, trusting(certificate_file))))


def _post(address: str, api_key: str, body: str, trust: ssl.SSLContext) -> httpx.Response:
    url = f"{address.rstrip('/')}/api/publish"
    headers = {"X-API-Key": api_key, "Content-Type": "application/json"}
    try:
        # Without trust_env: a proxy meant for the internet would be asked for 127.0.0.1.
        with httpx.Client(timeout=TIMEOUT_SECONDS, trust_env=False, verify=trust) as client:
            return client.post(url, content=body.encode(), headers=headers)
    except (httpx.InvalidURL, httpx.UnsupportedProtocol):
        raise ConfigError(f"url is {address!r}, must be an http or https address of a server") from None
    except httpx.ReadTimeout:
        raise PeerError(unanswered(url, TIMEOUT_SECONDS)) from None
    except httpx.TransportError as error:
        raise PeerError(unreachable(url, error)) from None


def _result(address: str, response: httpx.Response) -> Any:
    if response.status_code == httpx.codes.UNAUTHORIZED:
        raise PeerError(f"{address} refused the API key; set LANECAST_API_KEY or --data-dir to the server's")
    try:
        answer = orjson.loads(response.content)
    except orjson.JSONDecodeError:
        answer = None
    if not isinstance(answer, dict):
        raise PeerError(f"{address} answered with status {response.status_code}: {_clipped(response.text)}")
    if "error" in answer:
        raise PeerError(f"{address} did not publish: {_described(answer['error'])}")
    return answer.get("result")


def _described(error: Any) -> str:
    return f"{error['message']} ({error['code']})" if isinstance(error, dict) else _clipped(str(error))


def _clipped(text: str, limit: int = 80) -> str:
    return repr(text if len(text) <= limit else f"{text[:limit]}…")
