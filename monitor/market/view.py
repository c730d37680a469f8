"""What a channel has shown its watchers, and what has changed for them since.

State is kept once and knows nothing of who looks at it; a view remembers what it last showed
and finds the difference when asked. So nobody watching costs nothing, and a market that is
listed only later comes alive in a view that was there before. Who comes between two changes is
shown what is, and the next changes hold what was news to him as well as what was not.
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
        """State as it is now, for a new subscriber; the first is what changes begin from."""

    def changes(self) -> bytes | None:
        """What changed since the last changes, right for who came meanwhile too; None when nothing did."""


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
        self._changed: Sections = {}
        """What of it is other than the last changes left it."""
        self._seen: tuple[Versioned, int] | None = None

    @property
    def interval_seconds(self) -> float:
        return self._interval()

    def whole(self) -> bytes:
        self._look()
        return orjson.dumps(self._shown)

    def changes(self) -> bytes | None:
        self._look()
        changed, self._changed = self._changed, {}
        return orjson.dumps(changed) if changed.keys() - {"time"} else None

    def _look(self) -> None:
        source = self._find()
        if self._seen is not None and self._seen[0] is source and self._seen[1] == source.version:
            return
        before, self._shown = self._shown, self._show(source)
        if self._seen is not None:
            self._note_change(before)
        self._seen = source, source.version

    def _note_change(self, before: Sections) -> None:
        for name, section in difference(before, self._shown).items():
            noted = self._changed.get(name)
            is_by_key = isinstance(section, dict) and isinstance(noted, dict)
            self._changed[name] = noted | section if is_by_key else section


class MapView(StateView):
    """The whole is an object of entries by key; changes are those that differ, None for those that went."""

    def __init__(self, find: Callable[[], Versioned], interval: Callable[[], float]) -> None:
        super().__init__(find, interval, methodcaller("entries"))

    def _note_change(self, before: Sections) -> None:
        self._changed |= _changed_keys(before, self._shown)


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
        self._seen = self._seen or (source, source.version)
        return orjson.dumps(source.sections())

    def changes(self) -> bytes | None:
        source = self._find()
        if self._seen is not None and self._seen[0] is source and self._seen[1] == source.version:
            return None
        self._seen = source, source.version
        return orjson.dumps(source.sections())


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
