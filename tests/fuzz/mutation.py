"""Inputs near enough to good ones to get past the first look: of bytes, and of what they stand for."""

import random
import re
from collections.abc import Iterator, Sequence
from pathlib import Path

from tests.fuzz.shapes import Shape

CORPUS = Path(__file__).parent / "corpus"
MUTATIONS = [1, 1, 1, 2, 3, 6]
"""Of an input: more are refused for the first of them."""
LENGTH_MAX = 4_096
ODD = [
    b"\x00",
    b"\xff",
    b"\x80",
    b"\x7f",
    b"\n",
    b"\r\n\r\n",
    b'"',
    b"{",
    b"}",
    b"[",
    b"]",
    b",",
    b":",
    b"null",
]
ODD += [b"true", b"-1", b"0", b"1e999", b"9" * 20, b"\xc3\x28", b"\xed\xa0\x80", b"\\u0000", b"[" * 200, b""]


def corpus(target: str) -> list[bytes]:
    return [path.read_bytes() for path in sorted((CORPUS / target).iterdir())]


class Mutator:
    """Makes an input of another one; two of three keep its shape.

    Half of them come from `seeds`, which are good, half from what was found, which leads elsewhere.
    """

    def __init__(self, seeds: list[bytes], shape: Shape, found: Sequence[bytes] = ()) -> None:
        self._seeds = seeds
        self._found = found or seeds
        self._shape = shape
        self._words = sorted({word for text in seeds for word in re.findall(rb"[\w.:$-]+|\W", text)})

    def mutate(self, data: bytes, chance: random.Random) -> bytes:
        """At most LENGTH_MAX bytes."""
        has_shape = bool(chance.randrange(3))
        for _ in range(chance.choice(MUTATIONS)):
            data = self._shape(data, chance) if has_shape else self._change_bytes(data, chance)
        return data[:LENGTH_MAX]

    def mutants(self, seed: int) -> Iterator[bytes]:
        """Endlessly many, the same for the same seed."""
        chance = random.Random(seed)
        while True:
            yield self.mutate(chance.choice(chance.choice([self._seeds, self._found])), chance)

    def _change_bytes(self, data: bytes, chance: random.Random) -> bytes:
        start = chance.randint(0, len(data))
        end = min(len(data), start + chance.choice([0, 1, 1, 2, 4, 8, 16, 64]))
        match chance.randrange(6):
            case 0:
                piece = b""
            case 1:
                piece = chance.choice(self._words)
            case 2:
                piece = chance.choice(ODD)
            case 3:
                piece = data[start:end] * chance.choice([2, 2, 3, 21])
            case 4:
                piece = chance.randbytes(end - start)
            case _:
                other = chance.choice(self._seeds)
                return data[:start] + other[chance.randint(0, len(other)) :]
        return data[:start] + piece + data[end:]
