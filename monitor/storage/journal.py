"""The journal: what is published in journaled channels is kept first, and sent then.

Decides what goes into which commit (all that gathered while the last one ran), and what happens
when a commit can't be made: nothing waits for a broken disk. It prevents the fill that was seen
by somebody and known to nobody after a crash, and the crash that a full disk would be.
"""

import errno
import logging
import os
import sqlite3
import time
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import trio

from monitor.broadcast.history import Position
from monitor.broadcast.hub import TooBusy
from monitor.broadcast.item import Publication
from monitor.broadcast.receipt import NOT_KEPT, Kept
from monitor.broadcast.turns import SLICE_NS
from monitor.clock import wall_ms
from monitor.config import JournalSettings
from monitor.health.journal import JournalMeter, JournalState
from monitor.storage.journal_file import JournalFile, Record, Row
from monitor.storage.lock import JournalInUse, Lock

_log = logging.getLogger("lanecast.journal")

RESTORED_ROWS = 100_000
"""Of all channels together, read at the start: about half a second."""
COMMIT_ROWS = 1_000
"""In one commit; they are sent before the next one begins."""
STALL_SECONDS = 5.0
"""A disk that takes longer for a commit has failed, as far as those who wait for a fill can tell."""
UPKEEP_SECONDS = 5.0
"""Between two looks at what is too old or too much, and at a journal that failed."""
DAY_MS = 86_400_000

WATCH_SECONDS = 1.0
ROOM_BYTES = 1_048_576
"""Free on the disk before a journal that failed is tried again."""

Result = TypeVar("Result")

_FAILURES = (sqlite3.Error, OSError)


@dataclass(frozen=True, slots=True)
class _Entry:
    record: Record
    settle: Callable[[Kept], None]

    @property
    def size_bytes(self) -> int:
        return len(self.record.data) + len(self.record.info) + len(self.record.tags)


