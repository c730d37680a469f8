"""What the client protocol and the HTTP API both do with a key of a map: set it, remove it."""

from typing import TYPE_CHECKING

from monitor.broadcast.channel import Voice
from monitor.broadcast.keyed import KeyMode, Version
from monitor.broadcast.maps import Placed
from monitor.serve import protocol
from monitor.serve.channels import check_nesting, count_publication, find_namespace, refusing

if TYPE_CHECKING:
    from monitor.serve.house import House


def put(
    house: "House",
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
    """As of `Maps`, with the protocol's errors."""
    _check_key(house, channel, key)
    count_publication(house, channel)
    check_nesting(data)
    with refusing():
        return house.maps.put(
            channel, key, data, kind=kind, info=info, tags=tags, mode=mode, version=version, voice=voice
        )


def remove(house: "House", channel: str, key: str, *, voice: Voice = Voice.SERVER) -> Placed:
    """As of `Maps`, with the protocol's errors."""
    _check_key(house, channel, key)
    count_publication(house, channel)
    with refusing():
        return house.maps.remove(channel, key, voice=voice)


def _check_key(house: "House", channel: str, key: str) -> None:
    find_namespace(house.hub, channel)
    if not key:
        raise protocol.bad_request("key is empty")
