"""Which of a table's rows are shown, and in which order: a filter, troubles only, a column to sort by.

`text` is looked for as it stands, `~text` is a regular expression, a `!` before either shows the
others; case never counts. What stands below a row comes and goes with it, however it is sorted.
"""

import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from tui.figures import is_decimal, printable
from tui.row import Cell, Row, Value

Test = Callable[[str], object]


@dataclass(frozen=True, slots=True)
class Filter:
    """What was typed; one that is no regular expression hides nothing."""

    text: str = ""

    @property
    def is_plain(self) -> bool:
        """Whether it is a text to look for, and nothing else."""
        return not self.text.startswith(("!", "~"))

    @property
    def error(self) -> str:
        """Why it can't be used; empty if it can."""
        try:
            self._test()
        except re.error as error:
            return f"not a regular expression: {error}"
        return ""

    def __call__(self, rows: Sequence[Row]) -> Sequence[Row]:
        """Those that match, and what these stand below."""
        if not self.text.strip("!~") or self.error:
            return rows
        test, is_inverse = self._test(), self.text.startswith("!")
        return _with_parents(rows, lambda row: bool(test(_text(row))) is not is_inverse)

    def _test(self) -> Test:
        text = self.text.removeprefix("!")
        if text.startswith("~"):
            return re.compile(text[1:], re.IGNORECASE).search
        wanted = text.casefold()
        return lambda line: wanted in line.casefold()


@dataclass(frozen=True, slots=True)
class Order:
    """By which column, an index, and from which end."""

    column: int
    is_descending: bool

    def __call__(self, rows: Sequence[Row]) -> list[Row]:
        """Sorted, empty cells last whichever way; equal ones keep their order."""
        below: dict[str, list[Row]] = {}
        for row in rows:
            below.setdefault(row.parent, []).append(row)
        return list(self._under("", below))

    def _under(self, parent: str, below: dict[str, list[Row]]) -> Iterable[Row]:
        for row in self._sorted(below.get(parent, ())):
            yield row
            yield from self._under(row.key, below)

    def _sorted(self, rows: Iterable[Row]) -> list[Row]:
        known = [row for row in rows if row.cells[self.column].content not in _EMPTY]
        unknown = [row for row in rows if row.cells[self.column].content in _EMPTY]
        known.sort(key=lambda row: _rank(row.cells[self.column]), reverse=self.is_descending)
        return known + unknown


_EMPTY = ("", "-")


def _rank(cell: Cell) -> tuple[bool, Value]:
    exact = cell.exact
    if not isinstance(exact, str):
        return False, exact
    return (False, float(exact)) if is_decimal(exact) else (True, exact.casefold())


@dataclass(frozen=True, slots=True)
class Sift:
    filter: Filter = Filter()
    only_trouble: bool = False
    order: Order | None = None
    """None leaves the rows as they come."""

    def __call__(self, rows: Sequence[Row]) -> Sequence[Row]:
        """The rows to show."""
        rows = self.filter(rows)
        if self.only_trouble:
            rows = _with_parents(rows, lambda row: row.has_trouble)
        return self.order(rows) if self.order else rows

    @property
    def notes(self) -> list[str]:
        """What is left out, in words for a title."""
        notes = [self.filter.error] if self.filter.error else []
        if self.filter.text and not notes:
            notes.append(f"filter {printable(self.filter.text)}")
        return [*notes, "troubles only"] if self.only_trouble else notes


def _with_parents(rows: Sequence[Row], is_wanted: Callable[[Row], bool]) -> list[Row]:
    found = [row for row in rows if is_wanted(row)]
    keys = {row.key for row in found} | {row.parent for row in found}
    return [row for row in rows if row.key in keys]


def _text(row: Row) -> str:
    return " ".join(cell.content for cell in row.cells if isinstance(cell.content, str))
