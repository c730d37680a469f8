"""What was heard of last, within a bounded memory: values by key, and which ids were seen already.

Venues repeat themselves after a reconnect; a fill shown twice is a position believed twice.
"""

from collections import OrderedDict
from collections.abc import Hashable
from typing import TypeVar

Key = TypeVar("Key")
Value = TypeVar("Value")


class Recent(OrderedDict[Key, Value]):
    """The last `limit` values by key; the one that was kept longest ago is forgotten first."""

    # A plain dict walks over all it has deleted at its front to find the oldest.

    def __init__(self, limit: int) -> None:
        super().__init__()
        self._limit = limit

    def keep(self, key: Key, value: Value) -> None:
        """Set what is known by a key, which is the youngest then."""
        self[key] = value
        self.move_to_end(key)
        if len(self) > self._limit:
            self.popitem(last=False)


class SeenIds:
    """The last `limit` ids; the oldest are forgotten first."""

    def __init__(self, limit: int) -> None:
        self._ids = Recent[Hashable, None](limit)

    def __contains__(self, key: Hashable) -> bool:
        return key in self._ids

    def add(self, key: Hashable) -> bool:
        """Remember an id; False when it was known."""
        if key in self._ids:
            return False
        self._ids.keep(key, None)
        return True

    def extend(self, later: "SeenIds") -> None:
        """Remember what another one has seen since."""
        for key in later._ids:
            self.add(key)
