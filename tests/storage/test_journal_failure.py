"""A journal that can't be written: said, got around at once under another epoch, and never destroyed."""

import sqlite3
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import trio
import trio.testing

from monitor.app import serve
from monitor.broadcast.history import Position
from monitor.config import Settings
from monitor.control import Control
from monitor.events import Event
from monitor.health.report import health_report
from monitor.health.rules import find_journal_trouble
from monitor.keyring import Keyring
from monitor.keys import load_keys
from monitor.serve.channels import publish
from monitor.storage import home, journal_file
from monitor.storage import journal as journal_module
from tests.market.events import listing, order_fill, order_update
from tests.patience import PATIENCE_SECONDS
from tests.serve.running import KEYS, Server, sign
from tests.storage.disk import files_of_at_most, fill_up, make_read_only, small_file_system
from tests.storage.journal import Running, finding, is_durable, is_lost, kept, opened, record, running

pytestmark = [pytest.mark.trio, pytest.mark.usefixtures("attentive")]

CHANNEL = "orders:ann"
BIG = b'"%s"' % (b"x" * 100_000)


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 4 MiB."""
    with small_file_system(tmp_path / "disk") as disk:
        yield disk


async def fill(each: Running) -> None:
    """Publish until the journal can't take any more."""
    while not is_lost(each.engine.health.journal):
        await each.publish(BIG)


async def test_a_full_disk_stops_nobody_and_there_is_a_way_back(small_disk: Path) -> None:
    async with running(small_disk) as each:
        before = await each.publish(b"1")
        await fill(each)
        lost = await each.publish(b"2")
        assert lost.epoch != before.epoch
        assert lost.offset == (await each.publish(b"3")).offset - 1
        assert "database or disk is full" in finding(each).message
        report = health_report(each.engine.health)["journal"]
        assert (report["state"], report["not_kept"]) == ("not_durable", 3)
        rows = opened(small_disk)
        in_file = [row.position for row in rows.tail(1_000)]
        rows.close()
        assert in_file[0] == before
        assert lost not in in_file


async def test_when_the_disk_has_room_again_the_journal_goes_on(small_disk: Path) -> None:
    ballast = small_disk / "ballast"
    ballast.write_bytes(b"x" * (2 << 20))
    async with running(small_disk) as each:
        first = await each.publish(b'"first"')
        await fill(each)
        unkept = await each.publish(b'"unkept"')
        ballast.unlink()
        await each.until(is_durable)
        again = await each.publish(b'"again"')
        assert again.epoch == unkept.epoch != first.epoch
        assert not list(find_journal_trouble(each.engine.health.journal))
    async with running(small_disk) as each:
        assert each.engine.hub.stream(CHANNEL).position == again
        assert await each.publish(b'"next"') == type(again)(again.offset + 1, again.epoch)


async def test_who_was_away_throughout_a_loss_is_told_so_by_the_server_after(tmp_path: Path) -> None:
    async with running(tmp_path) as each:
        before = await each.publish(b'"kept"')
        bob = await each.publish(b'"kept"', "orders:bob")
        with files_of_at_most(2 << 20):
            await fill(each)
            lost = await each.publish(b'"unkept"')
            assert each.recovers(before) is None
    async with running(tmp_path) as each:
        assert each.recovers(before) is each.recovers(lost) is each.recovers(bob, "orders:bob") is None
        assert each.recovers(Position(0, "")) is None
        after = await each.publish(b'"kept again"')
    async with running(tmp_path) as each:
        assert each.recovers(after) == []
        assert (await each.publish(b'"next"')) == Position(after.offset + 1, after.epoch)


