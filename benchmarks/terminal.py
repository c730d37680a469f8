"""A program on a terminal of its own, whose screen somebody keeps reading: the console, or another."""

import contextlib
import fcntl
import os
import pty
import struct
import subprocess
import sys
import termios
import threading
import time
from collections.abc import Iterator, Mapping, Sequence

import psutil

from benchmarks.fanout.process import LOAD_CORE, cpu_seconds
from monitor.serve.tokens import make_token

ROWS, COLUMNS = 50, 160
SCREEN_LIMIT_SECONDS = 30.0
CONSOLE_COMMAND = (sys.executable, "-m", "monitor", "console")
CONSOLE_SCREEN = (b"connected", b"immediate")
"""Its first view is whole once the lanes are there, which the server tells."""
_KEPT_BYTES = 1 << 20
"""Of what was written while something is looked for: several screens."""
_SURROUNDINGS = {"TERM": "xterm-256color", "COLORTERM": "truecolor", "LANG": "C.UTF-8"}


class Terminal:
    """The program's process, and the end of the terminal at which a person sits."""

    def __init__(self, process: subprocess.Popen[bytes], descriptor: int) -> None:
        self.start_seconds = 0.0
        """From the process's start to its first whole screen."""
        self.written_bytes = 0
        self._process = psutil.Process(process.pid)
        self._descriptor = descriptor
        self._news = threading.Condition()
        self._marks: tuple[bytes, ...] = ()
        self._kept = bytearray()
        self._found_at = 0.0

    def press(self, keys: bytes) -> None:
        os.write(self._descriptor, keys)

    def expect(self, *marks: bytes) -> None:
        """Look for all of these in what is written from now on."""
        with self._news:
            self._kept.clear()
            self._marks = marks

    def wait(self, limit_seconds: float = SCREEN_LIMIT_SECONDS) -> float:
        """When the last of what was expected had come, by the monotonic clock.

        Raises:
            TimeoutError: it was not written in time.
        """
        with self._news:
            if not self._news.wait_for(lambda: not self._marks, limit_seconds):
                raise TimeoutError(f"{self._marks} was not written within {limit_seconds:g} s")
            return self._found_at

    def cpu_seconds(self) -> float:
        """What the program and all that it started have used of a core so far."""
        return sum(cpu_seconds(process.pid) for process in self._processes())

    def memory_bytes(self) -> int:
        """What they hold, resident."""
        return sum(process.memory_info().rss for process in self._processes())

    def read_on(self) -> None:
        """Read until the terminal is closed."""
        with contextlib.suppress(OSError):
            while data := os.read(self._descriptor, 65_536):
                self._take(data, time.monotonic())

    def _take(self, data: bytes, now: float) -> None:
        with self._news:
            self.written_bytes += len(data)
            if not self._marks:
                return
            self._kept += data
            del self._kept[:-_KEPT_BYTES]
            if all(mark in self._kept for mark in self._marks):
                self._marks, self._found_at = (), now
                self._news.notify()

    def _processes(self) -> list[psutil.Process]:
        return [self._process, *self._process.children(recursive=True)]


@contextlib.contextmanager
def open_terminal(
    command: Sequence[str], surroundings: Mapping[str, str], first_screen: Sequence[bytes]
) -> Iterator[Terminal]:
    """Run a program on the load's core, and wait until all of its first screen has been written.

    Raises:
        TimeoutError: it was not.
        RuntimeError: the program ended by itself.
    """
    descriptor, side = pty.openpty()
    fcntl.ioctl(side, termios.TIOCSWINSZ, struct.pack("HHHH", ROWS, COLUMNS, 0, 0))
    began = time.monotonic()
    process = subprocess.Popen(
        command,
        env={**os.environ, **_SURROUNDINGS, **surroundings},
        stdin=side,
        stdout=side,
        stderr=side,
        start_new_session=True,
    )
    os.sched_setaffinity(process.pid, {LOAD_CORE})
    os.close(side)
    terminal = Terminal(process, descriptor)
    terminal.expect(*first_screen)
    reader = threading.Thread(target=terminal.read_on)
    reader.start()
    try:
        terminal.start_seconds = terminal.wait() - began
        yield terminal
        if process.poll() is not None:
            raise RuntimeError(f"{command[0]} ended by itself with status {process.returncode}")
    finally:
        process.terminate()
        process.wait()
        reader.join()
        os.close(descriptor)


def open_console(url: str, operator_key: str) -> contextlib.AbstractContextManager[Terminal]:
    """Attach the operator's console to a server."""
    return open_terminal([*CONSOLE_COMMAND, url], console_token(operator_key), CONSOLE_SCREEN)


def console_token(operator_key: str) -> dict[str, str]:
    """What makes a console an operator's."""
    return {"LANECAST_OPERATOR_TOKEN": make_token(operator_key, "console")}
