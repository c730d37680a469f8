"""Many connections: what an idle one costs, how fast they come, and who is late while they do."""

import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from benchmarks.fanout.lanes import publish_turn
from benchmarks.fanout.load import PRODUCT_PATH, Ready, start_load
from benchmarks.fanout.product import CHANNELS, start_product
from benchmarks.fanout.table import Row, p99

CHANNELS_OF_IDLE = CHANNELS[:3]
SETTLE_SECONDS = 1.0
WATCHERS = 100
STORM_PER_SECOND = 100
STORM_SECONDS = 1.5


@dataclass(frozen=True, slots=True)
class CrowdFigures:
    ready: Ready
    connect_us: float
    """Server CPU of one connect with its three subscribes."""
    idle_kib: float
    bare_ready: Ready
    """Handshake only: no client protocol, no subscription."""


def measure_crowd(programs: Path, clients: int) -> CrowdFigures:
    """Connect many, in three channels each; then as many that only shake hands."""
    with start_product(limits={"connections": 2 * clients + 100}) as product:
        before = product.state()["memory_bytes"]
        used = product.child.cpu_seconds()
        with start_load(
            programs / "load", product.port, clients, channels=CHANNELS_OF_IDLE, at_once=256
        ) as load:
            used = product.child.cpu_seconds() - used
            time.sleep(SETTLE_SECONDS)
            held = product.state()["memory_bytes"] - before
            ready = load.ready
    with (
        start_product(limits={"connections": clients + 100}) as product,
        start_load(programs / "load", product.port, clients, path=PRODUCT_PATH, at_once=256) as load,
    ):
        bare_ready = load.ready
    return CrowdFigures(ready, used / clients * 1e6, held / clients / 1_024, bare_ready)


def crowd_rows(figures: CrowdFigures) -> Iterator[Row]:
    clients = figures.ready.ready
    yield Row(f"idle connection, {clients:,} in three channels", figures.idle_kib, "KiB", at_most=12)
    per_second = figures.bare_ready.ready / figures.bare_ready.seconds
    yield Row("WebSocket handshakes a second", per_second, "/s", at_least=5_000)
    note = f"{figures.connect_us:.0f} µs of server CPU each"
    with_all = clients / figures.ready.seconds
    yield Row("the same with connect and three subscribes", with_all, "/s", note=note)


@dataclass(frozen=True, slots=True)
class StormFigures:
    ready: Ready
    calm_ms: list[float]
    stormy_ms: list[float]
    """Due to the last of the watchers, while the storm lasts."""


def measure_storm(programs: Path, clients: int) -> StormFigures:
    """So many connects at once, and the immediate lane to a hundred clients meanwhile."""
    turn = partial(publish_turn, seconds=STORM_SECONDS, per_second=STORM_PER_SECOND, size=140)
    with (
        start_product(limits={"connections": clients + 1_000}) as product,
        start_load(programs / "load", product.port, WATCHERS, channels=CHANNELS) as load,
        ThreadPoolExecutor(1) as aside,
    ):
        calm = turn(product, load)
        stormy = aside.submit(turn, product, load)
        with start_load(
            programs / "load", product.port, clients, channels=("bench:high",), at_once=clients, nice=10
        ) as storm:
            return StormFigures(storm.ready, calm.last_ms, stormy.result().last_ms)


def storm_rows(figures: StormFigures) -> Iterator[Row]:
    clients = figures.ready.ready
    yield Row(f"{clients:,} connects at once: all there after", figures.ready.seconds, "s", at_most=5)
    note = f"p99 {p99(figures.calm_ms):.1f} ms before; worst {max(figures.stormy_ms, default=0):.1f} ms"
    yield Row(
        f"immediate lane to {WATCHERS} meanwhile, p99", p99(figures.stormy_ms), "ms", at_most=10, note=note
    )
