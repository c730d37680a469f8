"""One client's session: from the upgrade to the goodbye.

One task reads and carries out what the client says (`inbound`). The last thing is a close frame
with a code that says whether to come back.
"""

import logging
import uuid
from collections.abc import Iterable
from dataclasses import dataclass
from random import uniform
from typing import Any

import msgspec
import orjson
import trio

from monitor.broadcast.channel import Voice
from monitor.broadcast.client import Client, Loss
from monitor.broadcast.frames import Encoding
from monitor.broadcast.item import Item, Resent
from monitor.broadcast.ladder import Step
from monitor.broadcast.recovery import Start, Wish
from monitor.config import Lane
from monitor.health.end_to_end import Estimate
from monitor.serve import protocol
from monitor.serve.admission import LOOPBACK, neighbourhood
from monitor.serve.connection import Connection
from monitor.serve.house import House
from monitor.serve.inbound import Inbound
from monitor.serve.loading import Loading
from monitor.serve.protocol import Goodbye
from monitor.serve.roster import Entry, enter
from monitor.serve.timers import Timer
from monitor.serve.tokens import Claims
from monitor.serve.websocket import WebSocket

_log = logging.getLogger("lanecast.session")

GOODBYE_SECONDS = 1.0
"""For what is queued, the close frame, and the peer to end too."""
GRACE_SECONDS = 25
"""Beyond a token's end, for a client to refresh it."""
SLOW_TOLD_MS = 60_000
"""Of a peer's clients that were cut as too slow, one in so long is logged."""
FAULTS = frozenset({1002, 1003, 1006, 1007, 1009, 3004, 3008, 3009, 3012, 3013, 3500, 3501, 3502})
"""Closes that count as failed connections: by an error, or by us for cause."""

_GOODBYES = {Loss.SLOW: protocol.SLOW, Loss.BROKEN: protocol.WRITE_ERROR}
_PING = Item(protocol.PING, Lane.IMMEDIATE)


@dataclass(slots=True)
class Subscription:
    """What a session knows of one of its channels."""

    info: bytes
    """The protocol's client info, as presence shows it."""
    is_server_side: bool = False
    entries: tuple[Entry, ...] = ()
    """In the maps that list who is subscribed."""
    expiry: Timer | None = None

    def end(self) -> None:
        if self.expiry is not None:
            self.expiry.cancel()
        for entry in self.entries:
            entry.end()


