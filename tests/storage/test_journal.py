"""The journal as the hub sees it: kept first, sent then, in order, and never in the way."""

import os
import shutil
import sqlite3
from pathlib import Path
from typing import Any

import orjson
import pytest

from monitor.broadcast.history import Position
from monitor.broadcast.hub import BadPublication, TooBusy
from monitor.broadcast.item import Publication
from monitor.clock import wall_ms
from monitor.events import Event
from monitor.restart import take_over
from monitor.storage import home, journal
from monitor.storage.lock import JournalInUse
from tests.market.events import listing, order_fill, order_update
from tests.serve.running import running as running_server
from tests.storage.journal import Running, kept, opened, record, running

pytestmark = pytest.mark.trio

CHANNEL = "orders:ann"
YEAR_MS = 365 * 86_400_000


class Clock:
    """A wall clock that can be set."""

    def __init__(self) -> None:
        self.ahead_ms = 0

    def __call__(self) -> int:
        return wall_ms() + self.ahead_ms


def in_file(directory: Path) -> list[tuple[int, bytes]]:
    file = opened(directory)
    rows = [(row.position.offset, row.data) for row in file.tail(10_000)]
    file.close()
    return rows


def kept_of(each: Running, channel: str = CHANNEL) -> list[Publication]:
    hub = each.engine.hub
    return hub.stream(channel).read(hub.health.clock_ns(), since=None, limit=None, reverse=False)


def in_history(each: Running, channel: str = CHANNEL) -> list[tuple[int, bytes]]:
    return [(publication.offset, publication.data) for publication in kept_of(each, channel)]


async def test_nobody_sees_a_publication_before_the_journal_has_it(tmp_path: Path) -> None:
    async with running(tmp_path) as each:
        receipt = each.engine.hub.publish(CHANNEL, b"1")
        assert not receipt.is_settled
        assert in_history(each) == []
        reader = sqlite3.connect(tmp_path / "journal.db")
        receipt.then(lambda: seen.extend(reader.execute("SELECT offset, data FROM publications")))
        seen: list[tuple[int, str]] = []
        position = await receipt.wait()
        assert position == each.engine.hub.stream(CHANNEL).position
        assert seen == [(1, "1")]
        assert in_history(each) == [(1, b"1")]
        reader.close()


