"""A program on a real terminal (pty), as a person has it."""

import fcntl
import os
import pty
import re
import select
import struct
import subprocess
import sys
import termios
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

PATIENCE_SECONDS = 30
ON_TERMINAL = """
import os, sys
os.login_tty(os.open(sys.argv[1], os.O_RDWR))
os.execv(sys.argv[2], sys.argv[2:])
"""
"""Makes the terminal the process's own, so that it gets the kernel's SIGHUP."""


class Terminal:
    """A process on a terminal of its own; what it writes is kept."""

    def __init__(self, process: subprocess.Popen[bytes], master: int, slave: int) -> None:
        self.process = process
        self.written = b""
        self._master: int | None = master
        self._slave = slave

    def attributes(self) -> list[Any]:
        return termios.tcgetattr(self._slave)

    def hang_up(self) -> None:
        """Close the terminal, as a closed window or a lost SSH session does."""
        if self._master is not None:
            os.close(self._master)
            self._master = None

    def press(self, keys: bytes) -> None:
        assert self._master is not None
        os.write(self._master, keys)

    def wait_for(self, text: bytes, seconds: float = PATIENCE_SECONDS) -> None:
        """Read on until the text has been written."""
        deadline = time.monotonic() + seconds
        while text not in self.written:
            assert self._read(deadline - time.monotonic()), (
                f"{text!r} not written, but {self.plain()[-2000:]}"
            )

    def wait_for_end(self) -> int:
        """Read on until the process ends; returns its exit status."""
        while self.process.poll() is None:
            self._read(0.05)
        while self._read(0):
            pass
        return self.process.returncode

    def plain(self) -> str:
        return re.sub(rb"\x1b[^A-Za-z]*[A-Za-z]", b"", self.written).decode(errors="replace")

    def _read(self, seconds: float) -> bool:
        assert self._master is not None
        ready, _, _ = select.select([self._master], [], [], max(0, seconds))
        if ready:
            self.written += os.read(self._master, 65_536)
        return bool(ready)


@contextmanager
def terminal(
    arguments: list[str],
    size: tuple[int, int] = (80, 24),
    program: Sequence[str] = (sys.executable, "-m"),
    **environment: str,
) -> Iterator[Terminal]:
    """Run a program, `python -m` if none is given, on a terminal of this size (columns, lines)."""
    master, slave = pty.openpty()
    fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", size[1], size[0], 0, 0))
    with subprocess.Popen(
        [sys.executable, "-c", ON_TERMINAL, os.ttyname(slave), *program, *arguments],
        stdin=subprocess.DEVNULL,
        env={**os.environ, "TERM": "xterm-256color", **environment},
    ) as process:
        screen = Terminal(process, master, slave)
        try:
            yield screen
        finally:
            process.kill()
            screen.hang_up()
            os.close(slave)
