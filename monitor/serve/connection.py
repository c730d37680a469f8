"""One accepted socket: reads that wait, writes that do not.

Trio's own socket has no write that returns at once, and a fan-out to 1,000 clients must not
wait for any; so this holds the plain non-blocking socket and asks Trio only when to go on.
"""

import math
import socket
from typing import ClassVar

import trio

from monitor.turnstile import Turnstile

NOT_SENT_LOWAT_BYTES = 16_384
"""What the kernel may hold unsent: it can no longer be overtaken by a higher lane."""
SEND_BUFFER_BYTES = 131_072
RECEIVE_BYTES = 16_384
LINGER_BYTES = 4_194_304
"""Of what still comes after our last word; who sends on beyond it is cut off."""


class Connection:
    """A connected TCP socket."""

    __slots__ = ("_socket", "_turnstile", "address", "is_backend")

    is_encrypted: ClassVar[bool] = False

    def __init__(self, accepted: socket.socket, address: str, turnstile: Turnstile) -> None:
        accepted.setblocking(False)
        accepted.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        accepted.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, SEND_BUFFER_BYTES)
        if hasattr(socket, "TCP_NOTSENT_LOWAT"):
            accepted.setsockopt(socket.IPPROTO_TCP, socket.TCP_NOTSENT_LOWAT, NOT_SENT_LOWAT_BYTES)
        self._socket = accepted
        self._turnstile = turnstile
        self.address = address
        self.is_backend = False
        """It has shown an API key."""

    @property
    def plain(self) -> socket.socket | None:
        """The socket, for writing frames past this object."""
        return self._socket

    def send_now(self, data: bytes | memoryview) -> int:
        """Write what the kernel takes at once; 0 if it takes nothing. Raises OSError once broken."""
        try:
            return self._socket.send(data)
        except (BlockingIOError, InterruptedError):
            return 0

    async def wait_writable(self) -> None:
        """Raises trio.ClosedResourceError if the connection is closed meanwhile."""
        await trio.lowlevel.wait_writable(self._socket)

    async def send_all(self, data: bytes, *, stall_seconds: float = math.inf) -> None:
        """Write everything; cancelled half-way, the connection is of no more use.

        Raises OSError, and trio.TooSlowError once the peer takes nothing for so long.
        """
        rest = memoryview(data)
        while rest := rest[self.send_now(rest) :]:
            with trio.fail_after(stall_seconds):
                await self.wait_writable()

    async def finish(self) -> None:
        """Send no more, and drop unread what comes until the peer ends too. Raises OSError.

        To close over unread bytes would reset the connection, and take the last answer from the peer.
        """
        self._socket.shutdown(socket.SHUT_WR)
        dropped = 0
        # As the socket has it: what nobody reads isn't worth deciphering.
        while dropped < LINGER_BYTES and (data := await Connection.receive(self)):
            dropped += len(data)

    async def receive(self) -> bytes:
        """The next bytes, empty at the end of the stream. Raises OSError."""
        while True:
            await trio.lowlevel.wait_readable(self._socket)
            await self._turnstile.enter(is_backend=self.is_backend)
            try:
                return self._socket.recv(RECEIVE_BYTES)
            except (BlockingIOError, InterruptedError):
                continue

    def close(self) -> None:
        """Close the socket; whoever waits for it is woken. May be called again."""
        if self._socket.fileno() >= 0:
            trio.lowlevel.notify_closing(self._socket)
            self._socket.close()
