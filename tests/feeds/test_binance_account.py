import hmac
from typing import Any

import orjson
import pytest
from hypothesis import given

from monitor.events import MarketListed, OrderFill, OrderUpdate, Side
from monitor.feeds.binance_account import BinanceAccountDialect
from monitor.feeds.binance_lookups import sign
from monitor.feeds.dialect import Reconnect, Send
from monitor.health.feeds import FeedHealth
from monitor.storage.tape import read_tape
from tests.captures import capture
from tests.feeds.garbage import messages

REPORT = {
    "e": "executionReport", "E": 1, "s": "XUSDT", "c": "mine", "S": "SELL", "o": "LIMIT", "f": "GTC",
    "q": "2.00000000", "p": "1.5", "x": "TRADE", "X": "PARTIALLY_FILLED", "r": "NONE", "i": 7, "l": "0.5",
    "z": "0.75", "L": "1.4", "n": "0.00100000", "N": "BNB", "T": 1_500, "t": 3, "I": 9, "m": True, "O": 1_000,
    "C": "",
}  # fmt: skip


def dialect() -> BinanceAccountDialect:
    health = FeedHealth("binance_account", "binance")
    return BinanceAccountDialect("me", "key", "secret", health, symbols=["XUSDT"])


def report(**changes: Any) -> bytes:
    return orjson.dumps({"subscriptionId": 0, "event": REPORT | changes})


def test_parameters_are_signed_in_the_order_of_their_names() -> None:
    expected = hmac.new(b"secret", b"apiKey=k&recvWindow=5000&timestamp=1", "sha256").hexdigest()
    assert sign({"timestamp": 1, "apiKey": "k", "recvWindow": 5000}, "secret") == expected


def test_subscription_is_signed() -> None:
    account = dialect()
    account.connect()
    (command,) = account.commands
    assert isinstance(command, Send)
    request = orjson.loads(command.text)
    params = request["params"]
    signature = params.pop("signature")
    assert request["method"] == "userDataStream.subscribe.signature"
    assert signature == sign(params, "secret")


def test_trade_is_an_update_and_a_fill_of_a_listed_market() -> None:
    listed, update, fill = dialect().receive(report(), 1)
    assert listed == MarketListed("binance", "XUSDT", 8, 8, "XUSDT")
    assert isinstance(update, OrderUpdate)
    assert (update.status, update.price, update.size, update.filled) == (
        "PARTIALLY_FILLED",
        150_000_000,
        200_000_000,
        75_000_000,
    )
    assert fill == OrderFill(
        venue="binance", account="me", market="XUSDT", fill_id="3", order_id="7", side=Side.SELL,
        price=140_000_000, size=50_000_000, filled=75_000_000, order_size=200_000_000,
        status="PARTIALLY_FILLED", time_ms=1_500, fee="0.001", fee_asset="BNB", is_maker=True,
        client_order_id="mine", delay_ms=500,
    )  # fmt: skip


@pytest.mark.parametrize(
    "message",
    [REPORT, {"stream": "listen", "data": REPORT}, {"subscriptionId": 0, "event": REPORT}],
    ids=["bare", "combined", "wrapped"],
)
def test_report_is_heard_in_every_shape(message: object) -> None:
    assert len(dialect().receive(orjson.dumps(message), 1)) == 3


def test_fill_is_delivered_once() -> None:
    account = dialect()
    account.receive(report(), 1)
    assert list(account.receive(report(), 1)) == []
    (update,) = account.receive(report(I=10), 1)
    assert isinstance(update, OrderUpdate)


def test_older_report_does_not_turn_an_order_back() -> None:
    account = dialect()
    account.receive(report(I=10, X="FILLED"), 1)
    assert list(account.receive(report(I=9, x="NEW", X="NEW", t=-1), 1)) == []
    (fill,) = account.receive(report(I=8, t=2), 1)
    assert isinstance(fill, OrderFill)


def test_cancelled_order_keeps_its_own_client_id() -> None:
    *_, update = dialect().receive(report(x="CANCELED", X="CANCELED", t=-1, c="cancel", C="mine"), 1)
    assert isinstance(update, OrderUpdate)
    assert update.client_order_id == "mine"


@pytest.mark.parametrize(
    "change",
    [
        {"t": -1},
        {"L": "x"},
        {"q": "1.123456789"},
        {"S": "HOLD"},
        {"i": "7"},
        {"I": None},
        {"s": None},
        {"x": None, "p": 1.5},
    ],
)
def test_wrong_report_is_garbage_and_changes_nothing(change: dict[str, Any]) -> None:
    account = dialect()
    assert list(account.receive(report(**change), 1)) == []
    assert account.health.garbage == 1
    assert len(account.receive(report(), 1)) == 3


def test_refused_signature_is_shown_and_tried_again() -> None:
    account = dialect()
    account.receive('{"id":1,"status":401,"error":{"code":-1022,"msg":"Signature is not valid."}}', 1)
    assert "Signature is not valid" in (account.health.error or "")
    assert isinstance(account.commands.pop(), Reconnect)


def test_ended_stream_is_opened_again() -> None:
    account = dialect()
    account.receive('{"subscriptionId":0,"event":{"e":"eventStreamTerminated","E":1}}', 1)
    assert isinstance(account.commands.pop(), Reconnect)


@given(messages("subscriptionId event e s c S o q p x X r i l z L n N T t I m O C status error data"))
def test_no_message_raises(message: str) -> None:
    dialect().receive(message, 1)


def test_recorded_reports_are_read() -> None:
    account = dialect()
    reports = [line.raw for line in read_tape(capture("binance/samples")) if "executionReport" in line.raw]
    events = [event for raw in reports for event in account.receive(raw, 1)]
    assert sum(isinstance(event, OrderFill) for event in events) == 1
    assert account.health.garbage == 0
