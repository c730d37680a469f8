"""What the client protocol and the HTTP API both do with a channel: publishing, history, presence."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

import msgspec
import orjson

from monitor.broadcast.channel import Channel, Voice
from monitor.broadcast.client import Client
from monitor.broadcast.hub import BadPublication, Hub, TooBusy, TooMany, UnknownChannel
from monitor.broadcast.receipt import Receipt, repeated
from monitor.config import Delivery, Namespace
from monitor.health.journal import JournalState
from monitor.market.told import BadTold, check_told
from monitor.serve import protocol
from monitor.serve.protocol import CommandError, Since

if TYPE_CHECKING:
    from monitor.serve.house import House

NESTING_MAX = 128
"""Levels of a payload."""
_MARGIN = 254 - NESTING_MAX
"""What orjson writes beyond them; what is read deep in the stack has as much less to read with."""


def find_namespace(hub: Hub, channel: str) -> Namespace:
    """The channel's namespace, or the protocol's error 107 or 102.

    Length comes first: names that were looked up are remembered, and clients choose them. A name is
    on one line: the journal knows a publication by its channel's line and its key's.
    """
    if not channel:
        raise protocol.bad_request("channel is empty")
    if len(channel.encode()) > protocol.CHANNEL_BYTES:
        raise protocol.bad_request(f"a channel name has at most {protocol.CHANNEL_BYTES} bytes")
    if not (channel.isascii() and channel.isprintable()):
        raise protocol.bad_request("a channel name is printable ASCII")
    try:
        return hub.namespace(channel)
    except UnknownChannel:
        raise protocol.unknown_channel(channel) from None


def publish(
    house: "House",
    channel: str,
    data: bytes,
    *,
    kind: str | None = None,
    info: bytes = b"",
    tags: bytes = b"",
    skip_history: bool = False,
    key: str = "",
    voice: Voice = Voice.SERVER,
) -> Receipt:
    """As the hub's, with the protocol's errors; what is said of an account becomes part of its state.

    A fill is known by the venue's id, whatever its publisher calls it: a feed may tell it, too. All else
    by the publisher's key, as no fill is known: the name of no venue begins so.
    """
    hub = house.hub
    is_journaled = find_namespace(hub, channel).journal
    count_publication(house, channel)
    check_nesting(data)
    key = f"={key}" if key else ""
    with refusing():
        check_told(channel, data)
        said = house.market.read(channel, data.replace(b"\n", b""))
        if said is not None:
            kind, key = kind or said.kind, said.key or key
            if said.is_known and not (is_journaled and hub.health.journal.state is JournalState.DURABLE):
                # No journal tells where the first one stands.
                return repeated()
        receipt = hub.publish(
            channel, data, kind=kind, info=info, tags=tags, skip_history=skip_history, key=key, voice=voice
        )
    if said is not None:
        receipt.then_if_new(said.note)
    return receipt


def count_publication(house: "House", channel: str) -> None:
    """Count one more of a client or a backend; the protocol's error 111 beyond the channel's limit."""
    if not house.publications.take(channel):
        house.hub.health.totals.refused["publications_per_second"] += 1
        limit = house.settings.limits.publications_per_second
        raise CommandError(
            protocol.TOO_MANY_REQUESTS,
            f"channel {channel!r} takes {limit} publications a second (limits.publications_per_second)",
        )


def check_nesting(data: bytes) -> None:
    """Raise the protocol's error 107 for JSON so deep that it could be taken here and not be told again."""
    if data.count(b"[") + data.count(b"{") > NESTING_MAX:
        try:
            orjson.dumps(orjson.loads(b"[" * _MARGIN + data + b"]" * _MARGIN))
        except (orjson.JSONDecodeError, orjson.JSONEncodeError) as error:
            raise protocol.bad_request(
                f"data must be JSON for every reader, of at most {NESTING_MAX} levels: {error}"
            ) from None


@contextmanager
def refusing() -> Iterator[None]:
    """Turn what a hub objects to into the protocol's errors."""
    try:
        yield
    except TooBusy as error:
        raise CommandError(protocol.TOO_MANY_REQUESTS, error) from None
    except TooMany as error:
        raise CommandError(protocol.LIMIT_EXCEEDED, error) from None
    except (BadPublication, BadTold) as error:
        raise protocol.bad_request(str(error)) from None


def check_history(hub: Hub, channel: str) -> int:
    """How many publications the channel keeps, or the protocol's error 102, 107 or 108."""
    namespace = find_namespace(hub, channel)
    if namespace.delivery is Delivery.MAP:
        raise protocol.bad_request("a map has no history: it is read by its stream")
    if not namespace.history_size:
        raise CommandError(protocol.NOT_AVAILABLE)
    return namespace.history_size


def history(
    hub: Hub, channel: str, *, limit: int, since: Since | None, reverse: bool, limit_max: int | None
) -> bytes:
    """The result of `history`: publications, offset, epoch.

    Args:
        limit: 0 gives the position only, -1 all that is kept.
        limit_max: more are not given, whatever was asked; None gives all.
    """
    size = check_history(hub, channel)
    if reverse and since is not None and since.offset == 0:
        raise protocol.bad_request("reverse needs a since.offset above 0")
    kept = hub.stream(channel)
    if since is not None and since.epoch and since.epoch != kept.epoch:
        raise CommandError(protocol.UNRECOVERABLE_POSITION)
    most = size if limit_max is None else limit_max
    publications = kept.read(
        hub.health.clock_ns(),
        since=since.offset if since else None,
        limit=most if limit < 0 else min(limit, most),
        reverse=reverse,
    )
    return msgspec.json.encode(
        {
            "publications": [msgspec.Raw(publication.document()) for publication in publications],
            "offset": kept.offset,
            "epoch": kept.epoch,
        }
    )


def presence(hub: Hub, channel: str) -> bytes:
    """The result of `presence`: client infos by client id."""
    present = _present(hub, channel).items()
    return msgspec.json.encode({"presence": {client.id: msgspec.Raw(info) for client, info in present}})


def presence_stats(hub: Hub, channel: str) -> bytes:
    """The result of `presence_stats`."""
    clients = _present(hub, channel)
    return orjson.dumps({"num_clients": len(clients), "num_users": len({client.user for client in clients})})


def _present(hub: Hub, channel: str) -> dict[Client, bytes]:
    if not find_namespace(hub, channel).presence:
        raise CommandError(protocol.NOT_AVAILABLE)
    found: Channel | None = hub.channel(channel)
    return found.subscribers if found else {}
