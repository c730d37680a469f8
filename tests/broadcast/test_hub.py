"""Publishing: who gets what, when, in which frames; and what a publisher is told."""

import gc

import pytest
import trio

from monitor.broadcast.hub import BadPublication, TooBusy, TooMany, UnknownChannel
from monitor.broadcast.item import Item
from monitor.broadcast.line import WIRES_PER_LOOK
from monitor.broadcast.pace import Budget
from monitor.broadcast.recovery import Wish
from monitor.broadcast.tags import parse_filter
from monitor.health.kind import Delay, Stages
from tests.broadcast.stage import PLAIN, payloads, start

pytestmark = pytest.mark.trio


async def test_a_publication_reaches_its_subscribers_and_nobody_else(nursery: trio.Nursery) -> None:
    stage = await start(nursery)
    dashboards = [stage.join("news:dashboard")[1] for _ in range(50)]
    others = [stage.join("news:experiment")[1] for _ in range(100)]
    stage.hub.publish("news:dashboard", b'{"a": 1.10}')
    expected = b'{"push":{"channel":"news:dashboard","pub":{"data":{"a": 1.10}}}}'
    assert [wire.documents() for wire in dashboards] == [[expected]] * 50
    assert all(not wire.data for wire in others)
    assert stage.health.totals.sent == 50


async def test_all_plain_subscribers_get_the_same_bytes_object(nursery: trio.Nursery) -> None:
    stage = await start(nursery)
    frames: list[bytes | memoryview] = []
    for _ in range(3):
        _, wire = stage.join("news:a")
        wire.on_send = frames.append
    stage.hub.publish("news:a", b"{}")
    assert len({id(frame) for frame in frames}) == 1


class Counted:
    """Knows how many frames it has made."""

    name = "plain"

    def __init__(self) -> None:
        self.frames = 0

    def frame(self, payload: bytes) -> bytes:
        self.frames += 1
        return PLAIN.frame(payload)

    def is_slow(self, payload_bytes: int) -> bool:
        return False


async def test_a_frame_is_made_once_for_all_of_an_encoding_whenever_they_get_it(
    nursery: trio.Nursery,
) -> None:
    stage, encoding = await start(nursery), Counted()
    wires = [stage.join("news:x", encoding=encoding)[1] for _ in range(2 * WIRES_PER_LOOK)]
    wires += [stage.join("news:x", encoding=encoding, room=5)[1] for _ in range(2)]
    stage.hub.publish("news:x", b"1")
    for wire in wires:
        wire.make_room(1 << 30)
    await trio.testing.wait_all_tasks_blocked()
    assert all(payloads(wire) == [1] for wire in wires)
    assert encoding.frames == 1


async def test_frames_go_with_the_last_client_that_needs_them(nursery: trio.Nursery) -> None:
    """History keeps publications and not their frames."""
    stage = await start(nursery)
    stage.join("tape:x")
    _, stalled = stage.join("tape:x", room=10)
    stage.hub.publish("tape:x", b"1")
    stage.hub.outflow.flush(stage.hub.open("tape:x"))
    assert count_items() == 1
    stalled.make_room(1 << 30)
    await trio.testing.wait_all_tasks_blocked()
    assert payloads(stalled) == [1]
    assert count_items() == 0


def count_items() -> int:
    gc.collect()
    return sum(isinstance(each, Item) and bool(each.publications) for each in gc.get_objects())


async def test_the_frames_of_a_tick_leave_in_one_send_of_at_most_64_kib(
    nursery: trio.Nursery, autojump_clock: trio.testing.MockClock
) -> None:
    stage = await start(nursery)
    _, wire = stage.join("tape:x")
    sends: list[int] = []
    wire.on_send = lambda data: sends.append(len(data))
    for _ in range(70):
        stage.hub.publish("tape:x", b'"%s"' % (b"x" * 1_000))
    stage.hub.publish("tape:x", b'"%s"' % (b"x" * 70_000))
    await trio.sleep(1)
    assert [len(payload) for payload in payloads(wire)] == [1_000] * 70 + [70_000]
    assert [len(message) > 16_384 for message in wire.messages()] == [False] * 5 + [True]
    assert [length > 65_536 + 100 for length in sends] == [False, False, True]


