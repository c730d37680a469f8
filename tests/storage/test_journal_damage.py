"""A journal that holds what was never written: found, kept as it is, and another one begun."""

import contextlib
import os
import shutil
import sqlite3
from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest

from monitor.errors import ConfigError
from monitor.storage.journal_reader import check
from tests.storage.journal import (
    damage,
    finding,
    garble_schema,
    is_durable,
    kept,
    lose_a_cell,
    opened,
    record,
    running,
)

pytestmark = [pytest.mark.trio, pytest.mark.usefixtures("attentive")]

CHANNEL = "orders:ann"
BIG = b'"%s"' % (b"x" * 100_000)
DEEP = "[" * 10_000 + "]" * 10_000


def set_aside(directory: Path) -> Path:
    (aside,) = directory.glob("journal.db.corrupt-*Z")
    return aside


@pytest.mark.parametrize(
    "content", [b"no database at all", b"\0" * 4_096, b"SQLite format 3\0" + b"\xff" * 5_000]
)
async def test_a_corrupt_file_is_kept_as_it_is_and_a_new_one_is_begun(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "journal.db").write_bytes(content)
    async with running(tmp_path) as each:
        assert (await each.publish(b"1")).offset == 1
        assert is_durable(each.engine.health.journal)
        aside = set_aside(tmp_path)
        assert aside.read_bytes() == content
        assert str(aside) in finding(each).message
    async with running(tmp_path) as each:
        assert (await each.publish(b"2")).offset == 2


async def test_a_file_whose_pages_are_torn_is_set_aside_when_that_is_found(tmp_path: Path) -> None:
    kept(tmp_path, [record(number, data=BIG) for number in range(20)])
    path = tmp_path / "journal.db"
    whole = path.read_bytes()
    torn = whole[:8_192] + os.urandom(len(whole) - 16_384) + whole[-8_192:]
    path.write_bytes(torn)
    async with running(tmp_path) as each:
        await each.until(lambda meter: is_durable(meter) and bool(meter.aside))
        assert set_aside(tmp_path).read_bytes() == torn
        assert await each.publish(b"1")


@pytest.mark.parametrize(
    "spoil",
    [
        partial(damage, statement="UPDATE publications SET data = '[' WHERE offset = 2"),
        partial(damage, statement="UPDATE publications SET data = CAST(x'22ff22' AS TEXT) WHERE offset = 2"),
        partial(damage, statement="UPDATE publications SET kind = x'00' WHERE offset = 2"),
        partial(damage, statement="DELETE FROM publications WHERE offset = 2"),
        partial(damage, statement="DELETE FROM streams"),
        partial(damage, statement="UPDATE streams SET base = 'x'"),
        partial(damage, statement="INSERT INTO streams VALUES (9, CAST(x'ff' AS TEXT), 'e', 0)"),
        partial(damage, statement="DELETE FROM journal"),
        partial(damage, statement="UPDATE journal SET epoch = x'00'"),
        partial(damage, statement=f"UPDATE publications SET data = '{DEEP}' WHERE offset = 2"),
        partial(lose_a_cell, name="sqlite_autoindex_publications_1"),
        garble_schema,
    ],
    ids=[
        *("no JSON", "no text", "another type", "a hole", "no channel", "an offset", "a channel's name"),
        *("nothing of itself", "its epoch", "too deep", "an index", "its schema"),
    ],
)
async def test_a_file_that_holds_what_was_never_written_is_set_aside(
    tmp_path: Path, spoil: Callable[[Path], None]
) -> None:
    kept(tmp_path, [record(number) for number in range(3)])
    spoil(tmp_path / "journal.db")
    async with running(tmp_path) as each:
        assert await each.publish(b"1")
        await each.until(lambda meter: is_durable(meter) and bool(meter.aside))
        assert set_aside(tmp_path)
        assert await each.publish(b"2") == each.engine.hub.stream(CHANNEL).position
        assert is_durable(each.engine.health.journal)


def killed(tmp_path: Path) -> Path:
    """Where a server was killed: a journal with a log."""
    directory = tmp_path / "killed"
    directory.mkdir()
    kept(tmp_path, [record(1)])
    writer = opened(tmp_path)
    writer.append([record(2)])
    for suffix in ("", "-wal"):
        shutil.copy(tmp_path / f"journal.db{suffix}", directory)
    writer.close()
    return directory


@pytest.mark.parametrize("left", [None, 0, 1, 4_096, 5_000], ids=["gone", "empty", "1", "a page", "more"])
async def test_a_damaged_file_and_its_log_are_kept_as_they_are(tmp_path: Path, left: int | None) -> None:
    """SQLite would delete the log of an empty file, and write that of another one into it."""
    directory = killed(tmp_path)
    path = directory / "journal.db"
    if left is None:
        path.unlink()
    else:
        os.truncate(path, left)
    before = {suffix: read_if_there(directory, f"journal.db{suffix}") for suffix in ("", "-wal")}
    with contextlib.suppress(ConfigError):
        assert check(path).troubles
    async with running(directory) as each:
        assert await each.publish(b"1")
        assert "was corrupt" in finding(each).message
        name = Path(each.engine.health.journal.aside).name
        assert {suffix: read_if_there(directory, f"{name}{suffix}") for suffix in before} == before


def read_if_there(directory: Path, name: str) -> bytes:
    path = directory / name
    return path.read_bytes() if path.exists() else b""


async def test_another_programs_file_is_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "journal.db"
    other = sqlite3.connect(path)
    other.execute("CREATE TABLE accounts (id)")
    other.close()
    before = path.read_bytes()
    async with running(tmp_path) as each:
        assert await each.publish(b"1")
        assert "not a journal of this version" in finding(each).message
        assert path.read_bytes() == before
