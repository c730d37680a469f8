"""One client and its socket: at once where there is room, in order and bounded where there is none."""

import socket
import sys
import time
from dataclasses import dataclass, field
from itertools import count
from operator import attrgetter
from typing import Any

import pytest
import trio

from monitor.broadcast.client import SEND_BYTES, Client, Loss
from monitor.broadcast.frames import Plain
from monitor.broadcast.group import GroupKey, SendGroup
from monitor.broadcast.item import Item, Publication
from monitor.broadcast.ladder import Step, Variant
from monitor.broadcast.pace import Budget
from monitor.broadcast.turns import LONGEST_WAIT_MS
from monitor.config import Delivery, Lane, Settings
from monitor.health.health import Health
from monitor.serve.connection import Connection
from monitor.turn import SLICE_NS
from monitor.turnstile import Turnstile
from tests.broadcast.wire import FakeWire

pytestmark = pytest.mark.trio
BIG = 1 << 20
PLAIN = GroupKey(Plain(), Variant.FULL, is_chain=False, is_direct=False)


def make_item(
    number: int,
    lane: Lane = Lane.HIGH,
    delivery: Delivery = Delivery.STREAM,
    size: int = 0,
    channel: str = "",
) -> Item:
    data = b'{"n":%d,"pad":"%s"}' % (number, b"x" * size)
    channel = channel or f"{lane.name}:{delivery}"
    return Item.of(channel, b"", lane, delivery, (Publication(data, "message", number),))


def make_reply(number: int, lane: Lane = Lane.NORMAL) -> Item:
    return Item(b'{"data":{"n":%d,"pad":""}}' % number, lane)


@dataclass
class Bench:
    """A client on a fake wire."""

    nursery: trio.Nursery
    wire: FakeWire
    outbox_bytes: int = BIG
    write_seconds: float = 15.0
    lost: list[Loss] = field(default_factory=list)
    wanted: list[Item] = field(default_factory=list)
    step_ns: int = 0
    """How far its clock goes between two looks."""

    def __post_init__(self) -> None:
        self.health = Health(Settings(), clock_ns=count(0, self.step_ns).__next__)
        self.client = Client(
            self.wire,
            Plain(),
            self.health,
            outbox_bytes=self.outbox_bytes,
            write_seconds=self.write_seconds,
            attend=lambda client: self.nursery.start_soon(client.catch_up, Turnstile()),
            on_step=lambda: None,
            lose=self.lost.append,
            make_frame=lambda item, encoding, then: self.wanted.append(item),
        )

    def offer(self, item: Item) -> None:
        """Publish an item in its channel, of which the client is the only member."""
        group = self.client.groups.get(item.channel)
        if group is None:
            group = SendGroup(item.channel, PLAIN, self.health)
            self.client.join(item.channel, group)
        group.push(item)
        assert group.advance(time.monotonic_ns, time.monotonic_ns() + 10**9, lambda item: None)

    def numbers(self) -> list[int]:
        return [int(message.split(b":")[2].split(b",")[0]) for message in self.wire.messages()]

    def assert_balanced(self) -> None:
        ledger, totals = self.client.settle(), self.health.totals
        assert ledger.is_balanced
        assert (
            ledger.pending
            == sum(self.client.backlog.depths())
            == sum(lane.depth for lane in self.health.lanes)
        )
        assert totals.offered == totals.sent + totals.merged + totals.dropped.total() + ledger.pending
        assert (ledger.sent, ledger.merged) == (totals.sent, totals.merged)
        for name in ("merged", "dropped", "pending", "resent"):
            assert self.client.accounts.count(attrgetter(name)) == getattr(ledger, name)


async def test_a_client_with_room_is_written_to_at_once(nursery: trio.Nursery) -> None:
    bench = Bench(nursery, FakeWire())
    bench.offer(make_item(1))
    assert bench.numbers() == [1]
    assert not bench.client.is_behind
    bench.assert_balanced()


async def test_what_was_cut_goes_on_exactly_where_it_stopped(
    nursery: trio.Nursery, autojump_clock: trio.testing.MockClock
) -> None:
    bench = Bench(nursery, FakeWire(room=5))
    for number in range(10):
        bench.offer(make_item(number))
    assert bench.client.is_behind
    bench.assert_balanced()
    for _ in range(100):
        bench.wire.make_room(7)
        await trio.testing.wait_all_tasks_blocked()
        bench.assert_balanced()
    assert bench.numbers() == list(range(10))
    assert not bench.client.is_behind
    assert bench.lost == []


