"""What a client needs of the socket under it: writes that never wait, and word of when to go on."""

import socket
from typing import Protocol


class Wire(Protocol):
    """The socket under a client."""

    @property
    def plain(self) -> socket.socket | None:
        """A socket that takes frames as they are; None if they must pass `send_now`."""
        ...

    def send_now(self, data: bytes | memoryview) -> int:
        """Write what the socket takes at once; 0 if it is full. Raises OSError if it is broken.

        What was not taken comes first in the next call: it may be on its way already, encrypted.
        """
        ...

    async def wait_writable(self) -> None: ...
