"""A table as a CSV file: all columns, exact values, and nothing that a spreadsheet would run.

Names come from strangers, and a cell that begins as a formula is one to a spreadsheet (`=HYPERLINK…`).
"""

import csv
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

from monitor.errors import ConfigError
from tui.figures import is_decimal
from tui.row import Value

_FORMULA_SIGNS = tuple("=+-@\t\r\n\uff1d\uff0b\uff0d\uff20")
"""The last four are the first ones in full width, which some spreadsheets take for the same."""


def file_name(subject: str, now: float) -> str:
    """As `lanecast-fills-20261121-041500.csv`, local time."""
    return f"lanecast-{subject}-{time.strftime('%Y%m%d-%H%M%S', time.localtime(now))}.csv"


def export_csv(path: Path, columns: Sequence[str], records: Sequence[Mapping[str, Value]]) -> None:
    """Write a new file that the user alone may read.

    Raises:
        ConfigError: it is there already, or can't be written.
    """
    try:
        with path.open("x", encoding="utf-8", newline="") as file:
            path.chmod(0o600)
            writer = csv.writer(file)
            writer.writerow(columns)
            writer.writerows([_harmless(record[column]) for column in columns] for record in records)
    except OSError as error:
        raise ConfigError(f"{path} can't be written: {error.strerror or error}") from None


def _harmless(value: Value) -> Value:
    """Text that would be a formula becomes text to a spreadsheet too; decimal texts are left as they are."""
    if not isinstance(value, str) or not value.startswith(_FORMULA_SIGNS) or is_decimal(value):
        return value
    return f"'{value}"
