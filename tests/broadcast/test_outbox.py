"""The outbox against a plain list: order, merging, bounds, and that no lane starves."""

import orjson
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from monitor.broadcast.item import Item, Publication
from monitor.broadcast.outbox import FULL, Offer, Outbox
from monitor.broadcast.turns import LONGEST_WAIT_MS, STRICT_TURNS
from monitor.config import Delivery, Lane

LIMIT_BYTES = 200
CHANNELS = {
    "fills": (Lane.IMMEDIATE, Delivery.STREAM),
    "status": (Lane.HIGH, Delivery.LATEST),
    "trades": (Lane.NORMAL, Delivery.STREAM),
    "book": (Lane.NORMAL, Delivery.STATE),
    "hot": (Lane.LOW, Delivery.LATEST),
}


def make_item(channel: str, number: int) -> Item:
    lane, delivery = CHANNELS[channel]
    data = orjson.dumps({"s": {str(number % 3): number}})
    return Item.of(channel, b"", lane, delivery, (Publication(data, "kind", number),))


def _data(item: Item) -> list[bytes]:
    return [publication.data for publication in item.publications] or [item.payload]


class OutboxMachine(RuleBasedStateMachine):
    def __init__(self) -> None:
        super().__init__()
        self.outbox = Outbox(LIMIT_BYTES)
        self.model: list[Item] = []
        self.held: dict[Lane, Item] = {}
        """Taken, and not to be sent yet: their lanes wait for them."""
        self.ready: dict[Lane, Item] = {}
        """Released: the next of their lanes."""
        self.number = 0
        self.now_ns = 0
        self.waits: dict[Lane, tuple[int, int]] = {}
        """By lane that was passed over: since when, and for how many turns since that was too long."""

    @rule(channel=st.sampled_from(sorted(CHANNELS)))
    def offer(self, channel: str) -> None:
        self.number += 1
        item = make_item(channel, self.number)
        mergeable = item.delivery is not Delivery.STREAM
        place = next((i for i, each in enumerate(self.model) if mergeable and each.channel == channel), None)
        expected = item if place is None else self.model[place].merged_into(item)
        replaced_bytes = 0 if place is None else len(self.model[place].payload)
        fits = self._bytes() - replaced_bytes + len(expected.payload) <= LIMIT_BYTES
        offer = self.outbox.offer(item)
        assert (offer == FULL) == (not fits)
        if offer.queued is None:
            return
        assert _data(offer.queued) == _data(expected)
        assert (offer.replaced is None) == (place is None)
        if place is None:
            self.model.append(expected)
        else:
            self.model[place] = expected

    @rule(lane=st.sampled_from(Lane))
    def offer_a_reply(self, lane: Lane) -> None:
        self.number += 1
        reply = Item(b'{"id":%d}' % self.number, lane)
        fits = self._bytes() + len(reply.payload) <= LIMIT_BYTES
        assert self.outbox.offer(reply) == (Offer(reply, None) if fits else FULL)
        self.model += [reply] if fits else []

    @rule(milliseconds=st.integers(1, 2 * LONGEST_WAIT_MS))
    def wait(self, milliseconds: int) -> None:
        self.now_ns += milliseconds * 1_000_000

    @rule()
    def take(self) -> None:
        self._take_one()

    def _take_one(self) -> Item | None:
        assert self.outbox.is_held_up == (bool(self.held) and not self._waiting())
        item = self.outbox.take(self.now_ns)
        assert (item is None) == (not self._waiting())
        if item is not None:
            self._see_turn(item.lane)
            self._expect_next(item)
        return item

    def _expect_next(self, item: Item) -> None:
        expected = self.ready.pop(item.lane, None)
        if expected is None:
            expected = next(each for each in self.model if each.lane is item.lane)
            self.model.remove(expected)
        assert _data(item) == _data(expected)

    @rule()
    def take_urgent(self) -> None:
        may_go = Lane.IMMEDIATE in self._waiting()
        item = self.outbox.take_urgent()
        assert (item is not None) == may_go
        if item is not None:
            assert item.lane is Lane.IMMEDIATE
            self._expect_next(item)

    @rule()
    def take_what_can_not_be_sent_yet(self) -> None:
        if (item := self._take_one()) is not None:
            self.outbox.hold(item)
            self.held[item.lane] = item

    @rule(lane=st.sampled_from(Lane))
    def release(self, lane: Lane) -> None:
        if lane in self.held:
            self.ready[lane] = self.held.pop(lane)
            self.outbox.release(self.ready[lane])

    def _waiting(self) -> set[Lane]:
        return {item.lane for item in self.model} - set(self.held) | set(self.ready)

    def _see_turn(self, served: Lane) -> None:
        """Higher lane first; one that was passed over for too long is served within a few turns."""
        waiting = self._waiting()
        since = {lane: self.waits.get(lane, (self.now_ns, 0)) for lane in waiting}
        if served is not min(waiting):
            assert self._is_overdue(since[served][0])
        self.waits = {
            lane: (since_ns, turns + self._is_overdue(since_ns))
            for lane, (since_ns, turns) in since.items()
            if lane is not served
        }
        assert all(turns <= (len(Lane) - 1) * (STRICT_TURNS + 1) for _, turns in self.waits.values())

    def _is_overdue(self, since_ns: int) -> bool:
        return self.now_ns - since_ns >= LONGEST_WAIT_MS * 1_000_000

    @rule(channel=st.sampled_from(sorted(CHANNELS)))
    def discard(self, channel: str) -> None:
        gone = [item for item in self._all() if item.channel == channel]
        found = self.outbox.discard(lambda item: item.channel == channel)
        assert sorted(map(_data, found)) == sorted(map(_data, gone))
        self.model = [item for item in self.model if item.channel != channel]
        for aside in (self.held, self.ready):
            for lane in [lane for lane, item in aside.items() if item.channel == channel]:
                self.outbox.release(aside.pop(lane))

    def _all(self) -> list[Item]:
        return [*self.held.values(), *self.ready.values(), *self.model]

    def _bytes(self) -> int:
        return sum(len(item.payload) for item in self.model)

    @invariant()
    def balances(self) -> None:
        assert self.outbox.bytes == self._bytes() <= LIMIT_BYTES
        assert self.outbox.held_bytes == sum(len(item.payload) for item in self._all()) - self._bytes()
        assert bool(self.outbox) == bool(self._all())
        assert {lane for lane in Lane if self.outbox.is_waiting(lane)} == self._waiting()
        replied = {item.lane for item in self._all() if not item.channel}
        assert {lane for lane in Lane if self.outbox.has_reply(lane)} == replied
        waiting = [[_data(item) for item in self._all() if item.lane == lane] for lane in Lane]
        assert [list(map(_data, self.outbox.of(lane))) for lane in Lane] == waiting
        depths = [sum(item.count for item in self._all() if item.lane == lane) for lane in Lane]
        assert self.outbox.depths() == depths


