"""The journal's SQLite file: what a row is, and what one commit does.

The file decides where a publication stands: the same step that keeps it gives it its offset, so
no offset is ever given twice, whatever was lost with a process. A commit is one statement however
many it keeps: each statement gives up the interpreter lock and must win it back from the loop.
"""

import os
import sqlite3
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import orjson

from monitor.broadcast.history import Position
from monitor.broadcast.receipt import Kept

APPLICATION_ID = 0x4C414E45
"""`LANE`: tells a journal from any other SQLite file."""
VERSION = 1
TRIM_ROWS = 500
"""Deleted at a time, about 3 ms: a commit may have to wait for it."""
WAL_BYTES = 67_108_864
"""The log is cut to this once a long reader (an export) no longer holds it."""
BUSY_SECONDS = 1.0

_SCHEMA = f"""
BEGIN IMMEDIATE;
CREATE TABLE streams (
    id INTEGER PRIMARY KEY,
    channel TEXT NOT NULL,
    epoch TEXT NOT NULL,
    UNIQUE (channel, epoch)
);
CREATE TABLE publications (
    seq INTEGER PRIMARY KEY,
    stream INTEGER NOT NULL REFERENCES streams (id),
    offset INTEGER NOT NULL,
    time_ms INTEGER NOT NULL,
    kind TEXT NOT NULL,
    key TEXT,
    data TEXT NOT NULL,
    info TEXT NOT NULL,
    tags TEXT NOT NULL,
    UNIQUE (stream, offset)
);
CREATE UNIQUE INDEX keys ON publications (key) WHERE key IS NOT NULL;
PRAGMA application_id = {APPLICATION_ID};
PRAGMA user_version = {VERSION};
COMMIT;
"""
_FORGET_STREAMS = """
DELETE FROM streams WHERE NOT EXISTS (SELECT 1 FROM publications WHERE stream = streams.id)
"""
_COLUMNS = ("stream", "offset", "time_ms", "kind", "key", "data", "info", "tags")
_INSERT = f"INSERT INTO publications ({', '.join(_COLUMNS)}) "
_EXTRACTS = ", ".join(f"json_extract(value, '$[{number}]')" for number in range(len(_COLUMNS)))
_INSERT_ALL = f"{_INSERT} SELECT {_EXTRACTS} FROM json_each(?)"
_INSERT_NEW = (
    _INSERT + f"VALUES ({', '.join('?' * len(_COLUMNS))}) ON CONFLICT (key) WHERE key IS NOT NULL DO NOTHING"
)
_TAIL = """
SELECT channel, epoch, offset, time_ms, kind, data, info, tags
FROM publications JOIN streams ON streams.id = stream
WHERE seq > (SELECT max(seq) FROM publications) - ? ORDER BY seq
"""
_FIRST = """
SELECT offset, epoch FROM publications JOIN streams ON streams.id = stream WHERE key = ?
"""
_TOPS = """
SELECT id, channel, epoch, (SELECT max(offset) FROM publications WHERE stream = streams.id) FROM streams
"""
_OLD = f"""
SELECT coalesce(min(seq) FILTER (WHERE time_ms >= ?), max(seq) + 1)
FROM (SELECT seq, time_ms FROM publications ORDER BY seq LIMIT {TRIM_ROWS})
"""


Result = TypeVar("Result")


class NotAJournal(sqlite3.DatabaseError):
    """A SQLite file that another program, or a newer Lanecast, has made."""


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
        self._streams: Streams = {}
        self._is_abandoned = False
        try:
            self._prepare(synchronous)
        except BaseException:
            self._database.close()
            raise

    def _prepare(self, synchronous: str) -> None:
        """Write nothing in a file that is a journal already: if it is corrupt, it is to be kept as it is."""
        is_new = self._recognise()
        if is_new:
            self._database.execute("PRAGMA auto_vacuum = incremental")
        (mode,) = self._database.execute("PRAGMA journal_mode = wal").fetchone()
        if mode != "wal":
            raise sqlite3.OperationalError(f"the file system allows no write-ahead log (mode {mode})")
        self._database.execute(f"PRAGMA synchronous = {synchronous}")
        self._database.execute(f"PRAGMA journal_size_limit = {WAL_BYTES}")
        if is_new:
            self._database.executescript(_SCHEMA)
        self._database.execute(_FORGET_STREAMS)
        for stream, channel, epoch, top in self._database.execute(_TOPS):
            self._streams[channel, epoch] = _Stream(stream, top)

    def _recognise(self) -> bool:
        """Whether it is empty. What is not ours, or was made by a later version, is left alone."""
        application, version = self._pragma("application_id"), self._pragma("user_version")
        (tables,) = self._database.execute("SELECT count(*) FROM sqlite_schema").fetchone()
        is_empty: bool = tables == 0
        if not is_empty and (application != APPLICATION_ID or version > VERSION):
            raise NotAJournal(f"not a journal of this version (id {application}, version {version})")
        return is_empty

    def _pragma(self, name: str) -> int:
        value: int = self._database.execute(f"PRAGMA {name}").fetchone()[0]
        return value

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
        self._database.execute("BEGIN IMMEDIATE")
        try:
            kept = append(records, moved)
            self._database.execute("COMMIT")
        except BaseException:
            if self._database.in_transaction:
                self._database.execute("ROLLBACK")
            raise
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
        insert = "INSERT INTO streams (channel, epoch) VALUES (?, ?)"
        cursor = self._database.execute(insert, (record.channel, record.position.epoch))
        assert cursor.lastrowid is not None
        return _Stream(cursor.lastrowid, record.position.offset)

    # Reading

    def tail(self, rows: int) -> Iterator[Row]:
        """The last rows of all channels, in the order in which they were kept."""
        for channel, epoch, offset, time_ms, kind, *texts in self._database.execute(_TAIL, (rows,)):
            data, info, tags = (text.encode() for text in texts)
            yield Row(channel, Position(offset, epoch), time_ms, kind, data, info, tags)

    def positions(self) -> dict[str, Position]:
        """Where each channel stands: on the stream that was begun last."""
        in_order = sorted(self._streams.items(), key=lambda stream: stream[1].id)
        return {channel: Position(stream.top, epoch) for (channel, epoch), stream in in_order}

    def size(self) -> tuple[int, int]:
        """(rows, bytes): rows are only ever deleted from the oldest on."""
        first, last = self._database.execute("SELECT min(seq), max(seq) FROM publications").fetchone()
        pages = self._pragma("page_count") - self._pragma("freelist_count")
        return (last - first + 1 if last else 0), pages * self._pragma("page_size")

    # Forgetting

    def trim(self, before_ms: int, limit_bytes: int) -> bool:
        """Delete some of the oldest rows that are older than `before_ms`, or too many for `limit_bytes`.

        Only ever from the oldest on, so what is left has no holes, however the clock was set.

        Returns:
            Whether there may be more to delete.
        """
        is_full = self.size()[1] > limit_bytes
        # Nothing is as young as this: then as many go as may at a time.
        (bound,) = self._database.execute(_OLD, (2**62 if is_full else before_ms,)).fetchone()
        deleted = self._database.execute("DELETE FROM publications WHERE seq < ?", (bound,)).rowcount
        if deleted:
            # As a script, since each step of it frees one page, and `execute` takes one step.
            self._database.executescript("PRAGMA incremental_vacuum")
        return deleted == TRIM_ROWS
