"""One client of the stand-in: his commands, the replay at its pace, pings.

Every write passes one lock, so what is sent leaves in the order in which it was decided. The
replay waits for a slow client, as a socket does; nothing is queued for him.
"""

import math
from collections.abc import Iterable
from contextlib import suppress

import trio
from wsproto import WSConnection
from wsproto.events import BytesMessage, CloseConnection, Ping, Pong, TextMessage
from wsproto.utilities import LocalProtocolError

from monitor.broadcast.frames import text_frame
from monitor.venue.script import Conversation, Script, Venue

SETTLE_SECONDS = 0.3
"""The replay starts when no command came for this long, so that a client which subscribes in
several messages gets all its streams from the start, at any speed."""
BATCH_BYTES = 65_536
BATCH_LINES = 1_000
"""Looked at before other connections have their turn, about 1 ms."""
BEAT_SECONDS = 1.0
COMMAND_BYTES = 2**20
UNANSWERED_PINGS = 3


class Session:
    """Runs one upgraded connection until it ends."""

    def __init__(
        self, stream: trio.abc.Stream, socket: WSConnection, venue: Venue, conversation: Conversation
    ) -> None:
        self._stream = stream
        self._socket = socket
        self._venue = venue
        self._conversation = conversation
        self._gate = trio.StrictFIFOLock()
        self._writes = 0
        self._settling = trio.CancelScope()
        self._ready = trio.Event()
        self._partial: list[str] = []
        self._unanswered = 0

    async def run(self, speed: float | None) -> None:
        """Serve until the client leaves; `speed` None is as fast as it reads."""
        async with trio.open_nursery() as nursery:
            nursery.start_soon(self._replay, self._venue.script, speed)
            nursery.start_soon(self._ping)
            nursery.start_soon(self._beat)
            nursery.start_soon(self._expect_subscription)
            await self._say(self._conversation.opening())
            self._note_readiness()
            await self._listen()
            nursery.cancel_scope.cancel()

    async def _listen(self) -> None:
        data: bytes | None = b""
        while data is not None:
            for event in self._socket.events():
                match event:
                    case TextMessage(data=text, message_finished=finished):
                        await self._hear(text, finished)
                    case BytesMessage():
                        await self._close(1003, "text messages only")
                    case Ping():
                        await self._write(self._socket.send(event.response()))
                    case Pong():
                        self._unanswered = 0
                    case CloseConnection():
                        await self._write(self._socket.send(event.response()))
                        return
            data = bytes(await self._stream.receive_some(BATCH_BYTES)) or None
            self._socket.receive_data(data)

    async def _hear(self, text: str, finished: bool) -> None:
        self._partial.append(text)
        if sum(map(len, self._partial)) > COMMAND_BYTES:
            await self._close(1009, f"a command of more than {COMMAND_BYTES} bytes")
        elif finished:
            command = "".join(self._partial)
            self._partial.clear()
            await self._obey(command)

    async def _obey(self, command: str) -> None:
        replies = [text_frame(payload) for payload in self._conversation.command(command)]
        late, self._conversation.late = self._conversation.late, set()
        missed = self._venue.script.missed(late, self._conversation.position)
        rendered = (self._conversation.render(line) for line in missed)
        self._note_readiness()
        await self._write(b"".join((*replies, *(frame for frame in rendered if frame))))

    def _note_readiness(self) -> None:
        """Let the replay start a moment after the latest command that leaves something subscribed."""
        if self._conversation.is_ready:
            self._ready.set()
            self._settling.deadline = trio.current_time() + SETTLE_SECONDS

    async def _replay(self, script: Script, speed: float | None) -> None:
        with self._settling:
            await trio.sleep_forever()
        start = trio.current_time()
        while self._conversation.position < len(script.lines):
            due = math.inf
            if speed is not None:
                seconds = script.lines[self._conversation.position].seconds
                await trio.sleep_until(start + seconds / speed)
                due = max(seconds, (trio.current_time() - start) * speed)
            await self._write(self._take(script, due))

    def _take(self, script: Script, due: float) -> bytes:
        """The frames of the next lines that are due, as much as one write should hold."""
        conversation, lines = self._conversation, script.lines
        frames, size, position = [], 0, conversation.position
        end = min(len(lines), position + BATCH_LINES)
        while position < end and size < BATCH_BYTES and lines[position].seconds <= due:
            frame = conversation.render(lines[position])
            position += 1
            if frame is not None:
                frames.append(frame)
                size += len(frame)
        conversation.position = position
        return b"".join(frames)

    async def _ping(self) -> None:
        while True:
            await trio.sleep(self._venue.ping_seconds)
            if self._unanswered >= UNANSWERED_PINGS:
                await self._close(1008, "no pong")
            self._unanswered += 1
            await self._write(self._socket.send(Ping(payload=self._venue.ping_payload)))

    async def _beat(self) -> None:
        while True:
            writes = self._writes
            await trio.sleep(BEAT_SECONDS)
            if writes == self._writes:
                await self._say(self._conversation.beat())

    async def _expect_subscription(self) -> None:
        if self._venue.subscribe_seconds is not None:
            with trio.move_on_after(self._venue.subscribe_seconds) as patience:
                await self._ready.wait()
            if patience.cancelled_caught:
                await self._close(1008, "no subscription")

    async def _say(self, payloads: Iterable[bytes]) -> None:
        await self._write(b"".join(map(text_frame, payloads)))

    async def _close(self, code: int, reason: str) -> None:
        """Say goodbye and end the session."""
        with suppress(LocalProtocolError):  # both sides may say it at once
            await self._write(self._socket.send(CloseConnection(code, reason)))
        raise trio.ClosedResourceError(reason)

    async def _write(self, data: bytes) -> None:
        if not data:
            await trio.lowlevel.checkpoint()
            return
        self._writes += 1
        async with self._gate:
            await self._stream.send_all(data)
