"""The journal's SQLite file: what a row is, and what one commit does.

The file decides where a publication stands: the same step that keeps it gives it its offset, so
no offset is ever given twice, whatever was lost with a process. A commit is one statement however
many it keeps: each statement gives up the interpreter lock and must win it back from the loop.
"""

import os
import sqlite3
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import orjson

from monitor.broadcast.epochs import new_epoch
from monitor.broadcast.history import Position
from monitor.broadcast.journaled import Standing
from monitor.broadcast.receipt import Kept
from monitor.storage.journal_form import (
    VERSION,
    Damaged,
    bring_up,
    check_log,
    is_empty,
    pragma,
    read_about,
    read_row,
    read_streams,
    read_text,
    recognise,
)

TRIM_ROWS = 500
"""Deleted at a time, about 3 ms: a commit may have to wait for it."""
TRIM_SHARE = 10
"""Of what is too much no more than one row in so many goes at a time: if they are long that may do."""
WAL_BYTES = 67_108_864
"""The log is cut to this once a long reader (an export) no longer holds it."""
BUSY_SECONDS = 1.0
IDLE_STREAMS = 10_000
"""Channels of which nothing is left that are still known by where they stood; the oldest are forgotten."""

_FORGET_FORMER = """
DELETE FROM streams WHERE id NOT IN (SELECT max(id) FROM streams GROUP BY channel)
AND NOT EXISTS (SELECT 1 FROM publications WHERE stream = streams.id)
"""
_FORGET_IDLE = """
DELETE FROM streams WHERE id IN (
    SELECT id FROM streams WHERE NOT EXISTS (SELECT 1 FROM publications WHERE stream = streams.id)
    ORDER BY id DESC LIMIT -1 OFFSET ?
)
"""
_COLUMNS = ("stream", "offset", "time_ms", "kind", "key", "data", "info", "tags")
_INSERT = f"INSERT INTO publications ({', '.join(_COLUMNS)}) "
_EXTRACTS = ", ".join(f"json_extract(value, '$[{number}]')" for number in range(len(_COLUMNS)))
_INSERT_ALL = f"{_INSERT} SELECT {_EXTRACTS} FROM json_each(?)"
_INSERT_NEW = (
    _INSERT + f"VALUES ({', '.join('?' * len(_COLUMNS))}) ON CONFLICT (key) WHERE key IS NOT NULL DO NOTHING"
)
_TAIL = """
SELECT channel, epoch, offset, time_ms, kind, key, data, info, tags
FROM publications NOT INDEXED LEFT JOIN streams ON streams.id = stream
WHERE seq > (SELECT max(seq) FROM publications) - ? ORDER BY seq
"""
_FIRST = """
SELECT offset, epoch FROM publications JOIN streams ON streams.id = stream WHERE key = ?
"""
_MOVE_ON = """
INSERT INTO streams (channel, epoch, base) VALUES (?, ?, ?)
ON CONFLICT (channel, epoch) DO UPDATE SET base = max(base, excluded.base)
"""
_RAISE_BASES = """
UPDATE streams SET base = gone.top
FROM (SELECT stream, max(offset) AS top FROM publications WHERE seq < ? GROUP BY stream) AS gone
WHERE id = gone.stream AND base < gone.top
"""
_OLD = """
SELECT coalesce(min(seq) FILTER (WHERE time_ms >= ?), max(seq) + 1)
FROM (SELECT seq, time_ms FROM publications ORDER BY seq LIMIT ?)
"""


Result = TypeVar("Result")


@dataclass(frozen=True, slots=True)
class Record:
    """A publication on its way into the file."""

    channel: str
    position: Position
    """Where the channel stood last."""
    time_ms: int
    kind: str
    key: str
    data: bytes
    info: bytes
    tags: bytes

    @property
    def unique_key(self) -> str | None:
        return f"{self.channel}\n{self.key}" if self.key else None


@dataclass(frozen=True, slots=True)
class Row:
    """A publication as the file has it."""

    channel: str
    position: Position
    time_ms: int
    kind: str
    data: bytes
    info: bytes
    tags: bytes


def read_tail(database: sqlite3.Connection, rows: int) -> Iterator[Row]:
    """The last rows of all channels, in the order in which they were kept. Raises Damaged."""
    last: dict[tuple[str, str], int] = {}
    for row in map(read_row, database.execute(_TAIL, (rows,))):
        stream = row.channel, row.epoch
        if row.offset != last.setdefault(stream, row.offset - 1) + 1:
            raise Damaged(f"{row.channel}, epoch {row.epoch}: offset {row.offset} after {last[stream]}")
        last[stream] = row.offset
        data, info, tags = row.data.encode(), row.info.encode(), row.tags.encode()
        yield Row(row.channel, Position(row.offset, row.epoch), row.time_ms, row.kind, data, info, tags)


