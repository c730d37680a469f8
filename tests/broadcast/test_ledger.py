"""The ledger balances at any moment: under load, stalls, leaving, disconnects and recoveries."""

import random
from dataclasses import dataclass, field
from typing import Any

import orjson
import pytest
import trio
from trio.testing import MockClock

from monitor.broadcast.client import Client
from monitor.broadcast.history import Position
from monitor.broadcast.item import Item, Resent
from monitor.broadcast.ladder import Step
from monitor.broadcast.pace import Budget
from monitor.broadcast.recovery import Wish
from monitor.config import Lane
from tests.broadcast.stage import Stage, start
from tests.broadcast.wire import FakeWire

NAMESPACES: dict[str, Any] = {
    "tape": {"gather": True, "history_size": 20, "kind": "trade"},
    "price": {"delivery": "latest", "delta": True},
    "fills": {"lane": "immediate", "history_size": 20, "join_leave": True},
    "levels": {"delivery": "state", "gather": True},
}
CHANNELS = [f"{name}:x" for name in NAMESPACES]
BIG = 1 << 30


@dataclass
class Member:
    """A client that comes and goes, and its position in each channel that has one."""

    stage: Stage
    client: Client = field(init=False)
    wire: FakeWire = field(init=False)

    def __post_init__(self) -> None:
        self.come_back()

    def come_back(self) -> None:
        self.client, self.wire = self.stage.join()

    def toggle(self, channel: str, wish: Wish) -> None:
        """Subscribe as the protocol does, the missed in the reply; or leave."""
        if channel in self.client.groups:
            self.stage.hub.unsubscribe(channel, self.client)
            return
        start = self.stage.hub.subscribe(channel, self.client, b"{}", wish)
        documents = [publication.document() for publication in start.missed or ()]
        resent = Resent(channel, len(documents), sum(map(len, documents)))
        reply = b'{"reply":[%s]}' % b",".join(documents)
        self.client.offer(Item(reply, Lane.NORMAL, resent=(resent,) if documents else ()))

    def stand_on(self, step: Step | None) -> None:
        """Be put on a step of the ladder by an operator, or given back to the backlog."""
        self.client.pin(step)
        self.client.judge(trio.current_time())
        if self.client.ladder.step is Step.SNAPSHOTS:
            self.client.give_up_streams()

    def balance(self) -> int:
        """Check every ledger; returns what is pending of all."""
        total = self.client.settle()
        for ledger in (total, *self.client.ledgers.values()):
            assert ledger.is_balanced
            assert min(ledger.pending, ledger.pending_bytes) >= 0
            assert ledger.resent <= ledger.offered
            assert ledger.resent_bytes <= ledger.offered_bytes
        assert total.pending == sum(self.client.backlog.depths())
        if not self.client.is_behind:
            assert total.pending_bytes == 0
            assert total.sent_bytes + self.client.accounts.reply_bytes == len(self.wire.data)
        return total.pending


@pytest.mark.trio
@pytest.mark.parametrize("seed", range(12))
async def test_the_ledger_balances_whatever_happens(
    nursery: trio.Nursery, autojump_clock: MockClock, seed: int
) -> None:
    chance = random.Random(seed)
    stage = await start(nursery, namespaces=NAMESPACES)
    members = [Member(stage) for _ in range(4)]
    gone: list[Client] = []
    for number in range(400):
        member = members[chance.randrange(4)]
        match chance.randrange(10):
            case 0:
                member.toggle(chance.choice(CHANNELS), Wish(None, wants_chain=chance.random() < 0.5))
            case 1:
                channel = chance.choice(CHANNELS)
                since = (
                    stage.hub.stream(channel).position if "history_size" in NAMESPACES[channel[:-2]] else None
                )
                if since is not None:
                    since = Position(max(0, since.offset - chance.randrange(25)), since.epoch)
                member.toggle(channel, Wish(since))
            case 2:
                member.wire.make_room(chance.choice([0, 50, 500, BIG]))
            case 3 if chance.random() < 0.3:
                stage.hub.leave(member.client)
                member.client.close()
                gone.append(member.client)
                member.come_back()
            case 4 if chance.random() < 0.3:
                await trio.sleep(0.03)
            case 5 if chance.random() < 0.5:
                member.stand_on(chance.choice([None, Step.MERGE, Step.SNAPSHOTS]))
            case 6 if chance.random() < 0.5:
                member.client.limit(chance.choice([Budget(), Budget(messages_per_second=20)]))
            case _:
                stage.hub.publish(chance.choice(CHANNELS), b'{"bids":{"%d":"%s"}}' % (number % 5, b"x" * 20))
        pending = sum(each.balance() for each in members)
        totals = stage.health.totals
        assert totals.offered == totals.sent + totals.merged + totals.dropped.total() + pending
        assert pending == sum(lane.depth for lane in stage.health.lanes)
    clients = [*gone, *(member.client for member in members)]
    ledgers = [client.settle() for client in clients]
    assert sum(ledger.resent for ledger in ledgers) == stage.health.totals.resent > 0
    assert sum(ledger.offered for ledger in ledgers) == stage.health.totals.offered
    for name in ("merged_bytes", "dropped_bytes", "resent_bytes"):
        assert sum(getattr(ledger, name) for ledger in ledgers) > 0


@pytest.mark.trio
async def test_a_recovery_that_waits_is_pending_and_one_that_is_cut_is_dropped(nursery: trio.Nursery) -> None:
    stage = await start(nursery, namespaces=NAMESPACES)
    for number in range(3):
        stage.hub.publish("fills:x", b"%d" % number)
    member = Member(stage)
    member.wire.make_room(0)
    epoch = stage.hub.stream("fills:x").epoch
    member.toggle("fills:x", Wish(Position(1, epoch)))
    ledger = member.client.ledgers["fills:x"]
    assert (ledger.offered, ledger.pending, ledger.resent, ledger.sent) == (2, 2, 2, 0)
    member.toggle("fills:x", Wish())
    assert member.client.settle().pending == 2
    member.client.close()
    total = member.client.settle()
    assert (total.pending, total.dropped, total.resent) == (0, 2, 2)
    assert not member.client.ledgers


@pytest.mark.trio
async def test_a_recovery_is_sent_though_its_channel_was_left_meanwhile(
    nursery: trio.Nursery, autojump_clock: MockClock
) -> None:
    stage = await start(nursery, namespaces=NAMESPACES)
    stage.hub.publish("fills:x", b"7")
    member = Member(stage)
    member.wire.make_room(0)
    epoch = stage.hub.stream("fills:x").epoch
    member.toggle("fills:x", Wish(Position(0, epoch)))
    member.toggle("fills:x", Wish())
    member.wire.make_room(BIG)
    await trio.testing.wait_all_tasks_blocked()
    assert orjson.loads(member.wire.messages()[0])["reply"] == [{"data": 7, "offset": 1}]
    total = member.client.settle()
    assert (total.sent, total.pending, total.resent) == (1, 0, 1)
    assert not member.client.ledgers
