"""How much there was of something within the last second: a sliding window in three numbers."""

import trio

from monitor.recent import Recent

NAMES_MAX = 10_000
"""The one that was counted longest ago is forgotten first."""


class Window:
    """Counts over a sliding second, estimated from this and the previous whole one."""

    __slots__ = ("_count", "_previous", "_start")

    def __init__(self) -> None:
        self._start = trio.current_time()
        self._count = 0
        self._previous = 0

    def add(self, count: int = 1) -> float:
        """Count so many more; returns how many the last second held."""
        now = trio.current_time()
        if (elapsed := now - self._start) >= 1:
            self._previous = self._count if elapsed < 2 else 0
            self._count = 0
            self._start = now - elapsed % 1
        self._count += count
        return self._count + self._previous * (1 - (now - self._start))


class Rates:
    """At most so much a second of each name."""

    def __init__(self, per_second: int) -> None:
        self._per_second = per_second
        self._windows = Recent[str, Window](NAMES_MAX)

    def __len__(self) -> int:
        return len(self._windows)

    def take(self, name: str) -> bool:
        """Count one more of a name, unless that is too many: who goes on too fast gets so many still."""
        is_taken = self.add(name, 1)
        if not is_taken:
            self.add(name, -1)
        return is_taken

    def add(self, name: str, count: int) -> bool:
        """Count so many more of a name, whether that is too many or not; False if it is."""
        window = self._windows.get(name) or Window()
        self._windows.keep(name, window)
        return window.add(count) <= self._per_second
