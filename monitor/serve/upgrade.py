"""The WebSocket handshake (RFC 6455 section 4): is the request good, and what is its answer.

permessage-deflate (RFC 7692) is taken without context takeover both ways, so that outgoing
frames can be shared and no inflater is kept per client.
"""

import binascii
import re
from base64 import b64decode, b64encode
from collections.abc import Iterable, Mapping
from hashlib import sha1

from monitor.address import ENDPOINT
from monitor.broadcast.frames import WINDOW_BITS, WINDOW_BITS_MIN
from monitor.serve.http import HttpError, Request

_EXTENSION = "permessage-deflate"
_PLAIN_UPGRADE = re.compile(
    rb"GET %b(?:\?([!-~]*))? HTTP/1\.1\r\n((?:[!#$%%&'*+.^_`|~0-9A-Za-z-]+:[ -~\t]*\r\n)+)\r\n"
    % ENDPOINT.encode()
)
_BEYOND_PLAIN = frozenset({"content-length", "transfer-encoding", "expect"})
_HOW = (("Upgrade", "websocket"), ("Sec-WebSocket-Version", "13"))
_GUID = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"


def read_upgrade(data: bytes) -> tuple[Request, bytes] | None:
    """An ordinary request for a WebSocket, and what came behind it; None is left to h11.

    Most connections begin with one, and to read it takes a tenth of what it takes h11, which reads
    everything that HTTP allows.
    """
    match = _PLAIN_UPGRADE.match(data)
    if match is None:
        return None
    headers: dict[str, str] = {}
    for line in match[2].decode().splitlines():
        name, _, value = line.partition(":")
        name = name.lower()
        if name in headers or name in _BEYOND_PLAIN:
            return None
        headers[name] = value.strip(" \t")
    if "host" not in headers:
        return None
    return Request("GET", ENDPOINT, (match[1] or b"").decode(), headers), data[match.end() :]


def choose_window(offers: str) -> int | None:
    """Of a `Sec-WebSocket-Extensions` header, the window in bits; None if no offer can be kept to."""
    windows = (_window(offer) for offer in offers.split(","))
    return next((bits for bits in windows if bits is not None), None)


def _window(offer: str) -> int | None:
    name, *parameters = [part.strip() for part in offer.split(";")]
    if name != _EXTENSION:
        return None
    given: dict[str, str] = {}
    for parameter in parameters:
        key, _, value = (part.strip(' "') for part in parameter.partition("="))
        if key in given or not _is_acceptable(key, value):
            return None
        given[key] = value
    return min(WINDOW_BITS, int(given.get("server_max_window_bits", WINDOW_BITS)))


def _is_acceptable(key: str, value: str) -> bool:
    if key in {"server_no_context_takeover", "client_no_context_takeover"}:
        return value == ""
    bits = int(value) if value.isdecimal() and len(value) <= 2 else 0
    if key == "client_max_window_bits":
        return value == "" or 8 <= bits <= 15
    return key == "server_max_window_bits" and WINDOW_BITS_MIN <= bits <= 15


def upgrade_response(
    headers: Mapping[str, str], *, window_bits: int | None, more: Iterable[tuple[str, str]] = ()
) -> bytes:
    """The `101` answer to a valid upgrade request; header names in lower case.

    Without `window_bits` nothing is compressed.

    Raises:
        HttpError: a header is missing or wrong.
    """
    _check_upgrade(headers)
    lines = [
        b"HTTP/1.1 101 Switching Protocols",
        b"Upgrade: websocket",
        b"Connection: Upgrade",
        b"Sec-WebSocket-Accept: " + _accept_token(headers["sec-websocket-key"]),
    ]
    if window_bits is not None:
        lines.append(
            b"Sec-WebSocket-Extensions: permessage-deflate; server_no_context_takeover;"
            b" client_no_context_takeover; server_max_window_bits=%d" % window_bits
        )
    lines += [f"{name}: {value}".encode() for name, value in more]
    return b"\r\n".join(lines) + b"\r\n\r\n"


def _check_upgrade(headers: Mapping[str, str]) -> None:
    if (
        headers.get("upgrade", "").lower() != "websocket"
        or "upgrade" not in headers.get("connection", "").lower()
    ):
        raise HttpError(426, "this path speaks WebSocket only: send an upgrade request", _HOW)
    if headers.get("sec-websocket-version") != "13":
        version = headers.get("sec-websocket-version")
        raise HttpError(426, f"WebSocket version {version!r}: only 13 is spoken", _HOW)
    try:
        is_good = len(b64decode(headers.get("sec-websocket-key", ""), validate=True)) == 16
    except (binascii.Error, ValueError):
        is_good = False
    if not is_good:
        raise HttpError(400, "sec-websocket-key must be 16 bytes in base64")


def _accept_token(key: str) -> bytes:
    return b64encode(sha1(key.encode() + _GUID, usedforsecurity=False).digest())
