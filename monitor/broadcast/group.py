"""A send group: the clients of one channel with one encoding and form, the unit of a fan-out.

Members that keep up stand in a line, and a fan-out is a cursor into it: one send a member and
nothing else, since what each was sent follows from when it came.
A member that falls behind leaves the line and is offered items one by one until it has caught up.
"""

from collections import deque
from collections.abc import Callable
from typing import TYPE_CHECKING, NamedTuple

from monitor.broadcast.chain import Link, base_after, link_item
from monitor.broadcast.frames import Encoding
from monitor.broadcast.item import Item
from monitor.broadcast.ladder import Variant
from monitor.broadcast.line import BROKEN, SOCKETS_PER_LOOK, WIRES_PER_LOOK, Line, Send
from monitor.broadcast.tags import TagsFilter
from monitor.health.health import Health

if TYPE_CHECKING:
    from monitor.broadcast.client import Client


class GroupKey(NamedTuple):
    """What all members of a group have in common."""

    encoding: Encoding
    variant: Variant
    is_chain: bool
    """They get each publication as a change of the one before."""
    is_direct: bool
    """Frames are sent to their sockets."""
    only: TagsFilter | None = None
    """They get only what it accepts."""


class SendGroup:
    """The members, what is still to be offered to them, and how far that has come."""

    __slots__ = (
        "_base",
        "_channel",
        "_cursor",
        "_due",
        "_encoding",
        "_fresh",
        "_health",
        "_joined",
        "_line",
        "_link",
        "_meter",
        "_places",
        "_pushed",
        "_queue",
        "_ready",
        "_sent",
        "_sent_bytes",
        "_sequence",
        "_waiting",
        "key",
        "wanted",
    )

    def __init__(self, channel: str, key: GroupKey, health: Health) -> None:
        self.key = key
        self._channel = channel
        self._encoding = key.encoding
        self._health = health
        self._meter = health.encodings[key.encoding.name]
        self._queue: deque[Item | Client] = deque()
        self._pushed = 0
        self._sequence = 0
        """Of the item that is offered now, or of the next one."""
        self._cursor = 0
        """How many of the ready have been sent it."""
        self._ready: list[Client] = []
        self._line = Line(SOCKETS_PER_LOOK if key.is_direct else WIRES_PER_LOOK)
        self._places: dict[Client, int] = {}
        self._sent = 0
        self._sent_bytes = 0
        """What one who was ready for all items has been sent."""
        self._joined: dict[Client, tuple[int, int]] = {}
        """For each of the ready, what of that its ledger holds already or never was for it."""
        self._waiting: dict[Client, int] = {}
        """Members that are not ready, with the sequence of the next item each is to be offered."""
        self._due: list[Client] | None = None
        """Those of them who are still to be offered the item under way; None before their turn."""
        self._base: bytes | None = None
        """In a chain, what the next item is told as a change of."""
        self._link: Link | None = None
        """In a chain, the form of the item under way."""
        self.wanted: Item | None = None
        """What waits for its frame, which takes too long to be made here."""
        self._fresh: set[Client] = set()
        """Members of a chain who have not got anything yet that a change could be one of."""

    def __len__(self) -> int:
        return len(self._ready) + len(self._waiting)

    @property
    def held_bytes(self) -> int:
        """Of what is still to be offered."""
        return sum(item.held_bytes for item in self._queue if isinstance(item, Item))

    def push(self, item: Item) -> None:
        # Forms of a part are made of it alone.
        parts = item.parts if self.key.is_chain or self.key.only is not None else (item,)
        self._queue.extend(parts)
        self._pushed += len(parts)

    # Members

    def add(self, client: "Client") -> None:
        """From here on the client gets what is pushed, and nothing that was pushed before."""
        self._waiting[client] = self._pushed
        if self.key.is_chain:
            self._fresh.add(client)
        self.resume(client)

    def resume(self, client: "Client") -> None:
        """The client keeps up: let it be ready as soon as it has been offered what was pushed so far."""
        if not client.is_fast or client in self._fresh or client in self._places:
            return
        if self._queue:
            self._queue.append(client)
        else:
            self._make_ready(client)

    def rest(self, client: "Client") -> None:
        """The client has fallen behind: offer it items one by one."""
        if client in self._places:
            is_served = self._places[client] < self._cursor
            self._take_out(client)
            self._waiting[client] = self._sequence + is_served

    def remove(self, client: "Client") -> None:
        self._fresh.discard(client)
        if client in self._places:
            self._take_out(client)
        else:
            del self._waiting[client]

    def settle(self, client: "Client") -> None:
        """Bring the ledger of a member that is ready up to date."""
        if client not in self._places:
            return
        sent, sent_bytes = self._sent, self._sent_bytes
        if self._places[client] < self._cursor:
            head = self._queue[0]
            assert isinstance(head, Item)
            item = self._form(head)
            sent += item.count
            sent_bytes += len(item.frame(self._encoding))
        had, had_bytes = self._joined[client]
        client.ledgers[self._channel].send(sent - had, sent_bytes - had_bytes)
        self._joined[client] = sent, sent_bytes

    def _make_ready(self, client: "Client") -> None:
        del self._waiting[client]
        self._places[client] = len(self._ready)
        self._joined[client] = self._sent, self._sent_bytes
        self._ready.append(client)
        self._line.append(self._send_of(client))

    def _send_of(self, client: "Client") -> Send:
        if not self.key.is_direct:
            return client.send_now
        assert client.plain is not None
        return client.plain.send

    def _take_out(self, client: "Client") -> None:
        self.settle(client)
        del self._joined[client]
        place = self._places.pop(client)
        if place < self._cursor:
            # The hole is filled from just before the cursor, and that place from the end, so
            # that nobody is served twice or skipped by the fan-out under way.
            self._cursor -= 1
            self._move(self._cursor, place)
            place = self._cursor
        self._move(len(self._ready) - 1, place)
        self._ready.pop()
        self._line.pop()

    def _move(self, source: int, target: int) -> None:
        if source != target:
            moved = self._ready[target] = self._ready[source]
            self._line.move(source, target)
            self._places[moved] = target

    # Fan-out

    def advance(self, clock_ns: Callable[[], int], until_ns: int, done: Callable[[Item], None]) -> bool:
        """Go on with the fan-out until the time is up, or it wants a frame; True once nothing is left to do.

        `done` is called with each item when the last member has been offered it.
        """
        while self._queue:
            head = self._queue[0]
            if isinstance(head, Item):
                item = self._form(head)
                if item.payload and not (self._has_frame(item) and self._offer(item, clock_ns, until_ns)):
                    return False
                now_ns = clock_ns()
                self._note_last(item, now_ns)
                self._end_item(item)
                done(item)
                if now_ns >= until_ns:
                    return not self._queue
            else:
                self._queue.popleft()
                self._admit(head)
        return True

    def _has_frame(self, item: Item) -> bool:
        is_there = item.has_frame(self._encoding) or not self._encoding.is_slow(len(item.payload))
        self.wanted = None if is_there else item
        return is_there

    def _form(self, item: Item) -> Item:
        """What the members are sent for an item; made when its turn comes, since it costs work."""
        if item.publications and self.key.only is not None:
            return item.wanted_by(self.key.only)
        if not self.key.is_chain or not item.publications:
            return item
        if self._link is None:
            self._link = link_item(item, self._base)
        return self._link

    def _admit(self, client: "Client") -> None:
        """Its turn in the line has come, unless it has left or fallen behind meanwhile."""
        if client.is_fast and self._waiting.get(client, self._pushed + 1) <= self._sequence:
            self._make_ready(client)

    def _note_last(self, item: Item, now_ns: int) -> None:
        """Of those who keep up, the last one waited longest."""
        if self._ready and item.publications:
            oldest = item.publications[0]
            meter = self._health.kinds[oldest.kind]
            meter.record_client(self._ready[-1].id, item.stages(oldest, now_ns))

    def _end_item(self, item: Item) -> None:
        self._queue.popleft()
        self._sequence += 1
        self._cursor = 0
        self._due = None
        if self._link is not None:
            self._base, self._link = base_after(item), None
        if not item.payload:
            return
        frame_bytes = len(item.frame(self._encoding))
        self._sent += item.count
        self._sent_bytes += frame_bytes
        self._meter.note_item(len(self), len(item.payload), frame_bytes)

    def _offer(self, item: Item, clock_ns: Callable[[], int], until_ns: int) -> bool:
        now_ns = clock_ns()
        if not self._cursor:
            begun_ns = now_ns
            item.frame(self._encoding)
            now_ns = clock_ns()
            item.note_encoded(begun_ns, now_ns)
        while self._cursor < len(self._ready):
            self._send_some(item, now_ns, clock_ns, until_ns)
            now_ns = clock_ns()
            if now_ns >= until_ns and self._cursor < len(self._ready):
                return False
        return self._offer_waiting(item, clock_ns, until_ns)

    def _offer_waiting(self, item: Item, clock_ns: Callable[[], int], until_ns: int) -> bool:
        if self._due is None:
            self._due = [client for client, sequence in self._waiting.items() if sequence <= self._sequence]
        while self._due:
            client = self._due.pop()
            if self._waiting.get(client, self._pushed) <= self._sequence:
                self._waiting[client] = self._sequence + 1
                self._offer_one(client, item)
            # One whose outbox is full is closed, and all that waits for it is dropped.
            if clock_ns() >= until_ns and self._due:
                return False
        return True

    def _offer_one(self, client: "Client", item: Item) -> None:
        if client in self._fresh and item.publications:
            self._fresh.discard(client)
            client.take(item.alone)
            self.resume(client)
        else:
            client.take(item)

    def _send_some(self, item: Item, now_ns: int, clock_ns: Callable[[], int], until_ns: int) -> None:
        """Send to the next members, to as many as are equally late.

        The first whose socket doesn't take all of it ends the round.
        """
        frame = item.frame(self._encoding)
        late, later_ns = item.lateness(self._health.kinds, now_ns)
        start = self._cursor
        self._cursor, taken = self._line.write(frame, start, clock_ns, min(until_ns, later_ns))
        served = self._cursor - start
        self._health.note_sent(item.lane, served * item.count, served * len(frame))
        if late:
            self._health.totals.late += served * late
            for client in self._ready[start : self._cursor]:
                client.ledgers[self._channel].late += late
        if taken < len(frame):
            self._leave_behind(self._ready[self._cursor], item, taken)

    def _leave_behind(self, client: "Client", item: Item, taken: int) -> None:
        if taken == BROKEN:
            client.lose()
            return
        client.fall_behind()
        # What a wire did not take is to come first: it may be on its way already.
        if taken or not self.key.is_direct:
            self._waiting[client] = self._sequence + 1
            client.hold(item, taken)
