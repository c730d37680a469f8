"""Connections that failed lately: how, and whose they were.

Counts alone send an operator searching. The last failures stand for all of the window: a storm of them costs
no more memory than a thousand.
"""

from collections import deque
from collections.abc import Iterator
from typing import NamedTuple

FAILURES_KEPT = 1_000
WINDOW_NS = 60_000_000_000


class Failure(NamedTuple):
    at_ns: int
    """Monotonic."""
    cause: str
    """The close code and its reason."""
    peer: str
    """The user, or the place of one without."""


class Failures:
    """The last thousand failed connections."""

    def __init__(self) -> None:
        self._kept: deque[Failure] = deque(maxlen=FAILURES_KEPT)

    def add(self, failure: Failure) -> None:
        """Note one, later than all before."""
        self._kept.append(failure)

    def since(self, now_ns: int) -> Iterator[Failure]:
        """Those of the last minute that are kept."""
        return (failure for failure in self._kept if now_ns - failure.at_ns <= WINDOW_NS)
