"""What a table is made of: rows of cells, each with a text to read and a value to sort and export by.

A text is rounded for the eye (`1.2 kB`); whoever sorts by it, or computes with it, gets it wrong.
"""

from dataclasses import dataclass
from enum import StrEnum
from typing import NamedTuple

from tui.graph import Graph

Value = str | int | float


class Tone(StrEnum):
    """What a cell means; the style sheet says how it looks."""

    PLAIN = "plain"
    DIM = "dim"
    STRONG = "strong"
    GOOD = "good"
    WARNING = "warning"
    BAD = "bad"
    BUY = "buy"
    SELL = "sell"
    GRAPH = "graph"
    HEAD = "head"


TROUBLE = frozenset({Tone.WARNING, Tone.BAD})


class Cell(NamedTuple):
    content: str | Graph
    tone: Tone = Tone.PLAIN
    value: Value | None = None
    """Exactly what the content says in short, where that is not the content itself."""

    @property
    def exact(self) -> Value:
        """The value, or the text if that is all there is."""
        if self.value is not None:
            return self.value
        return self.content if isinstance(self.content, str) else " ".join(map(str, self.content.values))


class Row(NamedTuple):
    key: str
    cells: tuple[Cell, ...]
    """One for each of the table's columns, shown or not."""
    parent: str = ""
    """Key of the row below which it stands, wherever that one is sorted."""

    @property
    def has_trouble(self) -> bool:
        return any(cell.tone in TROUBLE for cell in self.cells)


@dataclass(frozen=True, slots=True)
class Column:
    key: str
    title: str
    width: int
    """In cells; 0 for the one column that takes what the others leave."""
    most: int = 0
    """Of these, where that one would be so wide that the eye loses the line; 0 takes all."""
    is_number: bool = False
    from_width: int = 0
    """Of the table; below it the column is left out."""
    is_sortable: bool = False
    """By the server, in a table whose rows it sorts."""
