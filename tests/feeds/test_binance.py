import logging
from collections.abc import Callable, Iterable
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from monitor.errors import FeedError
from monitor.events import (
    BookDelta,
    BookSnapshot,
    BookStatus,
    BookStatusChanged,
    Event,
    MarketListed,
    Side,
    Ticker,
    Trade,
)
from monitor.feeds.binance import BinanceDialect, read_levels
from monitor.feeds.dialect import Fetch, Garbage, Reconnect, Send
from monitor.health.feeds import FeedHealth, Freshness
from monitor.storage.tape import read_rest, read_tape
from tests.captures import capture
from tests.feeds.garbage import messages

SECOND_NS = 1_000_000_000


def connected(*symbols: str) -> BinanceDialect:
    """A dialect whose subscription was acknowledged and whose first fetches were taken."""
    dialect = BinanceDialect(symbols, FeedHealth("binance", "binance"))
    dialect.connect()
    dialect.receive('{"result":null,"id":1}', 1)
    dialect.commands.clear()
    return dialect


def wrapped(stream: str, **data: Any) -> bytes:
    return orjson.dumps({"stream": stream, "data": data})


def depth(first: int, last: int) -> bytes:
    return wrapped("xusdt@depth@100ms", e="depthUpdate", E=5, U=first, u=last, b=[["1.5", "2"]], a=[])


def top(update_id: int) -> bytes:
    return wrapped("xusdt@bookTicker", u=update_id, s="XUSDT", b="1.00000000", B="2", a="1.50000000", A="3")


def trade(trade_id: int, price: str = "1.5", *, m: object = False) -> bytes:
    return wrapped("xusdt@trade", e="trade", E=5, s="XUSDT", t=trade_id, p=price, q="0.25", T=7, m=m)


def restore(dialect: BinanceDialect, update_id: int) -> list[Event]:
    return dialect.restore("XUSDT", update_id, [(1, 1)], [(2, 2)])


class Book:
    """The plainest book there is."""

    def __init__(self) -> None:
        self.bids: dict[int, int] = {}
        self.asks: dict[int, int] = {}

    def take(self, event: BookSnapshot | BookDelta) -> None:
        if isinstance(event, BookSnapshot):
            self.bids, self.asks = dict(event.bids), dict(event.asks)
            return
        for side, changes in ((self.bids, event.bids), (self.asks, event.asks)):
            side.update(changes)
            for price, size in changes:
                if size == 0:
                    del side[price]

    @property
    def top(self) -> tuple[int, int, int, int]:
        bid, ask = max(self.bids), min(self.asks)
        return bid, self.bids[bid], ask, self.asks[ask]


def test_markets_are_listed_once_and_before_anything_else() -> None:
    dialect = BinanceDialect(["AUSDT", "BUSDT"], FeedHealth("binance", "binance"))
    assert [type(event) for event in dialect.connect()] == [MarketListed, MarketListed]
    assert dialect.connect() == []


def test_many_streams_are_subscribed_in_few_messages() -> None:
    dialect = BinanceDialect([f"S{n}USDT" for n in range(200)], FeedHealth("binance", "binance"))
    dialect.connect()
    requests = [orjson.loads(command.text) for command in dialect.commands if isinstance(command, Send)]
    streams = [name for request in requests for name in request["params"]]
    assert len(requests) == 4
    assert len(set(streams)) == 800
    assert len({request["id"] for request in requests}) == 4


def test_book_is_fetched_when_its_subscription_is_acknowledged() -> None:
    dialect = BinanceDialect(["XUSDT"], FeedHealth("binance", "binance"))
    dialect.connect()
    dialect.commands.clear()
    (event,) = dialect.receive('{"result":null,"id":1}', 1)
    assert isinstance(event, BookStatusChanged)
    assert event.status is BookStatus.RESYNC
    assert list(dialect.commands) == [Fetch("XUSDT")]


def test_gap_goes_through_resync_to_synced() -> None:
    dialect = connected("XUSDT")
    restore(dialect, 10)
    (delta,) = dialect.receive(depth(11, 12), 1)
    assert isinstance(delta, BookDelta)
    events = dialect.receive(depth(14, 15), 1)
    assert [event.status for event in events if isinstance(event, BookStatusChanged)] == [
        BookStatus.GAP,
        BookStatus.RESYNC,
    ]
    assert list(dialect.commands) == [Fetch("XUSDT")]
    assert [type(event) for event in restore(dialect, 14)] == [BookSnapshot, BookDelta]
    assert dialect.health.gaps == 1


def test_snapshot_older_than_the_stream_is_fetched_again() -> None:
    dialect = connected("XUSDT")
    dialect.receive(depth(14, 15), 1)
    with pytest.raises(FeedError, match="older"):
        restore(dialect, 10)


