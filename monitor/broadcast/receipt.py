"""What a publisher holds in hand, and what a journal says before anybody sees a publication.

A publication of a journaled channel is kept first and sent then, so whoever publishes can't be
told at once where it stands. A receipt is settled when it is on its way; for all other channels
that is before `publish` returns, and nobody waits.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

import trio

from monitor.broadcast.history import Position
from monitor.broadcast.item import Publication


class Receipt:
    """One publication's: where it stands once that is settled, and whether it was there before."""

    __slots__ = ("_waiting", "is_duplicate", "is_lost", "is_settled", "position")

    def __init__(self) -> None:
        self.is_settled = False
        self.is_duplicate = False
        """It was published before, under the same key: `position` is the first one's, nobody was sent it."""
        self.is_lost = False
        """The journal could not keep it: it went out, and no restart will know it."""
        self.position: Position | None = None
        """Where the channel keeps history; known once it is settled."""
        self._waiting: list[Callable[[], None]] = []

    def settle(self, position: Position | None, *, is_duplicate: bool = False, is_lost: bool = False) -> None:
        self.is_settled = True
        self.is_duplicate = is_duplicate
        self.is_lost = is_lost
        self.position = position
        for call in self._waiting:
            call()
        self._waiting.clear()

    def then(self, call: Callable[[], None]) -> None:
        """Call it in the same step in which the publication goes out; now, if it has."""
        if self.is_settled:
            call()
        else:
            self._waiting.append(call)

    def then_if_new(self, call: Callable[[], None]) -> None:
        """As `then`, unless it was there before."""
        self.then(lambda: None if self.is_duplicate else call())

    async def wait(self) -> Position | None:
        """The position, once it is settled; cancelled, the publication goes its way all the same."""
        if not self.is_settled:
            settled = trio.Event()
            self.then(settled.set)
            await settled.wait()
        return self.position


def repeated() -> Receipt:
    """Of what was published before, and nobody knows where that stands."""
    receipt = Receipt()
    receipt.settle(None, is_duplicate=True)
    return receipt


@dataclass(frozen=True, slots=True)
class Kept:
    """What became of a publication in the journal."""

    position: Position | None
    """None: it is not in there, and goes out all the same."""
    is_duplicate: bool = False
    """Its key was there before, at `position`: it must not go out again."""
    is_lost: bool = False
    """It should be in there, and can't be."""


LOST = Kept(None, is_lost=True)


class Journal(Protocol):
    """Where the publications of journaled channels are kept before they are sent."""

    def append(
        self,
        channel: str,
        position: Position,
        publication: Publication,
        key: str,
        settle: Callable[[Kept], None],
    ) -> None:
        """Take a publication; returns at once.

        Args:
            position: where the channel stood last; a channel that is new to the journal goes on from there.
            key: what it is known by in its channel; one that was there before is not kept again. Empty: none.
            settle: is called once it is kept, or can't be: in the order of all calls of `append`.

        Raises:
            TooBusy: as much waits as may.
        """
        ...


class NoJournal:
    """Keeps nothing: what is published goes out at once."""

    def append(
        self,
        channel: str,
        position: Position,
        publication: Publication,
        key: str,
        settle: Callable[[Kept], None],
    ) -> None:
        settle(Kept(None))
