"""Which ids were seen already, within a bounded memory.

Venues repeat themselves after a reconnect; a fill shown twice is a position believed twice.
"""

from collections import OrderedDict
from collections.abc import Hashable


class SeenIds:
    """The last `limit` ids; the oldest are forgotten first."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._ids: OrderedDict[Hashable, None] = OrderedDict()
        # A plain dict walks over all it has deleted at its front to find the oldest.

    def __contains__(self, key: Hashable) -> bool:
        return key in self._ids

    def add(self, key: Hashable) -> bool:
        """Remember an id; False when it was known."""
        if key in self._ids:
            return False
        self._ids[key] = None
        if len(self._ids) > self._limit:
            self._ids.popitem(last=False)
        return True
