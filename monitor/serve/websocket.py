"""The server's side of one WebSocket, without IO: bytes in, whole messages out (RFC 6455).

Its own, because a frame costs less than half of what wsproto takes for it, and a flood is made of
frames.
What comes in is unpacked, checked and bounded as it comes: 58 KB of zeros became 60 MB otherwise.
"""

import codecs
import struct
import zlib
from collections.abc import Iterator
from typing import NamedTuple

CONTINUATION, TEXT, BINARY, CLOSE, PING, PONG = 0, 1, 2, 8, 9, 10
_DATA = frozenset({CONTINUATION, TEXT, BINARY})
_CONTROL = frozenset({CLOSE, PING, PONG})
_FIN, _RSV1, _OTHER_RSV, _OPCODE, _MASKED, _LENGTH = 0x80, 0x40, 0x30, 0x0F, 0x80, 0x7F
_CONTROL_BYTES = 125
_TAIL = b"\x00\x00\xff\xff"
_CLOSE_REASON_BYTES = 123

NO_CODE = 1005
"""What a close frame without a code means."""
TOO_LONG = 1009
"""How a connection is closed whose peer sent a message beyond the limit."""
_NEVER_SENT = frozenset({NO_CODE, 1006})
_PROTOCOL_CODES = frozenset({*range(1000, 1004), *range(1007, 1014)})
"""Those below 3000 that a peer may send."""

_Utf8 = codecs.getincrementaldecoder("utf-8")


class Message(NamedTuple):
    """One whole message; text arrives as its UTF-8."""

    data: bytes


class Pong(NamedTuple):
    """The frame that answers a ping."""

    frame: bytes


class Other(NamedTuple):
    """A frame that asks for nothing: a pong, or a part of a message."""


class Closing(NamedTuple):
    """The end: the peer closes, or broke the protocol; `frame` is the answer, empty if there is none."""

    code: int
    reason: str
    frame: bytes


Event = Message | Pong | Other | Closing

_OTHER = Other()


class _Fault(Exception):
    """The peer broke the protocol; with the code of our close."""

    def __init__(self, code: int, reason: str) -> None:
        super().__init__(reason)
        self.code = code
        self.reason = reason


class _Head(NamedTuple):
    opcode: int
    is_final: bool
    is_packed: bool
    length: int
    mask: int
    """0 where the payload is sent as it is."""
    bytes: int
    """Of the head itself."""


class _Incoming:
    """A message on its way in: unpacked, checked and bounded as its parts come."""

    __slots__ = ("_inflater", "_limit_bytes", "_parts", "_room", "_utf8")

    def __init__(self, *, is_text: bool, is_packed: bool, limit_bytes: int) -> None:
        self._utf8 = _Utf8() if is_text else None
        self._inflater = zlib.decompressobj(-zlib.MAX_WBITS) if is_packed else None
        self._limit_bytes = limit_bytes
        self._room = limit_bytes
        self._parts: list[bytes] = []

    def add(self, data: bytes) -> None:
        """Raises _Fault."""
        part = self._inflate(data) if self._inflater else data
        # What comes first in the message decides, however it was cut on its way.
        self._check_text(part[: self._room], is_end=False)
        self._room -= len(part)
        # What follows the end of a deflated stream is kept by zlib, as long as the message goes on.
        if self._room < (len(self._inflater.unused_data) if self._inflater else 0):
            raise _Fault(TOO_LONG, f"message is longer than {self._limit_bytes} bytes")
        self._parts.append(part)

    def end(self) -> bytes:
        """The whole message. Raises _Fault."""
        if self._inflater:
            self.add(_TAIL)
        self._check_text(b"", is_end=True)
        return self._parts[0] if len(self._parts) == 1 else b"".join(self._parts)

    def _inflate(self, data: bytes) -> bytes:
        assert self._inflater is not None
        try:
            return self._inflater.decompress(data, self._room + 1)
        except zlib.error as error:
            raise _Fault(1007, f"not deflated: {error}") from None

    def _check_text(self, part: bytes, *, is_end: bool) -> None:
        if self._utf8 is not None:
            try:
                self._utf8.decode(part, is_end)
            except UnicodeDecodeError as error:
                raise _Fault(1007, f"not UTF-8: {error.reason}") from None


