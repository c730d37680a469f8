"""Where a journal lives: its lock, its file, and the mark that something went out which it does not hold.

The mark is an empty file, since that can be made on a full disk too. It outlives the process that
made it: without it a start would go on in the epoch from before the loss, and tell a client that
was away throughout that it missed nothing. On a disk that takes nothing at all it can't be made.
"""

import errno
import logging
import os
import sqlite3
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from monitor.broadcast.epochs import new_epoch
from monitor.broadcast.journaled import Standing
from monitor.config import JournalSettings
from monitor.storage.journal_file import JournalFile, Row
from monitor.storage.lock import Lock

_log = logging.getLogger("lanecast.journal")

RESTORED_ROWS = 100_000
"""Of all channels together, read when it is opened: about half a second."""
ROOM_BYTES = 1_048_576
"""Free on the disk before it is opened."""


@dataclass(frozen=True, slots=True)
class Opened:
    """A journal that can be written, and what it holds."""

    file: JournalFile
    rows: list[Row]
    """The last ones."""
    standing: Standing


class Home:
    """Its methods wait for the disk: a thread calls them."""

    def __init__(self, path: Path, settings: JournalSettings, wall_ms: Callable[[], int]) -> None:
        self.path = path
        self.aside = ""
        """Where a corrupt file was put when a new one was begun."""
        self._settings = settings
        self._wall_ms = wall_ms
        self._lock = Lock(path.with_suffix(".lock"))
        self._mark = path.with_suffix(".unkept")

    def open(self) -> Opened:
        """Open the file for writing, and set a corrupt one aside.

        Raises:
            JournalInUse, sqlite3.Error, OSError.
        """
        self.path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._lock.take()
        free = os.statvfs(self.path.parent)
        if free.f_bavail * free.f_frsize < ROOM_BYTES:
            raise OSError(errno.ENOSPC, f"less than {ROOM_BYTES} bytes are free on its disk")
        try:
            return self._read()
        except sqlite3.DatabaseError as error:
            if not _is_corrupt(error):
                raise
            self._set_aside(error)
            return self._read()

    def _read(self) -> Opened:
        file = JournalFile(self.path, self._settings.synchronous)
        try:
            rows = list(file.tail(RESTORED_ROWS))
            file.try_out()
            if self._mark.exists():
                file.move_on(Standing(new_epoch(), {}))
                self._mark.unlink()
            return Opened(file, rows, file.standing())
        except BaseException:
            file.close()
            raise

    def _set_aside(self, error: sqlite3.Error) -> None:
        """Keep a corrupt file and its log as they are, under another name; a new one takes its place."""
        stamp = time.strftime("%Y%m%dT%H%M%SZ", time.gmtime(self._wall_ms() / 1_000))
        aside = self.path.with_name(f"{self.path.name}.corrupt-{stamp}")
        if aside.exists():
            raise error
        for suffix in ("-wal", "-shm", ""):
            with suppress(FileNotFoundError):
                self.path.with_name(self.path.name + suffix).rename(aside.with_name(aside.name + suffix))
        self.aside = str(aside)
        _log.error(
            "journal %s is corrupt (%s): it is kept as it is in %s, a new one is begun",
            self.path,
            error,
            aside,
        )

    def note_loss(self) -> None:
        """From here on something goes out that the file does not hold. Raises OSError."""
        self._mark.touch(mode=0o600)

    def leave(self) -> None:
        """Let another server have it."""
        self._lock.release()


def _is_corrupt(error: sqlite3.Error) -> bool:
    return getattr(error, "sqlite_errorcode", 0) & 0xFF in (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB)
