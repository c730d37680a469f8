"""The operator's console on a terminal of its own, whose screen somebody keeps reading."""

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
from collections.abc import Iterator
from dataclasses import dataclass

from benchmarks.fanout.process import LOAD_CORE, cpu_seconds
from benchmarks.fanout.product import OPERATOR_KEY
from monitor.serve.tokens import make_token

ROWS, COLUMNS = 50, 160


@dataclass(frozen=True, slots=True)
class Attached:
    """The console's process, and the operator's end of its terminal."""

    pid: int
    terminal: int

    def press(self, keys: bytes) -> None:
        os.write(self.terminal, keys)

    def cpu_seconds(self) -> float:
        """What all its threads have used of a core so far."""
        return cpu_seconds(self.pid)


@contextlib.contextmanager
def open_console(port: int, *, settle_seconds: float) -> Iterator[Attached]:
    """Attach it to a server, on the load's core, and wait until its start is over.

    Raises:
        RuntimeError: it ended by itself.
    """
    terminal, console_side = pty.openpty()
    fcntl.ioctl(console_side, termios.TIOCSWINSZ, struct.pack("HHHH", ROWS, COLUMNS, 0, 0))
    given = {"LANECAST_OPERATOR_TOKEN": make_token(OPERATOR_KEY, "console"), "TERM": "xterm-256color"}
    process = subprocess.Popen(
        [sys.executable, "-m", "monitor", "console", f"http://127.0.0.1:{port}"],
        env=os.environ | given,
        stdin=console_side,
        stdout=console_side,
        stderr=console_side,
        start_new_session=True,
    )
    os.sched_setaffinity(process.pid, {LOAD_CORE})
    os.close(console_side)
    reader = threading.Thread(target=_read_all, args=(terminal,))
    reader.start()
    try:
        time.sleep(settle_seconds)
        yield Attached(process.pid, terminal)
        if process.poll() is not None:
            raise RuntimeError(f"the console ended by itself with status {process.returncode}")
    finally:
        process.terminate()
        process.wait()
        reader.join()
        os.close(terminal)


def _read_all(terminal: int) -> None:
    with contextlib.suppress(OSError):
        while os.read(terminal, 65_536):
            pass
