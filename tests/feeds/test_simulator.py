from collections import Counter, defaultdict
from collections.abc import Iterable
from decimal import Decimal
from functools import cache, partial
from itertools import pairwise

import orjson
import pytest
import trio
import trio.testing
from hypothesis import given, settings
from hypothesis import strategies as st

from monitor.config import SimulatorSettings
from monitor.events import (
    BookDelta,
    BookSnapshot,
    BotCycle,
    BotLifecycle,
    BotStatus,
    Event,
    FillsMissing,
    MarketListed,
    OrderFill,
    OrderRole,
    OrdersListed,
    OrderUpdate,
    Side,
    Trade,
    Turnover,
)
from monitor.feeds.simulator import Simulation, run_simulator
from monitor.health.feeds import FeedHealth, FeedState
from monitor.market.state import MarketState

START_MS = 1_700_000_000_000


def _events(seed: int, rate: float, seconds: int) -> list[Event]:
    simulation = Simulation(seed, rate, START_MS)
    return [*simulation.history(), *simulation.advance(START_MS + seconds * 1_000)]


@cache
def _busy_minute() -> list[Event]:
    return _events(seed=7, rate=200, seconds=60)


def _trades(events: Iterable[Event]) -> list[Trade]:
    return [event for event in events if isinstance(event, Trade)]


@pytest.fixture
def fills() -> list[OrderFill]:
    return [event for event in _busy_minute() if isinstance(event, OrderFill)]


@pytest.fixture
def updates() -> list[OrderUpdate]:
    return [event for event in _busy_minute() if isinstance(event, OrderUpdate)]


@pytest.fixture
def cycles() -> dict[str, list[BotCycle]]:
    by_bot: dict[str, list[BotCycle]] = defaultdict(list)
    for event in _busy_minute():
        if isinstance(event, BotCycle):
            by_bot[event.bot_id].append(event)
    return by_bot


def _decimals() -> dict[str, tuple[int, int]]:
    listed = [event for event in _busy_minute() if isinstance(event, MarketListed)]
    return {each.market: (each.price_decimals, each.size_decimals) for each in listed}


def test_same_seed_gives_the_same_events_however_often_it_is_asked() -> None:
    once = _events(seed=3, rate=50, seconds=5)
    simulation = Simulation(3, 50, START_MS)
    often = list(simulation.history())
    for elapsed_ms in range(0, 5_001, 37):
        often += simulation.advance(START_MS + elapsed_ms)
    often += simulation.advance(START_MS + 5_000)
    assert often == once


def test_another_seed_gives_other_trades() -> None:
    assert _events(1, 20, 1) != _events(2, 20, 1)


def test_its_orders_ended_with_its_last_life_and_sixty_markets_are_listed_first() -> None:
    listed: set[str] = set()
    first, *events = _busy_minute()
    assert first == OrdersListed("sim", "paper", frozenset())
    for event in events:
        assert not isinstance(event, (OrdersListed, FillsMissing))
        if isinstance(event, MarketListed):
            assert event.title
            listed.add(event.market)
        assert event.market in listed
    assert len(listed) == 60


def test_events_are_in_order_of_time_once_it_runs() -> None:
    simulation = Simulation(1, 100, START_MS)
    for _ in simulation.history():
        pass
    times = [event.time_ms for event in simulation.advance(START_MS + 5_000)]  # type: ignore[union-attr]
    assert times == sorted(times)
    assert times[0] >= START_MS


@settings(max_examples=8)
@given(st.integers(0, 10_000), st.sampled_from([5.0, 200.0, 2_000.0]))
def test_books_start_with_a_snapshot_and_never_cross(seed: int, rate: float) -> None:
    books: dict[str, tuple[dict[int, int], dict[int, int]]] = {}
    for event in _events(seed, rate, 5):
        if isinstance(event, BookSnapshot):
            books[event.market] = dict(event.bids), dict(event.asks)
        elif isinstance(event, BookDelta):
            for side, changes in zip(books[event.market], (event.bids, event.asks), strict=True):
                side.update(changes)
                for price, size in changes:
                    if not size:
                        del side[price]
        else:
            continue
        bids, asks = books[event.market]
        assert 0 < max(bids) < min(asks)
    assert len(books) == 60


