"""How long a task goes on before the others get their turn.

Trio changes tasks where one waits. A task that always finds more to do never does, and a fill
would stand behind it: so whoever works through many things gives way at the end of each turn.
"""

import time
from collections.abc import Callable

import trio

SLICE_NS = 1_000_000
"""What one turn takes at most, wherever something is done in turns."""


class Turn:
    """A stretch of time, which begins when it is made."""

    __slots__ = ("_clock_ns", "_ends_ns", "_length_ns")

    def __init__(self, length_ns: int = SLICE_NS, clock_ns: Callable[[], int] = time.monotonic_ns) -> None:
        self._length_ns = length_ns
        self._clock_ns = clock_ns
        self._ends_ns = clock_ns() + length_ns

    @property
    def is_over(self) -> bool:
        return self._clock_ns() >= self._ends_ns

    async def give_way(self) -> None:
        """If it is over, let the others have theirs and begin anew; else not a checkpoint."""
        if self.is_over:
            await trio.lowlevel.checkpoint()
            self._ends_ns = self._clock_ns() + self._length_ns
