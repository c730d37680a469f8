"""Many connections: what an idle one costs, how fast they come, and who is late while they do, or stall."""

import os
import signal
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from benchmarks.fanout.lanes import clients_of, publish_turn
from benchmarks.fanout.load import PRODUCT_PATH, Ready, start_load
from benchmarks.fanout.product import CHANNELS, start_product
from benchmarks.fanout.table import Row, p99

CHANNELS_OF_IDLE = CHANNELS[:3]
SETTLE_SECONDS = 1.0
WATCHERS = 100
STORM_PER_SECOND = 100
STORM_SECONDS = 1.5
STALL_SECONDS = 2.0
COMES_BACK, IS_CLOSED = 140, 4_000
"""Bytes of what a stalled crowd is sent meanwhile: it fills their outboxes in part, or wholly."""


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
        clients_of(product, programs, WATCHERS) as load,
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


@dataclass(frozen=True, slots=True)
class StallFigures:
    """Due to the last of the watchers, before, during and after."""

    calm_ms: list[float]
    stalled_ms: list[float]
    back_ms: list[float]


def measure_stall(programs: Path, clients: int, size: int) -> StallFigures:
    """A crowd stops reading while the normal lane runs flat out, is let go, and is sent all that waits."""
    turn = partial(publish_turn, seconds=STALL_SECONDS, per_second=STORM_PER_SECOND, size=140)
    with (
        start_product() as product,
        clients_of(product, programs, WATCHERS, CHANNELS[0]) as load,
        start_load(programs / "load", product.port, clients, channels=("bench:normal",)) as crowd,
    ):
        calm = turn(product, load)
        os.kill(crowd.child.pid, signal.SIGSTOP)
        product.flood("bench:normal", bytes=size)
        stalled = turn(product, load)
        product.calm()
        os.kill(crowd.child.pid, signal.SIGCONT)
        return StallFigures(calm.last_ms, stalled.last_ms, turn(product, load).last_ms)


def stall_rows(figures: StallFigures, clients: int, size: int) -> Iterator[Row]:
    end = "come back" if size == COMES_BACK else "are closed as too slow"
    name = f"immediate lane to {WATCHERS} while {clients:,} stop reading {size:,} B and {end}, p99"
    worst = max(figures.stalled_ms + figures.back_ms)
    note = f"{p99(figures.stalled_ms):.1f} ms, then {p99(figures.back_ms):.1f}; "
    note += f"{p99(figures.calm_ms):.1f} before; worst {worst:.1f}"
    yield Row(name, max(p99(figures.stalled_ms), p99(figures.back_ms)), "ms", at_most=10, note=note)
