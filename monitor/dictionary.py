"""The zstd dictionary that server and client share, and the names it goes by.

A dictionary is known by its hash, so whoever has one can tell whether it is the other side's;
the hash stands in the subprotocol, so nobody decodes with another one by mistake.
"""

import re
from dataclasses import dataclass, field
from functools import cache
from hashlib import sha256
from pathlib import Path

ID_DIGITS = 16
SUBPROTOCOL_PREFIX = "lanecast.zstd."
HINT_HEADER = "Lanecast-Dictionary"
"""In the answer to a client that offered a subprotocol of another dictionary: the server's id."""
PATH = "/dict/"
"""Below it a server answers with the dictionary of an id."""
DICTIONARY_BYTES = 1_048_576
"""Longer ones are refused on both sides; 32 KiB are as good as any."""

_ID = re.compile(rf"[0-9a-f]{{{ID_DIGITS}}}")
_SHIPPED = Path(__file__).parent / "_data" / "lanecast.zdict"


@dataclass(frozen=True, slots=True)
class Dictionary:
    data: bytes = field(repr=False)
    id: str = field(init=False)
    """The first 16 hexadecimal digits of its SHA-256."""

    def __post_init__(self) -> None:
        object.__setattr__(self, "id", sha256(self.data).hexdigest()[:ID_DIGITS])

    @property
    def subprotocol(self) -> str:
        return SUBPROTOCOL_PREFIX + self.id


def is_dictionary_id(text: str) -> bool:
    return _ID.fullmatch(text) is not None


@cache
def shipped_dictionary() -> Dictionary:
    """The one within the package: trained on the simulator's traffic."""
    return Dictionary(_SHIPPED.read_bytes())
