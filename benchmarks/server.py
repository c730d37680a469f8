"""A real `lanecast serve` in a process of its own, for benchmarks that look at it from outside."""

import contextlib
import http.client
import os
import secrets
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import psutil

READY_LIMIT_SECONDS = 30
_POLL_SECONDS = 0.005
_GOODBYE_SECONDS = 10


@dataclass(frozen=True, slots=True)
class Server:
    """A server that clients can connect to."""

    port: int
    api_key: str
    operator_key: str
    process: psutil.Process
    ready_seconds: float
    """From the start of the process to the first 200 of `/readyz`."""

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def memory_bytes(self) -> int:
        """Its resident memory now."""
        return int(self.process.memory_info().rss)


@contextlib.contextmanager
def start_server(*flags: str) -> Iterator[Server]:
    """Start `lanecast serve` with more flags, wait until it is ready, end it afterwards.

    Raises:
        RuntimeError: it wasn't ready in time, or did not end well; holds what it said.
    """
    port, api_key, operator_key = _free_port(), secrets.token_hex(32), secrets.token_hex(32)
    keys = {"LANECAST_API_KEY": api_key, "LANECAST_OPERATOR_KEY": operator_key}
    with tempfile.TemporaryDirectory() as directory, open(Path(directory) / "said", "w+b") as said:
        command = [
            sys.executable,
            "-m",
            "monitor",
            "serve",
            "--port",
            str(port),
            "--data-dir",
            directory,
            *flags,
        ]
        started = time.perf_counter()
        with subprocess.Popen(command, env=os.environ | keys, stdout=said, stderr=said) as process:
            try:
                _wait_ready(port, process, Path(said.name))
                ready_seconds = time.perf_counter() - started
                yield Server(port, api_key, operator_key, psutil.Process(process.pid), ready_seconds)
            finally:
                _end(process, Path(said.name))


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return int(listener.getsockname()[1])


def _wait_ready(port: int, process: subprocess.Popen[bytes], said: Path) -> None:
    give_up = time.monotonic() + READY_LIMIT_SECONDS
    while not _is_ready(port):
        if process.poll() is not None or time.monotonic() > give_up:
            raise RuntimeError(f"the server did not get ready: {said.read_text()}")
        time.sleep(_POLL_SECONDS)


def _is_ready(port: int) -> bool:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=1)
    try:
        connection.request("GET", "/readyz")
        return connection.getresponse().status == 200
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()


def _end(process: subprocess.Popen[bytes], said: Path) -> None:
    process.terminate()
    try:
        process.wait(_GOODBYE_SECONDS)
    except subprocess.TimeoutExpired:
        process.kill()
    if process.wait() != 0:
        raise RuntimeError(f"the server ended with status {process.returncode}: {said.read_text()}")
