"""The simulation kept in step with the clock: the only part of the simulator that waits.

It wakes at most a hundred times a second and gives way inside a long batch. When it wakes late
it catches up on the last second and no more: after a laptop's sleep there is no burst.
"""

import time
from collections.abc import Callable, Iterator
from typing import Never

import trio

from monitor.clock import wall_ms
from monitor.config import SimulatorSettings
from monitor.events import BookDelta, BookSnapshot, Event, Ticker, Trade
from monitor.feeds.feed import Sink
from monitor.feeds.simulator.simulation import Simulation
from monitor.health.feeds import FeedHealth
from monitor.turn import Turn

CATCH_UP_MS = 1_000
WAKE_SECONDS = 0.01
"""Least pause; below it a wake costs more than what it delivers."""
_SUBSCRIPTIONS = {Trade: "trades", BookDelta: "books", BookSnapshot: "books", Ticker: "tickers"}
_REST = "bots"


async def run_simulator(
    settings: SimulatorSettings,
    sink: Sink,
    health: FeedHealth,
    *,
    clock_ms: Callable[[], int] = wall_ms,
    task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED,
) -> Never:
    """Feed the simulated venue's events to `sink` until cancelled.

    The past and the first books are delivered before it counts as started.
    """
    simulation = Simulation(settings.seed, settings.rate, clock_ms())
    health.connected(time.monotonic_ns())
    try:
        for event in simulation.history():
            _deliver(event, sink, health)
        task_status.started()
        while True:
            await _deliver_all(simulation.advance(clock_ms()), sink, health)
            pause_seconds = (simulation.next_due_ms - clock_ms()) / 1_000
            await trio.sleep(max(WAKE_SECONDS, pause_seconds))
            simulation.skip_to(clock_ms() - CATCH_UP_MS)
    finally:
        health.stopped()


async def _deliver_all(events: Iterator[Event], sink: Sink, health: FeedHealth) -> None:
    turn = Turn()
    for event in events:
        _deliver(event, sink, health)
        await turn.give_way()


def _deliver(event: Event, sink: Sink, health: FeedHealth) -> None:
    now_ns = time.monotonic_ns()
    health.hear(now_ns)
    health.subscription(_SUBSCRIPTIONS.get(type(event), _REST)).hear(now_ns)
    sink(event, now_ns)
