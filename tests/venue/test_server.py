"""What all stand-ins share: the door, the pace, and clients that misbehave."""

from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx
import orjson
import pytest
import trio
import trio.testing
from hypothesis import given
from trio_websocket import ConnectionClosed

from monitor.errors import CaptureError, ConfigError
from monitor.events import Ticker
from monitor.feeds.binance import run_binance
from monitor.health.feeds import FeedHealth
from monitor.storage.tape import TapeLine
from monitor.venue.detect import VENUES, open_venue
from monitor.venue.script import Conversation, Recording, Request
from monitor.venue.server import run_venue
from tests.captures import capture, write_capture
from tests.feeds.garbage import messages
from tests.venue.client import Client, connected, standing_in
from tests.venue.listener import Listener
from tests.venue.test_binance import settings as feed_settings
from tests.venue.test_kalshi import SESSION as KALSHI
from tests.venue.test_others import KRAKEN

STREAM = "/stream?streams=xusdt@miniTicker"


def mini(number: int, padding: str = "") -> dict[str, Any]:
    data = {"e": "24hrMiniTicker", "E": number, "s": "XUSDT", "c": "1", "v": "7", "pad": padding}
    return {"stream": "xusdt@miniTicker", "data": data}


def numbers(heard: list[Any]) -> list[int]:
    return [message["data"]["E"] for message in heard]


@pytest.mark.trio
async def test_each_connection_hears_the_session_from_its_start(tmp_path: Path) -> None:
    session = write_capture(tmp_path / "session.gz", [mini(number) for number in range(50)])
    async with standing_in(session) as base:
        for _ in range(2):
            async with connected(base + STREAM) as one, connected(base + STREAM) as other:
                assert (
                    numbers(await one.hear_some(50)) == numbers(await other.hear_some(50)) == list(range(50))
                )


@pytest.mark.trio
@pytest.mark.parametrize(("speed", "seconds"), [(1.0, 40), (10.0, 4), (None, 0)])
async def test_pace_is_the_recorded_one_times_the_speed(
    tmp_path: Path, jumping_clock: trio.testing.MockClock, speed: float | None, seconds: float
) -> None:
    session = write_capture(tmp_path / "session.gz", map(mini, range(5)), every_seconds=10)
    async with standing_in(session, speed=speed) as base, connected(base + STREAM) as client:
        await client.hear()
        start = trio.current_time()
        await client.hear_some(4)
        assert trio.current_time() - start == pytest.approx(seconds, abs=0.3)


@pytest.mark.trio
async def test_connection_stays_open_and_pinged_after_the_session(
    tmp_path: Path, jumping_clock: trio.testing.MockClock
) -> None:
    session = write_capture(tmp_path / "session.gz", [mini(1)])
    async with standing_in(session) as base, connected(base + STREAM) as client:
        await client.hear()
        await trio.sleep(300)
        assert (await client.ask({"method": "LIST_SUBSCRIPTIONS", "id": 1}))["result"] == ["xusdt@miniTicker"]


@pytest.mark.trio
async def test_client_that_never_reads_or_leaves_in_a_frame_costs_the_others_nothing(tmp_path: Path) -> None:
    session = write_capture(tmp_path / "session.gz", [mini(number, "x" * 10_000) for number in range(2_000)])
    async with standing_in(session) as base:
        parts = urlsplit(base)
        assert parts.hostname
        assert parts.port
        upgrade = (
            f"GET {STREAM} HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
        )
        async with await trio.open_tcp_stream(parts.hostname, parts.port) as deaf:
            await deaf.send_all(upgrade.encode())
            async with await trio.open_tcp_stream(parts.hostname, parts.port) as rude:
                await rude.send_all(upgrade.encode() + b"\x81\xfe\x01")
                await rude.receive_some(10)
            async with connected(base + STREAM) as client:
                assert len(await client.hear_some(2_000)) == 2_000


@pytest.mark.trio
@pytest.mark.parametrize(
    "start", [b"", b"\x00\xff\r\n\r\n", b"GET / HTTP/9\r\n\r\n", b"GET /" + b"x" * 100_000]
)
async def test_what_is_no_http_ends_only_its_connection(tmp_path: Path, start: bytes) -> None:
    async with standing_in(write_capture(tmp_path / "session.gz", [mini(1)])) as base:
        parts = urlsplit(base)
        async with await trio.open_tcp_stream(parts.hostname or "", parts.port or 0) as stream:
            await stream.send_all(start)
            with suppress(trio.BrokenResourceError):  # it may be closed before it took all
                await stream.send_eof()
                assert await stream.receive_some(10) in (b"", b"HTTP/1.1 4")
        async with connected(base + STREAM) as client:
            assert numbers([await client.hear()]) == [1]


@pytest.mark.trio
async def test_wrong_http_requests_get_a_clear_answer(tmp_path: Path) -> None:
    session = write_capture(tmp_path / "session.gz", [mini(1)])
    async with standing_in(session) as base, httpx.AsyncClient(base_url=base.replace("ws", "http")) as client:
        statuses = [
            (await client.post("/api/v3/depth", content=b"x" * 100)).status_code,
            (await client.get("/nowhere")).status_code,
            (await client.get("//[")).status_code,
            (await client.get("/api/v3/ping")).status_code,
            (await client.get("/ws", headers={"Upgrade": "websocket"})).status_code,
        ]
    assert statuses == [405, 404, 404, 200, 400]