async def test_a_loss_is_told_though_the_journal_came_back_and_nothing_was_published_since(
    tmp_path: Path,
) -> None:
    async with running(tmp_path) as each:
        before = await each.publish(b'"kept"')
        with files_of_at_most(2 << 20):
            await fill(each)
            lost = await each.publish(b'"unkept"')
        await each.until(is_durable)
    async with running(tmp_path) as each:
        assert each.recovers(before) is None
        assert each.recovers(lost) == []
        assert (await each.publish(b'"next"')) == Position(lost.offset + 1, lost.epoch)


async def test_a_loss_is_told_of_a_server_that_never_had_its_journal(tmp_path: Path) -> None:
    async with running(tmp_path) as each:
        before = await each.publish(b'"kept"')
    holder = sqlite3.connect(tmp_path / "journal.db", isolation_level=None)
    holder.execute("BEGIN IMMEDIATE")
    async with running(tmp_path) as each:
        assert await each.publish(b'"unkept"')
        assert is_lost(each.engine.health.journal)
    holder.close()
    async with running(tmp_path) as each:
        assert each.recovers(before) is None


async def test_who_left_before_a_loss_and_comes_back_after_is_told_by_the_same_server(
    tmp_path: Path,
) -> None:
    async with running(tmp_path) as each:
        before = await each.publish(b'"kept"')
        with files_of_at_most(2 << 20):
            await fill(each)
        await each.until(is_durable)
        assert each.recovers(before) is None


async def test_a_quota_is_a_full_disk(tmp_path: Path) -> None:
    async with running(tmp_path) as each:
        before = await each.publish(b"1")
        with files_of_at_most(2 << 20):
            await fill(each)
            assert (await each.publish(b"2")).epoch != before.epoch
        await each.until(is_durable)


async def test_a_read_only_disk_stops_nobody(small_disk: Path) -> None:
    kept(small_disk, [record(1)])
    make_read_only(small_disk)
    before = (small_disk / "journal.db").read_bytes()
    async with running(small_disk) as each:
        assert (await each.publish(b"1")).epoch != "e"
        assert "read-only file system" in finding(each).message
        assert (small_disk / "journal.db").read_bytes() == before


@pytest.mark.parametrize("is_full", [False, True], ids=["read-only", "full"])
async def test_what_a_journal_says_is_known_though_it_cant_be_written(
    small_disk: Path, is_full: bool
) -> None:
    told: list[Event] = [listing("BTCUSDT"), order_update("o1", "NEW"), order_fill("f1")]
    async with running(small_disk) as each:
        for event in told:
            each.engine.ingest(event, 0)
        await each.publish(b"1")
        known = each.state("orders:paper"), each.engine.market.past("paper", "sim")
    if is_full:
        ballast = fill_up(small_disk)
    else:
        make_read_only(small_disk)
    async with running(small_disk) as each:
        assert is_lost(each.engine.health.journal)
        assert (each.state("orders:paper"), each.engine.market.past("paper", "sim")) == known
        for event in (listing("BTCUSDT"), order_fill("f1")):
            each.engine.ingest(event, 0)
        assert each.engine.hub.stream("orders:paper").offset == 0
        if is_full:
            ballast.unlink()
        else:
            make_read_only(small_disk, "rw")
        await each.until(is_durable)
        assert each.state("orders:paper") == known[0]


