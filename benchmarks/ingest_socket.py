"""How many messages a second a feed takes from a real WebSocket: `python -m benchmarks.ingest_socket`.

The stand-in runs in a process of its own at `--speed max`; the feed decodes, syncs the book and
counts its events. Timed from the first message to the last; a profile with `--profile`.
"""

import argparse
import cProfile
import logging
import pstats
import statistics
import subprocess
import sys
import time
from pathlib import Path

import trio

from monitor.config import BinanceSettings
from monitor.events import BookSnapshot, Event
from monitor.feeds.binance import run_binance
from monitor.health.feeds import FeedHealth
from monitor.storage.tape import read_tape
from monitor.venue.server import run_venue

CAPTURE = Path(__file__).parents[2] / "shared/captures/binance/spot_btcusdt_20240808.jsonl.gz"


class Counter:
    """A sink that counts, and knows when the session is over."""

    def __init__(self, health: FeedHealth, messages: int) -> None:
        self._health = health
        self._messages = messages
        self.events = 0
        self.snapshots = 0
        self.first_ns = 0
        self.done = trio.Event()

    def __call__(self, event: Event, received_ns: int) -> None:
        self.events += 1
        self.snapshots += isinstance(event, BookSnapshot)
        heard = self._health.messages - 1  # without the answer to SUBSCRIBE
        if heard > 0 and not self.first_ns:
            self.first_ns = received_ns
        if heard == self._messages:
            self.done.set()


async def measure(base: str, messages: int) -> tuple[float, float, Counter]:
    """(messages a second, CPU seconds of the feed's process, what was counted) of one replay."""
    cpu = time.process_time()
    health = FeedHealth("binance", "binance")
    counter = Counter(health, messages)
    settings = BinanceSettings(symbols=["BTCUSDT"], url=base, rest_url=base.replace("ws", "http", 1))
    async with trio.open_nursery() as nursery:
        nursery.start_soon(run_binance, settings, counter, health)
        await counter.done.wait()
        seconds = (time.monotonic_ns() - counter.first_ns) / 1e9
        nursery.cancel_scope.cancel()
    return messages / seconds, time.process_time() - cpu, counter


def serve() -> None:
    """The stand-in's process: prints its address, serves until it is ended."""

    async def run() -> None:
        async with trio.open_nursery() as nursery:
            print(await nursery.start(_run_venue), flush=True)

    trio.run(run)


async def _run_venue(task_status: trio.TaskStatus[str]) -> None:
    await run_venue(CAPTURE, port=0, speed=None, task_status=task_status)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--profile", action="store_true")
    parser.add_argument("--serve", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.serve:
        serve()
        return
    logging.getLogger("httpx").setLevel(logging.WARNING)
    messages = sum(line.is_inbound for line in read_tape(CAPTURE))
    with subprocess.Popen(
        [sys.executable, "-m", "benchmarks.ingest_socket", "--serve"], stdout=subprocess.PIPE, text=True
    ) as venue:
        try:
            assert venue.stdout is not None
            base = venue.stdout.readline().strip()
            with cProfile.Profile() as profile:
                if not options.profile:
                    profile.disable()
                rates = [report(*trio.run(measure, base, messages)) for _ in range(options.repeats)]
        finally:
            venue.terminate()
    print(f"median {statistics.median(rates):,.0f} messages/s over {options.repeats} replays")
    if options.profile:
        pstats.Stats(profile).sort_stats("tottime").print_stats(40)


def report(rate: float, cpu_seconds: float, counter: Counter) -> float:
    """One line; on a machine with other work, the CPU a message took says more than the rate."""
    each = cpu_seconds / counter.events * 1e6
    print(f"{rate:>10,.0f} messages/s  {each:4.0f} µs CPU each  {counter.snapshots} snapshot")
    return rate


if __name__ == "__main__":
    main()
