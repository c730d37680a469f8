import base64
from pathlib import Path
from typing import Any

import orjson
import pytest
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from hypothesis import given

from monitor.errors import ConfigError
from monitor.events import (
    BookIncrement,
    BookSnapshot,
    BookStatus,
    BookStatusChanged,
    Event,
    MarketListed,
    OrderFill,
    Side,
    Ticker,
    Trade,
)
from monitor.feeds.dialect import Reconnect, Send
from monitor.feeds.kalshi import ASK_NS, KalshiDialect
from monitor.feeds.kalshi_key import load_signer, sign_upgrade
from monitor.health.feeds import FeedHealth
from monitor.storage.tape import read_tape
from tests.captures import capture
from tests.feeds.garbage import messages

PATH = "/trade-api/ws/v2"
BOOKS, TRADES, TICKERS, FILLS = 1, 2, 3, 4


def connected(*markets: str, account: str | None = "me") -> KalshiDialect:
    """A dialect with its four subscriptions acknowledged, in the order of the constants above."""
    dialect = KalshiDialect(markets or ("T1",), account, FeedHealth("kalshi", "kalshi"))
    dialect.connect()
    for sid, channel in enumerate(["orderbook_delta", "trade", "ticker", "fill"][: 4 if account else 3], 1):
        dialect.receive(
            orjson.dumps({"type": "subscribed", "id": sid, "msg": {"channel": channel, "sid": sid}}), 1
        )
    dialect.commands.clear()
    return dialect


def snapshot(sequence: int, market: str = "T1", **sides: Any) -> bytes:
    body = {"market_ticker": market} | {f"{side}_dollars_fp": pairs for side, pairs in sides.items()}
    return orjson.dumps({"type": "orderbook_snapshot", "sid": BOOKS, "seq": sequence, "msg": body})


def delta(sequence: int, market: str = "T1", **changes: Any) -> bytes:
    body = {"market_ticker": market, "price_dollars": "0.3000", "delta_fp": "-1.84", "side": "no", "ts_ms": 5}
    return orjson.dumps({"type": "orderbook_delta", "sid": BOOKS, "seq": sequence, "msg": body | changes})


def trade(sequence: int, identity: str = "a", **changes: Any) -> bytes:
    body = {
        "trade_id": identity, "market_ticker": "T1", "yes_price_dollars": "0.3520", "count_fp": "1.16",
        "taker_outcome_side": "no", "ts": 1, "ts_ms": 1_500,
    }  # fmt: skip
    return orjson.dumps({"type": "trade", "sid": TRADES, "seq": sequence, "msg": body | changes})


def fill(identity: str, size: str = "2.50", **changes: Any) -> bytes:
    body = {
        "trade_id": identity, "order_id": "o", "client_order_id": "mine", "market_ticker": "T9",
        "is_taker": True, "yes_price_dollars": "0.7500", "count_fp": size, "fee_cost": "0.010000",
        "outcome_side": "yes", "ts_ms": 9,
    }  # fmt: skip
    return orjson.dumps({"type": "fill", "sid": FILLS, "msg": body | changes})


def statuses(events: list[Event]) -> list[tuple[str, BookStatus]]:
    return [(event.market, event.status) for event in events if isinstance(event, BookStatusChanged)]


def requests(dialect: KalshiDialect) -> list[dict[str, Any]]:
    return [orjson.loads(command.text) for command in dialect.commands if isinstance(command, Send)]


def test_channels_are_subscribed_with_the_scale_in_words() -> None:
    dialect = KalshiDialect([f"T{n}" for n in range(501)], "me", FeedHealth("kalshi", "kalshi"))
    *listed, _ = dialect.connect()
    assert len(listed) == 501
    books, *others = [request["params"] for request in requests(dialect)]
    assert books["use_yes_price"] is False
    assert len(books["market_tickers"]) == 500
    assert [params["channels"] for params in others] == [
        ["orderbook_delta"],
        ["trade"],
        ["trade"],
        ["ticker"],
        ["ticker"],
        ["fill"],
    ]
    assert "market_tickers" not in others[-1]


