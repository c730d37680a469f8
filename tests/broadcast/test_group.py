"""A fan-out over real sockets that stops and goes on while members come, go, stall and catch up."""

import socket
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from itertools import count
from typing import Any

import orjson
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from monitor.broadcast.batch import batch
from monitor.broadcast.client import Client
from monitor.broadcast.frames import Plain
from monitor.broadcast.group import GroupKey, SendGroup
from monitor.broadcast.item import Item, Publication
from monitor.broadcast.ladder import Variant
from monitor.broadcast.line import WIRES_PER_LOOK
from monitor.broadcast.tags import parse_filter
from monitor.config import Delivery, Kind, Lane, Settings
from monitor.health.health import Health
from monitor.serve.connection import Connection
from monitor.turnstile import Turnstile
from tests.broadcast.chain import ChainReader
from tests.broadcast.wire import FakeWire

DIRECT = GroupKey(Plain(), Variant.FULL, is_chain=False, is_direct=True)
INDIRECT = DIRECT._replace(is_direct=False)
CHANNELS = {"fills": Lane.IMMEDIATE, "trades": Lane.NORMAL}


def make_item(channel: str, number: int, size: int) -> Item:
    data = b'{"n":%d,"note":"what stays as it is in every publication","pad":"%s"}' % (number, b"x" * size)
    prefix = b'{"push":{"channel":"%s","pub":' % channel.encode()
    publication = Publication(data, "message", 0, tags=tags_of(number))
    return Item.of(channel, prefix, CHANNELS[channel], Delivery.STREAM, (publication,))


def tags_of(number: int) -> bytes:
    return b'{"third":"%d"}' % (number % 3)


def tcp_pair() -> tuple[socket.socket, socket.socket]:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4_096)
        theirs = socket.create_connection(listener.getsockname())
        ours, _ = listener.accept()
    ours.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4_096)
    theirs.setblocking(False)
    return ours, theirs


@dataclass
class Member:
    """A client on a real socket; its writer runs when a test says so."""

    health: Health
    client: Client = field(init=False)
    expected: dict[str, list[int]] = field(default_factory=dict)
    received: FakeWire = field(default_factory=FakeWire)
    is_writer_due: bool = False

    def __post_init__(self) -> None:
        ours, self.theirs = tcp_pair()
        self.connection = Connection(ours, "test", Turnstile())
        ours.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4_096)
        self.client = Client(
            self.connection,
            Plain(),
            self.health,
            outbox_bytes=1 << 24,
            write_seconds=15,
            attend=self._note_writer,
            on_step=lambda: None,
            lose=lambda loss: None,
            make_frame=lambda item, encoding, then: None,
        )

    def _note_writer(self, client: Client) -> None:
        self.is_writer_due = True

    def write(self) -> None:
        """What the writer does once the socket has room."""
        if self.is_writer_due:
            self.is_writer_due = not self.client._send_pending()

    def read(self) -> None:
        with suppress(BlockingIOError):
            self.received.send_now(self.theirs.recv(1 << 20))

    def close(self) -> None:
        self.connection._socket.close()
        self.theirs.close()


SIZES = st.sampled_from([0, 3_000, 40_000])


def clock(step: int) -> Callable[[], int]:
    return count(0, step).__next__


class FanOutMachine(RuleBasedStateMachine):
    key = DIRECT

    def __init__(self) -> None:
        super().__init__()
        self.health = Health(Settings())
        self.groups = {channel: SendGroup(channel, self.key, self.health) for channel in CHANNELS}
        for group in self.groups.values():
            # So that a slice ends between any two members.
            group._line.clients_per_look = 1
        self.members = [Member(self.health) for _ in range(4)]
        self.number = 0
        for place in range(3):
            for channel in CHANNELS:
                self.join_or_leave(place, channel)

    @rule(place=st.integers(0, 3), channel=st.sampled_from(sorted(CHANNELS)))
    def join_or_leave(self, place: int, channel: str) -> None:
        member = self.members[place]
        if channel in member.client.groups:
            self._finish(channel)
            member.client.leave(channel, discard=False)
        else:
            member.client.join(channel, self.groups[channel])

    @rule(channel=st.sampled_from(sorted(CHANNELS)), sizes=st.lists(SIZES, min_size=1, max_size=3))
    def push(self, channel: str, sizes: list[int]) -> None:
        numbers = [self.number + place for place in range(1, len(sizes) + 1)]
        self.number = numbers[-1]
        for item in batch(make_item(channel, *each) for each in zip(numbers, sizes, strict=True)):
            self.groups[channel].push(item)
        for member in self.members:
            if channel in member.client.groups:
                self._expect(member, channel, numbers)

    def _expect(self, member: Member, channel: str, numbers: list[int]) -> None:
        for number in numbers:
            if self.key.only is None or self.key.only.accepts(tags_of(number)):
                member.expected.setdefault(channel, []).append(number)

    @rule(channel=st.sampled_from(sorted(CHANNELS)))
    def advance_a_slice(self, channel: str) -> None:
        self.groups[channel].advance(clock(10), 0, lambda item: None)

    @rule(place=st.integers(0, 3))
    def read(self, place: int) -> None:
        self.members[place].read()

    @rule(place=st.integers(0, 3))
    def write(self, place: int) -> None:
        self.members[place].write()

    def _finish(self, channel: str) -> None:
        while not self.groups[channel].advance(clock(10), 0, lambda item: None):
            pass

    @invariant()
    def ledgers_balance(self) -> None:
        totals, waiting, sent = self.health.totals, 0, 0
        for member in self.members:
            ledger = member.client.settle()
            assert ledger.is_balanced
            assert ledger.pending == sum(member.client.backlog.depths())
            waiting += ledger.pending
            sent += ledger.sent
        assert sent == totals.sent
        assert totals.offered == totals.sent + waiting
        assert waiting == sum(lane.depth for lane in self.health.lanes)

    def teardown(self) -> None:
        """In the end, everybody has got each channel's items in order, once."""
        for channel in CHANNELS:
            self._finish(channel)
        for member in self.members:
            deadline = time.monotonic() + 10
            while (
                self._count(member) < sum(map(len, member.expected.values())) and time.monotonic() < deadline
            ):
                member.write()
                member.read()
            assert self._numbers(member) == member.expected
            member.close()

    @staticmethod
    def _count(member: Member) -> int:
        return len([document for document in member.received.documents() if document])

    def _numbers(self, member: Member) -> dict[str, list[int]]:
        """What a member has received, by channel."""
        numbers: dict[str, list[int]] = {}
        readers: dict[str, ChainReader] = {}
        for document in member.received.documents():
            push = orjson.loads(document)["push"]
            channel, body = push["channel"], push["pub"]
            if self.key.is_chain:
                body["data"] = orjson.loads(readers.setdefault(channel, ChainReader()).read(body))
            numbers.setdefault(channel, []).append(body["data"]["n"])
        return numbers


