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

from benchmarks.fanout.process import LOAD_CORE
from benchmarks.fanout.product import OPERATOR_KEY
from monitor.serve.tokens import make_token

ROWS, COLUMNS = 50, 160


@contextlib.contextmanager
def open_console(port: int, *, settle_seconds: float) -> Iterator[None]:
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
        yield
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
