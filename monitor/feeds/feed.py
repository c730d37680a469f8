"""One live connection to a venue, kept alive: what all feeds share.

Decides when to connect, to ask for a sign of life, to give up and how long to wait before the
next try. A venue's failure never leaves a feed: it ends one connection, is shown in the feed's
health, and the next connection follows after a jittered, bounded pause.
"""

import random
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass
from typing import Protocol
from urllib.parse import urlsplit

import h11
import trio
from trio_websocket import ConnectionClosed, ConnectionRejected, HandshakeError
from wsproto.utilities import ProtocolError

from monitor.dial import connect, upgraded
from monitor.errors import FeedError
from monitor.events import Event, OrderFill
from monitor.feeds.dialect import Dialect, Fetch, Reconnect, Send, logger
from monitor.turn import Turn

MESSAGE_BYTES = 32 * 2**20
"""Venues send books of 5 MB in one message; trio-websocket allows 1 MiB unless told."""
QUEUE_MESSAGES = 256
"""Between the socket's reader and us: enough to work in batches, little enough to stay young."""
CONNECT_SECONDS = 10.0
CLOSE_SECONDS = 1.0
SILENCE_SECONDS = 10.0
"""Without a message for so long we ask for a pong, and wait as long again for it."""
ANSWER_SECONDS = 10.0
"""Without an answer to a subscription for so long it was lost, or the answer was: no book would sync."""
JUDGE_SECONDS = 1.0
BACKOFF_SECONDS = 0.5
BACKOFF_LIMIT_SECONDS = 30.0
SETTLED_SECONDS = 60.0
"""A connection that lasted this long starts the pauses over."""

Sink = Callable[[Event, int], None]
"""Takes an event and the `time.monotonic_ns()` at which its message left the socket."""
Headers = list[tuple[bytes, bytes]]
Fetcher = Callable[[str], Awaitable[Iterable[Event]]]
"""Looks up over HTTP what a dialect asks for; FeedError when it should be tried again."""


class Socket(Protocol):
    """What a feed needs of a WebSocket; trio-websocket's connection is one."""

    async def get_message(self) -> str | bytes: ...
    async def send_message(self, message: str) -> None: ...
    async def ping(self) -> None: ...


Dial = Callable[[str, Headers], AbstractAsyncContextManager[Socket]]


@dataclass(frozen=True, slots=True)
class Route:
    """How to reach a venue; `headers` is called for every connection, as signatures age."""

    url: str
    headers: Callable[[], Headers] = list
    fetch: Fetcher | None = None


@asynccontextmanager
async def dial(url: str, headers: Headers) -> AsyncIterator[Socket]:
    """An open WebSocket, closed on leaving; raises FeedError, and what trio and trio-websocket raise."""
    try:
        with trio.fail_after(CONNECT_SECONDS):
            stream = await connect(url)
    except trio.BrokenResourceError as error:
        raise FeedError(f"no secure connection: {error.__cause__ or error}") from None
    async with upgraded(
        stream,
        url,
        seconds=CONNECT_SECONDS,
        message_bytes=MESSAGE_BYTES,
        queue_messages=QUEUE_MESSAGES,
        headers=headers,
    ) as socket:
        try:
            yield socket
        finally:
            with trio.CancelScope(shield=True, deadline=trio.current_time() + CLOSE_SECONDS):
                await socket.aclose()


async def run_feed(
    dialect: Dialect,
    route: Route,
    sink: Sink,
    *,
    dial: Dial = dial,
    chance: random.Random | None = None,
    task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED,
) -> None:
    """Keep the feed alive until it is cancelled, which leaves the socket closed and nothing shown as live."""
    health = dialect.health
    health.url = route.url
    chance = chance or random.Random()
    failures = 0
    task_status.started()
    try:
        while True:
            began = trio.current_time()
            cause = await _Conversation(dialect, route, sink, chance).hold(dial)
            failures = 0 if trio.current_time() - began >= SETTLED_SECONDS else failures + 1
            health.retrying(cause)
            if health.may_say(cause, time.monotonic_ns()):
                logger.warning("%s: %s; connecting again", health.name, cause)
            _deliver(dialect.disconnect(cause), sink)
            await trio.sleep(backoff_seconds(failures, chance))
    finally:
        health.stopped()
        _deliver(dialect.disconnect("the feed was ended"), sink)


def _deliver(events: Iterable[Event], sink: Sink) -> None:
    now_ns = time.monotonic_ns()
    for event in events:
        sink(event, now_ns)


def backoff_seconds(failures: int, chance: random.Random) -> float:
    """Full jitter: anything up to a bound that doubles with each failure, to 30 s; 0 after none."""
    if failures == 0:
        return 0.0
    return chance.uniform(0, min(BACKOFF_LIMIT_SECONDS, BACKOFF_SECONDS * 2 ** min(failures - 1, 16)))