async def test_who_gets_changes_or_a_part_gets_frames_as_short(
    nursery: trio.Nursery, autojump_clock: trio.testing.MockClock
) -> None:
    tape = {"gather": True, "delta": True}
    stage = await start(nursery, namespaces={"tape": tape}, limits={"frame_bytes": 2_000})
    wires = []
    for wish in (Wish(wants_chain=True), Wish(only=parse_filter(b'{"key":"x","cmp":"nex"}'))):
        client, wire = stage.join()
        stage.hub.subscribe("tape:x", client, b"{}", wish)
        wires.append(wire)
    for number in range(60):
        stage.hub.publish("tape:x", b'"%s"' % (b"%d" % number * 150))
    await trio.sleep(1)
    for wire in wires:
        assert len(wire.documents()) == 60
        assert max(len(message) for message in wire.messages()) <= 2_000
    channel = stage.hub.channel("tape:x")
    assert channel is not None
    assert channel.queued_bytes == 0


async def test_what_comes_with_a_payload_counts_in_what_a_channel_holds(nursery: trio.Nursery) -> None:
    stage = await start(nursery, limits={"gather_bytes": 65_536})
    stage.join("tape:x")
    told = b'{"who":"%s"}' % (b"x" * 40_000)
    stage.hub.publish("tape:x", b"1", info=told)
    with pytest.raises(TooBusy, match=r"tape:x.*65536"):
        stage.hub.publish("tape:x", b"1", tags=told)


async def test_a_subscriber_gets_the_whole_and_no_change_that_is_in_it(
    nursery: trio.Nursery, autojump_clock: trio.testing.MockClock
) -> None:
    stage = await start(nursery)
    _, old = stage.join("levels:x")
    stage.hub.publish("levels:x", b'{"bids":{"1":"5","2":"6"}}')
    stage.hub.publish("levels:x", b'{"bids":{"2":null}}')
    client, new = stage.join()
    assert stage.hub.subscribe("levels:x", client, b"{}").whole == b'{"bids":{"1":"5"}}'
    stage.hub.publish("levels:x", b'{"bids":{"3":"7"}}')
    await trio.sleep(1)
    assert payloads(old) == [{"bids": {"1": "5", "2": None}}, {"bids": {"3": "7"}}]
    assert payloads(new) == [{"bids": {"3": "7"}}]


async def test_who_leaves_gets_what_was_published_before_and_nothing_after(nursery: trio.Nursery) -> None:
    stage = await start(nursery)
    client, wire = stage.join("tape:x")
    stage.hub.publish("tape:x", b"1")
    stage.hub.unsubscribe("tape:x", client)
    stage.hub.publish("tape:x", b"2")
    assert payloads(wire) == [1]


async def test_history_keeps_the_last_publications_with_their_offsets(nursery: trio.Nursery) -> None:
    stage = await start(nursery)
    positions = [stage.hub.publish("tape:x", b"%d" % number).position for number in range(5)]
    kept = stage.hub.stream("tape:x").read(0, since=None, limit=None, reverse=False)
    assert [(publication.offset, publication.data) for publication in kept] == [
        (3, b"2"),
        (4, b"3"),
        (5, b"4"),
    ]
    assert [position.offset for position in positions if position] == [1, 2, 3, 4, 5]
    assert stage.hub.publish("news:x", b"1").position is None


async def test_a_channel_that_nobody_needs_is_forgotten(nursery: trio.Nursery) -> None:
    stage = await start(nursery)
    client, _ = stage.join("news:x")
    stage.hub.leave(client)
    for number in range(10):
        stage.hub.publish(f"news:{number}", b"1")
        stage.hub.stream(f"tape:{number}")
    assert sum(stage.health.channel_counts().values()) == 0
    assert stage.health.subscriptions == 0


async def test_latency_is_recorded_when_the_last_client_has_been_written_to(nursery: trio.Nursery) -> None:
    stage = await start(nursery)
    stage.join("news:x")
    stage.now_ns = 200_000_000
    stage.hub.publish("news:x", b"1", stamp_ns=50_000_000)
    assert stage.health.kinds["message"].late == 1
    stage.hub.publish("news:x", b"1", stamp_ns=150_000_000)
    assert stage.health.kinds["message"].late == 1
    assert stage.health.kinds["message"].count == 2


async def test_a_publications_time_is_told_by_stages_and_its_last_client_is_named(
    nursery: trio.Nursery, autojump_clock: trio.testing.MockClock
) -> None:
    stage = await start(nursery)
    client, _ = stage.join("tape:x")
    client.id = "the only one"
    stage.now_ns = 5_000_000
    stage.hub.publish("tape:x", b"1", stamp_ns=2_000_000)
    stage.now_ns = 25_000_000
    await trio.sleep(1)
    trade = stage.health.kinds["message"]
    trade.rotate()
    assert trade.last_10s().stages == Stages(3_000_000, 20_000_000, 0, 0)
    assert trade.last_10s().worst == Delay(23_000_000, "the only one", "wait")


