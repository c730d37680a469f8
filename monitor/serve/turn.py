"""A task's turn on the loop: a millisecond, then the others get theirs.

Trio changes tasks where one waits; a task that always finds more to do never does.
"""

import time

from monitor.broadcast.turns import SLICE_NS


class Turn:
    """Begins when it is made; one that goes on after giving way makes the next."""

    __slots__ = ("_ends_ns",)

    def __init__(self) -> None:
        self._ends_ns = time.monotonic_ns() + SLICE_NS

    @property
    def is_over(self) -> bool:
        return time.monotonic_ns() >= self._ends_ns