class Session:
    """A connected client, its identity, its subscriptions."""

    __slots__ = (
        "_connection",
        "_inbound",
        "_ping_sent",
        "_ping_timer",
        "_scope",
        "_timer",
        "_websocket",
        "claims",
        "client",
        "connected_ms",
        "end_to_end",
        "goodbye",
        "house",
        "id",
        "is_volunteer",
        "loading",
        "name",
        "rtt_ms",
        "subscriptions",
    )

    def __init__(
        self, house: House, connection: Connection, websocket: WebSocket, encoding: Encoding
    ) -> None:
        limits = house.settings.limits
        self.id = str(uuid.uuid4())
        self.house = house
        self.claims: Claims | None = None
        self.name = ""
        self.connected_ms = house.hub.health.wall_ms()
        self.rtt_ms: float | None = None
        self.is_volunteer = False
        """It said that it answers samples."""
        self.end_to_end: Estimate | None = None
        """Of the last publication that it answered."""
        self.subscriptions: dict[str, Subscription] = {}
        self.loading: dict[str, Loading] = {}
        """By channel, the maps that the client is still taking up."""
        self._connection = connection
        self._websocket = websocket
        self._inbound = Inbound(self, websocket)
        self._scope = trio.CancelScope()
        self.goodbye: Goodbye | None = None
        """How the connection ends, once that is known."""
        self._ping_sent: float | None = None
        self._ping_timer: Timer | None = None
        self._timer = house.timers.after(limits.connect_seconds, self._end_stale)
        self.client = Client(
            connection,
            encoding,
            house.hub.health,
            outbox_bytes=limits.outbox_bytes,
            write_seconds=limits.write_seconds,
            attend=house.hub.watch.attend,
            on_step=self._change_step,
            lose=lambda loss: self.disconnect(_GOODBYES[loss]),
            make_frame=house.hub.outflow.make_frame,
        )
        self.client.id = self.id
        self.client.place = "" if self.place == LOOPBACK else self.place

    @property
    def user(self) -> str:
        return self.claims.user if self.claims else ""

    @property
    def is_operator(self) -> bool:
        return self.claims is not None and self.claims.is_operator

    @property
    def address(self) -> str:
        return self._connection.address

    @property
    def place(self) -> str:
        return neighbourhood(self._connection.address)

    def info(self, channel_info: bytes = b"") -> bytes:
        """What others are shown of this client, as JSON."""
        info: dict[str, object] = {"user": self.user, "client": self.id}
        if self.claims and self.claims.info:
            info["conn_info"] = msgspec.Raw(self.claims.info)
        if channel_info:
            info["chan_info"] = msgspec.Raw(channel_info)
        return msgspec.json.encode(info)

    # From the upgrade to the goodbye

    async def run(self) -> None:
        """Serve the client until it or we end the connection; cancelled, say goodbye first."""
        self.house.registry.add(self)
        try:
            with self._scope:
                self.disconnect(await self._inbound.run(self._connection.receive))
        except OSError:
            self.goodbye = self.goodbye or protocol.CONNECTION_LOST
        except Exception:
            # A defect of ours: loud, but one client's connection and no other's.
            _log.exception("the session of client %s failed", self.id)
            self.goodbye = protocol.INTERNAL_ERROR
        except trio.Cancelled:
            self.goodbye = self.goodbye or protocol.SHUTDOWN
            raise
        finally:
            with trio.CancelScope(shield=True):
                # A crowd may have to go at once: others have their turn in between.
                await self.house.turnstile.enter()
                self._stop()
                await self._say_goodbye()
            self._end()

    def disconnect(self, goodbye: Goodbye) -> None:
        """End the connection, from any task; returns at once."""
        if self.goodbye is None:
            self.goodbye = goodbye
            self._scope.cancel()

    def _end_stale(self) -> None:
        self.house.hub.health.totals.refused["connect_seconds"] += 1
        self.disconnect(protocol.STALE)

    def _stop(self) -> None:
        """Take part in nothing more, nor be found for it: no data may follow the close frame."""
        now_ms = self.house.hub.health.wall_ms()
        if self.goodbye is protocol.SLOW:
            self._tell_slow(now_ms)
        self.house.closes.note(self, now_ms)
        self.house.registry.unname_user(self)
        self.house.hub.leave(self.client)
        for timer in (self._timer, self._ping_timer):
            if timer is not None:
                timer.cancel()
        for subscription in self.subscriptions.values():
            subscription.end()
        self.subscriptions.clear()
        for channel in list(self.loading):
            self.stop_loading(channel)

    async def _say_goodbye(self) -> None:
        assert self.goodbye is not None
        frame = self._inbound.close_frame or self._websocket.close(self.goodbye.code, self.goodbye.reason)
        with trio.move_on_after(GOODBYE_SECONDS):
            try:
                tail = await self.client.drain()
                await self._connection.send_all(tail + frame)
                if not self._websocket.is_closed:
                    await self._connection.finish()
            except OSError:
                pass

    def _end(self) -> None:
        assert self.goodbye is not None
        self.client.close()
        self._connection.close()
        self.house.registry.remove(self)
        health = self.house.hub.health
        code = self.goodbye.code
        health.totals.closed[str(code) if code in protocol.KNOWN_CODES else "other"] += 1
        if code in FAULTS:
            peer = f"user {self.user}" if self.user else self.place
            health.note_failed(f"{code} {self.goodbye.reason}", peer)
        # Thousands may leave at once: without a cycle they are freed at once, and not by the collector.
        self.client.part()
        del self._inbound

    def _tell_slow(self, now_ms: int) -> None:
        """Say whom we cut: once a minute of a peer, who may come back at once and be too slow again."""
        if not self.house.closes.had(self, protocol.SLOW.code, now_ms - SLOW_TOLD_MS):
            whose = f"of {self.user} " if self.user else ""
            _log.warning(
                "client %s %r %sat %s read too slowly, and was closed with %d after %d s",
                *(self.id, self.name, whose, self.address, protocol.SLOW.code),
                (now_ms - self.connected_ms) // 1_000,
            )

    def send(self, lane: Lane, document: bytes, resent: tuple[Resent, ...] = ()) -> None:
        """Send a reply or a push that is this client's alone."""
        self.client.offer(Item(document, lane, resent=resent))

    # Identity and time

    def begin(self, claims: Claims, name: str, *, is_volunteer: bool) -> None:
        """The client said who it is."""
        self._timer.cancel()
        self.claims = claims
        self.name = name
        self.client.user = claims.user
        self.house.registry.name_user(self)
        self.renew(claims)
        self.is_volunteer = is_volunteer
        every = self.house.settings.limits.ping_seconds
        # Without its round trip a client can't be sampled: one that volunteers is asked for it at once.
        first = uniform(0, min(1, every)) if is_volunteer else uniform(every / 2, every)
        self._ping_timer = self.house.timers.after(first, self._ping)

    def renew(self, claims: Claims) -> None:
        """The client showed a new token."""
        self.claims = claims
        self.live_until(claims.expires_at)

    def live_until(self, expires_at: int | None) -> None:
        """Let the connection live until then (unix seconds) and a grace beyond; None is for ever."""
        self._timer.cancel()
        if expires_at is not None:
            self._timer = self.house.timers.at(
                expires_at + GRACE_SECONDS, lambda: self.disconnect(protocol.CONNECTION_EXPIRED)
            )

    def _ping(self) -> None:
        limits = self.house.settings.limits
        self._ping_sent = trio.current_time()
        self.client.offer(_PING)
        self._ping_timer = self.house.timers.after(limits.pong_seconds, self._expect_pong)

    def _expect_pong(self) -> None:
        if self._ping_sent is not None:
            self.disconnect(protocol.NO_PONG)
            return
        limits = self.house.settings.limits
        self._ping_timer = self.house.timers.after(limits.ping_seconds - limits.pong_seconds, self._ping)

    def take_pong(self) -> None:
        if self._ping_sent is None:
            raise protocol.bad_command("a pong without a ping")
        self.rtt_ms = (trio.current_time() - self._ping_sent) * 1_000
        self._ping_sent = None
        if self.is_volunteer:
            self.house.hub.outflow.volunteers.add(self.client)

    # The ladder

    def _change_step(self) -> None:
        """Give the client less, or more again, and tell it.

        What changes its form starts from a fresh whole, so that nothing stale stays on a screen:
        the client is made to subscribe again. Who is on its way out gets what is queued, and no more.
        """
        if self.goodbye is not None:
            return
        step = self.client.ladder.step
        self.send(Lane.IMMEDIATE, protocol.message(self.ladder_report()))
        if step is Step.SNAPSHOTS:
            self.client.give_up_streams()
        for channel in list(self.house.hub.step_changes(self.client, step)):
            if not self.subscriptions[channel].is_server_side:
                self.force_unsubscribe(channel, *protocol.OTHER_FORM)
        if step < Step.SNAPSHOTS:
            # What a stream's subscriber did without, it is to ask for again by its position.
            self._recover(self.client.ladder.torn)

    def lose_positions(self) -> None:
        """The positions of journaled channels are others now: let the client ask for them."""
        namespace = self.house.hub.namespace
        if self.goodbye is None:
            self._recover(channel for channel in self.subscriptions if namespace(channel).journal)

    def _recover(self, channels: Iterable[str]) -> None:
        for channel in list(channels):
            if self.subscriptions[channel].is_server_side:
                self.disconnect(protocol.STATE_LOST)
            else:
                self.force_unsubscribe(channel, *protocol.INSUFFICIENT_STATE)

    def ladder_report(self) -> dict[str, Any]:
        """Where the client stands on the ladder, and why."""
        ladder, step = self.client.ladder, self.client.ladder.step
        seconds = trio.current_time() - ladder.since if step else 0.0
        return {
            "ladder": {
                "step": int(step),
                "name": step.name.lower(),
                "backlog_bytes": self.client.backlog.bytes,
                "since": self.house.hub.health.wall_ms() - int(seconds * 1_000) if step else None,
                "pinned": ladder.pinned is not None,
            }
        }

    # Subscriptions

    def subscribe(
        self, channel: str, info: bytes, wish: Wish, *, is_server_side: bool, expires_at: int | None
    ) -> Start:
        """Become a subscriber.

        Raises:
            UnknownChannel, TooMany, Unrecoverable.
        """
        voice = Voice.SERVER if is_server_side else Voice.NOBODY
        start = self.house.hub.subscribe(channel, self.client, info, wish, voice)
        entries = tuple(enter(self, channel, info))
        self.subscriptions[channel] = Subscription(info, is_server_side, entries)
        self.renew_subscription(channel, expires_at)
        return start

    def renew_subscription(self, channel: str, expires_at: int | None) -> None:
        """Let a subscription live until then, and a grace beyond; None is for ever."""
        subscription = self.subscriptions[channel]
        if subscription.expiry is not None:
            subscription.expiry.cancel()
            subscription.expiry = None
        if expires_at is not None:
            subscription.expiry = self.house.timers.at(
                expires_at + GRACE_SECONDS, lambda: self._expire_subscription(channel)
            )

    def _expire_subscription(self, channel: str) -> None:
        if self.subscriptions[channel].is_server_side:
            self.disconnect(protocol.SUBSCRIPTION_END)
        else:
            self.force_unsubscribe(channel, *protocol.SUBSCRIPTION_EXPIRED)

    def stop_loading(self, channel: str) -> None:
        """Let the client take up the map no further, if it was about to."""
        if (loading := self.loading.get(channel)) is not None:
            loading.stop()

    def unsubscribe(self, channel: str) -> None:
        subscription = self.subscriptions.pop(channel)
        self.house.hub.unsubscribe(channel, self.client)
        subscription.end()

    def force_unsubscribe(self, channel: str, code: int, reason: str) -> None:
        """End a subscription and tell the client why; from 2500 on it subscribes again."""
        lane = self.house.hub.namespace(channel).lane
        self.unsubscribe(channel)
        body = orjson.dumps({"code": code, "reason": reason})
        self.send(lane, protocol.push(channel, "unsubscribe", body))