def test_no_bids_are_shown_as_yes_asks() -> None:
    (event,) = connected().receive(
        snapshot(1, yes=[["0.0100", "5.00"], ["0.2000", "1.25"]], no=[["0.3000", "2"]]), 1
    )
    assert event == BookSnapshot("kalshi", "T1", [(2_000, 125), (100, 500)], [(7_000, 200)], 0)


def test_empty_sides_are_absent() -> None:
    (event,) = connected().receive(snapshot(1), 1)
    assert event == BookSnapshot("kalshi", "T1", [], [], 0)


def test_delta_is_a_signed_change() -> None:
    dialect = connected()
    dialect.receive(snapshot(1), 1)
    (event,) = dialect.receive(delta(2), 1)
    assert event == BookIncrement("kalshi", "T1", Side.SELL, 7_000, -184, 5)


def test_older_times_are_read() -> None:
    dialect = connected()
    dialect.receive(snapshot(1), 1)
    message = orjson.loads(delta(2))
    del message["msg"]["ts_ms"]
    message["msg"]["ts"] = "2026-07-01T02:31:45.64258Z"
    (event,) = dialect.receive(orjson.dumps(message), 1)
    assert isinstance(event, BookIncrement)
    assert event.time_ms == 1_782_873_105_642


@pytest.mark.parametrize("time", ["1960-01-01T00:00:00Z", "0001-01-01T00:00:00", -5, 10**19])
def test_time_that_no_clock_says_is_garbage(time: object) -> None:
    dialect = connected()
    dialect.receive(snapshot(1), 1)
    message = orjson.loads(delta(2))
    del message["msg"]["ts_ms"]
    message["msg"]["ts"] = time
    assert not any(isinstance(event, BookIncrement) for event in dialect.receive(orjson.dumps(message), 1))
    assert dialect.health.garbage == 1


def test_numbers_run_over_all_markets_of_a_subscription() -> None:
    dialect = connected("T1", "T2")
    events = [snapshot(1), snapshot(2, "T2"), delta(3, "T2"), delta(4)]
    assert [len(dialect.receive(message, 1)) for message in events] == [1, 1, 1, 1]
    assert dialect.health.gaps == 0


def test_gap_makes_all_books_suspect_until_their_snapshots() -> None:
    dialect = connected("T1", "T2")
    dialect.receive(snapshot(1), 1)
    dialect.receive(snapshot(2, "T2"), 1)
    events = list(dialect.receive(delta(4), 1))
    assert statuses(events) == [
        ("T1", BookStatus.GAP),
        ("T2", BookStatus.GAP),
        ("T1", BookStatus.RESYNC),
        ("T2", BookStatus.RESYNC),
    ]
    (request,) = requests(dialect)
    assert request["params"] == {"sids": [BOOKS], "market_tickers": ["T1", "T2"], "action": "get_snapshot"}
    (restored,) = dialect.receive(snapshot(5), 1)
    assert isinstance(restored, BookSnapshot)
    assert len(dialect.receive(delta(6), 1)) == 1
    assert len(dialect.receive(delta(7, "T2"), 1)) == 0


def test_unreadable_delta_is_a_gap_too() -> None:
    dialect = connected()
    dialect.receive(snapshot(1), 1)
    events = list(dialect.receive(delta(2, delta_fp=1.5), 1))
    assert statuses(events) == [("T1", BookStatus.GAP), ("T1", BookStatus.RESYNC)]
    assert dialect.health.garbage == 1


def test_snapshots_are_asked_for_again_but_ever_more_slowly() -> None:
    dialect = connected()
    dialect.receive(snapshot(1), 1)
    for sequence in range(3, 103, 2):
        dialect.receive(delta(sequence), 1)
    assert len(requests(dialect)) == 1
    asked = []
    for second in range(1, 100):
        before = len(dialect.commands)
        dialect.judge(second * 1_000_000_000)
        asked += [second] * (len(dialect.commands) - before)
    assert asked == [11, 32, 73]
    assert ASK_NS == 5_000_000_000