async def test_a_client_that_was_behind_is_the_worst_by_the_stage_that_held_it_up(
    nursery: trio.Nursery,
) -> None:
    stage = await start(nursery)
    client, wire = stage.join("news:x", room=0)
    client.id = "slow"
    stage.hub.publish("news:x", b"1")
    stage.now_ns = 70_000_000
    wire.make_room(1_000)
    await trio.testing.wait_all_tasks_blocked()
    message = stage.health.kinds["message"]
    message.rotate()
    assert message.last_10s().worst == Delay(70_000_000, "slow", "write")


async def test_late_counts_each_kind_by_its_own_threshold(nursery: trio.Nursery) -> None:
    stage = await start(nursery, tick_messages=2)
    client, _ = stage.join("tape:x")
    stage.now_ns = 60_000_000
    stage.hub.publish("tape:x", b"1", kind="trade", stamp_ns=0)
    stage.hub.publish("tape:x", b"2", kind="order_fill", stamp_ns=0)
    assert client.settle().late == 1


async def test_late_messages_are_counted_for_each_client_as_in_its_ledger(nursery: trio.Nursery) -> None:
    stage = await start(nursery)
    (slow, wire), *others = stage.join("news:x", room=0), stage.join("news:x"), stage.join("news:x")
    stage.now_ns = 200_000_000
    stage.hub.publish("news:x", b"1", stamp_ns=0)
    wire.make_room(1_000)
    await trio.testing.wait_all_tasks_blocked()
    assert [client.settle().late for client in (slow, *(client for client, _ in others))] == [1, 1, 1]
    assert (stage.health.totals.late, stage.health.kinds["message"].late) == (3, 2)


async def test_who_wants_to_be_sent_no_more_is_late_in_his_ledger_and_nowhere_else(
    nursery: trio.Nursery, autojump_clock: trio.testing.MockClock
) -> None:
    stage = await start(nursery)
    client, _ = stage.join("news:x")
    client.limit(Budget(messages_per_second=1))
    for _ in range(3):
        stage.hub.publish("news:x", b"1")
    stage.now_ns = 5_000_000_000
    await trio.sleep(5)
    message = stage.health.kinds["message"]
    message.rotate()
    assert (client.settle().sent, client.settle().late) == (3, 2)
    assert (message.late, message.last_10s().worst) == (0, None)


async def test_a_limited_group_takes_no_more_subscribers(nursery: trio.Nursery) -> None:
    stage = await start(nursery)
    stage.join("club:x")
    with pytest.raises(TooMany, match=r"club:x.*1 subscribers"):
        stage.join("club:x")


async def test_bad_publications_are_refused_with_a_reason(nursery: trio.Nursery) -> None:
    stage = await start(nursery, limits={"channels": 2, "gather_bytes": 65_536})
    with pytest.raises(UnknownChannel, match="nowhere:x"):
        stage.hub.publish("nowhere:x", b"1")
    with pytest.raises(BadPublication, match=r"levels:x.*object"):
        stage.hub.publish("levels:x", b"1")
    with pytest.raises(BadPublication, match="'gossip' is not configured"):
        stage.hub.publish("news:x", b"1", kind="gossip")
    stage.hub.publish("levels:x", b'{"s":{"1":"%s"}}' % (b"x" * 40_000))
    with pytest.raises(BadPublication, match="limit is 65536"):
        stage.hub.publish("levels:x", b'{"s":{"2":"%s"}}' % (b"x" * 40_000))
    with pytest.raises(BadPublication, match=r"tape:0.*at most 65536 bytes.*publish less"):
        stage.hub.publish("tape:0", b'"%s"' % (b"x" * 70_000))
    assert [channel.name for channel in stage.hub.channels()] == ["levels:x"]
    assert sum(stage.health.channel_counts().values()) == 1
    for name in ("tape:1", "tape:2"):
        stage.join(name)
        stage.hub.publish(name, b"1")
    with pytest.raises(TooMany, match=r"limits\.channels"):
        stage.hub.publish("tape:3", b"1")
    assert stage.hub.publish("tape:3", b"1", is_told_once=True).position
