"""Deltas against the decoder of centrifuge-python; centrifuge-js decodes them in tests/sdk."""

import random

import pytest
from centrifuge.fossil import apply_delta  # type: ignore[import-untyped]
from hypothesis import example, given
from hypothesis import strategies as st

from monitor.broadcast.fossil import LIMIT_BYTES, encode_delta

WORDS = st.sampled_from(["price", "0.001", "é", "日本語", "😀", '","', "\n", "aaaaaaaaaaaaaaaaaaaaaaaa"])
TEXTS = st.lists(WORDS, max_size=60).map("".join)


@st.composite
def edited(draw: st.DrawFn) -> tuple[str, str]:
    """A text, and another one made of pieces of it and of what is new."""
    source = draw(TEXTS)
    pieces = []
    for _ in range(draw(st.integers(0, 6))):
        start = draw(st.integers(0, len(source)))
        pieces += [source[start : draw(st.integers(start, len(source)))], draw(TEXTS)]
    return source, "".join(pieces)


@given(edited())
@example(("", ""))
@example(("é" * 20, "è" * 20))
@example(("x" * 40 + "é" + "y" * 40, "x" * 40 + "è" + "y" * 40))
def test_a_delta_makes_the_target_and_is_shorter_text(texts: tuple[str, str]) -> None:
    source, target = (text.encode() for text in texts)
    delta = encode_delta(source, target)
    if delta is None:
        return
    assert len(delta) < len(target)
    delta.decode()
    assert bytes(apply_delta(source, delta)) == target


def test_edits_far_apart_cost_only_themselves() -> None:
    source = " ".join(f"{number:04}" for number in range(400)).encode()
    target = source.replace(b"0003 ", b"3 ").replace(b" 0390", b" three hundred and ninety")
    delta = encode_delta(source, target)
    assert delta is not None
    assert len(delta) < 80
    assert bytes(apply_delta(source, delta)) == target


def test_what_moved_is_found() -> None:
    head, tail = b"the first half of the text, ", b"and the other one after it; "
    delta = encode_delta(head + tail, tail + head)
    assert delta is not None
    assert bytes(apply_delta(head + tail, delta)) == tail + head


@pytest.mark.parametrize(
    ("source", "target"),
    [
        (b"", b'{"a":1}'),
        (b'{"a":1}', b'{"b":2}'),
        (b"x" * LIMIT_BYTES, b"x" * (LIMIT_BYTES + 1)),
        (b"x" * (LIMIT_BYTES + 1), b"x" * LIMIT_BYTES),
    ],
    ids=["nothing before", "too short", "long target", "long source"],
)
def test_what_is_told_in_full_instead(source: bytes, target: bytes) -> None:
    assert encode_delta(source, target) is None


def test_a_text_with_little_of_the_other_in_it_is_given_up() -> None:
    one, other = (bytes(random.Random(seed).choices(b"0123456789abcdef", k=LIMIT_BYTES)) for seed in (1, 2))
    assert encode_delta(one, other[: LIMIT_BYTES // 2] + one[: LIMIT_BYTES // 2]) is None