def look(path: Path, rows: int) -> list[Row] | None:
    """The last rows, as `read_tail`, before the file is opened for writing; None if only that can read them.

    Who closes a file that he may write puts its log into it, and a damaged one is to be kept as it is.
    Raises sqlite3.Error.
    """
    check_log(path)
    if is_empty(path):
        return None
    uri = f"{path.absolute().as_uri()}?mode=ro"
    with (
        suppress(sqlite3.OperationalError),
        closing(sqlite3.connect(uri, timeout=BUSY_SECONDS, uri=True)) as database,
    ):
        database.text_factory = read_text
        if recognise(database) == VERSION:
            read_about(database)
            read_streams(database)
            return list(read_tail(database, rows))
    return None


@dataclass(frozen=True, slots=True)
class _Stream:
    id: int
    top: int


Streams = dict[tuple[str, str], _Stream]
"""By channel and epoch."""


class JournalFile:
    """One open file; one thread at a time may use it. All methods raise sqlite3.Error."""

    def __init__(self, path: Path, synchronous: str) -> None:
        # SQLite gives its log the file's mode, so the file must have it from the start.
        os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600))
        self._database = sqlite3.connect(
            path, timeout=BUSY_SECONDS, isolation_level=None, check_same_thread=False
        )
        self._database.text_factory = read_text
        self._synchronous = synchronous
        self._streams: Streams = {}
        self._is_abandoned = False
        try:
            self._prepare()
        except BaseException:
            self._database.close()
            raise

    def _prepare(self) -> None:
        """Write nothing in a file that is a journal already: if it is corrupt, it is to be kept as it is."""
        version = recognise(self._database)
        if not version:
            self._database.execute("PRAGMA auto_vacuum = incremental")
        (mode,) = self._database.execute("PRAGMA journal_mode = wal").fetchone()
        if mode != "wal":
            raise sqlite3.OperationalError(f"the file system allows no write-ahead log (mode {mode})")
        self._database.execute(f"PRAGMA synchronous = {self._synchronous}")
        self._database.execute(f"PRAGMA journal_size_limit = {WAL_BYTES}")
        bring_up(self._database, version)
        self._forget()
        self._find_streams()

    def _forget(self) -> None:
        """Forget streams that nobody can come back to; a channel that is forgotten begins another epoch."""
        with self._transaction():
            self._database.execute(_FORGET_FORMER)
            if self._database.execute(_FORGET_IDLE, (IDLE_STREAMS,)).rowcount:
                self._database.execute("UPDATE journal SET epoch = ?", (new_epoch(),))

    def _find_streams(self) -> None:
        found = read_streams(self._database)
        self._streams = {(stream.channel, stream.epoch): _Stream(stream.id, stream.top) for stream in found}

    @contextmanager
    def _transaction(self) -> Iterator[None]:
        self._database.execute("BEGIN IMMEDIATE")
        try:
            yield
            self._database.execute("COMMIT")
        except BaseException:
            if self._database.in_transaction:
                self._database.execute("ROLLBACK")
            raise

    @contextmanager
    def _synced(self) -> Iterator[None]:
        """What is committed within is on the disk after it, whatever the settings say."""
        self._database.execute("PRAGMA synchronous = full")
        try:
            yield
        finally:
            self._database.execute(f"PRAGMA synchronous = {self._synchronous}")

    def close(self) -> None:
        self._database.close()

    def use(self, work: Callable[["JournalFile"], Result]) -> Result:
        """Do some work on it in a thread; if that fails, or nobody waits for it any more, close it."""
        try:
            return work(self)
        except BaseException:
            self._is_abandoned = True
            raise
        finally:
            if self._is_abandoned:
                with suppress(sqlite3.Error):
                    self.close()

    def abandon(self) -> None:
        """Let the thread that works on it close it in the end."""
        self._is_abandoned = True

    def try_out(self) -> None:
        """Write a page, and say if that can't be done."""
        self._database.executescript(f"BEGIN IMMEDIATE; PRAGMA user_version = {VERSION}; COMMIT")

    # Keeping

    def append(self, records: Sequence[Record]) -> list[Kept]:
        """Keep them in one commit; returns what became of each."""
        try:
            return self._commit(self._append_all, records)
        except sqlite3.IntegrityError:
            return self._commit(self._append_new, records)

    def _commit(
        self, append: Callable[[Sequence[Record], Streams], list[Kept]], records: Sequence[Record]
    ) -> list[Kept]:
        moved: Streams = {}
        with self._transaction():
            kept = append(records, moved)
        self._streams.update(moved)
        return kept

    def _append_all(self, records: Sequence[Record], moved: Streams) -> list[Kept]:
        rows = [self._place(record, moved) for record in records]
        self._database.execute(_INSERT_ALL, (orjson.dumps(rows).decode(),))
        return [
            Kept(Position(row[1], record.position.epoch)) for row, record in zip(rows, records, strict=True)
        ]

    def _append_new(self, records: Sequence[Record], moved: Streams) -> list[Kept]:
        """One by one, as one of them is known already."""
        return [self._append_one(record, moved) for record in records]

    def _append_one(self, record: Record, moved: Streams) -> Kept:
        stream = record.channel, record.position.epoch
        before = moved.get(stream)
        row = self._place(record, moved)
        if self._database.execute(_INSERT_NEW, row).rowcount:
            return Kept(Position(row[1], record.position.epoch))
        moved[stream] = before or _Stream(row[0], row[1] - 1)
        offset, epoch = self._database.execute(_FIRST, (record.unique_key,)).fetchone()
        return Kept(Position(offset, epoch), is_duplicate=True)

    def _place(self, record: Record, moved: Streams) -> tuple[Any, ...]:
        """The record's row, at the next offset of its stream."""
        key = record.channel, record.position.epoch
        stream = moved.get(key) or self._streams.get(key) or self._begin(record)
        moved[key] = stream = _Stream(stream.id, stream.top + 1)
        texts = record.data.decode(), record.info.decode(), record.tags.decode()
        return stream.id, stream.top, record.time_ms, record.kind, record.unique_key, *texts

    def _begin(self, record: Record) -> _Stream:
        insert = "INSERT INTO streams (channel, epoch, base) VALUES (?, ?, ?)"
        position = record.position
        cursor = self._database.execute(insert, (record.channel, position.epoch, position.offset))
        assert cursor.lastrowid is not None
        return _Stream(cursor.lastrowid, record.position.offset)

    # Reading

    def tail(self, rows: int) -> Iterator[Row]:
        """As `read_tail`."""
        return read_tail(self._database, rows)

    def standing(self) -> Standing:
        """Where each channel stands: on the stream that was begun last."""
        in_order = sorted(self._streams.items(), key=lambda stream: stream[1].id)
        positions = {channel: Position(stream.top, epoch) for (channel, epoch), stream in in_order}
        return Standing(read_about(self._database).epoch, positions)

    @property
    def date_ms(self) -> int | None:
        """What date it was told last; None if it never was."""
        return read_about(self._database).date_ms

    def was_kept(self, namespaces: str, boot: str) -> bool:
        """Whether it holds all that these had until now: nothing went past it, or was lost with the power."""
        about = read_about(self._database)
        return about.namespaces == namespaces and about.boot in ("", boot)

    def size(self) -> tuple[int, int]:
        """(rows, bytes): rows are only ever deleted from the oldest on."""
        first, last = self._database.execute("SELECT min(seq), max(seq) FROM publications").fetchone()
        pages = pragma(self._database, "page_count") - pragma(self._database, "freelist_count")
        return (last - first + 1 if last else 0), pages * pragma(self._database, "page_size")

    # Going on

    def move_on(self, standing: Standing) -> None:
        """Have the channels go on from there; others that it knows, where they stand but in that epoch.

        So no position from before what it did not keep is taken for one from after it, nor is one
        after a power cut.
        """
        moved = {channel: (standing.epoch, top.offset) for channel, top in self.standing().positions.items()}
        moved |= {channel: (top.epoch, top.offset) for channel, top in standing.positions.items()}
        with self._synced(), self._transaction():
            self._database.executemany(_MOVE_ON, ((channel, *place) for channel, place in moved.items()))
            self._database.execute("UPDATE journal SET epoch = ?", (standing.epoch,))
        self._find_streams()

    def note_start(self, namespaces: str, boot: str) -> None:
        """Remember what it is kept for from here on, and in which start of the machine if that matters."""
        unsynced_in = "" if self._synchronous == "full" else boot
        with self._synced():
            self._database.execute("UPDATE journal SET namespaces = ?, boot = ?", (namespaces, unsynced_in))

    def finish(self) -> None:
        """Close it; all that it was given is on the disk then."""
        self._database.execute("UPDATE journal SET boot = ''")
        self.close()

    def note_date(self, date_ms: int, behind_ms: int) -> None:
        """Remember what date it is, unless what it was told last is less than so far from it."""
        if self.date_ms is None or abs(date_ms - self.date_ms) >= behind_ms:
            self._database.execute("UPDATE journal SET date_ms = ?", (date_ms,))

    # Forgetting

    def trim(self, before_ms: int, limit_bytes: int) -> bool:
        """Delete some of the oldest rows that are older than `before_ms`, or too many for `limit_bytes`.

        Only ever from the oldest on, so what is left has no holes, however the clock was set.

        Returns:
            Whether there may be more to delete.
        """
        rows, size_bytes = self.size()
        count = TRIM_ROWS
        if size_bytes > limit_bytes:
            before_ms = 2**62  # nothing is as young as this
            count = min(TRIM_ROWS, rows // TRIM_SHARE + 1)
        (bound,) = self._database.execute(_OLD, (before_ms, count)).fetchone()
        with self._transaction():
            self._database.execute(_RAISE_BASES, (bound,))
            deleted = self._database.execute("DELETE FROM publications WHERE seq < ?", (bound,)).rowcount
        if deleted:
            # As a script, since each step of it frees one page, and `execute` takes one step.
            self._database.executescript("PRAGMA incremental_vacuum")
        return deleted == count
