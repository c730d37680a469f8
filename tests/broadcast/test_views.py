"""Market state at its cadence: how often its watchers hear of what changes all the time."""

from dataclasses import dataclass

import pytest
import trio
from trio.testing import MockClock, wait_all_tasks_blocked

from monitor.broadcast.maps import Maps
from monitor.broadcast.views import Views
from monitor.config import Settings
from monitor.market.state import MarketState
from monitor.market.view import StateView
from tests.broadcast.stage import Stage, payloads
from tests.broadcast.test_outflow import Watched
from tests.market.events import NOW_MS, delta, listing, order_update, snapshot, tell, trade
from tests.patience import until

pytestmark = pytest.mark.trio


class Clock(Stage):
    """A stage whose clock is the loop's."""

    def clock_ns(self) -> int:
        return int(trio.current_time() * 1e9)


@dataclass
class Exchange:
    """A market whose state is watched through a hub."""

    stage: Stage
    market: MarketState
    maps: Maps
    told: int = 0

    async def trade(self, seconds: int, per_second: int) -> None:
        """A trade and a change of the book now and then."""
        for _ in range(seconds * per_second):
            self.told += 1
            time_ms = NOW_MS + int(trio.current_time() * 1_000)
            self.market.apply(trade(self.told, time_ms=time_ms), time_ms)
            self.market.apply(delta([(100, self.told + 1)], [], time_ms), time_ms)
            await trio.sleep(1 / per_second)


async def open_exchange(nursery: trio.Nursery) -> Exchange:
    stage = Clock(Settings())
    market = MarketState(lambda channel: stage.hub.namespace(channel).interval_ms)
    maps = Maps(stage.hub)
    views = Views(market, stage.hub, maps)
    stage.hub.source = views
    await nursery.start(stage.hub.run)
    await nursery.start(views.run)
    market.apply(listing(), NOW_MS)
    market.apply(snapshot([(100, 1)], [(101, 1)]), NOW_MS)
    return Exchange(stage, market, maps)


@pytest.mark.parametrize(
    ("channel", "per_second", "interval_seconds"),
    [
        ("book:sim.BTCUSDT", 50, 0.1),
        ("market:analytics.hour", 4, 2),
        ("market:analytics.hour", 1, 5),
        ("market:hot", 10, 5),
    ],
)
async def test_market_state_goes_out_at_its_cadence_however_often_it_changes(
    nursery: trio.Nursery,
    autojump_clock: MockClock,
    channel: str,
    per_second: int,
    interval_seconds: float,
) -> None:
    exchange = await open_exchange(nursery)
    await exchange.trade(60, per_second)
    _, wire = exchange.stage.join(channel)
    await exchange.trade(20, per_second)
    assert 0.8 * 20 / interval_seconds - 1 <= len(payloads(wire)) <= 20 / interval_seconds


async def test_a_crowd_that_joins_starts_from_now_and_brings_the_others_no_update_besides(
    nursery: trio.Nursery, autojump_clock: MockClock
) -> None:
    exchange = await open_exchange(nursery)
    _, early = exchange.stage.join("book:sim.BTCUSDT")
    wholes = set()
    for size in range(1, 101):
        exchange.market.apply(delta([(100, size)], []), NOW_MS)
        client, _ = exchange.stage.join()
        wholes.add(exchange.stage.hub.subscribe("book:sim.BTCUSDT", client, b"{}").whole)
        await trio.sleep(0.01)
    assert len(wholes) == 100
    assert 8 <= len(payloads(early)) <= 10


async def test_what_nobody_has_heard_of_is_not_looked_at_until_somebody_has(
    nursery: trio.Nursery, autojump_clock: MockClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    looks, changes = list[StateView](), StateView.changes

    def look(view: StateView) -> bytes | None:
        looks.append(view)
        return changes(view)

    monkeypatch.setattr(StateView, "changes", look)
    exchange = await open_exchange(nursery)
    for number in range(20):
        exchange.stage.join(f"book:sim.INVENTED{number}")
    _, wire = exchange.stage.join("book:sim.LATER")
    _, owned = exchange.stage.join("open_orders:later")
    client, _ = exchange.stage.join("book:sim.GONE")
    exchange.stage.hub.leave(client)
    await trio.sleep(5)
    assert not looks
    for market in ("LATER", "GONE"):
        exchange.market.apply(listing(market), NOW_MS)
        exchange.market.apply(snapshot([(100, 1)], [(101, 1)], market=market), NOW_MS)
    tell(exchange.market, order_update("1", "NEW", account="later"))
    await trio.sleep(0.2)
    assert len(payloads(wire)) == len(payloads(owned)) == 1
    assert len(set(map(id, looks))) == 2


async def test_who_comes_to_a_watched_map_has_what_its_watchers_have_and_tells_them_nothing(
    nursery: trio.Nursery, autojump_clock: MockClock
) -> None:
    exchange = await open_exchange(nursery)
    _, wire = exchange.stage.join("open_orders:paper")
    for number in range(10):
        tell(exchange.market, order_update(str(number), "NEW"))
        with exchange.maps.reading("open_orders:paper") as keyed:
            assert len(keyed) == len(payloads(wire)) == 0
    await trio.sleep(0.2)
    assert len(payloads(wire)) == 10


@pytest.mark.parametrize(("channel", "looks"), [("orders:paper", False), ("book:sim.BTCUSDT", True)])
async def test_nobody_is_woken_to_look_for_changes_of_what_is_pushed(
    nursery: trio.Nursery, channel: str, looks: bool
) -> None:
    exchange = await open_exchange(nursery)
    exchange.stage.join(channel)
    await wait_all_tasks_blocked()
    assert (trio.lowlevel.current_statistics().seconds_to_next_deadline < 1) is looks


async def test_nobody_looks_for_changes_that_nobody_watches_any_more(
    nursery: trio.Nursery, autojump_clock: MockClock
) -> None:
    exchange = await open_exchange(nursery)
    client, _ = exchange.stage.join("book:sim.BTCUSDT")
    await trio.sleep(1)
    exchange.stage.hub.leave(client)
    await trio.sleep(1)
    await wait_all_tasks_blocked()
    assert trio.lowlevel.current_statistics().seconds_to_next_deadline > 60


class Long(Watched):
    """Takes its time for every frame."""

    def is_slow(self, payload_bytes: int) -> bool:
        return True


async def test_changes_gather_where_they_cost_nothing_while_a_fan_out_is_under_way(
    nursery: trio.Nursery,
) -> None:
    exchange, encoding = await open_exchange(nursery), Long()
    _, wire = exchange.stage.join("book:sim.BTCUSDT", encoding=encoding)
    channel = exchange.stage.hub.open("book:sim.BTCUSDT")
    exchange.market.apply(delta([(100, 2)], []), NOW_MS)
    await until(lambda: bool(encoding.threads))
    held = channel.queued_bytes
    exchange.market.apply(delta([(100, 3)], []), NOW_MS)
    await trio.sleep(0.3)
    assert channel.queued_bytes == held
    encoding.may.set()
    await until(lambda: len(payloads(wire)) == 2)
