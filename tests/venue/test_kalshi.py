from functools import partial
from pathlib import Path
from typing import Any

import orjson
import pytest
import trio
import trio.testing
from cryptography.hazmat.primitives.asymmetric import rsa
from trio_websocket import ConnectionRejected

from monitor.config import KalshiSettings
from monitor.events import (
    AccountPast,
    BookIncrement,
    BookSnapshot,
    BookStatus,
    BookStatusChanged,
    OrderFill,
    Side,
    Ticker,
    Trade,
)
from monitor.feeds.kalshi import run_kalshi
from monitor.feeds.kalshi_key import load_signer
from monitor.health.feeds import FeedHealth
from tests.captures import said, write_capture
from tests.feeds.test_kalshi import write_key
from tests.venue.client import connected, standing_in
from tests.venue.listener import Listener

PATH = "/trade-api/ws/v2"
HEADERS = [
    (b"KALSHI-ACCESS-KEY", b"id"),
    (b"KALSHI-ACCESS-TIMESTAMP", b"1700000000000"),
    (b"KALSHI-ACCESS-SIGNATURE", b"c2ln"),
]


def snapshot(sid: int, sequence: int, market: str, **sides: Any) -> dict[str, Any]:
    body = {"market_ticker": market, "market_id": "u"}
    body |= {f"{side}_dollars_fp": pairs for side, pairs in sides.items()}
    return {"type": "orderbook_snapshot", "sid": sid, "seq": sequence, "msg": body}


def delta(sid: int, sequence: int, market: str, price: str, change: str, side: str = "yes") -> dict[str, Any]:
    body = {"market_ticker": market, "price_dollars": price, "delta_fp": change, "side": side, "ts_ms": 5}
    return {"type": "orderbook_delta", "sid": sid, "seq": sequence, "msg": body}


def trade(sid: int, sequence: int, market: str, identity: str) -> dict[str, Any]:
    body = {"trade_id": identity, "market_ticker": market, "yes_price_dollars": "0.4000", "count_fp": "1.16"}
    return {
        "type": "trade",
        "sid": sid,
        "seq": sequence,
        "msg": body | {"taker_outcome_side": "yes", "ts_ms": 6},
    }


def ticker(sid: int, market: str) -> dict[str, Any]:
    body = {"market_ticker": market, "price_dollars": "0.4000", "yes_bid_dollars": "0.3900"}
    return {"type": "ticker", "sid": sid, "msg": body | {"yes_ask_dollars": "0.4100", "ts_ms": 7}}


FILL = {
    "type": "fill",
    "sid": 9,
    "msg": {
        "trade_id": "f", "order_id": "o", "market_ticker": "A", "is_taker": True,
        "yes_price_dollars": "0.4000", "count_fp": "1.00", "fee_cost": "0.01", "outcome_side": "yes",
        "ts_ms": 8,
    },
}  # fmt: skip
SESSION: list[object] = [
    said(
        {
            "id": 1,
            "cmd": "subscribe",
            "params": {"channels": ["orderbook_delta"], "market_tickers": ["A", "B"]},
        }
    ),
    {"type": "subscribed", "id": 1, "msg": {"channel": "orderbook_delta", "sid": 7}},
    snapshot(7, 1, "A", yes=[["0.3900", "5.00"]], no=[["0.5900", "4.00"]]),
    snapshot(7, 2, "B"),
    {"type": "subscribed", "id": 2, "msg": {"channel": "trade", "sid": 8}},
    delta(7, 3, "A", "0.3900", "1.25"),
    delta(7, 4, "B", "0.1000", "2.00", "no"),
    trade(8, 1, "A", "t1"),
    ticker(3, "B"),
    FILL,
    delta(7, 5, "A", "0.3900", "-6.25"),
]


def subscribe(identity: int, *channels: str, **params: Any) -> dict[str, Any]:
    return {"id": identity, "cmd": "subscribe", "params": {"channels": list(channels), **params}}


async def refuse(base: str, headers: list[tuple[bytes, bytes]], path: str = PATH) -> int:
    with pytest.RaisesGroup(ConnectionRejected) as caught:
        async with connected(base + path, headers):
            raise AssertionError("connected")
    (error,) = caught.value.exceptions
    assert isinstance(error, ConnectionRejected)
    return error.status_code


@pytest.mark.trio
async def test_upgrade_needs_all_three_headers(tmp_path: Path) -> None:
    async with standing_in(write_capture(tmp_path / "session.gz", SESSION)) as base:
        for missing in range(3):
            assert (
                await refuse(base, [header for index, header in enumerate(HEADERS) if index != missing])
                == 401
            )
        assert await refuse(base, [(b"KALSHI-ACCESS-TIMESTAMP", b"yesterday"), HEADERS[0], HEADERS[2]]) == 401
        assert await refuse(base, HEADERS, "/elsewhere") == 404