OutboxMachine.TestCase.settings = settings(max_examples=40, stateful_step_count=40)
TestOutbox = OutboxMachine.TestCase


def drain(outbox: Outbox) -> list[Item]:
    return list(iter(lambda: outbox.take(0), None))


def test_slow_client_keeps_only_the_latest_whole() -> None:
    outbox = Outbox(LIMIT_BYTES)
    for number in range(1, 4):
        outbox.offer(make_item("hot", number))
    assert list(map(_data, drain(outbox))) == [[b'{"s":{"0":3}}']]


def test_changes_of_different_keys_merge_into_one() -> None:
    outbox = Outbox(LIMIT_BYTES)
    outbox.offer(make_item("book", 1))
    outbox.offer(make_item("book", 2))
    assert list(map(_data, drain(outbox))) == [[b'{"s":{"1":1,"2":2}}']]


def test_a_busy_immediate_lane_does_not_starve_the_low_one() -> None:
    outbox = Outbox(1 << 20)
    outbox.offer(make_item("hot", 1))
    sent: list[str] = []
    for number in range(LONGEST_WAIT_MS + 1):
        outbox.offer(make_item("fills", number))
        outbox.offer(make_item("fills", number))
        item = outbox.take(number * 1_000_000)
        sent += [item.channel] if item else []
    assert sent == ["fills"] * LONGEST_WAIT_MS + ["hot"]
