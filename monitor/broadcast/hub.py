"""The hub: `publish` finds a channel's subscribers and sends, without ever waiting for one.

A publication is checked, kept where the channel keeps anything, and let go (`outflow`). What a
channel holds while its fan-out is under way is bounded: beyond it its publisher gets an error.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from typing import NoReturn

import trio
from msgspec.structs import replace

from monitor.broadcast.channel import FILTERS_MAX, Channel, Voice, new_history
from monitor.broadcast.client import Client
from monitor.broadcast.epochs import Epochs
from monitor.broadcast.history import History, Position
from monitor.broadcast.item import Publication
from monitor.broadcast.ladder import Step, Variant, variant_of
from monitor.broadcast.outflow import Outflow
from monitor.broadcast.patch import apply_patch, encode_patch, parse_patch
from monitor.broadcast.receipt import Journal, Kept, NoJournal, Receipt
from monitor.broadcast.recovery import ANEW, Start, Unrecoverable, Wish, find_start
from monitor.broadcast.rooms import Rooms
from monitor.broadcast.source import NoSource, Source
from monitor.broadcast.tags import with_tag
from monitor.broadcast.watch import Watch
from monitor.config import Access, Delivery, Namespace, Namespaces, Settings
from monitor.errors import LanecastError
from monitor.health.health import Health

RECOVERED_OUTBOXES = 2
"""So many may one recover who keeps up: whoever was closed for a full outbox has missed more than one."""
RECOVERED_SHARE = 2
"""One that is behind, one part in so many of the room in its outbox: other replies must fit too."""

NOT_DURABLE = ("durable", "false")
"""The tag of a publication that its journal could not keep."""


class UnknownChannel(LanecastError):
    """No namespace is configured for the channel's name."""


class TooBusy(LanecastError):
    """The channel holds as much as it may; publish again later."""


class TooMany(LanecastError):
    """A limit on channels or subscribers is reached."""


class BadPublication(LanecastError):
    """The payload does not fit the namespace's delivery mode, or the kind is unknown."""


