"""What a console costs the server and itself, view by view: CPU of both processes with a crowd connected.

The crowd is idle and not pinged, so all that the server uses is for the console, once what it uses
without one is taken off. (The pings of 5,000 that came at once come at once, every 25 s, and cost more
than a console: a figure taken with them says which second it was.) Rounds with and without a console
alternate; the processes' own CPU clocks are read, and the medians of the rounds told.
"""

import argparse
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median

from benchmarks.fanout.console import open_console
from benchmarks.fanout.load import compile_c, start_load
from benchmarks.fanout.process import allow_descriptors
from benchmarks.fanout.product import CHANNELS, Product, start_product

CLIENTS = 5_000
ROUNDS = 5
SECONDS = 4.0
SETTLE_SECONDS = 2.0
LIMITS = {"connections": 9_999, "ping_seconds": 3_600}
SERVER_TARGET_PERCENT = 2.0
CONSOLE_TARGET_PERCENT = 15.0
VIEWS = {
    "overview": b"1",
    "connections": b"2",
    "channels": b"3",
    "ledger": b"7",
    "ledger by client": b"t",
}
"""With the keys that lead from one to the next."""


@dataclass(frozen=True, slots=True)
class Cost:
    """In percent of a core."""

    server: float
    console: float


def main() -> None:
    """Measure each view in each round and print the medians."""
    options = _options()
    allow_descriptors()
    costs: dict[str, list[Cost]] = {view: [] for view in VIEWS}
    with tempfile.TemporaryDirectory() as directory, start_product(limits=LIMITS) as product:
        load = compile_c("load.c", Path(directory))
        with start_load(load, product.port, options.clients, channels=CHANNELS[:3], at_once=256):
            time.sleep(SETTLE_SECONDS)
            for number in range(1, options.rounds + 1):
                print(f"round {number} of {options.rounds}", file=sys.stderr)
                for view, cost in _round(product, options.seconds):
                    costs[view].append(cost)
    _report(costs)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.console", description=__doc__)
    parser.add_argument("--clients", type=int, default=CLIENTS)
    parser.add_argument("--rounds", type=int, default=ROUNDS)
    parser.add_argument("--seconds", type=float, default=SECONDS, help="of each view in each round")
    return parser.parse_args()


def _round(product: Product, seconds: float) -> Iterator[tuple[str, Cost]]:
    """Without a console, then each view of one."""
    (without,) = _percents(seconds, product.child.cpu_seconds)
    with open_console(product.port, settle_seconds=SETTLE_SECONDS) as console:
        for view, keys in VIEWS.items():
            console.press(keys)
            time.sleep(SETTLE_SECONDS)
            server, own = _percents(seconds, product.child.cpu_seconds, console.cpu_seconds)
            yield view, Cost(server - without, own)


def _percents(seconds: float, *clocks: Callable[[], float]) -> list[float]:
    """What each of these CPU clocks gains meanwhile, of the time that really goes by."""
    began, before = time.monotonic(), [clock() for clock in clocks]
    time.sleep(seconds)
    passed = time.monotonic() - began
    return [100 * (clock() - was) / passed for clock, was in zip(clocks, before, strict=True)]


def _report(costs: Mapping[str, Sequence[Cost]]) -> None:
    print(f"{'view':<18}{'server':>9}{'worst':>8}{'console':>9}{'worst':>8}   percent of a core")
    for view, rounds in costs.items():
        servers, consoles = [cost.server for cost in rounds], [cost.console for cost in rounds]
        figures = (median(servers), max(servers), median(consoles), max(consoles))
        print(f"{view:<18}{figures[0]:9.2f}{figures[1]:8.2f}{figures[2]:9.1f}{figures[3]:8.1f}")
    print(f"{'target':<18}{SERVER_TARGET_PERCENT:9g}{'':8}{CONSOLE_TARGET_PERCENT:9g}")


if __name__ == "__main__":
    main()
