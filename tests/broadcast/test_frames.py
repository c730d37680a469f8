import zlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from monitor.broadcast.frames import Deflate, Plain, text_frame


@pytest.mark.parametrize(
    ("length", "header"),
    [
        (0, b"\x81\x00"),
        (125, b"\x81\x7d"),
        (126, b"\x81\x7e\x00\x7e"),
        (65_535, b"\x81\x7e\xff\xff"),
        (65_536, b"\x81\x7f\x00\x00\x00\x00\x00\x01\x00\x00"),
    ],
)
def test_header_has_the_shortest_length_form(length: int, header: bytes) -> None:
    payload = b"x" * length
    assert text_frame(payload) == header + payload
    assert Plain().frame(payload) == header + payload


def _payload(frame: bytes) -> tuple[bool, bytes]:
    start = {126: 4, 127: 10}.get(frame[1], 2)
    return bool(frame[0] & 0x40), frame[start:]


@given(st.binary(max_size=3_000))
def test_every_deflated_frame_inflates_alone_to_its_payload(payload: bytes) -> None:
    is_compressed, body = _payload(Deflate(5, 0).frame(payload))
    if is_compressed:
        body = zlib.decompressobj(-15).decompress(body + b"\x00\x00\xff\xff")
    assert body == payload


def test_a_frame_is_compressed_only_where_that_makes_it_shorter() -> None:
    deflate = Deflate(5, 0)
    assert _payload(deflate.frame(b"{}")) == (False, b"{}")
    repetitive = b'{"price":"1.23"}' * 20
    is_compressed, body = _payload(deflate.frame(repetitive))
    assert is_compressed
    assert len(body) < len(repetitive)


def test_payloads_below_the_threshold_are_left_alone() -> None:
    repetitive = b"a" * 400
    assert _payload(Deflate(5, from_bytes=500).frame(repetitive)) == (False, repetitive)
    assert _payload(Deflate(5, from_bytes=400).frame(repetitive))[0]
