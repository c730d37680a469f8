"""How a client takes up a map: pages of its state, then the stream since the first of them, then live.

The server decides each step. Between two requests the client is no subscriber yet and costs
nothing but a deadline; what changes meanwhile reaches it by the stream, which must still reach
back to the first page: else it is told so (112) and starts again, never with a part.
"""

from dataclasses import replace
from enum import IntEnum
from typing import TYPE_CHECKING, Any

import msgspec

from monitor.broadcast.chain import full_documents
from monitor.broadcast.history import Position
from monitor.broadcast.hub import TooMany
from monitor.broadcast.item import Publication, select, weigh
from monitor.broadcast.keyed import Keyed, StreamLost
from monitor.broadcast.maps import shown
from monitor.broadcast.recovery import Wish
from monitor.serve import protocol
from monitor.serve.protocol import CommandError, SubscribeRequest
from monitor.serve.subscription import Subscribed, expiry, info_of, may_read, resent_of
from monitor.serve.timers import Timer
from monitor.serve.tokens import Claims, Grant

if TYPE_CHECKING:
    from monitor.serve.session import Session

PAGE_KEYS = 100
PAGE_KEYS_MAX = 1_000
PAGE_BYTES = 65_536
"""Of state or stream in one reply, whatever was asked for; one larger entry goes alone."""
LOADING_SECONDS = 30.0
"""From the first page to live; the protocol's clients ask for the next page as soon as one is there."""


class Phase(IntEnum):
    LIVE = 0
    STREAM = 1
    STATE = 2


def take_up(
    session: "Session", bearer: Claims, request: SubscribeRequest, wish: Wish, expires_at: int | None
) -> Subscribed:
    """Answer a client's first request for a map that the bearer's claims allow to read.

    Raises:
        CommandError: no permission, or as `Loading.answer`.
    """
    channel = request.channel
    if not may_read(session, session.house.hub.namespace(channel), channel, bearer):
        raise CommandError(protocol.PERMISSION_DENIED)
    grant = bearer.grants.get(channel, Grant())
    return Loading(session, channel, grant, wish, expires_at).answer(request)


