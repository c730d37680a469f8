"""What was measured against what was aimed at, as text for a terminal and for a page."""

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import quantiles


@dataclass(frozen=True, slots=True)
class Row:
    """One figure; without a bound it is for information."""

    what: str
    value: float
    unit: str = ""
    at_most: float | None = None
    at_least: float | None = None
    note: str = ""

    @property
    def target(self) -> str:
        if self.at_most is not None:
            return f"≤ {number(self.at_most)}"
        return f"≥ {number(self.at_least)}" if self.at_least is not None else ""

    @property
    def verdict(self) -> str:
        if self.at_most is not None:
            return "reached" if self.value <= self.at_most else "not reached"
        if self.at_least is not None:
            return "reached" if self.value >= self.at_least else "not reached"
        return ""

    def cells(self) -> list[str]:
        return [self.what, f"{number(self.value)} {self.unit}".strip(), self.target, self.verdict, self.note]


@dataclass(frozen=True, slots=True)
class Table:
    """A title, the names of its columns, its rows."""

    title: str
    columns: Sequence[str]
    rows: Sequence[Sequence[str]]

    def text(self) -> str:
        """For a terminal."""
        widths = [max(map(len, column)) for column in zip(self.columns, *self.rows, strict=True)]
        lines = [self._line(row, widths) for row in (self.columns, *self.rows)]
        return "\n".join([self.title, *lines])

    def markdown(self) -> str:
        """For a page."""
        lines = [f"| {' | '.join(row)} |" for row in (self.columns, ["---"] * len(self.columns), *self.rows)]
        return "\n".join([f"### {self.title}", "", *lines])

    @staticmethod
    def _line(row: Sequence[str], widths: Sequence[int]) -> str:
        return "  " + "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()


def rows_table(title: str, rows: Sequence[Row]) -> Table:
    return Table(title, ["what", "measured", "target", "", "note"], [row.cells() for row in rows])


def p99(values: Sequence[float]) -> float:
    return quantiles(values, n=100, method="inclusive")[-1] if len(values) > 1 else max(values, default=0.0)


def number(value: float) -> str:
    """Three digits, or as many as stand before the point."""
    if value >= 1_000:
        return f"{value:,.0f}"
    return f"{value:.3g}" if value < 10 else f"{value:.1f}"