class _Conversation:
    """One connection, from dialling to its end."""

    def __init__(self, dialect: Dialect, route: Route, sink: Sink, chance: random.Random) -> None:
        self._dialect = dialect
        self._health = dialect.health
        self._route = route
        self._sink = sink
        self._chance = chance
        self._wake = trio.Event()
        self._fetching = trio.CapacityLimiter(1)

    async def hold(self, dial: Dial) -> str:
        """Talk until the connection ends; returns why it did."""
        self._health.connecting()
        cause = "renewed before the venue's limit"
        try:
            await self._talk(dial)
        except* (
            FeedError,
            trio.TooSlowError,
            ConnectionClosed,
            HandshakeError,
            ProtocolError,
            h11.ProtocolError,
            OSError,
        ) as group:
            cause = _explain(group, self._route.url)
        except* (trio.BrokenResourceError, trio.ClosedResourceError):
            cause = "connection lost"
        return cause

    async def _talk(self, dial: Dial) -> None:
        lifetime = trio.CancelScope(deadline=trio.current_time() + self._dialect.lifetime_seconds)
        with lifetime:
            async with dial(self._route.url, self._route.headers()) as socket, trio.open_nursery() as nursery:
                self._health.connected(time.monotonic_ns())
                _deliver(self._dialect.connect(), self._sink)
                nursery.start_soon(self._write, socket, nursery)
                nursery.start_soon(self._keep_alive, socket)
                nursery.start_soon(self._judge)
                await self._read(socket)

    async def _read(self, socket: Socket) -> None:
        dialect, sink, clock_ns = self._dialect, self._sink, time.monotonic_ns
        while True:
            message = await socket.get_message()
            received_ns = clock_ns()
            for event in dialect.receive(message, received_ns):
                sink(event, received_ns)
            if dialect.commands:
                self._wake.set()

    async def _write(self, socket: Socket, nursery: trio.Nursery) -> None:
        commands = self._dialect.commands
        while True:
            while commands:
                match commands.popleft():
                    case Send(text):
                        await socket.send_message(text)
                        await trio.sleep(self._dialect.pace_seconds)
                    case Fetch(subject):
                        nursery.start_soon(self._fetch, subject)
                    case Reconnect(cause):
                        raise FeedError(cause)
            self._wake = trio.Event()
            await self._wake.wait()

    async def _fetch(self, subject: str) -> None:
        assert self._route.fetch is not None, "only a dialect whose route can fetch asks for it"
        failures = 0
        while True:
            try:
                async with self._fetching:
                    await self._deliver_found(await self._route.fetch(subject))
                self._wake.set()
                if failures:
                    self._health.error = None
                return
            except FeedError as error:
                failures += 1
                self._dialect.complain("look-up failed", f"{subject}: {error}")
            await trio.sleep(backoff_seconds(failures, self._chance))

    async def _deliver_found(self, events: Iterable[Event]) -> None:
        """Fills in turns, as there may be 100,000; all else at once: what the stream tells next is newer."""
        now_ns, turn = time.monotonic_ns(), Turn()
        # The dialect holds them to be told already.
        with trio.CancelScope(shield=True):
            for event in events:
                self._sink(event, now_ns)
                if isinstance(event, OrderFill):
                    await turn.give_way()

    async def _keep_alive(self, socket: Socket) -> None:
        heard = -1
        while True:
            if self._health.messages == heard:
                await self._ask_for_life(socket)
            heard = self._health.messages
            await trio.sleep(SILENCE_SECONDS)

    async def _ask_for_life(self, socket: Socket) -> None:
        with trio.move_on_after(SILENCE_SECONDS) as patience:
            await socket.ping()
        if patience.cancelled_caught:
            raise FeedError(f"silent, and no answer to a ping within {SILENCE_SECONDS:g} s")
        self._health.alive_ns = time.monotonic_ns()

    async def _judge(self) -> None:
        unanswered, since = 0, trio.current_time()
        while True:
            await trio.sleep(JUDGE_SECONDS)
            _deliver(self._dialect.judge(time.monotonic_ns()), self._sink)
            if self._dialect.commands:
                self._wake.set()
            if self._dialect.unanswered != unanswered:
                unanswered, since = self._dialect.unanswered, trio.current_time()
            elif unanswered and trio.current_time() - since > ANSWER_SECONDS:
                raise FeedError(f"a subscription was not answered within {ANSWER_SECONDS:g} s")


def _explain(group: BaseExceptionGroup[BaseException], url: str) -> str:
    """One sentence for the first failure of a group, on the way to a URL or there."""
    error: BaseException = group
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    match error:
        case trio.TooSlowError():
            return f"no answer within {CONNECT_SECONDS:g} s"
        case ConnectionRejected(status_code=status):
            return f"the venue refused the connection with HTTP {status}"
        case ConnectionClosed(reason=reason) if reason is not None:
            return f"the connection was closed ({reason.code} {reason.reason or reason.name})"
        case OSError():
            return f"{urlsplit(url).hostname} can't be reached: {error.strerror or error}"
    return str(error) or type(error).__name__
