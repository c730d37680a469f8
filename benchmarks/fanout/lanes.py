"""The immediate lane while the lanes below it run flat out, and with one client that never reads.

A message's time counts from when it was due until the last client had it, so that waiting for the
loop counts. The two states take turns, so that both see the same machine.
"""

import contextlib
import random
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from statistics import median

from benchmarks.fanout.load import Load, Report, start_load
from benchmarks.fanout.peers.catalogue import PEERS
from benchmarks.fanout.process import SERVER_CORE, Child, start
from benchmarks.fanout.product import CHANNELS, OPERATOR_KEY, Product, start_product
from benchmarks.fanout.table import Row, p99
from benchmarks.fanout.villain import open_villain
from benchmarks.terminal import open_console

PER_SECOND = 40
SMALL, LARGE = 140, 1_081
STALLED_PER_SECOND = 100
ARRIVE_SECONDS = 0.5
SPREAD_LIMIT = 1.5
"""A machine on which the same differs more from itself can acquit nobody."""


@dataclass(slots=True)
class Lateness:
    """Milliseconds, of the last client and of each one."""

    last_ms: list[float] = field(default_factory=list)
    each_p99_ms: list[float] = field(default_factory=list)
    last_p99_ms: list[float] = field(default_factory=list)
    """A figure a turn."""
    closed: int = 0

    def add(self, report: Report) -> None:
        self.last_ms += report.last_ms
        self.each_p99_ms.append(report.each_p99_ms)
        self.last_p99_ms.append(p99(report.last_ms))
        self.closed += report.closed


def clients_of(
    product: Product, programs: Path, count: int, *channels: str
) -> contextlib.AbstractContextManager[Load]:
    """Clients whose lateness is what the server owes them: they share a core, with whoever does harm."""
    return start_load(programs / "load", product.port, count, channels=channels or CHANNELS, arrivals=True)


def publish_turn(product: Product, load: Load, *, seconds: float, per_second: float, size: int) -> Report:
    """Publish in the immediate lane; what the load's clients saw of it."""
    load.reset()
    count = max(2, round(seconds * per_second))
    product.publish("bench:one", bytes=size, count=count, rate=per_second)
    load.expect(count * load.ready.ready, limit_seconds=3)
    return load.report()


@dataclass(slots=True)
class LaneFigures:
    alone: Lateness = field(default_factory=Lateness)
    flooded: Lateness = field(default_factory=Lateness)
    bare: Lateness = field(default_factory=Lateness)
    """Of the bare Python loop with as many clients: what the machine itself adds."""
    flood_per_second: float = 0
    """Publications of the lower lanes, to all clients."""
    load_share: float = 0
    """Of its core that the load client took during floods: near 1 it is what is measured."""


def measure_lanes(programs: Path, clients: int, rounds: int, seconds: float) -> LaneFigures:
    """Pairs of turns, without and with the flood, console attached; same clients in all lanes."""
    figures = LaneFigures()
    flooded, used = 0, 0.0
    with contextlib.ExitStack() as stack:
        product = stack.enter_context(start_product())
        load = stack.enter_context(clients_of(product, programs, clients))
        stack.enter_context(open_console(product.url, OPERATOR_KEY))
        bare = stack.enter_context(start(PEERS[0].command(programs), core=SERVER_CORE))
        bare_load = stack.enter_context(
            start_load(programs / "load", int(bare.read()), clients, arrivals=True)
        )
        publish_turn(product, load, seconds=0.5, per_second=PER_SECOND, size=SMALL)
        for _ in range(rounds):
            figures.bare.add(_bare_turn(bare, bare_load, seconds=seconds))
            figures.alone.add(publish_turn(product, load, seconds=seconds, per_second=PER_SECOND, size=SMALL))
            product.flood("bench:normal", "bench:low", bytes=SMALL)
            before = load.child.cpu_seconds()
            figures.flooded.add(_only_immediate(product, load, seconds=seconds))
            used += load.child.cpu_seconds() - before
            flooded += product.calm()
    figures.flood_per_second = flooded / (rounds * seconds)
    figures.load_share = used / (rounds * seconds)
    return figures