def test_replies_carry_numbers_of_the_subscription() -> None:
    dialect = connected()
    dialect.receive(snapshot(1), 1)
    dialect.receive('{"type":"ok","id":9,"sid":1,"seq":2,"msg":{}}', 1)
    assert len(dialect.receive(delta(3), 1)) == 1


@pytest.mark.parametrize("code", [10, 25])
def test_ended_channel_is_subscribed_again(code: int) -> None:
    dialect = connected()
    dialect.receive(snapshot(1), 1)
    error = orjson.dumps({"type": "error", "sid": BOOKS, "msg": {"code": code, "msg": "over"}})
    assert statuses(list(dialect.receive(error, 1)))[0] == ("T1", BookStatus.GAP)
    (request,) = requests(dialect)
    assert request["params"]["channels"] == ["orderbook_delta"]
    dialect.receive('{"type":"subscribed","id":5,"msg":{"channel":"orderbook_delta","sid":5}}', 2)
    fresh = orjson.loads(snapshot(1)) | {"sid": 5}
    assert len(dialect.receive(orjson.dumps(fresh), 2)) == 1
    again = orjson.dumps({"type": "error", "sid": 5, "msg": {"code": code, "msg": "over"}})
    dialect.receive(again, 3)
    assert isinstance(dialect.commands.pop(), Reconnect)


def test_other_errors_are_shown() -> None:
    dialect = connected()
    dialect.receive('{"type":"error","id":3,"msg":{"code":26,"msg":"too many markets"}}', 1)
    assert "too many markets" in (dialect.health.error or "")
    assert not dialect.commands


def test_trade_is_delivered_once_and_its_taker_told() -> None:
    dialect = connected()
    (event,) = dialect.receive(trade(1), 1)
    assert event == Trade("kalshi", "T1", "a", 3_520, 116, Side.SELL, 1_500)
    assert list(dialect.receive(trade(2), 1)) == []


def test_book_that_a_trade_did_not_touch_is_stale() -> None:
    dialect = connected()
    dialect.receive(snapshot(1), 1)
    dialect.receive(trade(1), 2)
    assert dialect.judge(10**9) == []
    assert statuses(dialect.judge(6 * 10**9)) == [("T1", BookStatus.STALE)]


def test_block_trade_says_nothing_of_the_book() -> None:
    dialect = connected()
    dialect.receive(snapshot(1), 1)
    dialect.receive(trade(1, is_block_trade=True), 2)
    assert dialect.judge(6 * 10**9) == []


def test_ticker_of_a_market_without_trades_has_no_last_price() -> None:
    body = {
        "market_ticker": "T1",
        "price_dollars": "",
        "yes_bid_dollars": "0.4500",
        "yes_ask_dollars": "0.5300",
    }
    body |= {"volume_fp": "33896.00", "yes_bid_size_fp": "300.00"}
    message = {"type": "ticker", "sid": TICKERS, "msg": body | {"ts_ms": 7}}
    (event,) = connected().receive(orjson.dumps(message), 1)
    assert event == Ticker("kalshi", "T1", 7, bid=4_500, bid_size=30_000, ask=5_300, volume=3_389_600)


def test_fills_are_told_once_and_say_nothing_of_their_order() -> None:
    dialect = connected()
    listed, first = dialect.receive(fill("a"), 1)
    assert listed == MarketListed("kalshi", "T9", 4, 2)
    assert list(dialect.receive(fill("a"), 1)) == []
    (second,) = dialect.receive(fill("b", "0.25", outcome_side="no"), 1)
    assert isinstance(first, OrderFill)
    assert isinstance(second, OrderFill)
    assert (first.side, first.price, first.size, first.fee) == (Side.BUY, 7_500, 250, "0.01")
    assert (second.side, second.size, second.filled, second.order_size) == (Side.SELL, 25, None, None)


