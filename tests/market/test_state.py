import orjson
import pytest

from monitor.errors import FeedError
from monitor.events import Ticker
from monitor.market import state as state_module
from tests.market.events import NOW_MS, listing, market_state, trade
from tests.market.patches import Watcher


def test_trade_is_published_to_its_market_and_to_all() -> None:
    published = market_state("BTCUSDT").apply(trade(81), NOW_MS)
    assert [(each.channel, each.kind) for each in published] == [
        ("trades:sim.BTCUSDT", "trade"),
        ("trades:all", "trade"),
    ]
    facts = {"price": "61837.63", "size": "1", "side": "buy", "time": NOW_MS}
    of_market, of_all = (orjson.loads(each.payload) for each in published)
    assert of_market == {"id": "81", **facts}
    assert of_all == {"market": "sim.BTCUSDT", **facts}


def test_repeated_trade_is_published_once() -> None:
    state = market_state("BTCUSDT")
    state.apply(trade(81), NOW_MS)
    assert state.apply(trade(81), NOW_MS) == []
    assert Watcher(state.view("market:hot")).state["markets"]["sim.BTCUSDT"]["trades"] == 1


def test_same_trade_id_of_another_market_is_another_trade() -> None:
    state = market_state("A", "B")
    assert state.apply(trade(1, market="A"), NOW_MS)
    assert state.apply(trade(1, market="B"), NOW_MS)


def test_event_of_an_unlisted_market_is_the_feeds_error() -> None:
    with pytest.raises(FeedError, match=r"sim\.BTCUSDT: Trade before MarketListed"):
        market_state().apply(trade(1), NOW_MS)


def test_market_over_the_limit_is_the_feeds_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(state_module, "MARKET_LIMIT", 1)
    state = market_state("A")
    state.apply(listing("A"), NOW_MS)
    with pytest.raises(FeedError, match=r"sim\.B: more than 1 markets"):
        state.apply(listing("B"), NOW_MS)


@pytest.mark.parametrize(
    "channel",
    [
        "trades:all",
        "trades:sim.BTCUSDT",
        "book:",
        "book:sim",
        "book:.x",
        "market:cold",
        "orders:",
        "ops:health",
        "x",
    ],
)
def test_channel_that_is_not_of_the_market_has_no_view(channel: str) -> None:
    assert market_state("BTCUSDT").view(channel) is None


def test_ticker_of_parts_keeps_what_a_part_leaves_out() -> None:
    state = market_state("A.B-T3.75")
    watcher = state.view("ticker:sim.A.B-T3.75")
    assert watcher is not None
    state.apply(Ticker("sim", "A.B-T3.75", 5, bid=100, bid_size=7, ask=101, ask_size=8), NOW_MS)
    state.apply(Ticker("sim", "A.B-T3.75", 6, last=101, volume=12_500), NOW_MS)
    changes = watcher.changes()
    assert changes is not None
    assert orjson.loads(changes) == {
        "market": "sim.A.B-T3.75",
        "bid": "1",
        "bid_size": "0.007",
        "ask": "1.01",
        "ask_size": "0.008",
        "last": "1.01",
        "volume": "12.5",
        "time": 6,
    }
    assert watcher.changes() is None


def test_ticker_of_an_unlisted_market_is_empty_and_comes_alive() -> None:
    state = market_state()
    view = state.view("ticker:sim.BTCUSDT")
    assert view is not None
    assert set(orjson.loads(view.whole()).values()) == {None}
    state.apply(listing(), NOW_MS)
    state.apply(Ticker("sim", "BTCUSDT", 5, bid=100), NOW_MS)
    assert orjson.loads(view.whole())["bid"] == "1"


def test_interval_is_the_namespaces() -> None:
    state = state_module.MarketState(lambda channel: {"book:sim.A": 100, "market:hot": 5_000}[channel])
    book, hot = state.view("book:sim.A"), state.view("market:hot")
    assert book is not None
    assert hot is not None
    assert (book.interval_seconds, hot.interval_seconds) == (0.1, 5.0)
