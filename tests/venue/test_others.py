"""Coinbase, Bybit and Kraken: the stand-ins that no feed of ours speaks to yet."""

import zlib
from pathlib import Path
from typing import Any

import pytest
from trio_websocket import ConnectionClosed

from tests.captures import capture, said, write_capture
from tests.venue.client import connected, standing_in

BTC, ETH = "BTC/USD", "ETH/USD"


def kraken_book(kind: str, symbol: str, *bids: tuple[str, str]) -> str:
    """As text: the checksum covers the digits as they were sent."""
    levels = ",".join(f'{{"price":{price},"qty":{quantity}}}' for price, quantity in bids)
    data = (
        f'{{"symbol":"{symbol}","bids":[{levels}],"asks":[],"checksum":1,"timestamp":"2026-08-16T23:37:03Z"}}'
    )
    return f'{{"channel":"book","type":"{kind}","data":[{data}]}}'


def kraken_trade(kind: str, identity: int) -> dict[str, Any]:
    trade = {"symbol": BTC, "side": "buy", "price": 1.5, "qty": 2, "ord_type": "limit", "trade_id": identity}
    return {"channel": "trade", "type": kind, "data": [trade]}


ACK = {"method": "subscribe", "success": True, "result": {"channel": "book", "depth": 10, "symbol": BTC}}
STATUS = (
    '{"channel":"status","type":"update","data":[{"version":"2.0.10","connection_id":15113583034416118705}]}'
)
KRAKEN: list[object] = [
    STATUS,
    said({"method": "subscribe", "params": {"channel": "book", "symbol": [BTC, ETH], "depth": 10}}),
    ACK,
    kraken_book("snapshot", BTC, ("64525.0", "0.53807060")),
    kraken_book("snapshot", ETH, ("1900.10", "1.00000000")),
    kraken_trade("snapshot", 1),
    kraken_book("update", BTC, ("64525.0", "0.00000000")),
    {"channel": "heartbeat"},
    kraken_trade("update", 2),
    kraken_book("update", ETH, ("1900.10", "0.50930100")),
]


@pytest.mark.trio
async def test_kraken_2_acknowledges_each_symbol_and_sends_the_recorded_text(tmp_path: Path) -> None:
    async with (
        standing_in(write_capture(tmp_path / "session.gz", KRAKEN)) as base,
        connected(f"{base}/v2") as client,
    ):
        assert await client.socket.get_message() == STATUS
        params = {"channel": "book", "symbol": [BTC, ETH], "depth": 10}
        await client.say({"method": "subscribe", "params": params, "req_id": 3})
        acks = await client.hear_some(2)
        texts = [await client.socket.get_message() for _ in range(4)]
    told = [(ack["result"]["symbol"], ack["success"], ack["req_id"]) for ack in acks]
    assert told == [(BTC, True, 3), (ETH, True, 3)]
    assert "channel" not in acks[0]
    assert texts == [KRAKEN[3], KRAKEN[4], KRAKEN[6], KRAKEN[9]]


@pytest.mark.trio
@pytest.mark.parametrize(
    ("params", "words"),
    [
        ({"channel": "book", "symbol": [BTC], "depth": 27}, "depth not supported"),
        ({"channel": "book", "symbol": [BTC], "depth": 100}, "depth not supported"),
        ({"channel": "book", "symbol": ["NO/USD"]}, "Currency pair not supported NO/USD"),
        ({"channel": "surprise", "symbol": [BTC]}, "Channel not supported"),
        ({"channel": "book"}, "Symbol(s) missing"),
        ({}, "Malformed"),
    ],
)
async def test_kraken_2_refuses_and_stays_up(tmp_path: Path, params: dict[str, Any], words: str) -> None:
    async with (
        standing_in(write_capture(tmp_path / "session.gz", KRAKEN)) as base,
        connected(f"{base}/v2") as client,
    ):
        await client.hear()
        refusal = await client.ask({"method": "subscribe", "params": params})
        assert refusal["success"] is False
        assert words in refusal["error"]
        assert (await client.ask({"method": "ping", "req_id": 101}))["req_id"] == 101


