"""What a channel has shown its watchers, and what has changed for them since.

State is kept once and knows nothing of who looks at it; a view remembers what it last showed
and finds the difference when asked. So nobody watching costs nothing, and a market that is
listed only later comes alive in a view that was there before.
"""

import math
from collections.abc import Callable, Mapping
from operator import methodcaller
from typing import Any, Protocol

import orjson

Sections = dict[str, Any]
"""Section → value; a value that is a dict holds absolute values by key."""


class View(Protocol):
    """One channel's state for as long as somebody watches it."""

    @property
    def interval_seconds(self) -> float:
        """Least time between two changes; infinite where there are none to ask for."""

    def whole(self) -> bytes:
        """State for a new subscriber; what it holds will not be in the next changes."""

    def changes(self) -> bytes | None:
        """What changed since the last whole or changes; None when nothing did."""


class Shown(Protocol):
    """State that can be looked at."""

    def sections(self) -> Sections: ...


class Versioned(Protocol):
    """State whose `version` rises whenever what it shows may have changed."""

    @property
    def version(self) -> int: ...


class Source(Shown, Versioned, Protocol):
    """State that can be looked at again when it has changed."""


class StateView:
    """Changes are a patch: the differing keys of each section, None for those that went."""

    def __init__(
        self,
        find: Callable[[], Versioned],
        interval: Callable[[], float],
        show: Callable[[Any], Sections] = methodcaller("sections"),
    ) -> None:
        self._find = find
        self._interval = interval
        self._show = show
        self._shown: Sections = {}
        self._seen: tuple[Versioned, int] | None = None

    @property
    def interval_seconds(self) -> float:
        return self._interval()

    def whole(self) -> bytes:
        self._look()
        return orjson.dumps(self._shown)

    def changes(self) -> bytes | None:
        shown = self._shown
        if not self._look():
            return None
        patch = difference(shown, self._shown)
        return orjson.dumps(patch) if patch.keys() - {"time"} else None

    def _look(self) -> bool:
        source = self._find()
        if self._seen is not None and self._seen[0] is source and self._seen[1] == source.version:
            return False
        self._seen = source, source.version
        self._shown = self._show(source)
        return True


class MapView(StateView):
    """The whole is an object of entries by key; changes are those that differ, None for those that went."""

    def __init__(self, find: Callable[[], Versioned], interval: Callable[[], float]) -> None:
        super().__init__(find, interval, methodcaller("entries"))

    def changes(self) -> bytes | None:
        shown = self._shown
        changed = _changed_keys(shown, self._shown) if self._look() else None
        return orjson.dumps(changed) if changed else None


class LatestView:
    """Changes are the new whole."""

    def __init__(self, find: Callable[[], Source], interval: Callable[[], float]) -> None:
        self._find = find
        self._interval = interval
        self._seen: tuple[Source, int] | None = None

    @property
    def interval_seconds(self) -> float:
        return self._interval()

    def whole(self) -> bytes:
        source = self._find()
        self._seen = source, source.version
        return orjson.dumps(source.sections())

    def changes(self) -> bytes | None:
        source = self._find()
        if self._seen is not None and self._seen[0] is source and self._seen[1] == source.version:
            return None
        return self.whole()


class StreamView:
    """Every change was published when it happened; there is only a whole to start from."""

    interval_seconds = math.inf

    def __init__(self, find: Callable[[], Shown]) -> None:
        self._find = find

    def whole(self) -> bytes:
        return orjson.dumps(self._find().sections())

    def changes(self) -> None:
        return None


def difference(shown: Mapping[str, Any], now: Mapping[str, Any]) -> Sections:
    """The patch that makes `now` of `shown`; sections are compared by key, never deeper."""
    patch: Sections = {}
    for name, section in now.items():
        before = shown.get(name)
        if isinstance(section, dict) and isinstance(before, dict):
            if changed := _changed_keys(before, section):
                patch[name] = changed
        elif section != before:
            patch[name] = section
    return patch


def _changed_keys(before: dict[str, Any], now: dict[str, Any]) -> dict[str, Any]:
    changed = {key: value for key, value in now.items() if before.get(key) != value}
    changed.update((key, None) for key in before if key not in now)
    return changed
