"""The console as a person has it: a process on a real terminal, beside a real server."""

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from monitor.config import Settings
from monitor.keys import rotate_key
from monitor.serve.tokens import make_token
from tests.patience import PATIENCE_SECONDS
from tests.process import Process, lanecast_process
from tests.serve.certificates import make_certificate
from tests.serve.running import KEYS
from tests.terminal import ON_LENT_TERMINAL, ON_TERMINAL, Terminal, terminal
from tests.tui.attached import CONNECTED, FIRST_LISTS, NOT_CONNECTED, QUIET, console
from tests.tui.reports import fill

CRASHES = {
    "in the screen": "import tui.screens.view as m; m.View.show = lambda *_: 1 / 0",
    "in the link": "import tui.link as m; m.Link._take_health = lambda *_: 1 / 0",
}
"""Planted from outside: what is run before the program."""


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Process]:
    with lanecast_process(tmp_path_factory.mktemp("quiet"), QUIET) as server:
        yield server


@pytest.mark.parametrize("size", [(80, 24), (160, 50)])
def test_published_fill_is_on_the_screen_within_a_second(server: Process, size: tuple[int, int]) -> None:
    with console(server.address, size) as screen:
        screen.wait_until_shown(CONNECTED)
        # A busy machine may stop for a second by itself, but hardly each time.
        assert any(is_seen_within_a_second(server, screen, f"{size[0]}32{n}.09") for n in range(3))


def is_seen_within_a_second(server: Process, screen: Terminal, price: str) -> bool:
    """Publish a fill; whether it is on the screen in time. It must come."""
    published = time.monotonic()
    server.publish("orders:paper", {"type": "order_fill", **fill(fill=price, price=price)})
    screen.wait_until_shown(price)
    return time.monotonic() - published <= 1


@pytest.mark.parametrize(
    "leave",
    [b"q", b"\x03", signal.SIGTERM, signal.SIGHUP, signal.SIGINT],
    ids=["q", "ctrl-c", "SIGTERM", "SIGHUP", "SIGINT"],
)
def test_terminal_is_left_as_it_was(server: Process, leave: bytes | signal.Signals) -> None:
    with console(server.address) as screen:
        before = screen.attributes()
        screen.wait_until_shown(CONNECTED)
        assert screen.attributes() != before
        assert not screen.is_as_at_first
        if isinstance(leave, bytes):
            screen.press(leave)
        else:
            screen.process.send_signal(leave)
        assert screen.wait_for_end() == 0
        assert screen.attributes() == before
        assert screen.is_as_at_first


@pytest.mark.parametrize("crash", CRASHES.values(), ids=CRASHES)
def test_crash_leaves_the_terminal_as_it_was_and_says_why(server: Process, crash: str) -> None:
    program = (sys.executable, "-c", f"{crash}; from monitor.cli import main; main()")
    token = make_token(KEYS.operator, "console")
    with terminal(["console", server.address], program=program, LANECAST_OPERATOR_TOKEN=token) as screen:
        before = screen.attributes()
        assert screen.wait_for_end() != 0
        assert screen.attributes() == before
        assert screen.is_as_at_first
        assert b"\x1b[?1049h" in screen.written
        assert b"ZeroDivisionError" in screen.written


def test_every_view_fits_and_is_readable_without_colour(server: Process) -> None:
    with console(server.address, (80, 24), NO_COLOR="1") as screen:
        screen.wait_until_shown(CONNECTED, "immediate", "Kinds")
        for number, first in enumerate(FIRST_LISTS, 1):
            screen.press(str(number))
            screen.wait_until_shown(f"─ {first} ", "? Help")
            assert "? Help" in screen.shown.splitlines()[-1]
            assert [colour for colour in screen.colours() if not is_grey(colour)] == []


def is_grey(colour: str) -> bool:
    """Whether it is the terminal's own, or red, green and blue are the same."""
    return colour == "default" or colour[:2] == colour[2:4] == colour[4:]


