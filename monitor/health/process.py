"""What the server's own process takes, and what room its disk has left, read once a second.

Memory is judged by its growth over ten minutes, less what new clients may take: a crowd that
arrives is no leak.
"""

import os
import time
from collections import deque
from pathlib import Path

import psutil

CLIENT_BYTES = 64 * 1024
"""What one client may take before it counts as growth: four times an idle connection's budget."""
WARM_UP_SECONDS = 600
"""Histories and five-minute windows fill first: that is no leak either."""
SCHEDULED = Path("/proc/self/schedstat")
"""Of the main thread, on which the loop runs; its second figure is how long it stood in line for a CPU."""
_SECONDS_PER_READING = 60
_READINGS = 11
"""The first and the last are ten minutes apart."""


class MemoryGrowth:
    """Memory now beside memory up to ten minutes ago; 0 until the program is warm."""

    def __init__(self) -> None:
        self.bytes = 0
        self._seconds = 0
        self._readings: deque[int] = deque(maxlen=_READINGS)

    def read(self, memory_bytes: int, clients: int) -> None:
        """Take in one reading; called once a second."""
        self._seconds += 1
        if self._seconds < WARM_UP_SECONDS:
            return
        unexplained = memory_bytes - clients * CLIENT_BYTES
        if (self._seconds - WARM_UP_SECONDS) % _SECONDS_PER_READING == 0:
            self._readings.append(unexplained)
        self.bytes = unexplained - self._readings[0]


class CpuWait:
    """How much of the last minute this process could have run and was not let: others had the CPUs."""

    def __init__(self, file: Path = SCHEDULED) -> None:
        self.share: float | None = None
        """None where the system does not tell."""
        self._file = file
        self._readings: deque[tuple[int, int]] = deque(maxlen=_SECONDS_PER_READING + 1)

    def read(self) -> None:
        """Take in one reading; called once a second."""
        try:
            waited_ns = int(self._file.read_text().split()[1])
        except (OSError, IndexError, ValueError):
            return
        now_ns = time.monotonic_ns()
        self._readings.append((now_ns, waited_ns))
        since_ns, before_ns = self._readings[0]
        self.share = (waited_ns - before_ns) / max(1, now_ns - since_ns)


class ProcessMeter:
    """Memory and CPU of this process: at first over its whole start, then over the last second."""

    def __init__(self) -> None:
        self._process = psutil.Process()
        self._process.cpu_percent()
        self.pid = self._process.pid
        self.memory_bytes: int = self._process.memory_info().rss
        self.cpu_percent: float = self._since_start_percent()
        self.growth = MemoryGrowth()
        self.wait = CpuWait()

    def read(self, clients: int) -> None:
        """Look at the process; called once a second."""
        self.memory_bytes = self._process.memory_info().rss
        self.cpu_percent = self._process.cpu_percent()
        self.growth.read(self.memory_bytes, clients)
        self.wait.read()

    def _since_start_percent(self) -> float:
        times = self._process.cpu_times()
        return round(100 * (times.user + times.system) / (time.time() - self._process.create_time()), 1)


class DiskMeter:
    """Where a directory is, or will be once it is made."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.read()

    def read(self) -> None:
        """Look at the disk; called once a second."""
        there = next(path for path in (self.directory, *self.directory.absolute().parents) if path.exists())
        found = os.statvfs(there)
        self.free_bytes = found.f_bavail * found.f_frsize
        """What a process without privileges may still write."""
