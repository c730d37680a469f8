"""The broadcaster's side of one connection: the one gate that all it is sent passes.

A client whose socket has room is written to at once. One whose socket is full has fallen
behind: it gets an outbox and one writer task until it has caught up. Nobody waits for it.
"""

import math
from collections.abc import Callable
from enum import Enum, auto

import trio

from monitor.broadcast.accounts import Accounts
from monitor.broadcast.backlog import Backlog
from monitor.broadcast.frames import Encoding
from monitor.broadcast.group import SendGroup
from monitor.broadcast.item import Item
from monitor.broadcast.ladder import MARKET_STREAM, Ladder, Step
from monitor.broadcast.ledger import Ledger
from monitor.broadcast.pace import Budget, Pace
from monitor.broadcast.wire import Wire
from monitor.config import Lane
from monitor.health.health import Health
from monitor.turn import SLICE_NS
from monitor.turnstile import Turnstile

SEND_BYTES = 65_536
"""Several pending frames leave in one send of about this much: 32 joined cost 0.03 of 32 sends (measured)."""
MAKE_NS = SLICE_NS // 2
"""What is sent together is put together in this time; to send it and account for it takes as long again."""


class Loss(Enum):
    """Why a connection can't be sent anything more."""

    SLOW = auto()
    """Its outbox is full, or its socket took nothing for too long."""
    BROKEN = auto()


