"""What a start takes over of the server before, once its venue has had its say."""

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import trio

from monitor.config import SimulatorSettings
from monitor.feeds.simulator import run_simulator
from monitor.health.feeds import FeedHealth
from tests.patience import until
from tests.storage.journal import Running, running

pytestmark = pytest.mark.trio

Orders = dict[str, dict[str, Any]]


def open_orders(server: Running) -> Orders:
    orders: Orders = server.state("open_orders:paper")
    return orders


async def simulate_until(server: Running, claim: Callable[[Orders], bool]) -> None:
    """Let the bots trade until it is true of their open orders."""
    simulator = partial(run_simulator, SimulatorSettings(), server.engine.ingest)
    async with trio.open_nursery() as nursery:
        await nursery.start(simulator, FeedHealth("simulator", "sim"))
        await until(lambda: claim(open_orders(server)))
        nursery.cancel_scope.cancel()


def is_in_a_cycle(orders: Orders) -> bool:
    """Some orders wait for a price, and will not be filled in the next moment."""
    return any(order["role"] == "safety_order" for order in orders.values())


async def test_orders_of_the_simulators_last_life_are_gone_after_a_restart(tmp_path: Path) -> None:
    async with running(tmp_path) as server:
        await simulate_until(server, is_in_a_cycle)
    async with running(tmp_path) as server:
        inherited = open_orders(server).keys()
        assert inherited
        await simulate_until(server, lambda orders: is_in_a_cycle(orders) and inherited.isdisjoint(orders))
    async with running(tmp_path) as server:
        assert open_orders(server)
        assert inherited.isdisjoint(open_orders(server))