@pytest.mark.trio
async def test_kraken_2_sends_past_trades_only_when_asked(tmp_path: Path) -> None:
    async with standing_in(write_capture(tmp_path / "session.gz", KRAKEN)) as base:
        heard = []
        for snapshot in (False, True):
            async with connected(f"{base}/v2") as client:
                await client.hear()
                params = {"channel": "trade", "symbol": BTC, "snapshot": snapshot}
                await client.ask({"method": "subscribe", "params": params})
                heard.append((await client.hear())["type"])
    assert heard == ["update", "snapshot"]


@pytest.mark.trio
async def test_late_subscriber_gets_the_book_from_its_last_snapshot_on(tmp_path: Path) -> None:
    async with (
        standing_in(write_capture(tmp_path / "session.gz", KRAKEN)) as base,
        connected(f"{base}/v2") as client,
    ):
        await client.hear()
        await client.ask({"method": "subscribe", "params": {"channel": "book", "symbol": BTC}})
        await client.hear_some(2)
        await client.ask({"method": "subscribe", "params": {"channel": "book", "symbol": ETH}})
        late = [await client.socket.get_message() for _ in range(2)]
        await client.ask({"method": "unsubscribe", "params": {"channel": "book", "symbol": [ETH, BTC]}})
    assert late == [KRAKEN[4], KRAKEN[9]]


@pytest.mark.trio
async def test_kraken_2_beats_once_something_is_subscribed(tmp_path: Path) -> None:
    async with (
        standing_in(write_capture(tmp_path / "session.gz", KRAKEN)) as base,
        connected(f"{base}/v2") as client,
    ):
        await client.hear()
        await client.say({"method": "subscribe", "params": {"channel": "trade", "symbol": BTC}})
        heard = await client.hear_until(lambda message: message.get("channel") == "heartbeat")
    assert [message.get("channel") for message in heard] == [None, "trade", "heartbeat"]


@pytest.mark.trio
async def test_kraken_1_replays_the_recorded_books() -> None:
    subscription = {"name": "book", "depth": 1000}
    async with standing_in(capture("kraken/v1_book1000_10pairs_20210417")) as base, connected(base) as client:
        status = await client.hear()
        await client.say({"event": "subscribe", "pair": ["XMR/USD", "NO/USD"], "subscription": subscription})
        good, bad = await client.hear_some(2)
        first = await client.hear()
        later = await client.hear_some(100)
    assert status["event"] == "systemStatus"
    assert (good["status"], good["channelName"], good["channelID"]) == ("subscribed", "book-1000", 992)
    assert (bad["status"], bad["errorMessage"]) == ("error", "Currency pair not supported NO/USD")
    assert (first[0], first[-2:], "as" in first[1]) == (992, ["book-1000", "XMR/USD"], True)
    assert all(message[-1] == "XMR/USD" for message in later)
    assert checksum_of(first, later) == later[-1][-3]["c"]


def checksum_of(snapshot: Any, updates: list[Any]) -> str:
    """The documented one, over the ten best levels' digits."""
    sides: dict[str, dict[str, str]] = {"a": {}, "b": {}}
    for message in [snapshot, *updates]:
        for part in message[1:-2]:
            for name, levels in part.items():
                for price, size, *_ in levels if name != "c" else ():
                    sides[name[0]][price] = size
    books = [
        sorted(
            ((price, size) for price, size in side.items() if float(size)), key=lambda level: float(level[0])
        )
        for side in sides.values()
    ]
    best = [*books[0][:10], *books[1][::-1][:10]]
    digits = "".join(text.replace(".", "").lstrip("0") for level in best for text in level)
    return str(zlib.crc32(digits.encode()))


@pytest.mark.trio
async def test_bybit_replays_topics_and_answers_pings() -> None:
    topics = ["orderbook.200.BTCUSDT", "publicTrade.ETHUSDT", "allLiquidation.SOLUSDT"]
    async with (
        standing_in(capture("bybit/v5_linear_4sym_20260809")) as base,
        connected(f"{base}/v5/public/linear") as client,
    ):
        pong = await client.ask({"op": "ping", "req_id": "p"})
        await client.say({"op": "subscribe", "args": topics, "req_id": "s"})
        ack, *heard = await client.hear_some(200)
    assert (pong["success"], pong["ret_msg"], pong["op"], pong["req_id"]) == (True, "pong", "ping", "p")
    assert (ack["success"], ack["ret_msg"], ack["op"], ack["req_id"]) == (True, "", "subscribe", "s")
    assert {message["topic"] for message in heard} == set(topics[:2])
    books = [message for message in heard if message["topic"] == topics[0]]
    assert books[0]["type"] == "snapshot"
    numbers = [message["data"]["u"] for message in books]
    assert numbers == list(range(numbers[0], numbers[0] + len(numbers)))


