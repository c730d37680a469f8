from collections import Counter

from hypothesis import given, settings
from hypothesis import strategies as st

from tests.market.events import NOW_MS, market_state, trade
from tests.market.patches import Watcher

CHANNEL = "market:hot"
MARKETS = [f"M{number}" for number in range(20)]
STEP_MS = 15_000
START_MS = NOW_MS - NOW_MS % STEP_MS


@settings(max_examples=50, deadline=None)
@given(st.lists(st.tuples(st.sampled_from(MARKETS), st.integers(0, 8)), min_size=1, max_size=80))
def test_ranking_is_that_of_counting_the_window_anew(arrivals: list[tuple[str, int]]) -> None:
    state = market_state(*MARKETS)
    step = 0
    told: list[tuple[int, str]] = []
    for number, (market, steps_later) in enumerate(arrivals):
        step += steps_later
        time_ms = START_MS + step * STEP_MS
        state.apply(trade(number, market=market, time_ms=time_ms), time_ms)
        told.append((step, market))
    counts = Counter(market for when, market in told if when > step - 20)
    shown = Watcher(state.view(CHANNEL)).state["markets"]
    assert [row["trades"] for row in shown] == sorted(counts.values(), reverse=True)[:12]
    assert all(counts[row["market"].removeprefix("sim.")] == row["trades"] for row in shown)


def test_row_holds_price_change_turnover_and_points() -> None:
    state = market_state("BTCUSDT")
    state.apply(trade(1, 10_000, time_ms=START_MS), START_MS)
    state.apply(trade(2, 10_250, time_ms=START_MS + STEP_MS, size=500), START_MS + STEP_MS)
    assert Watcher(state.view(CHANNEL)).state == {
        "time": START_MS + STEP_MS,
        "markets": [
            {
                "market": "sim.BTCUSDT",
                "title": "Bitcoin",
                "price": "102.5",
                "change": 0.025,
                "volume": "151.25",
                "trades": 2,
                "points": ["100", "102.5"],
            }
        ],
    }


def test_busier_market_is_first_and_equals_go_by_turnover() -> None:
    state = market_state("A", "B", "C")
    for number, (market, size) in enumerate([("A", 1), ("B", 3), ("B", 1), ("C", 2)]):
        state.apply(trade(number, market=market, size=size), NOW_MS)
    rows = Watcher(state.view(CHANNEL)).state["markets"]
    assert [row["market"] for row in rows] == ["sim.B", "sim.C", "sim.A"]


def test_quiet_view_has_no_changes() -> None:
    state = market_state("A")
    view = state.view(CHANNEL)
    assert view is not None
    view.whole()
    assert view.changes() is None
    state.apply(trade(1, market="A"), NOW_MS)
    assert view.changes() is not None


def test_trade_from_before_the_window_is_not_counted() -> None:
    state = market_state("A", "B")
    state.apply(trade(1, market="A"), NOW_MS)
    state.apply(trade(1, market="B", time_ms=NOW_MS - 400_000), NOW_MS)
    assert [row["market"] for row in Watcher(state.view(CHANNEL)).state["markets"]] == ["sim.A"]


def test_venue_clock_that_runs_ahead_does_not_empty_the_window() -> None:
    state = market_state("A", "B")
    state.apply(trade(1, market="A"), NOW_MS)
    state.apply(trade(1, market="B", time_ms=NOW_MS + 3_600_000), NOW_MS)
    assert len(Watcher(state.view(CHANNEL)).state["markets"]) == 2
