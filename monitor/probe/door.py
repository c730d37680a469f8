"""Where clients without a library go in: an address, who they are, and the first words of the protocol.

Frames are masked with zeros: a server must take any mask, and ours costs nothing to make.
"""

import socket
import ssl
import struct
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import orjson

from monitor.address import is_loopback, websocket_url
from monitor.errors import PeerError
from monitor.trust import trusting
from monitor.unreachable import unreachable

_PORTS = {"ws": 80, "wss": 443}
_SHORT, _MEDIUM = 126, 65_536


@dataclass(frozen=True, slots=True)
class Door:
    url: str
    """Of the server, or of its WebSocket endpoint."""
    token: str = field(repr=False)
    certificate_file: Path | None = None

    @property
    def host(self) -> str:
        return urlsplit(self.url).hostname or ""

    def resolve(self) -> tuple[socket.AddressFamily, Any]:
        """The first address of its name. Raises PeerError."""
        parts = urlsplit(websocket_url(self.url))
        port = parts.port or _PORTS[parts.scheme]
        try:
            family, _, _, _, address = socket.getaddrinfo(self.host, port, type=socket.SOCK_STREAM)[0]
        except OSError as error:
            raise PeerError(unreachable(self.url, error)) from None
        return family, address

    def tls(self) -> ssl.SSLContext | None:
        return trusting(self.certificate_file) if websocket_url(self.url).startswith("wss") else None

    def hello(self, channels: Sequence[str]) -> bytes:
        """Connect and subscribe, in one message."""
        connect = {"id": 1, "connect": {"token": self.token, "name": "probe"}}
        subscribes = ({"id": 2 + at, "subscribe": {"channel": one}} for at, one in enumerate(channels))
        return b"\n".join(map(orjson.dumps, (connect, *subscribes)))


def request(door: Door) -> bytes:
    """Of the upgrade."""
    parts = urlsplit(websocket_url(door.url))
    target = parts.path + (f"?{parts.query}" if parts.query else "")
    return (
        f"GET {target} HTTP/1.1\r\nHost: {parts.netloc}\r\nUpgrade: websocket\r\n"
        "Connection: Upgrade\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
        "Sec-WebSocket-Version: 13\r\n\r\n"
    ).encode()


def text_frame(document: bytes) -> bytes:
    size = len(document)
    if size < _SHORT:
        length = struct.pack("!B", 0x80 | size)
    elif size < _MEDIUM:
        length = struct.pack("!BH", 0x80 | 126, size)
    else:
        length = struct.pack("!BQ", 0x80 | 127, size)
    return b"\x81" + length + bytes(4) + document


def is_of_this_machine(url: str) -> bool:
    """Whether an address can't be anybody else's."""
    return is_loopback(urlsplit(url).hostname or "")
