"""The form of the journal's SQLite file: its tables, and what is done with another or an older one.

Decides which file may be written at all. What another program or a later version made is left as
it is: writing it would destroy what somebody else can still read.
"""

import sqlite3

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


class NotAJournal(sqlite3.DatabaseError):
    """A SQLite file that another program, or a newer Lanecast, has made."""


def recognise(database: sqlite3.Connection) -> int:
    """The version of its form, 0 for an empty file. Raises NotAJournal for what is not to be written."""
    application, version = pragma(database, "application_id"), pragma(database, "user_version")
    (tables,) = database.execute("SELECT count(*) FROM sqlite_schema").fetchone()
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
