"""Inputs near enough to good ones to get past the first look: what atheris does better, without it."""

import random
import re
from collections.abc import Iterator
from pathlib import Path

CORPUS = Path(__file__).parent / "corpus"
MUTATIONS_MAX = 6
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


def mutants(seeds: list[bytes], seed: int) -> Iterator[bytes]:
    """Endlessly many, the same for the same seed."""
    chance = random.Random(seed)
    words = sorted({word for text in seeds for word in re.findall(rb"[\w.:$-]+|\W", text)})
    while True:
        data = bytearray(chance.choice(seeds))
        for _ in range(chance.randint(1, MUTATIONS_MAX)):
            _mutate(data, chance, words, seeds)
        yield bytes(data[:LENGTH_MAX])


def _mutate(data: bytearray, chance: random.Random, words: list[bytes], seeds: list[bytes]) -> None:
    start = chance.randint(0, len(data))
    end = min(len(data), start + chance.choice([0, 1, 1, 2, 4, 8, 16, 64]))
    match chance.randrange(6):
        case 0:
            data[start:end] = b""
        case 1:
            data[start:end] = chance.choice(words)
        case 2:
            data[start:end] = chance.choice(ODD)
        case 3:
            data[start:start] = data[start:end] * chance.choice([1, 1, 2, 20])
        case 4:
            data[start:end] = chance.randbytes(end - start)
        case _:
            other = chance.choice(seeds)
            data[start:] = other[chance.randint(0, len(other)) :]
