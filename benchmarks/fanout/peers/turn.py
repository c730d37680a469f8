"""What every peer is asked to do: so many messages of so many bytes, at a pace, one line each.

A turn comes as a line on standard input, and `done` answers it once all is sent. The text of each
message begins with `@` and the nanoseconds at which it was due.
"""

import random
import string
import sys
import time
from collections.abc import Iterator
from functools import cache
from itertools import cycle
from typing import NamedTuple

STAMP = "@%019d "
_REMEMBERED_BYTES = 1 << 15
"""By permessage-deflate, at most."""
_LETTERS = string.ascii_lowercase + string.digits


class Turn(NamedTuple):
    """Bytes of a message, how many of them, and how many a second."""

    size: int
    messages: int
    rate: float

    @classmethod
    def read(cls, line: str) -> "Turn":
        size, messages, rate = line.split()
        return cls(int(size), int(messages), float(rate))

    def due_ns(self) -> Iterator[int]:
        """When each message is due; one that can't be in time is due when it is asked for."""
        due = time.monotonic_ns()
        for _ in range(self.messages):
            due = max(due + int(1e9 / self.rate), time.monotonic_ns())
            yield due

    def texts(self) -> Iterator[tuple[float, str]]:
        """For each message how long to wait, and its text."""
        rests = cycle(fillers(self.size - len(STAMP % 0)))
        for due in self.due_ns():
            yield max(0.0, (due - time.monotonic_ns()) / 1e9), STAMP % due + next(rests)


@cache
def fillers(size: int) -> tuple[str, ...]:
    """Texts that deflate makes about half as long, as it does a trade's JSON; the same ones for everybody.

    Sent in turn they repeat after more than a compressor with a client's context remembers: it would find
    one that is sent again and again whole in the one before, as it never finds a market's.
    """
    source = random.Random(size)
    return tuple(_filler(size, source) for _ in range(_REMEMBERED_BYTES // size + 2))


def _filler(size: int, source: random.Random) -> str:
    words: list[str] = []
    while sum(map(len, words)) < size:
        words.append(f"field{len(words) % 9}:{''.join(source.choices(_LETTERS, k=6))},")
    return "".join(words)[:size]


def announce(port: int) -> None:
    """Tell where we listen."""
    print(port, flush=True)


def finish() -> None:
    """Tell that the turn is over."""
    print("done", flush=True)


def read_turn() -> Turn | None:
    """Wait for the next one; None at the end."""
    line = sys.stdin.readline()
    return Turn.read(line) if line else None
