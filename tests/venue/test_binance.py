from functools import partial
from pathlib import Path
from typing import Any

import httpx
import orjson
import pytest
import trio

from monitor.config import BinanceAccountSettings, BinanceSettings
from monitor.events import (
    BookDelta,
    BookSnapshot,
    BookStatus,
    BookStatusChanged,
    MarketListed,
    OrderFill,
    OrderUpdate,
    Ticker,
    Trade,
)
from monitor.feeds.binance import run_binance
from monitor.feeds.binance_account import run_binance_account
from monitor.health.feeds import FeedHealth, FeedState, Freshness
from tests.captures import capture, write_capture
from tests.feeds.test_binance import Book
from tests.venue.client import connected, standing_in
from tests.venue.listener import Listener

MINI = {
    "e": "24hrMiniTicker",
    "E": 9,
    "s": "XUSDT",
    "c": "1.2",
    "o": "1",
    "h": "2",
    "l": "1",
    "v": "7",
    "q": "8",
}

REPORT = {
    "e": "executionReport", "E": 1, "s": "XUSDT", "c": "mine", "S": "BUY", "o": "LIMIT", "f": "GTC", "q": "2",
    "p": "1.5", "x": "TRADE", "X": "PARTIALLY_FILLED", "r": "NONE", "i": 7, "l": "0.5", "z": "0.5",
    "L": "1.4", "n": "0.0010", "N": "BNB", "T": 1_500, "t": 3, "I": 9, "m": False, "O": 1_000, "C": "",
}  # fmt: skip


def depth(first: int, last: int, price: str) -> dict[str, Any]:
    data = {
        "e": "depthUpdate",
        "E": last,
        "s": "XUSDT",
        "U": first,
        "u": last,
        "b": [[price, "1.00000000"]],
        "a": [],
    }
    return {"stream": "xusdt@depth@100ms", "data": data}


def write_session(path: Path, messages: list[Any], *snapshots: dict[str, Any]) -> Path:
    session = write_capture(path / "session.jsonl.gz", messages)
    lines = [{"ts": 1_000, "url": None, "raw": orjson.dumps(snapshot).decode()} for snapshot in snapshots]
    (path / "session_rest.jsonl").write_bytes(b"\n".join(map(orjson.dumps, lines)))
    return session


def snapshot_at(update_id: int) -> dict[str, Any]:
    return {
        "lastUpdateId": update_id,
        "bids": [["1.00000000", "5.00000000"]],
        "asks": [["9.00000000", "5.00000000"]],
    }


def settings(base: str, *symbols: str) -> BinanceSettings:
    return BinanceSettings(symbols=list(symbols), url=base, rest_url=base.replace("ws", "http", 1))


@pytest.mark.soak
@pytest.mark.trio
async def test_feed_ends_with_the_recorded_book_at_any_speed() -> None:
    listener, health = Listener(), FeedHealth("binance", "binance")
    async with standing_in(capture("binance/spot_btcusdt_20240808")) as base, trio.open_nursery() as nursery:
        nursery.start_soon(run_binance, settings(base, "BTCUSDT"), listener, health)
        await listener.wait_until(lambda: health.messages == 99_574)
        nursery.cancel_scope.cancel()
    book = Book()
    for event in listener.events:
        if isinstance(event, BookSnapshot | BookDelta):
            book.take(event)
    assert book.top == (6_160_201_000_000, 167_177_000, 6_160_202_000_000, 266_795_000)
    assert len(listener.of(Trade)) == 19_904
    assert len(listener.of(Ticker)) == 73_174
    assert (health.garbage, health.gaps, health.retries) == (0, 0, 0)


@pytest.mark.trio
async def test_all_books_of_a_session_sync() -> None:
    symbols = ["NKNUSDT", "BLZETH", "LRCBTC", "RUNEEUR"]
    listener, health = Listener(), FeedHealth("binance", "binance")
    async with standing_in(capture("binance/spot_4sym_20211012")) as base, trio.open_nursery() as nursery:
        nursery.start_soon(run_binance, settings(base, *symbols), listener, health)
        await listener.wait_for(BookSnapshot, 4)
        nursery.cancel_scope.cancel()
    assert {event.market for event in listener.of(BookSnapshot)} == set(symbols)
    assert health.garbage == 0


