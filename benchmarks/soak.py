"""Does memory grow while clients come and go? `python -m benchmarks.soak --minutes 10`.

Waves of clients come, subscribe, are published to and go, each with another villain among them. The
server is looked at between the waves, with nobody there, its garbage collected and what it has freed
given back: so that what grows is what is kept. Histories are filled before. `--trades` adds the
simulator, whose markets remember trades and ids up to their bounds; `--lines` names what grew.
"""

import argparse
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations, cycle, product
from pathlib import Path
from statistics import median

from benchmarks.fanout.load import compile_c, start_load
from benchmarks.fanout.process import allow_descriptors
from benchmarks.fanout.product import CHANNELS, QUIET, Product, start_product
from benchmarks.fanout.table import Row, rows_table
from benchmarks.fanout.villain import KINDS, open_villain

CLIENTS = 200
MARKET = ("trades:all", "ticker:sim.BTCUSDT", "book:sim.BTCUSDT", "market:hot", "orders:paper")
PUBLICATIONS = 150
MESSAGE_BYTES = 500
HISTORY = 1_000
"""The longest that a channel here has."""
PER_SECOND = 100
REST_SECONDS = 0.5
LEAVE_SECONDS = 10.0
"""After which a look is taken although somebody is still there: a busy machine ends its clients slowly."""
WARM_UP_SECONDS = 120
"""Windows of a minute are full then, and each wave has been there a few times: so much memory it takes."""
SLOPE_LIMIT_MB = 1.0


@dataclass(frozen=True, slots=True)
class Sample:
    """The server at rest."""

    seconds: float
    memory_bytes: int
    blocks: int
    tasks: int
    descriptors: int


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.soak", description=__doc__)
    parser.add_argument("--minutes", type=float, default=10)
    parser.add_argument("--trades", type=float, default=0, help="of the simulator, a second; 0 is without it")
    parser.add_argument(
        "--lines", action="store_true", help="name the lines whose memory grew; costs some itself"
    )
    options = parser.parse_args()
    allow_descriptors()
    with tempfile.TemporaryDirectory() as directory:
        programs = Path(directory)
        try:
            compile_c("load.c", programs)
        except FileNotFoundError as error:
            sys.exit(f"the load client can't be made: {error}")
        samples = soak(programs, options.minutes * 60, options.trades, with_lines=options.lines)
    print(rows_table(f"soak, {options.minutes:g} minutes, {len(samples)} waves", soak_rows(samples)).text())


def soak(programs: Path, seconds: float, trades: float, *, with_lines: bool) -> list[Sample]:
    """Wave after wave for so long; a look at the server after each."""
    samples: list[Sample] = []
    waves = cycle(product(KINDS, (False, True)))
    with start_product(
        simulator={"enabled": True, "rate": trades} if trades else QUIET["simulator"]
    ) as server:
        if with_lines:
            server.trace()
        for channel in ("bench:one", "bench:tick"):
            server.publish(channel, bytes=MESSAGE_BYTES, count=HISTORY, rate=HISTORY)
        tasks = server.state()["tasks"]
        started = time.monotonic()
        is_warm = False
        while (elapsed := time.monotonic() - started) < seconds:
            _wave(server, programs, *next(waves))
            _wait_alone(server, tasks)
            samples.append(_look(server, elapsed))
            if with_lines and not is_warm and elapsed > WARM_UP_SECONDS:
                server.trace()
                is_warm = True
            if len(samples) % 20 == 1:
                print(f"  {elapsed:5.0f} s  {samples[-1].memory_bytes / 1e6:.2f} MB", flush=True)
        if with_lines:
            print("\n".join(server.trace()))
    return samples


def _wave(server: Product, programs: Path, villain: str, is_packed: bool) -> None:
    channels = (*CHANNELS, *MARKET)
    with (
        start_load(programs / "load", server.port, CLIENTS, channels=channels, deflate=is_packed) as load,
        open_villain(villain, server.port),
    ):
        load.reset()
        server.publish("bench:one", bytes=MESSAGE_BYTES, count=PUBLICATIONS, rate=PER_SECOND)


def _wait_alone(server: Product, tasks: int) -> None:
    """Until no more tasks run than before the first client came."""
    give_up = time.monotonic() + LEAVE_SECONDS
    time.sleep(REST_SECONDS)
    while server.state()["tasks"] > tasks and time.monotonic() < give_up:
        time.sleep(REST_SECONDS)


def _look(server: Product, elapsed: float) -> Sample:
    return Sample(seconds=elapsed, **server.state(collect=True))


def soak_rows(samples: Sequence[Sample]) -> list[Row]:
    """What came after the warm-up: its slope, and how sure that is."""
    settled = [sample for sample in samples if sample.seconds > WARM_UP_SECONDS]
    if len(settled) < 10:
        sys.exit(f"too few waves for a slope: soak for longer than the warm-up of {WARM_UP_SECONDS} s")
    slope, error = _slope([(sample.seconds, sample.memory_bytes / 1e6) for sample in settled])
    blocks, blocks_error = _slope([(sample.seconds, sample.blocks) for sample in settled])
    half = len(settled) // 2
    step = median(s.memory_bytes for s in settled[half:]) - median(s.memory_bytes for s in settled[:half])
    return [
        Row("memory, MB an hour", slope, "MB/h", at_most=SLOPE_LIMIT_MB, note=f"± {error:.2f}"),
        Row("memory, second half over first", step / 1e6, "MB"),
        Row("Python's allocated blocks an hour", blocks, "/h", note=f"± {blocks_error:,.0f}"),
        Row("memory at the end", settled[-1].memory_bytes / 1e6, "MB"),
        Row("tasks more than at the start", settled[-1].tasks - settled[0].tasks, at_most=0),
        Row("descriptors more", settled[-1].descriptors - settled[0].descriptors, at_most=0),
    ]


def _slope(points: Sequence[tuple[float, float]]) -> tuple[float, float]:
    """An hour's change, and what it may be off by: of 20 such, 19 are within.

    By Theil and Sen, the median of all pairs' slopes, as memory comes in steps, and a step is no slope.
    """
    count = len(points)
    slopes = sorted(
        (later - value) / (end - begin) for (begin, value), (end, later) in combinations(points, 2)
    )
    margin = 1.96 * (count * (count - 1) * (2 * count + 5) / 18) ** 0.5 / 2
    low, high = (slopes[round(len(slopes) / 2 + side * margin)] for side in (-1, 1))
    return median(slopes) * 3_600, (high - low) / 2 * 3_600


if __name__ == "__main__":
    main()
