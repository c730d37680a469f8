"""The server's zstd dictionary: where it comes from, who may have it, who is spoken to with it.

One at a time: each further one would make every frame once more. What has a hash for a name
never changes, so it may be kept for ever.
"""

from collections.abc import Mapping

from monitor.broadcast.zstd import Zstd
from monitor.config import Settings
from monitor.dictionary import (
    DICTIONARY_BYTES,
    HINT_HEADER,
    SUBPROTOCOL_PREFIX,
    Dictionary,
    shipped_dictionary,
)
from monitor.errors import ConfigError
from monitor.serve.http import HttpError, Response

_FOR_EVER = "public, max-age=31536000, immutable"

Headers = tuple[tuple[str, str], ...]


def load_zstd(settings: Settings) -> Zstd | None:
    """The encoding of the zstd subprotocol, None where the settings switch it off.

    Raises:
        ConfigError: the dictionary can't be read, or zstd does not take it.
    """
    if not settings.zstd:
        return None
    try:
        return Zstd(_load(settings))
    except ValueError as error:
        raise ConfigError(f"zstd_dictionary {settings.zstd_dictionary}: {error}") from None


def _load(settings: Settings) -> Dictionary:
    path = settings.zstd_dictionary
    if path is None:
        return shipped_dictionary()
    try:
        data = path.read_bytes()
    except OSError as error:
        raise ConfigError(f"zstd_dictionary {path} can't be read: {error.strerror or error}") from None
    if not 0 < len(data) <= DICTIONARY_BYTES:
        raise ConfigError(f"zstd_dictionary {path} has {len(data)} bytes, must have 1 to {DICTIONARY_BYTES}")
    return Dictionary(data)


def answer(zstd: Zstd | None, name: str) -> Response:
    """The dictionary of an id; `current` leads to the one in use.

    Raises:
        HttpError: there is none of that name.
    """
    if zstd is not None and name == zstd.dictionary.id:
        headers = (("Cache-Control", _FOR_EVER), ("ETag", f'"{name}"'))
        return Response(200, zstd.dictionary.data, "application/octet-stream", headers)
    if zstd is not None and name == "current":
        return Response(302, headers=(("Location", zstd.dictionary.id), ("Cache-Control", "no-store")))
    raise HttpError(404, f"no dictionary {name!r}")


def is_offered(zstd: Zstd, request_headers: Mapping[str, str]) -> bool:
    """Whether a client asks for the subprotocol of our dictionary."""
    return zstd.dictionary.subprotocol in _offers(request_headers)


def upgrade_headers(zstd: Zstd | None, request_headers: Mapping[str, str]) -> Headers:
    """What the answer to an upgrade says: yes, or which dictionary to come back with."""
    if zstd is None:
        return ()
    if is_offered(zstd, request_headers):
        return (("Sec-WebSocket-Protocol", zstd.dictionary.subprotocol),)
    if any(offer.startswith(SUBPROTOCOL_PREFIX) for offer in _offers(request_headers)):
        return ((HINT_HEADER, zstd.dictionary.id),)
    return ()


def _offers(headers: Mapping[str, str]) -> list[str]:
    return [offer.strip() for offer in headers.get("sec-websocket-protocol", "").split(",")]
