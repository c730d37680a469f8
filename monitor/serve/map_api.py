"""The HTTP API's methods for maps: set and remove keys, read the state and its stream.

Reading gives what subscribers would be given, the market's newest included. A page of the state is
bounded in entries and bytes, and its cursor leads to the next; the stream is bounded by what is kept.
"""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import msgspec

from monitor.broadcast.item import Publication
from monitor.broadcast.keyed import Keyed, KeyMode, Suppression, Version
from monitor.broadcast.maps import Placed, shown
from monitor.serve import maps, protocol
from monitor.serve.bodies import ChannelParams, PayloadParams
from monitor.serve.channels import find_namespace, refusing
from monitor.serve.house import House
from monitor.serve.loading import page_size
from monitor.serve.protocol import CommandError

READ_BYTES = 1_048_576

Method = tuple[type[msgspec.Struct], Callable[[House, Any], bytes]]
"""What a call of the API takes, and what carries it out."""
_results = msgspec.json.Decoder(dict[str, Any])


class PutParams(PayloadParams):
    channel: str = ""
    key: str = ""
    key_mode: KeyMode = KeyMode.ANY
    version: int = 0
    """0 is none."""
    version_epoch: str = ""


class RemoveParams(msgspec.Struct, forbid_unknown_fields=True):
    channel: str = ""
    key: str = ""
    idempotency_key: str = ""


class StateParams(msgspec.Struct, forbid_unknown_fields=True):
    channel: str = ""
    cursor: str = ""
    limit: int = 0
    """0 takes 100."""
    key: str = ""
    """Only this one."""


class StreamParams(msgspec.Struct, forbid_unknown_fields=True):
    channel: str = ""
    since_offset: int = 0
    """0 starts at the oldest (newest) one kept."""
    since_epoch: str = ""
    limit: int = 0
    """0 gives the position only, -1 all that is kept."""
    reverse: bool = False


def _publish(house: House, params: PutParams) -> bytes:
    placed = maps.put(
        house,
        params.channel,
        params.key,
        params.payload(),
        kind=params.kind,
        tags=params.encoded_tags(),
        mode=params.key_mode,
        version=Version(params.version, params.version_epoch) if params.version else None,
    )
    return _result(placed)


def _remove(house: House, params: RemoveParams) -> bytes:
    return _result(maps.remove(house, params.channel, params.key))


def _result(placed: Placed) -> bytes:
    position = placed.position
    return protocol.result(
        offset=position.offset if position else 0,
        epoch=position.epoch if position else "",
        suppressed=placed.suppressed is not None,
        suppress_reason=placed.suppressed or "",
    )


def repeated(first: bytes) -> bytes:
    """The result of a call that was made before with the same idempotency key."""
    told = {"suppressed": True, "suppress_reason": Suppression.IDEMPOTENCY}
    return msgspec.json.encode(_results.decode(first) | told)


def _read_state(house: House, params: StateParams) -> bytes:
    with _reading(house, params.channel) as keyed:
        if params.key:
            entry = keyed.get(params.key)
            return _entries(house, params.channel, keyed, [entry] if entry else [])
        count = page_size(params.limit)
        page = keyed.page(params.cursor, keyed.stream.offset, count=count, limit_bytes=READ_BYTES)
        return _entries(house, params.channel, keyed, page.entries, page.cursor)


def _read_stream(house: House, params: StreamParams) -> bytes:
    with _reading(house, params.channel) as keyed:
        if not house.hub.namespace(params.channel).history_size:
            raise CommandError(protocol.NOT_AVAILABLE)
        if params.since_epoch not in ("", keyed.stream.epoch):
            raise CommandError(protocol.UNRECOVERABLE_POSITION)
        changes = keyed.stream.read(
            house.hub.health.clock_ns(),
            since=params.since_offset or None,
            limit=params.limit if params.limit >= 0 else None,
            reverse=params.reverse,
        )
        return _entries(house, params.channel, keyed, changes)


def _stats(house: House, params: ChannelParams) -> bytes:
    with _reading(house, params.channel) as keyed:
        return b'{"num_keys":%d}' % len(keyed)


def _clear(house: House, params: ChannelParams) -> bytes:
    find_namespace(house.hub, params.channel)
    with refusing():
        house.maps.clear(params.channel)
    return b"{}"


@contextmanager
def _reading(house: House, channel: str) -> Iterator[Keyed]:
    find_namespace(house.hub, channel)
    with refusing(), house.maps.reading(channel) as keyed:
        yield keyed


def _entries(house: House, channel: str, keyed: Keyed, entries: list[Publication], cursor: str = "") -> bytes:
    namespace = house.hub.namespace(channel)
    texts = [msgspec.Raw(entry.document()) for entry in shown(namespace, entries)]
    position = {"offset": keyed.stream.offset, "epoch": keyed.stream.epoch} if namespace.history_size else {}
    return msgspec.json.encode({"entries": texts} | position | ({"cursor": cursor} if cursor else {}))


MAP_METHODS: Mapping[str, Method] = {
    "map_publish": (PutParams, _publish),
    "map_remove": (RemoveParams, _remove),
    "map_read_state": (StateParams, _read_state),
    "map_read_stream": (StreamParams, _read_stream),
    "map_stats": (ChannelParams, _stats),
    "map_clear": (ChannelParams, _clear),
}
