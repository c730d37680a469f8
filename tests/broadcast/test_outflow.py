"""A document too long to be compressed on the loop: its channel waits for it, in order, and nobody else."""

from collections.abc import Callable

import pytest
import trio

from monitor.broadcast.frames import THREAD_FROM_BYTES, Deflate, Encoding, Plain
from monitor.broadcast.hub import TooBusy
from tests.broadcast.test_hub import payloads, start
from tests.serve.wire import inflate

DEFLATE = Deflate(level=5, from_bytes=500)
LONG = b'{"text":"%s"}' % (b"abcdefghij" * (THREAD_FROM_BYTES // 10))


async def until(claim: Callable[[], bool]) -> None:
    with trio.fail_after(10):
        while True:
            if claim():
                return
            await trio.sleep(0.001)


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
