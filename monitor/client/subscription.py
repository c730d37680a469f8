"""One channel as a client of the served protocol sees it: its state, position and publications.

Decides what a reader who is behind gets (the newest, with a word where some are missing, and all
that was recovered) and what is asked for after a reconnect, so that nothing is lost in silence.
"""

from collections import deque
from dataclasses import dataclass, field, replace
from typing import Any, Self

import trio

from monitor.client.membership import Membership


@dataclass(frozen=True, slots=True)
class Position:
    offset: int = 0
    epoch: str = ""


@dataclass(frozen=True, slots=True)
class Publication:
    channel: str
    data: Any
    offset: int = 0
    """0 where the channel keeps no history."""
    tags: dict[str, str] = field(default_factory=dict)
    info: dict[str, Any] | None = None
    """The publisher, when it was a client."""
    is_whole: bool = False
    """State after a reconnect that recovered nothing: it replaces all that came before."""
    follows_gap: bool = False
    """Some of what came before it is missing: the server has it no more, or the reader was behind."""


def read_publication(channel: str, body: dict[str, Any]) -> Publication:
    return Publication(
        channel, body.get("data"), body.get("offset", 0), body.get("tags") or {}, body.get("info")
    )


class Subscription(Membership):
    """One channel's publications in order; iterate it from one task.

    It outlives reconnects. When its reader is behind by more than its capacity, and what one
    reply recovered, the oldest publications go: the next one follows a gap, and `dropped` says
    how many went. Iteration ends after `unsubscribe`, and raises `Unsubscribed`,
    `CommandRejected` or `Disconnected` when the server ended it.
    """

    def __init__(self, channel: str, data: Any, token: str, since: Position | None, capacity: int) -> None:
        super().__init__(channel)
        self.data: Any = None
        """The whole from the newest subscribe reply; None where the channel has no state."""
        self.position = since or Position()
        self.recovered = False
        """Whether the newest subscribe reply brought all that was missed."""
        self.dropped = 0
        self._options = {"data": data, "token": token}
        self._recovers = since is not None
        self._pending: deque[Publication] = deque()
        self._capacity = self._room = capacity
        self._has_gap = False

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> Publication:
        await trio.lowlevel.checkpoint()
        while not self._pending:
            await self._wait()
        has_gap, self._has_gap = self._has_gap, False
        publication = self._pending.popleft()
        return replace(publication, follows_gap=True) if has_gap else publication

    def request(self) -> dict[str, Any]:
        request = {"channel": self.channel, "recoverable": True}
        request |= {name: value for name, value in self._options.items() if value}
        if self._recovers:
            request |= {"recover": True, "offset": self.position.offset, "epoch": self.position.epoch}
        return request

    def enter(self, reply: dict[str, Any]) -> None:
        has_asked = self._recovers
        self._recovers = reply.get("recoverable", False)
        self.recovered = reply.get("recovered", False)
        self.position = Position(reply.get("offset", 0), reply.get("epoch", ""))
        if not self.recovered:
            self.data = reply.get("data")
            if self.settled.is_set():
                self._offer(Publication(self.channel, self.data, is_whole=True, follows_gap=has_asked))
        recovered = reply.get("publications") or ()
        self._room = self._capacity + len(recovered)
        for body in recovered:
            self.receive(body)
        self.is_entered = True
        self.settled.set()

    def receive(self, body: dict[str, Any]) -> None:
        publication = read_publication(self.channel, body)
        if publication.offset:
            self.position = Position(publication.offset, body.get("epoch") or self.position.epoch)
        self._offer(publication)

    def _offer(self, publication: Publication) -> None:
        if len(self._pending) >= self._room:
            self._pending.popleft()
            self._has_gap = True
            self.dropped += 1
        self._pending.append(publication)
        self._tell()