@pytest.mark.trio
async def test_messages_carry_the_clients_own_numbers(tmp_path: Path) -> None:
    async with (
        standing_in(write_capture(tmp_path / "session.gz", SESSION)) as base,
        connected(base + PATH, HEADERS) as client,
    ):
        await client.say(subscribe(1, "trade", "orderbook_delta", market_tickers=["A"]))
        acks = await client.hear_some(2)
        heard = await client.hear_some(4)
    assert acks == [
        {"type": "subscribed", "id": 1, "msg": {"channel": "trade", "sid": 1}},
        {"type": "subscribed", "id": 1, "msg": {"channel": "orderbook_delta", "sid": 2}},
    ]
    numbers = [(message["type"], message["sid"], message["seq"]) for message in heard]
    assert numbers == [
        ("orderbook_snapshot", 2, 1),
        ("orderbook_delta", 2, 2),
        ("trade", 1, 1),
        ("orderbook_delta", 2, 3),
    ]


@pytest.mark.trio
async def test_every_text_ends_with_a_newline(tmp_path: Path) -> None:
    async with (
        standing_in(write_capture(tmp_path / "session.gz", SESSION)) as base,
        connected(base + PATH, HEADERS) as client,
    ):
        await client.say(subscribe(1, "ticker"))
        texts = [str(await client.socket.get_message()) for _ in range(2)]
    assert all(text.endswith("}\n") for text in texts)


@pytest.mark.trio
async def test_snapshot_on_demand_is_the_book_of_that_moment(tmp_path: Path) -> None:
    async with (
        standing_in(write_capture(tmp_path / "session.gz", SESSION)) as base,
        connected(base + PATH, HEADERS) as client,
    ):
        await client.say(subscribe(1, "orderbook_delta", market_tickers=["A", "B"]))
        await client.hear_some(6)
        params = {"sids": [1], "market_tickers": ["A", "B"], "action": "get_snapshot"}
        await client.say({"id": 2, "cmd": "update_subscription", "params": params})
        first, second = await client.hear_some(2)
    assert (first["id"], first["seq"], second["seq"]) == (2, 6, 7)
    assert first["msg"] == {"market_ticker": "A", "market_id": "u", "no_dollars_fp": [["0.5900", "4.00"]]}
    assert second["msg"] == {"market_ticker": "B", "market_id": "u", "no_dollars_fp": [["0.1000", "2.00"]]}


@pytest.mark.trio
async def test_market_added_late_starts_with_its_book(tmp_path: Path) -> None:
    async with (
        standing_in(write_capture(tmp_path / "session.gz", SESSION)) as base,
        connected(base + PATH, HEADERS) as client,
    ):
        await client.say(subscribe(1, "orderbook_delta", market_tickers=["A"]))
        await client.hear_some(4)
        await client.say(subscribe(2, "orderbook_delta", market_tickers=["B"]))
        ok, book = await client.hear_some(2)
    assert ok == {"type": "ok", "id": 2, "sid": 1, "seq": 4, "msg": {"market_tickers": ["A", "B"]}}
    assert (book["type"], book["seq"], book["msg"]["no_dollars_fp"]) == (
        "orderbook_snapshot",
        5,
        [["0.1000", "2.00"]],
    )


@pytest.mark.trio
async def test_no_prices_come_on_the_scale_that_was_asked_for(tmp_path: Path) -> None:
    async with (
        standing_in(write_capture(tmp_path / "session.gz", SESSION)) as base,
        connected(base + PATH, HEADERS) as client,
    ):
        await client.say(subscribe(1, "orderbook_delta", market_tickers=["A", "B"], use_yes_price=True))
        _, book, _, _, change = await client.hear_some(5)
    assert book["msg"]["no_dollars_fp"] == [["0.4100", "4.00"]]
    assert change["msg"]["price_dollars"] == "0.9000"


@pytest.mark.trio
@pytest.mark.parametrize(
    ("command", "code"),
    [
        ("{", 1),
        ({"id": 1, "cmd": "jump"}, 5),
        ({"id": 1, "cmd": "subscribe"}, 2),
        ({"id": 1, "cmd": "subscribe", "params": {}}, 3),
        (subscribe(1, "surprise"), 8),
        (subscribe(1, "orderbook_delta"), 14),
        (subscribe(1, "trade", market_tickers="A"), 11),
        ({"id": 1, "cmd": "unsubscribe", "params": {}}, 4),
        ({"id": 1, "cmd": "unsubscribe", "params": {"sids": [9]}}, 7),
        ({"id": 1, "cmd": "update_subscription", "params": {"sids": [1, 2]}}, 12),
        ({"id": 1, "cmd": "update_subscription", "params": {"sids": [1]}}, 15),
        ({"id": 1, "cmd": "update_subscription", "params": {"sid": 1, "action": "dance"}}, 13),
        ({"id": 1, "cmd": "update_subscription", "params": {"sid": 1, "action": "add_markets"}}, 14),
    ],
)
async def test_wrong_command_gets_the_venues_code(tmp_path: Path, command: object, code: int) -> None:
    async with (
        standing_in(write_capture(tmp_path / "session.gz", SESSION)) as base,
        connected(base + PATH, HEADERS) as client,
    ):
        await client.ask(subscribe(8, "market_lifecycle_v2"))
        await client.socket.send_message(
            command if isinstance(command, str) else orjson.dumps(command).decode()
        )
        reply = await client.hear()
    assert (reply["type"], reply["msg"]["code"]) == ("error", code)


