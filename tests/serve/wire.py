"""A WebSocket client made of nothing but bytes: it can break every rule and sees every byte.

It shares no line with the server, so that an error of framing can't cancel itself out.
"""

import struct
import zlib
from base64 import b64encode
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import orjson
import trio

from tests.patience import PATIENCE_SECONDS

UPGRADE = {
    "Host": "lanecast",
    "Connection": "Upgrade",
    "Upgrade": "websocket",
    "Sec-WebSocket-Version": "13",
    "Sec-WebSocket-Key": b64encode(b"lanecast-lanecas").decode(),
}
CONTINUATION, TEXT, BINARY, CLOSE, PING, PONG = 0, 1, 2, 8, 9, 10
MASK = b"\x11\x22\x33\x44"


class Refused(Exception):
    """The server answered a command with an error."""

    def __init__(self, error: dict[str, Any]) -> None:
        super().__init__(error)
        self.code: int = error["code"]
        self.is_temporary: bool = error.get("temporary", False)


@dataclass(frozen=True, slots=True)
class Frame:
    opcode: int
    payload: bytes
    is_final: bool
    is_compressed: bool


def frame(opcode: int, payload: bytes, *, is_final: bool = True, rsv: int = 0, mask: bytes = MASK) -> bytes:
    """A client's frame; an empty `mask` makes it an unmasked one, which no client may send."""
    first = (0x80 if is_final else 0) | rsv << 4 | opcode
    length = len(payload)
    masked = 0x80 if mask else 0
    if length < 126:
        head = bytes((first, masked | length))
    elif length < 65_536:
        head = struct.pack("!BBH", first, masked | 126, length)
    else:
        head = struct.pack("!BBQ", first, masked | 127, length)
    return head + mask + (_xor(payload, mask) if mask else payload)


