"""What is kept of an account by key: its open orders, its bots.

Decides what a past that is told late may still add: nothing to what was told whole or let go
since, or an order that is closed would be open again. Until then the keys of these are remembered.
"""

from typing import Any

from monitor.recent import SeenIds

Fields = dict[str, Any]
_ENTRIES = 1_000
_SETTLED = 100_000


class Entries:
    """Fields by key; beyond 1,000 the oldest is let go."""

    def __init__(self, *, awaits_past: bool) -> None:
        self.version = 0
        self._fields: dict[str, Fields] = {}
        self._settled = SeenIds(_SETTLED if awaits_past else 0)
        """To which the past can add nothing."""

    def put(self, key: str, fields: Fields) -> None:
        """Set all that is known by a key."""
        self._settled.add(key)
        self._keep(key, fields)

    def merge(self, key: str, fields: Fields) -> None:
        """Set some of what is known by a key; the rest is as it was."""
        self._keep(key, self._fields.get(key, {}) | fields)

    def drop(self, key: str) -> None:
        self._settled.add(key)
        if self._fields.pop(key, None) is not None:
            self.version += 1

    def entries(self) -> dict[str, Fields]:
        return dict(self._fields)

    def recall(self, before: "Entries") -> None:
        """Be as if what `before` was told had been told first."""
        past = {key: fields for key, fields in before._fields.items() if key not in self._settled}
        since = {key: past.get(key, {}) | fields for key, fields in self._fields.items()}
        self._fields = past | since
        self._settled = SeenIds(0)
        self._trim()
        self.version += 1

    def _keep(self, key: str, fields: Fields) -> None:
        self._fields[key] = fields
        self._trim()
        self.version += 1

    def _trim(self) -> None:
        while len(self._fields) > _ENTRIES:
            oldest = next(iter(self._fields))
            del self._fields[oldest]
            self._settled.add(oldest)
