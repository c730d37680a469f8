"""How late the event loop wakes a task that sleeps, by probes, and for how many seconds it was too late.

A stall is one late probe, and those that it made miss their time are counted with it: else a loop that
stood for a minute would look better than one that was late all along.
"""

from collections import deque

from monitor.health.latency import NS_PER_MS, LatencyMeter
from monitor.health.rates import NS_PER_SECOND

PROBE_SECONDS = 0.125
"""How often it is probed; to wake up costs some 0.3 ms of an idle core each time."""
LAG_LIMIT_MS = 10.0
"""All that is promised for an order fill."""
WINDOW_SECONDS = 60

_MISSED_PROBES_LIMIT = round(WINDOW_SECONDS / PROBE_SECONDS)


class LagMeter(LatencyMeter):
    """The probes, and the seconds of the last minute in which one was beyond the limit."""

    __slots__ = ("_late", "_late_seconds")

    def __init__(self) -> None:
        super().__init__()
        self._late = 0
        self._late_seconds: deque[int] = deque(maxlen=WINDOW_SECONDS)

    def note(self, late_seconds: float) -> None:
        """A probe came so late, and those that were missed meanwhile as late as they would have been."""
        for missed in range(min(int(late_seconds / PROBE_SECONDS), _MISSED_PROBES_LIMIT) + 1):
            self.record(round((late_seconds - missed * PROBE_SECONDS) * NS_PER_SECOND))
        if late_seconds * NS_PER_SECOND > LAG_LIMIT_MS * NS_PER_MS:
            self._late = max(self._late, 1 + int(late_seconds))

    def end_second(self) -> None:
        self._late_seconds.append(self._late)
        self._late = 0

    @property
    def late_seconds(self) -> int:
        """Of the last minute; a stall counts for as long as it was."""
        return sum(self._late_seconds) + self._late