class Hub:
    def __init__(self, settings: Settings, namespaces: Namespaces, health: Health) -> None:
        self.source: Source = NoSource()
        self.journal: Journal = NoJournal()
        self.health = health
        self._limits = settings.limits
        self._namespaces = namespaces
        self._rooms = Rooms(settings.limits.channels, health)
        self.epochs = Epochs()
        self.outflow = Outflow(settings, health)
        self.watch = Watch(health)

    def namespace(self, channel: str) -> Namespace:
        """Raises UnknownChannel."""
        namespace = self._namespaces.find(channel)
        if namespace is None:
            raise UnknownChannel(f"channel {channel!r}: no namespace of that name is configured")
        return namespace

    def publish(
        self,
        channel: str,
        data: bytes,
        *,
        kind: str | None = None,
        stamp_ns: int | None = None,
        info: bytes = b"",
        tags: bytes = b"",
        skip_history: bool = False,
        key: str = "",
        is_told_once: bool = False,
        voice: Voice = Voice.SERVER,
    ) -> Receipt:
        """Send a payload to everybody who is subscribed to a channel, if it is journaled once it is kept.

        Args:
            data: JSON text, UTF-8; passed on byte for byte, but for raw newlines.
            kind: one of the configured kinds; None takes the namespace's.
            stamp_ns: monotonic time since when the latency counts; None is now.
            info, tags: JSON texts of the publisher's client info and of a string map.
            skip_history: send it, but keep nothing for later.
            key: what a journaled publication is known by: the second of the same key is not sent.
            is_told_once: who publishes it can't do so again: it may go into the reserve.
            voice: whose publication it is.

        Raises:
            UnknownChannel, TooBusy, TooMany, BadPublication.
        """
        namespace = self.namespace(channel)
        if namespace.delivery is Delivery.MAP:
            raise BadPublication(f"channel {channel!r} is a map: publish to one of its keys")
        if namespace.journal and skip_history:
            raise BadPublication(f"channel {channel!r} is journaled: nothing in it can skip history")
        publication = self.compose(namespace, data, kind=kind, stamp_ns=stamp_ns, info=info, tags=tags)
        if is_told_once:
            publication = replace(publication, is_told_once=True)
        receipt = Receipt()
        found = self.open(channel, voice, is_told_once=is_told_once)
        try:
            self.check_room(found, publication)
            if namespace.journal:
                self._journal(found, publication, key, receipt)
                return receipt
            placed = publication if skip_history else self._keep(found, publication)
        except (TooBusy, BadPublication):
            self._rooms.let_go(found)
            raise
        receipt.settle(self._send_out(found, placed))
        return receipt

    def compose(
        self,
        namespace: Namespace,
        data: bytes,
        *,
        kind: str | None = None,
        stamp_ns: int | None = None,
        info: bytes = b"",
        tags: bytes = b"",
        key: str = "",
    ) -> Publication:
        """A publication without a position, of a map's key if one is given. Raises BadPublication."""
        kind = kind or namespace.kind
        if kind not in self.health.kinds:
            raise BadPublication(f"kind {kind!r} is not configured; known are {', '.join(self.health.kinds)}")
        now_ns = self.health.clock_ns()
        stamp_ns = stamp_ns if stamp_ns is not None else now_ns
        text = data.replace(b"\n", b"")
        return Publication(text, kind, stamp_ns, info=info, tags=tags, key=key, published_ns=now_ns)

    def _keep(self, channel: Channel, publication: Publication) -> Publication:
        if channel.history is not None:
            publication = replace(publication, offset=channel.history.offset + 1)
        self._keep_state(channel, publication)
        return publication

    def _journal(self, channel: Channel, publication: Publication, key: str, receipt: Receipt) -> None:
        assert channel.history is not None, "a journaled namespace has history"
        channel.unsettled += 1
        settle = partial(self._settle, channel, publication, receipt)
        try:
            self.journal.append(channel.name, channel.history.position, publication, key, settle)
        except (TooBusy, BadPublication):
            channel.unsettled -= 1
            self.health.totals.refused["queue_bytes"] += 1
            raise

    def _settle(self, channel: Channel, publication: Publication, receipt: Receipt, kept: Kept) -> None:
        assert channel.history is not None
        channel.unsettled -= 1
        if kept.is_duplicate:
            receipt.settle(kept.position, is_duplicate=True)
            self._rooms.let_go(channel)
        else:
            offset = kept.position.offset if kept.position else channel.history.offset + 1
            tags = with_tag(publication.tags, *NOT_DURABLE) if kept.is_lost else publication.tags
            placed = replace(publication, offset=offset, tags=tags)
            receipt.settle(self._send_out(channel, placed), is_lost=kept.is_lost)

    def _send_out(self, channel: Channel, publication: Publication) -> Position | None:
        position = None
        if publication.offset and channel.history is not None:
            channel.history.append(publication)
            position = channel.history.position
        self.announce(channel, [publication])
        return position

    def announce(self, channel: Channel, publications: list[Publication]) -> None:
        """Count what is kept now where it is to be kept, and send it to whoever is subscribed."""
        self.health.totals.published += len(publications)
        channel.published += len(publications)
        for publication in publications:
            self.health.kinds[publication.kind].count += 1
        if channel.subscribers:
            self.outflow.send(channel, publications)
        else:
            self._rooms.let_go(channel)

    def publish_sourced(self, channel: str, data: bytes, variant: Variant = Variant.FULL) -> None:
        """Send what the source has gathered, and keeps itself, to those who get the channel in this form."""
        found = self._rooms.get(channel)
        if found is None or not found.subscribers:
            return
        self.health.totals.published += 1
        found.published += 1
        self.health.kinds[found.namespace.kind].count += 1
        self.outflow.flush(found)
        self.outflow.fan_out(
            found, [Publication(data, found.namespace.kind, self.health.clock_ns())], variant
        )

    def is_ready(self, channel: str) -> bool:
        """Whether somebody watches the channel, and no fan-out of it is under way."""
        found = self._rooms.get(channel)
        return found is not None and bool(found.subscribers) and not self.outflow.is_busy(found)

    def check_room(self, channel: Channel, publication: Publication) -> None:
        """Raises TooBusy while the channel holds as much as it may, BadPublication if it never could."""
        size, held = publication.size_bytes, channel.gathered_bytes + channel.queued_bytes
        limit = publication.may_take(self._limits.gather_bytes)
        if held + size <= limit:
            return
        self.health.totals.refused["gather_bytes"] += 1
        if size > limit:
            raise BadPublication(
                f"channel {channel.name!r} holds at most {limit} bytes (limits.gather_bytes), and {size} were"
                " published at once: publish less"
            )
        raise TooBusy(
            f"channel {channel.name!r} holds {held} bytes of at most {limit} (limits.gather_bytes) while its"
            " fan-out is under way: publish again later"
        )

    def _keep_state(self, channel: Channel, publication: Publication) -> None:
        try:
            channel.keep_state(publication, limit_bytes=self._limits.gather_bytes)
        except ValueError as error:
            raise BadPublication(f"channel {channel.name!r}: {error}") from None

    def subscribe(
        self, channel: str, client: Client, info: bytes, wish: Wish = ANEW, voice: Voice = Voice.NOBODY
    ) -> Start:
        """Make a client a subscriber, after all that was published so far is on its way to the others.

        `voice` says who wants it.

        Raises:
            UnknownChannel, TooMany, Unrecoverable.
        """
        with self.using(channel, voice, place=client.place) as found:
            return self._subscribe(found, client, info, wish)

    def _subscribe(self, channel: Channel, client: Client, info: bytes, wish: Wish) -> Start:
        limit = channel.namespace.subscriber_limit
        if limit and len(channel.subscribers) >= limit:
            self.health.totals.refused["subscriber_limit"] += 1
            raise TooMany(f"channel {channel.name!r} has {limit} subscribers, its limit (subscriber_limit)")
        if not channel.has_room_for(wish.only):
            self.health.totals.refused["tags_filters"] += 1
            raise TooMany(
                f"channel {channel.name!r} has {FILTERS_MAX} tags filters, its limit: use one of them"
            )
        variant = self._variant(channel, client.ladder.step)
        start = self._find_start(channel, client, wish, variant)
        self.outflow.flush(channel)
        channel.add(client, info, variant, is_chain=start.is_chain, only=wish.only)
        self.health.subscriptions += 1
        self._announce(channel, "join", info)
        return start

    def _find_start(self, channel: Channel, client: Client, wish: Wish, variant: Variant) -> Start:
        whole = self._whole(channel, variant)
        room_bytes = client.backlog.room_bytes
        limit_bytes = room_bytes // RECOVERED_SHARE if client.is_behind else room_bytes * RECOVERED_OUTBOXES
        try:
            return find_start(channel, wish, whole, now_ns=self.health.clock_ns(), limit_bytes=limit_bytes)
        except Unrecoverable:
            self._close_unwatched(channel, variant)
            raise

    def _variant(self, channel: Channel, step: Step) -> Variant:
        variant = variant_of(channel.namespace, step)
        return variant if self.source.owns(channel.name) else Variant.FULL

    def _whole(self, channel: Channel, variant: Variant) -> bytes | None:
        """What the source knows, with what publishers from outside made of it."""
        sourced, kept = self.source.whole(channel.name, variant), channel.state()
        if sourced is None or kept is None or channel.namespace.delivery is not Delivery.STATE:
            return kept or sourced
        return encode_patch(apply_patch(parse_patch(sourced), parse_patch(kept)))

    def unsubscribe(self, channel: str, client: Client) -> None:
        """End a subscription; what the client could not be sent yet is dropped."""
        self.outflow.flush(self._rooms[channel])
        self._remove(channel, client, discard=True)

    def leave(self, client: Client) -> None:
        """End all subscriptions of a client that is going; what is queued for it may still be sent."""
        self.outflow.volunteers.remove(client)
        for channel in list(client.groups):
            self._remove(channel, client, discard=False)

    def _remove(self, channel: str, client: Client, *, discard: bool) -> None:
        found = self._rooms[channel]
        info = found.subscribers[client]
        variant = found.remove(client, discard=discard)
        self.health.subscriptions -= 1
        self._close_unwatched(found, variant)
        self._announce(found, "leave", info)
        if not found.subscribers:
            self.outflow.forget(found)
            self._rooms.let_go(found)

    def _announce(self, channel: Channel, what: str, info: bytes) -> None:
        """Tell subscribers who joins or leaves; not now, since who joins is to have his reply before."""
        if channel.namespace.join_leave and channel.subscribers:
            self.outflow.push_later(channel, channel.announcement(what, info))

    def _close_unwatched(self, channel: Channel, variant: Variant) -> None:
        if not channel.has_variant(variant):
            self.source.close(channel.name, variant)

    def stream(self, channel: str) -> History:
        """What is kept of a channel whose namespace has history; an empty one for an unused channel."""
        found = self._rooms.get(channel)
        if found is not None and found.history is not None:
            return found.history
        namespace = self.namespace(channel)
        return new_history(namespace, self.epochs.of(namespace))

    def channels(self) -> list[Channel]:
        """All that have subscribers or keep anything."""
        return list(self._rooms)

    def channel(self, name: str) -> Channel | None:
        """The channel, if it has subscribers or keeps anything."""
        return self._rooms.get(name)

    def open(
        self, name: str, voice: Voice = Voice.SERVER, *, place: str = "", is_told_once: bool = False
    ) -> Channel:
        """The channel, made if there is none; `voice` says who wants it, `place` from where.

        Raises UnknownChannel, TooMany.
        """
        channel = self._rooms.get(name)
        if channel is None:
            namespace = self.namespace(name)
            voice = max(voice, self._own_voice(name, namespace))
            # Those of what is told once are few: the accounts of our feeds.
            if not self._make_room(voice) and not is_told_once:
                self._refuse(voice)
            if voice is Voice.NOBODY:
                self._check_share(place)
            channel = Channel(
                name,
                namespace,
                self.health,
                voice=voice,
                place=place,
                epoch=self.epochs.of(namespace),
                state_bytes=self._limits.gather_bytes,
            )
            self._rooms.add(channel)
        elif voice > channel.voice:
            # A backend is not kept from a channel that is there already, however many there are.
            if not self._make_room(voice) and voice is not Voice.SERVER:
                self._refuse(voice)
            self._rooms.move(channel, voice)
        return channel

    def _own_voice(self, name: str, namespace: Namespace) -> Voice:
        """Whose a channel is before anybody speaks in it: ours, unless any client could have invented it."""
        is_open = namespace.access is Access.PUBLIC and not name.startswith("$")
        return Voice.NOBODY if is_open and not self.source.knows(name) else Voice.SERVER

    @contextmanager
    def using(
        self, name: str, voice: Voice = Voice.SERVER, *, place: str = "", is_told_once: bool = False
    ) -> Iterator[Channel]:
        """As `open`; the channel is let go again if it turns out to keep nothing."""
        channel = self.open(name, voice, place=place, is_told_once=is_told_once)
        try:
            yield channel
        finally:
            self._rooms.let_go(channel)

    def _make_room(self, voice: Voice) -> bool:
        """Forget what nobody follows, the oldest first, while this voice has as many as it may have."""
        for forgotten in self._rooms.forget_idle(voice):
            self.epochs.renew(forgotten.namespace)
        return not self._rooms.is_full(voice)

    def _check_share(self, place: str) -> None:
        """Raises TooMany. There is room, and it is for others: that calls no operator."""
        if not self._rooms.has_share_left(place):
            self.health.totals.refused["channels"] += 1
            raise TooMany(f"too many channels of {place} in which nobody has published (limits.channels)")

    def _refuse(self, voice: Voice) -> NoReturn:
        self.health.totals.refused["channels"] += 1
        self.health.no_room_ns[voice.name.lower()] = self.health.clock_ns()
        raise TooMany(f"{self._limits.channels} channels of its sort are in use (limits.channels)")

    async def run(self, *, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        """Let things flow, and watch the clients that are behind, until cancelled."""
        async with trio.open_nursery() as nursery:
            await nursery.start(self.outflow.run)
            self.watch.begin(nursery)
            task_status.started()

    def step_changes(self, client: Client, step: Step) -> Iterator[str]:
        """The client's channels that have another form on this step than the client gets now."""
        for name, group in client.groups.items():
            if self._variant(self._rooms[name], step) is not group.key.variant:
                yield name
