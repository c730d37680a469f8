"""How much of a kind's promise is used up: 99 of 100 deliveries within its threshold, over an hour.

Late ones are counted by the second, so a window tells how fast the budget burns, and whether one bad
second or many did it. Prevents both alarms over a hiccup and silence over a slow decay.
"""

from array import array
from typing import NamedTuple

BUDGET_SHARE = 0.01
"""Of the deliveries of the last hour: so many may be late."""
BUDGET_SECONDS = 3_600


class Tally(NamedTuple):
    """What a stretch of time saw."""

    total: int
    near: int
    """Over four fifths of the threshold, the late ones among them."""
    late: int
    near_seconds: int
    """Seconds that had any of them."""
    late_seconds: int

    @property
    def near_burn(self) -> float:
        """Like `late_burn`, if the threshold were a fifth lower."""
        return _burn(self.near, self.total)

    @property
    def late_burn(self) -> float:
        """How many times faster than allowed the budget is spent; at 1 an hour spends all of it."""
        return _burn(self.late, self.total)


def _burn(bad: int, total: int) -> float:
    return bad / total / BUDGET_SHARE if total else 0.0


_WIDTH = len(Tally._fields)
_ROWS = BUDGET_SECONDS + 1


class Budget:
    """The last hour of one kind, read once a second.

    Its memory is taken at the start: a reading kept as an object would grow the process for an hour.
    """

    __slots__ = ("_newest", "_rows")

    def __init__(self) -> None:
        self._rows = array("Q", bytes(8 * _WIDTH * _ROWS))
        """A ring of readings since the start, all zeros before it."""
        self._newest = 0

    def read(self, total: int, near: int, late: int) -> None:
        """Take in the counts since the start; called once a second."""
        before = self._reading(0)
        near_seconds = before.near_seconds + (near > before.near)
        late_seconds = before.late_seconds + (late > before.late)
        self._newest = (self._newest + 1) % _ROWS
        start = self._newest * _WIDTH
        self._rows[start : start + _WIDTH] = array("Q", (total, near, late, near_seconds, late_seconds))

    def begin_anew(self) -> None:
        """Let all that was read so far count no more."""
        self._rows = array("Q", self._reading(0)) * _ROWS

    def _reading(self, seconds_ago: int) -> Tally:
        start = (self._newest - seconds_ago) % _ROWS * _WIDTH
        return Tally(*self._rows[start : start + _WIDTH])

    def last(self, seconds: int) -> Tally:
        """What the last so many seconds saw, an hour at most."""
        before, now = self._reading(min(seconds, BUDGET_SECONDS)), self._reading(0)
        return Tally(*(new - old for old, new in zip(before, now, strict=True)))

    def has_near(self, seconds: int) -> bool:
        """Whether the last so many seconds saw any that took nearly too long; cheap, unlike `last`."""
        return self._reading(min(seconds, BUDGET_SECONDS)).near < self._reading(0).near

    @property
    def left(self) -> float | None:
        """Of the hour's budget: 1 is all of it, below 0 it is overdrawn; None where nothing was delivered."""
        hour = self.last(BUDGET_SECONDS)
        return 1 - hour.late_burn if hour.total else None
