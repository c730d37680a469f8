"""What a journal holds and whether it holds together, read beside a server that writes it.

Opens a file for reading only: to look at a journal must never change it, least of all a broken one.
An export of a damaged one tells what can be read of it, and never passes for the whole.
"""

import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

import orjson

from monitor.errors import ConfigError
from monitor.storage.journal_file import Row, read_tail
from monitor.storage.journal_form import (
    VERSION,
    Damaged,
    NotAJournal,
    Stored,
    check_log,
    pragma,
    read_about,
    read_row,
    read_streams,
    read_text,
    recognise,
)

OnWork = Callable[[], None]
"""Called now and then while a journal is read."""
INSTRUCTIONS = 100_000
"""Of SQLite between two calls, a few milliseconds."""

TROUBLES = 100
"""So many of a kind are told at most."""

_ROWS = """
SELECT channel, epoch, offset, time_ms, kind, substr(key, length(channel) + 2), data, info, tags
FROM publications NOT INDEXED LEFT JOIN streams ON streams.id = stream
"""
"""In the order of `seq`, and all of them: an index, or a stream, may be what is damaged."""
_SOME_ROWS = _ROWS + "WHERE (channel GLOB ? OR channel IS NULL) AND time_ms >= ? AND time_ms < ? ORDER BY seq"
_HOLES = """
SELECT channel, epoch, min(offset), max(offset), count(*)
FROM publications JOIN streams ON streams.id = stream
GROUP BY stream HAVING max(offset) - min(offset) + 1 != count(*)
"""
_REPEATED = """
SELECT key, count(*) FROM publications NOT INDEXED WHERE key IS NOT NULL GROUP BY key HAVING count(*) > 1
"""
_STRAYS = "SELECT count(*) FROM publications WHERE stream NOT IN (SELECT id FROM streams)"
_SUMMARY = """
SELECT (SELECT count(*) FROM publications), count(DISTINCT channel)
FROM streams WHERE id IN (SELECT stream FROM publications)
"""


@dataclass(frozen=True, slots=True)
class Verdict:
    """What a look at a whole journal found."""

    publications: int
    channels: int
    troubles: list[str]
    """Empty: it holds together."""


def check(path: Path, on_work: OnWork = lambda: None) -> Verdict:
    """Read all of a journal: its pages, its positions, its keys. Raises ConfigError if it can't be opened."""
    with reading(path, on_work) as database:
        publications, channels = 0, 0
        try:
            publications, channels = database.execute(_SUMMARY).fetchone()
            troubles = _find_troubles(database)
        except sqlite3.DatabaseError as error:
            troubles = [_printed(str(error))]
    return Verdict(publications, channels, troubles)


def _find_troubles(database: sqlite3.Connection) -> list[str]:
    kinds = _find_damage(database), _find_disorder(database), _find_unreadable(database)
    return [_printed(trouble) for kind in kinds for trouble in islice(kind, TROUBLES)]


def _printed(trouble: str) -> str:
    """What of it is no text becomes question marks."""
    return trouble.encode(errors="replace").decode()


def _find_damage(database: sqlite3.Connection) -> Iterator[str]:
    for (line,) in database.execute("PRAGMA integrity_check"):
        if line != "ok":
            yield line


def _find_disorder(database: sqlite3.Connection) -> Iterator[str]:
    for channel, epoch, first, last, count in database.execute(_HOLES):
        yield f"{channel}, epoch {epoch}: {count} publications at the offsets {first} to {last}"
    for key, count in database.execute(_REPEATED):
        channel, _, known_by = key.partition("\n")
        yield f"{channel}: {known_by} is in it {count} times"
    (strays,) = database.execute(_STRAYS).fetchone()
    if strays:
        yield f"{strays} publications are of no channel"


def _find_unreadable(database: sqlite3.Connection) -> Iterator[str]:
    if pragma(database, "user_version") == VERSION:
        for read in (read_about, read_streams):
            try:
                read(database)
            except Damaged as error:
                yield str(error)
    for row in database.execute(_ROWS):
        try:
            read_row(row)
        except Damaged as error:
            yield str(error)


def export(
    path: Path,
    *,
    channel: str = "*",
    since_ms: int = 0,
    until_ms: int = 2**62,
    on_work: OnWork = lambda: None,
) -> Iterator[bytes]:
    """Each publication as a line of JSON, in the order in which they were kept; `channel` is a glob.

    Raises ConfigError if the journal can't be read, or not all of it; what can be read was told then.
    """
    with reading(path, on_work) as database:
        try:
            for row in database.execute(_SOME_ROWS, (channel, since_ms, until_ms)):
                with suppress(Damaged):
                    yield _line(read_row(row))
            troubles = _find_troubles(database)
        except sqlite3.DatabaseError as error:
            raise ConfigError(f"{path} can't be read further: {error}; see lanecast journal check") from None
    if troubles:
        raise ConfigError(
            f"{path} is damaged, so this may not be all of it: {troubles[0]}; see lanecast journal check"
        )


def _line(stored: Stored) -> bytes:
    line: dict[str, Any] = {
        "channel": stored.channel,
        "epoch": stored.epoch,
        "offset": stored.offset,
        "time": stored.time_ms,
        "kind": stored.kind,
        "key": stored.key,
    }
    payloads = {"data": stored.data, "info": stored.info, "tags": stored.tags}
    return (
        orjson.dumps(line | {name: orjson.Fragment(text) for name, text in payloads.items() if text}) + b"\n"
    )


def read_last(path: Path, rows: int) -> list[Row]:
    """The last publications, in the order in which they were kept. Raises ConfigError."""
    with reading(path) as database:
        try:
            return list(read_tail(database, rows))
        except sqlite3.DatabaseError as error:
            raise ConfigError(f"{path} can't be read: {error}; see lanecast journal check") from None


@contextmanager
def reading(path: Path, on_work: OnWork = lambda: None) -> Iterator[sqlite3.Connection]:
    """Open a journal that nobody is to change. Raises ConfigError."""
    if not path.is_file():
        raise ConfigError(f"there is no journal at {path}; set --data-dir to the server's")
    try:
        database = _open(path)
    except NotAJournal:
        raise ConfigError(f"{path} is not a journal of this version of Lanecast's") from None
    except sqlite3.DatabaseError as error:
        raise ConfigError(f"{path} can't be read: {error}") from None
    with closing(database):
        database.set_progress_handler(on_work, INSTRUCTIONS)
        yield database


def _open(path: Path) -> sqlite3.Connection:
    """As it is, log and all; on a disk that takes nothing without the log, if that holds nothing."""
    check_log(path)
    try:
        return _connect(path, "mode=ro")
    except sqlite3.OperationalError as error:
        log = path.with_name(f"{path.name}-wal")
        is_stuck = error.sqlite_errorcode & 0xFF in (sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_IOERR)
        if not is_stuck or (log.exists() and log.stat().st_size):
            raise
    return _connect(path, "immutable=1")


def _connect(path: Path, mode: str) -> sqlite3.Connection:
    database = sqlite3.connect(f"{path.absolute().as_uri()}?{mode}", uri=True)
    database.text_factory = read_text
    try:
        if not recognise(database):
            raise NotAJournal("an empty file")
    except BaseException:
        database.close()
        raise
    return database