def test_window_of_another_size_is_filled_again(server: Process) -> None:
    with console(server.address, (80, 24)) as screen:
        screen.wait_until_shown(CONNECTED, "? Help")
        for columns, lines in ((160, 50), (60, 20), (100, 30)):
            screen.resize(columns, lines)
            wait_until_filled(screen, columns)


def test_console_that_was_stopped_fills_its_screen_again(server: Process) -> None:
    with console(server.address) as screen:
        screen.wait_until_shown(CONNECTED, "1 overview", "? Help")
        screen.process.send_signal(signal.SIGTSTP)
        stopped = os.WSTOPPED | os.WNOWAIT | os.WNOHANG
        screen.wait_until(lambda: os.waitid(os.P_PID, screen.process.pid, stopped))
        screen.wait_for(b"\x1b[?1049l")
        screen.screen.reset()  # as the shell's screen stands there now
        screen.process.send_signal(signal.SIGCONT)
        screen.wait_until_shown(CONNECTED, "1 overview", "? Help")


def wait_until_filled(screen: Terminal, columns: int) -> None:
    """Each list is there once, as wide as the window, and the keys stand in its last line."""

    def is_filled() -> bool:
        *lines, last = screen.shown.splitlines()
        widths = [len(line) for line in lines if "─ Kinds " in line]
        return "? Help" in last and widths == [columns]

    screen.wait_until(is_filled)


def test_lost_server_is_told_and_found_again(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    configuration = QUIET.replace("port = 0", f"port = {port}")
    with ExitStack() as servers:
        server = servers.enter_context(lanecast_process(tmp_path, configuration))
        with console(server.address) as screen:
            screen.wait_until_shown(CONNECTED, "─ Fills")
            server.publish("orders:paper", {"type": "order_fill", **fill(price="61837.63")})
            screen.wait_until_shown("61837.63")
            servers.close()
            screen.wait_until_shown(NOT_CONNECTED, "61837.63")
            server = servers.enter_context(lanecast_process(tmp_path, configuration))
            screen.press("r")
            screen.wait_until_shown(CONNECTED)
            screen.wait_until_gone(NOT_CONNECTED)
            server.publish("orders:paper", {"type": "order_fill", **fill(fill="f2", price="61901.50")})
            screen.wait_until_shown("61901.50")


@pytest.mark.parametrize("start", [ON_TERMINAL, ON_LENT_TERMINAL], ids=["its own", "lent"])
def test_console_ends_with_its_terminal(server: Process, start: str) -> None:
    with console(server.address, start=start) as screen:
        screen.wait_until_shown(CONNECTED)
        screen.hang_up()
        assert screen.process.wait(PATIENCE_SECONDS) == 0


def test_console_waits_for_a_server_and_leaves_at_once_without_one() -> None:
    with console("http://127.0.0.1:1") as screen:
        screen.wait_until_shown(NOT_CONNECTED)
        screen.press(b"q")
        assert screen.wait_for_end() == 0


def test_token_is_written_nowhere(server: Process) -> None:
    token = make_token(KEYS.operator, "console").encode()
    with console(server.address) as screen:
        screen.wait_until_shown(CONNECTED)
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
        == "lanecast: the console needs a terminal; without one, --once prints what it would show\n"
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
        assert screen.is_as_at_first


def test_run_over_tls_keeps_its_console_through_a_rotation_of_the_operator_key(tmp_path: Path) -> None:
    tls = make_certificate(tmp_path, "lanecast.example.com")
    settings = Settings(data_dir=tmp_path)
    arguments = ["monitor", "run", "--port", "0", "--data-dir", str(tmp_path)]
    arguments += ["--set", f"tls.certificate_file={tls.certificate_file}"]
    arguments += ["--set", f"tls.key_file={tls.key_file}"]
    with terminal(arguments, (120, 40)) as screen:
        screen.wait_until_shown(CONNECTED)
        rotate_key(settings, "operator", at_once=True)
        while "keys: read again" not in (tmp_path / "lanecast.log").read_text():
            screen.written = b""
            screen.wait_for(b"\x1b")
        screen.press(b"r")
        screen.wait_until_shown(CONNECTED)
        assert "not connected" not in screen.plain()
        screen.press(b"q")
        assert screen.wait_for_end() == 0
