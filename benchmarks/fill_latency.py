"""How long an order fill takes from publish to the last of 100 clients' sockets, under load.

The server runs its simulator at 200 trades/s, a console is attached, and the clients follow market
channels too. Two figures: the server's own (publish to the last socket written) and one from
outside (request of the HTTP API sent to the last client's bytes read), whose clock is not the server's.
"""

import contextlib
import fcntl
import json
import multiprocessing
import os
import pty
import selectors
import socket
import struct
import subprocess
import sys
import termios
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from functools import partial
from statistics import median, quantiles

from benchmarks.crowd import RawClient
from benchmarks.server import Server, start_server
from monitor.serve.tokens import make_token

TARGET_MS = 10
ROUNDS = 3
CLIENTS = 100
TRADES_PER_SECOND = 200
FILLS = 320
FILLS_PER_SECOND = 40
"""So the fills take 8 s, within the last 10 s that the server's own figures are of."""
WARM_UP_SECONDS = 4.0
"""The console's start takes about three seconds of a core."""
GIVE_UP_SECONDS = 5.0
FILL_CHANNEL = "orders:paper"
CHANNELS = (FILL_CHANNEL, "trades:all", "ticker:sim.BTCUSDT", "book:sim.BTCUSDT", "market:hot")
CONSOLE_ROWS, CONSOLE_COLUMNS = 50, 160


@dataclass(frozen=True, slots=True)
class Figures:
    """Milliseconds, and how many were measured."""

    count: int
    p50_ms: float
    p99_ms: float
    worst_ms: float


def main() -> None:
    """Print both figures of each round and their medians against the target."""
    print(f"order fill to the last of {CLIENTS} clients; {TRADES_PER_SECOND} trades/s, console attached")
    rounds = [run_round() for _ in range(ROUNDS)]
    _print_table("server's own: publish to last socket", [own for own, _ in rounds])
    _print_table("from outside: HTTP request to last read", [outside for _, outside in rounds])


def run_round(*flags: str) -> tuple[Figures, Figures]:
    """The server's own figures and those from outside, of a server with more flags."""
    with start_server("--rate", str(TRADES_PER_SECOND), *flags) as server, _open_console(server):
        spawn = multiprocessing.get_context("spawn")
        with ProcessPoolExecutor(1, mp_context=spawn) as crowd:
            latencies_ms = crowd.submit(time_fills, server.port, server.api_key).result()
        return _own_figures(server), _figures(latencies_ms)


def _figures(latencies_ms: list[float]) -> Figures:
    p99_ms = quantiles(latencies_ms, n=100, method="inclusive")[-1]
    return Figures(len(latencies_ms), median(latencies_ms), p99_ms, max(latencies_ms))


def _own_figures(server: Server) -> Figures:
    with RawClient(server.port, make_token(server.operator_key, "benchmark")) as operator:
        operator.subscribe("ops:health")
        while "push" not in (document := operator.receive()):
            pass
    windows = {kind["kind"]: kind["last_10s"] for kind in document["push"]["pub"]["data"]["kinds"]}
    window = windows["order_fill"]
    return Figures(window["count"], window["p50_ms"], window["p99_ms"], window["worst_ms"])


def _print_table(title: str, rounds: list[Figures]) -> None:
    print(f"\n{title}\n{'':8}{'fills':>8}{'p50 ms':>9}{'p99 ms':>9}{'worst ms':>10}")
    for number, figures in enumerate(rounds, start=1):
        timed = f"{figures.p50_ms:>9.2f}{figures.p99_ms:>9.2f}{figures.worst_ms:>10.2f}"
        print(f"round {number:<2}{figures.count:>8}{timed}")
    p50_ms = median(figures.p50_ms for figures in rounds)
    p99_ms = median(figures.p99_ms for figures in rounds)
    verdict = "reached" if p99_ms < TARGET_MS else "missed"
    print(f"{'median':8}{'':8}{p50_ms:>9.2f}{p99_ms:>9.2f}   target p99 < {TARGET_MS} ms: {verdict}")