@pytest.mark.trio
async def test_subscribe_can_half_succeed_and_be_taken_back(tmp_path: Path) -> None:
    async with (
        standing_in(write_capture(tmp_path / "session.gz", SESSION)) as base,
        connected(base + PATH, HEADERS) as client,
    ):
        await client.say(subscribe(1, "fill", "surprise"))
        good, bad = await client.hear_some(2)
        assert (good["type"], bad["type"], bad["id"]) == ("subscribed", "error", 1)
        listed = await client.ask({"id": 2, "cmd": "list_subscriptions"})
        assert listed == {"type": "ok", "id": 2, "msg": [{"channel": "fill", "sid": 1}]}
        gone = await client.ask({"id": 3, "cmd": "unsubscribe", "params": {"sids": [1]}})
        assert gone == {"id": 3, "sid": 1, "seq": 1, "type": "unsubscribed"}
        assert (await client.ask({"id": 4, "cmd": "list_subscriptions"}))["msg"] == []


@pytest.mark.trio
async def test_pings_are_heartbeats(tmp_path: Path, autojump_clock: trio.testing.MockClock) -> None:
    """Seen through the client's library, which answers them: the connection stays for a minute."""
    autojump_clock.autojump_threshold = 0.02
    async with (
        standing_in(write_capture(tmp_path / "session.gz", SESSION)) as base,
        connected(base + PATH, HEADERS) as client,
    ):
        await client.ask(subscribe(1, "fill"))
        await client.hear()
        await trio.sleep(60)
        assert (await client.ask({"id": 2, "cmd": "list_subscriptions"}))["type"] == "ok"


def key_file(tmp_path: Path) -> Path:
    return write_key(tmp_path / "key.pem", rsa.generate_private_key(public_exponent=65_537, key_size=2_048))


async def listen(capture: Path, key: Path, count: int) -> tuple[Listener, FeedHealth]:
    """A feed of markets A and B until it heard so many books and increments."""
    listener, health = Listener(), FeedHealth("kalshi", "kalshi")
    async with standing_in(capture) as base, trio.open_nursery() as nursery:
        rest = base.replace("ws", "http", 1)
        settings = KalshiSettings(
            markets=["A", "B"], key_id="id", private_key_file=key, account="me", url=base, rest_url=rest
        )
        feed = partial(run_kalshi, settings, load_signer(key), listener, health)
        nursery.start_soon(partial(feed, past=AccountPast(0, frozenset())))
        await listener.wait_until(
            lambda: len(listener.of(BookSnapshot)) + len(listener.of(BookIncrement)) >= count
        )
        nursery.cancel_scope.cancel()
    return listener, health


@pytest.mark.trio
async def test_feed_hears_books_trades_tickers_and_fills(tmp_path: Path) -> None:
    listener, health = await listen(write_capture(tmp_path / "session.gz", SESSION), key_file(tmp_path), 5)
    assert len(listener.of(BookSnapshot)) == 2
    assert [event.change for event in listener.of(BookIncrement)] == [125, 200, -625]
    assert listener.of(BookIncrement)[1].side is Side.SELL
    assert (len(listener.of(Trade)), len(listener.of(Ticker)), len(listener.of(OrderFill))) == (1, 1, 1)
    assert (health.garbage, health.gaps) == (0, 0)


@pytest.mark.trio
async def test_books_of_a_feed_that_was_ended_are_stale(tmp_path: Path) -> None:
    listener, _ = await listen(write_capture(tmp_path / "session.gz", SESSION), key_file(tmp_path), 5)
    last = {event.market: event.status for event in listener.of(BookStatusChanged)}
    assert last == {"A": BookStatus.STALE, "B": BookStatus.STALE}


@pytest.mark.trio
async def test_number_missing_in_the_recording_is_a_gap_and_heals(tmp_path: Path) -> None:
    session = [message for message in SESSION if message != SESSION[5]]
    listener, health = await listen(write_capture(tmp_path / "session.gz", session), key_file(tmp_path), 4)
    statuses = [event.status for event in listener.of(BookStatusChanged) if event.market == "A"]
    assert statuses[:3] == [BookStatus.RESYNC, BookStatus.GAP, BookStatus.RESYNC]
    assert health.gaps == 1
    assert len(listener.of(BookSnapshot)) == 4