def test_contracts_stay_between_one_and_ninety_nine_cents() -> None:
    trades = [trade for trade in _trades(_busy_minute()) if trade.market.startswith("KX")]
    assert trades
    assert all(1 <= trade.price <= 99 for trade in trades)


def test_coins_show_at_least_fifty_levels_a_side() -> None:
    snapshots = [e for e in _busy_minute() if isinstance(e, BookSnapshot) and e.market.endswith("USDT")]
    assert len(snapshots) == 30
    assert all(len(each.bids) >= 50 and len(each.asks) >= 50 for each in snapshots)


def test_trades_keep_the_rate_and_some_markets_are_hotter() -> None:
    trades = [trade for trade in _trades(_busy_minute()) if trade.time_ms >= START_MS]
    assert len(trades) == pytest.approx(200 * 60, rel=0.05)
    by_market = Counter(trade.market for trade in trades).most_common()
    assert by_market[0][1] > 5 * by_market[len(by_market) // 2][1]


def test_hot_markets_change_with_time() -> None:
    simulation = Simulation(1, 20, START_MS)
    for _ in simulation.history():
        pass
    tops = []
    for minute in (3, 6):
        events = list(simulation.advance(START_MS + minute * 60_000))
        counts = Counter(trade.market for trade in _trades(events))
        tops.append([market for market, _ in counts.most_common(12)])
    assert set(tops[0]) != set(tops[1])


def test_six_bots_are_created_and_started_and_the_first_fill_comes_within_three_seconds() -> None:
    events = _events(seed=1, rate=20, seconds=3)
    actions = Counter(event.action for event in events if isinstance(event, BotLifecycle))
    assert actions == {"created": 6, "started": 6}
    assert {event.bot_id for event in events if isinstance(event, BotStatus)} == {
        f"bot-{n}" for n in range(1, 7)
    }
    assert any(isinstance(event, OrderFill) for event in events)


def test_fills_come_every_few_seconds_and_oftener_at_a_higher_rate() -> None:
    slow = sum(isinstance(event, OrderFill) for event in _events(1, 20, 120))
    fast = sum(isinstance(event, OrderFill) for event in _events(1, 200, 120))
    assert slow >= 30
    assert fast > 4 * slow


def test_fill_ids_are_unique(fills: list[OrderFill]) -> None:
    assert len({fill.fill_id for fill in fills}) == len(fills) > 100


def test_fills_add_up_to_what_their_order_says(fills: list[OrderFill], updates: list[OrderUpdate]) -> None:
    orders = {update.order_id: update for update in updates if update.status == "NEW"}
    filled: Counter[str] = Counter()
    for fill in fills:
        order = orders[fill.order_id]
        filled[fill.order_id] += fill.size
        assert fill.filled == filled[fill.order_id] <= order.size == fill.order_size
        assert fill.status == ("FILLED" if fill.filled == order.size else "PARTIALLY_FILLED")
        assert (fill.side, fill.role, fill.market) == (order.side, order.role, order.market)
        assert fill.delay_ms == fill.time_ms - order.time_ms >= 0
        if order.order_type == "LIMIT":
            assert fill.price == order.price
    assert any(fill.status == "PARTIALLY_FILLED" for fill in fills)


def test_order_ends_once_and_is_silent_afterwards(updates: list[OrderUpdate]) -> None:
    statuses: dict[str, list[str]] = defaultdict(list)
    for update in updates:
        statuses[update.order_id].append(update.status)
    for told in statuses.values():
        assert told[0] == "NEW"
        assert not {"FILLED", "CANCELED"} & set(told[:-1])
    assert {told[-1] for told in statuses.values()} >= {"FILLED", "CANCELED"}


def test_cycle_phases_are_in_legal_order(cycles: dict[str, list[BotCycle]]) -> None:
    legal = {
        "base_order": {"take_profit", "safety_order", "completed"},
        "take_profit": {"safety_order", "completed"},
        "safety_order": {"take_profit", "safety_order", "completed"},
        "completed": {"base_order"},
    }
    assert len(cycles) == 6
    for steps in cycles.values():
        assert (steps[0].cycle, steps[0].phase) == (1, "base_order")
        for before, after in pairwise(steps):
            assert after.phase in legal[before.phase]
            assert after.cycle == before.cycle + (after.phase == "base_order")
            assert after.safety_orders_filled <= after.safety_orders_max
    assert {step.phase for steps in cycles.values() for step in steps} == set(legal)


def test_safety_orders_are_lower_and_the_take_profit_is_above_the_average(
    cycles: dict[str, list[BotCycle]], updates: list[OrderUpdate]
) -> None:
    for step in (step for steps in cycles.values() for step in steps if step.phase == "take_profit"):
        assert step.take_profit_price > step.average_price > 0
        assert step.position > 0
        assert step.take_profit_delay_ms is not None
    for bot_id in cycles:
        safeties = [u for u in updates if u.bot_id == bot_id and u.role is not OrderRole.TAKE_PROFIT]
        for before, after in pairwise(update for update in safeties if update.status == "NEW"):
            if after.role is OrderRole.SAFETY and before.role is OrderRole.SAFETY:
                assert after.price < before.price
                assert after.size > before.size


def test_profit_of_a_cycle_is_exactly_what_its_fills_say() -> None:
    decimals = _decimals()
    earned: dict[str, Decimal] = defaultdict(Decimal)
    total: dict[str, Decimal] = defaultdict(Decimal)
    completed: Counter[str] = Counter()
    for event in _busy_minute():
        if isinstance(event, OrderFill):
            value = Decimal(event.price * event.size).scaleb(-sum(decimals[event.market]))
            assert Decimal(event.fee) == value / 10_000
            earned[event.bot_id] += (value if event.side is Side.SELL else -value) - Decimal(event.fee)
        elif isinstance(event, BotCycle) and event.phase == "completed":
            assert event.position == 0
            assert Decimal(event.profit) == earned.pop(event.bot_id)
            total[event.bot_id] += Decimal(event.profit)
            completed[event.bot_id] += 1
        elif isinstance(event, BotStatus):
            assert Decimal(event.profit) == total[event.bot_id]
            assert event.cycles_completed == completed[event.bot_id]
    assert sum(completed.values()) > 20


def test_history_fills_the_hour_the_day_and_the_hot_markets() -> None:
    history = list(Simulation(1, 20, START_MS).history())
    assert {event.seconds for event in history if isinstance(event, Turnover)} == {60, 3_600}
    state = MarketState(lambda channel: 2_000)
    for event in history:
        state.apply(event, START_MS)
    for channel in ("market:analytics.hour", "market:analytics.day"):
        view = state.view(channel)
        assert view is not None
        assert b'"trades":0' not in view.whole()
    hot = state.view("market:hot")
    assert hot is not None
    assert len(orjson.loads(hot.whole())["markets"]) == 12
    past = [trade.time_ms for trade in _trades(history)]
    assert START_MS - 300_000 <= min(past) <= max(past) < START_MS


def test_time_slept_through_holds_no_burst() -> None:
    simulation = Simulation(1, 50, START_MS)
    for _ in simulation.history():
        pass
    an_hour_later_ms = START_MS + 3_600_000
    simulation.skip_to(an_hour_later_ms - 1_000)
    events = list(simulation.advance(an_hour_later_ms))
    assert len(_trades(events)) < 100
    assert all(event.time_ms >= an_hour_later_ms - 1_000 for event in events)  # type: ignore[union-attr]


def _trio_ms() -> int:
    return START_MS + int(trio.current_time() * 1_000)


@pytest.mark.trio
async def test_feed_keeps_the_rate_by_the_clock(autojump_clock: trio.testing.MockClock) -> None:
    told: list[Event] = []
    health = FeedHealth("simulator", "sim")

    def sink(event: Event, received_ns: int) -> None:
        told.append(event)

    run = partial(run_simulator, SimulatorSettings(rate=50, seed=4), sink, health, clock_ms=_trio_ms)
    started_ms = _trio_ms()
    async with trio.open_nursery() as nursery:
        await nursery.start(run)
        before = len(told)
        await trio.sleep(20)
        nursery.cancel_scope.cancel()
    expected = Simulation(4, 50, started_ms)
    history = list(expected.history())
    assert before >= len(history)
    assert told == [*history, *expected.advance(started_ms + 30_000)][: len(told)]
    assert len(_trades(told)) - len(_trades(history)) == pytest.approx(1_000, rel=0.1)
    assert health.messages == len(told)
    assert health.state(0) is FeedState.STOPPED
