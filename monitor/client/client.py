"""The Trio client of the served protocol (Centrifuge JSON, protocol version 2).

Decides how a connection is kept: pings answered, full-jitter retries, subscriptions entered
again with recovery. A reader who falls behind never stops the socket, because pings and
replies come over it too: each subscription keeps its newest publications, and says where some
are missing.
"""

import logging
import random
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager, suppress
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any

import trio
from trio_websocket import WebSocketConnection

from monitor.address import websocket_url
from monitor.client.connection import (
    GOODBYE_SECONDS,
    CommandRejected,
    Connection,
    Disconnected,
    open_websocket,
)
from monitor.client.map import MapSubscription
from monitor.client.membership import Membership, Unsubscribed
from monitor.client.subscription import Position, Publication, Subscription, read_publication
from monitor.client.zstd import Compression
from monitor.errors import PeerError
from monitor.sampling import TAG, Mark

FIRST_RETRY_SECONDS = 0.5
LONGEST_RETRY_SECONDS = 10.0
RESUBSCRIBE_FROM_CODE = 2500
"""Of an unsubscribe push; below it the subscription has ended."""
TOKEN_EXPIRED = 109

Token = str | Callable[[], Awaitable[str]]
"""The token, or what is asked for one before each attempt to connect."""

_log = logging.getLogger("lanecast.client")


class LinkState(StrEnum):
    CONNECTING = "connecting"
    CONNECTED = "connected"
    DISCONNECTED = "disconnected"
    """For good; the client won't try again."""


@dataclass(frozen=True, slots=True)
class Status:
    """Where the link stands, and why it is not connected."""

    state: LinkState
    reason: str = ""
    code: int = 0
    """The close or error code that `reason` came with; 0 when there was none."""
    failures: int = 0
    """Attempts that failed since it was last connected."""


@dataclass(frozen=True, slots=True)
class History:
    publications: list[Publication]
    position: Position
    """The channel's newest, whatever was asked for."""


def retry_pauses() -> Iterator[float]:
    limit = FIRST_RETRY_SECONDS
    while True:
        yield random.uniform(0, limit)
        limit = min(2 * limit, LONGEST_RETRY_SECONDS)


