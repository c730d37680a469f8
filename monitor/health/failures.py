"""Connections that failed lately: how, and whose they were.

Counts alone send an operator searching. The last failures stand for all of the window: a storm of them costs
no more memory than a thousand.
"""

from collections import deque
from collections.abc import Iterator
from typing import NamedTuple

from monitor.health.rates import NS_PER_SECOND

FAILURES_KEPT = 1_000
WINDOW_SECONDS = 60


class Failure(NamedTuple):
    at_ns: int
    """Monotonic."""
    cause: str
    """The close code and its reason."""
    peer: str
    """The user, or the place of one without."""


class Failures:
    """The last thousand failed connections, and in how many seconds of the last minute there were any."""

    def __init__(self) -> None:
        self._kept: deque[Failure] = deque(maxlen=FAILURES_KEPT)
        self._had_any: deque[bool] = deque(maxlen=WINDOW_SECONDS)
        self._has_any = False

    def add(self, failure: Failure) -> None:
        """Note one, later than all before."""
        self._kept.append(failure)
        self._has_any = True

    def end_second(self) -> None:
        self._had_any.append(self._has_any)
        self._has_any = False

    @property
    def seconds(self) -> int:
        return sum(self._had_any) + self._has_any

    def since(self, now_ns: int) -> Iterator[Failure]:
        """Those of the last minute that are kept."""
        return (failure for failure in self._kept if now_ns - failure.at_ns <= WINDOW_SECONDS * NS_PER_SECOND)
