"""The broadcaster's side of one connection: the one gate that all it is sent passes.

A client whose socket has room is written to at once. One whose socket is full has fallen
behind: it gets an outbox and one writer task until it has caught up. Nobody waits for it.
"""

from collections.abc import Callable
from typing import Protocol

import trio

from monitor.broadcast.frames import Encoding
from monitor.broadcast.item import Item
from monitor.broadcast.outbox import Outbox
from monitor.health.health import Health

SEND_BYTES = 65_536
"""Several pending frames leave in one send of about this much: 32 joined cost 0.03 of 32 sends (measured)."""

SLOW = (3008, "slow")
WRITE_ERROR = (3009, "write error")


class Wire(Protocol):
    """The socket under a client, plain or encrypted."""

    def send_now(self, data: bytes | memoryview) -> int:
        """Write what the socket takes at once; 0 if it is full. Raises OSError if it is broken."""
        ...

    async def wait_writable(self) -> None: ...


class Client:
    """Sends items to one connection and keeps the count of what became of them."""

    __slots__ = (
        "_health",
        "_lose",
        "_outbox",
        "_outbox_bytes",
        "_rest",
        "_rest_items",
        "_spawn",
        "_wire",
        "_write_seconds",
        "_writer_done",
        "_writing",
        "channels",
        "dropped",
        "encoding",
        "is_behind",
        "is_closed",
        "merged",
        "offered",
        "sent",
        "sent_bytes",
        "user",
    )

    def __init__(
        self,
        wire: Wire,
        encoding: Encoding,
        health: Health,
        *,
        outbox_bytes: int,
        write_seconds: float,
        spawn: Callable[..., None],
        lose: Callable[[int, str], None],
    ) -> None:
        """`spawn` starts the writer; `lose(code, reason)` ends the connection, later, from its own task."""
        self.encoding = encoding
        self.user = ""
        self.channels: set[str] = set()
        self.is_behind = False
        self.is_closed = False
        self.offered = self.sent = self.merged = self.dropped = self.sent_bytes = 0
        self._wire = wire
        self._health = health
        self._outbox: Outbox | None = None
        self._outbox_bytes = outbox_bytes
        self._rest = memoryview(b"")
        self._rest_items: list[Item] = []
        self._write_seconds = write_seconds
        self._spawn = spawn
        self._lose = lose
        self._writing: trio.CancelScope | None = None
        self._writer_done: trio.Event | None = None

    @property
    def pending(self) -> int:
        """Publications not yet sent; offered = sent + merged + dropped + pending."""
        return sum(self.depths())

    @property
    def pending_bytes(self) -> int:
        return len(self._rest) + (self._outbox.bytes if self._outbox else 0)

    def depths(self) -> list[int]:
        """Publications waiting, by lane."""
        depths = self._outbox.depths() if self._outbox else [0, 0, 0, 0]
        for item in self._rest_items:
            depths[item.lane] += item.count
        return depths

    def offer(self, item: Item) -> None:
        """Send an item now, or queue it if the client is behind. Never waits, never raises."""
        self.offered += item.count
        self._health.totals.offered += item.count
        if self.is_closed:
            self._drop([item], "closed")
        elif self.is_behind:
            self._queue(item)
        else:
            self._write([item], item.frame(self.encoding))

    def _write(self, items: list[Item], data: bytes | memoryview) -> None:
        try:
            written = self._wire.send_now(data)
        except OSError:
            if self.is_behind:
                self._forget(items)
            self._rest, self._rest_items = memoryview(b""), []
            self._drop(items, "disconnected")
            self._give_up(*WRITE_ERROR)
            return
        self.sent_bytes += written
        self._health.totals.bytes += written
        if written == len(data):
            self._rest_items = []
            self._account_sent(items)
        else:
            self._rest = memoryview(data)[written:]
            self._rest_items = items
            self._fall_behind(items)

    def _account_sent(self, items: list[Item]) -> None:
        for item in items:
            self.sent += item.count
            self._health.lanes[item.lane].sent += item.count
            self._health.totals.sent += item.count

    def _fall_behind(self, items: list[Item]) -> None:
        if self.is_behind:
            return
        self.is_behind = True
        self._outbox = Outbox(self._outbox_bytes)
        for item in items:
            self._health.lanes[item.lane].add(item.count, len(item.payload))
        self._writer_done = trio.Event()
        self._spawn(self._catch_up)

    def _queue(self, item: Item) -> None:
        assert self._outbox is not None
        queued, replaced = self._outbox.offer(item)
        if queued is None:
            self._drop([item], "slow")
            self._give_up(*SLOW)
            return
        if replaced is not None:
            merged = replaced.count + item.count - queued.count
            self.merged += merged
            self._health.totals.merged += merged
            self._forget([replaced])
        self._health.lanes[queued.lane].add(queued.count, len(queued.payload))

    async def _catch_up(self) -> None:
        """The one writer, for as long as the client is behind."""
        assert self._writer_done is not None
        try:
            with trio.CancelScope() as self._writing:
                while await self._wait_for_room() and not self._send_pending():
                    pass
        finally:
            self._writer_done.set()

    async def _wait_for_room(self) -> bool:
        """False if the socket took nothing for too long, or broke: the client is lost then."""
        with trio.move_on_after(self._write_seconds):
            try:
                await self._wire.wait_writable()
            except OSError:
                self._give_up(*WRITE_ERROR)
            return not self.is_closed
        self._give_up(*SLOW)
        return False

    def _send_pending(self) -> bool:
        """Write until the socket is full; True once nothing is left to do."""
        while not self.is_closed:
            items, data = self._next_send()
            if not data:
                self.is_behind = False
                self._outbox = None
                return True
            self._rest = memoryview(b"")
            self._write(items, data)
            if self._rest or self.is_closed:
                return self.is_closed
            self._note_lateness(items)
            for item in items:
                self._health.lanes[item.lane].remove(item.count, len(item.payload))
        return True

    def _next_send(self) -> tuple[list[Item], bytes | memoryview]:
        if self._rest:
            return self._rest_items, self._rest
        assert self._outbox is not None
        items = self._outbox.take(SEND_BYTES)
        return items, b"".join([item.frame(self.encoding) for item in items])

    def _note_lateness(self, items: list[Item]) -> None:
        for item in items:
            for publication in item.publications:
                self._health.note_delayed(publication.kind, publication.stamp_ns)

    def discard(self, channel: str) -> None:
        """Drop what is pending of a channel that the client leaves."""
        if self._outbox is not None:
            gone = self._outbox.discard(channel)
            self._forget(gone)
            self._drop(gone, "left")

    async def drain(self) -> bytes:
        """Wait until the writer, if there is one, is done.

        Returns:
            What must be written before anything else can be: the rest of a frame that is half out.
        """
        if self._writer_done is not None:
            await self._writer_done.wait()
        return bytes(self._rest)

    def close(self) -> None:
        """Take nothing more, and account for what was still pending."""
        if self.is_closed:
            return
        self.is_closed = True
        gone = self._rest_items + (self._outbox.clear() if self._outbox else [])
        if self.is_behind:
            self._forget(gone)
        self._drop(gone, "disconnected")
        self._rest_items, self._outbox, self.is_behind = [], None, False
        if self._writing is not None:
            self._writing.cancel()

    def _give_up(self, code: int, reason: str) -> None:
        self.close()
        self._lose(code, reason)

    def _forget(self, items: list[Item]) -> None:
        for item in items:
            self._health.lanes[item.lane].remove(item.count, len(item.payload))

    def _drop(self, items: list[Item], reason: str) -> None:
        count = sum(item.count for item in items)
        self.dropped += count
        if count:
            self._health.totals.dropped[reason] += count
