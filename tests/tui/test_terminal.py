"""The console as a person has it: a process on a real terminal, beside a real server."""

import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from monitor.config import Settings
from monitor.keys import rotate_key
from monitor.serve.tokens import make_token
from tests.process import Process, lanecast_process
from tests.serve.certificates import make_certificate
from tests.serve.running import KEYS
from tests.terminal import PATIENCE_SECONDS, Terminal, terminal
from tests.tui.reports import fill

LEAVE_ALTERNATE_SCREEN = b"\x1b[?1049l"
SHOW_CURSOR = b"\x1b[?25h"
CONNECTED = "● connected".encode()
"""On every view, whatever else has come up on it."""


QUIET = "port = 0\nlog_level = 'error'\nsimulator.enabled = false"


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Process]:
    with lanecast_process(tmp_path_factory.mktemp("quiet"), QUIET) as server:
        yield server


@contextmanager
def console(url: str, size: tuple[int, int] = (80, 24)) -> Iterator[Terminal]:
    token = make_token(KEYS.operator, "console")
    with terminal(["monitor", "console", url], size, LANECAST_OPERATOR_TOKEN=token) as screen:
        yield screen


@pytest.mark.parametrize("size", [(80, 24), (160, 50)])
def test_published_fill_is_on_the_screen_within_a_second(server: Process, size: tuple[int, int]) -> None:
    with console(server.address, size) as screen:
        screen.wait_for(CONNECTED)
        # A busy machine may stop for a second by itself, but hardly each time.
        assert any(is_seen_within_a_second(server, screen, f"{size[0]}32{n}.09") for n in range(3))


def is_seen_within_a_second(server: Process, screen: Terminal, price: str) -> bool:
    """Publish a fill; whether it is on the screen in time. It must come."""
    published = time.monotonic()
    server.publish("orders:paper", {"type": "order_fill", **fill(fill=price, price=price)})
    screen.wait_for(price.encode())
    return time.monotonic() - published <= 1


@pytest.mark.parametrize(
    "leave",
    [b"q", b"\x03", signal.SIGTERM, signal.SIGHUP, signal.SIGINT],
    ids=["q", "ctrl-c", "SIGTERM", "SIGHUP", "SIGINT"],
)
def test_terminal_is_left_as_it_was(server: Process, leave: bytes | signal.Signals) -> None:
    with console(server.address) as screen:
        before = screen.attributes()
        screen.wait_for(CONNECTED)
        assert screen.attributes() != before
        if isinstance(leave, bytes):
            screen.press(leave)
        else:
            screen.process.send_signal(leave)
        assert screen.wait_for_end() == 0
        assert screen.attributes() == before
        assert LEAVE_ALTERNATE_SCREEN in screen.written
        assert screen.written.rindex(SHOW_CURSOR) > screen.written.rindex(b"\x1b[?25l")


def test_console_ends_with_its_terminal(server: Process) -> None:
    with console(server.address) as screen:
        screen.wait_for(CONNECTED)
        screen.hang_up()
        assert screen.process.wait(PATIENCE_SECONDS) == 0


def test_console_waits_for_a_server_and_leaves_at_once_without_one() -> None:
    with console("http://127.0.0.1:1") as screen:
        screen.wait_for(b"not connected since")
        screen.press(b"q")
        assert screen.wait_for_end() == 0


def test_token_is_written_nowhere(server: Process) -> None:
    token = make_token(KEYS.operator, "console").encode()
    with console(server.address) as screen:
        screen.wait_for(CONNECTED)
        assert token not in Path(f"/proc/{screen.process.pid}/cmdline").read_bytes()
        assert token not in screen.written


def test_wrong_address_is_one_sentence_and_exit_2() -> None:
    with terminal(["monitor", "console", "127.0.0.1:8000"]) as screen:
        assert screen.wait_for_end() == 2
        assert screen.plain().strip() == (
            "lanecast: url is '127.0.0.1:8000', must be an http, https, ws or wss address of a server"
        )


def test_without_a_terminal_it_is_one_sentence_and_exit_2() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "monitor", "console", "http://127.0.0.1:1"],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=PATIENCE_SECONDS,
        check=False,
    )
    assert (done.returncode, done.stdout) == (2, "")
    assert (
        done.stderr
        == "lanecast: the console needs a terminal; without one, /metrics tells how the server is\n"
    )


def test_ctrl_c_while_the_console_is_imported_leaves_no_traceback() -> None:
    with terminal(["monitor", "console", "http://127.0.0.1:1"], PYTHONPROFILEIMPORTTIME="1") as screen:
        screen.wait_for(b" rich.")
        screen.press(b"\x03")
        assert screen.wait_for_end() == -signal.SIGINT
        assert b"Traceback" not in screen.written


def test_run_shows_the_simulators_fills_and_ends_with_its_console(tmp_path: Path) -> None:
    arguments = ["monitor", "run", "--port", "0", "--rate", "200", "--data-dir", str(tmp_path)]
    with terminal(arguments, (160, 50)) as screen:
        before = screen.attributes()
        screen.wait_for("▲ buy".encode())
        screen.press(b"q")
        assert screen.wait_for_end() == 0
        assert screen.attributes() == before
        assert LEAVE_ALTERNATE_SCREEN in screen.written


def test_run_over_tls_keeps_its_console_through_a_rotation_of_the_operator_key(tmp_path: Path) -> None:
    tls = make_certificate(tmp_path, "lanecast.example.com")
    settings = Settings(data_dir=tmp_path)
    arguments = ["monitor", "run", "--port", "0", "--data-dir", str(tmp_path)]
    arguments += ["--set", f"tls.certificate_file={tls.certificate_file}"]
    arguments += ["--set", f"tls.key_file={tls.key_file}"]
    with terminal(arguments, (120, 40)) as screen:
        screen.wait_for(CONNECTED)
        rotate_key(settings, "operator", at_once=True)
        while "keys: read again" not in (tmp_path / "lanecast.log").read_text():
            screen.written = b""
            screen.wait_for(b"\x1b")
        screen.press(b"r")
        screen.wait_for(CONNECTED)
        assert "not connected" not in screen.plain()
        screen.press(b"q")
        assert screen.wait_for_end() == 0
