"""Recovery against a list: whoever comes back gets exactly what he missed, or is told that he can't."""

from collections.abc import Iterator
from dataclasses import dataclass, field

import orjson
import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from monitor.broadcast.client import Client
from monitor.broadcast.frames import Plain
from monitor.broadcast.history import Position
from monitor.broadcast.hub import RECOVERED_OUTBOXES, Hub
from monitor.broadcast.item import DOCUMENT_BYTES
from monitor.broadcast.journaled import Journaled, Standing
from monitor.broadcast.recovery import Unrecoverable, Wish
from monitor.config import Namespaces, Settings
from monitor.health.health import Health
from tests.broadcast.chain import ChainReader
from tests.broadcast.wire import FakeWire

CHANNEL = "tick:x"
SIZE, LIMIT_BYTES, SECONDS, OUTBOX_BYTES = 8, 2_000, 60, 900
SPACE = {
    "history_size": SIZE,
    "history_bytes": LIMIT_BYTES,
    "history_seconds": SECONDS,
    "delta": True,
    "join_leave": True,
    "journal": True,
}
SETTINGS = Settings(namespaces={"plain": SPACE, "tick": SPACE | {"gather": True}}, limits={"channels": 3})
PADS = st.lists(st.sampled_from([0, 0, 0, 100, 900, 2_500]), max_size=4)


@dataclass(frozen=True)
class Entry:
    """What the model knows of a publication."""

    offset: int
    data: bytes
    at: int


@dataclass
class Stream:
    """One channel as a list; `epoch` is empty until somebody was told it."""

    offset: int = 0
    epoch: str = ""
    kept: list[Entry] = field(default_factory=list)

    def trim(self, now: int) -> None:
        self.kept = [entry for entry in self.kept if entry.at >= now - SECONDS][-SIZE:]
        while sum(len(entry.data) for entry in self.kept) > LIMIT_BYTES:
            del self.kept[0]

    def missed(self, since: Position) -> list[Entry] | None:
        if since.epoch != self.epoch or since.offset > self.offset:
            return None
        wanted = range(since.offset + 1, self.offset + 1)
        found = [entry for entry in self.kept if entry.offset in wanted]
        if len(found) != len(wanted):
            return None
        size_bytes = sum(DOCUMENT_BYTES + len(entry.data) for entry in found)
        is_small = size_bytes <= OUTBOX_BYTES * RECOVERED_OUTBOXES
        return found if is_small else None


@dataclass
class Subscriber:
    """A client of one channel, which remembers its position and checks that nothing is missing."""

    wants_chain: bool
    client: Client | None = None
    wire: FakeWire = field(default_factory=FakeWire)
    reader: ChainReader = field(default_factory=ChainReader)
    position: Position | None = None
    documents_read: int = 0

    def read(self, count: int | None = None) -> Iterator[tuple[int, bytes]]:
        """The next publications that have arrived, as offset and payload."""
        documents = [document for document in self.wire.documents() if document]
        stop = len(documents) if count is None else self.documents_read + count
        for document in documents[self.documents_read : stop]:
            self.documents_read += 1
            body = orjson.loads(document)["push"].get("pub")
            if body is not None:
                yield body["offset"], self.decode(body)

    def decode(self, body: dict[str, object]) -> bytes:
        return self.reader.read(body) if self.wants_chain else orjson.dumps(body["data"])