def test_fills_are_left_alone_without_an_account() -> None:
    dialect = KalshiDialect(["T1"], None, FeedHealth("kalshi", "kalshi"))
    dialect.connect()
    assert all(request["params"]["channels"] != ["fill"] for request in requests(dialect))


def test_lost_connection_makes_books_stale() -> None:
    dialect = connected()
    dialect.receive(snapshot(1), 1)
    assert statuses(dialect.disconnect("lost")) == [("T1", BookStatus.STALE)]


@pytest.mark.parametrize(
    "message",
    [
        "{",
        "[]",
        '{"type":"surprise"}',
        '{"type":"orderbook_snapshot","sid":1,"seq":1}',
        '{"type":"trade","sid":77,"seq":1,"msg":{}}',
        snapshot(1, yes=[["1.5000", "1"]]),
        snapshot(1, yes=[["0.50001", "1"]]),
        snapshot(1, yes=[[0.5, 1.25]]),
        trade(1, taker_outcome_side="maybe"),
        fill("a", "2.505"),
    ],
)
def test_garbage_is_counted_and_the_feed_goes_on(message: str | bytes) -> None:
    dialect = connected()
    dialect.receive(message, 1)
    assert dialect.health.garbage == 1
    assert len(dialect.receive(fill("b"), 1)) == 2


@given(
    messages(
        "type sid seq msg market_ticker yes_dollars_fp no_dollars_fp price_dollars delta_fp side ts ts_ms"
        " code id channel trade_id count_fp taker_side yes_price_dollars order_id outcome_side"
    )
)
def test_no_message_raises(message: str) -> None:
    connected().receive(message, 1)


def test_recorded_samples_are_read() -> None:
    """One at a time: they are of many connections."""
    counts: dict[type[Event], int] = {}
    for line in read_tape(capture("kalshi/samples")):
        message = orjson.loads(line.raw)
        if line.is_inbound and message["type"] in ("ticker", "trade", "fill", "orderbook_snapshot"):
            dialect = connected()
            sid = {"ticker": TICKERS, "trade": TRADES, "fill": FILLS}.get(message["type"], BOOKS)
            events = dialect.receive(orjson.dumps(message | {"sid": sid}), 1)
            assert dialect.health.garbage == 0
            counts[type(events[-1])] = counts.get(type(events[-1]), 0) + 1
    assert counts == {Ticker: 11, Trade: 13, BookSnapshot: 1, OrderFill: 1}


@pytest.fixture(scope="module")
def key() -> rsa.RSAPrivateKey:
    return rsa.generate_private_key(public_exponent=65_537, key_size=2_048)


def write_key(path: Path, key: rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey) -> Path:
    form = serialization.PrivateFormat.PKCS8
    path.write_bytes(key.private_bytes(serialization.Encoding.PEM, form, serialization.NoEncryption()))
    return path


def test_upgrade_is_signed_so_that_the_public_key_agrees(tmp_path: Path, key: rsa.RSAPrivateKey) -> None:
    headers = dict(sign_upgrade("id", load_signer(write_key(tmp_path / "key.pem", key)), PATH))
    signature = base64.b64decode(headers[b"KALSHI-ACCESS-SIGNATURE"])
    message = headers[b"KALSHI-ACCESS-TIMESTAMP"] + b"GET" + PATH.encode()
    scheme = padding.PSS(mgf=padding.MGF1(hashes.SHA256()), salt_length=32)
    key.public_key().verify(signature, message, scheme, hashes.SHA256())
    with pytest.raises(InvalidSignature):
        key.public_key().verify(signature, message + b"?", scheme, hashes.SHA256())
    assert headers[b"KALSHI-ACCESS-KEY"] == b"id"


def test_wrong_key_file_is_said(tmp_path: Path) -> None:
    (tmp_path / "text.pem").write_text("no key")
    write_key(tmp_path / "curve.pem", ec.generate_private_key(ec.SECP256R1()))
    for name, words in [("absent.pem", "can't read"), ("text.pem", "PEM"), ("curve.pem", "RSA")]:
        with pytest.raises(ConfigError, match=words):
            load_signer(tmp_path / name)
