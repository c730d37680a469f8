"""A copy of a journal: whole, and no file that somebody recovers across what it lacks."""

import subprocess
import sys
from pathlib import Path

import pytest

from monitor.errors import ConfigError
from monitor.storage.journal_backup import back_up
from monitor.storage.journal_reader import Verdict, export
from tests.process import ROOT
from tests.storage.journal import kept, opened, record, running


@pytest.mark.trio
async def test_who_comes_back_to_a_server_on_a_copy_is_told_that_something_is_lost(tmp_path: Path) -> None:
    copy = tmp_path / "then" / "journal.db"
    copy.parent.mkdir()
    async with running(tmp_path / "now") as each:
        first = await each.publish(b"1", key="sim.X/1")
        assert back_up(tmp_path / "now" / "journal.db", copy) == Verdict(1, 1, [])
        last = await each.publish(b"2", key="sim.X/2")
        assert each.recovers(first) == [b"2"]
    async with running(copy.parent) as each:
        assert await each.publish(b"1", key="sim.X/1") == first  # known, so told once
        await each.publish(b"3", key="sim.X/3")
        assert [each.recovers(since) for since in (first, last)] == [None, None]
        after = await each.publish(b"4", key="sim.X/4")
    async with running(copy.parent) as each:
        assert each.recovers(after) == []


def test_a_copy_is_its_owners_alone_and_no_file_is_overwritten(tmp_path: Path) -> None:
    kept(tmp_path, [record(1)])
    copy = tmp_path / "copy.db"
    back_up(tmp_path / "journal.db", copy)
    assert sorted(path.name for path in tmp_path.glob("copy*")) == ["copy.db"]
    assert copy.stat().st_mode & 0o777 == 0o600
    before = copy.read_bytes()
    with pytest.raises(ConfigError, match="name a new file"):
        back_up(tmp_path / "journal.db", copy)
    assert copy.read_bytes() == before


def test_what_is_only_in_the_log_is_in_the_copy(tmp_path: Path) -> None:
    writer = opened(tmp_path)
    writer.append([record(number) for number in range(100)])
    command = [sys.executable, "-m", "monitor", "journal", "backup", "copy.db", "--data-dir", str(tmp_path)]
    done = subprocess.run(
        command, cwd=tmp_path, env={"PYTHONPATH": str(ROOT)}, capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stdout) == (0, "copy.db: 100 publications of 1 channels, ok\n")
    assert list(export(tmp_path / "copy.db")) == list(export(tmp_path / "journal.db"))
    writer.close()
