"""What no stream told: fills of the venue's history, marked, and told once; which orders are open."""

from functools import partial
from pathlib import Path
from typing import Any

import orjson
import pytest
import trio
from cryptography.hazmat.primitives.asymmetric import rsa

from monitor.config import BinanceAccountSettings
from monitor.errors import FeedError
from monitor.events import (
    AccountPast,
    Event,
    FillsMissing,
    MarketListed,
    OrderFill,
    OrdersListed,
    OrderUpdate,
    Side,
)
from monitor.feeds import binance_account, binance_lookups, feed, kalshi_fills
from monitor.feeds.binance_account import BinanceAccountDialect, run_binance_account
from monitor.feeds.binance_lookups import OPEN_ORDERS, BinanceLookups
from monitor.feeds.dialect import OVERLAP_MS, Fetch, Garbage
from monitor.feeds.kalshi import ASK_NS, FILLS, KalshiDialect
from monitor.feeds.kalshi_fills import KalshiFills
from monitor.feeds.kalshi_key import load_signer
from monitor.feeds.rest import open_rest
from monitor.health.feeds import FeedHealth
from monitor.market.state import MarketState
from tests.captures import write_capture
from tests.feeds.test_binance_account import REPORT
from tests.feeds.test_kalshi import write_key
from tests.patience import until
from tests.venue.client import standing_in
from tests.venue.listener import Listener
from tests.venue.unruly import Fault, unruly_venue

pytestmark = pytest.mark.trio

SUBSCRIBED = b'{"id":1,"status":200,"result":{"subscriptionId":0}}'
CHANNEL_OPEN = b'{"type":"subscribed","id":4,"msg":{"channel":"fill","sid":4}}'


def report(trade_id: int, time_ms: int = 1_500, symbol: str = "XUSDT") -> dict[str, Any]:
    event = REPORT | {"t": trade_id, "T": time_ms, "I": trade_id, "s": symbol}
    return {"subscriptionId": 0, "event": event}


def kalshi_fill(identity: str, ts_ms: int) -> dict[str, Any]:
    body = {
        "trade_id": identity, "order_id": "o", "market_ticker": "A", "is_taker": True, "count_fp": "1.00",
        "yes_price_dollars": "0.4000", "fee_cost": "0.01", "outcome_side": "yes", "ts_ms": ts_ms,
    }  # fmt: skip
    return {"type": "fill", "sid": 4, "msg": body}


def open_order(order_id: int, time_ms: int = 1_500, symbol: str = "XUSDT") -> dict[str, Any]:
    """As the list of open orders has it."""
    return {
        "symbol": symbol, "orderId": order_id, "clientOrderId": "mine", "price": "1.5", "origQty": "2.00",
        "executedQty": "0.75", "status": "PARTIALLY_FILLED", "type": "LIMIT", "side": "SELL",
        "updateTime": time_ms,
    }  # fmt: skip


def told(events: Any) -> list[tuple[str, bool]]:
    return [(event.fill_id, event.is_backfilled) for event in events if isinstance(event, OrderFill)]


def row(trade_id: int) -> dict[str, Any]:
    """As the history has the fill of `report`."""
    return {
        "symbol": "XUSDT", "id": trade_id, "orderId": 7, "price": "1.4", "qty": "0.5", "commission": "0.001",
        "commissionAsset": "BNB", "time": 1_500, "isBuyer": True, "isMaker": False,
    }  # fmt: skip


def settings(base: str) -> BinanceAccountSettings:
    rest = base.replace("ws", "http", 1)
    given = {"account": "me", "api_key": "k", "api_secret": "s", "url": base, "rest_url": rest}
    return BinanceAccountSettings.model_validate(given)


def binance(symbols: tuple[str, ...] = ("XUSDT",), since_ms: int = 0) -> BinanceAccountDialect:
    health = FeedHealth("binance_account", "binance")
    return BinanceAccountDialect("me", "key", "secret", health, symbols=symbols, since_ms=since_ms)


def connect(dialect: Any, answer: bytes) -> list[str]:
    """Which lookups the dialect asks for once it is connected."""
    dialect.connect()
    dialect.commands.clear()
    dialect.receive(answer, 1)
    return fetches(dialect)


