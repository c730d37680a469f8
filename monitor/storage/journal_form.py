"""The form of the journal's SQLite file: its tables, its rows, and what is done with another or an older one.

Decides which file may be written at all. What another program or a later version made is left as
it is: writing it would destroy what somebody else can still read. SQLite tells of torn pages, and
takes what stands in whole ones as it is: that a row can have been written is looked at here.
"""

import sqlite3
from functools import partial
from pathlib import Path
from typing import Any

import msgspec

from monitor.broadcast.epochs import new_epoch

APPLICATION_ID = 0x4C414E45
"""`LANE`: tells a journal from any other SQLite file."""
VERSION = 4

_VERSION_1 = """
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
"""
_VERSION_2 = """
ALTER TABLE streams ADD COLUMN base INTEGER NOT NULL DEFAULT 0;
CREATE TABLE journal (epoch TEXT NOT NULL, date_ms INTEGER);
INSERT INTO journal VALUES ('{epoch}', (SELECT time_ms FROM publications ORDER BY seq DESC LIMIT 1));
"""
"""`base`: the offset that a stream began after, or the last one that was deleted of it.
`journal`: one row; the epoch of the channels that are in no stream, and the date that its age goes by."""
_VERSION_3 = """
ALTER TABLE journal ADD COLUMN namespaces TEXT NOT NULL DEFAULT '';
"""
"""`namespaces`: those that it was kept for last (`config.journaled_namespaces`); empty if nobody knows."""
_VERSION_4 = """
ALTER TABLE journal ADD COLUMN boot TEXT NOT NULL DEFAULT '';
"""
"""`boot`: in which the machine may have commits in its memory that are not on the disk; empty for none."""
_STEPS = (_VERSION_1, _VERSION_2, _VERSION_3, _VERSION_4)

_STREAMS = """
SELECT id, channel, epoch,
    max(base, coalesce((SELECT max(offset) FROM publications WHERE stream = streams.id), 0))
FROM streams
"""


class NotAJournal(sqlite3.DatabaseError):
    """A SQLite file that another program, or a newer Lanecast, has made."""


class Damaged(sqlite3.DatabaseError):
    """The file holds what was never written into it."""

    sqlite_errorcode = sqlite3.SQLITE_CORRUPT


class About(msgspec.Struct, array_like=True):
    """What the file says of itself."""

    epoch: str
    date_ms: int | None
    namespaces: str
    boot: str


class Stream(msgspec.Struct, array_like=True):
    """A channel under one of its epochs, and the offset where it stands."""

    id: int
    channel: str
    epoch: str
    top: int


class Stored(msgspec.Struct, array_like=True):
    """A publication as it stands in the file."""

    channel: str
    epoch: str
    offset: int
    time_ms: int
    kind: str
    key: str | None
    data: str
    info: str
    tags: str


read_text = partial(str, encoding="utf-8", errors="surrogateescape")
"""A text of the file as far as it is one; what is not is refused where it is read."""


def read_about(database: sqlite3.Connection) -> About:
    """Raises Damaged."""
    row = database.execute("SELECT epoch, date_ms, namespaces, boot FROM journal").fetchone()
    try:
        about = msgspec.convert(row, About)
        f"{about.epoch}{about.namespaces}{about.boot}".encode()
    except ValueError as error:
        raise Damaged(f"what it says of itself: {error}") from None
    return about


def read_streams(database: sqlite3.Connection) -> list[Stream]:
    """Raises Damaged."""
    try:
        streams = [msgspec.convert(row, Stream) for row in database.execute(_STREAMS)]
        "".join(f"{stream.channel}{stream.epoch}" for stream in streams).encode()
    except ValueError as error:
        raise Damaged(f"where its channels stand: {error}") from None
    return streams


def read_row(row: tuple[Any, ...]) -> Stored:
    """What a row of these columns says. Raises Damaged."""
    try:
        stored = msgspec.convert(row, Stored)
        f"{stored.channel}{stored.epoch}{stored.kind}{stored.key}".encode()
        for payload in (stored.data, stored.info, stored.tags):
            if payload:
                msgspec.json.decode(payload.encode(), type=msgspec.Raw)
    except (ValueError, RecursionError) as error:
        raise Damaged(f"{row[0]!a}, epoch {row[1]!a}, offset {row[2]!a}: {error}") from None
    return stored


def check_log(path: Path) -> None:
    """SQLite deletes the log of an empty file, and with it what was committed last. Raises Damaged."""
    log = path.with_name(f"{path.name}-wal")
    if is_empty(path) and not is_empty(log):
        raise Damaged("the file is empty, and its log is not")


def is_empty(path: Path) -> bool:
    """Whether SQLite takes it for none: a single byte is nothing to it."""
    return not path.exists() or path.stat().st_size <= 1


def recognise(database: sqlite3.Connection) -> int:
    """The version of its form, 0 for an empty file.

    Raises:
        NotAJournal: what is not to be written.
        Damaged: its tables have no names that can be read.
    """
    application, version = pragma(database, "application_id"), pragma(database, "user_version")
    try:
        (tables,) = database.execute("SELECT count(*) FROM sqlite_schema").fetchone()
    except UnicodeDecodeError as error:  # of SQLite's own complaint, which quotes the file
        raise Damaged(f"its schema can't be read: {error}") from None
    if tables == 0:
        return 0
    if application != APPLICATION_ID or version > VERSION:
        raise NotAJournal(f"not a journal of this version (id {application}, version {version})")
    return version


def bring_up(database: sqlite3.Connection, version: int) -> None:
    """Give a file of an older form, or an empty one, today's; in one step, or not at all."""
    if version == VERSION:
        return
    statements = "".join(_STEPS[version:]).format(epoch=new_epoch())
    database.executescript(
        f"BEGIN IMMEDIATE; {statements}"
        f"PRAGMA application_id = {APPLICATION_ID}; PRAGMA user_version = {VERSION}; COMMIT"
    )


def pragma(database: sqlite3.Connection, name: str) -> int:
    value: int = database.execute(f"PRAGMA {name}").fetchone()[0]
    return value
