"""What a console costs the server and itself, view by view: CPU of both processes with a crowd connected.

The crowd is idle, so all that the server uses is for the console, once what it uses without one is
taken off; both are read from the processes' own CPU clocks.
"""

import argparse
import tempfile
import time
from pathlib import Path

from benchmarks.fanout.console import Attached, open_console
from benchmarks.fanout.load import compile_c, start_load
from benchmarks.fanout.process import allow_descriptors
from benchmarks.fanout.product import CHANNELS, Product, start_product

CLIENTS = 5_000
SECONDS = 10.0
SETTLE_SECONDS = 3.0
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


def main() -> None:
    """Measure each view and print the table."""
    options = _options()
    allow_descriptors()
    with tempfile.TemporaryDirectory() as directory, start_product(limits={"connections": 9_999}) as product:
        load = compile_c("load.c", Path(directory))
        with start_load(load, product.port, options.clients, channels=CHANNELS[:3], at_once=256):
            time.sleep(SETTLE_SECONDS)
            _report(product, options.seconds)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.console", description=__doc__)
    parser.add_argument("--clients", type=int, default=CLIENTS)
    parser.add_argument("--seconds", type=float, default=SECONDS, help="of each view")
    return parser.parse_args()


def _report(product: Product, seconds: float) -> None:
    without = _server_percent(product, seconds)
    print(f"server without a console: {without:.2f} % of a core")
    with open_console(product.port, settle_seconds=SETTLE_SECONDS) as console:
        for view, keys in VIEWS.items():
            console.press(keys)
            time.sleep(SETTLE_SECONDS)
            server, own = _measure(product, console, seconds)
            print(
                f"{view:<18} server {server - without:5.2f} % (at most {SERVER_TARGET_PERCENT:g})"
                f"   console {own:5.1f} % (under {CONSOLE_TARGET_PERCENT:g})"
            )


def _server_percent(product: Product, seconds: float) -> float:
    before = product.child.cpu_seconds()
    time.sleep(seconds)
    return 100 * (product.child.cpu_seconds() - before) / seconds


def _measure(product: Product, console: Attached, seconds: float) -> tuple[float, float]:
    before = console.cpu_seconds()
    server = _server_percent(product, seconds)
    return server, 100 * (console.cpu_seconds() - before) / seconds


if __name__ == "__main__":
    main()