def _xor(payload: bytes, mask: bytes) -> bytes:
    key = (mask * (len(payload) // 4 + 1))[: len(payload)]
    return (int.from_bytes(payload, "big") ^ int.from_bytes(key, "big")).to_bytes(len(payload), "big")


def deflate(payload: bytes) -> bytes:
    """The payload of a compressed message (RFC 7692)."""
    packer = zlib.compressobj(wbits=-15)
    return (packer.compress(payload) + packer.flush(zlib.Z_SYNC_FLUSH)).removesuffix(b"\0\0\xff\xff")


def inflate(payload: bytes) -> bytes:
    return zlib.decompress(payload + b"\0\0\xff\xff\x01\0\0\xff\xff", wbits=-15)


def request(method: str, path: str, headers: dict[str, str], body: bytes = b"") -> bytes:
    lines = [f"{method} {path} HTTP/1.1", *(f"{name}: {value}" for name, value in headers.items())]
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + body


class Wire:
    """A TCP connection to the server."""

    def __init__(self, stream: trio.SocketStream) -> None:
        self.stream = stream
        self._buffer = b""

    async def send(self, data: bytes) -> None:
        with trio.fail_after(PATIENCE_SECONDS):
            await self.stream.send_all(data)

    async def take(self, count: int) -> bytes:
        """Exactly so many bytes; raises EOFError if the server ends first."""
        while len(self._buffer) < count:
            await self._receive()
        taken, self._buffer = self._buffer[:count], self._buffer[count:]
        return taken

    async def take_until(self, mark: bytes) -> bytes:
        """The bytes up to and with a mark; raises EOFError if the server ends first."""
        while mark not in self._buffer:
            await self._receive()
        return await self.take(self._buffer.index(mark) + len(mark))

    async def take_all(self) -> bytes:
        """What comes until the server ends the connection."""
        try:
            while True:
                await self._receive()
        except EOFError:
            return await self.take(len(self._buffer))

    async def _receive(self) -> None:
        with trio.fail_after(PATIENCE_SECONDS):
            data = await self.stream.receive_some()
        if not data:
            raise EOFError(f"the server ended the connection, before it {self._buffer!r}")
        self._buffer += data


class Client(Wire):
    """An upgraded connection that speaks the client protocol."""

    def __init__(self, stream: trio.SocketStream) -> None:
        super().__init__(stream)
        self.id = ""
        self.unpack: Callable[[bytes], bytes] | None = None
        """Reads the binary messages of a subprotocol that has them."""
        self.frames: list[Frame] = []
        """Every frame received, oldest first."""
        self._documents: deque[bytes] = deque()
        self._kept: deque[dict[str, Any]] = deque()
        self._last_id = 0

    async def upgrade(self, extensions: str = "", subprotocols: str = "") -> bytes:
        """Ask for a WebSocket; returns the head of the answer."""
        offers = {"Sec-WebSocket-Extensions": extensions, "Sec-WebSocket-Protocol": subprotocols}
        headers = UPGRADE | {name: offer for name, offer in offers.items() if offer}
        await self.send(request("GET", "/connection/websocket", headers))
        return await self.take_until(b"\r\n\r\n")

    async def connect(self, **members: Any) -> dict[str, Any]:
        """Send the connect command; returns its result."""
        result = await self.call("connect", **members)
        self.id = result["client"]
        return result

    async def call(self, method: str, /, **members: Any) -> dict[str, Any]:
        """Send a command and return its result; what else comes is kept for `push`. Raises Refused."""
        self._last_id += 1
        await self.say({"id": self._last_id, method: members})
        while (reply := await self._read_document()).get("id") != self._last_id:
            self._kept.append(reply)
        if "error" in reply:
            raise Refused(reply["error"])
        result: dict[str, Any] = reply[method]
        return result

    async def refusal(self, method: str, /, **members: Any) -> int:
        """The error code that a command is answered with, 0 for none."""
        try:
            await self.call(method, **members)
        except Refused as refused:
            return refused.code
        return 0

    async def say(self, *documents: Any, opcode: int = TEXT) -> None:
        """Send documents in one message."""
        await self.say_raw(b"\n".join(orjson.dumps(document) for document in documents), opcode=opcode)

    async def say_raw(self, payload: bytes, *, opcode: int = TEXT) -> None:
        await self.send(frame(opcode, payload))

    async def document(self) -> dict[str, Any]:
        """The next document from the server, kept or new."""
        return self._kept.popleft() if self._kept else await self._read_document()

    async def push(self) -> dict[str, Any]:
        push: dict[str, Any] = (await self.document())["push"]
        return push

    async def publication(self) -> Any:
        """The data of the next push, a publication; what is said of the ladder is passed over."""
        while "message" in (push := await self.push()):
            pass
        return push["pub"]["data"]

    async def kept(self) -> list[dict[str, Any]]:
        """What had come before the answer to a ping that is sent now."""
        await self.call("ping")
        kept = list(self._kept)
        self._kept.clear()
        return kept

    async def raw_document(self) -> bytes:
        """The next document's bytes."""
        while not self._documents:
            message = await self._read_message()
            assert message, "an empty message stalls the JavaScript client"
            self._documents.extend(message.removesuffix(b"\n").split(b"\n"))
        return self._documents.popleft()

    async def _read_document(self) -> dict[str, Any]:
        document: dict[str, Any] = orjson.loads(await self.raw_document())
        return document

    async def _read_message(self) -> bytes:
        """Servers don't fragment here, and send text only, or binary only."""
        got = await self.frame()
        assert (got.opcode, got.is_final) == (BINARY if self.unpack else TEXT, True), got
        if self.unpack:
            return self.unpack(got.payload)
        return inflate(got.payload) if got.is_compressed else got.payload

    async def frame(self) -> Frame:
        first, second = await self.take(2)
        length = second & 0x7F
        assert not second & 0x80, "a server's frame is not masked"
        if length > 125:
            length = int.from_bytes(await self.take(2 if length == 126 else 8), "big")
        payload = await self.take(length)
        self.frames.append(Frame(first & 0x0F, payload, bool(first & 0x80), bool(first & 0x40)))
        return self.frames[-1]

    async def closing(self) -> tuple[int, str]:
        """Read to the close frame; returns its code and reason. Nothing may follow it."""
        while (got := await self.frame()).opcode != CLOSE:
            pass
        with suppress(trio.BrokenResourceError):
            await self.send(frame(CLOSE, got.payload[:2]))
            await self.stream.send_eof()
        assert await self.take_all() == b""
        return int.from_bytes(got.payload[:2], "big"), got.payload[2:].decode()

    async def stay(self) -> tuple[int, str]:
        """Answer pings until the server closes, for an hour at most; returns its code and reason."""
        with trio.fail_after(3_600):
            while (got := await self.frame()).opcode != CLOSE:
                assert got.payload == b"{}"
                await self.say({})
        return int.from_bytes(got.payload[:2], "big"), got.payload[2:].decode()

    async def is_alive(self) -> bool:
        return await self.call("ping") == {}
