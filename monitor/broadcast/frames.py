"""WebSocket frames, made once and shared by every client with the same encoding.

A server's frame is not masked and, without context takeover, depends on nothing but its
payload: so 1,000 clients get the same bytes object. Made on first use, freed with the item.
"""

import struct
import zlib
from dataclasses import dataclass
from typing import Protocol

from monitor.config import Cadence

_FIN_TEXT = 0x81
_FIN_BINARY = 0x82
_RSV1 = 0x40
_SYNC_TAIL = b"\x00\x00\xff\xff"
WINDOW_BITS = 12
"""4 KiB: for payloads of this size as good as 32 KiB, and 7 times cheaper to set up (measured)."""
WINDOW_BITS_MIN = 9
"""What zlib can; for clients that have no room for more."""
_MEMORY_LEVEL = 5
THREAD_FROM_BYTES = 262_144
"""Compressing this in a thread keeps the others waiting half as long; less, and the thread costs them
more than it saves (measured: `benchmarks/README.md`)."""


def text_frame(payload: bytes, *, compressed: bool = False) -> bytes:
    """One whole text message as an unmasked frame (RFC 6455 section 5.2)."""
    return _frame(_FIN_TEXT | _RSV1 if compressed else _FIN_TEXT, payload)


def binary_frame(payload: bytes) -> bytes:
    """One whole binary message as an unmasked frame."""
    return _frame(_FIN_BINARY, payload)


def _frame(first: int, payload: bytes) -> bytes:
    length = len(payload)
    if length < 126:
        return bytes((first, length)) + payload
    if length < 65_536:
        return struct.pack("!BBH", first, 126, length) + payload
    return struct.pack("!BBQ", first, 127, length) + payload


class Encoding(Protocol):
    """How a payload becomes the bytes of one message; equal for all clients that negotiated it."""

    @property
    def name(self) -> str: ...

    def frame(self, payload: bytes) -> bytes: ...

    def is_slow(self, payload_bytes: int) -> bool:
        """Whether making the frame here would hold up the others longer than a thread does."""
        ...


@dataclass(frozen=True, eq=False, slots=True)
class Plain:
    """Equal to itself only, which costs nothing to find out."""

    name: str = "plain"

    def frame(self, payload: bytes) -> bytes:
        return text_frame(payload)

    def is_slow(self, payload_bytes: int) -> bool:
        return False


@dataclass(eq=False, slots=True)
class Deflate:
    """permessage-deflate (RFC 7692) with `server_no_context_takeover`: every frame stands alone.

    Equal to itself only: its effort may change while clients share it.
    """

    level: int
    from_bytes: int
    """Shorter payloads are left alone; 0 tries all and keeps the shorter form."""
    window_bits: int = WINDOW_BITS
    name: str = "deflate"

    def frame(self, payload: bytes) -> bytes:
        if len(payload) >= self.from_bytes:
            packed = self._pack(payload)
            if len(packed) < len(payload):
                return text_frame(packed, compressed=True)
        return text_frame(payload)

    def is_slow(self, payload_bytes: int) -> bool:
        return payload_bytes >= max(THREAD_FROM_BYTES, self.from_bytes)

    def _pack(self, payload: bytes) -> bytes:
        compressor = zlib.compressobj(self.level, zlib.DEFLATED, -self.window_bits, _MEMORY_LEVEL)
        packed = compressor.compress(payload) + compressor.flush(zlib.Z_SYNC_FLUSH)
        return packed.removesuffix(_SYNC_TAIL)


def negotiable(cadence: Cadence) -> dict[int | None, Plain | Deflate]:
    """What a client of the protocol may be sent, by the window of permessage-deflate, None without it."""
    level, from_bytes = cadence.compression_level, cadence.compression_from_bytes
    windows = range(WINDOW_BITS_MIN, WINDOW_BITS + 1)
    plain = Plain()
    encodings: dict[int | None, Plain | Deflate] = {None: plain}
    encodings.update((bits, Deflate(level, from_bytes, bits) if level else plain) for bits in windows)
    return encodings