def test_taker_sells_when_the_buyer_made_the_market() -> None:
    (event,) = connected("XUSDT").receive(trade(1, m=True), 1)
    assert event == Trade("binance", "XUSDT", "1", 150_000_000, 25_000_000, Side.SELL, 7)


def test_repeated_trade_is_dropped_and_a_jump_counted() -> None:
    dialect = connected("XUSDT")
    counts = [len(dialect.receive(trade(trade_id), 1)) for trade_id in (1, 2, 2, 3, 6)]
    assert counts == [1, 1, 0, 1, 1]
    assert dialect.health.gaps == 1


def test_best_prices_and_day_figures_are_tickers_that_leave_the_rest_open() -> None:
    dialect = connected("XUSDT")
    (best,) = dialect.receive(top(1), 1)
    assert isinstance(best, Ticker)
    assert (best.bid, best.bid_size, best.ask, best.ask_size) == (10**8, 2 * 10**8, 15 * 10**7, 3 * 10**8)
    assert (best.last, best.volume) == (None, None)
    mini = wrapped(
        "xusdt@miniTicker", e="24hrMiniTicker", E=9, s="XUSDT", c="1.2", o="1", h="2", l="1", v="7", q="8"
    )
    (day,) = dialect.receive(mini, 1)
    assert isinstance(day, Ticker)
    assert (day.last, day.volume, day.bid, day.time_ms) == (120_000_000, 700_000_000, None, 9)


def test_stream_that_owes_what_a_sibling_showed_is_stale() -> None:
    dialect = connected("XUSDT")
    restore(dialect, 10)
    dialect.receive(depth(11, 12), SECOND_NS)
    dialect.receive(top(13), 2 * SECOND_NS)
    assert dialect.judge(4 * SECOND_NS) == []
    (stale,) = dialect.judge(8 * SECOND_NS)
    assert isinstance(stale, BookStatusChanged)
    assert stale.status is BookStatus.STALE
    subscription = dialect.health.subscriptions["xusdt@depth@100ms"]
    assert subscription.freshness(8 * SECOND_NS, is_connected=True) is Freshness.STALE
    synced, delta = dialect.receive(depth(13, 14), 9 * SECOND_NS)
    assert isinstance(synced, BookStatusChanged)
    assert synced.status is BookStatus.SYNCED
    assert isinstance(delta, BookDelta)


def test_quiet_market_is_not_stale() -> None:
    dialect = connected("XUSDT")
    restore(dialect, 10)
    dialect.receive(depth(11, 12), SECOND_NS)
    assert dialect.judge(3_600 * SECOND_NS) == []
    subscription = dialect.health.subscriptions["xusdt@depth@100ms"]
    assert subscription.freshness(3_600 * SECOND_NS, is_connected=True) is Freshness.QUIET


def test_lost_connection_makes_books_stale() -> None:
    dialect = connected("XUSDT")
    restore(dialect, 10)
    (event,) = dialect.disconnect("connection lost")
    assert isinstance(event, BookStatusChanged)
    assert (event.status, event.cause) == (BookStatus.STALE, "connection lost")


def test_venue_that_goes_away_is_left() -> None:
    dialect = connected("XUSDT")
    for message in (
        '{"e":"serverShutdown","E":1}',
        '{"stream":"!serverShutdown","data":{"e":"serverShutdown"}}',
    ):
        assert dialect.receive(message, 1) == ()
        assert isinstance(dialect.commands.pop(), Reconnect)


def test_refused_subscription_is_shown() -> None:
    dialect = connected("XUSDT")
    dialect.receive('{"code":2,"msg":"Invalid request: too many parameters","id":1}', 1)
    assert "too many parameters" in (dialect.health.error or "")


@pytest.mark.parametrize(
    "message",
    [
        "",
        "{",
        "[]",
        "null",
        "17",
        '{"stream":"yusdt@trade","data":{}}',
        '{"stream":"xusdt@trade","data":[]}',
        '{"stream":"xusdt@trade"}',
        '{"stream":["xusdt@trade"]}',
        '{"hello":1}',
        trade(1, "1.123456789"),
        trade(1, "-1"),
        trade(1, "1_0"),
        trade(1, "1e5"),
        trade(1, "٣"),
        trade(1, "9" * 5_000),
        wrapped("xusdt@trade", t="1", p="1", q="1", T=1, m=True),
        wrapped("xusdt@trade", t=1, p=1.5, q="1", T=1, m=True),
        wrapped("xusdt@trade", t=1, p="1", q="1", T=-1, m=True),
        wrapped("xusdt@trade", t=1, p="1", q="1", T=2**63, m=True),
        depth(5, 4),
        wrapped("xusdt@depth@100ms", E=5, U=1, u=2, b=[["1"]], a=[]),
        wrapped("xusdt@depth@100ms", E=5, U=1, u=2, b=[["1", "2", "3"]], a=[]),
        b"\xff\xfe",
    ],
)
def test_garbage_is_counted_and_the_feed_goes_on(message: str | bytes) -> None:
    dialect = connected("XUSDT")
    assert list(dialect.receive(message, 1)) == []
    assert dialect.health.garbage == 1
    assert len(dialect.receive(trade(2), 1)) == 1