def _only_immediate(product: Product, load: Load, *, seconds: float) -> Report:
    """As `publish_turn`, among messages of other lanes: their count says nothing of ours."""
    load.reset()
    product.publish("bench:one", bytes=SMALL, count=round(seconds * PER_SECOND), rate=PER_SECOND)
    time.sleep(ARRIVE_SECONDS)
    return load.report()


def _bare_turn(server: Child, load: Load, *, seconds: float) -> Report:
    load.reset()
    count = round(seconds * PER_SECOND)
    server.ask(f"{SMALL} {count} {PER_SECOND}")
    load.expect(count * load.ready.ready, limit_seconds=3)
    return load.report()


def lane_rows(figures: LaneFigures) -> Iterator[Row]:
    alone, flooded = p99(figures.alone.last_ms), p99(figures.flooded.last_ms)
    note = f"{figures.flood_per_second:,.0f} lower publications/s; load client {figures.load_share:.0%} busy"
    note += f"; {len(figures.flooded.last_ms)} messages timed, {len(figures.alone.last_ms)} alone"
    yield Row("bare Python loop: due to last client, p50", median(figures.bare.last_ms), "ms")
    yield Row("the same, p99", p99(figures.bare.last_ms), "ms", note="what the machine itself adds")
    yield Row("immediate lane alone: due to last client, p50", median(figures.alone.last_ms), "ms")
    yield Row("the same, p99", alone, "ms", at_most=10)
    yield Row("lower lanes flat out: due to last client, p50", median(figures.flooded.last_ms), "ms")
    yield Row("the same, p99", flooded, "ms", at_most=10, note=note)
    yield Row("p99 flooded / alone", flooded / alone, "times", at_most=1.5)
    if figures.flooded.closed:
        yield Row("clients closed meanwhile", figures.flooded.closed, at_most=0)


@dataclass(slots=True)
class PairFigures:
    """The same without and with somebody who does harm."""

    name: str
    calm: Lateness = field(default_factory=Lateness)
    harmed: Lateness = field(default_factory=Lateness)

    @property
    def ratio(self) -> float:
        """The median of the pairs' own: a machine that gets slower slows both turns of a pair."""
        pairs = zip(self.calm.each_p99_ms, self.harmed.each_p99_ms, strict=True)
        return median(harmed / calm for calm, harmed in pairs)

    def row(self, spread_of: Sequence[Sequence[float]] = ()) -> Row:
        """Against the spread of the same against itself, or 20 % if that is more.

        `spread_of` are other calm turns to tell it from, each series in its order.
        """
        bound = max(1.2, _spread(spread_of or [self.calm.each_p99_ms], len(self.harmed.each_p99_ms)))
        note = f"others' p99 {median(self.calm.each_p99_ms):.1f} → {median(self.harmed.each_p99_ms):.1f} ms"
        if bound > SPREAD_LIMIT and self.ratio <= bound:
            note += f"; not judged: the same differs {bound:.1f} times from itself here"
            return Row(f"others' p99 beside: {self.name}", self.ratio, "times", note=note)
        return Row(f"others' p99 beside: {self.name}", self.ratio, "times", at_most=bound, note=note)


def _spread(series_ms: Sequence[Sequence[float]], pairs: int) -> float:
    """How far from 1 the median ratio of so many pairs is where both are calm: 9 of 10 draws.

    A pair is a calm turn and the next one, in either order.
    """
    ratios = [one / two for turns in series_ms for one, two in pairwise(turns)]
    ratios += [1 / ratio for ratio in ratios]
    source = random.Random(1)
    drawn = (median(source.choices(ratios, k=pairs)) for _ in range(200))
    return sorted(max(ratio, 1 / ratio) for ratio in drawn)[180]


def measure_stalled(programs: Path, clients: int, pairs: int, seconds: float) -> PairFigures:
    """One client that never reads among many: pairs of turns, without and with it."""
    figures = PairFigures("one client that never reads")
    with (
        start_product() as product,
        clients_of(product, programs, clients) as load,
    ):
        for number in range(pairs):
            order = (False, True) if number % 2 else (True, False)
            for is_harmed in order:
                with open_villain("never_reads", product.port, is_there=is_harmed):
                    report = publish_turn(
                        product, load, seconds=seconds, per_second=STALLED_PER_SECOND, size=LARGE
                    )
                (figures.harmed if is_harmed else figures.calm).add(report)
    return figures