@pytest.mark.trio
async def test_binary_and_oversized_commands_are_closed(tmp_path: Path) -> None:
    async with standing_in(write_capture(tmp_path / "session.gz", [mini(1)])) as base:
        for message, code in ((b"binary", 1003), ("x" * 1_100_000, 1009)):
            async with connected(f"{base}/ws") as client:
                await client.socket.send_message(message)  # type: ignore[arg-type]
                with pytest.raises(ConnectionClosed) as closed:
                    await Client.hear(client)
            assert closed.value.reason is not None
            assert closed.value.reason.code == code


@pytest.mark.trio
async def test_feed_finds_a_venue_that_came_back(tmp_path: Path) -> None:
    session = write_capture(tmp_path / "session.gz", [mini(1)])
    listener, health = Listener(), FeedHealth("binance", "binance")
    async with trio.open_nursery() as nursery:
        async with standing_in(session) as base:
            nursery.start_soon(run_binance, feed_settings(base, "XUSDT"), listener, health)
            await listener.wait_for(Ticker)
        with trio.fail_after(60):
            port = urlsplit(base).port
            assert port
            await nursery.start(partial(run_venue, session, port=port, speed=None))
            await listener.wait_for(Ticker, 2)
        nursery.cancel_scope.cancel()
    assert health.retries >= 1


@pytest.mark.trio
@pytest.mark.parametrize("speed", [0.0, -1.0, float("inf"), float("nan")])
async def test_speed_that_is_none_is_said(tmp_path: Path, speed: float) -> None:
    with pytest.raises(ConfigError, match="speed"):
        await run_venue(tmp_path, port=0, speed=speed)


@pytest.mark.trio
async def test_port_in_use_is_said(tmp_path: Path) -> None:
    session = write_capture(tmp_path / "session.gz", [mini(1)])
    async with standing_in(session) as base:
        with pytest.raises(ConfigError, match="can't listen on"):
            await run_venue(session, port=urlsplit(base).port or 0, speed=None)


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ([], "no message of a venue"),
        ([{"hello": 1}, "text"], "no message of a venue"),
        ([{"result": None, "id": 1}], "no message of a venue"),
        ([{"success": True, "ret_msg": "", "op": "subscribe"}], "no message to replay"),
        ([{"topic": 7, "data": {}}], "never sends"),
    ],
)
def test_session_that_cannot_be_served_is_said(tmp_path: Path, content: list[object], words: str) -> None:
    with pytest.raises(CaptureError, match=words) as caught:
        open_venue(write_capture(tmp_path / "session.gz", content))
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("name", "venue"),
    [
        ("binance/spot_btcusdt_20240808", "Binance spot"),
        ("binance/spot_4sym_20211012", "Binance spot"),
        ("binance/usdm_4sym_20210722", "Binance USD-M"),
        ("bybit/v5_linear_4sym_20260809", "Bybit v5"),
        ("bybit/samples", "Bybit v5"),
        ("coinbase/exchange_10prod_20210417", "Coinbase Exchange"),
        ("coinbase/samples", "Coinbase Exchange"),
        ("kalshi/samples", "Kalshi"),
        ("kraken/v1_book1000_10pairs_20210417", "Kraken v1"),
        ("kraken/samples", "Kraken v2"),
    ],
)
def test_venue_is_told_by_what_it_says(name: str, venue: str) -> None:
    opened = open_venue(capture(name))
    assert opened.name == venue
    assert opened.script.lines


def conversations() -> list[Conversation]:
    """One of each dialect, over the shortest session that has it."""
    sessions: dict[str, tuple[list[object], str, dict[str, str]]] = {
        "binance": ([mini(1)], "/ws", {}),
        "kalshi": (
            KALSHI,
            "/trade-api/ws/v2",
            {f"kalshi-access-{x}": "1" for x in ("key", "timestamp", "signature")},
        ),
        "coinbase": ([{"type": "match", "product_id": "X-USD"}], "/", {}),
        "bybit": ([{"topic": "tickers.X", "type": "snapshot"}], "/v5/public/linear", {}),
        "kraken 1": ([[1, {"as": []}, "book-10", "X/Y"]], "/", {}),
        "kraken 2": (KRAKEN, "/v2", {}),
    }
    opened = []
    for key, (lines, path, headers) in sessions.items():
        texts = [line for line in lines if isinstance(line, str | dict | list)]
        tape = [TapeLine(1.0, True, t if isinstance(t, str) else orjson.dumps(t).decode()) for t in texts]
        opened.append(VENUES[key](Recording(tape, [])).accept(Request(path, {}, headers)))
        if key == "binance":
            opened.append(VENUES[key](Recording(tape, [])).accept(Request("/ws-api/v3", {}, {})))
    assert all(isinstance(conversation, Conversation) for conversation in opened)
    return [conversation for conversation in opened if isinstance(conversation, Conversation)]


@given(
    messages(
        "id cmd params channels market_tickers sids action method event pair subscription name type op args"
        " product_ids symbol channel depth req_id apiKey timestamp signature snapshot"
    )
)
def test_no_command_raises_and_every_one_is_answered(command: str) -> None:
    for conversation in conversations():
        for reply in conversation.command(command):
            assert orjson.loads(reply) is not None
