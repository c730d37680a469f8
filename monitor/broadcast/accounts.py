"""What became of everything that one client was offered, item by item, in its ledgers and in health.

The group's fast path enters its sums by itself; this is for what passes the client's own gate. A
ledger outlives its subscription until nothing of it is pending, so that nothing is lost from the sum.
"""

from collections.abc import Callable, Container, Iterable

from monitor.broadcast.frames import Encoding
from monitor.broadcast.item import Item, Resent
from monitor.broadcast.ledger import Ledger
from monitor.config import Delivery, Lane
from monitor.health.health import Health


class Accounts:
    __slots__ = ("_encoding", "_groups", "_has_waited", "_health", "_past", "ledgers", "reply_bytes")

    def __init__(self, encoding: Encoding, health: Health, groups: Container[str]) -> None:
        """`groups` holds the channels that the client is a member of now."""
        self._encoding = encoding
        self._health = health
        self._groups = groups
        self.ledgers: dict[str, Ledger] = {}
        """By channel."""
        self._past = Ledger()
        self._has_waited = False
        """Whether anything has come another way than the group's fast path."""
        self.reply_bytes = 0
        """Sent outside of channels: replies, pings."""

    def open(self, channel: str) -> None:
        self.ledgers.setdefault(channel, Ledger())

    def retire(self, channel: str) -> None:
        """Close the ledger of a channel that was left, once nothing of it is pending any more."""
        ledger = self.ledgers.get(channel)
        if ledger is not None and not ledger.is_open and channel not in self._groups:
            self._past.add(self.ledgers.pop(channel))

    def count(self, read: Callable[[Ledger], int]) -> int:
        """Merged, dropped, pending or resent in all: nothing for most, who have always kept up."""
        if not self._has_waited:
            return 0
        return sum(map(read, self.ledgers.values())) + read(self._past)

    def total(self) -> Ledger:
        """The sum of all, with the channels that were left."""
        total = Ledger()
        for ledger in (self._past, *self.ledgers.values()):
            total.add(ledger)
        return total

    def offer(self, item: Item) -> None:
        """A publication waits."""
        self._has_waited = True
        self.ledgers[item.channel].queue(item.count, self._frame_bytes(item))
        self._health.note_offered(item.lane, item.count, len(item.payload))

    def resend(self, item: Item) -> None:
        """What a reply brings again is offered as what is published is; its bytes count once it is framed."""
        if not item.resent:
            return
        self._has_waited = True
        for resent in item.resent:
            self.ledgers[resent.channel].resend(resent.count)
            self._health.totals.resent += resent.count
        self._health.note_offered(item.lane, item.count, len(item.payload))

    def merge(self, item: Item, replaced: Item, queued: Item) -> None:
        """What was offered and what waited have become one."""
        merged = replaced.count + item.count - queued.count
        self.ledgers[item.channel].merge(merged, self._saved_bytes(item, replaced, queued))
        saved_bytes = len(replaced.payload) + len(item.payload) - len(queued.payload)
        self._health.note_merged(item.lane, merged, saved_bytes)

    def _saved_bytes(self, item: Item, replaced: Item, queued: Item) -> int:
        """On the wire; nothing yet of changes that became one: its frame is made when its turn comes."""
        offered_bytes = self._offered_bytes(replaced) + self._offered_bytes(item)
        if item.delivery is Delivery.LATEST:
            return offered_bytes - self._frame_bytes(queued)
        queued.offered_bytes = offered_bytes
        return 0

    def deliver(self, item: Item, client_id: str, *, is_behind: bool, is_paced: bool) -> None:
        """It was sent, to a client that is behind, or that has a budget of its own."""
        if not item.channel:
            self._deliver_reply(item)
            return
        ledger, size_bytes = self.ledgers[item.channel], self._frame_bytes(item)
        if item.offered_bytes:
            ledger.merge(0, item.offered_bytes - size_bytes)
        ledger.deliver(item.count, size_bytes)
        self._health.note_delivered(item.lane, item.count, len(item.payload))
        if item.publications:
            late = self._judge_latency(item, client_id, is_behind=is_behind, is_paced=is_paced)
            ledger.late += late
            self._health.totals.late += late
        self.retire(item.channel)

    def _deliver_reply(self, item: Item) -> None:
        self.reply_bytes += self._frame_bytes(item)
        for resent in item.resent:
            share_bytes = self._share(item, resent)
            self.ledgers[resent.channel].measure_resent(share_bytes)
            self.ledgers[resent.channel].deliver(resent.count, share_bytes)
            self.retire(resent.channel)
            self.reply_bytes -= share_bytes
        if item.resent:
            self._health.note_delivered(item.lane, item.count, len(item.payload))

    def _judge_latency(self, item: Item, client_id: str, *, is_behind: bool, is_paced: bool) -> int:
        """How many of its publications were late; those of who wants them so are no fault of their kind's."""
        now_ns, kinds = self._health.clock_ns(), self._health.kinds
        late, _ = item.lateness(kinds, now_ns)
        if is_paced and item.lane is not Lane.IMMEDIATE:
            return late
        oldest = item.publications[0]
        kind = kinds[oldest.kind]
        if now_ns - oldest.stamp_ns > kind.worst_ns:
            kind.record_client(client_id, item.stages(oldest, now_ns))
        if is_behind:
            # The group's figures end with the members that keep up; what comes later is counted here.
            kind.late += late
        return late

    def drop(self, items: Iterable[Item], reason: str) -> None:
        """What waited will not be sent."""
        for item in items:
            for resent in item.resent:
                self.ledgers[resent.channel].drop(resent.count, 0)
                self.retire(resent.channel)
            if item.channel:
                self.ledgers[item.channel].drop(item.count, self._offered_bytes(item))
                self.retire(item.channel)
            if item.count:
                self._health.note_dropped(item.lane, item.count, len(item.payload), reason)

    def _offered_bytes(self, item: Item) -> int:
        return item.offered_bytes or self._frame_bytes(item)

    def _frame_bytes(self, item: Item) -> int:
        return len(item.frame(self._encoding))

    def _share(self, item: Item, resent: Resent) -> int:
        """How many bytes of a reply's frame are for the publications in it."""
        return self._frame_bytes(item) * resent.size_bytes // len(item.payload)
