"""The zstd subprotocol from the client's side: which dictionary is offered, and bounded decoding.

The shipped dictionary is offered first. A server that uses another one says which; it is then
fetched once, checked against its name, and kept. Whatever fails, plain text is spoken.
"""

from collections.abc import Callable, Iterable
from pathlib import Path
from urllib.parse import urlsplit

import h11
import trio
import zstandard

from monitor.address import ENDPOINT
from monitor.client.connection import ANSWER_SECONDS, MESSAGE_BYTES, open_stream
from monitor.dial import Stream
from monitor.dictionary import (
    DICTIONARY_BYTES,
    HINT_HEADER,
    PATH,
    Dictionary,
    is_dictionary_id,
    shipped_dictionary,
)
from monitor.errors import PeerError

Inflate = Callable[[bytes], bytes]
Headers = Iterable[tuple[bytes, bytes]]

_HINT = HINT_HEADER.lower().encode()


class Compression:
    """What one client knows of its server's dictionary."""

    def __init__(self, *, is_on: bool) -> None:
        self._inflater = Inflater(shipped_dictionary()) if is_on else None
        self._unavailable = ""
        """The id of one that could not be got; it isn't asked for again."""

    @property
    def offers(self) -> tuple[str, ...]:
        """Subprotocols to ask for."""
        return (self._inflater.dictionary.subprotocol,) if self._inflater else ()

    def agreed(self, subprotocol: str | None) -> Inflate | None:
        """How binary messages are read on a connection of this subprotocol."""
        return self._inflater.inflate if self._inflater and subprotocol else None

    def missing(self, headers: Headers) -> str | None:
        """The id that the server's answer to the upgrade names, if it is worth fetching."""
        hints = [value.decode("latin-1") for name, value in headers if name.lower() == _HINT]
        if not hints or not self._inflater or not is_dictionary_id(hints[0]):
            return None
        return None if hints[0] == self._unavailable else hints[0]

    async def learn(self, url: str, dictionary_id: str, certificate_file: Path | None) -> None:
        """Fetch a dictionary from the server of this WebSocket address, and offer it from now on."""
        try:
            self._inflater = Inflater(await fetch_dictionary(url, dictionary_id, certificate_file))
        except PeerError:
            self._unavailable = dictionary_id


class Inflater:
    """Decodes the frames made with one dictionary."""

    def __init__(self, dictionary: Dictionary) -> None:
        self.dictionary = dictionary
        self._decompressor = zstandard.ZstdDecompressor(
            dict_data=zstandard.ZstdCompressionDict(dictionary.data), max_window_size=MESSAGE_BYTES
        )

    def inflate(self, frame: bytes) -> bytes:
        """The text in a frame. Raises PeerError for a damaged one, or one of more than 16 MiB."""
        try:
            # Before any room is made for it.
            size = zstandard.frame_content_size(frame)
            if size > MESSAGE_BYTES:
                raise PeerError(f"the server sent a frame of {size} bytes, at most {MESSAGE_BYTES} are taken")
            return self._decompressor.decompress(frame, max_output_size=MESSAGE_BYTES, allow_extra_data=False)
        except zstandard.ZstdError as error:
            raise PeerError(f"the server sent a frame that is not zstd, or damaged: {error}") from None


async def fetch_dictionary(url: str, dictionary_id: str, certificate_file: Path | None = None) -> Dictionary:
    """Get a dictionary from the server of this WebSocket address.

    Raises PeerError when it can't be had, or is not what its id says.
    """
    try:
        with trio.fail_after(ANSWER_SECONDS):
            async with await open_stream(url, certificate_file) as stream:
                dictionary = Dictionary(await _get(stream, url, dictionary_path(url, dictionary_id)))
    except (trio.BrokenResourceError, trio.TooSlowError, h11.RemoteProtocolError) as error:
        raise PeerError(f"dictionary {dictionary_id} could not be read from {url}: {error!r}") from None
    if dictionary.id != dictionary_id:
        raise PeerError(f"dictionary {dictionary_id} of {url} is another one, {dictionary.id}")
    return dictionary


async def _get(stream: Stream, url: str, path: str) -> bytes:
    peer = h11.Connection(h11.CLIENT)
    headers = [("Host", urlsplit(url).netloc), ("Connection", "close")]
    request = peer.send(h11.Request(method="GET", target=path, headers=headers))
    await stream.send_all((request or b"") + (peer.send(h11.EndOfMessage()) or b""))
    body = bytearray()
    while not isinstance(event := peer.next_event(), h11.EndOfMessage):
        if event is h11.NEED_DATA:
            peer.receive_data(bytes(await stream.receive_some()))
        elif isinstance(event, h11.Response) and event.status_code != 200:
            raise PeerError(f"{url} answered {event.status_code} for {path}")
        elif isinstance(event, h11.Data):
            body += event.data
        if len(body) > DICTIONARY_BYTES:
            raise PeerError(f"the dictionary at {path} has more than {DICTIONARY_BYTES} bytes")
    return bytes(body)


def dictionary_path(url: str, dictionary_id: str) -> str:
    """Where the server of a WebSocket address has the dictionary of that id."""
    return urlsplit(url).path.removesuffix(ENDPOINT) + PATH + dictionary_id
