"""The journal's file: offsets, keys, what is deleted, and what is not its own."""

import sqlite3
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic_core import to_json

from monitor.broadcast.history import Position
from monitor.broadcast.journaled import Standing
from monitor.broadcast.receipt import Kept
from monitor.storage import journal_file
from monitor.storage.journal_file import JournalFile
from monitor.storage.journal_form import VERSION, NotAJournal, pragma
from tests.storage.journal import NOW_MS, opened, record

HUGE = 2**40


def offsets(file: JournalFile, channel: str = "orders:ann") -> list[int]:
    return [row.position.offset for row in file.tail(10_000) if row.channel == channel]


def test_offsets_go_on_where_they_were_after_the_file_is_opened_again(tmp_path: Path) -> None:
    first = opened(tmp_path)
    assert [each.position for each in first.append([record(1), record(2)])] == [
        Position(1, "e"),
        Position(2, "e"),
    ]
    first.close()
    again = opened(tmp_path)
    assert again.standing().positions == {"orders:ann": Position(2, "e")}
    assert again.append([record(3)]) == [Kept(Position(3, "e"))]
    assert offsets(again) == [1, 2, 3]
    again.close()


@pytest.mark.parametrize(("synchronous", "level"), [("normal", 1), ("full", 2)])
def test_commits_reach_the_disk_as_the_settings_say(tmp_path: Path, synchronous: str, level: int) -> None:
    file = JournalFile(tmp_path / "journal.db", synchronous)
    assert pragma(file._database, "synchronous") == level
    file.note_start("orders", boot="now")
    file.move_on(Standing("e", {}))
    assert pragma(file._database, "synchronous") == level
    file.close()


def test_a_stream_that_is_new_to_the_journal_goes_on_from_where_its_channel_stood(tmp_path: Path) -> None:
    file = opened(tmp_path)
    file.append([record(1), record(2)])
    file.append([record(9, epoch="later", base=8), record(10, epoch="later", base=8)])
    assert file.standing().positions == {"orders:ann": Position(10, "later")}
    assert offsets(file) == [1, 2, 9, 10]
    file.close()


def test_the_second_of_a_key_is_told_where_the_first_one_is_and_takes_no_offset(tmp_path: Path) -> None:
    file = opened(tmp_path)
    file.append([record(1, key="f1")])
    became = file.append([record(2, key="f2"), record(3, key="f1"), record(4, key="f2"), record(5)])
    assert became == [
        Kept(Position(2, "e")),
        Kept(Position(1, "e"), is_duplicate=True),
        Kept(Position(2, "e"), is_duplicate=True),
        Kept(Position(3, "e")),
    ]
    assert [row.data for row in file.tail(10)] == [b'{"n":1}', b'{"n":2}', b'{"n":5}']
    file.close()


def test_a_key_is_its_channels_own(tmp_path: Path) -> None:
    file = opened(tmp_path)
    became = file.append([record(1, key="f1"), record(2, "orders:bob", key="f1")])
    assert not any(each.is_duplicate for each in became)
    file.close()


@settings(max_examples=30)
@given(texts=st.lists(st.text(), min_size=1, max_size=5))
def test_payloads_come_back_byte_for_byte(tmp_path_factory: pytest.TempPathFactory, texts: list[str]) -> None:
    payloads = [to_json(text, indent=1) for text in texts]
    file = opened(tmp_path_factory.mktemp("journal"))
    file.append([record(n, data=data, info=data, tags=b"") for n, data in enumerate(payloads)])
    assert [(row.data, row.info) for row in file.tail(10)] == [(data, data) for data in payloads]
    file.close()


@pytest.mark.parametrize(
    "payload", [b'"\\ud83d\\ude00"', b'"\\u0000"', '"😀\u2028"'.encode(), b"1e400", b"-0.10"]
)
def test_no_text_that_is_json_is_changed(tmp_path: Path, payload: bytes) -> None:
    file = opened(tmp_path)
    file.append([record(1, data=payload)])
    assert [row.data for row in file.tail(1)] == [payload]
    file.close()


