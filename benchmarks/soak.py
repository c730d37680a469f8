"""Does memory grow while clients come and go? `python -m benchmarks.soak --minutes 10`.

Waves of clients come, subscribe, are published to and go, some by a reset. The server is looked at
between the waves, with nobody there and its garbage collected: so that what grows is what is kept.
Histories are filled before. `--trades` adds the simulator, whose markets remember trades and ids up
to their bounds; until those are reached, its slope is of that.
"""

import argparse
import random
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import linear_regression, mean, median

from benchmarks.fanout.load import compile_c, start_load
from benchmarks.fanout.process import allow_descriptors
from benchmarks.fanout.product import CHANNELS, QUIET, Product, start_product
from benchmarks.fanout.table import Row, rows_table
from benchmarks.fanout.villain import open_villain

CLIENTS = 200
MARKET = ("trades:all", "ticker:sim.BTCUSDT", "book:sim.BTCUSDT", "market:hot", "orders:paper")
PUBLICATIONS = 150
MESSAGE_BYTES = 500
HISTORY = 1_000
"""The longest that a channel here has."""
PER_SECOND = 100
REST_SECONDS = 0.5
WARM_UP_SHARE = 0.25
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
    options = parser.parse_args()
    allow_descriptors()
    with tempfile.TemporaryDirectory() as directory:
        programs = Path(directory)
        try:
            compile_c("load.c", programs)
        except FileNotFoundError as error:
            sys.exit(f"the load client can't be made: {error}")
        samples = soak(programs, options.minutes * 60, options.trades)
    print(rows_table(f"soak, {options.minutes:g} minutes, {len(samples)} waves", soak_rows(samples)).text())


def soak(programs: Path, seconds: float, trades: float) -> list[Sample]:
    """Wave after wave for so long; a look at the server after each."""
    samples: list[Sample] = []
    source = random.Random(1)
    with start_product(
        simulator={"enabled": True, "rate": trades} if trades else QUIET["simulator"]
    ) as product:
        for channel in ("bench:one", "bench:tick"):
            product.publish(channel, bytes=MESSAGE_BYTES, count=HISTORY, rate=HISTORY)
        started = time.monotonic()
        while (elapsed := time.monotonic() - started) < seconds:
            _wave(product, programs, source)
            samples.append(_look(product, elapsed))
            if len(samples) % 20 == 1:
                print(f"  {elapsed:5.0f} s  {samples[-1].memory_bytes / 1e6:.2f} MB", flush=True)
    return samples


def _wave(product: Product, programs: Path, source: random.Random) -> None:
    clients = source.randint(CLIENTS // 2, CLIENTS)
    is_packed = source.random() < 0.5
    villain = source.choice(("resets", "never_reads", "leaves_in_frame"))
    with (
        start_load(
            programs / "load", product.port, clients, channels=(*CHANNELS, *MARKET), deflate=is_packed
        ) as load,
        open_villain(villain, product.port),
    ):
        load.reset()
        product.publish("bench:one", bytes=MESSAGE_BYTES, count=PUBLICATIONS, rate=PER_SECOND)
    time.sleep(REST_SECONDS)


def _look(product: Product, elapsed: float) -> Sample:
    return Sample(seconds=elapsed, **product.state(collect=True))


def soak_rows(samples: Sequence[Sample]) -> list[Row]:
    """The slope by least squares over what came after the warm-up, and how sure it is."""
    settled = samples[int(len(samples) * WARM_UP_SHARE) :]
    if len(settled) < 3:
        sys.exit("too few waves for a slope: soak for longer")
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
    """An hour's change, and twice its standard error."""
    times, values = zip(*points, strict=True)
    slope, intercept = linear_regression(times, values)
    rest = sum((value - intercept - slope * time) ** 2 for time, value in points) / (len(points) - 2)
    spread = sum((time - mean(times)) ** 2 for time in times)
    return slope * 3_600, 2 * (rest / spread) ** 0.5 * 3_600


if __name__ == "__main__":
    main()