async def test_what_gathers_while_a_commit_runs_goes_into_the_next_one(tmp_path: Path) -> None:
    async with running(tmp_path) as each:
        hub = each.engine.hub
        receipts = [hub.publish(f"orders:{number % 3}", b"%d" % number) for number in range(500)]
        positions = [await receipt.wait() for receipt in receipts]
        assert [position.offset for position in positions if position] == [n // 3 + 1 for n in range(500)]
        each.engine.health.sample()
        assert each.engine.health.journal.commit.since_start.count <= 3
        assert in_history(each, "orders:1") == [(n // 3 + 1, b"%d" % n) for n in range(1, 500, 3)]


async def test_other_channels_do_not_wait_for_the_journal(tmp_path: Path) -> None:
    async with running(tmp_path) as each:
        each.engine.hub.publish(CHANNEL, b"1")
        assert each.engine.hub.publish("trades:sim.X", b"2").is_settled


async def test_what_waits_is_bounded_and_beyond_it_the_publisher_is_told(tmp_path: Path) -> None:
    async with running(tmp_path, journal={"queue_bytes": 65_536}) as each:
        hub = each.engine.hub
        receipts = [hub.publish(CHANNEL, b'"%s"' % (b"x" * 15_000)) for _ in range(4)]
        with pytest.raises(TooBusy, match=r"60008 bytes wait for the journal, of at most 65536"):
            hub.publish(CHANNEL, b'"%s"' % (b"x" * 15_000))
        with pytest.raises(BadPublication, match=r"65536 bytes wait for the journal.*publish less"):
            hub.publish("orders:other", b'"%s"' % (b"x" * 70_000))
        assert hub.channel("orders:other") is None
        receipts.append(hub.publish(CHANNEL, b'"%s"' % (b"x" * 5_480)))
        assert each.engine.health.totals.refused == {"queue_bytes": 2}
        assert [await receipt.wait() for receipt in receipts][-1] == hub.stream(CHANNEL).position
        assert await each.publish(b"1")
        meter = each.engine.health.journal
        assert (meter.depth, meter.waiting_bytes) == (0, 0)


async def test_fills_of_a_feed_find_room_where_publishers_are_refused_and_beyond_it_nothing_says_they_were(
    tmp_path: Path,
) -> None:
    async with running(tmp_path, journal={"queue_bytes": 65_536}) as each:
        each.engine.hub.publish(CHANNEL, b'"%s"' % (b"x" * 65_000))
        each.engine.ingest(listing("BTCUSDT"), 0)
        fills = [order_fill(f"f{number}") for number in range(300)]
        for fill in fills:
            each.engine.ingest(fill, 0)
        refused = each.engine.health.totals.refused["queue_bytes"]
        assert 0 < refused < 200
        await each.until(lambda meter: not meter.depth)
        assert each.engine.health.journal.kept == 1 + len(fills) - refused
        for fill in fills:
            each.engine.ingest(fill, 0)
    kept = [orjson.loads(data)["fill"] for _, data in in_file(tmp_path)[1:]]
    assert kept == [fill.fill_id for fill in fills]


async def test_a_journaled_publication_cannot_skip_history(tmp_path: Path) -> None:
    async with running(tmp_path) as each:
        with pytest.raises(BadPublication, match="is journaled"):
            each.engine.hub.publish(CHANNEL, b"1", skip_history=True)


async def test_the_second_of_a_key_is_not_sent_and_told_where_the_first_one_stands(tmp_path: Path) -> None:
    async with running(tmp_path) as each:
        first = await each.publish(b"1", key="k")
        again = each.engine.hub.publish(CHANNEL, b"2", key="k")
        assert await again.wait() == first
        assert again.is_duplicate
    async with running(tmp_path) as each:
        assert await each.publish(b"3", key="k") == first
        assert in_history(each) == [(1, b"1")]
        assert each.engine.health.journal.duplicates == 1


async def test_no_key_of_a_publishers_own_stands_in_the_way_of_a_fill(tmp_path: Path) -> None:
    deal = {"market": "my.X", "side": "buy", "price": "1", "size": "1"}
    fill = {"type": "order_fill", "fill": "7", "time": 1_700_000_000_000} | deal
    async with running_server(data_dir=tmp_path) as server:
        await server.publish("orders:ann", {"note": "of a fill"}, idempotency_key="my.X/7")
        assert (await server.publish("orders:ann", fill))["offset"] == 2


async def test_what_waits_at_the_end_is_kept(tmp_path: Path) -> None:
    async with running(tmp_path) as each:
        receipt = each.engine.hub.publish(CHANNEL, b"1")
    assert receipt.is_settled
    assert in_file(tmp_path) == [(1, b"1")]


async def test_a_new_server_goes_on_where_the_last_one_was(tmp_path: Path) -> None:
    async with running(tmp_path) as each:
        before = [await each.publish(b"%d" % number) for number in range(3)][-1]
    async with running(tmp_path) as each:
        assert each.engine.hub.stream(CHANNEL).position == before
        assert in_history(each) == [(1, b"0"), (2, b"1"), (3, b"2")]
        assert await each.publish(b"3") == Position(4, before.epoch)


async def test_what_came_with_a_publication_is_there_again(tmp_path: Path) -> None:
    info, tags = b'{"user":"ann","client":"c"}', b'{"side":"buy"}'
    async with running(tmp_path) as each:
        await each.engine.hub.publish(CHANNEL, b"1", kind="order_update", info=info, tags=tags).wait()
    async with running(tmp_path) as each:
        (again,) = kept_of(each)
        assert (again.data, again.kind, again.info, again.tags) == (b"1", "order_update", info, tags)


async def test_who_waits_at_an_empty_channel_waits_at_the_same_one_after_a_restart(tmp_path: Path) -> None:
    async with running(tmp_path) as each:
        before = {channel: each.engine.hub.stream(channel).position for channel in (CHANNEL, "trades:all")}
    async with running(tmp_path) as each:
        assert each.recovers(before[CHANNEL]) == []
        await each.publish(b"1")
        assert each.recovers(before[CHANNEL]) == [b"1"]
        assert each.recovers(before["trades:all"], "trades:all") is None


BOTS_ONLY: dict[str, Any] = {"orders": {"journal": False}}
NOTHING: dict[str, Any] = {"orders": {"journal": False}, "bots": {"journal": False}}
ALL_BUT_ANN: dict[str, Any] = {
    "orders:ann": {"access": "token", "history_size": 10},
    "orders:bob": {"access": "token", "history_size": 10},
}


@pytest.mark.parametrize("between", [BOTS_ONLY, NOTHING, ALL_BUT_ANN], ids=["one", "none", "all but one"])
async def test_nobody_recovers_across_a_server_that_did_not_journal_the_channel(
    tmp_path: Path, between: dict[str, Any]
) -> None:
    async with running(tmp_path) as each:
        before = await each.publish(b'"kept"')
        empty = each.engine.hub.stream("orders:bob").position
    async with running(tmp_path, namespaces=between) as each:
        unkept, unseen = await each.publish(b'"unkept"'), await each.publish(b'"unkept"', "orders:bob")
        assert each.recovers(before) is None
    async with running(tmp_path) as each:
        assert [each.recovers(since) for since in (before, unkept)] == [None, None]
        assert [each.recovers(since, "orders:bob") for since in (empty, unseen)] == [None, None]
        after = await each.publish(b'"kept again"')
        assert after.offset == before.offset + 1
    async with running(tmp_path) as each:
        assert each.recovers(after) == []


@pytest.mark.parametrize(
    ("synchronous", "boot", "recovered"),
    [("normal", "second", None), ("normal", "first", []), ("full", "second", [])],
    ids=["power cut", "kill", "power cut with all synced"],
)
async def test_who_comes_back_after_a_power_cut_is_told_that_something_may_be_lost(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    synchronous: str,
    boot: str,
    recovered: list[bytes] | None,
) -> None:
    monkeypatch.setattr(home, "BOOT", tmp_path / "boot_id")
    (tmp_path / "boot_id").write_text("first")
    async with running(tmp_path / "then", journal={"synchronous": synchronous}) as each:
        before = await each.publish(b"1")
        shutil.copytree(tmp_path / "then", tmp_path / "now")
    (tmp_path / "boot_id").write_text(boot)
    async with running(tmp_path / "now") as each:
        assert each.recovers(before) == recovered


async def test_a_machine_that_was_started_again_in_order_loses_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(home, "BOOT", tmp_path / "boot_id")
    for boot in ("first", "second"):
        (tmp_path / "boot_id").write_text(boot)
        async with running(tmp_path) as each:
            position = await each.publish(b"1")
    assert position.offset == 2
    async with running(tmp_path) as each:
        assert each.recovers(Position(1, position.epoch)) == [b"1"]


@pytest.mark.parametrize("settings", [BOTS_ONLY, ALL_BUT_ANN], ids=["one", "all but one"])
async def test_what_stays_journaled_is_recovered_from_server_to_server(
    tmp_path: Path, settings: dict[str, Any]
) -> None:
    async with running(tmp_path, namespaces=settings) as each:
        before = await each.publish(b"1", "bots:ann")
    async with running(tmp_path, namespaces=settings) as each:
        await each.publish(b"2", "bots:ann")
        assert each.recovers(before, "bots:ann") == [b"2"]


async def test_history_that_is_older_than_its_namespace_allows_is_not_restored(tmp_path: Path) -> None:
    kept(tmp_path, [record(1), record(2, time_ms=2**50)])
    async with running(tmp_path, namespaces={"orders": {"history_seconds": 60}}) as each:
        assert in_history(each) == [(2, b'{"n":2}')]


async def test_orders_fills_and_bots_are_there_again(tmp_path: Path) -> None:
    events: list[Event] = [listing("BTCUSDT"), order_update("o1", "NEW"), order_update("o2", "NEW")]
    events += [order_fill("f1"), order_update("o2", "FILLED", 500), order_fill("f2")]
    async with running(tmp_path) as each:
        for event in events:
            each.engine.ingest(event, 0)
        await each.publish(b'{"type":"order_fill","fill":3}', "orders:paper")  # once it could be said
        await each.publish(b'["anything"]', "orders:paper")
        view = each.engine.market.view("orders:paper")
        assert view is not None
        before = orjson.loads(view.whole())
        assert [order["order"] for order in before["orders"]] == ["o1"]
        assert [fill["fill"] for fill in before["fills"]] == ["f1", "f2"]
        past = each.engine.market.past("paper", "sim")
        assert past is not None
        assert past.markets == {"BTCUSDT"}
    async with running(tmp_path) as each:
        view = each.engine.market.view("orders:paper")
        assert view is not None
        assert orjson.loads(view.whole()) == before
        assert each.engine.market.past("paper", "sim") == past


async def test_a_fill_that_the_venue_tells_again_after_a_restart_is_shown_once(tmp_path: Path) -> None:
    for _ in range(2):
        async with running(tmp_path) as each:
            for event in (listing("BTCUSDT"), order_fill("f1")):
                each.engine.ingest(event, 0)
    assert [offset for offset, _ in in_file(tmp_path)] == [1]


async def test_a_fill_that_memory_has_forgotten_is_known_to_the_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with running(tmp_path) as each:
        for event in (listing("BTCUSDT"), order_fill("f1")):
            each.engine.ingest(event, 0)
    monkeypatch.setattr(home, "RESTORED_ROWS", 0)
    async with running(tmp_path) as each:
        for event in (listing("BTCUSDT"), order_fill("f1"), order_fill("f2")):
            each.engine.ingest(event, 0)
        await each.publish(b"1", "orders:paper")
        view = each.engine.market.view("orders:paper")
        assert view is not None
        assert [fill["fill"] for fill in orjson.loads(view.whole())["fills"]] == ["f2"]
        assert [offset for offset, _ in in_history(each, "orders:paper")] == [2, 3]


async def test_a_subscriber_starts_from_what_is_out_and_is_not_sent_it_again(tmp_path: Path) -> None:
    async with running(tmp_path) as each:
        for event in (listing("BTCUSDT"), order_fill("f1")):
            each.engine.ingest(event, 0)
        view = each.engine.market.view("orders:paper")
        assert view is not None
        assert orjson.loads(view.whole())["fills"] == []
        await each.publish(b"1", "orders:paper")
        assert len(orjson.loads(view.whole())["fills"]) == 1


async def test_a_second_server_on_the_same_journal_is_refused(tmp_path: Path) -> None:
    async with running(tmp_path) as each:
        with pytest.raises(JournalInUse, match=rf"another server \(process {os.getpid()}\)"):
            await take_over(each.engine, each.engine.house.settings)
        assert await each.publish(b"1")


async def test_a_clock_that_leaps_ahead_deletes_nothing_for_now_and_hides_nothing_from_who_comes_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(journal, "UPKEEP_SECONDS", 0.02)
    clock = Clock()
    settings: dict[str, Any] = {"journal": {"days": 1}, "namespaces": {"orders": {"history_seconds": 60}}}
    async with running(tmp_path, wall_ms=clock, **settings) as each:
        first = await each.publish(b"1")
        clock.ahead_ms = YEAR_MS
        await each.publish(b"2")
        await each.until(lambda meter: meter.rows == 2)
    async with running(tmp_path, wall_ms=clock, **settings) as each:
        assert each.recovers(first) == [b"2"]
        await each.publish(b"3")
        await each.until(lambda meter: meter.rows == 3)
        clock.ahead_ms = 0
        await each.publish(b"4")
        await each.until(lambda meter: meter.rows == 4)
        assert each.recovers(first) == [b"2", b"3", b"4"]


async def test_what_is_too_much_is_deleted_while_it_runs(tmp_path: Path) -> None:
    kept(tmp_path, [record(number, data=b'"%s"' % (b"x" * 500)) for number in range(5_000)])
    async with running(tmp_path, journal={"days": 36_500, "bytes": 1_048_576}) as each:
        await each.until(lambda meter: 0 < meter.bytes <= 1_048_576)
        assert 0 < each.engine.health.journal.rows < 5_000
        assert (await each.publish(b"1")).offset == 5_001


async def test_what_is_too_old_is_deleted_while_it_runs(tmp_path: Path) -> None:
    kept(tmp_path, [record(number) for number in range(1_200)])
    async with running(tmp_path, journal={"days": 1}) as each:
        await each.until(lambda meter: meter.bytes > 0 and meter.rows == 0)
        assert (await each.publish(b"1")).offset == 1_201