class Client:
    """A connection that is kept; made by `open_client`.

    Commands wait for the connection and raise `CommandRejected`, `NoAnswer` or
    `Disconnected`; one whose connection is lost before the reply raises the latter and may
    have taken effect. Cancelled, a command is abandoned and the connection goes on.
    """

    def __init__(
        self, url: str, token: Token, name: str, reconnect: bool, zstd: bool, certificate_file: Path | None
    ) -> None:
        self.url = websocket_url(url)
        self.status = Status(LinkState.CONNECTING)
        self.id = ""
        """What the server calls this connection; a new one after each reconnect."""
        self.strays = 0
        """Publications of channels to which it is not subscribed: it left them, or never asked."""
        self._hello: dict[str, Any] = {"name": name, "data": {"latency": True}}
        self._token = token
        self._reconnect = reconnect
        self._certificate_file = certificate_file
        self._compression = Compression(is_on=zstd)
        self._subscriptions: dict[str, Membership] = {}
        self._connection: Connection | None = None
        self._changed = trio.Event()

    async def status_after(self, seen: Status) -> Status:
        """Wait until the status is another than `seen`; statuses in between may be skipped."""
        while self.status is seen:
            await self._changed.wait()
        return self.status

    async def subscribe(
        self,
        channel: str,
        *,
        data: Any = None,
        token: str = "",
        since: Position | None = None,
        capacity: int = 1024,
    ) -> Subscription:
        """Subscribe and wait for the reply; `since` asks for what was published after it.

        Temporary refusals are tried again. Cancelled, the channel is left, which takes a second at most.
        """
        subscription = Subscription(channel, data, token, since, capacity)
        await self._follow(subscription)
        return subscription

    async def subscribe_map(self, channel: str, *, token: str = "") -> MapSubscription:
        """Subscribe to a map and wait until all of its state is there; else as `subscribe`."""
        subscription = MapSubscription(channel, token)
        await self._follow(subscription)
        return subscription

    async def _follow(self, subscription: Membership) -> None:
        channel = subscription.channel
        if channel in self._subscriptions:
            raise PeerError(f"this client is already subscribed to {channel}")
        self._subscriptions[channel] = subscription
        try:
            if self._connection is not None:
                self._connection.nursery.start_soon(self._enter, self._connection, subscription)
            else:
                await self._connected()
            await subscription.settled.wait()
        except BaseException:
            with trio.move_on_after(GOODBYE_SECONDS, shield=True), suppress(PeerError):
                await self._leave(subscription)
            raise
        if subscription.error is not None:
            raise subscription.error

    async def unsubscribe(self, channel: str) -> None:
        """End the subscription; what it has already received can still be iterated."""
        if (subscription := self._subscriptions.get(channel)) is not None:
            await self._leave(subscription)

    async def _leave(self, subscription: Membership) -> None:
        """End it, if nobody has; the server carries this out behind a subscribe that is on its way."""
        if subscription.is_ended:
            return
        channel = subscription.channel
        self._end(subscription, None)
        if self._connection is not None:
            await self._connection.call("unsubscribe", {"channel": channel}, channel)

    async def publish(self, channel: str, data: Any) -> None:
        await self._call("publish", {"channel": channel, "data": data}, channel)

    async def map_publish(self, channel: str, key: str, data: Any) -> None:
        """Set a key of a map."""
        await self._call("publish", {"channel": channel, "type": 1, "key": key, "data": data}, channel)

    async def map_remove(self, channel: str, key: str) -> None:
        """Take a key out of a map."""
        await self._call("publish", {"channel": channel, "type": 1, "key": key, "removed": True}, channel)

    async def rpc(self, method: str, data: Any = None) -> Any:
        """Call a method of the server and return the reply's data."""
        return (await self._call("rpc", {"method": method, "data": data}, method)).get("data")

    async def send(self, data: Any) -> None:
        """Send what needs no reply."""
        await (await self._connected()).post({"send": {"data": data}})

    async def history(
        self, channel: str, limit: int, *, since: Position | None = None, reverse: bool = False
    ) -> History:
        """Read what a channel keeps: at most `limit` publications, -1 for all the server gives.

        Forward is oldest first, after `since`; reverse is newest first, before it.
        """
        request: dict[str, Any] = {"channel": channel, "limit": limit, "reverse": reverse}
        if since is not None:
            request["since"] = {"offset": since.offset, "epoch": since.epoch}
        result = await self._call("history", request, channel)
        publications = [read_publication(channel, body) for body in result.get("publications") or ()]
        return History(publications, Position(result.get("offset", 0), result.get("epoch", "")))

    async def presence(self, channel: str) -> dict[str, dict[str, Any]]:
        """Who is subscribed: `{"user", "client", …}` by client id."""
        return (await self._call("presence", {"channel": channel}, channel)).get("presence") or {}

    async def _call(self, method: str, params: dict[str, Any], subject: str) -> dict[str, Any]:
        return await (await self._connected()).call(method, params, subject)

    async def _connected(self) -> Connection:
        while self._connection is None:
            if self.status.state is LinkState.DISCONNECTED:
                raise Disconnected(self.status.code, self.status.reason, is_final=True)
            await self._changed.wait()
        return self._connection

    async def _run(self, scope: trio.CancelScope) -> None:
        with scope:
            self._stop(await self._stay_connected())
            return
        self._stop(Disconnected(0, "closed by this client", is_final=True))

    async def _stay_connected(self) -> Disconnected:
        """Connect again and again; returns why there is no sense in another attempt."""
        failures, pauses = 0, retry_pauses()
        while True:
            lost = await self._connect_once()
            if lost.is_final or not self._reconnect:
                return lost
            if self.status.state is LinkState.CONNECTED:
                failures, pauses = 0, retry_pauses()
            failures += 1
            if failures == 1:
                _log.warning("%s: %s; trying again", self.url, lost.reason)
            self._set(Status(LinkState.CONNECTING, lost.reason, lost.code, failures))
            await trio.sleep(next(pauses))

    def _stop(self, lost: Disconnected) -> None:
        self._set(Status(LinkState.DISCONNECTED, lost.reason, lost.code))
        for subscription in self._subscriptions.values():
            subscription.end(lost)
        self._subscriptions.clear()

    def _set(self, status: Status) -> None:
        self.status = status
        self._changed.set()
        self._changed = trio.Event()

    async def _connect_once(self) -> Disconnected:
        """Connect and stay until the connection ends; returns why it did."""
        try:
            await self._take_token()
            async with self._open() as websocket:
                missing = self._compression.missing(websocket.handshake_headers)
                if missing is None:
                    return await self._speak(websocket)
            await self._compression.learn(self.url, missing, self._certificate_file)
            async with self._open() as websocket:
                return await self._speak(websocket)
        except Disconnected as lost:
            return lost

    async def _take_token(self) -> None:
        """Before the server is dialled: it doesn't wait long for the hello."""
        try:
            token = self._token if isinstance(self._token, str) else await self._token()
        except PeerError as error:
            raise Disconnected(0, f"no token: {error}") from error
        if token:
            self._hello["token"] = token

    def _open(self) -> AbstractAsyncContextManager[WebSocketConnection]:
        return open_websocket(self.url, self._compression.offers, self._certificate_file)

    async def _speak(self, websocket: WebSocketConnection) -> Disconnected:
        inflate = self._compression.agreed(websocket.subprotocol)
        return await self._serve(Connection(websocket, self._receive, inflate))

    async def _serve(self, connection: Connection) -> Disconnected:
        async with trio.open_nursery() as connection.nursery:
            connection.nursery.start_soon(connection.write)
            connection.nursery.start_soon(connection.read)
            try:
                self._welcome(connection, await connection.call("connect", self._hello))
                await connection.ended.wait()
            except CommandRejected as refusal:
                is_renewed = refusal.code == TOKEN_EXPIRED and not isinstance(self._token, str)
                is_final = not (refusal.is_temporary or is_renewed)
                connection.end(Disconnected(refusal.code, refusal.message, is_final))
            except PeerError as error:
                connection.end(Disconnected(0, str(error)))
            finally:
                self._connection = None
                connection.end(Disconnected(0, "closed by this client"))
                connection.nursery.cancel_scope.cancel()
        return connection.lost

    def _welcome(self, connection: Connection, reply: dict[str, Any]) -> None:
        connection.keep_alive(reply.get("ping", 0), reply.get("pong", False))
        self.id = reply.get("client", "")
        self._connection = connection
        self._set(Status(LinkState.CONNECTED))
        for subscription in self._subscriptions.values():
            connection.nursery.start_soon(self._enter, connection, subscription)

    async def _enter(self, connection: Connection, subscription: Membership) -> None:
        """Subscribe on this connection, trying again while the refusal is temporary."""
        channel = subscription.channel
        for pause in retry_pauses():
            if subscription.is_ended:
                return
            try:
                subscription.begin()
                while not subscription.is_entered:
                    await connection.call("subscribe", subscription.request(), channel, subscription.enter)
                return
            except CommandRejected as refusal:
                if not (refusal.is_temporary or subscription.starts_over(refusal.code)):
                    self._end(subscription, refusal)
                    return
            except PeerError as error:
                connection.end(Disconnected(0, str(error)))
                return
            await trio.sleep(pause)

    def _receive(self, connection: Connection, push: dict[str, Any]) -> None:
        subscription = self._subscriptions.get(push.get("channel", ""))
        if subscription is None or not subscription.is_entered:
            self.strays += "pub" in push
            return
        if (body := push.get("pub")) is not None:
            self._answer(connection, body)
            subscription.receive(body)
        elif (unsubscribed := push.get("unsubscribe")) is not None:
            self._leave_or_return(connection, subscription, **unsubscribed)

    def _answer(self, connection: Connection, publication: dict[str, Any]) -> None:
        """Tell the server at once that a sampled publication is in hand, if it asks this client."""
        if (text := (publication.get("tags") or {}).pop(TAG, None)) is None:
            return
        try:
            mark = Mark.read(text)
            is_asked = mark.picks(self.id)
        except ValueError:
            return
        if is_asked:
            connection.offer({"send": {"data": {"latency": mark.salt}}})

    def _leave_or_return(
        self, connection: Connection, subscription: Membership, code: int = 0, reason: str = "", **_: Any
    ) -> None:
        if code < RESUBSCRIBE_FROM_CODE:
            self._end(subscription, Unsubscribed(subscription.channel, code, reason))
        else:
            connection.nursery.start_soon(self._enter, connection, subscription)

    def _end(self, subscription: Membership, error: PeerError | None) -> None:
        if self._subscriptions.get(subscription.channel) is subscription:
            del self._subscriptions[subscription.channel]
        subscription.end(error)

    async def _say_goodbye(self) -> None:
        self._reconnect = False
        if self._connection is not None:
            self._connection.end(Disconnected(0, "closed by this client"))
            while self.status.state is not LinkState.DISCONNECTED:
                await self._changed.wait()


