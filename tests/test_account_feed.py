"""An account's feed in a whole server that does not know at first, or can't take at once, all there is."""

import sqlite3
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import trio

from monitor import app
from monitor.app import serve
from monitor.clock import wall_ms
from monitor.config import Settings
from monitor.control import Control
from monitor.events import MarketListed, OrderUpdate, Side
from monitor.feeds import feed
from monitor.keyring import Keyring
from monitor.keys import load_keys
from monitor.storage import home, journal, journal_file
from monitor.venue.server import run_venue
from tests.captures import write_capture
from tests.feeds.test_backfill import kalshi_fill
from tests.feeds.test_binance_account import REPORT
from tests.patience import PATIENCE_SECONDS
from tests.serve.running import KEYS, Server
from tests.storage.journal import running
from tests.venue.client import standing_in
from tests.venue.test_kalshi import key_file

pytestmark = pytest.mark.trio

CHANNEL = "orders:me"
FILLS = 500


@pytest.fixture(autouse=True)
def hasty(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(journal, "UPKEEP_SECONDS", 0.05)
    monkeypatch.setattr(app, "RECHECK_SECONDS", 0.05)
    monkeypatch.setattr(feed, "BACKOFF_SECONDS", 0.05)


def account(base: str) -> dict[str, Any]:
    keys = {"account": "me", "api_key": "k", "api_secret": "s", "symbols": ["XUSDT"]}
    return {"binance_account": keys | {"url": base, "rest_url": base.replace("ws", "http", 1)}}


def kalshi(base: str, key: Path) -> dict[str, Any]:
    keys = {"account": "me", "key_id": "k", "private_key_file": key, "markets": ["A"]}
    return {"kalshi": keys | {"url": base, "rest_url": base.replace("ws", "http", 1)}}


async def told_until(server: Server, claim: Callable[[list[dict[str, Any]]], bool]) -> list[dict[str, Any]]:
    """What the account's channel has kept, once that is true of it."""
    with trio.fail_after(PATIENCE_SECONDS):
        while True:
            answer = await server.api("history", channel=CHANNEL, limit=-1)
            told = [publication["data"] for publication in answer["result"]["publications"]]
            if claim(told):
                return told
            await trio.sleep(0.05)


@asynccontextmanager
async def serving(directory: Path, **given: Any) -> AsyncIterator[Server]:
    """One that may log what it can't help."""
    keys = {"api_key": KEYS.api, "operator_key": KEYS.operator, "token_key": KEYS.token}
    fixed = {"port": 0, "hosts": ["lanecast"], "data_dir": directory}
    settings, control = Settings.model_validate(fixed | keys | given), Control()
    async with trio.open_nursery() as nursery:
        address = await nursery.start(serve, settings, Keyring(load_keys(settings)), control)
        server = Server(int(address.rpartition(":")[2]), control)
        yield server
        for stream in server.streams:
            await stream.aclose()
        nursery.cancel_scope.cancel()


def locked(directory: Path) -> sqlite3.Connection:
    """A hand on the journal, which nobody else can write until it is closed."""
    holder = sqlite3.connect(directory / "journal.db", isolation_level=None)
    holder.execute("BEGIN IMMEDIATE")
    return holder


async def late_journal(
    directory: Path, monkeypatch: pytest.MonkeyPatch, *before: MarketListed | OrderUpdate
) -> sqlite3.Connection:
    """One that has these events, and tells a server of them only when the hand on it is closed."""
    async with running(directory) as each:
        for event in before:
            each.engine.ingest(event, 0)
    monkeypatch.setattr(home, "OPEN_LOOKS", 1)
    monkeypatch.setattr(home, "LOOK_SECONDS", 0)
    monkeypatch.setattr(journal, "READ_SECONDS", 0)
    return locked(directory)


async def test_what_a_journal_says_late_has_its_account_looked_up_anew(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    update = OrderUpdate("binance", "me", "XUSDT", "6", Side.SELL, "LIMIT", "NEW", 1, 1, 0, 1_000)
    holder = await late_journal(tmp_path, monkeypatch, MarketListed("binance", "XUSDT", 8, 8), update)
    session = write_capture(tmp_path / "session.gz", [REPORT | {"s": "ZUSDT"}, REPORT], every_seconds=3_600)
    async with (
        standing_in(session, speed=1) as base,
        serving(tmp_path, feeds=account(base)) as server,
    ):
        told = await told_until(server, lambda told: any(each["type"] == "order_fill" for each in told))
        assert {each["missing_since"] for each in told} == {0}
        assert not any("backfilled" in each for each in told)
        holder.close()
        await told_until(server, lambda told: any("backfilled" in each for each in told))
        told = await told_until(server, lambda told: any(each.get("status") == "GONE" for each in told))
    (gone,) = [each for each in told if each.get("status") == "GONE"]
    assert gone["order"] == "6"


async def test_a_feed_begins_anew_though_its_key_file_is_gone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    update = OrderUpdate("kalshi", "me", "A", "o", Side.BUY, "LIMIT", "NEW", 1, 1, 0, 1_000)
    holder = await late_journal(tmp_path, monkeypatch, MarketListed("kalshi", "A", 4, 2), update)
    key = key_file(tmp_path)
    session = [kalshi_fill("f1", 1_000_000), kalshi_fill("f2", 2_000_000)]
    capture = write_capture(tmp_path / "session.gz", session, every_seconds=3_600)
    async with standing_in(capture, speed=1) as base, serving(tmp_path, feeds=kalshi(base, key)) as server:
        await told_until(server, lambda told: any(each["type"] == "order_fill" for each in told))
        key.unlink()
        holder.close()
        await told_until(server, lambda told: any("backfilled" in each for each in told))


async def test_fills_that_find_no_room_are_looked_up_again(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    nursery: trio.Nursery,
    caplog: pytest.LogCaptureFixture,
) -> None:
    monkeypatch.setattr(journal_file, "BUSY_SECONDS", 60)
    monkeypatch.setattr(journal, "STALL_SECONDS", 60)
    reports = [REPORT | {"t": number, "I": number, "T": wall_ms()} for number in range(FILLS)]
    session = write_capture(tmp_path / "session.gz", reports, every_seconds=3_600)
    async with (
        kept_port() as port,
        serving(tmp_path, feeds=account(f"ws://127.0.0.1:{port}"), journal={"queue_bytes": 65_536}) as server,
    ):
        holder = locked(tmp_path)
        await nursery.start(partial(run_venue, session, port=port, speed=1))
        with trio.fail_after(PATIENCE_SECONDS):
            while b'refused_total{cause="queue_bytes"}' not in (await server.get("/metrics")).body:  # noqa: ASYNC110 - no event
                await trio.sleep(0.05)
        holder.close()
        told = await told_until(server, lambda told: len({each["fill"] for each in fills(told)}) == FILLS)
        assert len(fills(told)) == FILLS
    assert "binance_account: begins anew: " in caplog.text


def fills(told: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [each for each in told if each["type"] == "order_fill"]


@asynccontextmanager
async def kept_port() -> AsyncIterator[int]:
    """A port that refuses everybody and is given to nobody, until who asks for it by number listens on it."""
    with trio.socket.socket() as keeper:
        # As Trio's listeners have it: two that share a port may both be bound to it while neither listens.
        keeper.setsockopt(trio.socket.SOL_SOCKET, trio.socket.SO_REUSEADDR, 1)
        await keeper.bind(("127.0.0.1", 0))
        yield keeper.getsockname()[1]
