"""The WebSocket handshake (RFC 6455 section 4): is the request good, and what is its answer.

permessage-deflate (RFC 7692) is taken without context takeover both ways, so that outgoing
frames can be shared and no inflater is kept per client.
"""

import binascii
from base64 import b64decode, b64encode
from collections.abc import Iterable, Mapping
from hashlib import sha1

from monitor.broadcast.frames import WINDOW_BITS
from monitor.errors import PeerError

_EXTENSION = "permessage-deflate"
_GUID = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"


class BadUpgrade(PeerError):
    """The upgrade request breaks RFC 6455; `status` is the HTTP answer."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status


def accepts_deflate(offers: str) -> bool:
    """Whether one of a `Sec-WebSocket-Extensions` header's offers is one that we can keep to."""
    return any(_is_acceptable(offer) for offer in offers.split(","))


def _is_acceptable(offer: str) -> bool:
    name, *parameters = [part.strip() for part in offer.split(";")]
    if name != _EXTENSION:
        return False
    seen: set[str] = set()
    for parameter in parameters:
        key, _, value = (part.strip(' "') for part in parameter.partition("="))
        if key in seen or not _is_acceptable_parameter(key, value):
            return False
        seen.add(key)
    return True


def _is_acceptable_parameter(key: str, value: str) -> bool:
    if key in {"server_no_context_takeover", "client_no_context_takeover"}:
        return value == ""
    bits = int(value) if value.isdecimal() and len(value) <= 2 else None
    if key == "client_max_window_bits":
        return value == "" or (bits is not None and 8 <= bits <= 15)
    return key == "server_max_window_bits" and bits is not None and WINDOW_BITS <= bits <= 15


def upgrade_response(
    headers: Mapping[str, str], *, is_deflated: bool, more: Iterable[tuple[str, str]] = ()
) -> bytes:
    """The `101` answer to a valid upgrade request; header names in lower case.

    Raises:
        BadUpgrade: a header is missing or wrong.
    """
    _check_upgrade(headers)
    lines = [
        b"HTTP/1.1 101 Switching Protocols",
        b"Upgrade: websocket",
        b"Connection: Upgrade",
        b"Sec-WebSocket-Accept: " + _accept_token(headers["sec-websocket-key"]),
    ]
    if is_deflated:
        lines.append(
            b"Sec-WebSocket-Extensions: permessage-deflate;"
            b" server_no_context_takeover; client_no_context_takeover"
        )
    lines += [f"{name}: {value}".encode() for name, value in more]
    return b"\r\n".join(lines) + b"\r\n\r\n"


def _check_upgrade(headers: Mapping[str, str]) -> None:
    if (
        headers.get("upgrade", "").lower() != "websocket"
        or "upgrade" not in headers.get("connection", "").lower()
    ):
        raise BadUpgrade(426, "this path speaks WebSocket only: send an upgrade request")
    if headers.get("sec-websocket-version") != "13":
        raise BadUpgrade(
            426, f"WebSocket version {headers.get('sec-websocket-version')!r}: only 13 is spoken"
        )
    try:
        is_good = len(b64decode(headers.get("sec-websocket-key", ""), validate=True)) == 16
    except (binascii.Error, ValueError):
        is_good = False
    if not is_good:
        raise BadUpgrade(400, "sec-websocket-key must be 16 bytes in base64")


def _accept_token(key: str) -> bytes:
    return b64encode(sha1(key.encode() + _GUID, usedforsecurity=False).digest())
