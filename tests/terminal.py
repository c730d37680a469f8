"""A program on a real terminal (pty), as a person has it: what it wrote, and what stands on the screen."""

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
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import pyte
from pyte.modes import DECAWM, DECTCEM

from tests.patience import PATIENCE_SECONDS

LOOK_SECONDS = 0.05
"""Between two looks at what needs not show in what is written."""
ON_TERMINAL = """
import os, sys
os.login_tty(os.open(sys.argv[1], os.O_RDWR))
os.execv(sys.argv[2], sys.argv[2:])
"""
"""Makes the terminal the process's own, so that it gets the kernel's SIGHUP."""
ON_LENT_TERMINAL = """
import os, sys
os.setsid()
terminal = os.open(sys.argv[1], os.O_RDWR | os.O_NOCTTY)
for descriptor in range(3):
    os.dup2(terminal, descriptor)
os.execv(sys.argv[2], sys.argv[2:])
"""
"""No SIGHUP comes, as behind a program that runs others on its own terminal."""
MODES_AT_FIRST = {DECAWM, DECTCEM}
"""Of a terminal that nobody has told anything: lines wrap, the cursor is shown, and that is all."""
KEYBOARD_PUSHED, KEYBOARD_POPPED = re.compile(rb"\x1b\[>\d+u"), re.compile(rb"\x1b\[<u")
"""Of kitty's keyboard protocol, which the screen's emulator doesn't know."""


class Terminal:
    """A process on a terminal of its own; what it writes is kept, and drawn."""

    def __init__(
        self, process: subprocess.Popen[bytes], master: int, slave: int, size: tuple[int, int]
    ) -> None:
        self.process = process
        self.written = b""
        self.screen = pyte.Screen(*size)
        self._stream = pyte.ByteStream(self.screen)
        self._master: int | None = master
        self._slave = slave

    @property
    def shown(self) -> str:
        """What stands on the screen, line by line."""
        return "\n".join(line.rstrip() for line in self.screen.display)

    @property
    def is_as_at_first(self) -> bool:
        """Whether all that the program has told the terminal is taken back."""
        pushed, popped = (len(sign.findall(self.written)) for sign in (KEYBOARD_PUSHED, KEYBOARD_POPPED))
        return self.screen.mode == MODES_AT_FIRST and pushed == popped

    def colours(self) -> set[str]:
        """All on the screen, as six hexadecimal digits or a name."""
        cells = [cell for line in self.screen.buffer.values() for cell in line.values()]
        return {colour for cell in cells for colour in (cell.fg, cell.bg)}

    def resize(self, columns: int, lines: int) -> None:
        """As a window does; the kernel tells the process."""
        _set_size(self._slave, columns, lines)
        self.screen.resize(lines, columns)

    def attributes(self) -> list[Any]:
        return termios.tcgetattr(self._slave)

    def hang_up(self) -> None:
        """Close the terminal, as a closed window or a lost SSH session does."""
        if self._master is not None:
            os.close(self._master)
            self._master = None

    def press(self, keys: bytes | str) -> None:
        assert self._master is not None
        os.write(self._master, keys.encode() if isinstance(keys, str) else keys)

    def click(self, text: str, lines_below: int = 0) -> None:
        """Click where this begins on the screen, for the first time from above; or below it."""
        x, y = self._find(text)
        y += lines_below
        self.press(f"\x1b[<0;{x + 1};{y + 1}M\x1b[<0;{x + 1};{y + 1}m")

    def background(self, text: str) -> str:
        """The colour behind this, where it stands for the first time from above."""
        x, y = self._find(text)
        return str(self.screen.buffer[y][x].bg)

    def _find(self, text: str) -> tuple[int, int]:
        y, line = next((y, line) for y, line in enumerate(self.screen.display) if text in line)
        return line.index(text), y

    def wait_for(self, text: bytes, seconds: float = PATIENCE_SECONDS) -> None:
        """Read on until the text has been written."""
        deadline = time.monotonic() + seconds
        while text not in self.written:
            assert self._read(deadline - time.monotonic()), (
                f"{text!r} not written, but {self.plain()[-2000:]}"
            )

    def wait_until(self, holds: Callable[[], object]) -> None:
        """Read on until this holds."""
        deadline = time.monotonic() + PATIENCE_SECONDS
        while not holds():
            assert time.monotonic() < deadline, f"it never held of\n{self.shown}"
            self._read(LOOK_SECONDS)

    def wait_until_shown(self, *texts: str) -> None:
        """Read on until all of these stand on the screen at once."""
        self.wait_until(lambda: all(text in self.shown for text in texts))

    def wait_until_gone(self, text: str) -> None:
        self.wait_until(lambda: text not in self.shown)

    def wait_for_end(self) -> int:
        """Read on until the process ends; returns its exit status."""
        self.wait_until(lambda: self.process.poll() is not None)
        while self._read(0):
            pass
        return self.process.returncode

    def plain(self) -> str:
        return re.sub(rb"\x1b[^A-Za-z]*[A-Za-z]", b"", self.written).decode(errors="replace")

    def _read(self, seconds: float) -> bool:
        assert self._master is not None
        ready, _, _ = select.select([self._master], [], [], max(0, seconds))
        if ready:
            data = os.read(self._master, 65_536)
            self.written += data
            self._stream.feed(data)
        return bool(ready)


def _surroundings() -> dict[str, str]:
    """Ours without a terminal's size: readline exports that of pytest's, and a program believes it."""
    return {name: value for name, value in os.environ.items() if name not in {"COLUMNS", "LINES"}}


def _set_size(terminal: int, columns: int, lines: int) -> None:
    fcntl.ioctl(terminal, termios.TIOCSWINSZ, struct.pack("HHHH", lines, columns, 0, 0))


@contextmanager
def terminal(
    arguments: list[str],
    size: tuple[int, int] = (80, 24),
    program: Sequence[str] = (sys.executable, "-m"),
    start: str = ON_TERMINAL,
    **environment: str,
) -> Iterator[Terminal]:
    """Run a program, `python -m` if none is given, on a terminal of this size (columns, lines)."""
    master, slave = pty.openpty()
    _set_size(slave, *size)
    with subprocess.Popen(
        [sys.executable, "-c", start, os.ttyname(slave), *program, *arguments],
        stdin=subprocess.DEVNULL,
        env=_surroundings() | {"TERM": "xterm-256color"} | environment,
    ) as process:
        screen = Terminal(process, master, slave, size)
        try:
            yield screen
        finally:
            process.kill()
            screen.hang_up()
            os.close(slave)
