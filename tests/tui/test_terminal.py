"""The console as a person has it: a process on a real terminal, beside a real server."""

import fcntl
import os
import pty
import re
import select
import signal
import struct
import subprocess
import sys
import termios
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest

from monitor.serve.access import make_token
from tests.tui.reports import fill

PATIENCE_SECONDS = 30
API_KEY, OPERATOR_KEY = "a" * 64, "o" * 64
LEAVE_ALTERNATE_SCREEN = b"\x1b[?1049l"
ON_TERMINAL = """
import os, sys
os.login_tty(os.open(sys.argv[1], os.O_RDWR))
os.execv(sys.executable, [sys.executable, "-m", *sys.argv[2:]])
"""
"""Makes the terminal the process's own, so that it gets the kernel's SIGHUP."""
SHOW_CURSOR = b"\x1b[?25h"


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
    arguments: list[str], size: tuple[int, int] = (80, 24), **environment: str
) -> Iterator[Terminal]:
    """Run `python -m` with these arguments on a terminal of this size (columns, lines)."""
    master, slave = pty.openpty()
    fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", size[1], size[0], 0, 0))
    with subprocess.Popen(
        [sys.executable, "-c", ON_TERMINAL, os.ttyname(slave), *arguments],
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


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A quiet server; its address."""
    environment = {"LANECAST_API_KEY": API_KEY, "LANECAST_OPERATOR_KEY": OPERATOR_KEY}
    quiet = ["--set", "simulator.enabled=false", "--log-level", "error"]
    directory = str(tmp_path_factory.mktemp("data"))
    with subprocess.Popen(
        [sys.executable, "-m", "monitor", "serve", "--port", "0", "--data-dir", directory, *quiet],
        env={**os.environ, **environment},
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout
        try:
            yield process.stdout.readline().split()[-1]
        finally:
            process.kill()


@contextmanager
def console(url: str, size: tuple[int, int] = (80, 24)) -> Iterator[Terminal]:
    token = make_token(OPERATOR_KEY, "console")
    with terminal(["tui", url], size, LANECAST_OPERATOR_TOKEN=token) as screen:
        yield screen


def publish_fill(url: str, price: str) -> None:
    event = {"type": "order_fill", **fill(fill=price, price=price)}
    answer = httpx.post(
        f"{url}/api/publish",
        json={"channel": "orders:paper", "data": event},
        headers={"X-API-Key": API_KEY},
        trust_env=False,
    )
    assert "result" in answer.json()


@pytest.mark.parametrize("size", [(80, 24), (160, 50)])
def test_published_fill_is_on_the_screen_within_a_second(server: str, size: tuple[int, int]) -> None:
    price = f"{size[0]}321.09"
    with console(server, size) as screen:
        screen.wait_for(b"order_fill")
        publish_fill(server, price)
        screen.wait_for(price.encode(), seconds=1)


@pytest.mark.parametrize(
    "leave",
    [b"q", b"\x03", signal.SIGTERM, signal.SIGHUP, signal.SIGINT],
    ids=["q", "ctrl-c", "SIGTERM", "SIGHUP", "SIGINT"],
)
def test_terminal_is_left_as_it_was(server: str, leave: bytes | signal.Signals) -> None:
    with console(server) as screen:
        before = screen.attributes()
        screen.wait_for(b"order_fill")
        assert screen.attributes() != before
        if isinstance(leave, bytes):
            screen.press(leave)
        else:
            screen.process.send_signal(leave)
        assert screen.wait_for_end() == 0
        assert screen.attributes() == before
        assert LEAVE_ALTERNATE_SCREEN in screen.written
        assert screen.written.rindex(SHOW_CURSOR) > screen.written.rindex(b"\x1b[?25l")


def test_console_ends_with_its_terminal(server: str) -> None:
    with console(server) as screen:
        screen.wait_for(b"order_fill")
        screen.hang_up()
        assert screen.process.wait(PATIENCE_SECONDS) == 0


def test_console_waits_for_a_server_and_leaves_at_once_without_one() -> None:
    with console("http://127.0.0.1:1") as screen:
        screen.wait_for(b"not connected since")
        screen.press(b"q")
        assert screen.wait_for_end() == 0


def test_token_is_written_nowhere(server: str) -> None:
    token = make_token(OPERATOR_KEY, "console").encode()
    with console(server) as screen:
        screen.wait_for(b"order_fill")
        assert token not in Path(f"/proc/{screen.process.pid}/cmdline").read_bytes()
        assert token not in screen.written


def test_wrong_address_is_one_sentence_and_exit_2() -> None:
    with terminal(["tui", "127.0.0.1:8000"]) as screen:
        assert screen.wait_for_end() == 2
        assert screen.plain().strip() == (
            "url is '127.0.0.1:8000', must be an http, https, ws or wss address of a server"
        )


def test_run_shows_the_simulators_fills_and_ends_with_its_console(tmp_path: Path) -> None:
    arguments = ["monitor", "run", "--port", "0", "--rate", "200", "--data-dir", str(tmp_path)]
    with terminal(arguments, (160, 50)) as screen:
        before = screen.attributes()
        screen.wait_for("▲ buy".encode())
        screen.press(b"q")
        assert screen.wait_for_end() == 0
        assert screen.attributes() == before
        assert LEAVE_ALTERNATE_SCREEN in screen.written
