"""The mark of a loss: who makes it, and in which order the disk learns of it."""

import re
import shutil
import signal
import sqlite3
import subprocess
import sys
import time
from pathlib import Path

import pytest

from monitor.clock import wall_ms
from monitor.config import JournalSettings
from monitor.storage.home import OPEN_LOOKS, Home
from monitor.storage.lock import JournalInUse, Lock
from tests.patience import PATIENCE_SECONDS
from tests.process import ROOT
from tests.storage.journal import kept, record

LOSS_AND_START = """
import sys
from pathlib import Path
from tests.storage.test_home import home_of
for _ in range(2):
    home = home_of(Path(sys.argv[1]))
    file = home.open().file
    home.note_loss()
    file.close()
    home.leave()
"""


def home_of(directory: Path) -> Home:
    return Home(directory / "journal.db", JournalSettings(), wall_ms, "orders")


def test_who_does_not_hold_the_lock_leaves_no_mark_beside_anothers_file(tmp_path: Path) -> None:
    holder, other = home_of(tmp_path), home_of(tmp_path)
    first = holder.open()
    first.file.close()
    with pytest.raises(JournalInUse):
        other.open()
    other.note_loss()
    other.forgo()
    holder.leave()
    again = home_of(tmp_path).open()
    again.file.close()
    assert again.standing == first.standing


def test_what_could_not_be_marked_is_known_to_the_process_still(tmp_path: Path) -> None:
    home = home_of(tmp_path)
    home.note_loss()
    other = home_of(tmp_path)
    unknowing = other.open()
    unknowing.file.close()
    other.leave()
    after = home.open()
    after.file.close()
    assert after.standing.epoch != unknowing.standing.epoch


def test_lock_is_let_go_though_the_mark_cant_be_made(tmp_path: Path) -> None:
    kept = home_of(tmp_path)
    kept.open().file.close()
    kept.leave()
    (tmp_path / "journal.unkept").symlink_to(tmp_path / "nowhere" / "mark")
    with pytest.raises(FileNotFoundError):
        home_of(tmp_path).forgo()
    Lock(tmp_path / "journal.lock").take()


KILLED_AT_ITS_FIRST = """
import os, signal, sqlite3, sys
database = sqlite3.connect(sys.argv[1], isolation_level=None)
database.executescript("PRAGMA cache_size = 1; CREATE TABLE s (x); DROP TABLE s; BEGIN; CREATE TABLE t (x)")
for _ in range(50):
    database.execute("INSERT INTO t VALUES (?)", ("x" * 2_000,))
os.kill(os.getpid(), signal.SIGKILL)
"""


def test_what_was_killed_before_there_was_a_log_is_rolled_back(tmp_path: Path) -> None:
    path = tmp_path / "journal.db"
    subprocess.run([sys.executable, "-c", KILLED_AT_ITS_FIRST, str(path)], check=False)
    assert path.with_name("journal.db-journal").stat().st_size
    home = home_of(tmp_path)
    opened = home.open()
    opened.file.close()
    assert (opened.rows, home.aside) == ([], "")


def deeds(trace: str) -> list[str]:
    """What was done to the journal's directory, its log and the mark, in this order."""
    kinds = {
        r"openat\(.*journal\.unkept.*O_CREAT": "make mark",
        r"fsync\(\d+</[^>]*/kept>": "sync directory",
        r"pwrite64\(\d+<[^>]*-wal>": "write log",
        r"(fsync|fdatasync)\(\d+<[^>]*-wal>": "sync log",
        r"unlink\(.*journal\.unkept\"\) = 0": "remove mark",
    }
    return [deed for line in trace.splitlines() for kind, deed in kinds.items() if re.search(kind, line)]


def test_a_power_cut_finds_the_mark_or_the_new_epochs_on_the_disk(tmp_path: Path) -> None:
    if shutil.which("strace") is None:
        pytest.skip("what the kernel is asked, and in which order, is seen by strace")
    trace = tmp_path / "trace"
    command = ["strace", "-f", "-y", "-e", "trace=openat,pwrite64,fsync,fdatasync,unlink", "-o", str(trace)]
    command += [sys.executable, "-c", LOSS_AND_START, str(tmp_path / "kept")]
    subprocess.run(command, check=True)
    done = deeds(trace.read_text())
    made = [at for at, deed in enumerate(done) if deed == "make mark"]
    assert [done[at + 1] for at in made] == ["sync directory"] * 2
    removed = done.index("remove mark")
    assert made[0] < removed < made[1]
    assert done[removed - 1] == "sync log"


OPENING = """
import sys
from pathlib import Path
from monitor.config import JournalSettings
from monitor.storage import home, journal_file
home.LOOK_SECONDS, journal_file.BUSY_SECONDS = 0.1, 60
journal = home.Home(Path(sys.argv[1]), JournalSettings(), lambda: 0, "orders")
print("opening", flush=True)
journal.open()
"""


@pytest.mark.soak
def test_a_pause_while_it_is_opened_is_not_taken_for_the_disks(tmp_path: Path) -> None:
    kept(tmp_path, [record(1)])
    path = tmp_path / "journal.db"
    holder = sqlite3.connect(path, isolation_level=None)
    holder.execute("BEGIN IMMEDIATE")
    command = [sys.executable, "-c", OPENING, str(path)]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE) as process:
        assert process.stdout
        assert process.stdout.readline() == b"opening\n"
        process.send_signal(signal.SIGSTOP)
        time.sleep(OPEN_LOOKS * 0.1 + 0.2)
        holder.execute("ROLLBACK")
        holder.close()
        process.send_signal(signal.SIGCONT)
        assert process.wait(PATIENCE_SECONDS) == 0
