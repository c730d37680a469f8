"""A table that repaints the lines whose cells changed, and nothing else.

All the console's lists are this one widget: aligned columns that come and go with the width, a
cursor that stays with its row when the order changes, a title line that can be clicked to sort.
What its rows are is `rows`' to say, which of them are shown a `Sift`'s. What is shown was named by
others, so control characters are taken out here, for all of them.
"""

from collections.abc import Sequence
from dataclasses import replace
from typing import ClassVar

from rich.cells import cell_len, set_cell_size
from rich.segment import Segment
from rich.style import Style
from textual import events
from textual.binding import Binding, BindingType
from textual.content import Content
from textual.geometry import Region, Size
from textual.message import Message
from textual.scroll_view import ScrollView
from textual.strip import Strip

from tui.figures import printable
from tui.graph import Graph
from tui.model import Model
from tui.panels.panel import Panel
from tui.row import Cell, Column, Row, Tone, Value
from tui.sift import Filter, Order, Sift

UNTOLD = "nothing heard yet"
COPIED_CELLS = 60
"""Of what was copied, in the notice: enough to know it again."""

__all__ = ["Cell", "Column", "Row", "Table", "Tone"]


class Table(ScrollView, Panel, can_focus=True):
    COLUMNS: ClassVar[tuple[Column, ...]] = ()
    TITLE: ClassVar[str] = ""
    EMPTY: ClassVar[str] = "nothing yet"
    IS_SERVED: ClassVar[bool] = False
    """The server sorts its rows, and gives the first of them only."""
    HOLDS_CURSOR: ClassVar[bool] = False
    """With the keys on it the cursor stays with its row at the top, too: one of them acts at once."""

    COMPONENT_CLASSES: ClassVar[set[str]] = {f"table--{tone}" for tone in Tone} | {
        "table--cursor",
        "table--chosen",
    }
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("up,k", "move(-1)", "Up", show=False, id="up"),
        Binding("down,j", "move(1)", "Down", show=False, id="down"),
        Binding("left,h", "move_across(-1)", "Column to the left", show=False, id="left"),
        Binding("right,l", "move_across(1)", "Column to the right", show=False, id="right"),
        Binding("pageup", "move_page(-1)", "Page up", show=False, id="page_up"),
        Binding("pagedown", "move_page(1)", "Page down", show=False, id="page_down"),
        Binding("home,g", "move(-1000000)", "First row", show=False, id="first"),
        Binding("end,G", "move(1000000)", "Last row", show=False, id="last"),
        Binding("enter", "choose", "Open", id="open", tooltip="Open the row, or read all of it"),
        Binding("s", "sort", "Sort by the next column, or that of ← →", show=False, id="sort"),
        Binding("S", "reverse", "Sort the other way", show=False, id="reverse"),
        Binding("p", "only_trouble", "Troubles only", show=False, id="troubles"),
        Binding("space", "pause", "Pause", show=False, id="pause"),
        Binding("f", "follow", "Follow the row", show=False, id="follow"),
        Binding("c", "copy_cell", "Copy the cell (its row before ← →)", show=False, id="copy"),
        Binding("C", "copy_row", "Copy the row", show=False, id="copy_row"),
    ]

    class Chosen(Message):
        """A row was opened by Enter or a second click."""

        def __init__(self, table: "Table", key: str) -> None:
            super().__init__()
            self.table = table
            self.key = key

    class HeadClicked(Message):
        """The server is to sort by a column."""

        def __init__(self, table: "Table", column: str) -> None:
            super().__init__()
            self.table = table
            self.column = column

    def __init__(self, id: str | None = None) -> None:
        self._styles: dict[tuple[Tone, str], Style] = {}
        super().__init__(id=id)
        self._heading = self.TITLE
        self._title = ""
        self._empty = UNTOLD
        self._latest: Sequence[Row] = ()
        """As the model has them."""
        self._held: Sequence[Row] | None = None
        """What stays on show while the table is paused."""
        self._rows: Sequence[Row] = ()
        """Those on show."""
        self._sift = Sift()
        self._cursor = 0
        self._chosen_column: int | None = None
        self._followed: str | None = None
        self._sorted_by: tuple[str, bool] | None = None
        self._retitle()

    def rows(self, model: Model, now: float) -> list[Row]:
        """What to show of the model."""
        raise NotImplementedError

    def title(self, model: Model) -> str:
        """The text in the border."""
        return self.TITLE

    def empty_text(self, model: Model) -> str:
        """What stands in place of rows: why not, or that there are none once the server has said it."""
        if refusal := model.refusal_of(self.SHOWS):
            return f"refused: {refusal}"
        return self.EMPTY if model.is_told(self.SHOWS) else UNTOLD

    def show(self, model: Model, now: float) -> None:
        """Take the model's rows and repaint the lines that differ from those on the screen."""
        self._heading, self._empty = self.title(model), self.empty_text(model)
        self._latest = self.rows(model, now)
        self._refill()

    def sift(self, sift: Sift) -> None:
        """Show other rows, or in another order."""
        self._sift = sift
        if sift.order is not None:
            self._sorted_by = self.COLUMNS[sift.order.column].key, sift.order.is_descending
        elif not self.IS_SERVED:
            self._sorted_by = None
        self._refill()
        self.refresh()

    @property
    def filter_text(self) -> str:
        return self._sift.filter.text

    def filter(self, text: str) -> None:
        """Show what matches, as `Filter` has it."""
        self.sift(replace(self._sift, filter=Filter(text)))

    def mark_sorted(self, column: str, descending: bool) -> None:
        """Show an arrow in that column's head."""
        if self._sorted_by != (column, descending):
            self._sorted_by = column, descending
            self.refresh()

    def records(self) -> list[dict[str, Value]]:
        """The rows on show, with all columns and exact values."""
        return [
            {column.key: cell.exact for column, cell in zip(self.COLUMNS, row.cells, strict=True)}
            for row in self._rows
        ]

    def _refill(self) -> None:
        given = self._latest if self._held is None else self._held
        before, self._rows = self._rows, self._sift(given)
        self._retitle()
        if len(before) != len(self._rows):
            self.virtual_size = self._whole_size
            self.refresh(layout=self.styles.is_auto_height)
        for line, (old, new) in enumerate(zip(before, self._rows, strict=False)):
            if old != new:
                self._repaint(line)
        self._keep_cursor(before)

    def _retitle(self) -> None:
        title = f" {printable(' · '.join([self._heading, *self.notes()]))} "
        if self._title != title:
            self._title = title
            self.border_title = Content(title)  # a bare text would be taken for markup

    def notes(self) -> list[str]:
        """What the title says besides: what is left out, whether the table stands still."""
        notes = self._sift.notes
        if notes:
            notes[0] = f"{len(self._rows):,} of {len(self._latest):,} · {notes[0]}"
        if self._held is not None:
            notes.append(f"paused, {len(set(self._latest) - set(self._held)):,} new or changed")
        if self._followed is not None:
            notes.append(
                "following" if self._line_of(self._followed) is not None else "followed row not here"
            )
        return notes

    @property
    def _whole_size(self) -> Size:
        """The head and all rows; or what is said in place of them."""
        return Size(self.size.width, max(1, len(self._rows)) + 1)

    @property
    def page(self) -> int:
        """How many rows there is room for."""
        return max(1, self.size.height - 1)

    @property
    def cursor_row(self) -> Row | None:
        return self._rows[self._cursor] if self._rows else None

    @property
    def cursor_key(self) -> str | None:
        """The key of the row under the cursor."""
        return self._rows[self._cursor].key if self._rows else None

    def _line_of(self, key: str) -> int | None:
        return next((line for line, row in enumerate(self._rows) if row.key == key), None)

    def _keep_cursor(self, before: Sequence[Row]) -> None:
        """Stay with the row where it has gone; but most stay at the top there, to see what is new."""
        line = min(self._cursor, max(0, len(self._rows) - 1))
        if self._followed is not None:
            found = self._line_of(self._followed)
            if found is not None:
                self._go_to(found)
            return
        is_held = self._cursor > 0 or (self.HOLDS_CURSOR and self.has_focus)
        if is_held and self._cursor < len(before):
            found = self._line_of(before[self._cursor].key)
            line = line if found is None else found
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
            has_cursor = self.has_focus and number == self._cursor
            return self._line(self._rows[number].cells, width, "cursor" if has_cursor else "")
        text = f" {'none that match' if self._latest else self._empty}" if number == 0 else ""
        return Strip([Segment(set_cell_size(text, width), self._style(Tone.DIM))], width)

    def _head(self) -> tuple[Cell, ...]:
        return tuple(Cell(self._head_text(column), Tone.HEAD) for column in self.COLUMNS)

    def _head_text(self, column: Column) -> str:
        if self._sorted_by is None or self._sorted_by[0] != column.key:
            return column.title
        return column.title + ("▼" if self._sorted_by[1] else "▲")

    def _line(self, cells: Sequence[Cell], width: int, mark: str = "") -> Strip:
        gap = Segment(" ", self._style(Tone.PLAIN, mark))
        segments = [gap]
        for index, column_width in self._layout(width):
            cell = cells[index]
            text = _fit(cell.content, column_width, self.COLUMNS[index].is_number)
            is_chosen = mark and index == self._chosen_column
            segments += [Segment(text, self._style(cell.tone, "chosen" if is_chosen else mark)), gap]
        return Strip(segments).adjust_cell_length(width, gap.style)

    def _style(self, tone: Tone, mark: str = "") -> Style:
        # Kept, because Textual walks all ancestors for each.
        if (style := self._styles.get((tone, mark))) is None:
            names = (mark, tone) if mark else (tone,)
            parts = (self.get_component_rich_style(f"table--{name}", partial=True) for name in names)
            style = self._styles[tone, mark] = Style.combine([self.rich_style, *parts])
        return style

    def notify_style_update(self) -> None:
        """Forget the styles: the theme or a class has changed."""
        self._styles.clear()
        super().notify_style_update()

    def _layout(self, width: int) -> list[tuple[int, int]]:
        """Index and width of the columns that a table so wide shows."""
        shown = [(index, column) for index, column in enumerate(self.COLUMNS) if width >= column.from_width]
        rest = width - 1 - sum(column.width + 1 for _, column in shown)
        return [(index, column.width or max(0, min(rest, column.most or rest))) for index, column in shown]

    def _column_at(self, x: int) -> int | None:
        left = 1
        for index, width in self._layout(self.scrollable_content_region.width):
            if left <= x <= left + width:
                return index
            left += width + 1
        return None

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """Sorting is the view's where it is the server's."""
        return not (self.IS_SERVED and action in {"sort", "reverse"})

    def action_move(self, lines: int) -> None:
        """Move the cursor; what was followed is let go."""
        self._followed = None
        self._go_to(max(0, min(len(self._rows) - 1, self._cursor + lines)))
        self._retitle()

    def _go_to(self, line: int) -> None:
        """Move the cursor, and scroll so that it can be seen."""
        self._move_cursor(line)
        top = self.scroll_offset.y
        if not top <= line < top + self.page:
            self.scroll_to(y=line if line < top else line - self.page + 1, animate=False)

    def action_move_across(self, columns: int) -> None:
        """Choose a cell of the row; beyond either end, the row as a whole."""
        places = [None, *(index for index, _ in self._layout(self.scrollable_content_region.width))]
        place = places.index(self._chosen_column) if self._chosen_column in places else 0
        self._chosen_column = places[(place + columns) % len(places)]
        self._repaint(self._cursor)

    @property
    def chosen_column(self) -> Column | None:
        """That of the chosen cell, if one is."""
        return None if self._chosen_column is None else self.COLUMNS[self._chosen_column]

    def action_sort(self) -> None:
        """Sort by the chosen cell's column; else by the next one shown, after the last as the rows come."""
        if self._chosen_column is not None:
            self._sort_by(self._chosen_column)
            return
        shown = [index for index, _ in self._layout(self.scrollable_content_region.width)]
        places: list[int | None] = [None, *(index for index in shown if self.COLUMNS[index].title)]
        now = self._sift.order.column if self._sift.order else None
        following = places[(places.index(now) + 1) % len(places)] if now in places else None
        self.sift(replace(self._sift, order=None if following is None else self._first_order(following)))

    def _first_order(self, column: int) -> Order:
        return Order(column, is_descending=self.COLUMNS[column].is_number)

    def action_reverse(self) -> None:
        if (order := self._sift.order) is not None:
            self.sift(replace(self._sift, order=Order(order.column, not order.is_descending)))

    def _sort_by(self, column: int) -> None:
        if self._sift.order is not None and self._sift.order.column == column:
            self.action_reverse()
        else:
            self.sift(replace(self._sift, order=self._first_order(column)))

    def action_only_trouble(self) -> None:
        self.sift(replace(self._sift, only_trouble=not self._sift.only_trouble))

    def action_pause(self) -> None:
        """Hold the rows still, or show what has come meanwhile."""
        self._held = self._latest if self._held is None else None
        self._refill()

    def action_follow(self) -> None:
        """Keep the cursor on its row wherever that goes, or let it go."""
        self._followed = self.cursor_key if self._followed is None else None
        self._retitle()

    def action_copy_cell(self) -> None:
        """Put the chosen cell on the clipboard of the operator's terminal."""
        if self._rows and self._chosen_column is not None:
            self._copy(self._rows[self._cursor].cells[self._chosen_column : self._chosen_column + 1])
        else:
            self.action_copy_row()

    def action_copy_row(self) -> None:
        if self._rows:
            self._copy(self._rows[self._cursor].cells)

    def _copy(self, cells: Sequence[Cell]) -> None:
        # Without control characters: what is pasted into a shell must not press Enter there.
        text = "\t".join(printable(str(cell.exact)) for cell in cells)
        self.app.copy_to_clipboard(text)
        self.notify(f"copied {_fit(text, min(cell_len(text), COPIED_CELLS), False)}", markup=False)

    def action_move_page(self, pages: int) -> None:
        self.action_move(pages * max(1, self.page - 1))

    def action_choose(self) -> None:
        if (key := self.cursor_key) is not None:
            self.post_message(self.Chosen(self, key))

    def on_click(self, event: events.Click) -> None:
        offset = event.get_content_offset(self)
        if offset is None:
            return
        column = self._column_at(offset.x)
        line = offset.y - 1 + self.scroll_offset.y
        if offset.y == 0 and column is not None:
            self._head_clicked(column)
        elif offset.y > 0 and line < len(self._rows):
            self.action_move(line - self._cursor)
            if event.chain == 2:
                self.action_choose()

    def _head_clicked(self, column: int) -> None:
        if not self.IS_SERVED:
            self._sort_by(column)
        elif self.COLUMNS[column].is_sortable:
            self.post_message(self.HeadClicked(self, self.COLUMNS[column].key))

    def on_resize(self) -> None:
        self.virtual_size = self._whole_size
        self._retitle()

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
