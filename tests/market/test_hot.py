from collections import Counter

from hypothesis import given, settings
from hypothesis import strategies as st

from tests.market.events import NOW_MS, market_state, trade
from tests.market.patches import Watcher

CHANNEL = "market:hot"
MARKETS = [f"M{number}" for number in range(20)]
STEP_MS = 15_000
START_MS = NOW_MS - NOW_MS % STEP_MS


@settings(max_examples=50)
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
    assert [row["trades"] for row in shown.values()] == sorted(counts.values(), reverse=True)[:12]
    assert all(counts[market.removeprefix("sim.")] == row["trades"] for market, row in shown.items())


def test_row_holds_price_turnover_and_the_points_before_the_price() -> None:
    state = market_state("BTCUSDT")
    state.apply(trade(1, 10_000, time_ms=START_MS), START_MS)
    state.apply(trade(2, 10_250, time_ms=START_MS + STEP_MS, size=500), START_MS + STEP_MS)
    assert Watcher(state.view(CHANNEL)).state == {
        "time": START_MS + STEP_MS,
        "markets": {"sim.BTCUSDT": {"price": "102.5", "volume": "151.25", "trades": 2}},
        "titles": {"sim.BTCUSDT": "Bitcoin"},
        "points": {"sim.BTCUSDT": ["100"]},
    }


def test_line_of_a_market_that_seldom_trades_begins_with_the_price_of_five_minutes_ago() -> None:
    state = market_state("A", "B")
    for number, (step, price) in enumerate([(0, 10_000), (100, 20_000), (200, 30_000), (215, 31_000)]):
        time_ms = START_MS + step * STEP_MS
        state.apply(trade(number, price, market="A", time_ms=time_ms), time_ms)
    assert Watcher(state.view(CHANNEL)).state["points"] == {"sim.A": ["200", "300"]}
    later_ms = START_MS + 221 * STEP_MS
    state.apply(trade(9, market="B", time_ms=later_ms), later_ms)
    assert Watcher(state.view(CHANNEL)).state["points"]["sim.A"] == ["300"]


def test_trade_in_the_same_quarter_of_a_minute_changes_its_own_row_and_nothing_else() -> None:
    state = market_state("A", "B")
    for market in "AB":
        state.apply(trade(1, 10_000, market=market, time_ms=START_MS), START_MS)
    watcher = Watcher(state.view(CHANNEL))
    state.apply(trade(2, 10_100, market="A", time_ms=START_MS + 1), START_MS + 1)
    assert watcher.update() == {
        "time": START_MS + 1,
        "markets": {"sim.A": {"price": "101", "volume": "201", "trades": 2}},
    }


def test_market_that_is_overtaken_leaves_with_all_that_was_said_of_it() -> None:
    state = market_state(*MARKETS[:13])
    for number, market in enumerate(MARKETS[:12]):
        state.apply(trade(number, market=market, size=number + 1), NOW_MS)
    watcher = Watcher(state.view(CHANNEL))
    for number in (20, 21):
        state.apply(trade(number, market=MARKETS[12]), NOW_MS)
    patch = watcher.update()
    assert patch is not None
    assert {patch[section]["sim.M0"] for section in ("markets", "titles", "points")} == {None}
    assert set(watcher.state["markets"]) == {f"sim.{market}" for market in MARKETS[1:13]}


def test_busier_market_is_first_and_equals_go_by_turnover() -> None:
    state = market_state("A", "B", "C")
    for number, (market, size) in enumerate([("A", 1), ("B", 3), ("B", 1), ("C", 2)]):
        state.apply(trade(number, market=market, size=size), NOW_MS)
    assert list(Watcher(state.view(CHANNEL)).state["markets"]) == ["sim.B", "sim.C", "sim.A"]


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
    assert list(Watcher(state.view(CHANNEL)).state["markets"]) == ["sim.A"]


def test_venue_clock_that_runs_ahead_does_not_empty_the_window() -> None:
    state = market_state("A", "B")
    state.apply(trade(1, market="A"), NOW_MS)
    state.apply(trade(1, market="B", time_ms=NOW_MS + 3_600_000), NOW_MS)
    assert len(Watcher(state.view(CHANNEL)).state["markets"]) == 2