class Client:
    """Sends items to one connection, at once or later."""

    __slots__ = (
        "_attend",
        "_health",
        "_lose",
        "_make_frame",
        "_on_step",
        "_pace",
        "_stirred",
        "_wire",
        "_write_seconds",
        "_writer_done",
        "_writing",
        "accounts",
        "backlog",
        "encoding",
        "groups",
        "id",
        "is_closed",
        "ladder",
        "ledgers",
        "place",
        "plain",
        "send_now",
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
        attend: Callable[["Client"], None],
        on_step: Callable[[], None],
        lose: Callable[[Loss], None],
        make_frame: Callable[[Item, Encoding, Callable[[], None]], None],
    ) -> None:
        """What the client's keepers are told.

        Args:
            attend: it has fallen behind: run `catch_up`, and call `judge` now and then.
            on_step: it stands on another step of the ladder now.
            lose: end the connection for this, later, from its own task.
            make_frame: make a frame that takes long where it holds nobody up, and call back.
        """
        self.encoding = encoding
        self.plain = wire.plain
        self.send_now = wire.send_now
        self.id = ""
        """What operators know it by."""
        self.user = ""
        self.place = ""
        """Where it comes from; empty where nobody counts that."""
        self.groups: dict[str, SendGroup] = {}
        """By channel, those it is a member of."""
        self.accounts = Accounts(encoding, health, self.groups)
        self.ledgers = self.accounts.ledgers
        """By channel; up to date after `settle`."""
        self.ladder = Ladder()
        self.backlog = Backlog(outbox_bytes)
        self.is_closed = False
        self._wire = wire
        self._health = health
        self._write_seconds = write_seconds
        self._attend = attend
        self._on_step = on_step
        self._lose = lose
        self._make_frame = make_frame
        self._pace: Pace | None = None
        self._writing: trio.CancelScope | None = None
        self._writer_done: trio.Event | None = None
        self._stirred: trio.Event | None = None
        """What the writer waits for while its outbox is held up."""

    @property
    def is_behind(self) -> bool:
        return self.backlog.outbox is not None

    @property
    def is_fast(self) -> bool:
        """A group may write to it by itself."""
        return not (self.is_behind or self.is_closed or self._pace) and self.ladder.is_at_rest

    # The ladder

    def judge(self, now: float) -> bool:
        """Let the backlog lead up or down the ladder; False once there is nothing left to watch."""
        if self.is_closed:
            return False
        if self.ladder.judge(self.backlog.share, now):
            self._on_step()
        if self.is_behind or not self.ladder.is_at_rest:
            return True
        self._rejoin()
        return False

    def pin(self, step: Step | None) -> None:
        """Keep it on a step from the next `judge` on; with None its backlog leads it again."""
        self.ladder.pinned = step
        for group in self.groups.values():
            group.rest(self)

    def give_up_streams(self) -> None:
        """Drop what is pending of the market's streams: on the last step the client does without."""
        self._do_without(self.backlog.discard(lambda item: item.is_of(MARKET_STREAM)))

    def _do_without(self, items: list[Item]) -> None:
        self.ladder.torn |= {item.channel for item in items}
        self.accounts.drop(items, "ladder")

    # Its own pace

    @property
    def budget(self) -> Budget:
        return self._pace.budget if self._pace else Budget()

    def limit(self, budget: Budget) -> None:
        """Send at most so much from now on; immediate events and replies are sent at once all the same."""
        self._pace = Pace(budget, trio.current_time()) if budget else None
        for group in self.groups.values():
            group.rest(self)
        self._rejoin()
        self._stir()

    def _pause_seconds(self) -> float:
        """How long the pace keeps the client from being sent more; a frame that is half out is finished."""
        return self._pace.seconds_until(trio.current_time()) if self._pace and not self.backlog.rest else 0.0

    def _goes_before(self, item: Item) -> bool:
        """Whether an item is sent though the client's pace is spent; a full socket holds up everything."""
        is_pressing = self._pace is not None and item.lane is Lane.IMMEDIATE
        is_held_up = bool(self.backlog.rest) or any(self.backlog.of(Lane.IMMEDIATE))
        return is_pressing and not is_held_up and not self._takes_long(item)

    def _keeps_its_lane(self, reply: Item) -> bool:
        """Whether a reply waits for the budget of those before it: one of them is a reply, or it is long."""
        return self.backlog.has_reply(reply.lane) or self._takes_long(reply)

    # Channels

    def join(self, channel: str, group: SendGroup) -> None:
        self.groups[channel] = group
        self.accounts.open(channel)
        group.add(self)

    def leave(self, channel: str, *, discard: bool) -> None:
        """Be no member any more; with `discard`, what is pending of the channel is dropped."""
        self.groups.pop(channel).remove(self)
        self.ladder.torn -= {channel}
        if discard:
            self.accounts.drop(self.backlog.discard(lambda item: item.channel == channel), "left")
            self.accounts.retire(channel)

    def settle(self) -> Ledger:
        """Bring the ledgers up to date; returns the sum of all, with the channels that were left."""
        for group in self.groups.values():
            group.settle(self)
        return self.accounts.total()

    # The gate

    def offer(self, item: Item) -> None:
        """Send a reply, a ping or a pong, or queue it if the client is behind. Never waits, never raises."""
        if self.is_closed:
            return
        if self._pace is not None and not self._keeps_its_lane(item):
            item.lane = Lane.IMMEDIATE
        self.accounts.resend(item)
        if self.is_behind and not self._goes_before(item):
            self._queue(item)
        else:
            self._send(item)

    def take(self, item: Item) -> None:
        """Send a publication, or queue it if the client is behind; outside of the group's fast path."""
        self.accounts.offer(item)
        if self.is_closed:
            self.accounts.drop([item], "disconnected")
        elif self.ladder.keeps_back(item):
            self._do_without([item])
        elif self._goes_before(item):
            self._send(item)
        elif self.is_behind or self._pause_seconds():
            self.fall_behind()
            self._queue(item)
        else:
            self._send(item)

    def hold(self, item: Item, taken: int) -> None:
        """The group's fast path sent the first bytes of an item's frame: the rest goes out first."""
        self.accounts.offer(item)
        self._health.totals.bytes += taken
        self.backlog.cut([item], item.frame(self.encoding), taken)

    def fall_behind(self) -> None:
        """Take no more of the fast path, until the writer has caught up."""
        if self.is_behind or self.is_closed:
            return
        self.backlog.open()
        self._writer_done = trio.Event()
        for group in self.groups.values():
            group.rest(self)
        self._attend(self)

    def lose(self) -> None:
        """The socket is broken."""
        self._give_up(Loss.BROKEN)

    def _send(self, item: Item) -> None:
        if self._takes_long(item):
            self.fall_behind()
            self._hold(item)
        elif not self._write([item], item.frame(self.encoding)):
            self.fall_behind()

    def _takes_long(self, item: Item) -> bool:
        """Whether to make its frame here would hold up the others."""
        return self.encoding.is_slow(len(item.payload)) and not item.has_frame(self.encoding)

    def _hold(self, item: Item) -> None:
        """Let it have its frame made elsewhere; until then its lane waits, and what is of another goes on."""
        assert self.backlog.outbox is not None
        self.backlog.outbox.hold(item)
        self._make_frame(item, self.encoding, lambda: self._release(item))

    def _release(self, item: Item) -> None:
        if self.backlog.outbox is not None:
            self.backlog.outbox.release(item)
            self._stir()

    def _stir(self) -> None:
        if self._stirred is not None:
            self._stirred.set()

    def _write(self, items: list[Item], data: bytes | memoryview) -> bool:
        """Write; False if something is left, which then waits as the rest."""
        try:
            written = self.send_now(data)
        except OSError:
            self.backlog.cut(items, b"", 0)
            self.lose()
            return True
        self._health.totals.bytes += written
        if written < len(data):
            self.backlog.cut(items, data, written)
            self._stir()
            return False
        self.backlog.finish()
        for item in items:
            if self._pace is not None:
                self._pace.spend(item.count, len(item.frame(self.encoding)), trio.current_time())
            self.accounts.deliver(item, self.id, is_behind=self.is_behind, is_paced=self._pace is not None)
        return True

    def _queue(self, item: Item) -> None:
        assert self.backlog.outbox is not None
        queued, replaced = self.backlog.outbox.offer(item)
        if item.lane is Lane.IMMEDIATE or not self._pause_seconds():
            self._stir()
        if queued is None:
            self.accounts.drop([item], "slow")
            self._give_up(Loss.SLOW)
        elif replaced is not None:
            self.accounts.merge(item, replaced, queued)

    async def catch_up(self, turnstile: Turnstile) -> None:
        """The one writer, for as long as the client is behind; the turnstile is that of all writers."""
        assert self._writer_done is not None
        try:
            with trio.CancelScope() as self._writing:
                # It may have been closed before its writer's first turn, or while others had theirs.
                while not self.is_closed and await self._wait_for_room():
                    await turnstile.enter()
                    if self.is_closed or self._send_pending():
                        break
        finally:
            self._writer_done.set()

    async def _wait_for_room(self) -> bool:
        """False if the socket took nothing for too long, or broke: the client is lost then."""
        while seconds := self._held_up_seconds():
            self._stirred = trio.Event()
            with trio.move_on_after(seconds):
                await self._stirred.wait()
        with trio.move_on_after(self._write_seconds):
            try:
                await self._wire.wait_writable()
            except OSError:
                self.lose()
            return not self.is_closed
        self._give_up(Loss.SLOW)
        return False

    def _held_up_seconds(self) -> float:
        """How long all that waits does so for the pace, or for a frame that is made elsewhere."""
        rest, outbox = self.backlog.rest, self.backlog.outbox
        if rest or outbox is None or outbox.is_waiting(Lane.IMMEDIATE):
            return 0.0
        return math.inf if outbox.is_held_up else self._pause_seconds()

    def _send_pending(self) -> bool:
        """Send once, then it is the others' turn; True once nothing is left to do."""
        items, data = self._next_send()
        if data and not self._write(items, data):
            return False
        return self.is_closed or self._keep_up()

    def _next_send(self) -> tuple[list[Item], bytes | memoryview]:
        """What is half out, else what is next: while the client's pace is spent, only what is urgent."""
        if self.backlog.rest:
            return self.backlog.begun, self.backlog.rest
        outbox, clock_ns = self.backlog.outbox, self._health.clock_ns
        assert outbox is not None
        items: list[Item] = []
        frames: list[bytes] = []
        # Of a client with a pace one by one: what follows waits for its budget.
        room, is_paused = 1 if self._pace else SEND_BYTES, bool(self._pause_seconds())
        now_ns = clock_ns()
        until_ns = now_ns + MAKE_NS
        while room > 0 and now_ns < until_ns:
            item = outbox.take_urgent() if is_paused else outbox.take(now_ns)
            if item is None:
                break
            if self._takes_long(item):
                self._hold(item)
                continue
            items.append(item)
            frames.append(item.frame(self.encoding))
            room -= len(frames[-1])
            now_ns = clock_ns()
        return items, b"".join(frames)

    def _keep_up(self) -> bool:
        """End being behind, unless something waits: for its pace, or for a frame that is made elsewhere."""
        if self.backlog.outbox:
            return False
        self.backlog.outbox = None
        self._rejoin()
        return True

    def _rejoin(self) -> None:
        for group in self.groups.values():
            group.resume(self)

    # The end

    async def drain(self) -> bytes:
        """Wait until the writer, if there is one, is done.

        Returns:
            What must be written before anything else can be: the rest of a frame that is half out.
        """
        if self._writer_done is not None:
            await self._writer_done.wait()
        return bytes(self.backlog.rest)

    def close(self) -> None:
        """Take nothing more, and account for what was still pending."""
        if self.is_closed:
            return
        self.is_closed = True
        for group in self.groups.values():
            group.rest(self)
        self.accounts.drop(self.backlog.clear(), "disconnected")
        if self._writing is not None:
            self._writing.cancel()

    def part(self) -> None:
        """Its keeper is gone: tell it nothing more, and hold it no longer."""
        self._on_step = lambda: None
        self._lose = lambda loss: None

    def _give_up(self, loss: Loss) -> None:
        self.close()
        self._lose(loss)