class IndirectFanOutMachine(FanOutMachine):
    """Every frame passes the wire's own `send_now`."""

    key = INDIRECT


class ChainFanOutMachine(FanOutMachine):
    """Each publication is told as a change of the one before, to whoever has got that."""

    key = DIRECT._replace(is_chain=True)


class FilteredFanOutMachine(FanOutMachine):
    """What a filter does not accept is offered to nobody, and what it does to all."""

    key = DIRECT._replace(only=parse_filter(b'{"key":"third","cmp":"neq","val":"0"}'))


for machine in (FanOutMachine, IndirectFanOutMachine, ChainFanOutMachine, FilteredFanOutMachine):
    machine.TestCase.settings = settings(max_examples=20, stateful_step_count=30)
TestFanOut = FanOutMachine.TestCase
TestChainFanOut = ChainFanOutMachine.TestCase
TestFilteredFanOut = FilteredFanOutMachine.TestCase
TestIndirectFanOut = IndirectFanOutMachine.TestCase


def group_of(wires: list[FakeWire], given: Settings | None = None) -> SendGroup:
    health = Health(given or Settings())
    group = SendGroup("fills", INDIRECT, health)
    for wire in wires:
        ignore: Any = lambda *_: None  # noqa: E731
        client = Client(
            wire,
            Plain(),
            health,
            outbox_bytes=1_000,
            write_seconds=1,
            attend=ignore,
            on_step=ignore,
            lose=ignore,
            make_frame=ignore,
        )
        client.join("fills", group)
    return group


def test_a_slice_ends_when_its_time_is_up() -> None:
    wires = [FakeWire() for _ in range(3 * WIRES_PER_LOOK)]
    group = group_of(wires)
    group.push(make_item("fills", 1, 0))
    assert not group.advance(clock(10), 5, lambda item: None)
    assert sum(bool(wire.data) for wire in wires) == WIRES_PER_LOOK


def test_who_was_served_and_falls_behind_then_is_counted_and_not_offered_it_again() -> None:
    wires = [FakeWire() for _ in range(WIRES_PER_LOOK + 1)]
    group = group_of(wires)
    group.push(make_item("fills", 1, 0))
    assert not group.advance(clock(10), 5, lambda item: None)
    served = group._ready[0]
    served.fall_behind()
    assert group.advance(clock(10), 1_000, lambda item: None)
    ledger = served.settle()
    assert (ledger.offered, ledger.sent) == (1, 1)
    assert [len(wire.documents()) for wire in wires] == [1] * len(wires)


def test_those_who_are_behind_are_offered_it_in_slices_too() -> None:
    group = group_of([FakeWire() for _ in range(4)])
    members = list(group._ready)
    for client in members:
        client.fall_behind()
    group.push(make_item("fills", 1, 0))
    assert not group.advance(clock(10), 25, lambda item: None)
    assert 0 < sum(sum(client.backlog.depths()) for client in members) < len(members)
    assert group.advance(clock(10), 1_000, lambda item: None)
    assert [sum(client.backlog.depths()) for client in members] == [1] * len(members)


def test_those_who_are_served_after_the_threshold_are_late_and_nobody_before_them() -> None:
    group = group_of([FakeWire() for _ in range(4)], Settings(kinds={"message": Kind(threshold_ms=1)}))
    group._line.clients_per_look = 1
    group.push(make_item("fills", 1, 0))
    assert group.advance(clock(300_000), 10**9, lambda item: None)
    late = [client.settle().late for client in group._ready]
    assert late == sorted(late)
    assert set(late) == {0, 1}


def test_a_slice_ends_between_two_items_however_few_the_members() -> None:
    wire = FakeWire()
    group = group_of([wire])
    for number in range(3):
        group.push(make_item("fills", number, 0))
    rounds = iter(lambda: group.advance(clock(10), 5, lambda item: None), True)
    assert [len(wire.documents()) for _ in rounds] == [1, 2]
    assert len(wire.documents()) == 3
