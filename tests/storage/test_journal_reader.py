import subprocess
import sys
from pathlib import Path

import orjson
import pytest

from monitor.errors import ConfigError
from monitor.storage.journal_reader import Verdict, check, export
from tests.process import ROOT
from tests.storage.journal import NOW_MS, damage, garble_schema, kept, lose_a_cell, opened, record

TOLD = [
    record(1, key="sim.X/1"),
    record(2, "bots:ann", kind="bot_status", info=b'{"user":"ann"}'),
    record(3, data=b'{"n":1.10}', tags=b'{"a":"b"}'),
]


LAST = "WHERE data = '{\"n\":1.10}'"


@pytest.fixture
def path(tmp_path: Path) -> Path:
    kept(tmp_path, TOLD)
    return tmp_path / "journal.db"


def test_a_journal_that_holds_together_has_no_troubles(path: Path) -> None:
    assert check(path) == Verdict(publications=3, channels=2, troubles=[])


@pytest.mark.parametrize(
    ("statement", "trouble"),
    [
        (
            "UPDATE publications SET offset = 4 WHERE data = '{\"n\":1.10}'",
            "2 publications at the offsets 1 to 4",
        ),
        ("DROP INDEX keys; UPDATE publications SET key = 'orders:ann\nsim.X/1'", "sim.X/1 is in it 3 times"),
        ("DELETE FROM streams WHERE channel = 'bots:ann'", "1 publications are of no channel"),
        (f"UPDATE publications SET data = '[' {LAST}", "'orders:ann', epoch 'e', offset 2: Input data was"),
        (f"UPDATE publications SET data = CAST(x'22ff22' AS TEXT) {LAST}", "offset 2: 'utf-8' codec"),
        (f"UPDATE publications SET kind = CAST(x'ff' AS TEXT) {LAST}", "offset 2: 'utf-8' codec"),
        (f"UPDATE publications SET tags = x'00' {LAST}", "offset 2: Expected `str`"),
        ("DELETE FROM journal", "what it says of itself: Expected `array`"),
        ("UPDATE streams SET base = 'x'", "where its channels stand: Expected `int`"),
        (
            "UPDATE streams SET channel = CAST(x'6fff' AS TEXT) WHERE id = 1",
            "'o\\udcff', epoch 'e', offset 1",
        ),
    ],
)
def test_what_is_wrong_is_said(path: Path, statement: str, trouble: str) -> None:
    damage(path, statement)
    assert any(trouble in each for each in check(path).troubles)
    assert all(each.isprintable() for each in check(path).troubles)
    with pytest.raises(ConfigError, match="may not be all of it"):
        list(export(path))


@pytest.mark.parametrize(
    ("name", "told"), [("sqlite_autoindex_publications_1", 3), ("keys", 3), ("publications", 2)]
)
def test_a_damaged_journal_is_exported_as_far_as_it_goes_and_that_is_said(
    path: Path, name: str, told: int
) -> None:
    lose_a_cell(path, name)
    lines: list[bytes] = []
    with pytest.raises(ConfigError, match="may not be all of it"):
        lines.extend(export(path))
    assert len([orjson.loads(line) for line in lines]) == told
    assert check(path).troubles


def test_a_schema_that_is_no_text_is_said(path: Path) -> None:
    garble_schema(path)
    for look in (check, lambda path: list(export(path))):
        with pytest.raises(ConfigError, match="its schema can't be read"):
            look(path)


def test_torn_pages_are_found(path: Path) -> None:
    file = opened(path.parent)
    file.append([record(n, data=b'"%s"' % (b"x" * 3_000)) for n in range(4, 50)])
    file.close()
    whole = path.read_bytes()
    path.write_bytes(whole[:40_960] + b"\xff" * 40_960 + whole[81_920:])
    assert check(path).troubles
    with pytest.raises(ConfigError, match="can't be read further"):
        list(export(path))


def test_an_export_says_all_of_each_publication_in_order(path: Path) -> None:
    lines = list(export(path))
    assert [orjson.loads(line)["channel"] for line in lines] == ["orders:ann", "bots:ann", "orders:ann"]
    assert orjson.loads(lines[0]) == {
        "channel": "orders:ann",
        "epoch": "e",
        "offset": 1,
        "time": NOW_MS + 1,
        "kind": "order_fill",
        "key": "sim.X/1",
        "data": {"n": 1},
    }
    assert orjson.loads(lines[1])["info"] == {"user": "ann"}
    assert b'"data":{"n":1.10},"tags":{"a":"b"}' in lines[2]


def test_an_export_is_narrowed_by_channel_and_time(path: Path) -> None:
    assert len(list(export(path, channel="orders:*"))) == 2
    assert len(list(export(path, since_ms=NOW_MS + 2))) == 2
    assert len(list(export(path, channel="orders:ann", until_ms=NOW_MS + 3))) == 1


@pytest.mark.parametrize("content", [None, b"no database at all", b""])
def test_what_is_no_journal_is_said(tmp_path: Path, content: bytes | None) -> None:
    path = tmp_path / "journal.db"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(ConfigError, match="journal"):
        check(path)


def test_looking_changes_nothing(path: Path) -> None:
    before = path.read_bytes()
    check(path)
    list(export(path))
    assert path.read_bytes() == before


def test_the_command_line_reads_beside_the_writer(path: Path) -> None:
    def lanecast(*arguments: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "monitor", "journal", *arguments, "--data-dir", str(path.parent)]
        return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)

    writer = opened(path.parent)
    writer.append([record(4)])
    checked = lanecast("check")
    assert (checked.returncode, checked.stdout) == (0, f"{path}: 4 publications of 2 channels, ok\n")
    exported = lanecast("export", "--channel", "orders:ann", "--since", "2023-11-14T22:13:20.002Z")
    assert [orjson.loads(line)["offset"] for line in exported.stdout.splitlines()] == [2, 3]
    refused = lanecast("export", "--until", "yesterday")
    assert (refused.returncode, "must be a time" in refused.stderr) == (2, True)
    writer.close()
    damage(path, "UPDATE publications SET offset = 9 WHERE offset = 3")
    assert lanecast("check").returncode == 1
