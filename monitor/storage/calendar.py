"""What date the journal's age goes by: the wall clock's, unless that has leapt ahead.

Prevents that a clock which is set forward by mistake, or a machine that wakes up in another year,
deletes all there is within five seconds. A leap is believed once it has stood for a day: long
enough to notice it. Back, or on by less than a day, the clock is believed at once.
"""

from monitor.health.latency import NS_PER_MS

DAY_MS = 86_400_000


class Calendar:
    """Pure: it is told both clocks whenever it is asked."""

    def __init__(self, date_ms: int, now_ns: int) -> None:
        """`date_ms` is the date that was believed last, by whatever process; `now_ns` is monotonic."""
        self.date_ms = date_ms
        self._now_ns = now_ns
        self._leapt_ns: int | None = None
        """Since when the clock is ahead."""

    def look(self, wall_ms: int, now_ns: int) -> int:
        """The date to go by, in ms since 1970."""
        passed_ms = (now_ns - self._now_ns) // NS_PER_MS
        self._now_ns += passed_ms * NS_PER_MS
        self.date_ms += passed_ms
        if wall_ms - self.date_ms <= DAY_MS or self._has_stood(now_ns):
            self.date_ms = wall_ms
            self._leapt_ns = None
        return self.date_ms

    def _has_stood(self, now_ns: int) -> bool:
        if self._leapt_ns is None:
            self._leapt_ns = now_ns
        return now_ns - self._leapt_ns >= DAY_MS * NS_PER_MS
