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


class Reading(ModalScreen[bool]):
    """Dismissed with whether to go on to what lies beyond the row."""

    BINDINGS: ClassVar[list[BindingType]] = [
        ("escape,q", "dismiss(False)", "Close"),
        ("enter", "dismiss(True)", "Go on"),
    ]

    def __init__(
        self, title: str, columns: Sequence[Column], cells: Sequence[Cell], beyond: str = ""
    ) -> None:
        """`beyond` says what Enter opens from here; empty where nothing does."""
        super().__init__()
        self._title, self._beyond = title, beyond
        self._columns, self._cells = columns, cells

    def compose(self) -> ComposeResult:
        """One box."""
        with Sheet(id="reading") as box:
            for line in reading_lines(self._columns, self._cells):
                yield Static(line)
        box.border_title = self._title
        opens = f"Enter opens {self._beyond}" if self._beyond else ""
        box.border_subtitle = " · ".join(filter(None, ("↑ ↓ scroll", opens, "Esc closes")))


def reading_lines(columns: Sequence[Column], cells: Sequence[Cell]) -> Iterable[Content]:
    """A line for each column that says something; texts exactly, numbers as they are shown."""
    for column, cell in zip(columns, cells, strict=True):
        text = cell.exact if isinstance(cell.exact, str) else cell.content
        if column.title and isinstance(text, str) and text:
            yield Content.assemble((f"{column.title:<{NAME_CELLS}} ", "$text-muted"), printable(text))