async def test_a_disk_that_does_not_answer_stops_nobody(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(journal_file, "BUSY_SECONDS", 60)
    async with running(tmp_path) as each:
        before = await each.publish(b"1")
        holder = sqlite3.connect(tmp_path / "journal.db", isolation_level=None)
        holder.execute("BEGIN IMMEDIATE")
        assert (await each.publish(b"2")).epoch != before.epoch
        assert "has not answered for" in finding(each).message
        monkeypatch.setattr(journal_file, "BUSY_SECONDS", 0.1)
        holder.execute("ROLLBACK")
        holder.close()
        await each.until(is_durable)


async def test_a_pause_of_the_process_is_not_taken_for_the_disks(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, nursery: trio.Nursery
) -> None:
    monkeypatch.setattr(journal_file, "BUSY_SECONDS", 60)
    async with running(tmp_path) as each:
        before = await each.publish(b"1")
        holder = sqlite3.connect(tmp_path / "journal.db", isolation_level=None)
        holder.execute("BEGIN IMMEDIATE")
        receipt = each.engine.hub.publish(CHANNEL, b"2")
        await trio.testing.wait_all_tasks_blocked()
        time.sleep(journal_module.STALL_SECONDS + 0.2)  # noqa: ASYNC251 - the pause
        await trio.testing.wait_all_tasks_blocked()
        holder.execute("ROLLBACK")
        holder.close()
        assert await receipt.wait() == Position(2, before.epoch)
        assert is_durable(each.engine.health.journal)


async def test_a_pause_while_the_mark_of_a_loss_is_made_lets_nothing_out_before_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, nursery: trio.Nursery
) -> None:
    begun, answer = threading.Event(), threading.Event()

    def sync(directory: Path) -> None:
        begun.set()
        answer.wait(PATIENCE_SECONDS)

    monkeypatch.setattr(home, "_sync", sync)
    async with running(tmp_path) as each:
        with files_of_at_most(1 << 20):
            nursery.start_soon(fill, each)
            assert await trio.to_thread.run_sync(begun.wait, PATIENCE_SECONDS)
            time.sleep(journal_module.MARK_SECONDS + 0.2)  # noqa: ASYNC251 - the pause
            await trio.testing.wait_all_tasks_blocked()
            assert is_durable(each.engine.health.journal)
            answer.set()
            await each.until(is_lost)


