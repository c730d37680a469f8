"""Whatever a venue does to a conversation at whatever stage, the feed ends with the whole truth."""

from collections import Counter
from collections.abc import Callable
from functools import partial
from itertools import product
from pathlib import Path
from typing import Any

import orjson
import pytest
import trio

from monitor.config import BinanceAccountSettings, KalshiSettings
from monitor.events import AccountPast, Event, OrderFill
from monitor.feeds import feed, rest
from monitor.feeds.binance import run_binance
from monitor.feeds.binance_account import run_binance_account
from monitor.feeds.feed import Sink
from monitor.feeds.kalshi import run_kalshi
from monitor.feeds.kalshi_key import load_signer
from monitor.health.feeds import FeedHealth
from monitor.market.state import MarketState
from tests.captures import write_capture
from tests.venue.test_binance import MINI, REPORT, depth, snapshot_at, write_session
from tests.venue.test_binance import settings as binance_settings
from tests.venue.test_kalshi import FILL, SESSION, delta, key_file
from tests.venue.unruly import Fault, Unruly, unruly_venue

pytestmark = pytest.mark.trio

PATIENCE_SECONDS = 60
UPGRADE = b" 101 "
Run = Callable[[Unruly, Sink], Any]
BODY: dict[str, Any] = orjson.loads(orjson.dumps(FILL))["msg"]
Truth = Callable[[MarketState, Counter[str]], bool]


@pytest.fixture(autouse=True)
def hurried(monkeypatch: pytest.MonkeyPatch) -> None:
    """The same bounds, sooner; but thirty feeds at once on a busy machine have to meet them."""
    monkeypatch.setattr(feed, "CONNECT_SECONDS", 5.0)
    monkeypatch.setattr(feed, "ANSWER_SECONDS", 3.0)
    monkeypatch.setattr(feed, "JUDGE_SECONDS", 0.2)
    monkeypatch.setattr(feed, "BACKOFF_SECONDS", 0.1)
    monkeypatch.setattr(rest, "TIMEOUT_SECONDS", 5)


async def meet(capture: Path, fault: Fault, mark: bytes, run: Run, is_truth: Truth, *, cuts: bool) -> None:
    """Run a feed on a venue with that fault until all is known, after a cut if there must be one."""
    market, fills = MarketState(lambda channel: 0), Counter[str]()
    changed, idle_seconds = trio.Event(), 1

    def sink(event: Event, received_ns: int) -> None:
        nonlocal changed
        for publication in market.apply(event, 0):
            publication.note()
        if isinstance(event, OrderFill):
            fills[event.fill_id] += 1
        changed.set()
        changed = trio.Event()

    async with unruly_venue(capture, fault, mark, speed=4) as venue, trio.open_nursery() as nursery:
        nursery.start_soon(run, venue, sink)
        with trio.move_on_after(PATIENCE_SECONDS) as patience:
            while not (venue.has_struck and is_truth(market, fills)):
                with trio.move_on_after(idle_seconds) as idle:
                    await changed.wait()
                if cuts and venue.has_struck and idle.cancelled_caught:
                    venue.cut()
                    # On a slow machine it may have come before all could be told.
                    idle_seconds *= 2
        assert not patience.cancelled_caught, f"{fault} of {mark!r}: struck {venue.has_struck}, {fills}"
        nursery.cancel_scope.cancel()


async def meet_all(
    marks: dict[str, bytes], capture: Path, run: Run, is_truth: Truth, *, cuts: bool = False
) -> None:
    async with trio.open_nursery() as nursery:
        for fault, mark in product(Fault, marks.values()):
            nursery.start_soon(partial(meet, capture, fault, mark, run, is_truth, cuts=cuts))


def book(market: MarketState, channel: str) -> dict[str, Any]:
    view = market.view(channel)
    found: dict[str, Any] = orjson.loads(view.whole()) if view else {}
    return {name: found.get(name) for name in ("status", "bids", "asks")}


def open_orders(market: MarketState) -> dict[str, str]:
    """How much of each is filled."""
    view = market.view("open_orders:me")
    assert view is not None
    return {told["order"]: told["filled"] for told in orjson.loads(view.whole()).values()}


