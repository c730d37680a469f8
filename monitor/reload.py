"""What a running server reads again: files that changed, and all of them when it is told to.

A file that went bad changes nothing: the server goes on with what it had, and says so in the log and
as an alert until the file is mended.
"""

import logging
from collections.abc import Sequence
from pathlib import Path
from typing import Protocol

import trio

from monitor.control import Control
from monitor.errors import ConfigError

LOOK_SECONDS = 2.0
"""Between two looks at the files."""

_log = logging.getLogger("lanecast")

Stamps = list[tuple[int, int, int] | None]


class Reloadable(Protocol):
    """Something that was read from files."""

    @property
    def name(self) -> str: ...

    @property
    def files(self) -> Sequence[Path]: ...

    def load(self) -> None:
        """Take what the files hold now. Raises ConfigError, and keeps what it had."""
        ...


class Reloads:
    """Watches over all that is read from files."""

    def __init__(self, troubles: dict[str, str], things: Sequence[Reloadable]) -> None:
        """`troubles` is told what could not be read, by name, for as long as that is so."""
        self._troubles = troubles
        self._stamps = [(thing, _stamps(thing.files)) for thing in things]

    async def run(self, control: Control) -> None:
        """Look at the files, and read them all when that is wanted; until cancelled."""
        while True:
            with trio.move_on_after(LOOK_SECONDS) as pause:
                await control.reload_wanted()
            if pause.cancelled_caught:
                self._look()
            else:
                self.load_all()

    def load_all(self) -> None:
        """Read everything again, changed or not."""
        self._stamps = [(thing, self._load(thing)) for thing, _ in self._stamps]

    def _look(self) -> None:
        self._stamps = [
            (thing, before if _stamps(thing.files) == before else self._load(thing))
            for thing, before in self._stamps
        ]

    def _load(self, thing: Reloadable) -> Stamps:
        """Read it again; returns how its files looked before, so that a change meanwhile is seen."""
        stamps = _stamps(thing.files)
        try:
            thing.load()
        except ConfigError as error:
            self._troubles[thing.name] = f"{error}; going on with the {thing.name} from before"
            _log.error("%s", self._troubles[thing.name])
        else:
            self._troubles.pop(thing.name, None)
            _log.info("%s: read again", thing.name)
        return stamps


def _stamps(files: Sequence[Path]) -> Stamps:
    """Change when a file does; None for one that is not there."""
    return [_stamp(path) for path in files]


def _stamp(path: Path) -> tuple[int, int, int] | None:
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_mtime_ns, found.st_size, found.st_ino