async def test_a_disk_that_does_not_answer_holds_up_no_start_and_no_end(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(journal_file, "BUSY_SECONDS", 60)
    async with running(tmp_path) as each:
        before = await each.publish(b"1")
    monkeypatch.setattr(home, "OPEN_LOOKS", 3)
    monkeypatch.setattr(home, "LOOK_SECONDS", 0.1)
    holder = sqlite3.connect(tmp_path / "journal.db", isolation_level=None)
    holder.execute("BEGIN IMMEDIATE")
    async with running(tmp_path) as each:
        assert each.recovers(before) is None
        assert (await each.publish(b"2")).epoch != before.epoch
        assert "the disk has not opened it for 0.3 s" in finding(each).message
        holder.execute("ROLLBACK")
        await each.until(is_durable)
        await each.publish(b"3")
        holder.execute("BEGIN IMMEDIATE")
    with trio.fail_after(PATIENCE_SECONDS):
        async with running(tmp_path) as each:
            assert is_lost(each.engine.health.journal)
    holder.close()


async def test_what_a_disk_says_late_is_known_then_with_what_has_been_since(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before: list[Event] = [order_update("o1", "NEW"), order_update("o2", "NEW"), order_fill("f1")]
    since: list[Event] = [order_update("o2", "FILLED", 500), order_fill("f2"), order_update("o3", "NEW")]
    async with running(tmp_path) as each:
        for event in [listing("BTCUSDT"), *before]:
            each.engine.ingest(event, 0)
    monkeypatch.setattr(home, "OPEN_LOOKS", 1)
    monkeypatch.setattr(home, "LOOK_SECONDS", 0)
    monkeypatch.setattr(journal_module, "READ_SECONDS", 0)
    holder = sqlite3.connect(tmp_path / "journal.db", isolation_level=None)
    holder.execute("BEGIN IMMEDIATE")
    async with running(tmp_path, namespaces={"orders": {"history_size": 1}}) as each:
        for event in [listing("BTCUSDT"), *since]:
            each.engine.ingest(event, 0)
        assert [fill["fill"] for fill in each.state("orders:paper")["fills"]] == ["f2"]
        holder.execute("ROLLBACK")
        holder.close()
        await each.until(is_durable)
        await trio.testing.wait_all_tasks_blocked()
        state = each.state("orders:paper")
        assert {order["order"] for order in state["orders"]} == {"o1", "o3"}
        assert [fill["fill"] for fill in state["fills"]] == ["f1", "f2"]


async def test_a_disk_without_room_for_a_name_in_its_lock_can_have_room_again(small_disk: Path) -> None:
    ballast = fill_up(small_disk)
    async with running(small_disk) as each:
        assert "bytes are free on its disk" in finding(each).message
        ballast.unlink()
        await each.until(is_durable)


async def test_what_waited_goes_out_in_order_when_the_journal_fails(tmp_path: Path) -> None:
    async with running(tmp_path) as each:
        await each.publish(b"0")
        holder = sqlite3.connect(tmp_path / "journal.db", isolation_level=None)
        holder.execute("BEGIN IMMEDIATE")
        hub = each.engine.hub
        receipts = [hub.publish(CHANNEL, b"%d" % number) for number in range(1, 50)]
        await trio.lowlevel.checkpoint()
        receipts += [hub.publish(CHANNEL, b"%d" % number) for number in range(50, 99)]
        positions = [await receipt.wait() for receipt in receipts]
        assert [position.offset for position in positions if position] == list(range(2, 100))
        kept_now = hub.stream(CHANNEL).read(hub.health.clock_ns(), since=None, limit=None, reverse=False)
        assert [int(publication.data) for publication in kept_now] == list(range(99))
        holder.close()


async def test_a_fill_that_is_told_twice_goes_out_once_though_nothing_is_kept(tmp_path: Path) -> None:
    deal = b'"market":"my.X","side":"buy","price":"1","size":"1","time":1700000000000'
    payload = b'{"type":"order_fill","fill":"7",%s}' % deal
    async with running(tmp_path) as each:
        with files_of_at_most(2 << 20):
            await fill(each)
            before = each.engine.hub.stream(CHANNEL).offset
            receipts = [publish(each.engine.house, CHANNEL, payload) for _ in range(2)]
            assert [receipt.is_duplicate for receipt in receipts] == [False, True]
            assert each.engine.hub.stream(CHANNEL).offset == before + 1


async def test_subscribers_are_made_to_ask_for_the_new_epoch(tmp_path: Path, nursery: trio.Nursery) -> None:
    keys = {"api_key": KEYS.api, "operator_key": KEYS.operator, "token_key": KEYS.token}
    quiet = {"port": 0, "hosts": ["lanecast"], "simulator": {"enabled": False}, "data_dir": tmp_path}
    settings, control = Settings.model_validate(quiet | keys), Control()
    address = await nursery.start(serve, settings, Keyring(load_keys(settings)), control)
    server = Server(int(address.rpartition(":")[2]), control)
    client = await server.client(sign(sub="ann"))
    granted = await server.client(sign(sub="eve", channels=[CHANNEL]))
    first = await client.call("subscribe", channel=CHANNEL, recoverable=True)
    await server.publish(CHANNEL, 1)
    assert (await client.push())["pub"] == {"data": 1, "offset": 1}
    holder = sqlite3.connect(tmp_path / "journal.db", isolation_level=None)
    holder.execute("BEGIN IMMEDIATE")
    lost = await server.publish(CHANNEL, 2, tags={"a": "b"})
    holder.close()
    assert lost["durable"] is False
    told = {"data": 2, "offset": lost["offset"], "tags": {"a": "b", "durable": "false"}}
    assert (await client.push())["pub"] == told
    assert (await client.push())["unsubscribe"]["code"] == 2500
    wish = {"recoverable": True, "recover": True, "offset": 2, "epoch": first["epoch"]}
    again = await client.call("subscribe", channel=CHANNEL, **wish)
    assert (await granted.closing())[0] == 3010
    assert again["epoch"] == lost["epoch"] != first["epoch"]
    assert "recovered" not in again
    for stream in server.streams:
        await stream.aclose()
    nursery.cancel_scope.cancel()
