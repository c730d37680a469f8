"""How fast counters rise, from a few readings of them.

A rate is a difference over the time that really passed, so a late reading doesn't bend it.
"""

from collections import deque

NS_PER_SECOND = 1_000_000_000

Counters = tuple[int, ...]


class RateMeter:
    """The last readings of a fixed set of counters, `intervals` of them after the first."""

    __slots__ = ("_readings",)

    def __init__(self, intervals: int, now_ns: int, counters: Counters) -> None:
        self._readings: deque[tuple[int, Counters]] = deque([(now_ns, counters)], maxlen=intervals + 1)

    def read(self, now_ns: int, counters: Counters) -> None:
        """Take in how the counters stand; the same counters in the same order each time."""
        self._readings.append((now_ns, counters))

    def gained(self) -> Counters:
        """How much each counter rose between the oldest kept reading and the newest."""
        (_, before), (_, after) = self._readings[0], self._readings[-1]
        return tuple(new - old for old, new in zip(before, after, strict=True))

    def per_second(self) -> tuple[float, ...]:
        """The same per second; zeros as long as no time has passed."""
        seconds = (self._readings[-1][0] - self._readings[0][0]) / NS_PER_SECOND
        return tuple(gain / seconds if seconds else 0.0 for gain in self.gained())