class Loading:
    """One client on its way into one map; `session.loading` holds those that wait for a request."""

    def __init__(
        self, session: "Session", channel: str, grant: Grant, wish: Wish, expires_at: int | None
    ) -> None:
        self._session = session
        self._channel = channel
        self._namespace = session.house.hub.namespace(channel)
        self._info = info_of(session, self._namespace, grant)
        # Where it was, is told by its pages.
        self._wish = replace(wish, since=None)
        self._is_chain = wish.wants_chain and self._namespace.delta
        self._expires_at = expires_at
        self._is_positioned = bool(self._namespace.history_size)
        self._start: Position | None = None
        """At the first page of state."""
        self._read_bytes = 0
        """For the request under way."""
        self._cursor = ""
        """Of the page that is to be asked for next."""
        self._deadline: Timer | None = None

    def answer(self, request: SubscribeRequest) -> Subscribed:
        """The reply to one request of the client, which may make it a subscriber.

        Raises:
            CommandError: the position can't be had any more, or the request does not fit.
        """
        self._read_bytes = 0
        try:
            place = self._session.client.place
            with self._session.house.maps.reading(self._channel, place) as keyed:
                if request.phase == Phase.STATE:
                    return self._send_state(keyed, request)
                if request.phase == Phase.STREAM and self._is_positioned:
                    return self._send_stream(keyed, request)
        except TooMany as error:
            raise CommandError(protocol.LIMIT_EXCEEDED, error) from None
        except StreamLost:
            raise CommandError(protocol.UNRECOVERABLE_POSITION) from None
        raise protocol.bad_request(f"phase {request.phase} is none that this map can be taken up with")

    def stop(self) -> None:
        """The client has arrived, or has given up."""
        self._session.loading.pop(self._channel, None)
        if self._deadline is not None:
            self._deadline.cancel()

    def _send_state(self, keyed: Keyed, request: SubscribeRequest) -> Subscribed:
        start = self._check_page(keyed, request)
        count = page_size(request.limit)
        page = keyed.page(request.cursor, start.offset, count=count, limit_bytes=PAGE_BYTES)
        self._cursor = page.cursor
        if not page.cursor:
            changes = self._changes(keyed, start.offset, start.epoch, count)
            if not self._is_positioned or len(_page(changes, count)) == len(changes):
                return self._go_live(keyed, changes, state=page.entries)
        state = _list(self._documents(page.entries))
        return self._wait(phase=Phase.STATE, cursor=page.cursor, state=state, **self._place(start))

    def _check_page(self, keyed: Keyed, request: SubscribeRequest) -> Position:
        """The position of the first page, if the next one can be sent."""
        if self._start is None and request.cursor:
            raise CommandError(protocol.PERMISSION_DENIED)
        if request.cursor != self._cursor:
            raise CommandError(protocol.CONCURRENT_PAGINATION)
        start = self._start = self._start or keyed.stream.position
        if start.epoch != keyed.stream.epoch:
            raise StreamLost
        return start

    def _send_stream(self, keyed: Keyed, request: SubscribeRequest) -> Subscribed:
        count = page_size(request.limit)
        changes = self._changes(keyed, request.offset, request.epoch, count)
        page = _page(changes, count)
        if len(page) == len(changes):
            return self._go_live(keyed, changes, is_recovering=request.recover)
        place = self._place(Position(page[-1].offset, keyed.stream.epoch))
        return self._wait(phase=Phase.STREAM, publications=_list(self._documents(page)), **place)

    def _changes(self, keyed: Keyed, offset: int, epoch: str, count: int) -> list[Publication]:
        """What changed since a position: enough to see whether it takes more than one page."""
        limit = count + 1 if self._is_positioned else None
        return keyed.since(offset, epoch, self._session.house.hub.health.clock_ns(), limit=limit)

    def _wait(self, **members: Any) -> Subscribed:
        """The reply after which the client is to ask for more."""
        if self._deadline is None:
            self._session.loading[self._channel] = self
            self._deadline = self._session.house.timers.after(
                LOADING_SECONDS, lambda: self._session.disconnect(protocol.SLOW)
            )
        return Subscribed(protocol.result(type=1, **members), (), self._read_bytes)

    def _go_live(
        self,
        keyed: Keyed,
        changes: list[Publication],
        *,
        state: list[Publication] | None = None,
        is_recovering: bool = False,
    ) -> Subscribed:
        """The reply that ends it; nothing is published between what it holds and the first push."""
        self.stop()
        place = self._place(keyed.stream.position)
        self._session.subscribe(
            self._channel, self._info, self._wish, is_server_side=False, expires_at=self._expires_at
        )
        missed = self._documents(changes)
        result = protocol.result(
            type=1,
            recoverable=self._is_positioned,
            delta=self._is_chain,
            publish_debounce=self._namespace.publish_debounce_ms,
            was_recovering=is_recovering,
            recovered=is_recovering,
            state=_list(self._documents(state or [])),
            publications=_list(missed),
            **place,
            **expiry(self._expires_at),
        )
        return Subscribed(result, resent_of(self._channel, missed) if is_recovering else (), self._read_bytes)

    def _place(self, position: Position) -> dict[str, Any]:
        return {"offset": position.offset, "epoch": position.epoch} if self._is_positioned else {}

    def _documents(self, publications: list[Publication]) -> list[bytes]:
        self._read_bytes += weigh(publications)
        wanted = select(self._wish.only, shown(self._namespace, publications))
        if self._is_chain:
            return full_documents(wanted)
        return [publication.document() for publication in wanted]


def _list(documents: list[bytes]) -> msgspec.Raw | None:
    return msgspec.Raw(b"[%s]" % b",".join(documents)) if documents else None


def page_size(limit: int) -> int:
    """How many entries a page has, for what was asked; 0 and less is no wish."""
    return min(limit, PAGE_KEYS_MAX) if limit > 0 else PAGE_KEYS


def _page(changes: list[Publication], count: int) -> list[Publication]:
    """As many of the first ones as a reply takes, at least one if there are any."""
    room = PAGE_BYTES
    for at, change in enumerate(changes):
        room -= change.size_bytes
        if at and (room < 0 or at == count):
            return changes[:at]
    return changes
