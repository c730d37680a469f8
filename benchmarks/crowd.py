"""Clients on bare sockets, so cheap that what is measured is the server.

They offer no compression and look at no frame that they needn't: a fan-out is timed by finding a
mark among the bytes that a socket received.
"""

import base64
import json
import os
import resource
import socket
import struct
from typing import Any, Self

_MARK_BYTES = 64
"""What is kept of a socket's last bytes, so that a mark that was cut in two is found."""
_TIMEOUT_SECONDS = 10
PING = b"\x81\x02{}"


def allow_descriptors(count: int) -> None:
    """Raise this process's limit of open files, which its children inherit, to at least `count`."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft < count:
        resource.setrlimit(resource.RLIMIT_NOFILE, (min(count, hard), hard))


class RawClient:
    """One blocking connection, shaken hands with and connected by the client protocol."""

    def __init__(self, port: int, token: str = "") -> None:
        self.socket = socket.create_connection(("127.0.0.1", port), timeout=_TIMEOUT_SECONDS)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._received = bytearray()
        self._last_id = 0
        self._tail = b""
        self._upgrade(port)
        self.call("connect", {"token": token} if token else {})

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.socket.close()

    def call(self, method: str, parameters: dict[str, Any]) -> dict[str, Any]:
        """Send a command and wait for its reply; pushes that come before it are left out."""
        self._last_id += 1
        self.send(json.dumps({"id": self._last_id, method: parameters}).encode())
        while (reply := self.receive()).get("id") != self._last_id:
            pass
        if "error" in reply:
            raise RuntimeError(f"{method} {parameters}: {reply['error']}")
        return dict(reply[method])

    def subscribe(self, channel: str) -> dict[str, Any]:
        """Subscribe and return the reply."""
        return self.call("subscribe", {"channel": channel})

    def send(self, document: bytes) -> None:
        """Send one text frame; its mask is zero, which leaves the bytes as they are."""
        size = len(document)
        length = bytes([0x80 | size]) if size < 126 else b"\xfe" + struct.pack("!H", size)
        self.socket.sendall(b"\x81" + length + bytes(4) + document)

    def receive(self) -> dict[str, Any]:
        """The next document, but for pings, which are answered."""
        while True:
            line = self._next_line()
            if line != b"{}":
                return dict(json.loads(line))
            self.send(line)

    def drain(self, mark: bytes) -> bool:
        """Take what the socket has, without waiting or decoding; whether `mark` was in it."""
        received = self._tail + self.socket.recv(262_144)
        if received == self._tail:
            raise RuntimeError("the server closed a client's connection")
        if PING in received[len(self._tail) :]:
            self.send(b"{}")
        self._tail = received[-_MARK_BYTES:]
        return mark in received

    def _upgrade(self, port: int) -> None:
        key = base64.b64encode(os.urandom(16)).decode()
        self.socket.sendall(
            f"GET /connection/websocket HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nUpgrade: websocket\r\n"
            f"Connection: Upgrade\r\nSec-WebSocket-Key: {key}\r\nSec-WebSocket-Version: 13\r\n\r\n".encode()
        )
        while b"\r\n\r\n" not in self._received:
            self._read_more()
        head, _, rest = bytes(self._received).partition(b"\r\n\r\n")
        if not head.startswith(b"HTTP/1.1 101"):
            raise RuntimeError(f"the upgrade was refused: {head.splitlines()[0].decode()}")
        self._received = bytearray(rest)
        self._lines: list[bytes] = []

    def _next_line(self) -> bytes:
        while not self._lines:
            self._lines = self._next_frame().splitlines()
        return self._lines.pop(0)

    def _next_frame(self) -> bytes:
        first, size = self._take(2)
        if first != 0x81:
            raise RuntimeError(f"the server sent no text but 0x{first:02x}: {self._take(size)!r}")
        if size == 126:
            (size,) = struct.unpack("!H", self._take(2))
        elif size == 127:
            (size,) = struct.unpack("!Q", self._take(8))
        return self._take(size)

    def _take(self, size: int) -> bytes:
        while len(self._received) < size:
            self._read_more()
        taken = bytes(self._received[:size])
        del self._received[:size]
        return taken

    def _read_more(self) -> None:
        received = self.socket.recv(65_536)
        if not received:
            raise RuntimeError("the server closed a client's connection")
        self._received += received
