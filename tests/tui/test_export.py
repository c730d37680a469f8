"""A table as a file: exact, complete, and harmless to a spreadsheet."""

import csv
from pathlib import Path

import pytest

from monitor.errors import ConfigError
from tui.export import export_csv


def exported(path: Path, *values: str | float) -> list[str]:
    export_csv(path, ["a"], [{"a": value} for value in values])
    with path.open(newline="") as file:
        head, *rows = csv.reader(file)
    assert head == ["a"]
    return [cell for (cell,) in rows]


@pytest.mark.parametrize("text", ["=HYPERLINK(1)", "+1+2", "-1+2", "@SUM(A1)", "\t=1", "\r=1", "\uff1d1"])
def test_text_that_a_spreadsheet_would_run_is_written_as_text(tmp_path: Path, text: str) -> None:
    assert exported(tmp_path / "x.csv", text) == [f"'{text}"]


@pytest.mark.parametrize("value", ["61837.63", "-0.25", 'a "quoted", text', "línea\nnueva", -3, 0.1])
def test_everything_else_is_written_as_it_is(tmp_path: Path, value: str | float) -> None:
    assert exported(tmp_path / "x.csv", value) == [str(value)]


def test_file_is_the_users_alone_and_never_replaces_another(tmp_path: Path) -> None:
    path = tmp_path / "x.csv"
    exported(path, "old")
    assert path.stat().st_mode & 0o777 == 0o600
    with pytest.raises(ConfigError, match=r"x\.csv can't be written: File exists"):
        exported(path, "new")
    assert "old" in path.read_text()


def test_folder_that_is_not_there_is_one_sentence(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="can't be written: No such file or directory"):
        exported(tmp_path / "nowhere" / "x.csv", "a")
