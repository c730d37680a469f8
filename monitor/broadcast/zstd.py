"""The encoding of the zstd subprotocol: a frame is one binary message that holds one zstd frame.

With a dictionary of the product's own traffic a trade of 165 bytes becomes 44, and as each
frame stands alone it is made once and shared, as the others are.
"""

from threading import local

from zstandard import (
    STRATEGY_GREEDY,
    STRATEGY_LAZY2,
    ZstdCompressionDict,
    ZstdCompressionParameters,
    ZstdCompressor,
    ZstdError,
)

from monitor.broadcast.frames import THREAD_FROM_BYTES, binary_frame
from monitor.dictionary import Dictionary

LONG_FROM_BYTES = 256


def _parameters(strategy: int, *, min_match: int) -> ZstdCompressionParameters:
    # The content's size lets the receiver refuse before it makes room; the subprotocol says
    # which dictionary it is, TCP and the WebSocket that nothing is damaged.
    return ZstdCompressionParameters(
        strategy=strategy,
        min_match=min_match,
        window_log=17,
        hash_log=16,
        chain_log=15,
        search_log=6,
        target_length=0,
        write_content_size=True,
        write_dict_id=False,
        write_checksum=False,
    )


_SHORT = _parameters(STRATEGY_GREEDY, min_match=6)
"""4 % shorter than level 3, for 4 µs a trade instead of 2: a match of 4 bytes costs what it saves."""
_LONG = _parameters(STRATEGY_LAZY2, min_match=5)
"""2 to 10 % shorter than level 7, for the same work; what is slower gains 2 % more at most."""


class Zstd:
    """Equal to itself only: a server makes one for each dictionary that it knows."""

    name = "zstd"

    def __init__(self, dictionary: Dictionary) -> None:
        """Raises ValueError for a dictionary that zstd does not take."""
        self.dictionary = dictionary
        self._compressors = _Compressors(_prepare(dictionary.data, _SHORT), _prepare(dictionary.data, _LONG))

    def frame(self, payload: bytes) -> bytes:
        mine = self._compressors
        compressor = mine.short if len(payload) < LONG_FROM_BYTES else mine.long
        return binary_frame(compressor.compress(payload))

    def is_slow(self, payload_bytes: int) -> bool:
        return payload_bytes >= THREAD_FROM_BYTES


class _Compressors(local):
    """A pair for each thread that makes frames: zstd runs without the interpreter's lock."""

    def __init__(self, short: ZstdCompressionDict, long: ZstdCompressionDict) -> None:
        self.short = ZstdCompressor(dict_data=short, compression_params=_SHORT)
        self.long = ZstdCompressor(dict_data=long, compression_params=_LONG)


def _prepare(data: bytes, parameters: ZstdCompressionParameters) -> ZstdCompressionDict:
    prepared = ZstdCompressionDict(data)
    try:
        prepared.precompute_compress(compression_params=parameters)
    except ZstdError as error:
        raise ValueError(f"zstd does not take it: {error}") from None
    return prepared
