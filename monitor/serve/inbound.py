"""What one client says: frames to commands, carried out in turns and within its limit.

Commands are carried out as they are read, without a wait in between but at a turn's end, so that
what a client asks for can't be overtaken. A flood is to cost next to nothing: beyond the limit a
client is refused by rule and heard seldom, and closed in the end. Its end hangs on what it said,
not on how fast it was heard: who is heard seldom is never seen to be fast.
"""

from collections.abc import Awaitable, Callable, Generator, Iterator
from typing import TYPE_CHECKING

import trio

from monitor.broadcast.item import Item
from monitor.config import Lane
from monitor.serve import protocol
from monitor.serve.protocol import Command, CommandError, Disconnect, Goodbye, Refusal
from monitor.serve.websocket import TOO_LONG, Closing, Event, Message, Pong, WebSocket
from monitor.serve.window import Window
from monitor.turn import Turn
from monitor.turnstile import SHARE_NS

if TYPE_CHECKING:
    from monitor.serve.house import Outcome
    from monitor.serve.session import Session

FLOOD_FACTOR = 10
"""Over its command limit a client gets errors; after this many times the limit of them it is closed."""
OVER_LIMIT_SECONDS = 0.05
"""Between two turns of a client that is over its limit, at most."""
HEARD_FACTOR = 4
"""So many times the limit a second such a client is heard at least, so a flood comes to its end."""
HEARD_MAX = 100
"""In such a turn; to refuse them takes a millisecond."""


class Inbound:
    """Reads for a session until its connection is to end."""

    __slots__ = ("_heard_least", "_limit", "_refused", "_session", "_websocket", "_window", "close_frame")

    def __init__(self, session: "Session", websocket: WebSocket) -> None:
        self._session = session
        self._websocket = websocket
        self._limit = session.house.settings.limits.commands_per_second
        self._heard_least = min(HEARD_MAX, self._limit * HEARD_FACTOR * OVER_LIMIT_SECONDS)
        self._window = Window()
        self._refused = 0
        """How many commands, since one was within the limit."""
        self.close_frame = b""
        """Our answer to the peer's close, or to its fault."""

    async def run(self, receive: Callable[[], Awaitable[bytes]]) -> Goodbye:
        """Carry out what comes; returns how it ended. Raises OSError."""
        data: bytes | None = None
        try:
            while data != b"":
                await self._take_turns(self._steps(data))
                data = await receive()
        except Disconnect as error:
            return error.goodbye
        return protocol.CONNECTION_LOST

    async def _take_turns(self, steps: Iterator[None]) -> None:
        turn, heard = Turn(SHARE_NS), 0
        for _ in steps:
            heard += 1
            if turn.is_over and not (self._refused and heard < self._heard_least):
                await self._give_way()
                turn, heard = Turn(SHARE_NS), 0
        if self._refused:
            await self._give_way()

    async def _give_way(self) -> None:
        """Let the others go on; who is over his limit gets his next turn later."""
        await trio.sleep(self._heard_least / (self._limit * HEARD_FACTOR) if self._refused else 0)
        await self._session.house.turnstile.enter()

    def _steps(self, data: bytes | None) -> Iterator[None]:
        """Do what was received, in steps of one frame or command. Raises Disconnect."""
        for event in self._websocket.receive(data):
            for _ in self._take(event):
                if self._session.goodbye is not None:
                    raise Disconnect(self._session.goodbye)
                yield

    def _take(self, event: Event) -> Iterator[None]:
        match event:
            case Message(message):
                yield from self._carry_out(message)
            case Closing(code, reason, frame):
                self.close_frame = frame
                if code == TOO_LONG and not self._websocket.is_closed:
                    self._session.house.hub.health.totals.refused["message_bytes"] += 1
                raise Disconnect(Goodbye(code, reason))
            case _:
                self._count()
                if isinstance(event, Pong):
                    self._session.client.offer(Item(event.frame, Lane.IMMEDIATE, is_control=True))
                yield

    def _carry_out(self, message: bytes) -> Iterator[None]:
        if (lines := message.count(b"\n")) > self._limit * FLOOD_FACTOR:
            self._refuse(lines)
        for command in protocol.read_commands(message):
            yield from self._dispatch(command)
            yield

    def _dispatch(self, command: Command) -> Iterator[None]:
        method = command.method()
        if not method and not command.id:
            self._session.take_pong()
            return
        self._check_order(command, method)
        try:
            if not self._count():
                raise CommandError(protocol.TOO_MANY_REQUESTS)
            handled = self._session.house.handlers[method](self._session, getattr(command, method))
            outcome = (yield from handled) if isinstance(handled, Generator) else handled
        except CommandError as error:
            self._turn_down(command, method, error.refusal)
        else:
            if method != "send":
                self._answer(outcome, protocol.reply(command.id, method, outcome.result))

    def _turn_down(self, command: Command, method: str, refusal: Refusal) -> None:
        if method != "send":
            # It has no id, and SDKs take an answer without one for a ping.
            self._session.send(Lane.IMMEDIATE, protocol.error_reply(command.id, refusal))
        if command.subscribe is not None:
            self._session.stop_loading(command.subscribe.channel)
        if method == "connect":
            # What follows in the same message must not be answered: the client would take it as final.
            raise Disconnect(Goodbye(protocol.CONNECTION_CLOSED.code, refusal.message)) from None

    def _answer(self, outcome: "Outcome", reply: bytes) -> None:
        """Reply, once the publication that the command made is on its way."""
        session, receipt = self._session, outcome.receipt
        if receipt is None or receipt.is_settled:
            session.send(outcome.lane, reply, outcome.resent)
        else:
            receipt.then(lambda: None if session.goodbye else session.send(outcome.lane, reply))

    def _check_order(self, command: Command, method: str) -> None:
        if self._session.claims is None and method != "connect":
            raise protocol.bad_command("the first command must be connect")
        if not method:
            raise protocol.bad_command("a command needs a method")
        if command.id < 1 and method != "send":
            raise protocol.bad_command("a command needs an id of at least 1")

    def _count(self) -> bool:
        """Count a command, or a frame that holds none; False beyond the limit. Raises Disconnect."""
        if self._window.add() <= self._limit:
            self._refused = 0
            return True
        self._refuse()
        return False

    def _refuse(self, count: int = 1) -> None:
        """Raises Disconnect once too many are beyond the limit, one after the other."""
        self._refused += count
        self._session.house.hub.health.totals.refused["commands_per_second"] += count
        if self._refused > self._limit * FLOOD_FACTOR:
            raise Disconnect(protocol.TOO_MANY_COMMANDS)
