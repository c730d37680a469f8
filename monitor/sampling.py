"""The mark of a sampled publication: server and clients agree by it who answers, without a word more.

It travels as one of the publication's tags, in the frame that all share. A salt makes the choice
another one each time; a client picks itself by its own id, so no list of names is sent.
"""

from typing import NamedTuple, Self

TAG = "lanecast"
"""The tag's name; and `{"latency": salt}` is the answer, by the protocol's `send`."""
_DIGITS = 8


class Mark(NamedTuple):
    salt: str
    """Eight hexadecimal digits; names the sample in an answer."""
    limit: int
    """Clients whose rank is at most this are to answer."""

    def __str__(self) -> str:
        return f"{self.salt}{self.limit:08x}"

    @classmethod
    def read(cls, text: str) -> Self:
        """Raises ValueError for what is none."""
        salt, limit = text[:_DIGITS], text[_DIGITS:]
        int(salt, 16)
        return cls(salt, int(limit, 16))

    def picks(self, client_id: str) -> bool:
        return rank(client_id, self.salt) <= self.limit


def rank(client_id: str, salt: str) -> int:
    """Where a client stands in a sample's order; its id begins with eight random hexadecimal digits."""
    return int(client_id[:_DIGITS], 16) ^ int(salt, 16)