@pytest.mark.trio
@pytest.mark.parametrize(
    ("product", "request_", "words"),
    [
        ("linear", {"op": "subscribe", "args": ["surprise.BTCUSDT"]}, "handler not found"),
        ("linear", {"op": "subscribe", "args": ["tickers.BTCUSDT", "tickers.NOUSDT"]}, "Invalid symbol"),
        ("linear", {"op": "subscribe", "args": []}, "empty"),
        ("linear", {"op": "jump"}, "invalid op"),
        ("linear", {"args": []}, "invalid request"),
        ("spot", {"op": "subscribe", "args": ["tickers.BTCUSDT"] * 11}, "args size >10"),
    ],
)
async def test_bybit_refuses_a_whole_request(product: str, request_: dict[str, Any], words: str) -> None:
    async with (
        standing_in(capture("bybit/v5_linear_4sym_20260809")) as base,
        connected(f"{base}/v5/public/{product}") as client,
    ):
        reply = await client.ask(request_)
    assert reply["success"] is False
    assert words in reply["ret_msg"]


@pytest.mark.trio
async def test_bybit_options_answer_in_their_own_shape() -> None:
    async with (
        standing_in(capture("bybit/v5_linear_4sym_20260809")) as base,
        connected(f"{base}/v5/public/option") as client,
    ):
        ack = await client.ask({"op": "subscribe", "args": ["allLiquidation.BTCUSDT"]})
        bad = await client.ask({"op": "subscribe", "args": ["x.y"]})
        pong = await client.ask({"op": "ping"})
    assert ack["data"] == {"failTopics": [], "successTopics": ["allLiquidation.BTCUSDT"]}
    assert (bad["success"], bad["data"]["failTopics"]) == (False, ["x.y"])
    assert pong["op"] == "pong"


@pytest.mark.trio
async def test_coinbase_acknowledges_its_whole_state() -> None:
    async with standing_in(capture("coinbase/exchange_10prod_20210417")) as base, connected(base) as client:
        first = await client.ask(
            {"type": "subscribe", "product_ids": ["SKL-USD"], "channels": ["level2_batch"]}
        )
        channels = [{"name": "matches", "product_ids": ["NU-GBP"]}]
        await client.say({"type": "subscribe", "channels": channels})
        heard = await client.hear_until(lambda message: message["type"] == "last_match")
    second = next(message for message in heard if message["type"] == "subscriptions")
    assert first["channels"] == [{"name": "level2_batch", "product_ids": ["SKL-USD"]}]
    assert second["channels"] == [*first["channels"], {"name": "matches", "product_ids": ["NU-GBP"]}]
    assert {message["product_id"] for message in heard if "product_id" in message} <= {"SKL-USD", "NU-GBP"}


@pytest.mark.trio
@pytest.mark.parametrize(
    ("request_", "words"),
    [
        ({"type": "subscribe", "product_ids": ["NO-USD"], "channels": ["ticker"]}, "NO-USD"),
        ({"type": "subscribe", "product_ids": ["SKL-USD"], "channels": ["surprise"]}, "surprise"),
        ({"type": "subscribe", "channels": ["ticker"]}, "product_ids"),
        ({"type": "jump"}, "jump"),
        ({"type": "subscribe", "channels": 7}, "Malformed"),
    ],
)
async def test_coinbase_says_why_it_refuses(request_: dict[str, Any], words: str) -> None:
    async with standing_in(capture("coinbase/exchange_10prod_20210417")) as base, connected(base) as client:
        error = await client.ask(request_)
    assert (error["type"], error["message"]) == ("error", "Failed to subscribe")
    assert words in error["reason"]


@pytest.mark.trio
async def test_coinbase_closes_who_does_not_subscribe(tmp_path: Path, jumping_clock: Any) -> None:
    session = write_capture(
        tmp_path / "session.gz", [{"type": "match", "product_id": "X-USD", "trade_id": 1}]
    )
    async with standing_in(session) as base, connected(base) as client:
        with pytest.raises(ConnectionClosed):
            await client.hear()
