from collections.abc import Iterator
from itertools import islice

import orjson

from monitor.events import Event
from monitor.feeds.binance import BinanceDialect, read_levels
from monitor.health.feeds import FeedHealth
from monitor.market.state import MarketState
from monitor.storage.tape import read_rest, read_tape
from tests.captures import capture
from tests.market.events import NOW_MS
from tests.market.patches import Watcher

LINES_BEFORE_THE_SNAPSHOT = 20
LOOK_EVERY = 997


def _recorded_events() -> Iterator[Event]:
    session = capture("binance/spot_btcusdt_20240808")
    dialect = BinanceDialect(["BTCUSDT"], FeedHealth("binance", "binance"))
    body = orjson.loads(next(read_rest(session)).raw)
    lines = read_tape(session)
    yield from dialect.connect()
    for line in islice(lines, LINES_BEFORE_THE_SNAPSHOT):
        yield from dialect.receive(line.raw, 0)
    yield from dialect.restore(
        "BTCUSDT", body["lastUpdateId"], read_levels(body["bids"]), read_levels(body["asks"])
    )
    for line in lines:
        yield from dialect.receive(line.raw, 0)


def test_recorded_session_ends_with_the_same_best_prices_in_book_and_ticker() -> None:
    state = MarketState(lambda channel: 100)
    watcher = Watcher(state.view("book:binance.BTCUSDT"))
    for number, event in enumerate(_recorded_events()):
        state.apply(event, NOW_MS)
        if number % LOOK_EVERY == 0:
            watcher.update()
    watcher.update()
    fresh = Watcher(state.view("book:binance.BTCUSDT")).state
    assert watcher.state == fresh
    assert fresh["status"] == "SYNCED"
    assert next(iter(fresh["bids"].items())) == ("61602.01", "1.67177")
    assert next(iter(fresh["asks"].items())) == ("61602.02", "2.66795")
    ticker = Watcher(state.view("ticker:binance.BTCUSDT")).state
    assert (ticker["bid"], ticker["bid_size"]) == ("61602.01", "1.67177")
    assert (ticker["ask"], ticker["ask_size"]) == ("61602.02", "2.66795")
    day = Watcher(state.view("market:analytics.day")).state["buckets"].values()
    assert sum(bucket["trades"] for bucket in day) == 19_904
