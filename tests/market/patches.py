"""What a client does with a whole and its patches: the reading side of the state contract."""

from typing import Any

import orjson

from monitor.market.view import View


class Watcher:
    """Holds what a subscriber of a view would have on the screen."""

    def __init__(self, view: View | None) -> None:
        assert view is not None
        self.view = view
        self.state: dict[str, Any] = orjson.loads(view.whole())

    def update(self) -> dict[str, Any] | None:
        """Apply the next changes and return them."""
        return self.take(self.view.changes())

    def take(self, payload: bytes | None) -> dict[str, Any] | None:
        """Apply changes and return them."""
        if payload is None:
            return None
        patch: dict[str, Any] = orjson.loads(payload)
        for name, section in patch.items():
            if isinstance(section, dict):
                merged = {**self.state.get(name, {}), **section}
                self.state[name] = {key: value for key, value in merged.items() if value is not None}
            else:
                self.state[name] = section
        return patch


class MapWatcher(Watcher):
    """Holds what a subscriber of a map has on the screen."""

    def take(self, payload: bytes | None) -> dict[str, Any] | None:
        if payload is None:
            return None
        changes: dict[str, Any] = orjson.loads(payload)
        merged = self.state | changes
        self.state = {key: entry for key, entry in merged.items() if entry is not None}
        return changes