def fetches(dialect: Any) -> list[str]:
    return [command.subject for command in dialect.commands if isinstance(command, Fetch)]


async def look_up(base: str, dialect: BinanceAccountDialect) -> list[tuple[str, bool]]:
    """What is told of each page, for as long as the dialect asks for one."""
    found = []
    async with open_rest(base.replace("ws", "http", 1)) as client:
        lookups = BinanceLookups(client, dialect, "key", "secret")
        while dialect.commands:
            command = dialect.commands.popleft()
            assert isinstance(command, Fetch)
            found += told(await lookups.fetch(command.subject))
    return found


async def test_binance_fills_of_a_gap_are_found_by_what_was_known_before(tmp_path: Path) -> None:
    capture = write_capture(tmp_path / "session.gz", [report(number) for number in range(1, 7)])
    dialect = binance()
    dialect.receive(orjson.dumps(report(2)), 1)
    assert connect(dialect, SUBSCRIBED) == ["XUSDT", OPEN_ORDERS]
    dialect.receive(orjson.dumps(report(5)), 1)
    async with standing_in(capture) as base:
        assert await look_up(base, dialect) == [("3", True), ("4", True), ("6", True)]
    assert told(dialect.receive(orjson.dumps(report(4)), 1)) == []
    assert dialect.gap("XUSDT") == {}


async def test_a_row_of_the_history_says_nothing_of_its_order() -> None:
    _, fill, _ = binance().backfill("XUSDT", [row(1)], is_last=True)
    assert isinstance(fill, OrderFill)
    assert (fill.size, fill.filled, fill.order_size) == (50_000_000, None, None)


async def test_binance_fills_since_the_last_one_that_is_known_are_found_at_a_start(tmp_path: Path) -> None:
    reports = [report(1, 1_000), report(2, 2_000), report(3, 3_000, "YUSDT"), report(4, 3_000)]
    capture = write_capture(tmp_path / "session.gz", reports)
    dialect = binance(since_ms=2_000 + OVERLAP_MS)
    assert connect(dialect, SUBSCRIBED) == ["XUSDT", OPEN_ORDERS]
    async with standing_in(capture) as base:
        assert await look_up(base, dialect) == [("2", True), ("4", True), ("3", True)]


async def test_a_binance_symbol_of_the_past_is_looked_up_though_no_setting_names_it(tmp_path: Path) -> None:
    reports = [report(1, 1_000), report(2, 2_000, "YUSDT")]
    capture = write_capture(tmp_path / "session.gz", reports, every_seconds=3_600)
    listener, health = Listener(), FeedHealth("binance_account", "binance")
    async with standing_in(capture, speed=1) as base, trio.open_nursery() as nursery:
        past = AccountPast(1_000 + OVERLAP_MS, frozenset({"YUSDT"}))
        nursery.start_soon(partial(run_binance_account, settings(base), listener, health, past=past))
        await listener.wait_until(lambda: any(fill.market == "YUSDT" for fill in listener.of(OrderFill)))
        nursery.cancel_scope.cancel()
    assert ("2", True) in told(listener.events)


