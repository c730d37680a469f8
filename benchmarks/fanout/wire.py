"""Bytes on the wire of the market workload: one subscriber to all of it, all that a socket receives.

10 trades/s, two analytics series, hot markets every 5 s, sparklines; envelope and WebSocket headers
included, what a subscriber starts from left out. All encodings look at the same server at once.
"""

import contextlib
import http.client
import time
from collections.abc import Iterator
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path

from benchmarks.fanout.load import Load, start_load
from benchmarks.fanout.product import Product, start_product
from benchmarks.fanout.table import Row

MARKET = ("trades:all", "market:analytics.hour", "market:analytics.day", "market:hot", "market:sparkline")
TRADES_PER_SECOND = 10
WARM_UP_SECONDS = 6.0
"""Until hot markets and sparklines have something to tell."""
NO_PINGS = {"ping_seconds": 3_600}
"""The load client answers none that come in zstd, and would be closed."""
BOUNDS_BYTES = {("balanced", "deflate"): 1_700, ("balanced", "zstd"): 600} | {
    ("saver", "deflate"): 1_000,
    ("saver", "zstd"): 450,
}
REPORTED_BYTES = {"before its own savings": 20_300, "after them": 1_800}
"""Of the program that this workload was first reported of, uncompressed."""


@dataclass(frozen=True, slots=True)
class Wire:
    """What one client of a preset and an encoding got each second."""

    preset: str
    encoding: str
    bytes_per_second: float
    frames_per_second: float


def measure_wire(programs: Path, seconds: float) -> list[Wire]:
    """Both presets at the same time, each with a client for each encoding that its server has."""
    with contextlib.ExitStack() as stack:
        loads = list(_open_all(stack, programs))
        time.sleep(WARM_UP_SECONDS)
        for _, _, load in loads:
            load.reset()
        started = time.monotonic()
        time.sleep(seconds)
        return [_figures(preset, encoding, load, started) for preset, encoding, load in loads]


def _open_all(stack: contextlib.ExitStack, programs: Path) -> Iterator[tuple[str, str, Load]]:
    for preset in ("balanced", "saver"):
        simulator = {"enabled": True, "rate": TRADES_PER_SECOND}
        product = stack.enter_context(start_product(preset=preset, simulator=simulator, limits=NO_PINGS))
        for encoding, protocol in _encodings(product).items():
            opened = start_load(
                programs / "load",
                product.port,
                1,
                channels=MARKET,
                deflate=encoding == "deflate",
                protocol=protocol,
            )
            yield preset, encoding, stack.enter_context(opened)


def _encodings(product: Product) -> dict[str, str]:
    """Each with the subprotocol that it takes."""
    encodings = {"raw": "", "deflate": ""}
    if dictionary := _dictionary(product.port):
        encodings["zstd"] = f"lanecast.zstd.{dictionary}"
    return encodings


def _dictionary(port: int) -> str:
    """The id of the server's zstd dictionary; empty if it has none."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
    with contextlib.closing(connection):
        connection.request("GET", "/dict/current")
        answer = connection.getresponse()
        if answer.status in (301, 302, 303, 307, 308):
            return (answer.getheader("Location") or "").rpartition("/")[2]
        return sha256(answer.read()).hexdigest()[:16] if answer.status == 200 else ""


def _figures(preset: str, encoding: str, load: Load, started: float) -> Wire:
    report = load.report()
    seconds = time.monotonic() - started
    if report.closed:
        raise RuntimeError(f"the client with {encoding} was closed")
    return Wire(preset, encoding, report.bytes / seconds, report.frames / seconds)


def wire_rows(wires: list[Wire]) -> Iterator[Row]:
    reported = REPORTED_BYTES["before its own savings"]
    raw = {wire.preset: wire.bytes_per_second for wire in wires if wire.encoding == "raw"}
    for wire in wires:
        bound = BOUNDS_BYTES.get((wire.preset, wire.encoding))
        ratio = raw[wire.preset] / wire.bytes_per_second
        note = (
            f"{wire.frames_per_second:.1f} frames/s; {ratio:.2f} times less than raw,"
            f" {reported / wire.bytes_per_second:.0f} times less than first reported"
        )
        yield Row(
            f"market workload, {wire.preset}, {wire.encoding}",
            wire.bytes_per_second,
            "B/s",
            at_most=bound,
            note=note,
        )
    for when, bytes_per_second in REPORTED_BYTES.items():
        yield Row(f"market workload, as first reported, {when}", bytes_per_second, "B/s")
