"""From a channel to its subscribers: ticks gather, fan-outs run in slices, lanes take turns.

The first millisecond of a fan-out runs at once; the rest in slices between which everything else
gets its turn. A channel has one fan-out under way. A frame so long that making it would hold up
the others is made in a thread: its channel, or its client's lane, waits for it, in order, and the
others go on.
"""

from collections.abc import Callable
from functools import partial

import trio

from monitor.broadcast.batch import batch
from monitor.broadcast.channel import Channel, Progress
from monitor.broadcast.frames import Deflate, Encoding, negotiable
from monitor.broadcast.item import Item, Publication
from monitor.broadcast.ladder import Variant
from monitor.broadcast.turns import LONGEST_WAIT_NS, Turns
from monitor.broadcast.volunteers import Volunteers
from monitor.config import Cadence, Lane, Settings
from monitor.health.health import Health
from monitor.turn import SLICE_NS, Turn

THREADS = 2
"""That make frames at a time; what waits for one is bounded by what its channel, or client, may hold."""


class Outflow:
    def __init__(self, settings: Settings, health: Health) -> None:
        self.volunteers = Volunteers(health)
        self.cadence = settings.cadence
        self.encodings = negotiable(settings.cadence)
        """By the window of permessage-deflate, None without it."""
        self._frame_bytes = settings.limits.frame_bytes
        self._health = health
        self._clock_ns = health.clock_ns
        self._turns = Turns()
        self._gathering: set[Channel] = set()
        self._gathered = trio.Event()
        self._unfinished: dict[Lane, dict[Channel, None]] = {}
        """Those with a fan-out to go on with, by lane; the first of a lane has its next turn."""
        self._interrupted = trio.Event()
        self._framing: set[Channel] = set()
        """Those whose fan-out waits for a frame."""
        self._threads = trio.CapacityLimiter(THREADS)

    def change_cadence(self, cadence: Cadence) -> None:
        """Go on with other ticks and another effort, for all clients from their next frame on."""
        self.cadence = cadence
        for encoding in self.encodings.values():
            if isinstance(encoding, Deflate):
                encoding.level = cadence.compression_level
                encoding.from_bytes = cadence.compression_from_bytes

    def is_busy(self, channel: Channel) -> bool:
        """Whether a fan-out of the channel is under way."""
        return channel in self._unfinished.get(channel.lane, ()) or channel in self._framing

    def send(self, channel: Channel, publications: list[Publication]) -> None:
        """Send publications with the channel's next tick, or now if the channel has none."""
        if not channel.namespace.gather:
            self.fan_out(channel, publications)
            return
        for publication in publications:
            channel.gather(publication)
        if channel.gathered_count >= self.cadence.tick_messages:
            self.flush(channel)
        else:
            self._gathering.add(channel)
            self._gathered.set()

    def flush(self, channel: Channel) -> None:
        """End the channel's tick now."""
        self._gathering.discard(channel)
        if gathered := channel.take_gathered():
            self.fan_out(channel, gathered)

    def forget(self, channel: Channel) -> None:
        """Nobody is subscribed any more: what has gathered is for nobody."""
        self._gathering.discard(channel)
        channel.take_gathered()

    def fan_out(
        self, channel: Channel, publications: list[Publication], variant: Variant | None = None
    ) -> None:
        """Send to those who get the channel in this form, None is every form, after what is under way."""
        marked = self.volunteers.sample(channel.name, publications, variant, self._clock_ns())
        items = channel.items(
            marked, frame_bytes=self._frame_bytes, frame_messages=self.cadence.tick_messages
        )
        for item in batch(items):
            channel.push(item, variant)
        if not self.is_busy(channel):
            self._go_on(channel)

    def push_later(self, channel: Channel, item: Item) -> None:
        """Send an item to every form's subscribers, with the channel's next turn and not in this one."""
        channel.push(item, None)
        if not self.is_busy(channel):
            self._resume(channel)

    def _go_on(self, channel: Channel) -> None:
        """Let the channel have a slice; what is left has its turn later."""
        progress = channel.advance(self._clock_ns, self._clock_ns() + SLICE_NS, self._finish)
        if progress is Progress.INTERRUPTED:
            self._resume(channel)
        elif progress is Progress.WANTS_FRAMES:
            self._framing.add(channel)
            wanted = channel.wanted_frames()
            self._nursery.start_soon(self._make_frames, wanted, partial(self._resume, channel))

    def _resume(self, channel: Channel) -> None:
        self._framing.discard(channel)
        self._unfinished.setdefault(channel.lane, {})[channel] = None
        self._interrupted.set()

    def _finish(self, item: Item) -> None:
        now_ns = self._clock_ns()
        for publication in item.publications:
            self._health.kinds[publication.kind].record(item.stages(publication, now_ns))

    def make_frame(self, item: Item, encoding: Encoding, then: Callable[[], None]) -> None:
        """Have one client's own frame made in a thread, and be told."""
        self._nursery.start_soon(self._make_frames, [(item, encoding)], then)

    async def _make_frames(self, wanted: list[tuple[Item, Encoding]], then: Callable[[], None]) -> None:
        for item, encoding in wanted:
            begun_ns = self._clock_ns()
            frame = await trio.to_thread.run_sync(encoding.frame, item.payload, limiter=self._threads)
            item.keep_frame(encoding, frame)
            item.note_encoded(begun_ns, self._clock_ns())
        then()

    async def give_way(self) -> None:
        """Let fan-outs of the immediate lane end first that are under way, within the longest wait of a lane.

        For what concerns nobody's money, and would lie between their slices.
        """
        until_ns = self._clock_ns() + LONGEST_WAIT_NS
        await trio.lowlevel.checkpoint()
        while Lane.IMMEDIATE in self._unfinished and self._clock_ns() < until_ns:
            await trio.lowlevel.checkpoint()

    async def run(self, *, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        """Tick, and go on with fan-outs that were interrupted, until cancelled."""
        async with trio.open_nursery() as nursery:
            self._nursery = nursery
            nursery.start_soon(self._run_ticks)
            nursery.start_soon(self._run_turns)
            task_status.started()

    async def _run_ticks(self) -> None:
        while True:
            await self._gathered.wait()
            await trio.sleep(self.cadence.tick_ms / 1_000)
            self._gathered = trio.Event()
            await self._flush_all()

    async def _flush_all(self) -> None:
        """End the ticks of all that gather, the highest lane's first, giving way in between."""
        turn = Turn(clock_ns=self._clock_ns)
        for channel in sorted(self._gathering, key=lambda channel: channel.lane):
            self.flush(channel)
            await turn.give_way()

    async def _run_turns(self) -> None:
        while True:
            await self._interrupted.wait()  # gives way also where there is something to go on with
            self._take_turn()
            if not self._unfinished:
                self._interrupted = trio.Event()

    def _take_turn(self) -> None:
        lane = self._turns.next(self._unfinished, self._clock_ns())
        assert lane is not None, "somebody waits"
        channels = self._unfinished[lane]
        channel = next(iter(channels))
        del channels[channel]
        if not channels:
            del self._unfinished[lane]
        self._go_on(channel)
