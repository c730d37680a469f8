"""The server's side of one WebSocket, without IO: bytes in, whole messages out.

wsproto does the framing. permessage-deflate is negotiated without context takeover both ways,
so that outgoing frames can be shared and no inflater is kept per client, and what comes in is
inflated within the message limit: 58 KB of zeros became 60 MB otherwise.
"""

import binascii
import zlib
from base64 import b64decode
from collections.abc import Iterable, Iterator, Mapping
from typing import NamedTuple

from wsproto import ConnectionType
from wsproto.connection import Connection, ConnectionState
from wsproto.events import BytesMessage, CloseConnection, Ping, TextMessage
from wsproto.extensions import Extension
from wsproto.frame_protocol import CloseReason, FrameDecoder, FrameProtocol, Opcode, RsvBits
from wsproto.utilities import LocalProtocolError, generate_accept_token

from monitor.broadcast.frames import WINDOW_BITS
from monitor.errors import PeerError

_EXTENSION = "permessage-deflate"
_TAIL = b"\x00\x00\xff\xff"
_CLOSE_REASON_BYTES = 123


class BadUpgrade(PeerError):
    """The upgrade request breaks RFC 6455; `status` is the HTTP answer."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status


class Message(NamedTuple):
    """One whole message; text arrives as its UTF-8."""

    data: bytes


class Pong(NamedTuple):
    """The frame that answers a ping."""

    frame: bytes


class Closing(NamedTuple):
    """The end: the peer closes, or broke the protocol; `frame` is the answer, empty if there is none."""

    code: int
    reason: str
    frame: bytes


class _Inflate(Extension):
    """Inbound permessage-deflate, bounded; outbound frames are made elsewhere."""

    name = _EXTENSION

    def __init__(self, limit_bytes: int) -> None:
        self._limit_bytes = limit_bytes
        self._inflater: zlib._Decompress | None = None
        self._room = 0
        self._is_control = False

    def enabled(self) -> bool:
        return True

    def offer(self) -> bool | str:
        return False

    def frame_inbound_header(
        self, proto: FrameDecoder | FrameProtocol, opcode: Opcode, rsv: RsvBits, payload_length: int
    ) -> CloseReason | RsvBits:
        self._is_control = opcode.iscontrol()
        if rsv.rsv1 and (self._is_control or opcode is Opcode.CONTINUATION):
            return CloseReason.PROTOCOL_ERROR
        if rsv.rsv1:
            self._inflater = zlib.decompressobj(-zlib.MAX_WBITS)
            self._room = self._limit_bytes
        return RsvBits(True, False, False)

    def frame_inbound_payload_data(
        self, proto: FrameDecoder | FrameProtocol, data: bytes
    ) -> bytes | CloseReason:
        if self._inflater is None or self._is_control:
            return data
        return self._inflate(data)

    def frame_inbound_complete(
        self, proto: FrameDecoder | FrameProtocol, fin: bool
    ) -> bytes | CloseReason | None:
        if not fin or self._inflater is None or self._is_control:
            return None
        rest = self._inflate(_TAIL)
        self._inflater = None
        return rest

    def _inflate(self, data: bytes) -> bytes | CloseReason:
        assert self._inflater is not None
        try:
            inflated = self._inflater.decompress(data, self._room + 1)
        except zlib.error:
            return CloseReason.INVALID_FRAME_PAYLOAD_DATA
        self._room -= len(inflated)
        # What follows the end of a stream is kept by zlib, as long as the message goes on.
        is_too_big = self._room < len(self._inflater.unused_data)
        return CloseReason.MESSAGE_TOO_BIG if is_too_big else inflated


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
        b"Sec-WebSocket-Accept: " + generate_accept_token(headers["sec-websocket-key"].encode()),
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


class WebSocket:
    """Turns received bytes into messages; makes the frames of pongs and closes."""

    __slots__ = ("_connection", "_limit_bytes", "_parts", "_size")

    def __init__(self, *, is_deflated: bool, limit_bytes: int, early: bytes) -> None:
        """`early` is what arrived behind the upgrade request."""
        extensions: list[Extension] = [_Inflate(limit_bytes)] if is_deflated else []
        self._connection = Connection(ConnectionType.SERVER, extensions, early)
        self._limit_bytes = limit_bytes
        self._parts: list[bytes] = []
        self._size = 0

    @property
    def is_closed(self) -> bool:
        """Both sides have said their close."""
        return self._connection.state is ConnectionState.CLOSED

    def receive(self, data: bytes | None) -> Iterator[Message | Pong | Closing]:
        """What the bytes amount to; None only looks at what arrived early. Nothing follows a Closing."""
        if data is not None:
            self._connection.receive_data(data)
        for event in self._connection.events():
            if isinstance(event, TextMessage | BytesMessage):
                if (message := self._collect(event)) is not None:
                    yield message
                if self._size > self._limit_bytes:
                    yield self._fail(1009, f"message is longer than {self._limit_bytes} bytes")
                    return
            elif isinstance(event, Ping):
                yield Pong(self._connection.send(event.response()))
            elif isinstance(event, CloseConnection):
                yield self._answer(event)
                return

    def _collect(self, event: TextMessage | BytesMessage) -> Message | None:
        part = event.data.encode() if isinstance(event, TextMessage) else bytes(event.data)
        self._size += len(part)
        if self._size > self._limit_bytes:
            return None
        if part:
            self._parts.append(part)
        if not event.message_finished:
            return None
        whole = self._parts[0] if len(self._parts) == 1 else b"".join(self._parts)
        self._parts.clear()
        self._size = 0
        return Message(whole)

    def _answer(self, event: CloseConnection) -> Closing:
        if self._connection.state is ConnectionState.OPEN:
            return self._fail(event.code, event.reason or "protocol error")
        if self._connection.state is ConnectionState.REMOTE_CLOSING:
            return Closing(event.code, event.reason or "", self._connection.send(event.response()))
        return Closing(event.code, event.reason or "", b"")

    def _fail(self, code: int, reason: str) -> Closing:
        return Closing(code, reason, self.close(code, reason))

    def close(self, code: int, reason: str) -> bytes:
        """The close frame, empty if one was sent before."""
        try:
            return self._connection.send(CloseConnection(code, _fit(reason)))
        except LocalProtocolError:
            return b""


def _fit(reason: str) -> str:
    return reason.encode()[:_CLOSE_REASON_BYTES].decode(errors="ignore")
