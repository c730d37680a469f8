"""What those who are behind look like together, from one look at each of them.

Thousands may be behind at once: whoever looks at them does so in turns, and the figures and alerts are
made of what he saw. To go through all of them for each sample held the loop for 10 ms.
"""

from collections.abc import Iterator
from enum import IntEnum
from heapq import heappush, heappushpop
from typing import NamedTuple, Protocol, TypeVar

from monitor.config import Lane

NAMED_LIMIT = 3
"""A lane may have a thousand clients; a sentence names the first few."""
GIVEN_LESS_STEP = 2
"""Of the ladder: on the first step a client still gets all that it would not have replaced."""


class Place(Protocol):
    """Where a client stands on the ladder, and where an operator keeps it."""

    @property
    def step(self) -> IntEnum: ...

    @property
    def pinned(self) -> IntEnum | None: ...


class Waiting(Protocol):
    """What a client has still to be sent."""

    @property
    def bytes(self) -> int: ...

    def depths(self) -> list[int]: ...

    def oldest_ns(self) -> list[int | None]: ...


class SlowClient(Protocol):
    """A client that is behind, or on the ladder."""

    @property
    def id(self) -> str: ...

    @property
    def user(self) -> str: ...

    @property
    def place(self) -> str: ...

    @property
    def ladder(self) -> Place: ...

    @property
    def backlog(self) -> Waiting: ...

    @property
    def budget(self) -> object:
        """True if it is sent no more than it, or an operator, wants."""


class Holder(NamedTuple):
    """Who holds so many messages of a lane."""

    depth: int
    named: str


class GivenLess(NamedTuple):
    """Who is on which step, with so many bytes waiting."""

    step: IntEnum
    bytes: int
    named: str


Named = TypeVar("Named", Holder, GivenLess)


class Survey:
    __slots__ = ("_given_less", "_holders", "given_less", "oldest_ns")

    def __init__(self) -> None:
        self.oldest_ns: list[int | None] = [None for _ in Lane]
        """Since when the oldest message of each lane waits, for whomever."""
        self.given_less = 0
        """Clients to whom the ladder gives less as they read too slowly, and as nobody wants it so."""
        self._given_less: list[GivenLess] = []
        self._holders: list[list[Holder]] = [[] for _ in Lane]

    def note(self, client: SlowClient) -> None:
        """Take in how one of them stands."""
        waiting, place = client.backlog, client.ladder
        for lane, (depth, since_ns) in enumerate(zip(waiting.depths(), waiting.oldest_ns(), strict=True)):
            if depth:
                _keep_greatest(self._holders[lane], Holder(depth, _named(client)))
            if since_ns is not None:
                self.oldest_ns[lane] = min(since_ns, self.oldest_ns[lane] or since_ns)
        if place.step >= GIVEN_LESS_STEP and place.pinned is None and not client.budget:
            self.given_less += 1
            _keep_greatest(self._given_less, GivenLess(place.step, waiting.bytes, _named(client)))

    def holders(self, lane: Lane) -> Iterator[Holder]:
        """Those for whom most of a lane waits, the first of them most."""
        return iter(sorted(self._holders[lane], reverse=True))

    def furthest_up(self) -> Iterator[GivenLess]:
        """Those who are given least."""
        return iter(sorted(self._given_less, reverse=True))


def _named(client: SlowClient) -> str:
    """The id, by which an operator finds it while it is there, and whose it is, which outlives it."""
    whose = f" of {client.user}" if client.user else f" at {client.place}" if client.place else ""
    return client.id + whose


def _keep_greatest(kept: list[Named], new: Named) -> None:
    if len(kept) < NAMED_LIMIT:
        heappush(kept, new)
    else:
        heappushpop(kept, new)
