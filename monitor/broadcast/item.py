"""The unit of a fan-out: one channel's publications in one shared frame.

A reply to a command is an item without publications, so that it can travel in the lane of the
channel it is about and never overtakes, nor is overtaken by, that channel's publications.
"""

from bisect import bisect_left
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import msgspec
from msgspec.structs import replace

from monitor.broadcast.frames import Encoding
from monitor.broadcast.patch import encode_patch, merge, parse_patch
from monitor.broadcast.tags import TagsFilter
from monitor.config import Delivery, Lane
from monitor.health.kind import KindMeter, Stages

if TYPE_CHECKING:
    from monitor.broadcast.chain import Link

DOCUMENT_BYTES = 80
"""At most so much stands around what a publisher gave: the names of its members, its offset, a newline."""

RESERVE = 2
"""So many times a limit may be held of what is told once: it can't be asked for again."""

_NEVER_NS = 1 << 63


class Publication(msgspec.Struct, frozen=True, gc=False):
    """One message in a channel; as a struct it costs a fourth to make, and nothing to collect."""

    data: bytes
    """The payload's JSON text, as the publisher sent it, without raw newlines."""
    kind: str
    stamp_ns: int
    """Monotonic time since when its latency counts: received from the venue, or published."""
    offset: int = 0
    """1-based position where the channel keeps history, else 0."""
    info: bytes = b""
    tags: bytes = b""
    key: str = ""
    """What it sets or removes, in a `map` channel."""
    removed: bool = False
    base: bytes | None = None
    """What its key held before, on its way to subscribers who may be told the change."""
    published_ns: int = 0
    """When it was published, on the clock of `stamp_ns`; 0 if that is its stamp."""
    is_told_once: bool = False
    """Who published it can't do so again: it goes beyond limits, into the reserve."""

    def may_take(self, limit_bytes: int) -> int:
        """How much may be held, where that is limited, for it to be taken."""
        return limit_bytes * RESERVE if self.is_told_once else limit_bytes

    @property
    def size_bytes(self) -> int:
        """Of what the publisher gave."""
        return len(self.key) + len(self.data) + len(self.info) + len(self.tags)

    def document(self) -> bytes:
        """The protocol's publication object."""
        text = b'{"data":' + self.data
        if self.key:
            text += b',"key":' + msgspec.json.encode(self.key)
            text += b',"removed":true' if self.removed else b""
        if self.offset:
            text += b',"offset":%d' % self.offset
        if self.info:
            text += b',"info":' + self.info
        if self.tags:
            text += b',"tags":' + self.tags
        return text + b"}"


def weigh(publications: Iterable[Publication]) -> int:
    """At most so many bytes as the protocol's documents."""
    return sum(DOCUMENT_BYTES + publication.size_bytes for publication in publications)


def select(only: TagsFilter | None, publications: Iterable[Publication]) -> tuple[Publication, ...]:
    """Those that a filter accepts; all without one."""
    return tuple(each for each in publications if only is None or only.accepts(each.tags))


@dataclass(frozen=True, slots=True)
class Resent:
    """Publications that a reply holds because its client had missed them."""

    channel: str
    count: int
    size_bytes: int
    """Of their documents within the payload."""