@asynccontextmanager
async def open_client(
    url: str,
    token: Token = "",
    name: str = "lanecast",
    *,
    reconnect: bool = True,
    zstd: bool = True,
    certificate_file: Path | None = None,
) -> AsyncIterator[Client]:
    """Keep a connection to a server while the block runs; entering does not wait for it.

    Whatever needs it waits until it is there; why it is not is in `status`, and a warning once an outage.
    A token that expires is given as an async function, asked for one before each attempt; where that
    raises PeerError it is asked again later. Without `reconnect` the first failure is final; without
    `zstd` only text is spoken. With the file of a certificate (PEM) the server must have that one,
    whatever names are in it.
    Raises ConfigError when `url` is none.
    Leaving, also by cancellation, says goodbye for at most a second.
    """
    client = Client(url, token, name, reconnect, zstd, certificate_file)
    scope = trio.CancelScope(shield=True)
    failure: BaseException | None = None
    async with trio.open_nursery() as nursery:
        nursery.start_soon(client._run, scope)
        try:
            yield client
        except BaseException as error:
            # Raised again outside, so that the nursery does not wrap what the block raised.
            failure = error
        with trio.move_on_after(GOODBYE_SECONDS, shield=True):
            await client._say_goodbye()
        scope.cancel()
    if failure is not None:
        raise failure
