"""One channel: who is subscribed, what has gathered for the next tick, what is kept."""

from collections.abc import Callable, Iterator
from enum import Enum, IntEnum, auto

import orjson

from monitor.broadcast.client import Client
from monitor.broadcast.frames import Encoding
from monitor.broadcast.group import GroupKey, SendGroup
from monitor.broadcast.history import History, Position
from monitor.broadcast.item import DOCUMENT_BYTES, Item, Publication, merge_publications
from monitor.broadcast.keyed import HIDDEN_STREAM, Keyed
from monitor.broadcast.ladder import Variant
from monitor.broadcast.patch import Sections, apply_patch, encode_patch, parse_patch
from monitor.broadcast.tags import TagsFilter
from monitor.config import Delivery, Lane, Namespace
from monitor.health.health import Health

FILTERS_MAX = 256
"""Different tags filters of one channel's subscribers: each is asked about each publication."""


class Voice(IntEnum):
    """Who has spoken in a channel, the strongest last."""

    NOBODY = auto()
    """Whoever is subscribed waits. Where a namespace is public any name will do."""
    CLIENTS = auto()
    SERVER = auto()
    """A feed or a backend has; or clients can't have invented the channel."""


class Progress(Enum):
    """How far a channel's fan-out has come."""

    DONE = auto()
    INTERRUPTED = auto()
    """There is more to send, in another turn."""
    WANTS_FRAMES = auto()
    """What is left can't be sent before its frames are made."""