class RecoveryMachine(RuleBasedStateMachine):
    def __init__(self) -> None:
        super().__init__()
        self.now = 0
        self.number = 0
        self.stream = Stream()
        self.all: dict[tuple[str, int], bytes] = {}
        """Every payload that was ever published, by epoch and offset."""
        self.subscribers = [Subscriber(wants_chain) for wants_chain in (False, False, True)]
        self.hub = self.new_hub()
        for subscriber in self.subscribers:
            self.begin(subscriber)

    def new_hub(self) -> Hub:
        health = Health(SETTINGS, clock_ns=self.clock_ns)
        return Hub(SETTINGS, Namespaces(SETTINGS.namespaces), health)

    def clock_ns(self) -> int:
        return self.now * 1_000_000_000

    @rule(pads=PADS, ends_tick=st.booleans())
    def publish_some(self, pads: list[int], ends_tick: bool) -> None:
        for pad in pads:
            self.publish(pad)
        if ends_tick:
            self.end_the_tick()

    def publish(self, pad: int) -> None:
        self.number += 1
        stream = self.stream
        data = b'"%d of a text that stays as it is%s"' % (self.number, b"x" * pad)
        position = self.hub.publish(CHANNEL, data).position
        assert position is not None
        assert position.offset == stream.offset + 1
        assert stream.offset == 0 or stream.epoch == position.epoch
        stream.offset, stream.epoch = position.offset, position.epoch
        stream.kept.append(Entry(position.offset, data, self.now))
        stream.trim(self.now)
        self.all[position.epoch, position.offset] = data

    @rule(event=st.sampled_from(["minute", "removal", "crowd", "restart", "restart with a journal"]))
    def disturb(self, event: str) -> None:
        match event:
            case "minute":
                self.wait(SECONDS // 2)
            case "removal":
                self.remove_history()
            case "crowd":
                self.crowd_out()
            case _:
                self.restart(is_journaled="journal" in event)

    def wait(self, seconds: int) -> None:
        self.now += seconds
        self.stream.trim(self.now)

    def end_the_tick(self) -> None:
        if (found := self.hub.channel(CHANNEL)) is not None:
            self.hub.outflow.flush(found)
            self.hub.outflow._go_on(found)

    def remove_history(self) -> None:
        self.hub.stream(CHANNEL).clear()
        self.stream.kept.clear()

    @precondition(lambda self: any(each.client is None for each in self.subscribers))
    @rule(place=st.integers(0, 11), is_strict=st.booleans())
    def come(self, place: int, is_strict: bool) -> None:
        absent = [each for each in self.subscribers if each.client is None]
        subscriber = absent[place % len(absent)]
        is_open = self.hub.channel(CHANNEL) is not None
        if is_strict and is_open and subscriber.position and self.expected(subscriber) is None:
            client = self.new_client(FakeWire())
            with pytest.raises(Unrecoverable):
                self.hub.subscribe(CHANNEL, client, b"{}", Wish(subscriber.position, is_strict=True))
            assert not client.groups
        else:
            self.begin(subscriber)

    def expected(self, subscriber: Subscriber) -> list[Entry] | None:
        stream = self.stream
        return stream.missed(subscriber.position) if subscriber.position else None

    def begin(self, subscriber: Subscriber) -> None:
        channel, stream = CHANNEL, self.stream
        is_open = self.hub.channel(channel) is not None
        subscriber.wire, subscriber.documents_read = FakeWire(), 0
        client = subscriber.client = self.new_client(subscriber.wire)
        wish = Wish(subscriber.position, wants_chain=subscriber.wants_chain)
        start = self.hub.subscribe(channel, client, b"{}", wish)
        assert start.position is not None
        if not is_open:
            # Of an empty stream: to make room for it, another one may have been forgotten.
            stream.epoch = start.position.epoch
        expected = self.expected(subscriber)
        got = None if start.missed is None else [(each.offset, each.data) for each in start.missed]
        assert got == (None if expected is None else [(entry.offset, entry.data) for entry in expected])
        if got is None:
            assert start.position == Position(stream.offset, stream.epoch)
        subscriber.position = Position(got[-1][0], stream.epoch) if got else start.position

    def new_client(self, wire: FakeWire) -> Client:
        return Client(
            wire,
            Plain(),
            self.hub.health,
            outbox_bytes=OUTBOX_BYTES,
            write_seconds=15,
            attend=self.hub.watch.attend,
            make_frame=self.hub.outflow.make_frame,
            on_step=lambda: None,
            lose=lambda loss: None,
        )

    @rule(place=st.integers(0, 2), unread=st.integers(0, 3), pads=PADS)
    def come_back(self, place: int, unread: int, pads: list[int]) -> None:
        subscriber = self.subscribers[place]
        if subscriber.client is not None:
            self.cut(subscriber, unread)
        for pad in pads:
            self.publish(pad)
        self.only_a_stream_that_nobody_watches_is_forgotten()
        self.begin(subscriber)

    @precondition(lambda self: any(each.client is not None for each in self.subscribers))
    @rule(place=st.integers(0, 11), unread=st.integers(0, 3))
    def go(self, place: int, unread: int) -> None:
        present = [each for each in self.subscribers if each.client is not None]
        self.cut(present[place % len(present)], unread)

    def cut(self, subscriber: Subscriber, unread: int) -> None:
        """The connection is lost with some of what was sent still on its way."""
        assert subscriber.client is not None
        arrived = len([each for each in subscriber.wire.documents() if each]) - subscriber.documents_read
        self.take(subscriber, max(0, arrived - unread))
        self.hub.leave(subscriber.client)
        subscriber.client.close()
        subscriber.client = None

    def take(self, subscriber: Subscriber, count: int | None = None) -> None:
        """Each publication follows the one before, and is what was published under its offset."""
        for offset, data in subscriber.read(count):
            position = subscriber.position
            assert position is not None
            assert offset == position.offset + 1
            assert data == self.all[position.epoch, offset]
            subscriber.position = Position(offset, position.epoch)

    def cut_all(self) -> None:
        for subscriber in self.subscribers:
            if subscriber.client is not None:
                self.cut(subscriber, unread=0)

    def restart(self, is_journaled: bool) -> None:
        """A new server knows nothing of the streams, or all that a journal gives back."""
        before = self.hub
        self.cut_all()
        self.hub = self.new_hub()
        if is_journaled and before.stream(CHANNEL).offset:
            history = before.stream(CHANNEL)
            kept = history.read(self.clock_ns(), since=None, limit=None, reverse=False)
            standing = Standing(before.epochs.of_journal, {CHANNEL: history.position})
            Journaled(self.hub).restore(standing, {CHANNEL: kept})
        else:
            self.stream = Stream()

    def crowd_out(self) -> None:
        """Other channels need the room: the oldest that nobody watches is forgotten, its stream with it."""
        self.cut_all()
        for number in range(3):
            self.hub.publish(f"plain:{number}", b"1")

    @invariant()
    def only_a_stream_that_nobody_watches_is_forgotten(self) -> None:
        now = self.hub.stream(CHANNEL).position
        if now != Position(self.stream.offset, self.stream.epoch or now.epoch):
            assert now.offset == 0
            assert self.stream.offset == 0 or now.epoch != self.stream.epoch
            assert not any(each.client for each in self.subscribers)
            self.stream = Stream(epoch=now.epoch)

    @invariant()
    def subscribers_have_all_that_was_sent(self) -> None:
        for subscriber in self.subscribers:
            if subscriber.client is not None:
                self.take(subscriber)
                assert subscriber.client.settle().is_balanced

    def teardown(self) -> None:
        """In the end everybody who stayed, or comes now, is where the stream is."""
        self.end_the_tick()
        for subscriber in self.subscribers:
            self.only_a_stream_that_nobody_watches_is_forgotten()
            if subscriber.client is None:
                self.begin(subscriber)
            self.take(subscriber)
            stream = self.stream
            assert subscriber.position == Position(stream.offset, stream.epoch)


RecoveryMachine.TestCase.settings = settings(max_examples=100, stateful_step_count=40)
TestRecovery = RecoveryMachine.TestCase
