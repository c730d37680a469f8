"""The encoding of the zstd subprotocol: a frame is one binary message that holds one zstd frame.

With a dictionary of the product's own traffic a message of 200 bytes becomes 55, and as each
frame stands alone it is made once and shared, as the others are.
"""

from threading import local

from zstandard import ZstdCompressionDict, ZstdCompressor, ZstdError

from monitor.broadcast.frames import binary_frame
from monitor.dictionary import Dictionary


class Zstd:
    """Equal to itself only: a server makes one for each dictionary that it knows."""

    name = "zstd"

    def __init__(self, dictionary: Dictionary, level: int) -> None:
        """Raises ValueError for a dictionary that zstd does not take."""
        self.dictionary = dictionary
        self._level = level
        self._prepared = ZstdCompressionDict(dictionary.data)
        try:
            self._prepared.precompute_compress(level=level)
        except ZstdError as error:
            raise ValueError(f"zstd does not take it: {error}") from None
        self._compressors = _Compressors(self._prepared, level)

    def frame(self, payload: bytes) -> bytes:
        return binary_frame(self._compressors.mine.compress(payload))


class _Compressors(local):
    """One for each thread that makes frames: zstd runs without the interpreter's lock."""

    def __init__(self, prepared: ZstdCompressionDict, level: int) -> None:
        # The content's size lets the receiver refuse before it makes room; the subprotocol says
        # which dictionary it is, TCP and the WebSocket that nothing is damaged.
        self.mine = ZstdCompressor(
            level=level,
            dict_data=prepared,
            write_content_size=True,
            write_dict_id=False,
            write_checksum=False,
        )