def test_garbage_is_logged_at_most_once_in_5_s_a_cause(caplog: pytest.LogCaptureFixture) -> None:
    dialect = connected("XUSDT")
    with caplog.at_level(logging.WARNING, "lanecast.feeds"):
        for tick in range(100):
            dialect.receive("{", tick * SECOND_NS // 10)
        dialect.receive("[]", 10 * SECOND_NS)
    causes = [record.getMessage().split(":")[1] for record in caplog.records]
    assert len(causes) == 3
    assert dialect.health.garbage == 101


@given(messages("stream data e u U b a B A p q t T m id result E"))
def test_no_message_raises(message: str) -> None:
    connected("XUSDT").receive(message, 1)


@given(st.lists(st.tuples(st.integers(0, 10**20), st.integers(0, 8), st.integers(0, 10**12)), max_size=9))
def test_levels_are_exact_whatever_their_form(numbers: list[tuple[int, int, int]]) -> None:
    """Digits before the point, how many after it, and the size with all eight."""
    pairs, expected = [], []
    for whole, decimals, size in numbers:
        fraction = str(whole)[:decimals]
        price = f"{whole}.{fraction}" if fraction else str(whole)
        pairs.append((price, f"{size // 10**8}.{size % 10**8:08}"))
        expected.append((int(f"{whole}{fraction:<08}"), size))
    assert read_levels(pairs) == expected


def test_more_digits_than_the_scale_holds_are_refused() -> None:
    with pytest.raises(Garbage):
        read_levels([("0.123456789", "1")])


def replay(name: str, symbols: Iterable[str], watch: Callable[[Any, list[Event]], None]) -> BinanceDialect:
    """The recorded session through a dialect; snapshots come when the recorder got them."""
    path = capture(name)
    dialect = connected(*symbols)
    snapshots = []
    for body in read_rest(path):
        symbol = (body.url or "symbol=BTCUSDT&").split("symbol=")[1].split("&")[0]
        snapshots.append((body.seconds or 0, symbol, orjson.loads(body.raw)))
    for line in read_tape(path):
        while snapshots and snapshots[0][0] <= (line.seconds or 0):
            _, symbol, snapshot = snapshots.pop(0)
            sides = read_levels(snapshot["bids"]), read_levels(snapshot["asks"])
            watch(None, dialect.restore(symbol, snapshot["lastUpdateId"], *sides))
        if line.is_inbound:
            watch(orjson.loads(line.raw), list(dialect.receive(line.raw, 1)))
    return dialect


def test_recorded_book_equals_the_best_prices_told_beside_it() -> None:
    book, tops, told = Book(), {}, {}

    def watch(message: Any, events: list[Event]) -> None:
        for event in events:
            if isinstance(event, BookSnapshot | BookDelta):
                book.take(event)
                if message is not None:
                    tops[message["data"]["u"]] = book.top
            elif isinstance(event, Ticker):
                told[message["data"]["u"]] = (event.bid, event.bid_size, event.ask, event.ask_size)

    dialect = replay("binance/spot_btcusdt_20240808", ["BTCUSDT"], watch)
    shared = tops.keys() & told.keys()
    assert len(shared) > 1_000
    assert {update_id: tops[update_id] for update_id in shared} == {u: told[u] for u in shared}
    assert book.top == (6_160_201_000_000, 167_177_000, 6_160_202_000_000, 266_795_000)
    assert book.top == told[max(told)]
    assert (len(book.bids), len(book.asks)) == (1_971, 2_962)
    assert (dialect.health.garbage, dialect.health.gaps, dialect.health.messages) == (0, 0, 99_574)


def test_snapshot_after_some_updates_syncs_all_recorded_books() -> None:
    symbols = ["NKNUSDT", "BLZETH", "LRCBTC", "RUNEEUR"]
    restored: list[str] = []

    def watch(message: Any, events: list[Event]) -> None:
        restored.extend(event.market for event in events if isinstance(event, BookSnapshot))

    dialect = replay("binance/spot_4sym_20211012", symbols, watch)
    assert sorted(restored) == sorted(symbols)
    assert dialect.health.gaps == 0