async def test_binance_history_is_read_page_by_page(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(binance_lookups, "PAGE_ROWS", 2)
    capture = write_capture(tmp_path / "session.gz", [report(number) for number in range(1, 6)])
    dialect = binance()
    connect(dialect, SUBSCRIBED)
    async with standing_in(capture) as base:
        assert await look_up(base, dialect) == [(str(number), True) for number in range(1, 6)]


@pytest.mark.parametrize("fault", [Fault.CLOSE, Fault.DROP])
async def test_a_page_that_fails_or_is_cut_off_costs_no_other(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, fault: Fault
) -> None:
    monkeypatch.setattr(binance_lookups, "PAGE_ROWS", 2)
    monkeypatch.setattr(feed, "BACKOFF_SECONDS", 0.1)
    reports = [report(number) for number in range(1, 6)]
    capture = write_capture(tmp_path / "session.gz", reports, every_seconds=3_600)
    listener, health = Listener(), FeedHealth("binance_account", "binance")
    past = AccountPast(0, frozenset({"XUSDT"}))
    async with unruly_venue(capture, fault, b'"id":3,', speed=1) as venue, trio.open_nursery() as nursery:
        account = settings(venue.url)
        nursery.start_soon(partial(run_binance_account, account, listener, health, past=past))
        if fault is Fault.DROP:
            await listener.wait_until(lambda: len(told(listener.events)) == 2)
            await until(lambda: venue.has_struck)
            venue.cut()
        await listener.wait_until(lambda: len(told(listener.events)) >= 5)
        nursery.cancel_scope.cancel()
    assert sorted(fill for fill, _ in told(listener.events)) == ["1", "2", "3", "4", "5"]


async def test_the_list_of_open_orders_tells_what_an_order_is_as_the_stream_does() -> None:
    live = binance().receive(orjson.dumps(report(3)), 1)
    dialect = binance()
    connect(dialect, SUBSCRIBED)
    (listed, update, orders) = dialect.list_open([open_order(7)])
    assert [listed, update] == live[:2]
    assert orders == OrdersListed("binance", "me", frozenset({("XUSDT", "7")}))


async def test_what_the_stream_told_of_an_order_is_newer_than_the_list_of_open_ones() -> None:
    dialect = binance()
    dialect.receive(orjson.dumps(report(3)), 1)
    connect(dialect, SUBSCRIBED)
    for order, status in ((8, "NEW"), (9, "CANCELED")):
        event = report(3)["event"] | {"x": status, "X": status, "i": order, "I": 10 + order}
        dialect.receive(orjson.dumps(event), 1)
    (orders,) = dialect.list_open([open_order(9)])
    assert orders == OrdersListed("binance", "me", frozenset({("XUSDT", "8"), ("XUSDT", "9")}))


async def test_of_a_long_list_the_newest_orders_are_told_and_none_is_ended(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(binance_account, "LISTED_ORDERS_LIMIT", 2)
    found = binance().list_open([open_order(number, 10 - number) for number in range(4)])
    assert [event.order_id for event in found if isinstance(event, OrderUpdate)] == ["1", "0"]
    (listed,) = [event for event in found if isinstance(event, OrdersListed)]
    assert len(listed.orders) == 4


async def test_fills_are_looked_up_of_all_symbols_that_have_orders() -> None:
    dialect = binance(())
    dialect.receive(orjson.dumps(REPORT | {"x": "NEW", "X": "NEW", "t": -1}), 1)
    assert connect(dialect, SUBSCRIBED) == ["XUSDT", OPEN_ORDERS]
    dialect.commands.clear()
    dialect.list_open([open_order(7), open_order(7, symbol="YUSDT")])
    assert fetches(dialect) == ["YUSDT"]


async def test_fills_of_a_symbol_that_the_stream_tells_of_first_are_looked_up_too() -> None:
    dialect = binance(since_ms=1_000 + OVERLAP_MS)
    connect(dialect, SUBSCRIBED)
    dialect.backfill("XUSDT", [], is_last=True)
    dialect.commands.clear()
    (_, missing, *live) = dialect.receive(orjson.dumps(report(9, symbol="YUSDT")), 1)
    assert missing == FillsMissing("binance", "me", 1_000)
    assert told(live) == [("9", False)]
    dialect.list_open([open_order(7, symbol="YUSDT")])
    assert fetches(dialect) == ["YUSDT"]
    (*found, known) = dialect.backfill(
        "YUSDT", [row(number) | {"symbol": "YUSDT"} for number in (8, 9)], is_last=True
    )
    assert told(found) == [("8", True)]
    assert known == FillsMissing("binance", "me", None)


async def test_what_ended_while_we_were_away_is_gone_and_what_was_placed_is_shown(tmp_path: Path) -> None:
    reports = [
        REPORT | {"s": "ZUSDT"},
        REPORT | {"i": 8},
        REPORT | {"i": 6, "x": "CANCELED", "X": "CANCELED"},
    ]
    capture = write_capture(tmp_path / "session.gz", reports, every_seconds=3_600)
    state = MarketState(lambda channel: 0)
    statuses: dict[str, str] = {}

    def note(event: Event, received_ns: int) -> None:
        for publication in state.apply(event, 0):
            publication.note()
            said = orjson.loads(publication.payload)
            statuses[said["order"]] = said["status"]
        listener(event, received_ns)

    listener, health = Listener(), FeedHealth("binance_account", "binance")
    note(MarketListed("binance", "XUSDT", 8, 8), 0)
    for order_id in ("6", "8"):
        note(OrderUpdate("binance", "me", "XUSDT", order_id, Side.SELL, "LIMIT", "NEW", 1, 1, 0, 1), 0)
    async with standing_in(capture, speed=1) as base, trio.open_nursery() as nursery:
        nursery.start_soon(run_binance_account, settings(base), note, health)
        await listener.wait_for(OrdersListed)
        nursery.cancel_scope.cancel()
    assert statuses == {"6": "GONE", "7": "PARTIALLY_FILLED", "8": "PARTIALLY_FILLED"}
    view = state.view("open_orders:me")
    assert view is not None
    assert orjson.loads(view.whole()).keys() == {"binance.ZUSDT/7", "binance.XUSDT/8"}


async def test_a_gap_that_was_not_closed_is_looked_up_from_where_it_was_left() -> None:
    dialect = binance()
    dialect.receive(orjson.dumps(report(2)), 1)
    connect(dialect, SUBSCRIBED)
    dialect.receive(orjson.dumps(report(9)), 1)
    connect(dialect, SUBSCRIBED)
    assert dialect.gap("XUSDT") == {"fromId": "3"}
    assert told(dialect.backfill("XUSDT", [row(3), row(4)], is_last=False)) == [("3", True), ("4", True)]
    assert connect(dialect, SUBSCRIBED) == ["XUSDT", OPEN_ORDERS]
    assert dialect.gap("XUSDT") == {"fromId": "5"}
    dialect.backfill("XUSDT", [row(9)], is_last=True)
    connect(dialect, SUBSCRIBED)
    assert dialect.gap("XUSDT") == {"fromId": "10"}


async def test_binance_fills_are_missing_until_all_was_looked_up() -> None:
    dialect = binance(("XUSDT", "YUSDT"), since_ms=1_000 + OVERLAP_MS)
    assert dialect.connect() == [FillsMissing("binance", "me", 1_000)]
    dialect.list_open([])
    assert dialect.backfill("XUSDT", [], is_last=True) == []
    (*_, known) = dialect.backfill("YUSDT", [row(1)], is_last=True)
    assert known == FillsMissing("binance", "me", None)
    dialect.receive(orjson.dumps(report(2, 2_000 + OVERLAP_MS)), 1)
    assert dialect.connect() == [FillsMissing("binance", "me", 2_000)]
    assert dialect.connect() == [FillsMissing("binance", "me", 2_000)]


async def test_kalshi_fills_are_missing_until_they_were_looked_up() -> None:
    dialect = KalshiDialect(["A"], "ann", FeedHealth("kalshi", "kalshi"), since_ms=1_000 + OVERLAP_MS)
    assert dialect.connect()[-1] == FillsMissing("kalshi", "ann", 1_000)
    assert dialect.backfill([]) == [FillsMissing("kalshi", "ann", None)]


async def test_kalshi_fills_are_missing_again_when_their_channel_is_opened_again() -> None:
    dialect = KalshiDialect(["A"], "ann", FeedHealth("kalshi", "kalshi"), since_ms=1_000 + OVERLAP_MS)
    connect(dialect, CHANNEL_OPEN)
    dialect.backfill([])
    dialect.commands.clear()
    dialect.receive(b'{"type":"error","msg":{"code":25,"sid":4}}', ASK_NS)
    assert dialect.receive(CHANNEL_OPEN.replace(b"4", b"5"), ASK_NS) == [FillsMissing("kalshi", "ann", 1_000)]
    assert fetches(dialect) == [FILLS]


async def test_fills_are_missing_since_no_time_before_1970() -> None:
    dialect = KalshiDialect(["A"], "ann", FeedHealth("kalshi", "kalshi"), since_ms=1)
    assert dialect.connect()[-1] == FillsMissing("kalshi", "ann", 0)
    assert binance(since_ms=1).connect() == [FillsMissing("binance", "me", 0)]


async def test_a_history_that_does_not_go_on_is_not_read_for_ever() -> None:
    dialect = binance()
    connect(dialect, SUBSCRIBED)
    dialect.backfill("XUSDT", [row(2), row(3)], is_last=False)
    dialect.backfill("XUSDT", [row(1), row(2)], is_last=False)
    with pytest.raises(Garbage, match="told before"):
        dialect.backfill("XUSDT", [row(1), row(2)], is_last=False)
    assert told(dialect.backfill("XUSDT", [row(3)], is_last=True)) == [("3", True)]


async def test_of_a_symbol_that_was_delisted_nothing_is_missing(tmp_path: Path) -> None:
    capture = write_capture(tmp_path / "session.gz", [report(1)])
    dialect = binance(("GONEUSDT", "XUSDT"))
    connect(dialect, SUBSCRIBED)
    async with standing_in(capture) as base:
        assert await look_up(base, dialect) == [("1", True)]
    assert dialect.backfill("XUSDT", [], is_last=True) == [FillsMissing("binance", "me", None)]


async def test_a_lookup_that_fails_is_to_be_tried_again(tmp_path: Path) -> None:
    capture = write_capture(tmp_path / "session.gz", [report(1)])
    dialect = binance()
    connect(dialect, SUBSCRIBED)
    async with standing_in(capture) as base, open_rest(base.replace("ws", "http", 1)) as client:
        with pytest.raises(FeedError, match="HTTP 400"):
            await BinanceLookups(client, dialect, "", "secret").fetch("XUSDT")
    with trio.socket.socket() as closed:
        await closed.bind(("127.0.0.1", 0))
        with pytest.raises(FeedError, match="no answer"):
            await look_up(f"ws://127.0.0.1:{closed.getsockname()[1]}", dialect)


@pytest.fixture
def fetcher(tmp_path: Path) -> Any:
    signer = load_signer(write_key(tmp_path / "key.pem", rsa.generate_private_key(65537, 2048)))
    return lambda client, dialect: KalshiFills(client, dialect, "id", signer)


async def test_kalshi_fills_since_the_gap_are_found_oldest_first(
    tmp_path: Path, fetcher: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(kalshi_fills, "PAGE_ROWS", 2)
    session = [kalshi_fill(f"f{number}", 1_000_000 * number) for number in range(1, 7)]
    dialect = KalshiDialect(["A"], "ann", FeedHealth("kalshi", "kalshi"), since_ms=2_000_000 + OVERLAP_MS)
    assert connect(dialect, CHANNEL_OPEN) == [FILLS]
    assert told(dialect.receive(orjson.dumps(session[3]), 1)) == [("f4", False)]
    capture = write_capture(tmp_path / "session.gz", session)
    async with standing_in(capture) as base, open_rest(base.replace("ws", "http", 1)) as client:
        found = await fetcher(client, dialect).fetch(FILLS)
        assert told(found) == [(f"f{number}", True) for number in (2, 3, 5, 6)]
        assert next(event.time_ms for event in found if isinstance(event, OrderFill)) == 2_000_000
        assert told(await fetcher(client, dialect).fetch(FILLS)) == []
    assert dialect.gap_ms > 2_000_000


async def test_a_kalshi_gap_begins_by_the_venues_time_however_our_clock_was_set(
    tmp_path: Path, fetcher: Any
) -> None:
    session = [kalshi_fill(f"f{number}", OVERLAP_MS * number) for number in (2, 3)]
    capture = write_capture(tmp_path / "session.gz", session)
    dialect = KalshiDialect(["A"], "ann", FeedHealth("kalshi", "kalshi"), since_ms=2 * OVERLAP_MS)
    async with standing_in(capture) as base, open_rest(base.replace("ws", "http", 1)) as client:
        assert told(await fetcher(client, dialect).fetch(FILLS)) == [("f2", True), ("f3", True)]
    assert dialect.gap_ms == 2 * OVERLAP_MS


async def test_kalshi_refuses_a_lookup_that_is_not_signed(tmp_path: Path) -> None:
    capture = write_capture(tmp_path / "session.gz", [kalshi_fill("f1", 1)])
    async with standing_in(capture) as base, open_rest(base.replace("ws", "http", 1)) as client:
        assert (await client.get(kalshi_fills.PATH)).status_code == 401
