from monitor.market.sparkline import POINT_MS
from monitor.market.state import MarketState
from tests.market.events import NOW_MS, market_state, trade
from tests.market.patches import Watcher

CHANNEL = "market:sparkline"
START_MS = NOW_MS - NOW_MS % POINT_MS


def _full_line() -> MarketState:
    state = market_state("BTCUSDT")
    for slot in range(20):
        time_ms = START_MS + slot * POINT_MS
        state.apply(trade(slot, 10_000, time_ms=time_ms), time_ms)
    return state


LAST_MS = START_MS + 19 * POINT_MS


def test_point_that_moved_by_less_than_five_percent_is_not_shown() -> None:
    state = _full_line()
    watcher = Watcher(state.view(CHANNEL))
    state.apply(trade("up", 10_499, time_ms=LAST_MS), LAST_MS)
    state.apply(trade("down", 9_501, time_ms=LAST_MS + POINT_MS), LAST_MS + POINT_MS)
    assert watcher.update() is None


def test_point_that_moved_by_five_percent_is_shown() -> None:
    state = _full_line()
    watcher = Watcher(state.view(CHANNEL))
    state.apply(trade("up", 10_500, time_ms=LAST_MS), LAST_MS)
    assert watcher.update() == {"points": {"sim.BTCUSDT": ["100"] * 19 + ["105"]}}


def test_small_moves_that_add_up_to_five_percent_are_shown() -> None:
    state = _full_line()
    watcher = Watcher(state.view(CHANNEL))
    for price in (10_200, 10_400):
        state.apply(trade(price, price, time_ms=LAST_MS), LAST_MS)
        assert watcher.update() is None
    state.apply(trade("last", 10_600, time_ms=LAST_MS), LAST_MS)
    assert watcher.update() is not None


def test_only_the_market_that_moved_is_in_the_patch() -> None:
    state = market_state("A", "B")
    watcher = Watcher(state.view(CHANNEL))
    state.apply(trade(1, market="A"), NOW_MS)
    watcher.update()
    state.apply(trade(1, market="B"), NOW_MS)
    patch = watcher.update()
    assert patch is not None
    assert list(patch["points"]) == ["sim.B"]


def test_line_that_grew_by_a_quarter_is_shown_and_so_is_the_complete_one() -> None:
    state = market_state("BTCUSDT")
    watcher = Watcher(state.view(CHANNEL))
    shown: list[int] = []
    for slot in range(25):
        time_ms = START_MS + slot * POINT_MS
        state.apply(trade(slot, 10_000, time_ms=time_ms), time_ms)
        if patch := watcher.update():
            shown.append(len(patch["points"]["sim.BTCUSDT"]))
    assert shown == [1, 2, 3, 4, 5, 7, 9, 12, 15, 19, 20]


def test_line_keeps_the_last_twenty_points() -> None:
    state = market_state("BTCUSDT")
    watcher = Watcher(state.view(CHANNEL))
    for slot in range(25):
        time_ms = START_MS + slot * POINT_MS
        state.apply(trade(slot, 100_000 * (slot + 1), time_ms=time_ms), time_ms)
    watcher.update()
    assert watcher.state["points"]["sim.BTCUSDT"] == [f"{1_000 * (slot + 1)}" for slot in range(5, 25)]


def test_last_trade_of_a_slot_is_its_point() -> None:
    state = market_state("BTCUSDT")
    watcher = Watcher(state.view(CHANNEL))
    state.apply(trade(1, 10_000, time_ms=START_MS), START_MS)
    state.apply(trade(2, 20_000, time_ms=START_MS + 1), START_MS + 1)
    watcher.update()
    assert watcher.state["points"] == {"sim.BTCUSDT": ["200"]}
