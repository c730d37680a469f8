import os
import select
import signal
import socket
import time
from contextlib import ExitStack
from pathlib import Path
from urllib.parse import urlsplit

import orjson

from tests.patience import PATIENCE_SECONDS
from tests.process import CONFIGURATION, lanecast_process
from tests.serve.certificates import make_certificate
from tests.serve.wire import TEXT, UPGRADE, frame, request
from tests.terminal import terminal

SHUTDOWN = (3001).to_bytes(2, "big") + b"shutdown"
HANDSHAKE = request("GET", "/connection/websocket", UPGRADE | {"Host": "localhost"})


def connect(address: str) -> socket.socket:
    """A client that has said connect, on a socket that waits."""
    url = urlsplit(address)
    client = socket.create_connection((url.hostname, url.port))
    client.sendall(HANDSHAKE + frame(TEXT, orjson.dumps({"id": 1, "connect": {}})))
    received = b""
    while b'"connect"' not in received:
        received += client.recv(65_536)
    return client


def test_second_sigterm_ends_at_once(tmp_path: Path) -> None:
    with (
        lanecast_process(tmp_path, "drain_seconds = 600\n" + CONFIGURATION) as process,
        ExitStack() as clients,
    ):
        sockets = [clients.enter_context(connect(process.address)) for _ in range(5)]
        os.kill(process.pid, signal.SIGTERM)
        # One client leaves at once, the others have the window; leaving the block signals again.
        left, _, _ = select.select(sockets, [], [], PATIENCE_SECONDS)
        assert [client.recv(100)[2:] for client in left] == [SHUTDOWN]


def test_sighup_has_the_files_read_again(tmp_path: Path) -> None:
    tls = make_certificate(tmp_path)
    settings = f'certificate_file = "{tls.certificate_file}"\nkey_file = "{tls.key_file}"\n'
    with lanecast_process(tmp_path, f"{CONFIGURATION}\n[tls]\n{settings}") as process:
        os.kill(process.pid, signal.SIGHUP)
        deadline = time.monotonic() + PATIENCE_SECONDS
        while "certificate: read again" not in (tmp_path / "log").read_text():
            assert time.monotonic() < deadline
            time.sleep(0.02)


def test_closed_terminal_ends_the_server_that_it_was_for(tmp_path: Path) -> None:
    with terminal(["monitor", "serve", "--port", "0"], (80, 24), LANECAST_DATA_DIR=str(tmp_path)) as screen:
        screen.wait_for(b"lanecast serves")
        screen.hang_up()
        assert screen.process.wait(20) == 0
