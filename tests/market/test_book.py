from hypothesis import given, settings
from hypothesis import strategies as st

from monitor.events import BookIncrement, BookStatus, BookStatusChanged, Level, Side
from monitor.market.decimals import decimal_text
from tests.market.events import NOW_MS, delta, listing, market_state, snapshot
from tests.market.patches import Watcher

CHANNEL = "book:sim.BTCUSDT"

levels = st.lists(st.tuples(st.integers(1, 200), st.integers(0, 3)), max_size=120)


def _top(side: dict[int, int], *, is_bid: bool) -> dict[str, str]:
    prices = sorted((price for price, size in side.items() if size), reverse=is_bid)[:50]
    return {decimal_text(price, 2): decimal_text(side[price], 3) for price in prices}


@settings(max_examples=60)
@given(st.lists(st.tuples(levels, levels, st.booleans(), st.booleans()), max_size=12))
def test_whole_and_patches_add_up_to_the_best_fifty_of_a_plain_dict(
    steps: list[tuple[list[Level], list[Level], bool, bool]],
) -> None:
    state = market_state("BTCUSDT")
    watcher = Watcher(state.view(CHANNEL))
    bids: dict[int, int] = {}
    asks: dict[int, int] = {}
    state.apply(snapshot([], []), NOW_MS)
    for bid_changes, ask_changes, is_snapshot, is_looked_at in steps:
        if is_snapshot:
            bids, asks = dict(bid_changes), dict(ask_changes)
            state.apply(snapshot(list(bids.items()), list(asks.items())), NOW_MS)
        else:
            bids.update(bid_changes)
            asks.update(ask_changes)
            state.apply(delta(bid_changes, ask_changes), NOW_MS)
        if is_looked_at:
            watcher.update()
    watcher.update()
    assert watcher.state["bids"] == _top(bids, is_bid=True)
    assert watcher.state["asks"] == _top(asks, is_bid=False)
    fresh = Watcher(state.view(CHANNEL)).state
    assert list(fresh["bids"]) == list(_top(bids, is_bid=True))
    assert list(fresh["asks"]) == list(_top(asks, is_bid=False))


def test_change_below_the_shown_levels_is_no_change_for_a_watcher() -> None:
    state = market_state("BTCUSDT")
    state.apply(snapshot([(1_000 - i, 5) for i in range(60)], []), NOW_MS)
    watcher = Watcher(state.view(CHANNEL))
    state.apply(delta([(1_000 - 55, 9)], []), NOW_MS)
    assert watcher.update() is None
    state.apply(delta([(1_000, 0)], []), NOW_MS)
    patch = watcher.update()
    assert patch is not None
    assert patch["bids"] == {"10": None, "9.5": "0.005"}


def test_change_that_was_undone_is_no_change() -> None:
    state = market_state("BTCUSDT")
    state.apply(snapshot([(100, 5)], []), NOW_MS)
    watcher = Watcher(state.view(CHANNEL))
    state.apply(delta([(100, 6)], [], NOW_MS + 1), NOW_MS)
    state.apply(delta([(100, 5)], [], NOW_MS + 2), NOW_MS)
    assert watcher.update() is None


def test_whole_counts_as_seen() -> None:
    state = market_state("BTCUSDT")
    view = state.view(CHANNEL)
    assert view is not None
    state.apply(snapshot([(100, 5)], []), NOW_MS)
    view.whole()
    assert view.changes() is None


def _status(status: BookStatus) -> BookStatusChanged:
    return BookStatusChanged("sim", "BTCUSDT", status, "missed an update", NOW_MS)


def test_gap_keeps_the_levels_marked_until_a_snapshot() -> None:
    state = market_state("BTCUSDT")
    state.apply(snapshot([(100, 5)], [(101, 5)]), NOW_MS)
    watcher = Watcher(state.view(CHANNEL))
    state.apply(_status(BookStatus.GAP), NOW_MS + 7)
    state.apply(delta([(100, 9)], []), NOW_MS + 8)
    assert watcher.update() == {"status": "GAP", "since": NOW_MS + 7}
    state.apply(_status(BookStatus.RESYNC), NOW_MS + 9)
    state.apply(_status(BookStatus.SYNCED), NOW_MS + 10)
    assert watcher.update() == {"status": "RESYNC", "since": NOW_MS + 9}
    state.apply(snapshot([(100, 7)], [(101, 5)]), NOW_MS + 11)
    watcher.update()
    assert watcher.state["status"] == "SYNCED"
    assert watcher.state["since"] == NOW_MS + 11
    assert watcher.state["bids"] == {"1": "0.007"}


def test_stale_book_that_missed_nothing_is_synced_by_its_next_delta() -> None:
    state = market_state("BTCUSDT")
    state.apply(snapshot([(100, 5)], []), NOW_MS)
    watcher = Watcher(state.view(CHANNEL))
    state.apply(_status(BookStatus.STALE), NOW_MS + 1)
    watcher.update()
    assert watcher.state["status"] == "STALE"
    state.apply(delta([(100, 6)], []), NOW_MS + 2)
    watcher.update()
    assert watcher.state["status"] == "SYNCED"
    assert watcher.state["bids"] == {"1": "0.006"}


def test_book_without_a_snapshot_is_never_synced() -> None:
    state = market_state("BTCUSDT")
    state.apply(delta([(100, 6)], []), NOW_MS)
    state.apply(_status(BookStatus.SYNCED), NOW_MS)
    watcher = Watcher(state.view(CHANNEL))
    assert watcher.state["status"] == "STALE"
    assert watcher.state["bids"] == {}


def _increment(change: int, price: int = 100) -> BookIncrement:
    return BookIncrement("sim", "BTCUSDT", Side.BUY, price, change, NOW_MS)


def test_increments_add_up_and_remove_at_zero() -> None:
    state = market_state("BTCUSDT")
    state.apply(snapshot([(100, 5)], []), NOW_MS)
    for change, price in ((3, 100), (-8, 100), (2, 99)):
        state.apply(_increment(change, price), NOW_MS)
    assert Watcher(state.view(CHANNEL)).state["bids"] == {"0.99": "0.002"}


def test_increment_below_nothing_is_a_gap() -> None:
    state = market_state("BTCUSDT")
    state.apply(snapshot([(100, 5)], []), NOW_MS)
    state.apply(_increment(-6), NOW_MS)
    watched = Watcher(state.view(CHANNEL)).state
    assert (watched["status"], watched["bids"]) == ("GAP", {"1": "0.005"})


def test_view_of_an_unlisted_market_comes_alive() -> None:
    state = market_state()
    watcher = Watcher(state.view(CHANNEL))
    assert watcher.state == {"status": "STALE", "since": None, "time": None, "bids": {}, "asks": {}}
    assert watcher.update() is None
    state.apply(listing(), NOW_MS)
    state.apply(snapshot([(100, 5)], []), NOW_MS)
    watcher.update()
    assert watcher.state == Watcher(state.view(CHANNEL)).state
    assert watcher.state["status"] == "SYNCED"


def test_listing_again_keeps_the_book_unless_the_decimals_changed() -> None:
    state = market_state("BTCUSDT")
    state.apply(snapshot([(100, 5)], []), NOW_MS)
    watcher = Watcher(state.view(CHANNEL))
    state.apply(listing(title="renamed"), NOW_MS)
    assert watcher.update() is None
    state.apply(listing(price_decimals=4), NOW_MS)
    watcher.update()
    assert (watcher.state["status"], watcher.state["bids"]) == ("STALE", {})
