"""A table that repaints the lines whose cells changed, and nothing else.

All the console's lists are this one widget: aligned columns that come and go with the width, a
cursor that stays with its row when the order changes, a title line that can be clicked to sort.
What is shown was named by others, so control characters are taken out here, for all of them.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import ClassVar, NamedTuple

from rich.cells import cell_len, set_cell_size
from rich.segment import Segment
from rich.style import Style
from textual import events
from textual.binding import Binding, BindingType
from textual.geometry import Region, Size
from textual.message import Message
from textual.scroll_view import ScrollView
from textual.strip import Strip

from tui.figures import printable
from tui.graph import Graph
from tui.model import Model
from tui.panels.panel import Panel


class Tone(StrEnum):
    """What a cell means; the style sheet says how it looks."""

    PLAIN = "plain"
    DIM = "dim"
    STRONG = "strong"
    GOOD = "good"
    WARNING = "warning"
    BAD = "bad"
    GRAPH = "graph"
    HEAD = "head"


class Cell(NamedTuple):
    content: str | Graph
    tone: Tone = Tone.PLAIN


class Row(NamedTuple):
    key: str
    cells: tuple[Cell, ...]
    """One for each of the table's columns, shown or not."""


@dataclass(frozen=True, slots=True)
class Column:
    key: str
    title: str
    width: int
    """In cells; 0 for the one column that takes what the others leave."""
    is_number: bool = False
    from_width: int = 0
    """Of the table; below it the column is left out."""
    is_sortable: bool = False


