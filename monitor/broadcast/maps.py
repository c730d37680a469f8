"""The `map` channels of a hub: state by key, set and removed by publications.

Publishers from outside set keys one by one. The market is pulled like its other state: what it
shows is compared with what its channel holds, so positions go on where nobody watched for a
while, and a client that was cut off gets what it missed.
"""

import logging
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass

import msgspec
import trio
from msgspec.structs import replace

from monitor.broadcast.channel import Channel, Voice
from monitor.broadcast.history import Position
from monitor.broadcast.hub import BadPublication, Hub
from monitor.broadcast.item import Publication
from monitor.broadcast.keyed import Keyed, KeyMode, Suppression, Version
from monitor.broadcast.ladder import Variant
from monitor.config import Delivery, Namespace

_log = logging.getLogger("lanecast")

EXPIRY_SECONDS = 1.0
"""How late a key may go; the protocol asks for no more."""

_NULL = b"null"
_decode = msgspec.json.Decoder(dict[str, msgspec.Raw]).decode


@dataclass(frozen=True, slots=True)
class Placed:
    """What became of a publication to a key."""

    position: Position | None
    """The channel's newest, where the namespace shows positions."""
    suppressed: Suppression | None = None


class Maps:
    def __init__(self, hub: Hub) -> None:
        self._hub = hub
        self._now_ns = hub.health.clock_ns
        self._aging: set[Channel] = set()
        """Those whose keys go by themselves."""
        self._has_aging = trio.Event()

    # Publishers

    def put(
        self,
        channel: str,
        key: str,
        data: bytes,
        *,
        kind: str | None = None,
        info: bytes = b"",
        tags: bytes = b"",
        mode: KeyMode = KeyMode.ANY,
        version: Version | None = None,
        voice: Voice = Voice.SERVER,
    ) -> Placed:
        """Set a key and tell the subscribers; arguments as for the hub's `publish`.

        Raises:
            UnknownChannel, TooBusy, TooMany, BadPublication.
        """
        with self._using(channel, voice) as (found, keyed):
            if (objection := keyed.objection(key, mode, version)) is not None:
                return Placed(_position(found), objection)
            publication = self._hub.compose(found.namespace, data, kind=kind, info=info, tags=tags, key=key)
            self._hub.check_room(found, publication)
            try:
                told = _put(found.namespace, keyed, publication, version)
            except ValueError as error:
                raise BadPublication(f"channel {channel!r}: {error}") from None
            self._announce(found, [told])
            return Placed(_position(found))

    def remove(self, channel: str, key: str, *, voice: Voice = Voice.SERVER) -> Placed:
        """Take a key out and tell the subscribers, if it is there. Raises as `put`."""
        with self._using(channel, voice) as (found, keyed):
            told = keyed.remove(key, found.namespace.kind, self._now_ns())
            if told is None:
                return Placed(_position(found), Suppression.KEY_NOT_FOUND)
            self._announce(found, [told])
            return Placed(_position(found))

    def keep(self, channel: str, key: str, info: bytes) -> None:
        """Set a key that only tells of somebody; if it is there already, have it live on and tell nobody.

        Raises as `put`.
        """
        with self._using(channel, Voice.CLIENTS) as (_, keyed):
            is_there = keyed.renew(key, self._now_ns())
        if not is_there:
            self.put(channel, key, _NULL, info=info, voice=Voice.CLIENTS)

    def clear(self, channel: str) -> None:
        """Take out every key and tell the subscribers. Raises as `put`."""
        with self._using(channel, Voice.SERVER) as (found, keyed):
            self._announce(found, keyed.clear(found.namespace.kind, self._now_ns()))

    # The market

    def adopt(self, channel: str, whole: bytes) -> None:
        """Take over what the market shows, an object by key, where the channel holds something else."""
        found = self._hub.open(channel, Voice.NOBODY)
        keyed = _keyed(found)
        now = _split(whole)
        gone = dict.fromkeys(keyed.sourced - now.keys(), _NULL)
        changed = {key: data for key, data in now.items() if not keyed.holds(key, data)}
        self._change(found, keyed, changed | gone)

    def follow(self, channel: str, changes: bytes) -> None:
        """Take over what has changed in the market, an object by key; null removes a key."""
        found = self._hub.open(channel)
        self._change(found, _keyed(found), _split(changes))

    def _change(self, channel: Channel, keyed: Keyed, changes: Mapping[str, bytes]) -> None:
        told = (self._apply(channel.namespace, keyed, key, data) for key, data in changes.items())
        self._announce(channel, [publication for publication in told if publication is not None])

    def _apply(self, namespace: Namespace, keyed: Keyed, key: str, data: bytes) -> Publication | None:
        if data == _NULL:
            return keyed.remove(key, namespace.kind, self._now_ns())
        try:
            told = _put(namespace, keyed, self._hub.compose(namespace, data, key=key))
        except ValueError as error:
            self._hub.health.totals.refused["key"] += 1
            _log.debug("a key of the market was not taken: %s", error)
            return None
        keyed.sourced.add(key)
        return told

    # Subscribers

    @contextmanager
    def reading(self, channel: str, place: str = "") -> Iterator[Keyed]:
        """What a channel holds now, and on its way to all subscribers; `place` is where who asks comes from.

        Of the market that is what they have been told; its newest where there are none.

        Raises:
            UnknownChannel, TooMany, BadPublication.
        """
        with self._using(channel, Voice.NOBODY, place) as (found, keyed):
            self._hub.source.whole(channel, Variant.FULL)
            if not found.subscribers:
                self._hub.source.close(channel, Variant.FULL)
            self._hub.outflow.flush(found)
            yield keyed

    # What all of it needs

    @contextmanager
    def _using(self, name: str, voice: Voice, place: str = "") -> Iterator[tuple[Channel, Keyed]]:
        """A channel, which is let go afterwards if it turns out to hold nothing."""
        if self._hub.namespace(name).delivery is not Delivery.MAP:
            raise BadPublication(f"channel {name!r} is no map: it has no keys")
        with self._hub.using(name, voice, place=place) as channel:
            yield channel, _keyed(channel)

    def _announce(self, channel: Channel, publications: list[Publication]) -> None:
        if not publications:
            return
        if channel.namespace.key_seconds:
            self._aging.add(channel)
            self._has_aging.set()
        self._hub.announce(channel, shown(channel.namespace, publications))

    # Time

    async def run(self, *, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        """Remove keys that were not written in time, until cancelled; sleeps while there are none."""
        task_status.started()
        while True:
            await self._has_aging.wait()
            while self._aging:
                await trio.sleep(EXPIRY_SECONDS)
                self._expire()
            self._has_aging = trio.Event()

    def _expire(self) -> None:
        for channel in list(self._aging):
            if channel.keyed and self._hub.channel(channel.name) is channel:
                self._announce(channel, channel.keyed.expire(self._now_ns()))
            else:
                self._aging.discard(channel)


def _put(
    namespace: Namespace, keyed: Keyed, publication: Publication, version: Version | None = None
) -> Publication:
    """Set a key; returns what its subscribers are told, with what it held if they may be told the change.

    Raises:
        ValueError: as `Keyed.put`.
    """
    before = keyed.get(publication.key)
    placed = keyed.put(publication, version)
    return replace(placed, base=before.data) if before and namespace.delta else placed


def shown(namespace: Namespace, publications: list[Publication]) -> list[Publication]:
    """Publications as subscribers see them: without positions where the namespace keeps no history."""
    if namespace.history_size:
        return publications
    return [replace(publication, offset=0) for publication in publications]


def _keyed(channel: Channel) -> Keyed:
    assert channel.keyed is not None, "a map has keys"
    return channel.keyed


def _position(channel: Channel) -> Position | None:
    return channel.history.position if channel.history and channel.history.offset else None


def _split(entries: bytes) -> dict[str, bytes]:
    return {key: bytes(data) for key, data in _decode(entries).items()}
