"""How many commands a client sent within the last second: a sliding window in three numbers."""

import trio


class Window:
    """Counts over a sliding second, estimated from this and the previous whole one."""

    __slots__ = ("_count", "_previous", "_start")

    def __init__(self) -> None:
        self._start = trio.current_time()
        self._count = 0
        self._previous = 0

    def add(self) -> float:
        """Count one more; returns how many the last second held."""
        now = trio.current_time()
        if (elapsed := now - self._start) >= 1:
            self._previous = self._count if elapsed < 2 else 0
            self._count = 0
            self._start = now - elapsed % 1
        self._count += 1
        return self._count + self._previous * (1 - (now - self._start))