def test_what_is_too_old_is_deleted_a_little_at_a_time(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = opened(tmp_path)
    rows = journal_file.TRIM_ROWS + 10
    file.append([record(n) for n in range(1, rows + 1)])
    assert file.trim(NOW_MS + rows - 4, HUGE)
    assert offsets(file) == list(range(journal_file.TRIM_ROWS + 1, rows + 1))
    assert not file.trim(NOW_MS + rows - 4, HUGE)
    assert offsets(file) == list(range(rows - 4, rows + 1))
    assert not file.trim(NOW_MS + rows - 4, HUGE)
    assert file.size()[0] == 5
    file.close()


def test_what_is_too_much_is_deleted_and_its_room_given_back(tmp_path: Path) -> None:
    file = opened(tmp_path)
    payload = b'"' + b"x" * 2_000 + b'"'
    file.append([record(n, data=payload) for n in range(2_000)])
    limit_bytes = file.size()[1] // 2
    while file.trim(0, limit_bytes):
        pass
    rows, size_bytes = file.size()
    assert limit_bytes // 2 < size_bytes <= limit_bytes
    assert offsets(file) == list(range(2_000 - rows + 1, 2_001))
    file.close()
    assert (tmp_path / "journal.db").stat().st_size <= limit_bytes * 1.1


def test_of_long_rows_no_more_goes_than_is_too_much(tmp_path: Path) -> None:
    file = opened(tmp_path)
    file.append([record(number, data=b'"%s"' % (b"x" * 20_000)) for number in range(200)])
    while file.trim(0, 1_048_576):
        pass
    rows, size_bytes = file.size()
    assert 20 < rows < 200
    assert size_bytes <= 1_048_576
    file.close()


def test_a_clock_set_back_neither_deletes_what_is_young_nor_makes_holes(tmp_path: Path) -> None:
    file = opened(tmp_path)
    file.append([record(n) for n in (1, 2)])
    file.append([record(n, time_ms=NOW_MS - 3_600_000) for n in (3, 4)])
    assert not file.trim(NOW_MS - 1_000, HUGE)
    assert offsets(file) == [1, 2, 3, 4]
    assert not file.trim(NOW_MS + 2, HUGE)
    assert offsets(file) == [2, 3, 4]
    assert file.append([record(5, time_ms=0)]) == [Kept(Position(5, "e"))]
    file.close()


def test_a_stream_of_which_all_was_deleted_goes_on(tmp_path: Path) -> None:
    file = opened(tmp_path)
    file.append([record(1), record(2)])
    file.trim(NOW_MS + 10, HUGE)
    assert file.append([record(3)]) == [Kept(Position(3, "e"))]
    file.trim(NOW_MS + 10, HUGE)
    file.close()
    again = opened(tmp_path)
    assert again.standing().positions == {"orders:ann": Position(3, "e")}
    assert again.append([record(4)]) == [Kept(Position(4, "e"))]
    again.close()


def test_of_streams_with_nothing_left_the_oldest_are_forgotten_and_their_epoch_does_not_come_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(journal_file, "IDLE_STREAMS", 2)
    file = opened(tmp_path)
    epoch = file.standing().epoch
    file.append([record(number, f"orders:{number}", epoch=epoch) for number in range(4)])
    file.trim(NOW_MS + 10, HUGE)
    file.close()
    again = opened(tmp_path)
    assert set(again.standing().positions) == {"orders:2", "orders:3"}
    assert again.standing().epoch != epoch
    again.close()


def test_channels_without_a_stream_have_the_same_epoch_after_it_is_opened_again(tmp_path: Path) -> None:
    epochs = set()
    for _ in range(2):
        file = opened(tmp_path)
        epochs.add(file.standing().epoch)
        file.close()
    assert len(epochs) == 1


def test_moving_on_leaves_no_channel_where_it_was(tmp_path: Path) -> None:
    file = opened(tmp_path)
    file.append([record(1), record(2), record(3, "orders:bob")])
    file.move_on(Standing("later", {"orders:ann": Position(9, "since"), "orders:eve": Position(4, "since")}))
    places = {
        "orders:ann": Position(9, "since"),
        "orders:bob": Position(1, "later"),
        "orders:eve": Position(4, "since"),
    }
    assert file.standing() == Standing("later", places)
    assert file.append([record(4, epoch="since", base=9)]) == [Kept(Position(10, "since"))]
    file.close()
    again = opened(tmp_path)
    assert again.standing() == Standing("later", places | {"orders:ann": Position(10, "since")})
    again.close()


def test_a_file_of_the_first_version_is_taken_over(tmp_path: Path) -> None:
    file = opened(tmp_path)
    file.append([record(1), record(2)])
    file.close()
    first = sqlite3.connect(tmp_path / "journal.db")
    first.executescript("DROP TABLE journal; ALTER TABLE streams DROP base; PRAGMA user_version = 1")
    first.close()
    again = opened(tmp_path)
    assert again.date_ms == NOW_MS + 2
    assert again.append([record(3)]) == [Kept(Position(3, "e"))]
    assert offsets(again) == [1, 2, 3]
    again.close()


def test_the_file_and_its_log_are_readable_by_their_owner_alone(tmp_path: Path) -> None:
    file = opened(tmp_path)
    file.append([record(1)])
    assert {path.stat().st_mode & 0o777 for path in tmp_path.iterdir()} == {0o600}
    file.close()


@pytest.mark.parametrize("pragma", [f"user_version = {VERSION + 1}", "application_id = 7"])
def test_a_file_that_is_not_ours_is_left_alone(tmp_path: Path, pragma: str) -> None:
    opened(tmp_path).close()
    other = sqlite3.connect(tmp_path / "journal.db")
    other.execute(f"PRAGMA {pragma}")
    other.close()
    before = (tmp_path / "journal.db").read_bytes()
    with pytest.raises(NotAJournal):
        opened(tmp_path)
    assert (tmp_path / "journal.db").read_bytes() == before


def test_a_failed_commit_leaves_nothing_and_moves_no_offset(tmp_path: Path) -> None:
    file = opened(tmp_path)
    file.append([record(1)])
    locker = sqlite3.connect(tmp_path / "journal.db", isolation_level=None)
    locker.execute("BEGIN IMMEDIATE")
    with pytest.raises(sqlite3.OperationalError):
        file.append([record(2), record(3, "orders:bob")])
    locker.close()
    assert file.append([record(4)]) == [Kept(Position(2, "e"))]
    assert file.append([record(5, "orders:bob")]) == [Kept(Position(1, "e"))]
    file.close()
