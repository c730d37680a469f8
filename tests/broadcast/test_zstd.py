from concurrent.futures import ThreadPoolExecutor

import pytest
import zstandard
from hypothesis import given
from hypothesis import strategies as st

from monitor.broadcast.frames import Plain
from monitor.broadcast.zstd import Zstd
from monitor.dictionary import Dictionary, shipped_dictionary

TICK = (
    b'{"push":{"channel":"trades:all","pub":{"data":{"market":"sim.BTCUSDT","id":"8123","price":"61837.63",'
    b'"size":"0.0421","side":"buy","time":1795223824195},"offset":1207}}}'
)


@pytest.fixture(scope="module")
def encoding() -> Zstd:
    return Zstd(shipped_dictionary())


def unpack(payload: bytes) -> bytes:
    """One zstd frame, read by nothing of ours."""
    dictionary = zstandard.ZstdCompressionDict(shipped_dictionary().data)
    return zstandard.ZstdDecompressor(dict_data=dictionary).decompress(payload, allow_extra_data=False)


def test_frame_is_one_binary_message_of_one_zstd_frame(encoding: Zstd) -> None:
    frame = encoding.frame(TICK)
    assert (frame[0], frame[1]) == (0x82, len(frame) - 2)
    assert unpack(frame[2:]) == TICK


def test_trade_takes_a_third_of_its_plain_frame(encoding: Zstd) -> None:
    assert 3 * len(encoding.frame(TICK)) < len(Plain().frame(TICK))


@pytest.mark.parametrize("size", [0, 1, 125, 126, 65_535, 65_536, 300_000])
def test_payload_of_any_size_comes_back(encoding: Zstd, size: int) -> None:
    payload = (b"0123456789abcdef{}" * (size // 18 + 1))[:size]
    frame = encoding.frame(payload)
    head = {126: 4, 127: 10}.get(frame[1], 2)
    assert unpack(frame[head:]) == payload


@given(st.lists(st.binary(max_size=300), max_size=8))
def test_frames_depend_on_nothing_but_their_payload(encoding: Zstd, payloads: list[bytes]) -> None:
    made = [encoding.frame(payload) for payload in payloads]
    fresh = Zstd(shipped_dictionary())
    assert [fresh.frame(payload) for payload in reversed(payloads)] == made[::-1]


def test_threads_make_the_same_frames(encoding: Zstd) -> None:
    payloads = [TICK * count for count in range(1, 200)]
    with ThreadPoolExecutor(4) as pool:
        made = list(pool.map(encoding.frame, payloads * 5))
    assert made == [encoding.frame(payload) for payload in payloads] * 5


def test_dictionary_that_zstd_does_not_take_is_refused() -> None:
    with pytest.raises(ValueError, match="zstd does not take it"):
        Zstd(Dictionary(shipped_dictionary().data[:8] + b"x" * 100))
