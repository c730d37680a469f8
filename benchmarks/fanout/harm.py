"""What clients that do harm do to the others, and what they leave behind."""

import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from benchmarks.fanout.lanes import PairFigures, clients_of, publish_turn
from benchmarks.fanout.product import start_product
from benchmarks.fanout.table import Row
from benchmarks.fanout.villain import KINDS, open_villain

OTHERS = 200
PER_SECOND = 100
BYTES = 1_081
FORGET_SECONDS = 2.0
"""After the last of them is gone, before what is left is counted."""
MEMORY_SLACK_MIB = 8


@dataclass(frozen=True, slots=True)
class HarmFigures:
    pairs: list[PairFigures]
    before: dict[str, int]
    after: dict[str, int]


def measure_harm(programs: Path, pairs: int, seconds: float) -> HarmFigures:
    """For each kind pairs of turns, without and with it, on one server that meets them all."""
    with (
        start_product() as product,
        clients_of(product, programs, OTHERS) as load,
    ):
        product.fill_histories(bytes=BYTES)
        publish_turn(product, load, seconds=1, per_second=PER_SECOND, size=BYTES)
        before = product.state(collect=True)
        found = []
        for kind in KINDS:
            figures = PairFigures(kind.replace("_", " "))
            for number in range(pairs):
                for is_harmed in (False, True) if number % 2 else (True, False):
                    with open_villain(kind, product.port, is_there=is_harmed):
                        report = publish_turn(
                            product, load, seconds=seconds, per_second=PER_SECOND, size=BYTES
                        )
                    (figures.harmed if is_harmed else figures.calm).add(report)
            found.append(figures)
        time.sleep(FORGET_SECONDS)
        return HarmFigures(found, before, product.state(collect=True))


def harm_rows(figures: HarmFigures) -> Iterator[Row]:
    # One kind has few pairs, so the spread of the same against itself is that of all kinds' calm turns.
    calm = [pair.calm.each_p99_ms for pair in figures.pairs]
    for pair in figures.pairs:
        yield pair.row(spread_of=calm)
    left = {name: figures.after[name] - figures.before[name] for name in figures.before}
    yield Row("tasks left behind by all of them", left["tasks"], at_most=0)
    yield Row("descriptors left behind", left["descriptors"], at_most=0)
    held, used = (left[name] / 1_048_576 for name in ("memory_bytes", "used_bytes"))
    yield Row("memory more than before", held, "MiB", at_most=MEMORY_SLACK_MIB, note=f"{used:.1f} in use")
    closed = sum(pair.calm.closed + pair.harmed.closed for pair in figures.pairs)
    yield Row("others who were closed", closed, at_most=0)
