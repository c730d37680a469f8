"""Tuning at work on a health that a simulated plant writes, in Trio's jumping clock."""

from typing import Any

import pytest
import trio

from monitor.broadcast.frames import Deflate
from monitor.broadcast.outflow import Outflow
from monitor.broadcast.tuning import Tuning
from monitor.config import Settings
from monitor.health.health import Health, run_health
from monitor.health.kind import Stages
from monitor.health.report import tuning_report
from monitor.health.tuning import Outcome

pytestmark = pytest.mark.trio
MS = 1_000_000


def now_ns() -> int:
    return int(trio.current_time() * 1e9)


class Plant:
    """Trades whose latency is their tick and 5 ms; and bytes that shrink with the effort to compress."""

    def __init__(self, *, is_on: bool = True, bytes_per_second: int = 0, **overrides: Any) -> None:
        settings = Settings(**overrides)
        self.health = Health(settings, clock_ns=now_ns, wall_ms=lambda: now_ns() // MS)
        self.outflow = Outflow(settings, self.health)
        self.tuning = Tuning(self.outflow, self.health, is_on=is_on, bytes_per_second=bytes_per_second)

    async def run(self) -> None:
        while True:
            await trio.sleep(0.1)
            cadence = self.outflow.cadence
            self.health.kinds["trade"].record(Stages(0, cadence.tick_ms * MS, 0, 5 * MS))
            self.health.totals.bytes += 100 * (20 - cadence.compression_level)

    async def work(self, seconds: float) -> None:
        async with trio.open_nursery() as nursery:
            await nursery.start(
                run_health, self.health, lambda *_: None, lambda _: False, trio.lowlevel.checkpoint
            )
            nursery.start_soon(self.run)
            await nursery.start(self.tuning.run)
            await trio.sleep(seconds)
            nursery.cancel_scope.cancel()

    def steps(self) -> list[tuple[str, int, int, Outcome]]:
        return [(step.knob, step.before, step.after, step.outcome) for step in self.health.tuning.steps]


async def test_a_tick_near_its_threshold_is_shortened_and_the_step_is_told_with_its_cause(
    autojump_clock: trio.testing.MockClock,
) -> None:
    plant = Plant(tick_ms=100)
    await plant.work(120)
    assert plant.steps() == [
        ("tick_ms", 100, 75, Outcome.KEPT),
        ("tick_ms", 75, 50, Outcome.KEPT),
    ]
    assert plant.outflow.cadence.tick_ms == 50
    report = tuning_report(plant.health)
    assert (report["on"], report["configured"]["tick_ms"], report["cadence"]["tick_ms"]) == (True, 100, 50)
    assert report["steps"][-1]["cause"].startswith("trade: p99 10")
    assert report["steps"][-1]["cause"].endswith("of 100 ms, most of it wait")


async def test_bytes_over_their_budget_are_compressed_harder_for_all_who_are_connected(
    autojump_clock: trio.testing.MockClock,
) -> None:
    plant = Plant(bytes_per_second=15_000)
    await plant.work(120)
    assert plant.steps() == [
        ("compression_level", 5, 7, Outcome.KEPT),
        ("compression_level", 7, 9, Outcome.KEPT),
    ]
    assert plant.health.tuning.steps[0].cause == "15,000 bytes/s of 15,000"
    levels = {each.level for each in plant.outflow.encodings.values() if isinstance(each, Deflate)}
    assert levels == {9}


async def test_switched_off_it_moves_nothing_and_puts_back_what_it_moved(
    autojump_clock: trio.testing.MockClock,
) -> None:
    plant = Plant(tick_ms=100, is_on=False)
    await plant.work(60)
    assert plant.steps() == []
    plant.tuning.switch(is_on=True)
    await plant.work(60)
    assert plant.outflow.cadence.tick_ms == 50
    plant.tuning.switch(is_on=False)
    assert plant.outflow.cadence.tick_ms == 100
    assert {outcome for *_, outcome in plant.steps()} == {Outcome.REVERTED}
    await plant.work(60)
    assert plant.outflow.cadence.tick_ms == 100