@pytest.mark.trio
async def test_gap_in_the_recording_becomes_gap_resync_synced(tmp_path: Path) -> None:
    messages = [depth(11, 12, "1.10000000"), depth(13, 14, "1.20000000"), depth(17, 18, "1.30000000")]
    session = write_session(
        tmp_path, [*messages, {"stream": "xusdt@miniTicker", "data": MINI}], snapshot_at(11)
    )
    listener, health = Listener(), FeedHealth("binance", "binance")
    async with standing_in(session, speed=0.1) as base, trio.open_nursery() as nursery:
        nursery.start_soon(run_binance, settings(base, "XUSDT"), listener, health)
        await listener.wait_for(BookSnapshot, 2)
        nursery.cancel_scope.cancel()
    statuses = [event.status for event in listener.of(BookStatusChanged)]
    assert statuses == [BookStatus.RESYNC, BookStatus.GAP, BookStatus.RESYNC, BookStatus.STALE]
    assert listener.of(BookSnapshot)[-1].bids[0] == (130_000_000, 100_000_000)
    assert health.gaps == 1


@pytest.mark.trio
async def test_snapshot_is_where_the_latest_subscriber_stands(tmp_path: Path) -> None:
    session = write_session(
        tmp_path, [depth(11, 12, "1.10000000"), depth(13, 14, "1.20000000")], snapshot_at(11)
    )
    async with standing_in(session) as base, httpx.AsyncClient(base_url=base.replace("ws", "http")) as rest:
        fetch = partial(rest.get, "/api/v3/depth")
        assert (await fetch(params={"symbol": "XUSDT"})).json() == snapshot_at(11)
        async with connected(f"{base}/stream?streams=xusdt@depth@100ms") as client:
            await client.hear_some(2)
            now = (await fetch(params={"symbol": "XUSDT", "limit": "2"})).json()
    assert now["lastUpdateId"] == 14
    assert now["bids"] == [["1.20000000", "1.00000000"], ["1.10000000", "1.00000000"]]


@pytest.mark.trio
@pytest.mark.parametrize(
    ("path", "status", "code"),
    [
        ("/api/v3/depth", 400, -1102),
        ("/api/v3/depth?symbol=NOPE", 400, -1121),
        ("/api/v3/depth?symbol=XUSDT&limit=x", 400, -1100),
        ("/api/v4/depth", 404, 404),
    ],
)
async def test_wrong_rest_request_gets_the_venues_error(
    tmp_path: Path, path: str, status: int, code: int
) -> None:
    session = write_session(tmp_path, [depth(11, 12, "1.1")], snapshot_at(11))
    async with standing_in(session) as base, httpx.AsyncClient() as rest:
        answer = await rest.get(base.replace("ws", "http") + path)
    assert (answer.status_code, answer.json()["code"]) == (status, code)


@pytest.mark.trio
async def test_only_subscribed_streams_are_sent_bare_on_ws(tmp_path: Path) -> None:
    mini = {"stream": "xusdt@miniTicker", "data": MINI}
    session = write_session(tmp_path, [depth(1, 2, "1.1"), mini, depth(3, 4, "1.1"), mini])
    async with standing_in(session) as base, connected(f"{base}/ws") as client:
        assert await client.ask({"method": "SUBSCRIBE", "params": ["xusdt@miniTicker"], "id": "a"}) == {
            "result": None,
            "id": "a",
        }
        assert await client.hear_some(2) == [MINI, MINI]
        listed = await client.ask({"method": "LIST_SUBSCRIPTIONS", "id": 2})
    assert listed == {"result": ["xusdt@miniTicker"], "id": 2}


@pytest.mark.trio
async def test_wrong_command_gets_the_venues_error(tmp_path: Path) -> None:
    session = write_session(tmp_path, [depth(1, 2, "1.1")])
    async with standing_in(session) as base, connected(f"{base}/stream") as client:
        await client.socket.send_message("{")
        assert (await client.hear())["code"] == 3
        wrong: list[object] = [
            [],
            {"id": 1},
            {"method": "JUMP", "id": 1},
            {"method": "SUBSCRIBE", "params": [1], "id": 1},
        ]
        for request in wrong:
            assert (await client.ask(request))["code"] == 2
        assert (await client.ask({"method": "GET_PROPERTY", "params": ["x"], "id": 1}))["code"] == 0
        assert (await client.ask({"method": "SET_PROPERTY", "params": ["combined", 1], "id": 1}))["code"] == 1


@pytest.mark.trio
async def test_futures_routes_carry_their_own_streams() -> None:
    async with standing_in(capture("binance/usdm_4sym_20210722")) as base:
        streams = "sushiusdt@depth@100ms/sushiusdt@aggTrade"
        for route, kind in (("/public", "depthUpdate"), ("/market", "aggTrade")):
            async with connected(f"{base}{route}/stream?streams={streams}") as client:
                heard = await client.hear_some(5)
            assert {message["data"]["e"] for message in heard} == {kind}
        async with connected(f"{base}/stream?streams={streams}") as client:
            heard = await client.hear_some(100)
        assert {message["data"]["e"] for message in heard} == {"depthUpdate", "aggTrade"}
        async with httpx.AsyncClient() as rest:
            answer = await rest.get(base.replace("ws", "http") + "/fapi/v1/depth?symbol=SUSHIUSDT&limit=1000")
    assert answer.json()["lastUpdateId"] >= 600_859_605_926


