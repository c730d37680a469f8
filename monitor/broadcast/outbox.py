"""What one client has still to be sent, by lane: decides order, merging and the bound.

Only clients that are behind use theirs. Higher lane first, but none waits for ever (`turns`). What
is taken but can't be sent yet is held, and keeps its lane waiting, and no other. No IO here.
"""

from collections import deque
from collections.abc import Callable, Iterator
from itertools import chain
from typing import NamedTuple

from monitor.broadcast.item import Item
from monitor.broadcast.turns import Turns
from monitor.config import Lane


class Offer(NamedTuple):
    """What became of an offered item."""

    queued: Item | None
    """It, or what it was merged into; None: not taken, the outbox would pass its bound."""
    replaced: Item | None
    """The pending item that `queued` stands for as well."""


FULL = Offer(None, None)
_LANES = tuple(Lane)


class Outbox:
    __slots__ = (
        "_depths",
        "_held",
        "_lanes",
        "_limit_bytes",
        "_mergeable",
        "_ready",
        "_replies",
        "_turns",
        "bytes",
    )

    def __init__(self, limit_bytes: int) -> None:
        self._limit_bytes = limit_bytes
        self._lanes: tuple[deque[str | Item], ...] = tuple(deque() for _ in Lane)
        self._mergeable: dict[str, Item] = {}
        self._replies = [0 for _ in Lane]
        """By lane, of what is queued."""
        self._depths = [0 for _ in Lane]
        """Publications by lane, of what is queued: whoever looks is not to walk through it."""
        self._turns = Turns()
        self._held: dict[Lane, Item] = {}
        """Taken out, and their lanes wait for them."""
        self._ready: dict[Lane, Item] = {}
        """Released again: the next of their lanes."""
        self.bytes = 0
        """Of what is queued; what was held has had its turn already, and the bound does not count it."""

    def __bool__(self) -> bool:
        return any(self._lanes) or bool(self._held or self._ready)

    @property
    def held_bytes(self) -> int:
        return sum(len(item.payload) for item in self._aside())

    @property
    def is_held_up(self) -> bool:
        """Whether all that waits does so for what is held."""
        return bool(self._held) and not self._waiting()

    def offer(self, item: Item) -> Offer:
        """Queue an item, or merge it with the pending one of its channel.

        A merge keeps the place of the pending one, so order within the channel holds.
        """
        if item.channel and item.delivery.merges:
            return self._offer_mergeable(item)
        if self.bytes + len(item.payload) > self._limit_bytes:
            return FULL
        self._lanes[item.lane].append(item)
        self._replies[item.lane] += not item.channel
        self._depths[item.lane] += item.count
        self.bytes += len(item.payload)
        return Offer(item, None)

    def _offer_mergeable(self, item: Item) -> Offer:
        pending = self._mergeable.get(item.channel)
        merged = pending.merged_into(item) if pending else item
        grown = self.bytes + len(merged.payload) - (len(pending.payload) if pending else 0)
        if grown > self._limit_bytes:
            return FULL
        self._mergeable[item.channel] = merged
        self._depths[item.lane] += merged.count - (pending.count if pending else 0)
        self.bytes = grown
        if pending is None:
            self._lanes[item.lane].append(item.channel)
        return Offer(merged, pending)

    def take(self, now_ns: int) -> Item | None:
        """The next item to send, None if there is none or all are held up; `now_ns` is monotonic."""
        lane = self._turns.next(self._waiting(), now_ns)
        return None if lane is None else self._pop(lane)

    def take_urgent(self) -> Item | None:
        """The next of the immediate lane, if it may go: of a client that is not to be sent anything else."""
        return self._pop(Lane.IMMEDIATE) if self.is_waiting(Lane.IMMEDIATE) else None

    def _waiting(self) -> list[Lane]:
        return [lane for lane in _LANES if self.is_waiting(lane)]

    def is_waiting(self, lane: Lane) -> bool:
        """Whether the next of a lane may go."""
        return lane in self._ready or (bool(self._lanes[lane]) and lane not in self._held)

    def hold(self, item: Item) -> None:
        """Keep an item whose turn it is until it is released; nothing else of its lane goes before it."""
        self._held[item.lane] = item

    def release(self, item: Item) -> None:
        """Let an item go next that was held, if it is still wanted."""
        if self._held.get(item.lane) is item:
            self._ready[item.lane] = self._held.pop(item.lane)

    def of(self, lane: Lane) -> Iterator[Item]:
        """What is here of a lane, in its order, held or not."""
        for aside in (self._held, self._ready):
            if lane in aside:
                yield aside[lane]
        yield from map(self._item, self._lanes[lane])

    def depths(self) -> list[int]:
        """Publications that are here by lane, held or not."""
        depths = list(self._depths)
        for item in self._aside():
            depths[item.lane] += item.count
        return depths

    def has_reply(self, lane: Lane) -> bool:
        """Whether a reply is here of a lane, held or not; however much waits, it is known at once."""
        aside = (item for item in self._aside() if item.lane is lane and not item.channel)
        return self._replies[lane] > 0 or any(aside)

    def _aside(self) -> Iterator[Item]:
        return chain(self._held.values(), self._ready.values())

    def _pop(self, lane: Lane) -> Item:
        if lane in self._ready:
            return self._ready.pop(lane)
        head = self._lanes[lane].popleft()
        item = self._mergeable.pop(head) if isinstance(head, str) else head
        self._replies[lane] -= not item.channel
        self._depths[lane] -= item.count
        self.bytes -= len(item.payload)
        return item

    def discard(self, is_unwanted: Callable[[Item], bool]) -> list[Item]:
        """Take out what is not to be sent any more; replies stay."""
        gone: list[Item] = []
        for lane in self._lanes:
            kept: list[str | Item] = []
            for entry in lane:
                item = self._item(entry)
                if item.channel and is_unwanted(item):
                    gone.append(item)
                else:
                    kept.append(entry)
            if len(kept) != len(lane):
                lane.clear()
                lane.extend(kept)
        for item in gone:
            self._mergeable.pop(item.channel, None)
            self._depths[item.lane] -= item.count
            self.bytes -= len(item.payload)
        unwanted = [item for item in self._aside() if item.channel and is_unwanted(item)]
        for item in unwanted:
            self.release(item)
            del self._ready[item.lane]
        return gone + unwanted

    def _item(self, entry: "str | Item") -> Item:
        return self._mergeable[entry] if isinstance(entry, str) else entry
