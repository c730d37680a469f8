"""A map as a client of the served protocol holds it: the state by key, complete at any moment.

The server gives it in pages, then by its stream, then live; nothing of that is shown before it
is whole. After a cut the client asks for what it missed, and starts from the first page again
if that can't be had.
"""

from collections.abc import Iterable
from enum import IntEnum
from typing import Any, Self

import trio

from monitor.client.membership import Membership
from monitor.client.subscription import Position

UNRECOVERABLE = 112
_NOTHING = object()


class _Phase(IntEnum):
    LIVE = 0
    STREAM = 1
    STATE = 2


class MapSubscription(Membership):
    """State by key in `entries`; iterate it for the keys that have changed, from one task.

    The first step gives all keys. However far its reader is behind, each one gives all that has changed
    since the last, and `entries` is the newest: nothing is dropped. Iteration ends as a `Subscription`'s.
    """

    def __init__(self, channel: str, token: str) -> None:
        super().__init__(channel)
        self.entries: dict[str, Any] = {}
        """Data by key."""
        self.recovered = False
        """Whether the newest connection brought what was missed, and not the whole again."""
        self._token = token
        self._changed: set[str] = set()
        self._position: Position | None = None
        """Where a new connection can go on; None starts from the first page."""
        self._phase = _Phase.STATE
        self._place = Position()
        """Of the stream, while it is entered."""
        self._cursor = ""
        self._loading: dict[str, Any] = {}

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> frozenset[str]:
        await trio.lowlevel.checkpoint()
        while not self._changed:
            await self._wait()
        changed, self._changed = frozenset(self._changed), set()
        return changed

    def begin(self) -> None:
        super().begin()
        self._cursor = ""
        self._phase = _Phase.STREAM if self._position else _Phase.STATE
        self._place = self._position or Position()
        self._loading = dict(self.entries) if self._position else {}

    def request(self) -> dict[str, Any]:
        request = {"channel": self.channel, "type": 1, "phase": self._phase}
        if self._token:
            request["token"] = self._token
        if self._phase is _Phase.STREAM or self._cursor:
            request |= {"offset": self._place.offset, "epoch": self._place.epoch}
        if self._cursor:
            request["cursor"] = self._cursor
        if self._phase is _Phase.STREAM and self._position:
            request["recover"] = True
        return request

    def enter(self, reply: dict[str, Any]) -> None:
        is_first_page = self._phase is _Phase.STATE and not self._cursor
        self._load(reply.get("state") or ())
        self._load(reply.get("publications") or ())
        phase = _Phase(reply.get("phase", 0))
        if is_first_page or phase is not _Phase.STATE:
            self._place = Position(reply.get("offset", 0), reply.get("epoch", ""))
        self._cursor = reply.get("cursor", "")
        self._phase = _Phase.STREAM if phase is _Phase.STATE and not self._cursor else phase
        if phase is _Phase.LIVE:
            self._go_live(reply)

    def _load(self, publications: Iterable[dict[str, Any]]) -> None:
        for body in publications:
            _apply(self._loading, body)

    def _go_live(self, reply: dict[str, Any]) -> None:
        before, self.entries, self._loading = self.entries, self._loading, {}
        self._position = self._place if reply.get("recoverable") else None
        self.recovered = reply.get("recovered", False)
        self.is_entered = True
        self._note(
            key
            for key in before.keys() | self.entries.keys()
            if before.get(key, _NOTHING) != self.entries.get(key, _NOTHING)
        )
        self.settled.set()

    def receive(self, body: dict[str, Any]) -> None:
        _apply(self.entries, body)
        if self._position and "offset" in body:
            self._position = Position(body["offset"], self._position.epoch)
        self._note([body["key"]])

    def _note(self, keys: Iterable[str]) -> None:
        self._changed.update(keys)
        self._tell()

    def starts_over(self, code: int) -> bool:
        self._position = None
        return code == UNRECOVERABLE


def _apply(entries: dict[str, Any], body: dict[str, Any]) -> None:
    if body.get("removed"):
        entries.pop(body["key"], None)
    else:
        entries[body["key"]] = body.get("data")
