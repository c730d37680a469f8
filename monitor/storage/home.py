"""Where a journal lives: its lock, its file, and the mark that something went out which it does not hold.

The mark is an empty file, since that can be made on a full disk too. It outlives the process that
made it: without it a start would go on in the epoch from before the loss, and tell a client that
was away throughout that it missed nothing. On a disk that takes nothing at all it can't be made.
It is there before anything goes out, and goes once the new epochs are on the disk.
"""

import errno
import logging
import os
import sqlite3
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future, wait
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from monitor.broadcast.epochs import new_epoch
from monitor.broadcast.journaled import Standing
from monitor.config import JournalSettings
from monitor.storage.journal_file import JournalFile, Row, look
from monitor.storage.lock import JournalInUse, Lock

_log = logging.getLogger("lanecast.journal")

RESTORED_ROWS = 100_000
"""Of all channels together, read and looked at when it is opened: 0.7 s of a processor."""
ROOM_BYTES = 1_048_576
"""Free on the disk before it is opened."""
OPEN_LOOKS, LOOK_SECONDS = 15, 1.0
"""A disk that takes longer to open it has failed for now; what it opens in the end is taken then.
Counted in looks, so that a pause of the process is not taken for the disk's."""
LEAVE_SECONDS = 1.0
BOOT = Path("/proc/sys/kernel/random/boot_id")


@dataclass(frozen=True, slots=True)
class Opened:
    """A journal that can be written, and what it holds."""

    file: JournalFile
    rows: list[Row]
    """The last ones."""
    standing: Standing


class Home:
    """Its methods wait for the disk: a thread calls them."""

    def __init__(
        self, path: Path, settings: JournalSettings, wall_ms: Callable[[], int], namespaces: str
    ) -> None:
        """`namespaces` are those that are journaled, as `config.journaled_namespaces` tells them."""
        self.path = path
        self.aside = ""
        """Where a corrupt file was put when a new one was begun."""
        self._settings = settings
        self._wall_ms = wall_ms
        self._namespaces = namespaces
        self._attempt: Future[Opened] | None = None
        """To open it; a disk may take its time."""
        self._is_behind = False
        """Something went out that the file does not hold."""
        self._damage: sqlite3.Error | None = None
        """What was found in the file while it was used."""
        self._leaving = threading.Lock()
        self._is_left = False
        """Nobody begins an attempt once it is."""
        self._lock = Lock(path.with_suffix(".lock"))
        self._mark = path.with_suffix(".unkept")

    def open(self) -> Opened:
        """Open the file for writing, and set a corrupt one aside.

        Raises:
            JournalInUse, sqlite3.Error, OSError.
        """
        with self._leaving:
            attempt = self._attempt = self._attempt or self._begin()
        if not any(wait([attempt], LOOK_SECONDS).done for _ in range(OPEN_LOOKS)):
            raise TimeoutError(f"the disk has not opened it for {OPEN_LOOKS * LOOK_SECONDS:g} s")
        self._attempt = None
        return attempt.result()

    def _begin(self) -> Future[Opened]:
        """In a thread that nobody has to wait for, not even the end of the process."""
        if self._is_left:
            raise OSError("the journal is not to be opened any more")
        attempt: Future[Opened] = Future()
        threading.Thread(target=_fulfil, args=(attempt, self._open), daemon=True).start()
        return attempt

    def _open(self) -> Opened:
        self.path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._lock.take()
        free = os.statvfs(self.path.parent)
        if free.f_bavail * free.f_frsize < ROOM_BYTES:
            raise OSError(errno.ENOSPC, f"less than {ROOM_BYTES} bytes are free on its disk")
        if self._damage is not None:
            self._set_aside(self._damage)
            self._damage = None
        try:
            return self._read()
        except sqlite3.Error as error:
            if not _is_corrupt(error):
                raise
            self._set_aside(error)
            return self._read()

    def _read(self) -> Opened:
        looked = look(self.path, RESTORED_ROWS)
        file = JournalFile(self.path, self._settings.synchronous)
        try:
            rows = list(file.tail(RESTORED_ROWS)) if looked is None else looked
            file.try_out()
            boot = _read_boot()
            if self._is_behind or self._mark.exists() or not file.was_kept(self._namespaces, boot):
                file.move_on(Standing(new_epoch(), {}))
            file.note_start(self._namespaces, boot)
            self._mark.unlink(missing_ok=True)
            self._is_behind = False
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

    def doubt(self, error: Exception) -> None:
        """The file failed in use: if it is corrupt it is set aside before it is opened again."""
        if isinstance(error, sqlite3.Error) and _is_corrupt(error):
            self._damage = error

    def note_loss(self) -> None:
        """From here on something goes out that the file does not hold. Raises OSError.

        Of another server's file that says nothing: the mark is for who holds the lock to make.
        """
        self._is_behind = True
        if self._lock.is_held:
            self._mark.touch(mode=0o600)
            _sync(self._mark.parent)

    def forgo(self) -> None:
        """Nothing is journaled for now; whoever goes on with the file is to know. Raises OSError."""
        if self.path.exists():
            with suppress(JournalInUse):
                self._lock.take()
                try:
                    self.note_loss()
                finally:
                    self._lock.release()

    def leave(self) -> None:
        """Let another server have it, as soon as the disk answers; that is not waited for long."""
        with self._leaving:
            self._is_left, attempt = True, self._attempt
        if attempt is None:
            self._lock.release()
        else:
            wait([attempt], LEAVE_SECONDS)
            attempt.add_done_callback(self._abandon)

    def _abandon(self, attempt: Future[Opened]) -> None:
        if attempt.exception() is None:
            attempt.result().file.close()
        self._lock.release()


def _fulfil(attempt: Future[Opened], work: Callable[[], Opened]) -> None:
    try:
        attempt.set_result(work())
    except BaseException as error:
        attempt.set_exception(error)


def _read_boot() -> str:
    """Which start of the machine this is; empty where the system does not say."""
    try:
        return BOOT.read_text().strip()
    except OSError:
        return ""


def _sync(directory: Path) -> None:
    """Have the disk know which files are in it."""
    descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _is_corrupt(error: sqlite3.Error) -> bool:
    return getattr(error, "sqlite_errorcode", 0) & 0xFF in (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB)
