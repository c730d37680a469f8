"""The time of day, in the unit in which all of Lanecast writes it."""

import time


def wall_ms() -> int:
    """Milliseconds since 1970; what is measured is measured by a monotonic clock."""
    return time.time_ns() // 1_000_000