class WebSocket:
    """Turns received bytes into messages; makes the frames of pongs and closes."""

    __slots__ = ("_buffer", "_has_closed", "_head", "_incoming", "_is_deflated", "_limit_bytes", "is_closed")

    def __init__(self, *, is_deflated: bool, limit_bytes: int, early: bytes) -> None:
        """`early` is what arrived behind the upgrade request."""
        self._buffer = bytearray(early)
        self._head: _Head | None = None
        """Of the data frame whose payload is coming in."""
        self._incoming: _Incoming | None = None
        self._is_deflated = is_deflated
        self._limit_bytes = limit_bytes
        self._has_closed = False
        self.is_closed = False
        """Both sides have said their close."""

    def receive(self, data: bytes | None) -> Iterator[Event]:
        """What the bytes amount to, frame by frame; None only looks at what arrived early.

        Nothing follows a Closing.
        """
        if data is not None:
            self._buffer += data
        try:
            while (event := self._next()) is not None:
                yield event
                if isinstance(event, Closing):
                    return
        except _Fault as fault:
            yield Closing(fault.code, fault.reason, self.close(fault.code, fault.reason))

    def close(self, code: int, reason: str) -> bytes:
        """The close frame, empty if one was sent before."""
        if self._has_closed:
            return b""
        self._has_closed = True
        return _frame(CLOSE, b"" if code in _NEVER_SENT else struct.pack("!H", code) + _fit(reason))

    def _next(self) -> Event | None:
        """Of the next frame; None if more bytes must come first."""
        if self._head is not None:
            return self._go_on(self._head)
        head = _read_head(self._buffer)
        if head is None:
            return None
        if head.opcode in _CONTROL:
            return self._take_control(head)
        self._begin(head)
        del self._buffer[: head.bytes]
        return self._go_on(head)

    def _begin(self, head: _Head) -> None:
        if (head.opcode == CONTINUATION) != (self._incoming is not None):
            raise _Fault(
                1002, "a part of no message" if self._incoming is None else "a message within another"
            )
        if head.is_packed and not (self._is_deflated and head.opcode != CONTINUATION):
            raise _Fault(1002, "a reserved bit is set")
        if self._incoming is None:
            self._incoming = _Incoming(
                is_text=head.opcode == TEXT, is_packed=head.is_packed, limit_bytes=self._limit_bytes
            )

    def _go_on(self, head: _Head) -> Event | None:
        """Take what there is of a data frame's payload."""
        assert self._incoming is not None
        payload = bytes(self._buffer[: head.length])
        del self._buffer[: len(payload)]
        self._incoming.add(_unmask(payload, head.mask))
        left = head.length - len(payload)
        if left:
            self._head = head._replace(length=left, mask=_turn(head.mask, len(payload)))
            return None
        self._head = None
        if not head.is_final:
            return _OTHER
        message, self._incoming = self._incoming.end(), None
        return Message(message)

    def _take_control(self, head: _Head) -> Event | None:
        end = head.bytes + head.length
        if len(self._buffer) < end:
            return None
        payload = _unmask(bytes(self._buffer[head.bytes : end]), head.mask)
        del self._buffer[:end]
        if head.opcode == PING:
            return Pong(_frame(PONG, payload))
        return self._take_close(payload) if head.opcode == CLOSE else _OTHER

    def _take_close(self, payload: bytes) -> Closing:
        code, reason = _read_close(payload)
        self.is_closed = True
        return Closing(code, reason, self.close(code, reason))


def _read_head(buffer: bytearray) -> _Head | None:
    """The head that the bytes begin with; None if it is not all there. Raises _Fault."""
    if len(buffer) < 2:
        return None
    first, second = buffer[0], buffer[1]
    _check_head(first, second)
    length = second & _LENGTH
    more = {126: 2, 127: 8}.get(length, 0)
    if len(buffer) < 6 + more:
        return None
    if more:
        length = _read_length(buffer[2 : 2 + more])
    mask = int.from_bytes(buffer[2 + more : 6 + more], "big")
    return _Head(first & _OPCODE, bool(first & _FIN), bool(first & _RSV1), length, mask, 6 + more)


def _check_head(first: int, second: int) -> None:
    opcode = first & _OPCODE
    if not second & _MASKED:
        raise _Fault(1002, "a client's frame must be masked")
    if opcode in _CONTROL:
        if not first & _FIN or second & _LENGTH > _CONTROL_BYTES:
            raise _Fault(1002, f"a control frame is whole and of at most {_CONTROL_BYTES} bytes")
        if first & _RSV1:
            raise _Fault(1002, "a reserved bit is set")
    elif opcode not in _DATA:
        raise _Fault(1002, f"opcode {opcode} is not known")
    if first & _OTHER_RSV:
        raise _Fault(1002, "a reserved bit is set")


def _read_length(data: bytearray) -> int:
    length = int.from_bytes(data, "big")
    if length < (126 if len(data) == 2 else 65_536) or length >> 63:
        raise _Fault(1002, "a length is not in its shortest form")
    return length


def _read_close(payload: bytes) -> tuple[int, str]:
    """Code and reason of a close frame's payload. Raises _Fault."""
    if not payload:
        return NO_CODE, ""
    code = int.from_bytes(payload[:2], "big")
    if len(payload) == 1 or not (code in _PROTOCOL_CODES or 3000 <= code <= 4999):
        raise _Fault(1002, "a close frame's code is not one that may be sent")
    try:
        return code, payload[2:].decode()
    except UnicodeDecodeError:
        raise _Fault(1007, "a close frame's reason is not UTF-8") from None


def _unmask(payload: bytes, mask: int) -> bytes:
    if not (payload and mask):
        return payload
    size = len(payload)
    key = (mask.to_bytes(4, "big") * (size // 4 + 1))[:size]
    return (int.from_bytes(payload, "little") ^ int.from_bytes(key, "little")).to_bytes(size, "little")


def _turn(mask: int, taken: int) -> int:
    """The mask for what follows, once so many bytes are taken."""
    bits = taken % 4 * 8
    return (mask << bits | mask >> (32 - bits)) & 0xFFFF_FFFF


def _frame(opcode: int, payload: bytes) -> bytes:
    """A control frame of ours."""
    return bytes((_FIN | opcode, len(payload))) + payload


def _fit(reason: str) -> bytes:
    return reason.encode()[:_CLOSE_REASON_BYTES].decode(errors="ignore").encode()