@contextlib.contextmanager
def _open_console(server: Server) -> Iterator[None]:
    """The operator's console on a terminal of its own, whose screen somebody keeps reading."""
    terminal, console_side = pty.openpty()
    size = struct.pack("HHHH", CONSOLE_ROWS, CONSOLE_COLUMNS, 0, 0)
    fcntl.ioctl(console_side, termios.TIOCSWINSZ, size)
    token = {"LANECAST_OPERATOR_TOKEN": make_token(server.operator_key, "console"), "TERM": "xterm-256color"}
    process = subprocess.Popen(
        [sys.executable, "-m", "monitor", "console", server.url],
        env=os.environ | token,
        stdin=console_side,
        stdout=console_side,
        stderr=console_side,
        start_new_session=True,
    )
    os.close(console_side)
    reader = threading.Thread(target=_read_all, args=(terminal,))
    reader.start()
    try:
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


def time_fills(port: int, api_key: str) -> list[float]:
    """Publish marked fills to a crowd of clients; runs in a process of its own.

    Returns:
        For each fill the milliseconds from the request until the last client had read it.
    """
    with contextlib.ExitStack() as stack:
        clients = [stack.enter_context(RawClient(port)) for _ in range(CLIENTS)]
        for client in clients:
            for channel in CHANNELS:
                client.subscribe(channel)
        publisher = stack.enter_context(socket.create_connection(("127.0.0.1", port)))
        publisher.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return _time_all(clients, publisher, port, api_key)


def _time_all(clients: list[RawClient], publisher: socket.socket, port: int, api_key: str) -> list[float]:
    selector = selectors.DefaultSelector()
    selector.register(publisher, selectors.EVENT_READ, partial(_read_reply, publisher))
    for client in clients:
        selector.register(client.socket, selectors.EVENT_READ, client.drain)
    due = time.perf_counter() + WARM_UP_SECONDS
    latencies_ms = []
    for number in range(FILLS):
        _wait(selector, until=due)
        latencies_ms.append(_time_one(selector, publisher, _request(port, api_key, number), _mark(number)))
        due += 1 / FILLS_PER_SECOND
    return latencies_ms


def _wait(selector: selectors.BaseSelector, until: float) -> None:
    while (left := until - time.perf_counter()) > 0:
        _read_ready(selector, left, b"\0")


def _time_one(
    selector: selectors.BaseSelector, publisher: socket.socket, request: bytes, mark: bytes
) -> float:
    started = time.perf_counter()
    publisher.sendall(request)
    missing = CLIENTS
    while missing:
        missing -= _read_ready(selector, GIVE_UP_SECONDS, mark)
        if time.perf_counter() - started > GIVE_UP_SECONDS:
            raise RuntimeError(f"after {GIVE_UP_SECONDS:g} s {missing} of {CLIENTS} clients had no fill")
    return (time.perf_counter() - started) * 1_000


def _read_ready(selector: selectors.BaseSelector, timeout_seconds: float, mark: bytes) -> int:
    """Read what has come; how many clients found the mark in it."""
    return sum(key.data(mark) for key, _ in selector.select(timeout_seconds))


def _read_reply(publisher: socket.socket, _: bytes) -> bool:
    reply = publisher.recv(65_536)
    if not reply.startswith(b"HTTP/1.1 200") or b'"error"' in reply:
        raise RuntimeError(f"publish failed: {reply!r}")
    return False


def _mark(number: int) -> bytes:
    return f'"fill":"mark-{number}"'.encode()


def _request(port: int, api_key: str, number: int) -> bytes:
    body = json.dumps(
        {"channel": FILL_CHANNEL, "kind": "order_fill", "data": _fill(number)}, separators=(",", ":")
    )
    return (
        f"POST /api/publish HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nX-API-Key: {api_key}\r\n"
        f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n{body}"
    ).encode()


def _fill(number: int) -> dict[str, object]:
    return {
        "type": "order_fill",
        "market": "sim.BTCUSDT",
        "order": "benchmark",
        "fill": f"mark-{number}",
        "side": "buy",
        "price": "61837.63",
        "size": "0.001",
        "filled": "0.001",
        "order_size": "0.001",
        "status": "FILLED",
        "fee": "0",
        "fee_asset": "USDT",
        "maker": False,
        "client_order": "",
        "bot": "",
        "role": None,
        "delay_ms": None,
        "time": time.time_ns() // 1_000_000,
    }


if __name__ == "__main__":
    main()