async def test_binance_books_end_as_they_are(tmp_path: Path) -> None:
    depths = [depth(10 + 2 * n, 11 + 2 * n, f"1.{10 + n}000000") for n in range(12)]
    messages = [
        message for each in depths for message in (each, {"stream": "xusdt@miniTicker", "data": MINI})
    ]
    session = write_session(tmp_path, messages, snapshot_at(11))
    bids = {"1": "5"} | {f"1.{10 + n}".rstrip("0"): "1" for n in range(1, 12)}

    async def run(venue: Unruly, sink: Sink) -> None:
        await run_binance(binance_settings(venue.url, "XUSDT"), sink, FeedHealth("binance", "binance"))

    marks = {
        "connect": UPGRADE,
        "subscribe": b'"result":null',
        "snapshot": b"lastUpdateId",
        "stream": b'"u":21',
    }
    await meet_all(
        marks,
        session,
        run,
        lambda market, _: (
            book(market, "book:binance.XUSDT") == {"status": "SYNCED", "bids": bids, "asks": {"9": "5"}}
        ),
    )


async def test_kalshi_books_and_fills_end_as_they_are(tmp_path: Path) -> None:
    fills = [
        {"type": "fill", "sid": 9, "msg": BODY | {"trade_id": f"f{n}", "ts_ms": 1_000 * n}}
        for n in range(1, 4)
    ]
    deltas = [delta(7, 3 + n, "A", f"0.{30 + n}00", "2.00") for n in range(8)]
    messages = [*SESSION[:5], *deltas[:4], *fills, *deltas[4:]]
    session, key = write_capture(tmp_path / "session.gz", messages), key_file(tmp_path)

    async def run(venue: Unruly, sink: Sink) -> None:
        settings = KalshiSettings(
            markets=["A", "B"],
            key_id="id",
            private_key_file=key,
            account="me",
            url=venue.url,
            rest_url=venue.url.replace("ws", "http", 1),
        )
        past = AccountPast(0, frozenset())
        await run_kalshi(settings, load_signer(key), sink, FeedHealth("kalshi", "kalshi"), past=past)

    bids = {"0.39": "5"} | {f"0.{30 + n}".rstrip("0"): "2" for n in range(8)}
    marks = {
        "connect": UPGRADE,
        "subscribe": b'"subscribed"',
        "snapshot": b"orderbook_snapshot",
        "stream": b'"0.3300"',
        "fill": b'"f2"',
        "backfill": b'"fills"',
    }
    await meet_all(
        marks,
        session,
        run,
        lambda market, heard: (
            heard == {"f1": 1, "f2": 1, "f3": 1}
            and book(market, "book:kalshi.A") == {"status": "SYNCED", "bids": bids, "asks": {"0.41": "4"}}
        ),
        cuts=True,
    )


async def test_binance_fills_are_all_told_once(tmp_path: Path) -> None:
    reports = [
        REPORT | {"t": n, "I": 10 + n, "T": 1_000 * n, "l": "0.5", "z": str(0.5 * n)} for n in range(1, 4)
    ]
    session = write_capture(
        tmp_path / "account.gz", [{"subscriptionId": 0, "event": each} for each in reports]
    )

    async def run(venue: Unruly, sink: Sink) -> None:
        settings = BinanceAccountSettings.model_validate(
            {
                "account": "me",
                "api_key": "key",
                "api_secret": "secret",
                "symbols": ["XUSDT"],
                "url": venue.url,
                "rest_url": venue.url.replace("ws", "http", 1),
            }
        )
        past = AccountPast(0, frozenset())
        await run_binance_account(settings, sink, FeedHealth("binance_account", "binance"), past=past)

    def is_true(market: MarketState, heard: Counter[str]) -> bool:
        return heard == {"1": 1, "2": 1, "3": 1} and open_orders(market) == {"7": "1.5"}

    marks = {
        "connect": UPGRADE,
        "subscribe": b'"status":200',
        "stream": b'"t":2',
        "backfill": b'"isBuyer"',
        "orders": b'"clientOrderId"',
    }
    await meet_all(marks, session, run, is_true, cuts=True)
