"""A document too long to be compressed on the loop: its channel waits for it, in order, and nobody else."""

import threading

import orjson
import pytest
import trio

from monitor.broadcast.frames import THREAD_FROM_BYTES, Deflate, Encoding, Plain
from monitor.broadcast.history import Position
from monitor.broadcast.hub import TooBusy
from monitor.broadcast.item import Item, Resent
from monitor.broadcast.recovery import Wish
from monitor.config import Lane
from tests.broadcast.stage import payloads, start
from tests.patience import until
from tests.serve.wire import inflate

DEFLATE = Deflate(level=5, from_bytes=500)
LONG = b'{"text":"%s"}' % (b"abcdefghij" * (THREAD_FROM_BYTES // 10))


@pytest.mark.trio
async def test_a_long_document_keeps_its_place_in_its_channel_and_holds_up_no_other(
    nursery: trio.Nursery,
) -> None:
    stage = await start(nursery)
    _, wire = stage.join("news:x", encoding=DEFLATE)
    _, other = stage.join("news:y", encoding=DEFLATE)
    for data in (b"1", LONG, b"2"):
        stage.hub.publish("news:x", data)
    stage.hub.publish("news:y", b"3")
    assert payloads(wire) == [1]
    assert payloads(other) == [3]
    assert not stage.hub.is_ready("news:x")
    await until(lambda: len(wire.messages()) == 3)
    _, long, last = wire.messages()
    assert len(long) < len(LONG) // 10
    assert inflate(long) == b'{"push":{"channel":"news:x","pub":{"data":%s}}}' % LONG
    assert last == b'{"push":{"channel":"news:x","pub":{"data":2}}}'
    assert stage.hub.is_ready("news:x")


@pytest.mark.trio
async def test_who_comes_while_a_long_document_is_made_gets_what_is_published_after(
    nursery: trio.Nursery,
) -> None:
    stage = await start(nursery)
    early, wire = stage.join("news:x", encoding=DEFLATE)
    stage.hub.publish("news:x", LONG)
    _, late = stage.join("news:x", encoding=DEFLATE)
    stage.hub.publish("news:x", b"1")
    await until(lambda: len(wire.messages()) == 2)
    assert payloads(late) == [1]
    assert early.settle().is_balanced
    assert early.settle().sent == 2


@pytest.mark.trio
async def test_who_leaves_while_a_long_document_is_made_leaves_nothing_behind(nursery: trio.Nursery) -> None:
    stage = await start(nursery)
    client, wire = stage.join("news:x", encoding=DEFLATE)
    stage.hub.publish("news:x", LONG)
    stage.hub.unsubscribe("news:x", client)
    _, again = stage.join("news:x", encoding=DEFLATE)
    stage.hub.publish("news:x", b"1")
    await until(lambda: stage.hub.is_ready("news:x"))
    assert not wire.data
    assert payloads(again) == [1]


@pytest.mark.trio
async def test_the_time_in_the_thread_is_told_as_encoding(nursery: trio.Nursery) -> None:
    stage = await start(nursery)
    _, wire = stage.join("news:x", encoding=DEFLATE)
    stage.hub.publish("news:x", LONG)
    stage.now_ns += 40_000_000
    await until(lambda: bool(wire.data))
    meter = stage.health.kinds["message"]
    meter.rotate()
    assert meter.since_start().stages.write == 0
    assert sum(meter.since_start().stages) == 40_000_000


@pytest.mark.trio
async def test_what_waits_for_its_frame_is_bounded(nursery: trio.Nursery) -> None:
    stage = await start(nursery, limits={"gather_bytes": 2 * THREAD_FROM_BYTES})
    stage.join("news:x", encoding=DEFLATE)
    stage.hub.publish("news:x", LONG)
    with pytest.raises(TooBusy, match="publish again later"):
        stage.hub.publish("news:x", LONG)


@pytest.mark.parametrize(("encoding", "is_slow"), [(DEFLATE, True), (Plain(), False)])
def test_only_compression_is_worth_a_thread(encoding: Encoding, is_slow: bool) -> None:
    assert encoding.is_slow(THREAD_FROM_BYTES) is is_slow
    assert not encoding.is_slow(THREAD_FROM_BYTES - 1)


class Watched:
    """Makes a long frame once it may, and knows in which threads it did."""

    name = "deflate"

    def __init__(self) -> None:
        self.threads: list[threading.Thread] = []
        self.may = threading.Event()

    def frame(self, payload: bytes) -> bytes:
        if self.is_slow(len(payload)):
            self.threads.append(threading.current_thread())
            assert self.may.wait(10), "on the loop nobody can let it"
        return Plain().frame(payload)

    def is_slow(self, payload_bytes: int) -> bool:
        return DEFLATE.is_slow(payload_bytes)

    def assert_none_made_on_the_loop(self) -> None:
        assert self.threads
        assert threading.current_thread() not in self.threads


@pytest.mark.trio
async def test_a_long_reply_keeps_its_place_in_its_lane_and_holds_up_no_other(nursery: trio.Nursery) -> None:
    stage, encoding = await start(nursery), Watched()
    client, wire = stage.join(encoding=encoding)
    for text, lane in ((LONG, Lane.NORMAL), (b"2", Lane.NORMAL), (b"3", Lane.LOW), (b"1", Lane.IMMEDIATE)):
        client.offer(Item(text, lane))
    await until(lambda: len(wire.messages()) == 2)
    assert wire.messages() == [b"1", b"3"]
    encoding.may.set()
    await until(lambda: not client.is_behind)
    assert wire.messages() == [b"1", b"3", LONG, b"2"]
    encoding.assert_none_made_on_the_loop()


@pytest.mark.trio
async def test_a_long_recovery_is_pending_until_its_frame_is_there(nursery: trio.Nursery) -> None:
    stage, encoding = await start(nursery, namespaces={"tape": {"history_size": 3}}), Watched()
    stage.hub.publish("tape:x", LONG)
    client, wire = stage.join(encoding=encoding)
    found = stage.hub.subscribe("tape:x", client, b"{}", Wish(Position(0, stage.hub.stream("tape:x").epoch)))
    documents = [publication.document() for publication in found.missed or ()]
    client.offer(Item(documents[0], Lane.NORMAL, resent=(Resent("tape:x", 1, len(documents[0])),)))
    ledger = client.settle()
    assert (ledger.offered, ledger.resent, ledger.pending) == (1, 1, 1)
    assert client.backlog.depths() == [0, 0, 1, 0]
    assert client.backlog.bytes == len(documents[0])
    encoding.may.set()
    await until(lambda: not client.is_behind)
    ledger = client.settle()
    assert (ledger.offered, ledger.sent, ledger.offered_bytes) == (1, 1, ledger.sent_bytes)
    assert wire.messages() == documents
    encoding.assert_none_made_on_the_loop()


@pytest.mark.trio
async def test_long_changes_that_merged_for_one_client_are_made_apart(nursery: trio.Nursery) -> None:
    stage, encoding = await start(nursery, namespaces={"levels": {"delivery": "state"}}), Watched()
    client, wire = stage.join("levels:x", encoding=encoding, room=1)
    half = THREAD_FROM_BYTES // 2
    stage.hub.publish("levels:x", b'{"s":{"0":0}}')
    for key in (b"1", b"2"):
        stage.hub.publish("levels:x", b'{"s":{"%s":"%s"}}' % (key, b"x" * half))
    assert client.backlog.bytes > THREAD_FROM_BYTES
    encoding.may.set()
    wire.make_room(1 << 30)
    await until(lambda: not client.is_behind)
    merged = orjson.loads(wire.messages()[1])["push"]["pub"]["data"]["s"]
    assert sorted(merged) == ["1", "2"]
    encoding.assert_none_made_on_the_loop()


@pytest.mark.trio
@pytest.mark.parametrize("is_leaving", [True, False], ids=["leaves the channel", "goes"])
async def test_who_goes_while_his_own_frame_is_made_is_not_sent_it(
    nursery: trio.Nursery, is_leaving: bool
) -> None:
    stage, encoding = await start(nursery, namespaces={"levels": {"delivery": "state"}}), Watched()
    client, wire = stage.join("levels:x", encoding=encoding, room=1)
    stage.hub.publish("levels:x", b'{"s":{"0":0}}')
    half = THREAD_FROM_BYTES // 2
    for key in (b"1", b"2"):
        stage.hub.publish("levels:x", b'{"s":{"%s":"%s"}}' % (key, b"x" * half))
    wire.make_room(1 << 30)
    await until(lambda: bool(encoding.threads))
    assert client.backlog.depths()[Lane.NORMAL] == 1
    stage.hub.unsubscribe("levels:x", client) if is_leaving else client.close()
    encoding.may.set()
    await until(lambda: not client.is_behind)
    assert len(wire.messages()) == 1
    ledger = client.settle()
    assert ledger.is_balanced
    assert (ledger.dropped, ledger.pending) == (1, 0)