async def test_higher_lanes_overtake_what_waits(nursery: trio.Nursery) -> None:
    bench = Bench(nursery, FakeWire(room=0))
    bench.offer(make_item(0))
    for number, lane in ((1, Lane.LOW), (2, Lane.NORMAL), (3, Lane.IMMEDIATE)):
        bench.offer(make_item(number, lane))
    bench.wire.make_room(BIG)
    await trio.testing.wait_all_tasks_blocked()
    assert bench.numbers() == [0, 3, 2, 1]
    bench.assert_balanced()


async def test_each_lane_says_since_when_its_first_one_waits(nursery: trio.Nursery) -> None:
    bench = Bench(nursery, FakeWire(room=5))
    items = [make_item(n, lane) for n, lane in enumerate((Lane.HIGH, Lane.LOW, Lane.HIGH, Lane.LOW))]
    for item in items:
        bench.offer(item)
    first_high, first_low = (item.publications[0].stamp_ns for item in items[:2])
    assert bench.client.backlog.oldest_ns() == [None, first_high, None, first_low]
    bench.wire.make_room(BIG)
    await trio.testing.wait_all_tasks_blocked()
    assert bench.client.backlog.oldest_ns() == [None] * 4


async def test_several_pending_frames_leave_in_one_send(nursery: trio.Nursery) -> None:
    wire = FakeWire(room=0)
    bench = Bench(nursery, wire)
    for number in range(20):
        bench.offer(make_item(number))
    sends: list[bytes | memoryview] = []
    wire.on_send = sends.append
    wire.make_room(BIG)
    await trio.testing.wait_all_tasks_blocked()
    assert bench.numbers() == list(range(20))
    assert len(sends) == 2