class Item:
    """What is offered to a client: a payload with its lane and what it holds."""

    __slots__ = (
        "_deadlines_ns",
        "_frames",
        "_wanted",
        "begun_ns",
        "channel",
        "count",
        "delivery",
        "encode_ns",
        "held_bytes",
        "is_control",
        "lane",
        "link",
        "offered_bytes",
        "payload",
        "prefix",
        "publications",
        "resent",
    )

    def __init__(
        self,
        payload: bytes,
        lane: Lane,
        *,
        channel: str = "",
        prefix: bytes = b"",
        delivery: Delivery = Delivery.STREAM,
        publications: tuple[Publication, ...] = (),
        resent: tuple[Resent, ...] = (),
        is_control: bool = False,
    ) -> None:
        """With `is_control`, the payload is a whole frame already: a pong."""
        self.payload = payload
        self.is_control = is_control
        self.lane = lane
        self.channel = channel
        self.prefix = prefix
        self.delivery = delivery
        self.publications = publications
        self.resent = resent
        self.count = sum(each.count for each in resent) if resent else len(publications)
        self.held_bytes = len(payload)
        """What a channel holds while it is queued; its other forms are made when its turn comes."""
        self.offered_bytes = 0
        """Of a change that one client's pending ones have become: what their frames had; else 0."""
        self.begun_ns = 0
        """When the first group began with it; 0 before."""
        self.encode_ns = 0
        """What its frames took to make."""
        self.link: Link | None = None
        """Its form in a chain, once made: it is the same for all encodings."""
        self._frames: dict[Encoding, bytes] = {}
        self._deadlines_ns: list[int] | None = None
        self._wanted: dict[TagsFilter, Item] = {}
        """Its forms for those with a filter: the same for all encodings."""

    @classmethod
    def of(
        cls,
        channel: str,
        prefix: bytes,
        lane: Lane,
        delivery: Delivery,
        publications: tuple[Publication, ...],
    ) -> "Item":
        """An item of one channel; `prefix` is the push's text up to the publication object."""
        payload = b"\n".join([prefix + publication.document() + b"}}" for publication in publications])
        return cls(
            payload, lane, channel=channel, prefix=prefix, delivery=delivery, publications=publications
        )

    def is_of(self, kind: str) -> bool:
        """Whether it holds publications, and of this kind."""
        return bool(self.publications) and self.publications[0].kind == kind

    @property
    def alone(self) -> "Item":
        """What says the same to a client that has not got what came before."""
        return self

    @property
    def parts(self) -> "Sequence[Item]":
        """The messages it is sent as."""
        return (self,)

    def wanted_by(self, only: TagsFilter) -> "Item":
        """What is left of it for those with a filter, an empty one if nothing is; judged once."""
        form = self._wanted.get(only)
        if form is None:
            form = self._wanted[only] = self._filter(only)
        return form

    def _filter(self, only: TagsFilter) -> "Item":
        wanted = select(only, self.publications)
        if len(wanted) == len(self.publications):
            return self
        form = Item.of(self.channel, self.prefix, self.lane, self.delivery, wanted)
        form.held_bytes = self.held_bytes
        return form

    def lateness(self, kinds: Mapping[str, KindMeter], now_ns: int) -> tuple[int, int]:
        """How many of its publications are past their kind's threshold, and until when that holds."""
        if self._deadlines_ns is None:
            self._deadlines_ns = [*sorted(self._deadlines(kinds)), _NEVER_NS]
        late = bisect_left(self._deadlines_ns, now_ns)
        return late, self._deadlines_ns[late]

    def _deadlines(self, kinds: Mapping[str, KindMeter]) -> Iterator[int]:
        for publication in self.publications:
            threshold_ns = kinds[publication.kind].threshold_ns
            if threshold_ns is not None:
                yield publication.stamp_ns + threshold_ns

    def note_encoded(self, begun_ns: int, now_ns: int) -> None:
        """One of its frames was made."""
        self.begun_ns = self.begun_ns or begun_ns
        self.encode_ns += now_ns - begun_ns

    def stages(self, publication: Publication, now_ns: int) -> Stages:
        """Where the time of one of its publications went, if it is written now."""
        published_ns = publication.published_ns or publication.stamp_ns
        return Stages(
            published_ns - publication.stamp_ns,
            self.begun_ns - published_ns,
            self.encode_ns,
            now_ns - self.begun_ns - self.encode_ns,
        )

    def frame(self, encoding: Encoding) -> bytes:
        """The bytes of its message, made once per encoding."""
        if self.is_control:
            return self.payload
        frame = self._frames.get(encoding)
        if frame is None:
            frame = self._frames[encoding] = self._make_frame(encoding)
        return frame

    def _make_frame(self, encoding: Encoding) -> bytes:
        return encoding.frame(self.payload)

    def has_frame(self, encoding: Encoding) -> bool:
        return self.is_control or encoding in self._frames

    def keep_frame(self, encoding: Encoding, frame: bytes) -> None:
        """Take a frame that was made elsewhere."""
        self._frames[encoding] = frame

    def merged_into(self, newer: "Item") -> "Item":
        """What stands for this pending item and a newer one of the same `latest` or `state` channel."""
        if newer.delivery is Delivery.LATEST:
            return newer.alone
        publication = merge_publications(self.publications[-1], newer.publications[-1])
        merged = Item.of(newer.channel, newer.prefix, newer.lane, newer.delivery, (publication,))
        merged.begun_ns = self.begun_ns
        return merged


def merge_publications(older: Publication, newer: Publication) -> Publication:
    """One change with the effect of both; it has waited as long as the older one."""
    data = encode_patch(merge(parse_patch(older.data), parse_patch(newer.data)))
    return replace(newer, data=data, stamp_ns=older.stamp_ns, published_ns=older.published_ns)
