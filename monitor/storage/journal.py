"""The journal: what is published in journaled channels is kept first, and sent then.

Decides what goes into which commit (all that gathered while the last one ran), and what happens
when a commit can't be made: nothing waits for a broken disk. It prevents the fill that was seen
by somebody and known to nobody after a crash, and the crash that a full disk would be.
"""

import logging
import sqlite3
import time
from collections import deque
from collections.abc import Awaitable, Callable, Iterable
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TypeVar

import trio

from monitor.broadcast.history import Position
from monitor.broadcast.hub import BadPublication, TooBusy
from monitor.broadcast.item import Publication
from monitor.broadcast.journaled import Journaled
from monitor.broadcast.receipt import LOST, Kept
from monitor.clock import wall_ms
from monitor.config import JournalSettings
from monitor.errors import ConfigError
from monitor.health.journal import JournalMeter, JournalState
from monitor.storage.calendar import DAY_MS, Calendar
from monitor.storage.home import RESTORED_ROWS, Home, Opened
from monitor.storage.journal_file import JournalFile, Record, Row
from monitor.storage.journal_reader import read_last
from monitor.storage.lock import JournalInUse
from monitor.turn import Turn

_log = logging.getLogger("lanecast.journal")

COMMIT_ROWS = 1_000
"""In one commit; they are sent before the next one begins."""
STALL_SECONDS = 5.0
"""A disk that takes longer for a commit has failed, as far as those who wait for a fill can tell.
Only time in which the process was awake counts: in a pause the disk's answer could not be taken."""
MARK_SECONDS, MARK_LOOKS = 1.0, 4
"""What waits is not held up longer than this by a disk that may not take the mark of its loss either.
Counted in looks: a pause of the process is no more than one of them."""
UPKEEP_SECONDS = 5.0
"""Between two looks at what is too old or too much, and at a journal that failed."""
DATE_MS = 3_600_000
"""How far the date in the file may be behind."""
WATCH_SECONDS = 1.0
READ_SECONDS = 5.0
"""For what a start can know of a journal that it can't open."""

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
        channels: Journaled,
        namespaces: str,
        *,
        tell_lost: Callable[[], None],
        recall: Callable[[Iterable[Row]], Awaitable[None]],
        wall_ms: Callable[[], int] = wall_ms,
    ) -> None:
        """Made, it does nothing yet.

        Args:
            namespaces: those that are journaled, as `config.journaled_namespaces` tells them.
            tell_lost: called once all is out that waited for a commit which could not be made.
            recall: called with what the file holds, if that could not be read before it was opened late.
        """
        self.path = path
        self._settings = settings
        self._meter = meter
        self._channels = channels
        self._tell_lost = tell_lost
        self._is_untold = False
        self._recall = recall
        self._is_unread = False
        self._wall_ms = wall_ms
        self._home = Home(path, settings, wall_ms, namespaces)
        self._file: JournalFile | None = None
        self._found: JournalFile | None = None
        """One that can be had again, until nothing waits any more."""
        self._calendar: Calendar | None = None
        self._waiting: deque[_Entry] = deque()
        self._filled = trio.Event()
        self._is_settling = False
        self._awake_ns = 0
        """How long the process was awake since a thread was last given work on the file."""
        self._patience = trio.CancelScope()
        self._turn = trio.StrictFIFOLock()
        """Who has it may use the file."""

    # Opening

    async def open(self) -> Opened | None:
        """Open the file, and set a corrupt one aside; None if it can't be had.

        Raises:
            JournalInUse.
        """
        try:
            opened = await self._open()
        except _FAILURES as error:
            self._fail(error)
            await self._note_loss()
            return None
        self._file = opened.file
        self._begin()
        return opened

    async def read(self) -> list[Row] | None:
        """What a file that can't be had holds: its last rows; None if `recall` may be told of them late."""
        try:
            with trio.fail_after(READ_SECONDS):
                read = partial(read_last, self.path, RESTORED_ROWS)
                return await trio.to_thread.run_sync(read, abandon_on_cancel=True)
        except (ConfigError, OSError, trio.TooSlowError) as error:
            reason = str(error) or f"the disk has not answered for {READ_SECONDS:g} s"
            _log.warning("nothing that went out before this start is known: %s", reason)
            self._is_unread = True
            return None

    async def forgo(self) -> None:
        """Nothing is journaled in this run: leave word of it for one that goes on with the file."""
        try:
            with trio.fail_after(MARK_SECONDS):
                await trio.to_thread.run_sync(self._home.forgo, abandon_on_cancel=True)
        except (OSError, trio.TooSlowError) as error:
            _log.warning(
                "nothing is journaled now, and no word of it can be left beside %s (%s):"
                " begin another journal before anything is again",
                self.path,
                error,
            )

    async def _open(self) -> Opened:
        opened = await trio.to_thread.run_sync(self._home.open, abandon_on_cancel=True)
        self._meter.aside = self._home.aside
        if self._calendar is None:
            known_ms = opened.file.date_ms
            self._calendar = Calendar(known_ms or self._wall_ms(), time.monotonic_ns())
        return opened

    @property
    def date_ms(self) -> int:
        """The date that the age of what is kept goes by."""
        wall_ms = self._wall_ms()
        return self._calendar.look(wall_ms, time.monotonic_ns()) if self._calendar else wall_ms

    def _begin(self) -> None:
        self._meter.enter(JournalState.DURABLE, "", self._wall_ms())

    async def _begin_again(self) -> None:
        """Keep from here on, in the epoch that is in force: nothing waits, so the channels stand still."""
        self._file, self._found = self._found, None
        standing = self._channels.standing()
        with trio.CancelScope(shield=True):
            await self._use(lambda file: file.move_on(standing))
        if self._file is not None:
            self._begin()
            _log.warning("the journal %s keeps again what is published", self.path)

    # Failing

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

    async def _lose(self, error: Exception) -> None:
        """Give the file up; nothing goes out unkept before the next start is left word of it."""
        self._home.doubt(error)
        await self._note_loss()
        self._file = None
        self._fail(error)
        self._channels.renew_epochs()
        self._is_untold = True
        self._filled.set()

    async def _note_loss(self) -> None:
        with trio.CancelScope(shield=True) as patience:
            async with trio.open_nursery() as nursery:
                nursery.start_soon(_end_patience, patience)
                with suppress(OSError):
                    await trio.to_thread.run_sync(self._home.note_loss, abandon_on_cancel=True)
                nursery.cancel_scope.cancel()

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
            settle(LOST)
            return
        entry = _Entry(self._record(channel, position, publication, key), settle)
        self._check_room(entry.size_bytes, publication.may_take(self._settings.queue_bytes))
        self._waiting.append(entry)
        self._meter.depth += 1
        self._meter.waiting_bytes += entry.size_bytes
        self._filled.set()

    def _check_room(self, size_bytes: int, limit: int) -> None:
        held = self._meter.waiting_bytes
        if size_bytes > limit:
            raise BadPublication(
                f"at most {limit} bytes wait for the journal (journal.queue_bytes), and {size_bytes} were"
                " published at once: publish less"
            )
        if held + size_bytes > limit:
            raise TooBusy(
                f"{held} bytes wait for the journal, of at most {limit} (journal.queue_bytes): publish again"
                " later"
            )

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
                async with trio.open_nursery() as nursery:
                    nursery.start_soon(self._watch)
                    await self._end()
                    nursery.cancel_scope.cancel()

    async def _end(self) -> None:
        await self._empty()
        await self._note_date()
        await self._use(JournalFile.finish)
        self._file = None
        await trio.to_thread.run_sync(self._home.leave)

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
        if self._found is not None:
            await self._begin_again()

    async def _commit(self, batch: list[_Entry]) -> list[Kept]:
        records = [entry.record for entry in batch]
        began_ns = time.monotonic_ns()
        kept = await self._use(lambda file: file.append(records))
        meter = self._meter
        if kept is None:
            meter.not_kept += len(batch)
            return [LOST] * len(batch)
        meter.commit.record(time.monotonic_ns() - began_ns)
        duplicates = sum(one.is_duplicate for one in kept)
        meter.duplicates += duplicates
        meter.kept += len(batch) - duplicates
        return kept

    async def _settle(self, batch: list[_Entry], kept: list[Kept]) -> None:
        """Let them go out in order; the others get their turn after each millisecond of it."""
        turn = Turn()
        for entry, one in zip(batch, kept, strict=True):
            self._meter.depth -= 1
            self._meter.waiting_bytes -= entry.size_bytes
            entry.settle(one)
            await turn.give_way()

    async def _use(self, work: Callable[[JournalFile], Result]) -> Result | None:
        """Have a thread work on the file; None if there is none, or it fails and is lost."""
        async with self._turn:
            if self._file is None:
                return None
            try:
                return await self._do(self._file, work)
            except _FAILURES as error:
                await self._lose(error)
                return None

    async def _do(self, file: JournalFile, work: Callable[[JournalFile], Result]) -> Result:
        self._awake_ns = 0
        with trio.CancelScope(shield=True) as self._patience:
            return await trio.to_thread.run_sync(file.use, work, abandon_on_cancel=True)
        file.abandon()
        raise TimeoutError(f"the disk has not answered for {STALL_SECONDS:g} s")

    # Watching over it

    async def _watch(self) -> None:
        """Give up work that takes too long; by the real time, as the thread lives in it."""
        looked_ns = time.monotonic_ns()
        while True:
            await trio.sleep(WATCH_SECONDS)
            now_ns = time.monotonic_ns()
            self._awake_ns += min(now_ns - looked_ns, int(WATCH_SECONDS * 1e9))
            looked_ns = now_ns
            if self._awake_ns > STALL_SECONDS * 1e9:
                self._patience.cancel()

    async def _keep_up(self) -> None:
        """Delete what is too old or too much, and come back to a journal that failed."""
        while True:
            if self._file is None and self._found is None:
                await self._open_again()
            await self._trim()
            await trio.sleep(UPKEEP_SECONDS)

    async def _open_again(self) -> None:
        try:
            opened = await self._open()
        except (*_FAILURES, JournalInUse) as error:
            self._fail(error)
            await self._note_loss()
            return
        self._found = opened.file
        self._filled.set()
        if self._is_unread:
            self._is_unread = False
            await self._recall(opened.rows)

    async def _trim(self) -> None:
        before_ms = self.date_ms - self._settings.days * DAY_MS
        is_too_much = True
        while is_too_much:
            is_too_much = bool(await self._use(lambda file: file.trim(before_ms, self._settings.bytes)))
        if size := await self._use(JournalFile.size):
            self._meter.rows, self._meter.bytes = size
        await self._note_date(DATE_MS)

    async def _note_date(self, behind_ms: int = 0) -> None:
        """Tell the file what date it is, if it is further behind."""
        date_ms = self.date_ms
        await self._use(lambda file: file.note_date(date_ms, behind_ms))


async def _end_patience(patience: trio.CancelScope) -> None:
    for _ in range(MARK_LOOKS):
        await trio.sleep(MARK_SECONDS / MARK_LOOKS)
    patience.cancel()


def _describe(error: BaseException) -> str:
    if isinstance(error, OSError) and error.strerror:
        return error.strerror.lower()
    return str(error)
