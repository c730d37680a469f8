"""The ladder: the declared steps by which a slow client is given less, before it is cut.

A client goes up while its backlog stays above a step's mark, and down once it has stayed well
below; between the two marks nothing changes, so it does not flutter. Fills, orders and bots are
never given less. What is pending merges at every step; past the last one the outbox is full.
"""

from dataclasses import dataclass
from enum import IntEnum, StrEnum

from monitor.broadcast.item import Item
from monitor.config import Lane, Namespace


class Step(IntEnum):
    FULL = 0
    MERGE = 1
    """Nothing goes past the outbox any more, so all that can merge does."""
    BOOK_20 = 2
    BOOK_5 = 3
    SLOW = 4
    """Market state at most once a second."""
    SNAPSHOTS = 5
    """Market state every 5 s, and no trades."""


ENTER_SHARE = {
    Step.MERGE: 1 / 16,
    Step.BOOK_20: 1 / 8,
    Step.BOOK_5: 1 / 4,
    Step.SLOW: 3 / 8,
    Step.SNAPSHOTS: 1 / 2,
}
"""Of the outbox's bound, what a backlog must be above to lead to the step."""
LEAVE_FACTOR = 1 / 4
"""Of a step's mark, what a backlog must be below to lead down from it."""
UP_SECONDS = 0.5
DOWN_SECONDS = 5.0
_NOTHING: frozenset[str] = frozenset()
"""One for all: an empty set takes 216 bytes, and Python makes each anew."""


class Ladder:
    """Where one client stands, and what it went without there."""

    __slots__ = ("_held_since", "pinned", "since", "step", "torn")

    def __init__(self) -> None:
        self.step = Step.FULL
        self.since = 0.0
        """When it came to its step, on the clock of `judge`."""
        self.pinned: Step | None = None
        """Where an operator has put the client, whatever its backlog."""
        self.torn = _NOTHING
        """Channels that it did not get everything of."""
        self._held_since: dict[int, float] = {}

    @property
    def is_at_rest(self) -> bool:
        """Whether it keeps nothing back."""
        return self.step is Step.FULL and self.pinned is None

    def keeps_back(self, item: Item) -> bool:
        """Whether the client does without an item.

        What follows a hole stays out as well, until the client asks anew: it would hide the hole.
        """
        return item.channel in self.torn or (self.step is Step.SNAPSHOTS and item.is_of(MARKET_STREAM))

    def judge(self, backlog_share: float, now: float) -> bool:
        """Look at a backlog (of its bound, 0 to 1) at a time in seconds; True when the step changed.

        One step at a time, each after its own while, and none while the backlog is in between.
        """
        step = self._next(backlog_share, now) if self.pinned is None else self.pinned
        if step is self.step:
            return False
        self.step, self.since = step, now
        self._held_since.clear()
        return True

    def _next(self, share: float, now: float) -> Step:
        if self._has_held(1, self._is_above(share), UP_SECONDS, now):
            return Step(self.step + 1)
        if self._has_held(-1, self._is_below(share), DOWN_SECONDS, now):
            return Step(self.step - 1)
        return self.step

    def _is_above(self, share: float) -> bool:
        return self.step < Step.SNAPSHOTS and share > ENTER_SHARE[Step(self.step + 1)]

    def _is_below(self, share: float) -> bool:
        return self.step > Step.FULL and share < ENTER_SHARE[self.step] * LEAVE_FACTOR

    def _has_held(self, direction: int, holds: bool, seconds: float, now: float) -> bool:
        if not holds:
            self._held_since.pop(direction, None)
            return False
        return now - self._held_since.setdefault(direction, now) >= seconds


class Variant(StrEnum):
    """Which of its forms a channel of market state has for a client; shared by all on that form."""

    FULL = "full"
    BOOK_20 = "book_20"
    BOOK_5 = "book_5"
    SLOW = "slow"
    SNAPSHOTS = "snapshots"


@dataclass(frozen=True, slots=True)
class Form:
    depth: int
    interval_seconds: float
    """Least time between two changes, where the namespace allows more."""


FORMS = {
    Variant.FULL: Form(50, 0.0),
    Variant.BOOK_20: Form(20, 0.0),
    Variant.BOOK_5: Form(5, 0.0),
    Variant.SLOW: Form(5, 1.0),
    Variant.SNAPSHOTS: Form(5, 5.0),
}


MARKET_STREAM = "trade"
"""The kind that a client on the last step does without; other streams stay whole to the end."""


def variant_of(namespace: Namespace, step: Step) -> Variant:
    """The form in which a client on a step gets a channel of market state."""
    if namespace.lane < Lane.NORMAL or not namespace.delivery.merges:
        return Variant.FULL
    if step >= Step.SLOW:
        return Variant.SNAPSHOTS if step is Step.SNAPSHOTS else Variant.SLOW
    if namespace.kind == "book" and step >= Step.BOOK_20:
        return Variant.BOOK_5 if step is Step.BOOK_5 else Variant.BOOK_20
    return Variant.FULL
