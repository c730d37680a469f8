"""Processes that the benchmark starts: pinned to a core, spoken to in lines, always ended."""

import contextlib
import json
import os
import resource
import select
import subprocess
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

LINE_LIMIT_SECONDS = 300.0
"""A machine that measures something else meanwhile lets us wait."""
_GOODBYE_SECONDS = 3.0
_CPU_CLOCK = 2
"""`CPUCLOCK_SCHED` of Linux: with a process's id it makes that process's CPU clock."""


def cores() -> tuple[int, int]:
    """The server's core and the load's; the same one where there is no second."""
    allowed = sorted(os.sched_getaffinity(0))
    return allowed[0], allowed[-1]


SERVER_CORE, LOAD_CORE = cores()


def allow_descriptors() -> int:
    """Raise the limit of open files as far as it goes; children inherit it."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    return hard


def come_first(nice: int) -> None:
    """Make this process and all that it starts nicer, or with a negative number less nice.

    Linux may share a core between sessions before it looks at niceness (autogroup), so it is the
    session's niceness too, and a session of our own.
    """
    with contextlib.suppress(OSError):
        os.setsid()
    os.nice(nice)
    autogroup = Path("/proc/self/autogroup")
    if autogroup.exists():
        autogroup.write_text(str(nice))


def cpu_seconds(pid: int) -> float:
    """What all threads of a process have used of a core so far, to the nanosecond."""
    return time.clock_gettime((~pid << 3) | _CPU_CLOCK)


class Child:
    """A process that takes a line and answers with a line."""

    def __init__(self, process: subprocess.Popen[bytes]) -> None:
        self._process = process
        self._held = b""
        self.pid = process.pid

    def cpu_seconds(self) -> float:
        """What all its threads have used of a core so far, to the nanosecond."""
        return cpu_seconds(self.pid)

    def write(self, line: str) -> None:
        assert self._process.stdin is not None
        self._process.stdin.write(line.encode() + b"\n")
        self._process.stdin.flush()

    def read(self, limit_seconds: float = LINE_LIMIT_SECONDS) -> str:
        """Raises RuntimeError if it ended, or said nothing for so long."""
        assert self._process.stdout is not None
        give_up = time.monotonic() + limit_seconds
        while b"\n" not in self._held:
            ready, _, _ = select.select([self._process.stdout], [], [], max(0.0, give_up - time.monotonic()))
            if not ready:
                raise RuntimeError(f"process {self.pid} said nothing for {limit_seconds:g} s")
            data = os.read(self._process.stdout.fileno(), 1 << 20)
            if not data:
                raise RuntimeError(f"process {self.pid} ended with status {self._process.wait()}")
            self._held += data
        line, _, self._held = self._held.partition(b"\n")
        return line.decode()

    def ask(self, line: str, limit_seconds: float = LINE_LIMIT_SECONDS) -> str:
        self.write(line)
        return self.read(limit_seconds)

    def ask_json(self, line: str, limit_seconds: float = LINE_LIMIT_SECONDS) -> dict[str, Any]:
        return dict(json.loads(self.ask(line, limit_seconds)))

    def kill(self) -> None:
        """End it at once: it has no goodbye to say."""
        self._process.kill()

    def end(self) -> None:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        with contextlib.suppress(BrokenPipeError):
            self._process.stdin.close()
        try:
            self._process.wait(_GOODBYE_SECONDS)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._process.stdout.close()


@contextlib.contextmanager
def start(command: Sequence[str | Path], *, core: int, nice: int = 0) -> Iterator[Child]:
    """Run a command pinned to a core, made `nice`r than we are; its standard error goes where ours goes."""
    process = subprocess.Popen(
        [str(part) for part in command],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )
    os.sched_setaffinity(process.pid, {core})
    if nice:
        os.setpriority(os.PRIO_PROCESS, process.pid, nice)
    child = Child(process)
    try:
        yield child
    finally:
        child.end()
