"""A row read whole: every column, also those for which the screen is too narrow, nothing cut off."""

from collections.abc import Iterable, Sequence
from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import BindingType
from textual.content import Content
from textual.screen import ModalScreen
from textual.widgets import Static

from tui.figures import printable
from tui.row import Cell, Column
from tui.sheet import Sheet

NAME_CELLS = 13


class Reading(ModalScreen[None]):
    BINDINGS: ClassVar[list[BindingType]] = [("escape,enter,q", "dismiss", "Close")]

    def __init__(self, title: str, columns: Sequence[Column], cells: Sequence[Cell]) -> None:
        super().__init__()
        self._title = title
        self._columns, self._cells = columns, cells

    def compose(self) -> ComposeResult:
        """One box."""
        with Sheet(id="reading") as box:
            for line in reading_lines(self._columns, self._cells):
                yield Static(line)
        box.border_title = self._title
        box.border_subtitle = "↑ ↓ scroll · Esc closes"


def reading_lines(columns: Sequence[Column], cells: Sequence[Cell]) -> Iterable[Content]:
    """A line for each column that says something; texts exactly, numbers as they are shown."""
    for column, cell in zip(columns, cells, strict=True):
        text = cell.exact if isinstance(cell.exact, str) else cell.content
        if column.title and isinstance(text, str) and text:
            yield Content.assemble((f"{column.title:<{NAME_CELLS}} ", "$text-muted"), printable(text))
