"""What the journal adds to an order fill, from the request until the last of 100 clients has read it.

Two servers run side by side on the first core, one of them without a journal, each with its simulator
and its clients. Fills go to both in turn, and each pair begins with the other one: so what else the
machine does falls on both alike. A p99 is taken of each block of fills, and the blocks' differences
are compared, since one pause of the machine would make the p99 of them all.
"""

import argparse
import gc
import multiprocessing
import os
import time
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import ExitStack, contextmanager
from statistics import median

from benchmarks.fills import (
    CLIENTS,
    TRADES_PER_SECOND,
    Figures,
    Publisher,
    Sockets,
    figures_of,
    open_clients,
    open_publisher,
)
from benchmarks.server import Server, start_server

TARGET_MS = 3
PAIRS_PER_SECOND = 25
PAIRS_OF_A_BLOCK = 100
BLOCKS_MIN = 6
WARM_UP_SECONDS = 3.0
WITHOUT = ("--set", "namespaces.orders.journal=false", "--set", "namespaces.bots.journal=false")

Pair = tuple[float, float]
"""Milliseconds without a journal and with it."""


def main() -> None:
    """Print both sides' figures, what is between them, and how sure that is."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.journal", description=__doc__)
    parser.add_argument("--blocks", type=int, default=30, help="of 100 fills a side, 4 s each (default 30)")
    parser.add_argument("--synchronous", choices=("normal", "full"), default="normal")
    given = parser.parse_args()
    if given.blocks < BLOCKS_MIN:
        parser.error(f"--blocks {given.blocks}: fewer than {BLOCKS_MIN} say nothing at 95 %")
    print(
        f"order fill to the last of {CLIENTS} clients, {TRADES_PER_SECOND} trades/s a server,"
        f" synchronous={given.synchronous}; load average {os.getloadavg()[0]:.1f}"
    )
    _print_figures(_measure(given.blocks, given.synchronous))


def _measure(blocks: int, synchronous: str) -> list[Pair]:
    journaled = ("--set", f"journal.synchronous={synchronous}")
    with _start_pinned(*WITHOUT) as without, _start_pinned(*journaled) as with_journal:
        spawn = multiprocessing.get_context("spawn")
        ports, keys = zip(*((server.port, server.api_key) for server in (without, with_journal)), strict=True)
        with ProcessPoolExecutor(1, mp_context=spawn) as crowd:
            return crowd.submit(time_pairs, ports, keys, blocks * PAIRS_OF_A_BLOCK).result()


@contextmanager
def _start_pinned(*flags: str) -> Iterator[Server]:
    with start_server("--rate", str(TRADES_PER_SECOND), *flags) as server:
        server.process.cpu_affinity([min(os.sched_getaffinity(0))])
        yield server


def time_pairs(ports: tuple[int, int], api_keys: tuple[str, str], count: int) -> list[Pair]:
    """Time fills of two servers in turn; runs in a process of its own, on the last core."""
    os.sched_setaffinity(0, {max(os.sched_getaffinity(0))})
    sockets = Sockets()
    with ExitStack() as stack:
        for port in ports:
            stack.enter_context(open_clients(sockets, port))
        gc.freeze()
        sockets.read_until(time.perf_counter() + WARM_UP_SECONDS)
        first, second = [
            stack.enter_context(open_publisher(sockets, port, key))
            for port, key in zip(ports, api_keys, strict=True)
        ]
        return _time_in_turn(sockets, first, second, count)


def _time_in_turn(sockets: Sockets, first: Publisher, second: Publisher, count: int) -> list[Pair]:
    pairs = []
    due = time.perf_counter()
    for number in range(count):
        took_ms = {}
        for publisher in (first, second) if number % 2 else (second, first):
            sockets.read_until(due)
            took_ms[publisher] = publisher.time_one(number)
            due += 0.5 / PAIRS_PER_SECOND
        pairs.append((took_ms[first], took_ms[second]))
    return pairs


def _print_figures(pairs: list[Pair]) -> None:
    blocks = [pairs[start : start + PAIRS_OF_A_BLOCK] for start in range(0, len(pairs), PAIRS_OF_A_BLOCK)]
    sides = [[figures_of([pair[side] for pair in block]) for block in blocks] for side in (0, 1)]
    print(f"{'medians of the blocks':24}{'p50 ms':>9}{'p99 ms':>9}{'worst ms':>10}")
    for name, side in zip(("without a journal", "with it"), sides, strict=True):
        print(f"{name:24}{_median(side)}")
    grown_ms = sorted(after.p99_ms - before.p99_ms for before, after in zip(*sides, strict=True))
    low_ms, high_ms = _bounds(grown_ms)
    verdict = (
        "reached" if high_ms <= TARGET_MS else "missed" if low_ms > TARGET_MS else "not shown either way"
    )
    print(
        f"p99 grows by {median(grown_ms):.2f} ms in the median of {len(grown_ms)} blocks,"
        f" at 95 % between {low_ms:.2f} and {high_ms:.2f}; target {TARGET_MS} ms: {verdict}"
    )


def _median(blocks: list[Figures]) -> str:
    p50_ms, p99_ms, worst_ms = (
        median(getattr(block, name) for block in blocks) for name in ("p50_ms", "p99_ms", "worst_ms")
    )
    return f"{p50_ms:>9.2f}{p99_ms:>9.2f}{worst_ms:>10.2f}"


def _bounds(ordered: list[float]) -> tuple[float, float]:
    """Where the median lies at 95 %, by order alone: no form of their spread is assumed."""
    count = len(ordered)
    rank = max(0, round(count / 2 - 0.98 * count**0.5) - 1)
    return ordered[rank], ordered[-1 - rank]


if __name__ == "__main__":
    main()
