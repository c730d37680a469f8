"""A journal's copy, made beside a server that goes on writing it.

A server that starts from the copy lacks what was kept after it was made, and would give those
offsets to others: who came back with one of them would miss in silence what it stands for now. So
the copy says of itself that something may be lost, as a file does that lived through a power cut.
"""

import os
import sqlite3
from contextlib import closing
from pathlib import Path

from monitor.errors import ConfigError
from monitor.storage.journal_form import bring_up, recognise
from monitor.storage.journal_reader import OnWork, Verdict, check, reading

COPIED = "a copy"
"""In place of the machine's start: the id of none."""


def back_up(path: Path, copy: Path, on_work: OnWork = lambda: None) -> Verdict:
    """Write all that a journal holds at this moment into a new file, and look through that.

    Raises ConfigError: the journal can't be read, or the copy can't be made; nothing is left of it then.
    """
    with reading(path, on_work) as database:
        try:
            os.close(os.open(copy, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600))
        except OSError as error:
            raise ConfigError(f"{copy} can't be made: {error.strerror}; name a new file") from None
        try:
            _fill(copy, database)
        except sqlite3.Error as error:
            copy.unlink()
            raise ConfigError(f"{path} can't be copied to {copy}: {error}") from None
    return check(copy, on_work)


def _fill(copy: Path, source: sqlite3.Connection) -> None:
    with closing(sqlite3.connect(copy, isolation_level=None)) as target:
        source.backup(target)
        bring_up(target, recognise(target))
        target.execute("UPDATE journal SET boot = ?", (COPIED,))
        target.execute("PRAGMA journal_mode = delete")  # one file, without a log, while nobody writes it