class Channel:
    __slots__ = (
        "_epoch",
        "_gathered",
        "_groups",
        "_health",
        "_state",
        "gathered_bytes",
        "history",
        "keyed",
        "latest",
        "name",
        "namespace",
        "place",
        "prefix",
        "published",
        "queued_bytes",
        "subscribers",
        "unsettled",
        "voice",
    )

    def __init__(
        self,
        name: str,
        namespace: Namespace,
        health: Health,
        *,
        voice: Voice,
        place: str,
        epoch: str,
        state_bytes: int,
    ) -> None:
        """`place` is that of the client who opened it; `state_bytes` bounds what is kept by key."""
        self.name = name
        self.namespace = namespace
        self.voice = voice
        self.place = place
        self.prefix = b'{"push":{"channel":' + orjson.dumps(name) + b',"pub":'
        self._health = health
        self.subscribers: dict[Client, bytes] = {}
        """Each with the protocol's client info for presence."""
        self.history = new_history(namespace, epoch) if namespace.history_size else None
        self.keyed = self._make_keyed(epoch, state_bytes) if namespace.delivery is Delivery.MAP else None
        self._epoch = epoch
        self.published = 0
        """Publications so far."""
        self.unsettled = 0
        """Publications that are on their way into the journal."""
        self.gathered_bytes = 0
        self.queued_bytes = 0
        self._gathered: list[Publication] = []
        self._groups: dict[GroupKey, SendGroup] = {}
        self.latest: Publication | None = None
        """What publishers from outside have said last, where each publication is whole."""
        self._state: Sections = {}

    def _make_keyed(self, epoch: str, state_bytes: int) -> Keyed:
        namespace = self.namespace
        hidden = History(HIDDEN_STREAM, namespace.history_bytes, 0, epoch=epoch)
        return Keyed(
            hidden if self.history is None else self.history,
            key_limit=namespace.key_limit,
            limit_bytes=state_bytes,
            ttl_seconds=namespace.key_seconds,
        )

    @property
    def lane(self) -> Lane:
        return self.namespace.lane

    @property
    def is_followed(self) -> bool:
        """Whether somebody is subscribed, or is told by the journal."""
        return bool(self.subscribers or self.unsettled)

    @property
    def is_needed(self) -> bool:
        """Whether forgetting it would lose something: subscribers, history or a kept state."""
        has_history = self.history is not None and self.history.offset > 0
        has_stream = self.keyed is not None and self.keyed.stream.offset > 0
        return bool(self.is_followed or has_history or has_stream or self.latest or self._state)

    @property
    def position(self) -> Position | None:
        """What a subscriber may come back with; None where nothing can be recovered."""
        delivery = self.namespace.delivery
        if self.history is not None and delivery is not Delivery.STATE:
            return self.history.position
        return Position(0, self._epoch) if delivery is Delivery.LATEST else None

    def begin_epoch(self, epoch: str) -> None:
        """Go on counting, under another epoch: positions from before are not these."""
        self._epoch = epoch
        if self.history is not None:
            self.history.epoch = epoch

    @property
    def kept(self) -> tuple[int, int]:
        """How many publications or keys there are for later subscribers, and their bytes."""
        if self.keyed is not None:
            return len(self.keyed), self.keyed.bytes
        if self.history is not None:
            return self.history.count, self.history.bytes
        state = self.state()
        return (0, 0) if state is None else (1, len(state))

    @property
    def gathered_count(self) -> int:
        return len(self._gathered)

    def has_room_for(self, only: TagsFilter | None) -> bool:
        """Whether a subscriber may come with this filter: one that is there costs nothing more."""
        if only is None:
            return True
        filters = {key.only for key in self._groups} - {None}
        return only in filters or len(filters) < FILTERS_MAX

    def add(
        self, client: Client, info: bytes, variant: Variant, *, is_chain: bool, only: TagsFilter | None
    ) -> None:
        self.subscribers[client] = info
        key = GroupKey(client.encoding, variant, is_chain, client.plain is not None, only)
        group = self._groups.get(key)
        if group is None:
            group = self._groups[key] = SendGroup(self.name, key, self._health)
        client.join(self.name, group)

    def remove(self, client: Client, *, discard: bool) -> Variant:
        """End a subscription; with `discard`, what is pending of it for the client is dropped."""
        del self.subscribers[client]
        group = client.groups[self.name]
        client.leave(self.name, discard=discard)
        if not group:
            # What it had still to offer is for nobody.
            del self._groups[group.key]
            self.queued_bytes -= group.held_bytes
        return group.key.variant

    def has_variant(self, variant: Variant) -> bool:
        """Whether a subscriber gets the channel in this form."""
        return any(len(group) for key, group in self._groups.items() if key.variant is variant)

    def keep_state(self, publication: Publication, *, limit_bytes: int) -> None:
        """Remember what a later subscriber starts from, where the delivery mode has a state.

        Raises:
            ValueError: a change that is not an object of sections, or the state grows past its limit.
        """
        if self.namespace.delivery is Delivery.LATEST:
            self.latest = publication
        elif self.namespace.delivery is Delivery.STATE:
            state = apply_patch(self._state, parse_patch(publication.data))
            size = len(encode_patch(state))
            if size > limit_bytes:
                raise ValueError(
                    f"its state would have {size} bytes, the limit is {limit_bytes} (limits.gather_bytes)"
                )
            self._state = state

    def state(self) -> bytes | None:
        """What publishers from outside have made of the channel, where its delivery mode has a state."""
        if self._state:
            return encode_patch(self._state)
        return self.latest.data if self.latest else None

    def gather(self, publication: Publication) -> None:
        """Hold a publication for the tick, merged by the namespace's delivery mode."""
        delivery = self.namespace.delivery
        if self._gathered and delivery.merges:
            pending = self._gathered.pop()
            self.gathered_bytes -= pending.size_bytes
            if delivery is Delivery.STATE:
                publication = merge_publications(pending, publication)
        self._gathered.append(publication)
        self.gathered_bytes += publication.size_bytes

    def take_gathered(self) -> list[Publication]:
        gathered, self._gathered, self.gathered_bytes = self._gathered, [], 0
        return gathered

    def items(
        self, publications: list[Publication], *, frame_bytes: int, frame_messages: int
    ) -> Iterator[Item]:
        """Pack publications into shared frames; one that is longer than a frame goes alone."""
        pack: list[Publication] = []
        room = frame_bytes
        for publication in publications:
            length = len(self.prefix) + publication.size_bytes + DOCUMENT_BYTES
            if pack and (length > room or len(pack) >= frame_messages):
                yield self._item(pack)
                pack, room = [], frame_bytes
            pack.append(publication)
            room -= length
        if pack:
            yield self._item(pack)

    def _item(self, publications: list[Publication]) -> Item:
        return Item.of(self.name, self.prefix, self.lane, self.namespace.delivery, tuple(publications))

    def announcement(self, what: str, info: bytes) -> Item:
        """A push that tells who has joined or left."""
        payload = b'{"push":{"channel":%s,"%s":{"info":%s}}}' % (
            orjson.dumps(self.name),
            what.encode(),
            info,
        )
        return Item(payload, self.lane, channel=self.name)

    def push(self, item: Item, variant: Variant | None) -> None:
        """Queue an item for the clients that get this form; None is every form."""
        for key, group in self._groups.items():
            if variant is None or key.variant is variant:
                group.push(item)
                self.queued_bytes += item.held_bytes

    def advance(self, clock_ns: Callable[[], int], until_ns: int, done: Callable[[Item], None]) -> Progress:
        """Go on with the fan-out of every group until the time is up."""

        def finish(item: Item) -> None:
            self.queued_bytes -= item.held_bytes
            done(item)

        progress = Progress.DONE
        for group in list(self._groups.values()):
            if not group.advance(clock_ns, until_ns, finish):
                if group.wanted is None:
                    return Progress.INTERRUPTED
                progress = Progress.WANTS_FRAMES
        return progress

    def wanted_frames(self) -> list[tuple[Item, Encoding]]:
        """What its fan-out can't go on without."""
        return [
            (group.wanted, group.key.encoding) for group in self._groups.values() if group.wanted is not None
        ]


def new_history(namespace: Namespace, epoch: str) -> History:
    return History(namespace.history_size, namespace.history_bytes, namespace.history_seconds, epoch=epoch)
