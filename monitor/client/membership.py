"""What every subscription of a client has: how it is entered, waited for and ended.

It outlives reconnects: each connection enters it again, with one request or several.
"""

from abc import ABC, abstractmethod
from typing import Any

import trio

from monitor.errors import PeerError


class Unsubscribed(PeerError):
    """The server ended a subscription for good."""

    def __init__(self, channel: str, code: int, reason: str) -> None:
        super().__init__(f"the server unsubscribed {channel}: {reason} (code {code})")
        self.code = code


class Membership(ABC):
    """One channel of one client; `request`, `enter` and `receive` are what kinds differ in."""

    def __init__(self, channel: str) -> None:
        self.channel = channel
        self.is_entered = False
        """Whether this connection needs no further request; until then it brings nothing else."""
        self.settled = trio.Event()
        """Set once the subscription has begun or was refused for the first time."""
        self.is_ended = False
        self.error: PeerError | None = None
        self._arrived = trio.Event()

    def begin(self) -> None:
        """A connection is about to enter it."""
        self.is_entered = False

    @abstractmethod
    def request(self) -> dict[str, Any]:
        """The next subscribe request, until it is entered."""

    @abstractmethod
    def enter(self, reply: dict[str, Any]) -> None:
        """The answer to a request."""

    @abstractmethod
    def receive(self, body: dict[str, Any]) -> None:
        """A publication."""

    def starts_over(self, code: int) -> bool:
        """Whether there is sense in trying again, otherwise, after a refusal with this code."""
        return False

    def end(self, error: PeerError | None) -> None:
        self.is_ended, self.error = True, error
        self.is_entered = True
        self.settled.set()
        self._arrived.set()

    def _tell(self) -> None:
        """Something is there for the reader."""
        self._arrived.set()

    async def _wait(self) -> None:
        """Until something is there.

        Raises:
            StopAsyncIteration: it was ended by this client.
            Unsubscribed, CommandRejected, Disconnected: by the server.
        """
        if self.error is not None:
            raise self.error
        if self.is_ended:
            raise StopAsyncIteration
        self._arrived = trio.Event()
        await self._arrived.wait()