@pytest.mark.trio
async def test_account_feed_hears_its_orders(tmp_path: Path) -> None:
    new = REPORT | {
        "x": "NEW",
        "X": "NEW",
        "t": -1,
        "I": 8,
        "z": "0",
        "l": "0",
        "L": "0",
        "n": "0",
        "N": None,
    }
    session = write_capture(tmp_path / "account.jsonl.gz", [new, {"subscriptionId": 4, "event": REPORT}])
    listener, health = Listener(), FeedHealth("binance_account", "binance")
    async with standing_in(session) as base, trio.open_nursery() as nursery:
        wanted = BinanceAccountSettings.model_validate(
            {
                "account": "me",
                "api_key": "key",
                "api_secret": "secret",
                "url": base,
                "rest_url": base.replace("ws", "http", 1),
            }
        )
        nursery.start_soon(run_binance_account, wanted, listener, health)
        await listener.wait_for(OrderUpdate, 3)
        await listener.wait_for(OrderFill)
        nursery.cancel_scope.cancel()
    assert isinstance(listener.events[1], MarketListed)
    listed, *told = (update.status for update in listener.of(OrderUpdate))
    assert (listed, told) == ("PARTIALLY_FILLED", ["NEW", "PARTIALLY_FILLED"])
    assert len(listener.of(OrderFill)) == 1
    assert health.garbage == 0


@pytest.mark.trio
async def test_open_orders_are_those_that_the_session_leaves_open(tmp_path: Path) -> None:
    reports = [REPORT | {"i": 7}, REPORT | {"i": 8}, REPORT | {"i": 9, "s": "YUSDT"}]
    ended = REPORT | {"i": 7, "x": "CANCELED", "X": "CANCELED"}
    session = write_capture(tmp_path / "account.jsonl.gz", [*reports, ended])
    async with standing_in(session) as base, httpx.AsyncClient() as rest:
        url = base.replace("ws", "http") + "/api/v3/openOrders"
        assert (await rest.get(url)).json()["code"] == -1102
        signed = {"timestamp": "1", "signature": "s"}
        headers = {"X-MBX-APIKEY": "k"}
        orders = (await rest.get(url, params=signed, headers=headers)).json()
        assert [(order["symbol"], order["orderId"]) for order in orders] == [("XUSDT", 8), ("YUSDT", 9)]
        of_one = (await rest.get(url, params=signed | {"symbol": "YUSDT"}, headers=headers)).json()
        assert [order["orderId"] for order in of_one] == [9]


@pytest.mark.trio
async def test_user_data_needs_a_signature_and_is_subscribed_once(tmp_path: Path) -> None:
    session = write_capture(tmp_path / "account.jsonl.gz", [REPORT])
    async with standing_in(session) as base, connected(f"{base}/ws-api/v3") as client:
        method = "userDataStream.subscribe.signature"
        missing = await client.ask({"id": "x", "method": method, "params": {"apiKey": "k", "timestamp": 1}})
        assert (missing["status"], missing["error"]["code"]) == (400, -1102)
        params = {"apiKey": "k", "timestamp": 1, "signature": "s"}
        old = await client.ask({"id": 1, "method": method, "params": params})
        assert old["error"]["code"] == -1021
        now = (await client.ask({"id": 2, "method": "time"}))["result"]["serverTime"]
        ok = await client.ask({"id": 3, "method": method, "params": params | {"timestamp": now}})
        assert ok == {"id": 3, "status": 200, "result": {"subscriptionId": 0}}
        again = await client.ask({"id": 4, "method": method, "params": params | {"timestamp": now}})
        assert again["status"] == 409
        assert await client.hear() == {"subscriptionId": 0, "event": REPORT}


@pytest.mark.trio
async def test_feed_shows_what_it_hears_and_how_fresh(tmp_path: Path) -> None:
    session = write_session(tmp_path, [{"stream": "xusdt@miniTicker", "data": MINI}], snapshot_at(1))
    listener, health = Listener(), FeedHealth("binance", "binance")
    async with standing_in(session) as base, trio.open_nursery() as nursery:
        nursery.start_soon(run_binance, settings(base, "XUSDT"), listener, health)
        await listener.wait_for(Ticker)
        assert health.heard_ns is not None
        row = health.row(health.heard_ns)
        nursery.cancel_scope.cancel()
    states = {each["name"]: each["state"] for each in row["subscriptions"]}
    assert (row["state"], row["url"]) == (FeedState.LIVE, f"{base}/stream")
    assert states["xusdt@miniTicker"] is Freshness.FRESH
    assert states["xusdt@trade"] is Freshness.WAITING
    assert health.row(health.heard_ns)["state"] is FeedState.STOPPED
