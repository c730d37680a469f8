import pytest

from monitor.events import Turnover
from tests.market.events import NOW_MS, market_state, trade
from tests.market.patches import Watcher

MINUTE_MS = 60_000
START_MS = NOW_MS - NOW_MS % 3_600_000


def test_whole_has_sixty_minutes_oldest_first() -> None:
    state = market_state("BTCUSDT")
    state.apply(trade(1, 10_000, time_ms=START_MS), START_MS)
    shown = Watcher(state.view("market:analytics.hour")).state
    assert shown["bucket_seconds"] == 60
    assert list(shown["buckets"]) == [str(START_MS - (59 - i) * MINUTE_MS) for i in range(60)]
    assert shown["buckets"][str(START_MS)] == {"trades": 1, "buys": 1, "volume": "100"}


def test_day_has_twenty_four_hours() -> None:
    state = market_state("BTCUSDT")
    state.apply(trade(1, time_ms=START_MS), START_MS)
    shown = Watcher(state.view("market:analytics.day")).state
    assert shown["bucket_seconds"] == 3_600
    assert len(shown["buckets"]) == 24


def test_only_changed_buckets_are_sent() -> None:
    state = market_state("BTCUSDT")
    state.apply(trade(1, 10_000, time_ms=START_MS), START_MS)
    watcher = Watcher(state.view("market:analytics.hour"))
    assert watcher.update() is None
    state.apply(trade(2, 10_000, time_ms=START_MS + 1), START_MS + 1)
    assert watcher.update() == {"buckets": {str(START_MS): {"trades": 2, "buys": 2, "volume": "200"}}}


@pytest.mark.parametrize("minutes", [1, 7, 59, 60, 500])
def test_buckets_roll_over(minutes: int) -> None:
    state = market_state("BTCUSDT")
    state.apply(trade(1, time_ms=START_MS), START_MS)
    watcher = Watcher(state.view("market:analytics.hour"))
    later_ms = START_MS + minutes * MINUTE_MS
    state.apply(trade(2, time_ms=later_ms), later_ms)
    watcher.update()
    assert watcher.state == Watcher(state.view("market:analytics.hour")).state
    assert sum(bucket["trades"] for bucket in watcher.state["buckets"].values()) == (2 if minutes < 60 else 1)


def test_late_trade_counts_in_its_own_minute() -> None:
    state = market_state("BTCUSDT")
    state.apply(trade(1, time_ms=START_MS + MINUTE_MS), START_MS + MINUTE_MS)
    state.apply(trade(2, time_ms=START_MS), START_MS + MINUTE_MS)
    state.apply(trade(3, time_ms=START_MS - 120 * MINUTE_MS), START_MS + MINUTE_MS)
    buckets = Watcher(state.view("market:analytics.hour")).state["buckets"]
    assert {start: b["trades"] for start, b in buckets.items() if b["trades"]} == {
        str(START_MS): 1,
        str(START_MS + MINUTE_MS): 1,
    }


@pytest.mark.parametrize(("trades", "seconds"), [(101, 2.0), (100, 5.0), (21, 5.0), (20, 10.0), (0, 10.0)])
def test_interval_follows_activity(trades: int, seconds: float) -> None:
    state = market_state("BTCUSDT")
    for number in range(trades):
        state.apply(trade(number, time_ms=START_MS), START_MS)
    view = state.view("market:analytics.hour")
    assert view is not None
    assert view.interval_seconds == seconds


def test_activity_of_the_last_minute_fades() -> None:
    state = market_state("BTCUSDT")
    for number in range(150):
        state.apply(trade(number, time_ms=START_MS), START_MS)
    view = state.view("market:analytics.day")
    assert view is not None
    seen = []
    for number, later_ms in enumerate((70_000, 100_000, 130_000, 190_000)):
        state.apply(trade(f"late{number}", time_ms=START_MS + later_ms), START_MS + later_ms)
        seen.append(view.interval_seconds)
    assert seen == [2.0, 5.0, 10.0, 10.0]


def test_turnover_of_the_past_fills_the_series_of_its_length() -> None:
    state = market_state("BTCUSDT")
    state.apply(trade(1, 10_000, time_ms=START_MS), START_MS)
    state.apply(Turnover("sim", "BTCUSDT", START_MS - MINUTE_MS, 60, 40, 25, 12_345_000), START_MS)
    state.apply(Turnover("sim", "BTCUSDT", START_MS - 3_600_000, 3_600, 900, 400, 99_900_000), START_MS)
    hour = Watcher(state.view("market:analytics.hour")).state["buckets"]
    day = Watcher(state.view("market:analytics.day")).state["buckets"]
    assert hour[str(START_MS - MINUTE_MS)] == {"trades": 40, "buys": 25, "volume": "123.45"}
    assert day[str(START_MS - 3_600_000)] == {"trades": 900, "buys": 400, "volume": "999"}
    assert day[str(START_MS)]["trades"] == 1
