"""What a subscriber starts from: all that it missed, or the state as it is.

Never a part of what was missed: it would be shown as if it were the whole. What can't be told in
full is not recovered, and the subscriber is told so.
"""

from dataclasses import dataclass, replace

from monitor.broadcast.channel import Channel
from monitor.broadcast.history import Position
from monitor.broadcast.item import Publication, select, weigh
from monitor.broadcast.tags import TagsFilter
from monitor.config import Delivery
from monitor.errors import LanecastError

JUDGED_BYTES = 1_048_576
"""Publications times the length of the filter that judges them, in one recovery: 4 to 40 ms (measured)."""


class Unrecoverable(LanecastError):
    """What was missed can't be told in full, and the subscriber wants nothing else."""


@dataclass(frozen=True, slots=True)
class Wish:
    """How a client asks to subscribe."""

    since: Position | None = None
    """Where it was; None has missed nothing."""
    is_strict: bool = False
    """It would rather be refused than start from the state as it is."""
    wants_chain: bool = False
    """It reads each publication as a change of the one before, where the namespace has that."""
    only: TagsFilter | None = None
    """It is told of these publications and no others."""


ANEW = Wish()


@dataclass(frozen=True, slots=True)
class Start:
    """What a new subscriber starts from."""

    position: Position | None
    """What comes is counted from here; None where a channel can't be recovered."""
    missed: tuple[Publication, ...] | None = None
    """Oldest first; None if nothing was recovered."""
    whole: bytes | None = None
    """If nothing was, the state as it is, where the channel has one."""
    is_chain: bool = False
    read_bytes: int = 0
    """Of all that was missed, whether a filter accepts it or not."""


def find_start(channel: Channel, wish: Wish, whole: bytes | None, *, now_ns: int, limit_bytes: int) -> Start:
    """What a client starts from that subscribes now.

    Args:
        whole: the channel's state, None if it has none.
        limit_bytes: what takes more is not recovered.

    Raises:
        Unrecoverable.
    """
    is_chain = wish.wants_chain and channel.namespace.delta
    if wish.since is not None:
        recovered = _recover(channel, wish.since, wish.only, whole, now_ns, limit_bytes)
        if recovered is not None:
            read = recovered.missed or ()
            return replace(
                recovered, missed=select(wish.only, read), read_bytes=weigh(read), is_chain=is_chain
            )
        if wish.is_strict:
            raise Unrecoverable(f"channel {channel.name!r}: not all after offset {wish.since.offset} is kept")
    return Start(channel.position, whole=whole, is_chain=is_chain)


def _recover(
    channel: Channel,
    since: Position,
    only: TagsFilter | None,
    whole: bytes | None,
    now_ns: int,
    limit_bytes: int,
) -> Start | None:
    if channel.namespace.delivery is Delivery.LATEST:
        return _recover_newest(channel, since, whole, now_ns)
    if channel.namespace.delivery is Delivery.STATE or channel.history is None:
        return None
    if only and (channel.history.offset - since.offset) * len(only.text) > JUDGED_BYTES:
        return None
    missed = channel.history.missed(since, now_ns, limit_bytes=limit_bytes)
    return Start(Position(since.offset, channel.history.epoch), missed) if missed is not None else None


def _recover_newest(channel: Channel, since: Position, whole: bytes | None, now_ns: int) -> Start | None:
    """The newest stands for all that was missed; a client that has it already is not sent it again."""
    newest = channel.latest
    if newest is None and whole is not None:
        newest = Publication(whole, channel.namespace.kind, now_ns)
    if since == channel.position and (newest is None or newest.offset):
        return Start(channel.position, ())
    return Start(channel.position, (newest,)) if newest is not None else None
