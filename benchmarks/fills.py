"""Fills that are timed from the HTTP request that publishes them until the last of a crowd has read them.

The clients are bare sockets, in one thread with the publisher, so that one clock does; they follow
market channels too, whose bytes are read along the way.
"""

import json
import selectors
import socket
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from statistics import median, quantiles

from benchmarks.crowd import RawClient

CLIENTS = 100
TRADES_PER_SECOND = 200
FILL_CHANNEL = "orders:paper"
CHANNELS = (FILL_CHANNEL, "trades:all", "ticker:sim.BTCUSDT", "book:sim.BTCUSDT", "market:hot")
GIVE_UP_SECONDS = 5.0


@dataclass(frozen=True, slots=True)
class Figures:
    """Milliseconds, and how many were measured."""

    count: int
    p50_ms: float
    p99_ms: float
    worst_ms: float


def figures_of(latencies_ms: list[float]) -> Figures:
    p99_ms = quantiles(latencies_ms, n=100, method="inclusive")[-1]
    return Figures(len(latencies_ms), median(latencies_ms), p99_ms, max(latencies_ms))


class Sockets:
    """All that is read while time passes, of one server or of several."""

    def __init__(self) -> None:
        self._selector = selectors.DefaultSelector()

    def add_client(self, client: RawClient) -> None:
        self._selector.register(client.socket, selectors.EVENT_READ, client.drain)

    def add_publisher(self, publisher: socket.socket) -> None:
        self._selector.register(publisher, selectors.EVENT_READ, lambda _: _read_reply(publisher))

    def read(self, timeout_seconds: float, mark: bytes = b"\0") -> int:
        """Read what has come; how many clients found the mark in it."""
        return sum(key.data(mark) for key, _ in self._selector.select(timeout_seconds))

    def read_until(self, due: float) -> None:
        """Read until then, by `time.perf_counter`."""
        while (left := due - time.perf_counter()) > 0:
            self.read(left)


def _read_reply(publisher: socket.socket) -> bool:
    reply = publisher.recv(65_536)
    if not reply.startswith(b"HTTP/1.1 200") or b'"error"' in reply:
        raise RuntimeError(f"publish failed: {reply!r}")
    return False


class Publisher:
    """Publishes to the clients of one server, and waits for them."""

    def __init__(self, sockets: Sockets, publisher: socket.socket, api_key: str) -> None:
        self._sockets = sockets
        self._socket = publisher
        self._port: int = publisher.getpeername()[1]
        self._api_key = api_key

    def time_one(self, number: int) -> float:
        """Milliseconds from the request until the last client had read the fill."""
        mark = f"mark-{self._port}-{number}"
        request, found = self._request(mark), f'"fill":"{mark}"'.encode()
        started = time.perf_counter()
        self._socket.sendall(request)
        missing = CLIENTS
        while missing:
            missing -= self._sockets.read(GIVE_UP_SECONDS, found)
            if time.perf_counter() - started > GIVE_UP_SECONDS:
                raise RuntimeError(f"after {GIVE_UP_SECONDS:g} s {missing} of {CLIENTS} clients had no fill")
        return (time.perf_counter() - started) * 1_000

    def _request(self, mark: str) -> bytes:
        body = json.dumps(
            {"channel": FILL_CHANNEL, "kind": "order_fill", "data": _fill(mark)}, separators=(",", ":")
        )
        return (
            f"POST /api/publish HTTP/1.1\r\nHost: 127.0.0.1:{self._port}\r\nX-API-Key: {self._api_key}\r\n"
            f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n{body}"
        ).encode()


def _fill(mark: str) -> dict[str, object]:
    return {
        "type": "order_fill",
        "market": "sim.BTCUSDT",
        "order": "benchmark",
        "fill": mark,
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


@contextmanager
def open_clients(sockets: Sockets, port: int) -> Iterator[None]:
    """Connect the clients of one server."""
    with ExitStack() as stack:
        for _ in range(CLIENTS):
            client = stack.enter_context(RawClient(port))
            for channel in CHANNELS:
                client.subscribe(channel)
            sockets.add_client(client)
        yield


@contextmanager
def open_publisher(sockets: Sockets, port: int, api_key: str) -> Iterator[Publisher]:
    """Connect who publishes; at once before he does, since a server lets go of who is silent."""
    with socket.create_connection(("127.0.0.1", port)) as publisher:
        publisher.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        sockets.add_publisher(publisher)
        yield Publisher(sockets, publisher, api_key)