class Table(ScrollView, Panel, can_focus=True):
    COLUMNS: ClassVar[tuple[Column, ...]] = ()
    TITLE: ClassVar[str] = ""
    EMPTY: ClassVar[str] = "nothing yet"

    COMPONENT_CLASSES: ClassVar[set[str]] = {f"table--{tone}" for tone in Tone} | {"table--cursor"}
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("up,k", "move(-1)", "Up", show=False),
        Binding("down,j", "move(1)", "Down", show=False),
        Binding("pageup", "move_page(-1)", "Page up", show=False),
        Binding("pagedown", "move_page(1)", "Page down", show=False),
        Binding("home,g", "move(-1000000)", "First", show=False),
        Binding("end,G", "move(1000000)", "Last", show=False),
        Binding("enter", "choose", "Open", show=False),
    ]

    class Chosen(Message):
        """A row was opened by Enter or a second click."""

        def __init__(self, table: "Table", key: str) -> None:
            super().__init__()
            self.table = table
            self.key = key

    class HeadClicked(Message):
        def __init__(self, table: "Table", column: str) -> None:
            super().__init__()
            self.table = table
            self.column = column

    def __init__(self, id: str | None = None) -> None:
        self._styles: dict[tuple[Tone, bool], Style] = {}
        super().__init__(id=id)
        self.border_title = f" {self.TITLE} "
        self._rows: list[Row] = []
        self._cursor = 0
        self._sorted_by: tuple[str, bool] | None = None

    def rows(self, model: Model, now: float) -> list[Row]:
        """What to show of the model."""
        raise NotImplementedError

    def title(self, model: Model) -> str:
        """The text in the border."""
        return self.TITLE

    def show(self, model: Model, now: float) -> None:
        """Take the model's rows and repaint the lines that differ from those on the screen."""
        title = f" {self.title(model)} "
        if self.border_title != title:
            self.border_title = title
        before, self._rows = self._rows, self.rows(model, now)
        if len(before) != len(self._rows):
            self.virtual_size = Size(self.size.width, len(self._rows) + 1)
            self.refresh(layout=self.styles.is_auto_height)
        for line, (old, new) in enumerate(zip(before, self._rows, strict=False)):
            if old != new:
                self._repaint(line)
        self._keep_cursor(before)

    def mark_sorted(self, column: str, descending: bool) -> None:
        """Show an arrow in that column's head."""
        if self._sorted_by != (column, descending):
            self._sorted_by = column, descending
            self.refresh()

    @property
    def cursor_key(self) -> str | None:
        """The key of the row under the cursor."""
        return self._rows[self._cursor].key if self._rows else None

    def _keep_cursor(self, before: Sequence[Row]) -> None:
        """Stay with the row where it has gone; but at the top stay at the top, to see what is new."""
        line = min(self._cursor, max(0, len(self._rows) - 1))
        if 0 < self._cursor < len(before):
            key = before[self._cursor].key
            line = next((number for number, row in enumerate(self._rows) if row.key == key), line)
        if self.scroll_offset.y and line != self._cursor:
            self.scroll_relative(y=line - self._cursor, animate=False)
        self._move_cursor(line)

    def _move_cursor(self, line: int) -> None:
        if line != self._cursor:
            before, self._cursor = self._cursor, line
            self._repaint(before)
            self._repaint(line)

    def _repaint(self, line: int) -> None:
        y = line + 1 - self.scroll_offset.y
        if 0 < y < self.size.height:
            self.refresh(Region(0, y, self.size.width, 1))

    def render_line(self, y: int) -> Strip:
        """One line of the screen; the head stays while the rows scroll."""
        width = self.scrollable_content_region.width
        number = y - 1 + self.scroll_offset.y
        if y == 0:
            return self._line(self._head(), width)
        if number < len(self._rows):
            return self._line(self._rows[number].cells, width, self.has_focus and number == self._cursor)
        text = f" {self.EMPTY}" if number == 0 else ""
        return Strip([Segment(set_cell_size(text, width), self._style(Tone.DIM))], width)

    def _head(self) -> tuple[Cell, ...]:
        return tuple(Cell(self._head_text(column), Tone.HEAD) for column in self.COLUMNS)

    def _head_text(self, column: Column) -> str:
        if self._sorted_by is None or self._sorted_by[0] != column.key:
            return column.title
        return column.title + ("▼" if self._sorted_by[1] else "▲")

    def _line(self, cells: Sequence[Cell], width: int, has_cursor: bool = False) -> Strip:
        gap = Segment(" ", self._style(Tone.PLAIN, has_cursor))
        segments = [gap]
        for index, column_width in self._layout(width):
            cell = cells[index]
            text = _fit(cell.content, column_width, self.COLUMNS[index].is_number)
            segments += [Segment(text, self._style(cell.tone, has_cursor)), gap]
        return Strip(segments).adjust_cell_length(width, gap.style)

    def _style(self, tone: Tone, has_cursor: bool = False) -> Style:
        # Kept, because Textual walks all ancestors for each.
        if (style := self._styles.get((tone, has_cursor))) is None:
            names = ("cursor", tone) if has_cursor else (tone,)
            parts = (self.get_component_rich_style(f"table--{name}", partial=True) for name in names)
            style = self._styles[tone, has_cursor] = Style.combine([self.rich_style, *parts])
        return style

    def notify_style_update(self) -> None:
        """Forget the styles: the theme or a class has changed."""
        self._styles.clear()
        super().notify_style_update()

    def _layout(self, width: int) -> list[tuple[int, int]]:
        """Index and width of the columns that a table so wide shows."""
        shown = [(index, column) for index, column in enumerate(self.COLUMNS) if width >= column.from_width]
        rest = width - 1 - sum(column.width + 1 for _, column in shown)
        return [(index, column.width or max(0, rest)) for index, column in shown]

    def _column_at(self, x: int) -> Column | None:
        left = 1
        for index, width in self._layout(self.scrollable_content_region.width):
            if left <= x <= left + width:
                return self.COLUMNS[index]
            left += width + 1
        return None

    def action_move(self, lines: int) -> None:
        """Move the cursor, and scroll so that it can be seen."""
        self._move_cursor(max(0, min(len(self._rows) - 1, self._cursor + lines)))
        page = max(1, self.size.height - 1)
        top = self.scroll_offset.y
        if not top <= self._cursor < top + page:
            self.scroll_to(y=self._cursor if self._cursor < top else self._cursor - page + 1, animate=False)

    def action_move_page(self, pages: int) -> None:
        self.action_move(pages * max(1, self.size.height - 2))

    def action_choose(self) -> None:
        if (key := self.cursor_key) is not None:
            self.post_message(self.Chosen(self, key))

    def on_click(self, event: events.Click) -> None:
        offset = event.get_content_offset(self)
        if offset is None:
            return
        if offset.y == 0:
            column = self._column_at(offset.x)
            if column is not None and column.is_sortable:
                self.post_message(self.HeadClicked(self, column.key))
        elif (line := offset.y - 1 + self.scroll_offset.y) < len(self._rows):
            self._move_cursor(line)
            if event.chain == 2:
                self.action_choose()

    def on_resize(self) -> None:
        self.virtual_size = Size(self.size.width, len(self._rows) + 1)

    def on_focus(self) -> None:
        self._repaint(self._cursor)

    def on_blur(self) -> None:
        self._repaint(self._cursor)


def _fit(content: str | Graph, width: int, is_number: bool) -> str:
    if isinstance(content, Graph):
        return content.draw(width)
    text = printable(content)
    excess = cell_len(text) - width
    if excess > 0:
        return set_cell_size(text, width - 1) + "…" if width > 0 else ""
    return " " * -excess + text if is_number else text + " " * -excess