class Journal:
    """Open it, then run it; `append` may be called from then on."""

    def __init__(
        self,
        path: Path,
        settings: JournalSettings,
        meter: JournalMeter,
        *,
        begin_epoch: Callable[[], None],
        tell_lost: Callable[[], None],
        wall_ms: Callable[[], int] = wall_ms,
    ) -> None:
        """What it does when it can't keep anything any more.

        Args:
            begin_epoch: called before anything goes out unkept.
            tell_lost: called when all that waited is out.
        """
        self.path = path
        self._settings = settings
        self._meter = meter
        self._begin_epoch = begin_epoch
        self._tell_lost = tell_lost
        self._is_untold = False
        self._wall_ms = wall_ms
        self._lock = Lock(path.with_suffix(".lock"))
        self._file: JournalFile | None = None
        self._waiting: deque[_Entry] = deque()
        self._filled = trio.Event()
        self._is_settling = False
        self._began_ns: int | None = None
        """Since when a thread works on the file."""
        self._patience = trio.CancelScope()
        self._turn = trio.StrictFIFOLock()
        """Who has it may use the file."""

    # Opening

    async def open(self) -> tuple[list[Row], dict[str, Position]]:
        """Open the file, and set a corrupt one aside.

        Returns:
            The last rows, and where each channel stands; nothing if the file can't be had.

        Raises:
            JournalInUse.
        """
        try:
            found, rows, positions = await trio.to_thread.run_sync(self._open)
        except _FAILURES as error:
            self._fail(error)
            return [], {}
        self._begin(found)
        return rows, positions

    def _open(self) -> tuple[JournalFile, list[Row], dict[str, Position]]:
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

    def _reopen(self) -> JournalFile:
        found, _, _ = self._open()
        found.use(JournalFile.try_out)
        return found

    def _read(self) -> tuple[JournalFile, list[Row], dict[str, Position]]:
        found = JournalFile(self.path, self._settings.synchronous)
        try:
            return found, list(found.tail(RESTORED_ROWS)), found.positions()
        except BaseException:
            found.close()
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
        self._meter.aside = str(aside)
        _log.error(
            "journal %s is corrupt (%s): it is kept as it is in %s, a new one is begun",
            self.path,
            error,
            aside,
        )

    def _begin(self, found: JournalFile) -> None:
        self._file = found
        self._meter.enter(JournalState.DURABLE, "", self._wall_ms())

    def _fail(self, error: BaseException) -> None:
        """From here on nothing is kept, until the file can be opened again."""
        trouble = f"{self.path}: {_describe(error)}"
        if trouble != self._meter.trouble:
            _log.error(
                "the journal fails: %s; what is published goes out at once and is not kept;"
                " it is tried again every %g s",
                trouble,
                UPKEEP_SECONDS,
            )
        self._meter.enter(JournalState.NOT_DURABLE, trouble, self._wall_ms())

    def _lose(self, error: BaseException) -> None:
        self._file = None
        self._fail(error)
        self._begin_epoch()
        self._is_untold = True
        self._filled.set()

    # Keeping

    def append(
        self,
        channel: str,
        position: Position,
        publication: Publication,
        key: str,
        settle: Callable[[Kept], None],
    ) -> None:
        """As `broadcast.receipt.Journal` has it."""
        if self._file is None and not self._waiting and not self._is_settling:
            self._meter.not_kept += 1
            settle(NOT_KEPT)
            return
        entry = _Entry(self._record(channel, position, publication, key), settle)
        held = self._meter.waiting_bytes
        if held + entry.size_bytes > self._settings.queue_bytes:
            raise TooBusy(
                f"{held} bytes wait for the journal, of at most {self._settings.queue_bytes}"
                " (journal.queue_bytes): publish again later"
            )
        self._waiting.append(entry)
        self._meter.depth += 1
        self._meter.waiting_bytes += entry.size_bytes
        self._filled.set()

    def _record(self, channel: str, position: Position, publication: Publication, key: str) -> Record:
        return Record(
            channel,
            position,
            self._wall_ms(),
            publication.kind,
            key,
            publication.data,
            publication.info,
            publication.tags,
        )

    async def run(self, *, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        """Commit and settle until cancelled; what waits then is committed still."""
        try:
            async with trio.open_nursery() as nursery:
                nursery.start_soon(self._keep_up)
                nursery.start_soon(self._watch)
                task_status.started()
                while True:
                    await self._filled.wait()
                    await self._empty()
        finally:
            with trio.CancelScope(shield=True):
                await self._empty()
                await self._use(JournalFile.close)
            self._file = None
            self._lock.release()

    async def _empty(self) -> None:
        """Commit what waits, and what gathers meanwhile; a batch that was begun is brought to its end."""
        while self._waiting:
            batch = [self._waiting.popleft() for _ in range(min(COMMIT_ROWS, len(self._waiting)))]
            self._is_settling = True
            with trio.CancelScope(shield=True):
                await self._settle(batch, await self._commit(batch))
            self._is_settling = False
        self._filled = trio.Event()
        if self._is_untold:
            self._is_untold = False
            self._tell_lost()

    async def _commit(self, batch: list[_Entry]) -> list[Kept]:
        records = [entry.record for entry in batch]
        began_ns = time.monotonic_ns()
        kept = await self._use(lambda file: file.append(records))
        meter = self._meter
        if kept is None:
            meter.not_kept += len(batch)
            return [NOT_KEPT] * len(batch)
        meter.commit.record(time.monotonic_ns() - began_ns)
        duplicates = sum(one.is_duplicate for one in kept)
        meter.duplicates += duplicates
        meter.kept += len(batch) - duplicates
        return kept

    async def _settle(self, batch: list[_Entry], kept: list[Kept]) -> None:
        """Let them go out in order; the others get their turn after each millisecond of it."""
        turn_ends_ns = time.monotonic_ns() + SLICE_NS
        for entry, one in zip(batch, kept, strict=True):
            self._meter.depth -= 1
            self._meter.waiting_bytes -= entry.size_bytes
            entry.settle(one)
            if time.monotonic_ns() >= turn_ends_ns:
                await trio.lowlevel.checkpoint()
                turn_ends_ns = time.monotonic_ns() + SLICE_NS

    async def _use(self, work: Callable[[JournalFile], Result]) -> Result | None:
        """Have a thread work on the file; None if there is none, or it fails and is lost."""
        async with self._turn:
            file = self._file
            if file is None:
                return None
            self._began_ns = time.monotonic_ns()
            with trio.CancelScope(shield=True) as self._patience:
                try:
                    return await trio.to_thread.run_sync(file.use, work, abandon_on_cancel=True)
                except _FAILURES as error:
                    self._lose(error)
                    return None
                finally:
                    self._began_ns = None
            file.abandon()
            self._lose(TimeoutError(f"the disk has not answered for {STALL_SECONDS:g} s"))
            return None

    # Watching over it

    async def _watch(self) -> None:
        """Give up work that takes too long; by the real time, as the thread lives in it."""
        while True:
            await trio.sleep(WATCH_SECONDS)
            began_ns = self._began_ns
            if began_ns is not None and time.monotonic_ns() - began_ns > STALL_SECONDS * 1e9:
                self._patience.cancel()

    async def _keep_up(self) -> None:
        """Delete what is too old or too much, and come back to a journal that failed."""
        while True:
            if self._file is None:
                await self._open_again()
            await self._trim()
            await trio.sleep(UPKEEP_SECONDS)

    async def _open_again(self) -> None:
        try:
            found = await trio.to_thread.run_sync(self._reopen)
        except (*_FAILURES, JournalInUse) as error:
            self._fail(error)
            return
        self._begin(found)
        _log.warning("the journal %s keeps again what is published", self.path)

    async def _trim(self) -> None:
        before_ms = self._wall_ms() - self._settings.days * DAY_MS
        is_too_much = True
        while is_too_much:
            is_too_much = bool(await self._use(lambda file: file.trim(before_ms, self._settings.bytes)))
        if size := await self._use(JournalFile.size):
            self._meter.rows, self._meter.bytes = size


def _is_corrupt(error: sqlite3.Error) -> bool:
    return getattr(error, "sqlite_errorcode", 0) & 0xFF in (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB)


def _describe(error: BaseException) -> str:
    if isinstance(error, OSError) and error.strerror:
        return error.strerror.lower()
    return str(error)
