"""Does memory grow while clients come and go? `python -m benchmarks.soak --minutes 10`, after a warm-up of 5.

Waves of clients come, subscribe, are published to and go, each with another villain among them. After each
the server is looked at with nobody there, its garbage collected and what is free given back. What it holds is
judged, and what it uses of that: the one grows with a crowd, and a leak may hide in what a crowd has left.
`--trades` adds the simulator, whose markets remember up to their bounds; `--lines` names what grew.
"""

import argparse
import contextlib
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import astuple, dataclass
from itertools import cycle, product
from pathlib import Path
from statistics import linear_regression, mean, median

from benchmarks.fanout.load import compile_c, start_load
from benchmarks.fanout.process import allow_descriptors
from benchmarks.fanout.product import CHANNELS, QUIET, Product, start_product
from benchmarks.fanout.table import Row, rows_table
from benchmarks.fanout.villain import KINDS, open_villain
from monitor.health.alerts import SLOW_MS

CLIENTS = 200
MARKET = ("trades:all", "ticker:sim.BTCUSDT", "book:sim.BTCUSDT", "market:hot", "orders:paper")
PUBLICATIONS = 150
MESSAGE_BYTES = 500
PER_SECOND = 100
REST_SECONDS = 0.5
LEAVE_SECONDS = 30.0
"""After which a look is taken although somebody is still there: a busy machine ends its clients slowly."""
WARM_UP_SECONDS = SLOW_MS / 1_000
"""Of the windows that take memory as they fill, the longest is that of the alerts. The pieces into which a
history cuts the heap, as it moves through it, have settled by then too: measured, in four minutes. And all
villains come at once, since memory is held for the greatest crowd so far, which must not come later."""
LAP = tuple(product(KINDS, (False, True)))
"""The waves, each with one villain, deflated or not; what they leave differs, so laps are compared."""
LAPS_MIN = 6
SLOPE_LIMIT_MB = 1.0


@dataclass(frozen=True, slots=True)
class Sample:
    """The server at rest: after a wave, or of a lap the median of each figure."""

    seconds: float
    memory_bytes: float
    """What the process holds of the machine's memory."""
    used_bytes: float
    tasks: float
    descriptors: float


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.soak", description=__doc__)
    parser.add_argument("--minutes", type=float, default=10, help="after the warm-up")
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
        laps = soak(programs, options.minutes * 60, options.trades, with_lines=options.lines)
    print(rows_table(f"soak, {options.minutes:g} minutes, {len(laps)} laps", soak_rows(laps)).text())


def soak(programs: Path, seconds: float, trades: float, *, with_lines: bool) -> list[Sample]:
    """Warm up, then lap after lap for so long."""
    with start_product(
        simulator={"enabled": True, "rate": trades} if trades else QUIET["simulator"]
    ) as server:
        if with_lines:
            server.trace()
        server.fill_histories(bytes=MESSAGE_BYTES)
        course = _Course(server, programs)
        course.warm_up()
        if with_lines:
            server.trace()
        laps = course.run(seconds)
        if with_lines:
            print("\n".join(server.trace()))
    return laps


class _Course:
    """What a server goes through."""

    def __init__(self, server: Product, programs: Path) -> None:
        self._server = server
        self._programs = programs
        self._tasks = server.state()["tasks"]
        self._started = time.monotonic()

    def warm_up(self) -> None:
        for is_packed in cycle((False, True)):
            if self._elapsed > WARM_UP_SECONDS:
                return
            self._wave([*KINDS], is_packed)

    def run(self, seconds: float) -> list[Sample]:
        laps: list[Sample] = []
        end = self._elapsed + seconds
        while self._elapsed < end:
            laps.append(self._lap())
            print("  {:5.0f} s  {:.2f} MB held, {:.2f} MB used".format(*_in_mb(laps[-1])), flush=True)
        return laps

    @property
    def _elapsed(self) -> float:
        return time.monotonic() - self._started

    def _lap(self) -> Sample:
        looks = [self._wave([villain], is_packed) for villain, is_packed in LAP]
        return Sample(*map(median, zip(*map(astuple, looks), strict=True)))

    def _wave(self, villains: Sequence[str], is_packed: bool) -> Sample:
        server, channels = self._server, (*CHANNELS, *MARKET)
        with contextlib.ExitStack() as present:
            load = present.enter_context(
                start_load(
                    self._programs / "load", server.port, CLIENTS, channels=channels, deflate=is_packed
                )
            )
            for villain in villains:
                present.enter_context(open_villain(villain, server.port))
            load.reset()
            server.publish("bench:one", bytes=MESSAGE_BYTES, count=PUBLICATIONS, rate=PER_SECOND)
        self._wait_alone()
        return Sample(seconds=self._elapsed, **server.state(collect=True))

    def _wait_alone(self) -> None:
        """Until no more tasks run than before the first client came."""
        give_up = time.monotonic() + LEAVE_SECONDS
        time.sleep(REST_SECONDS)
        while self._server.state()["tasks"] > self._tasks and time.monotonic() < give_up:
            time.sleep(REST_SECONDS)


def soak_rows(laps: Sequence[Sample]) -> list[Row]:
    """How fast memory grew, and how sure that is."""
    if len(laps) < LAPS_MIN:
        sys.exit(f"{len(laps)} laps are too few for a slope, {LAPS_MIN} are enough: soak for longer")
    first, last = laps[0], laps[-1]
    return [
        _slope_row("memory used", [(lap.seconds, lap.used_bytes / 1e6) for lap in laps]),
        _slope_row("memory held", [(lap.seconds, lap.memory_bytes / 1e6) for lap in laps]),
        Row("held more than a lap after the warm-up", (last.memory_bytes - first.memory_bytes) / 1e6, "MB"),
        Row("held at the end", last.memory_bytes / 1e6, "MB"),
        Row("tasks more", last.tasks - first.tasks, at_most=0),
        Row("descriptors more", last.descriptors - first.descriptors, at_most=0),
    ]


def _slope_row(what: str, points: Sequence[tuple[float, float]]) -> Row:
    """Judged by the upper end of what it may be: a machine that is too restless acquits nobody."""
    slope, margin = _slope(points)
    return Row(
        f"{what}, MB an hour, at most",
        slope + margin,
        "MB/h",
        at_most=SLOPE_LIMIT_MB,
        note=f"{slope:.2f} ± {margin:.2f}",
    )


def _slope(points: Sequence[tuple[float, float]]) -> tuple[float, float]:
    """An hour's change by least squares, and what it may be off by: of 20 such, 19 are within."""
    seconds, values = zip(*points, strict=True)
    slope, start = linear_regression(seconds, values)
    freedom = len(points) - 2
    error = sum((value - start - slope * second) ** 2 for second, value in points) / freedom
    spread = sum((second - mean(seconds)) ** 2 for second in seconds)
    return slope * 3_600, _student(freedom) * (error / spread) ** 0.5 * 3_600


def _student(freedom: int) -> float:
    """The 97.5 % quantile of Student's t, right to 1 % from four degrees of freedom on."""
    return 1.96 + 2.4 / freedom + 3 / freedom**2


def _in_mb(sample: Sample) -> tuple[float, float, float]:
    return sample.seconds, sample.memory_bytes / 1e6, sample.used_bytes / 1e6


if __name__ == "__main__":
    main()