@pytest.mark.parametrize("delivery", [Delivery.STREAM, Delivery.STATE])
async def test_what_leaves_in_one_send_is_made_in_half_a_turn(
    nursery: trio.Nursery, delivery: Delivery
) -> None:
    bench = Bench(nursery, FakeWire(room=0), step_ns=SLICE_NS // 20)
    for number in range(100):
        bench.offer(make_item(number, channel=str(number), delivery=delivery))
    sends: list[bytes | memoryview] = []
    bench.wire.on_send = sends.append
    bench.wire.make_room(BIG)
    await trio.testing.wait_all_tasks_blocked()
    assert sorted(bench.numbers()) == list(range(100))
    assert len(sends) == 1 + 100 // 10
    bench.assert_balanced()


async def test_others_have_a_turn_after_each_send_of_one_who_catches_up(nursery: trio.Nursery) -> None:
    bench = Bench(nursery, FakeWire(room=0))
    for number in range(10):
        bench.offer(make_item(number, size=SEND_BYTES))
    sends: list[bytes | memoryview] = []
    bench.wire.on_send = sends.append
    bench.wire.make_room(BIG)
    for _ in range(100):
        before = len(sends)
        await trio.lowlevel.checkpoint()
        # In one pass of the loop it is a matter of luck who of two comes first.
        assert len(sends) - before <= 2
    assert bench.numbers() == list(range(10))


async def test_who_has_caught_up_holds_no_frame_any_more(nursery: trio.Nursery) -> None:
    bench = Bench(nursery, FakeWire(room=5))
    bench.offer(make_item(1))
    bench.wire.make_room(BIG)
    await trio.testing.wait_all_tasks_blocked()
    assert bench.numbers() == [1]
    assert bench.client.backlog.rest.obj == b""


async def test_one_who_never_reads_is_cut_at_the_byte_bound(nursery: trio.Nursery) -> None:
    bench = Bench(nursery, FakeWire(room=0), outbox_bytes=5_000)
    for number in range(100):
        bench.offer(make_item(number, size=100))
        assert bench.client.backlog.bytes <= 5_200
        bench.assert_balanced()
    assert bench.lost == [Loss.SLOW]
    assert bench.client.is_closed
    assert bench.client.settle().pending == 0


async def test_one_whose_socket_takes_nothing_for_long_is_cut(
    nursery: trio.Nursery, autojump_clock: trio.testing.MockClock
) -> None:
    bench = Bench(nursery, FakeWire(room=0), write_seconds=15)
    bench.offer(make_item(1))
    await trio.sleep(14)
    assert bench.lost == []
    await trio.sleep(2)
    assert bench.lost == [Loss.SLOW]
    bench.assert_balanced()


async def test_one_who_leaves_mid_frame_is_lost_with_everything_named(nursery: trio.Nursery) -> None:
    bench = Bench(nursery, FakeWire(room=5))
    bench.offer(make_item(1))
    bench.offer(make_item(2))
    bench.wire.break_off()
    await trio.testing.wait_all_tasks_blocked()
    assert bench.lost == [Loss.BROKEN]
    assert bench.health.totals.dropped == {"disconnected": 2}
    bench.assert_balanced()


async def test_slow_client_keeps_only_the_latest_price(nursery: trio.Nursery) -> None:
    bench = Bench(nursery, FakeWire(room=0))
    bench.offer(make_item(0))
    for number in range(1, 50):
        bench.offer(make_item(number, delivery=Delivery.LATEST))
        bench.assert_balanced()
    bench.wire.make_room(BIG)
    await trio.testing.wait_all_tasks_blocked()
    assert bench.numbers() == [0, 49]
    assert bench.client.settle().merged == 48
    bench.assert_balanced()


async def test_leaving_a_channel_drops_only_its_own(nursery: trio.Nursery) -> None:
    bench = Bench(nursery, FakeWire(room=0))
    bench.offer(make_item(0))
    bench.offer(make_item(1, Lane.NORMAL))
    bench.offer(make_item(2, Lane.LOW))
    bench.client.leave("NORMAL:stream", discard=True)
    bench.wire.make_room(BIG)
    await trio.testing.wait_all_tasks_blocked()
    assert bench.numbers() == [0, 2]
    assert bench.health.totals.dropped == {"left": 1}
    bench.assert_balanced()


async def test_what_follows_a_hole_in_a_stream_stays_out_too(nursery: trio.Nursery) -> None:
    bench = Bench(nursery, FakeWire())
    bench.client.ladder.step = Step.SNAPSHOTS
    for kind in ("message", "trade", "message"):
        publication = Publication(b'{"n":1}', kind, 0)
        bench.offer(Item.of("trades:x", b"", Lane.NORMAL, Delivery.STREAM, (publication,)))
    assert len(bench.wire.messages()) == 1
    assert bench.health.totals.dropped == {"ladder": 2}
    assert bench.client.ladder.torn == {"trades:x"}
    bench.assert_balanced()


async def test_drain_hands_over_the_rest_of_a_frame_that_is_half_out(nursery: trio.Nursery) -> None:
    bench = Bench(nursery, FakeWire(room=5), outbox_bytes=1_000)
    bench.offer(make_item(1))
    while not bench.client.is_closed:
        bench.offer(make_item(2, size=100))
    frame = make_item(1).frame(Plain())
    assert await bench.client.drain() == frame[5:]


def _tcp_pair() -> tuple[socket.socket, socket.socket]:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        theirs = socket.create_connection(listener.getsockname())
        ours, _ = listener.accept()
    theirs.setblocking(False)
    return ours, theirs


async def test_a_real_socket_behaves_as_the_fake_one(nursery: trio.Nursery) -> None:
    ours, theirs = _tcp_pair()
    wire: Any = Connection(ours, "pair", Turnstile())
    bench = Bench(nursery, wire)
    for number in range(3_000):
        bench.offer(make_item(number, size=200))
    assert bench.client.is_behind
    received = FakeWire()
    while len(received.messages()) < 3_000:
        await trio.lowlevel.wait_readable(theirs)
        received.send_now(theirs.recv(1 << 20))
    bench.wire = received
    assert bench.numbers() == list(range(3_000))
    await trio.testing.wait_all_tasks_blocked()
    bench.assert_balanced()
    theirs.close()
    while not bench.lost:
        bench.offer(make_item(0, size=10_000))
        await trio.lowlevel.checkpoint()
    assert bench.lost == [Loss.BROKEN]
    wire.close()


async def test_what_is_urgent_keeps_its_order_and_waits_for_no_budget(
    nursery: trio.Nursery, autojump_clock: trio.testing.MockClock
) -> None:
    # Long enough between two looks for the normal lane to have waited too long for its turn.
    bench = Bench(nursery, FakeWire(), step_ns=2 * LONGEST_WAIT_MS * 1_000_000)
    bench.client.limit(Budget(messages_per_second=1))
    bench.wire.make_room(5)
    bench.offer(make_item(0, Lane.NORMAL))
    bench.offer(make_item(1, Lane.NORMAL))
    for number in range(2, 4):
        bench.offer(make_item(number, Lane.IMMEDIATE))
    bench.wire.make_room(BIG)
    await trio.testing.wait_all_tasks_blocked()
    bench.offer(make_item(4, Lane.IMMEDIATE))
    assert bench.numbers() == [0, 2, 3, 4]
    bench.assert_balanced()


async def test_replies_wait_for_no_budget_and_keep_their_order(
    nursery: trio.Nursery, autojump_clock: trio.testing.MockClock
) -> None:
    bench = Bench(nursery, FakeWire())
    bench.client.limit(Budget(messages_per_second=1))
    bench.wire.make_room(5)
    for number in range(3):
        bench.offer(make_item(number, Lane.NORMAL))
    bench.client.offer(make_reply(3))
    bench.wire.make_room(len(make_item(0).frame(Plain())) - 5 + 2)
    await trio.testing.wait_all_tasks_blocked()
    bench.client.offer(make_reply(4))
    bench.wire.make_room(BIG)
    bench.client.offer(make_reply(5, Lane.LOW))
    await trio.testing.wait_all_tasks_blocked()
    assert bench.numbers() == [0, 3, 4, 5]
    await trio.sleep(2.5)
    assert bench.numbers() == [0, 3, 4, 5, 1, 2]
    bench.assert_balanced()


@pytest.mark.parametrize("lane", Lane)
async def test_a_reply_costs_no_more_for_what_waits_in_its_lane(nursery: trio.Nursery, lane: Lane) -> None:
    assert calls_of_a_reply(nursery, lane, pending=1_000) == calls_of_a_reply(nursery, lane, pending=10)


def calls_of_a_reply(nursery: trio.Nursery, lane: Lane, pending: int) -> int:
    """How often Python calls a function, or goes on with a generator, to answer a client with a budget."""
    bench = Bench(nursery, FakeWire(room=0))
    bench.client.limit(Budget(messages_per_second=1))
    for number in range(pending):
        bench.offer(make_item(number, lane))
    events: list[str] = []
    sys.setprofile(lambda frame, event, argument: events.append(event))
    bench.client.offer(make_reply(pending, lane))
    sys.setprofile(None)
    assert len(list(bench.client.backlog.of(lane))) >= pending - 1
    return events.count("call")


async def test_a_reply_that_waited_before_there_was_a_budget_is_not_overtaken(
    nursery: trio.Nursery, autojump_clock: trio.testing.MockClock
) -> None:
    bench = Bench(nursery, FakeWire(room=0))
    bench.offer(make_item(0, Lane.NORMAL))
    bench.offer(make_item(1, Lane.NORMAL))
    bench.client.offer(make_reply(2))
    bench.client.limit(Budget(messages_per_second=1))
    bench.client.offer(make_reply(3))
    bench.wire.make_room(BIG)
    await trio.sleep(5)
    assert bench.numbers() == [0, 1, 2, 3]


async def test_the_rest_of_what_was_urgent_waits_for_no_budget(
    nursery: trio.Nursery, autojump_clock: trio.testing.MockClock
) -> None:
    bench = Bench(nursery, FakeWire())
    bench.client.limit(Budget(messages_per_second=1))
    for number in range(3):
        bench.offer(make_item(number, Lane.NORMAL))
    await trio.testing.wait_all_tasks_blocked()
    bench.wire.make_room(5)
    bench.offer(make_item(3, Lane.IMMEDIATE))
    started = trio.current_time()
    bench.wire.make_room(BIG)
    await trio.testing.wait_all_tasks_blocked()
    assert bench.numbers() == [0, 3]
    assert trio.current_time() == started


async def test_a_new_budget_is_heeded_at_once(
    nursery: trio.Nursery, autojump_clock: trio.testing.MockClock
) -> None:
    bench = Bench(nursery, FakeWire())
    bench.client.limit(Budget(messages_per_second=0.001))
    for number in range(3):
        bench.offer(make_item(number, Lane.NORMAL))
    await trio.testing.wait_all_tasks_blocked()
    assert bench.numbers() == [0]
    bench.client.limit(Budget())
    await trio.testing.wait_all_tasks_blocked()
    assert bench.numbers() == [0, 1, 2]
